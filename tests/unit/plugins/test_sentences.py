# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sentence of README or a guide about what libvirt does has a test in tests/kernel that shows it with libvirt.

The guide to security names its tests itself (test_security_page).
"""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs" / "docsite" / "rst").glob("*.rst"))]
#: test → what it shows
SHOWN = {
    "test_libvirt_habits.py::test_what_libvirt_drops_without_a_word": (
        "| what it does not know in the XML | ignored |",
        "What libvirt ignores in XML without a word",
        "libvirt ignores what it does not know",
        "libvirt loses elements without a namespace and all but the first of each namespace.",
        "libvirt loses them",
        "libvirt does not write ``managed`` again.",
        "libvirt takes the first of them and says nothing.",
        "``vnet`` were made up by libvirt and are chosen anew.",
        "libvirt drops it from ``type='direct'`` without a word",
        "libvirt drops ``<filterref>`` from NICs of ``type='direct'`` without a word",
    ),
    "test_libvirt_habits.py::test_what_libvirt_refuses_when_it_is_to_validate": ("refuses them with ``--validate``.",),
    "test_libvirt_habits.py::test_libvirt_makes_a_uuid_and_knows_title_and_description_since_9_7": (
        "libvirt makes a UUID where there is none, and knows the other two since 9.7.",
        "libvirt makes one when it reads the definition.",
    ),
    "test_libvirt_habits.py::test_virsh_has_no_way_to_say_what_would_change": ("| says what would change | no |",),
    "test_libvirt_habits.py::test_every_interface_that_libvirt_knows_is_known_here": (
        "An ``<interface>`` of a type that libvirt does not have.",
    ),
    "test_libvirt_habits.py::test_what_libvirt_refuses_on_a_macvtap": (
        "libvirt notices only when a guest attaches.",
        "libvirt defines such a network, and notices when a guest attaches.",
        "For ``type='ethernet'`` and a link made elsewhere. libvirt refuses it as well.",
        "Use ``mode='private'``. libvirt refuses it as well.",
        "does not start a guest that has one on a macvtap network.",
        "libvirt does not do it on a macvtap either.",
        "libvirt does not carry them out on a macvtap either.",
        "libvirt refuses ``<coalesce>``, ``<script>``, ``<ip>`` and ``<route>``",
        "libvirt refuses it on ``type='direct'``",
    ),
    "test_libvirt_habits.py::test_what_libvirt_takes_and_we_do_not": (
        "libvirt takes it in mode ``passthrough`` only.",
        "but for a ``<dns>`` that asks for nothing.",
    ),
    "test_libvirt_habits.py::test_libvirt_makes_an_isolated_bridge_of_the_form_of_2010": (
        "Today's libvirt does not know it",
    ),
    "test_libvirt_habits.py::test_links_of_libvirts_making": (
        "| tap path | another one at each start |",
        "| repairs a link that was changed | no |",
        "| the host on the guest's link | gets an IPv6 address |",
        "libvirt makes one when a guest starts and deletes it when it ends",
        "libvirt still deletes the link with the guest",
        "libvirt deletes it when its domain ends.",
        "libvirt deletes it with its guest",
        "libvirt gives it none",
        "and sets it on a NIC of a macvtap network.",
        "and starts a guest with the others.",
        "It marks nothing",
    ),
    "test_libvirt_accepts.py::test_what_libvirt_refuses_we_refuse": (
        "libvirt refuses them as well",
        "Would need traffic shaping. libvirt refuses it as well.",
    ),
    "test_libvirt_accepts.py::test_definition_of_any_name_comes_back_the_same": ("libvirt writes UTF-8.",),
    "test_libvirt_client.py::test_a_domain_runs_unprivileged_on_our_tap_and_leaves_it_as_it_was": (
        "libvirt then opens the tap and makes no link of its own (seen with 9.0).",
        "libvirt opens the tap, hands it to QEMU, and leaves the link where it is when the domain ends",
        "is the queueing discipline of the link, to ``noqueue``.",
        "libvirt leaves such a link as it is.",
    ),
    "test_libvirt_wrong_tap.py::test_libvirt_opens_the_tap_of_a_user_when_the_link_is_there_and_its_node_is_not": (
        "libvirt opens ``/dev/tapN`` by the index of the link that the domain names, and does not compare device",
        "libvirt opens whatever device has the path, if the link exists and its node does not.",
    ),
    "test_libvirt_neighbour.py::test_links_that_libvirt_made_are_told_from_ours_and_left_alone": (
        "names the links that libvirt made for a running domain.",
    ),
}
#: words like these that say something of this collection, or of the order of a boot
OTHER = (
    "makes the links before libvirt starts.",
    "every boot makes them before libvirt starts.",
    "``which libvirt does not know there",
    "belong to a bridge that libvirt makes",
    "``belongs to a bridge that libvirt makes``",
    "``two owners: libvirt made it too``",
    "Guests that libvirt attaches get links that libvirt makes.",
)
DOES = re.compile(
    r"\blibvirt (?:then |still )?(?:accepts|defines|deletes|does not|drops|gives|ignores|leaves|loses|made|makes"
    r"|notices|opens|refuses|sets|starts|takes|writes)\b[^.;:]*"
)


def text_of(page):
    return " ".join(page.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("test", SHOWN)
def test_sentence_and_test_are_there(test):
    file, _, name = test.partition("::")
    tree = ast.parse((CHECKOUT / "tests" / "kernel" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    texts = list(map(text_of, PAGES))
    assert [words for words in SHOWN[test] if not any(words in text for text in texts)] == []


def test_what_libvirt_does_is_said_nowhere_else():
    known = sorted([*OTHER, *(words for shown in SHOWN.values() for words in shown)], key=len, reverse=True)
    left = []
    for page in PAGES:
        text = text_of(page)
        for words in known:
            text = text.replace(words, " … ")
        left += [f"{page.name}: {found}" for found in DOES.findall(text)]
    assert left == []
