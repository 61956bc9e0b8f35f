# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of plain options, without a parser: the same texts and networks as with one, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import MODES, Network, PortGroup
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.names import (
    check_device,
    check_network_name,
    check_portgroup_name,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt import network as network_xml
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt import network_defaults, network_plain
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network_layout import metadata_of, write_network
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.hostile import NAMES

THOROUGH = settings(max_examples=60, deadline=None, derandomize=True)


def passes(check):
    def is_accepted(name):
        try:
            return check(name) == name
        except InvalidInput:
            return False

    return is_accepted


#: the characters that XML writes in another way, and any others
LETTERS = st.one_of(st.sampled_from("&<>\"';# é"), st.characters(codec="utf-8"))
NETWORK_NAMES = st.text(LETTERS, min_size=1, max_size=12).filter(passes(check_network_name))
DEVICES = st.text(LETTERS, min_size=1, max_size=6).filter(passes(check_device))
POOLS = st.lists(DEVICES, min_size=1, max_size=4, unique=True).map(tuple)
PORTGROUP_NAMES = st.text(LETTERS, min_size=1, max_size=6).filter(passes(check_portgroup_name))
PORTGROUPS = st.lists(PORTGROUP_NAMES, max_size=3, unique=True).flatmap(
    lambda names: st.integers(0, 3).map(
        lambda default: tuple(PortGroup(name, number == default) for number, name in enumerate(names))
    )
)
SETTINGS = st.one_of(st.just({}), st.integers(1, 1 << 31).map(lambda length: {"broadcast_queue": length}))
NETWORKS = st.tuples(NETWORK_NAMES, st.sampled_from(MODES), POOLS, st.none(), PORTGROUPS, SETTINGS).map(
    lambda values: Network(*values)
)


def text_of(network):
    return network_plain.write(network)


def by_lxml(network):
    """The document as lxml writes it."""
    root = etree.Element("network")
    etree.SubElement(root, "name").text = network.name
    forward = etree.SubElement(root, "forward", {"mode": network.mode, "dev": network.devices[0]})
    for device in network.devices:
        etree.SubElement(forward, "interface").set("dev", device)
    for group in network.portgroups:
        etree.SubElement(root, "portgroup", {"name": group.name, **({"default": "yes"} if group.default else {})})
    if network.settings:
        namespaces = {"macvtap": network_defaults.NAMESPACE}
        node = etree.SubElement(metadata_of(root), f"{{{network_defaults.NAMESPACE}}}defaults", nsmap=namespaces)
        node.text = json.dumps(dict(network.settings))
    return write_network(root)


@THOROUGH
@given(NETWORKS)
def test_a_definition_is_the_same_with_and_without_a_parser(network):
    text = text_of(network)
    assert text == by_lxml(network)
    assert network_plain.read(text) == network_xml.parse_network(text) == network._replace(xml=text)


@THOROUGH
@given(NETWORKS, NETWORKS)
def test_a_change_of_a_plain_definition_is_the_new_plain_definition(old, new):
    new = new._replace(name=old.name)
    assert network_xml.update_network_xml(text_of(old), new) == text_of(new)


@THOROUGH
@given(NETWORKS, st.data())
def test_one_other_character_and_it_is_read_as_the_parser_does_or_not_at_all(network, data):
    text = text_of(network)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.text(LETTERS, max_size=2)) + text[at + 1 :]
    found = network_plain.read(changed)
    if found is not None:
        assert text_of(found) == changed and network_xml.parse_network(changed) == found


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_name_is_read_back_or_refused(name):
    for network in (Network(name, "vepa", ("eth0",)), Network("n", "vepa", (name,))):
        found = network_plain.read(text_of(network))
        is_good = passes(check_network_name)(network.name) and passes(check_device)(network.devices[0])
        assert (found is not None and found._replace(xml=None) == network) == is_good


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<network/>",
        text_of(Network("n", "nat", ("eth0",))),
        text_of(Network("n", "vepa", ("eth0", "eth0"))),
        text_of(Network("n", "vepa", ("eth0", "eth1"))).replace('dev="eth0"', 'dev="eth1"', 1),
        text_of(Network("n", "vepa", ("eth0",))).replace("\n", "\r\n"),
        text_of(Network("n", "vepa", ("eth0",))) + "\n",
        "<!DOCTYPE n [<!ENTITY e 'x'>]>\n" + text_of(Network("n", "vepa", ("eth0",))),
        text_of(Network("n", "vepa", ("eth0",))).replace(">n<", ">&e;<"),
        text_of(Network("n", "vepa", ("eth0",))).replace(">n<", ">&#110;<"),
        text_of(Network("n", "vepa", ("eth0",))).replace(">n<", "><!-- -->n<"),
        text_of(Network("n", "vepa", ("eth0",))).replace("  <forward", "  <uuid>x</uuid>\n  <forward"),
    ],
)
def test_every_other_text_is_left_to_the_parser(text):
    assert network_plain.read(text) is None


def test_another_name_than_the_one_asked_for_is_refused_with_both():
    with pytest.raises(InvalidInput, match="names itself 'n', but the name asked for is 'm'"):
        network_plain.agreed_name("n", "m")


def test_a_long_file_is_refused_or_read_at_once():
    text = text_of(Network("n", "vepa", tuple("eth%d" % number for number in range(20_000))))
    assert len(network_plain.read(text).devices) == 20_000
    assert network_plain.read(text[:-1] + " ") is None


def test_lxml_is_not_imported():
    code = "import sys; sys.modules['lxml'] = None; import %s" % network_plain.__name__
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
