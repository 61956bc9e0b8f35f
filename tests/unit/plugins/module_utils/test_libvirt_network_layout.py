# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When two network documents are the same definition, so that nothing is to be written."""

from __future__ import annotations

import pytest
from lxml import etree

from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import parse_network, same_definition

UUID = "7d5fc8a1-3c5e-4f0e-9d1a-0a1b2c3d4e5f"


def network(inside="", forward="<forward mode='vepa' dev='eth0'/>"):
    return f"<network><name>n</name>{forward}{inside}</network>"


FULL = network(
    "<!-- c --><metadata><a:b xmlns:a='urn:a'><a:c>some words</a:c></a:b></metadata>"
    "<portgroup name='x' default='yes'/><portgroup name='y'/>",
    "<forward mode='vepa'><interface dev='eth0'/><interface dev='eth1'/></forward>",
)

SAME = {
    "itself": FULL,
    "a uuid": FULL.replace("</name>", f"</name><uuid>{UUID}</uuid>"),
    "dev on forward": FULL.replace("mode='vepa'", "mode='vepa' dev='eth0'"),
    "attribute order": FULL.replace("mode='vepa'", "dev='eth0' mode='vepa'").replace(
        "name='x' default='yes'", "default='yes' name='x'"
    ),
    "connections": FULL.replace("<network", "<network connections='2'").replace("'eth1'", "'eth1' connections='2'"),
    "no comment": FULL.replace("<!-- c -->", ""),
    "indentation": FULL.replace("><", ">\n   <").replace("some words", "\n  some\n  words\n"),
    "order of elements": FULL.replace("<portgroup name='y'/>", "")
    .replace("</name>", "</name><portgroup name='y'/>")
    .replace("<portgroup name='x' default='yes'/>", "")
    .replace("</name>", "</name><portgroup name='x' default='yes'/>"),
    "prefix": FULL.replace("a:", "z:").replace(":a=", ":z="),
    "spelled-out defaults": FULL.replace("<network", "<network ipv6='no'")
    .replace("'y'", "'y' default='no'")
    .replace("mode='vepa'", "mode='vepa' managed='no'"),
    "metadata libvirt loses": FULL.replace("</metadata>", "<plain/><a:d xmlns:a='urn:a'/></metadata>"),
    "a title": FULL.replace("</name>", "</name><title>t</title>"),
    "a foreign attribute": FULL.replace("<network", "<network a:b='c' xmlns:a='urn:a'"),
    "empty portgroup": FULL.replace("name='y'/>", "name='y'>\n</portgroup>"),
}

DIFFERENT = {
    "name": FULL.replace("<name>n", "<name>m"),
    "blank in name": FULL.replace("<name>n", "<name> n"),
    "mode": FULL.replace("vepa", "bridge"),
    "pool": FULL.replace("eth1", "eth2"),
    "pool order": FULL.replace("eth1", "x").replace("eth0", "eth1").replace("x'", "eth0'"),
    "smaller pool": FULL.replace("<interface dev='eth1'/>", ""),
    "default portgroup": FULL.replace(" default='yes'", ""),
    "portgroup": FULL.replace("'y'", "'z'"),
    "trust": FULL.replace("<network", "<network trustGuestRxFilters='yes'"),
    "metadata text": FULL.replace("some words", "other words"),
    "metadata": FULL.replace("<a:c>some words</a:c>", ""),
    "ipv6": FULL.replace("<network", "<network ipv6='yes'"),
    "pf": FULL.replace("<interface dev='eth0'/><interface dev='eth1'/>", "<pf dev='eth0'/>"),
}


@pytest.mark.parametrize("other", SAME.values(), ids=SAME.keys())
def test_what_libvirt_makes_up_or_loses_is_no_difference(other):
    assert same_definition(FULL, other)
    assert same_definition(other, FULL)


@pytest.mark.parametrize("other", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_was_meant_is_a_difference(other):
    assert not same_definition(FULL, other)
    assert not same_definition(other, FULL)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"<uuid>{UUID}</uuid>", f"<uuid>{UUID.replace('7', '8')}</uuid>"),
        ("<title>a</title>", "<title>A</title>"),
        ("<!-- a -->", "<!-- b -->"),
        ("<metadata><plain a='1'/></metadata>", "<metadata><plain a='2'/></metadata>"),
    ],
)
def test_what_both_say_differently_is_a_difference(one, other):
    assert not same_definition(network(one), network(other))


def test_uuid_is_compared_as_a_number():
    assert same_definition(network(f"<uuid>{UUID}</uuid>"), network(f"<uuid>{UUID.replace('-', '').upper()}</uuid>"))


def test_both_forms_of_one_network_are_the_same():
    assert same_definition("<network><name>n</name><extbridge mode='vepa' dev='eth0'/></network>", network())


def test_what_stands_around_the_root_is_kept_inside_it():
    warning = "<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE OVERWRITTEN\n-->"
    written = parse_network(f"{warning}<!-- a --><?b c?>{network('<!-- d -->')}<!-- e -->").xml
    assert [node.text for node in etree.fromstring(written).iter(etree.Comment, etree.PI)] == [" a ", "c", " e ", " d "]
    assert parse_network(written).xml == written
