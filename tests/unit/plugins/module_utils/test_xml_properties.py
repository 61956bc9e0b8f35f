# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties over generated documents: nothing is lost or invented on the way, and garbage is one typed error.

HYPOTHESIS_EXAMPLES sets how many documents each property is tried on; damaged ones are three times as many.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import MODES, Network, Nic, PortGroup
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.names import (
    check_ifname,
    check_mac_prefix,
    check_network_name,
    normalize_mac,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.domain import parse_domain, parse_domains
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.interface import interface_xml
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import (
    network_xml,
    parse_network,
    same_definition,
    update_network_xml,
)

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "100"))
#: the same examples in every run, unless more are asked for
THOROUGH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
FUZZ = settings(THOROUGH, max_examples=3 * EXAMPLES)

# --- what documents are made of

XML_TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=20
)
NETWORK_NAMES = XML_TEXT.filter(lambda name: "/" not in name and name not in (".", ".."))
IFNAMES = st.from_regex(r"[a-z][a-z0-9._'&<\"-]{0,14}", fullmatch=True)
MACS = st.tuples(st.integers(1, 127).map(lambda n: n * 2), *[st.integers(0, 255)] * 5)
POOLS = st.lists(IFNAMES, min_size=1, max_size=5, unique=True).map(tuple)


@st.composite
def networks(draw):
    """A network as its fields; ``xml`` is for the document writer below."""
    pf = draw(st.none() | IFNAMES)
    names = draw(st.lists(XML_TEXT, max_size=3, unique=True))
    default = draw(st.integers(-1, len(names) - 1))
    groups = tuple(PortGroup(name, index == default) for index, name in enumerate(names))
    return Network(draw(NETWORK_NAMES), draw(st.sampled_from(MODES)), () if pf is not None else draw(POOLS), pf, groups)


@st.composite
def decorations(draw):
    """What may stand in a network document without a say in what the network is: (elements, root attributes)."""
    nodes = []
    if draw(st.booleans()):
        uuid = etree.Element("uuid")
        uuid.text = str(draw(st.uuids()))
        nodes.append(uuid)
    if draw(st.booleans()):
        metadata = etree.Element("metadata")
        for number in range(draw(st.integers(0, 2))):
            app = etree.SubElement(metadata, f"{{urn:app{number}}}data", key=draw(XML_TEXT))
            app.text = draw(XML_TEXT)
            etree.SubElement(app, "inner").tail = draw(XML_TEXT)
        nodes.append(metadata)
    if draw(st.booleans()):
        nodes.append(etree.Comment(draw(XML_TEXT).replace("-", "=")))
    if draw(st.booleans()):
        nodes.append(etree.Element("{urn:elsewhere}thing", note=draw(XML_TEXT)))
    attributes = draw(st.sampled_from([{}, {"connections": "3"}, {"trustGuestRxFilters": "yes"}, {"ipv6": "no"}]))
    return nodes, attributes


@st.composite
def network_documents(draw):
    """(the network, a document for it): free order of elements, today's form or that of 2010, with decorations."""
    network = draw(networks())
    nodes, attributes = draw(decorations())
    root = etree.Element("network", attributes)
    name = etree.Element("name")
    name.text = network.name
    if network.pf is None and len(network.devices) == 1 and not network.portgroups and draw(st.booleans()):
        source = etree.Element("extbridge", mode=network.mode, dev=network.devices[0])
        nodes.append(etree.Element(draw(st.sampled_from(["ip", "bridge", "forward", "dns", "unknown"]))))
    else:
        source = etree.Element("forward", mode=network.mode)
        if network.pf is not None:
            etree.SubElement(source, "pf", dev=network.pf)
        elif len(network.devices) > 1 or draw(st.booleans()):
            for device in network.devices:
                etree.SubElement(source, "interface", dev=device)
        else:
            source.set("dev", network.devices[0])
    for node in draw(st.permutations([name, source, *nodes])):
        root.append(node)
    for group in network.portgroups:
        etree.SubElement(root, "portgroup", {"name": group.name, **({"default": "yes"} if group.default else {})})
    return network, etree.tostring(root, encoding="unicode", pretty_print=draw(st.booleans()))


@st.composite
def wanted_nics(draw):
    """One NIC as its fields, guest and position aside."""
    direct = draw(st.booleans())
    mtu = draw(st.none() | st.integers(68, 65535))
    link_state = draw(st.sampled_from([None, "up", "down"]))
    asked = {"mtu": mtu, "link_state": link_state}
    return Nic(
        guest=None,
        network=draw(st.none() | NETWORK_NAMES) if direct else draw(NETWORK_NAMES),
        portgroup=draw(st.none() | XML_TEXT),
        device=draw(IFNAMES) if direct else None,
        mode=draw(st.sampled_from(MODES)) if direct else None,
        mac=draw(st.none() | MACS.map(lambda octets: ":".join(f"{octet:02x}" for octet in octets))),
        ifname=draw(st.none() | IFNAMES.filter(lambda name: not name.startswith(("macvtap", "macvlan", "vnet")))),
        queues=draw(st.integers(1, 256)),
        settings={name: value for name, value in asked.items() if value is not None},
        from_xml=True,
    )


def write_nic(nic, reserved=False):
    """The <interface> that asks for ``nic``."""
    root = etree.Element("interface", type="network" if nic.device is None else "direct")
    source = {"network": nic.network, "portgroup": nic.portgroup, "dev": nic.device, "mode": nic.mode}
    etree.SubElement(root, "source", {key: value for key, value in source.items() if value is not None})
    if nic.mac is not None:
        etree.SubElement(root, "mac", address=nic.mac.upper())
    if nic.ifname is not None or reserved:
        etree.SubElement(root, "target", dev=nic.ifname or "vnet0")
    if "mtu" in nic.settings:
        etree.SubElement(root, "mtu", size=str(nic.settings["mtu"]))
    if nic.queues != 1:
        etree.SubElement(root, "driver", queues=str(nic.queues))
    if "link_state" in nic.settings:
        etree.SubElement(root, "link", state=nic.settings["link_state"])
    etree.SubElement(root, "model", type="virtio")
    return root


def mutate(draw, text):
    """``text`` with a few pieces cut, doubled, swapped or written over."""
    for _cut in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        noise = draw(
            st.sampled_from(["", "<", ">", "&", "'", "/", "\0", "<a>", "</network>", "<!--", "]]>", "<!DOCTYPE a>"])
            | st.just(text[start:end] * 2)
            | st.text(max_size=5)
        )
        text = text[:start] + noise + text[end:]
    return text


# --- properties


@THOROUGH
@given(network_documents())
def test_document_means_the_network_it_was_made_for(case):
    network, document = case
    assert parse_network(document)._replace(xml=None) == network


@THOROUGH
@given(network_documents())
def test_parse_write_parse_is_the_same(case):
    _network, document = case
    found = parse_network(document)
    assert parse_network(found.xml) == found
    assert network_xml(found) == found.xml
    plain = found._replace(xml=None, portgroups=())
    assert parse_network(network_xml(plain))._replace(xml=None) == plain
    assert same_definition(document, found.xml)


@THOROUGH
@given(network_documents())
def test_everything_that_is_not_libvirts_is_kept(case):
    _network, document = case
    kept = etree.fromstring(parse_network(document).xml)
    for node in etree.fromstring(document).iter():
        if not isinstance(node.tag, str):
            assert node.text in [comment.text for comment in kept.iter(etree.Comment)]
        elif node.tag.startswith("{") or node.tag == "uuid":
            assert (node.text, dict(node.attrib)) in [(other.text, dict(other.attrib)) for other in kept.iter(node.tag)]


@THOROUGH
@given(network_documents(), st.sampled_from(MODES), POOLS)
def test_update_changes_mode_and_pool_only(case, mode, devices):
    network, document = case
    updated = update_network_xml(document, Network(network.name, mode, devices, portgroups=network.portgroups))
    found = parse_network(updated)
    assert found._replace(xml=None) == network._replace(mode=mode, devices=devices, pf=None)
    assert found.xml == updated
    before = Network(network.name, network.mode, network.devices, network.pf)
    assert update_network_xml(updated, before) == update_network_xml(document, before)


@THOROUGH
@given(network_documents(), network_documents())
def test_same_definition_is_symmetric_and_implies_the_same_network(first, second):
    same = same_definition(first[1], second[1])
    assert same == same_definition(second[1], first[1])
    assert not same or parse_network(first[1])._replace(xml=None) == parse_network(second[1])._replace(xml=None)


@THOROUGH
@given(st.lists(wanted_nics() | st.none(), max_size=5), st.booleans(), st.booleans())
def test_domain_asks_for_the_nics_it_was_made_for(wanted, as_fragments, reserved):
    interfaces = [
        etree.Element("interface", type="user") if nic is None else write_nic(nic, reserved) for nic in wanted
    ]
    if as_fragments:
        documents = [etree.tostring(interface, encoding="unicode") for interface in interfaces]
    else:
        root = etree.Element("domain", type="kvm")
        etree.SubElement(root, "name").text = "g"
        etree.SubElement(root, "devices").extend(interfaces)
        documents = etree.tostring(root, encoding="utf-16", pretty_print=True)
    found = parse_domains(documents, "g")
    expected = [nic._replace(guest="g", nic=place) for place, nic in enumerate(wanted) if nic is not None]
    assert [nic._replace(origin="", hardware="") for nic in found] == expected


@THOROUGH
@given(MACS, IFNAMES, st.integers(1, 256))
def test_interface_for_libvirt_says_what_was_asked(octets, ifname, queues):
    mac = ":".join(f"{octet:02x}" for octet in octets)
    root = etree.fromstring(interface_xml(mac, ifname, queues))
    assert (root.find("mac").get("address"), root.find("target").get("dev")) == (mac, ifname)
    assert parse_domain(interface_xml(mac, ifname, queues)) == []


@FUZZ
@given(st.binary(max_size=400) | st.text(max_size=400) | st.text("<>/&'\"=!-?[]x networkforwadi", max_size=80))
def test_garbage_is_invalid_input_or_read(garbage):
    for parse in (parse_network, parse_domain):
        try:
            parse(garbage)
        except InvalidInput as exc:
            assert "\n" not in str(exc)


@FUZZ
@given(network_documents(), st.data())
def test_damaged_network_is_invalid_input_or_read_the_same_twice(case, data):
    damaged = mutate(data.draw, case[1])
    try:
        found = parse_network(damaged)
    except InvalidInput as exc:
        assert "\n" not in str(exc)
    else:
        assert parse_network(found.xml) == found


@FUZZ
@given(wanted_nics(), st.data())
def test_damaged_interface_is_invalid_input_or_read(nic, data):
    damaged = mutate(data.draw, etree.tostring(write_nic(nic), encoding="unicode"))
    try:
        objections = [found.objection for found in parse_domain(damaged)]
    except InvalidInput as exc:
        objections = [str(exc)]
    assert not any("\n" in objection for objection in objections if objection)


@FUZZ
@given(st.text(max_size=30) | st.none() | st.integers())
def test_checked_names_fit_where_they_go(text):
    for check, fits in (
        (check_network_name, lambda name: "/" not in name and len(name.encode()) <= 247),
        (check_ifname, lambda name: 0 < len(name.encode()) <= 15 and not set("/:% ") & set(name)),
        (normalize_mac, lambda mac: len(mac) == 17),
        (check_mac_prefix, lambda prefix: 2 <= len(prefix) <= 14),
    ):
        try:
            assert fits(check(text))
        except InvalidInput as exc:
            assert "\n" not in str(exc)
