# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task names: the options attachments, xml and guests as NICs, guests and what a purge covers."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.select import Purge
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import guests
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.test_task_options import entry

NIC = "<interface type='network'><source network='x'/></interface>"
DOMAIN = f"<domain><name>%s</name><devices>{NIC}</devices></domain>"
EMPTY = "<domain><name>%s</name></domain>"


def guest(name=None, nics=None, xml=None):
    """An entry of ``guests`` as AnsibleModule hands it over: NICs have no guest."""
    for nic in nics or ():
        del nic["guest"]
    return {"name": name, "nics": nics, "xml": xml}


def parameters(**given):
    unset = dict.fromkeys(("guest", "guests", "attachments", "xml", "default_network"))
    return {**unset, "purge": True, "purge_scope": "guests", **given}


def named(**given):
    return guests.named(parameters(**given))


def keys(nics):
    return [(nic.guest, nic.network, nic.device, nic.origin) for nic in nics]


def test_no_option_names_no_nics():
    assert named() == (None, [], [])
    assert named(guest="web") == (None, ["web"], [])


def test_guests_of_both_kinds_are_nics_in_order():
    both = [guest("a", [entry(), entry(device="eth0")]), guest(xml=DOMAIN % "b"), guest("c", []), guest("d")]
    found = named(guests=both, default_network="n")
    assert keys(found.nics) == [
        ("a", "n", None, "guests[0].nics[0]"),
        ("a", None, "eth0", "guests[0].nics[1]"),
        ("b", "x", None, "interface 0 of domain 'b'"),
    ]
    assert (found.guests, found.bare) == (["a", "b", "c", "d"], ["d"])


def test_the_guest_of_the_task_is_for_attachments_that_name_none():
    found = named(guest="web", attachments=[entry(), entry(guest="db")], default_network="n")
    assert [nic.guest for nic in found.nics] == ["web", "db"] == found.guests
    assert named(guest="idle", attachments=[entry(guest="db")]).guests == ["db", "idle"]
    assert named(attachments=[entry()]).guests == []


def test_a_default_network_is_for_nics_without_a_place():
    placed = [entry(), entry(network="x"), entry(device="eth0"), entry(mode="bridge")]
    found = named(guest="web", attachments=placed, default_network="n")
    assert [nic.network for nic in found.nics] == ["n", "x", None, None]


def test_positions_go_on_over_the_documents_of_a_guest():
    assert [nic.nic for nic in named(guests=[guest(xml=DOMAIN % "a")] * 2).nics] == [0, 1]


def test_a_guest_whose_document_has_no_nic_is_named_too():
    assert named(guests=[guest(xml=EMPTY % "a")]).guests == named(xml=[EMPTY % "a"]).guests == ["a"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (guest("a", [entry()], "<domain/>"), r"guests\[0\] \(guest 'a'\) has both nics and xml"),
        (guest(nics=[]), r"guests\[0\] has no name"),
        (guest(xml=""), r"guests\[0\] has no name"),
        (guest("a\nb"), "guest"),
        (guest("a", [entry(queues=0)]), r"guests\[0\].nics\[0\]: queues 0"),
        (guest("a", xml=EMPTY % "b"), r"guests\[0\].xml is the domain 'b'"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_by_its_place(wrong, words):
    with pytest.raises(InvalidInput, match=words):
        named(guests=[wrong])


@pytest.mark.parametrize(
    ("options", "purge"),
    [
        ({"purge": False, "purge_scope": "host"}, None),
        ({}, Purge(guests={"a", "b"})),
        ({"purge_scope": "network"}, Purge(guests={"b"}, networks={"x"})),
        ({"purge_scope": "network", "default_network": "n"}, Purge(guests={"b"}, networks={"n", "x"})),
        ({"purge_scope": "host"}, Purge(everything=True)),
    ],
    ids=str,
)
def test_a_purge_covers_what_its_scope_says(options, purge):
    params = parameters(guests=[guest("a", [entry(network="x"), entry(device="eth0")]), guest("b", [])], **options)
    assert guests.purge_of(params, guests.named(params)) == purge


def test_results_by_guest_have_every_guest_named_and_only_guests():
    rows = [{"guest": name, "tap_path": f"/dev/tap{number}"} for number, name in enumerate(["b", "a", None, "b"])]
    assert guests.by_guest(rows, ["a", "c"]) == {
        "guests": {"a": [rows[1]], "c": [], "b": [rows[0], rows[3]]},
        "guest_tap_paths": {"a": ["/dev/tap1"], "c": [], "b": ["/dev/tap0", "/dev/tap3"]},
    }
