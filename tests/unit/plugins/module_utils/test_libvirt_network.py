# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network documents: what each element means, what is refused and how, what is written again."""

from __future__ import annotations

import pytest
from lxml import etree

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import MODES, Network, PortGroup
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import (
    network_xml,
    parse_network,
    update_network_xml,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.inherit import choose_portgroup

UUID = "7d5fc8a1-3c5e-4f0e-9d1a-0a1b2c3d4e5f"


def network(inside="", forward="<forward mode='vepa' dev='eth0'/>", attributes=""):
    return f"<network{attributes}><name>n</name>{forward}{inside}</network>"


def pool(*devices, mode="vepa", attributes=""):
    interfaces = "".join(f"<interface dev='{device}'/>" for device in devices)
    return network(forward=f"<forward mode='{mode}'{attributes}>{interfaces}</forward>")


# --- what is accepted, and its meaning


@pytest.mark.parametrize("mode", MODES)
def test_forward_mode_makes_a_macvtap_network(mode):
    assert parse_network(pool("eth0", mode=mode))[:4] == ("n", mode, ("eth0",), None)


@pytest.mark.parametrize("mode", MODES)
def test_extbridge_of_2010_makes_a_macvtap_network(mode):
    document = f"<network><name>vepanet</name><extbridge mode='{mode}' dev='eth0'/></network>"
    assert parse_network(document)[:4] == ("vepanet", mode, ("eth0",), None)


def test_extbridge_without_mode_is_vepa():
    assert parse_network("<network><name>n</name><extbridge dev='eth0'/></network>").mode == "vepa"


@pytest.mark.parametrize(
    "beside",
    [
        "<bridge name='virbr0' stp='on' delay='0'/><mac address='52:54:00:00:00:01'/>",
        "<ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='1' end='2'/></dhcp></ip>",
        "<forward mode='nat'/>",
        "<forward mode='passthrough' dev='eth7'><interface dev='eth8'/></forward>",
        "<forward/><forward/>",
        "<dns/><domain name='x'/><mtu size='9000'/><bandwidth/><vlan/><virtualport/><route/><nonsense a='b'/>",
        "<portgroup name='a' default='yes'/><portgroup name='a'/>",
    ],
)
def test_extbridge_wins_over_everything_beside_it(beside):
    for inside in (f"{beside}<extbridge dev='eth0'/>", f"<extbridge dev='eth0'/>{beside}"):
        found = parse_network(f"<network ipv6='yes'><name>n</name>{inside}</network>")
        assert found == parse_network("<network><name>n</name><extbridge dev='eth0'/></network>")
        assert found.portgroups == ()


def test_extbridge_is_rewritten_for_todays_libvirt_with_who_it_is():
    text = (
        f"<network><name>n</name><uuid>{UUID}</uuid><extbridge mode='vepa' dev='eth0'/><ip/>"
        "<metadata><a:b xmlns:a='urn:a'>kept</a:b></metadata><!-- kept too --></network>"
    )
    root = etree.fromstring(parse_network(text).xml)
    assert [node.tag for node in root] == ["name", "uuid", "metadata", etree.Comment, "forward"]
    forward = root.find("forward")
    assert (dict(forward.attrib), [dict(node.attrib) for node in forward]) == (
        {"mode": "vepa", "dev": "eth0"},
        [{"dev": "eth0"}],
    )


def test_forward_dev_alone_is_a_pool_of_one():
    assert parse_network(network()).devices == ("eth0",)


def test_pool_keeps_its_order():
    assert parse_network(pool("eth2", "eth0", "eth1")).devices == ("eth2", "eth0", "eth1")
    assert parse_network(pool("eth2", "eth0", attributes=" dev='eth2'")).devices == ("eth2", "eth0")


@pytest.mark.parametrize(
    "live",
    [
        "",
        "<interface dev='vf0' connections='1'/><interface dev='vf1'/>",
        "<address type='pci' domain='0' bus='3' slot='0' function='1'/>",
    ],
)
def test_pf_leaves_the_pool_to_be_found(live):
    found = parse_network(network(forward=f"<forward mode='passthrough'><pf dev='eth0'/>{live}</forward>"))
    assert (found.devices, found.pf) == ((), "eth0")
    assert [node.tag for node in etree.fromstring(found.xml).find("forward")] == ["pf"]


def test_portgroups_are_known_by_name():
    found = parse_network(
        network(
            "<portgroup name='a'/><portgroup name='c' default='no'/>"
            "<portgroup name='b' default='yes' trustGuestRxFilters='yes'/>"
        )
    )
    assert found.portgroups == (PortGroup("a", False), PortGroup("c", False), PortGroup("b", True))


@pytest.mark.parametrize(
    "document",
    [
        network(attributes=" trustGuestRxFilters='yes'"),
        network(attributes=" trustGuestRxFilters='no' ipv6='yes'"),
        network("<port isolated='no'/>"),
        network("<port/>"),
        network("<title>t</title><description>d &amp; e</description>"),
        network(
            forward="<forward mode='passthrough' managed='yes'><driver name='vfio'/><interface dev='eth0'/></forward>"
        ),
        network("<metadata/>"),
        network("<metadata>text<plain/></metadata>"),
        network(
            "<o:options xmlns:o='http://libvirt.org/schemas/network/dnsmasq/1.0'><o:option value='a'/></o:options>"
        ),
    ],
)
def test_other_words_of_libvirt_are_accepted_and_kept(document):
    kept = etree.fromstring(parse_network(document).xml)
    for node in etree.fromstring(document).iter():
        again = next(
            other
            for other in kept.iter()
            if other.tag == node.tag and (other.text or "").strip() == (node.text or "").strip()
        )
        assert node.tag == "forward" or dict(again.attrib) == dict(node.attrib)


@pytest.mark.parametrize("uuid", [UUID, UUID.upper(), UUID.replace("-", "")])
def test_uuid_is_kept(uuid):
    assert etree.fromstring(parse_network(network(f"<uuid>{uuid}</uuid>")).xml).findtext("uuid") == uuid


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a b", "a b"),
        (" a ", " a "),
        ("o'neil &quot;x&quot; &amp; &lt;y&gt;", 'o\'neil "x" & <y>'),
        ("网络", "网络"),
        ("<![CDATA[a&b]]>", "a&b"),
        ("a<!-- c -->b", "ab"),
        ("&#x1F642;", "🙂"),
        ("a<x:y xmlns:x='urn:x'/>b", "ab"),
    ],
)
def test_name_may_be_any_text(text, name):
    found = parse_network(f"<network><name>{text}</name><extbridge dev='eth0'/></network>")
    assert found.name == name
    assert parse_network(found.xml) == found


def test_name_comes_from_option_or_document():
    anonymous = "<network><extbridge dev='eth0'/></network>"
    assert parse_network(anonymous, "n") == parse_network(network(forward="<extbridge dev='eth0'/>"), "n")
    assert parse_network(network(), "n").name == "n"
    assert parse_network(anonymous.replace("<ext", "<name/><ext"), "n").name == "n"


# --- what is refused, and the sentence

REFUSED = {
    "root": ("<net/>", "'net'; give a <network>"),
    "namespaced root": ("<network xmlns='urn:x'/>", "'{urn:x}network'"),
    "domain": ("<domain/>", "give it to macvtap_attach"),
    "no name": ("<network><extbridge dev='eth0'/></network>", "no <name>"),
    "empty name": ("<network><name/><extbridge dev='eth0'/></network>", "no <name>"),
    "two names": ("<network><name>n</name><name>n</name></network>", "2 <name> elements"),
    "path as name": ("<network><name>../../x</name></network>", "'../../x' cannot be a file name"),
    "line as name": ("<network><name>\n n\n</name></network>", "U+000A"),
    "isolated": ("<network><name>n</name></network>", "isolated bridge"),
    "isolated with address": ("<network><name>n</name><bridge name='b'/><ip/></network>", "isolated bridge"),
    "two forwards": (network("<forward/>"), "2 <forward> elements"),
    "two extbridges": (network("<extbridge dev='a'/><extbridge dev='b'/>"), "2 <extbridge> elements"),
    "no mode": (network(forward="<forward dev='eth0'/>"), "without mode, that is 'nat'"),
    **{mode: (pool("eth0", mode=mode), f"<forward mode='{mode}'>") for mode in ("nat", "route", "open", "hostdev")},
    "passthru": (pool("eth0", mode="passthru"), "spells it 'passthrough'"),
    "empty mode": (pool("eth0", mode=""), "mode='' on <forward>, which is no macvtap mode; write one of vepa"),
    "VEPA": (pool("eth0", mode="VEPA"), "mode='VEPA'"),
    "extbridge passthru": (network("<extbridge mode='passthru' dev='a'/>"), "mode='passthru' on <extbridge>"),
    "extbridge without dev": (network("<extbridge mode='vepa'/>"), "<extbridge> without a dev"),
    "extbridge with empty dev": (network("<extbridge dev=''/>"), "<extbridge> without a dev"),
    "extbridge with pool": (
        network("<extbridge dev='a'><interface dev='b'/></extbridge>"),
        "<interface> in <extbridge>",
    ),
    "extbridge with typo": (network("<extbridge dev='a' mod='vepa'/>"), "attribute 'mod' on <extbridge>"),
    "host bridge": (
        network("<bridge name='br0'/>", "<forward mode='bridge'/>"),
        "<bridge name='br0'/> is a bridge of the host",
    ),
    "host bridge and dev": (network("<bridge name='br0'/>", "<forward mode='bridge' dev='a'/>"), "bridge of the host"),
    "no device": (network(forward="<forward mode='vepa'/>"), "no lower device"),
    "no bridge device": (network(forward="<forward mode='bridge'/>"), "no lower device"),
    "empty dev": (network(forward="<forward mode='vepa' dev=''/>"), "<forward> without a dev"),
    "interface without dev": (
        network(forward="<forward mode='vepa'><interface/></forward>"),
        "<interface> without a dev",
    ),
    "interface with empty dev": (pool("eth0", ""), "<interface> without a dev"),
    "device twice": (pool("eth0", "eth1", "eth0"), "'eth0' more than once"),
    "other first device": (pool("eth1", "eth0", attributes=" dev='eth0'"), "dev='eth0' on <forward>, but 'eth1'"),
    "long device": (pool("a" * 128), "has 128 bytes"),
    "path as device": (pool("../x"), "'../x' contains '/'"),
    "pf without dev": (network(forward="<forward mode='passthrough'><pf/></forward>"), "<pf> without a dev"),
    "two pfs": (network(forward="<forward mode='passthrough'><pf dev='a'/><pf dev='b'/></forward>"), "2 <pf> elements"),
    "pf and dev": (
        network(forward="<forward mode='passthrough' dev='a'><pf dev='a'/></forward>"),
        "both <pf> and dev=",
    ),
    "address": (network(forward="<forward mode='passthrough'><address type='pci'/></forward>"), "only mode='hostdev'"),
    "nat settings": (network(forward="<forward mode='vepa' dev='a'><nat/></forward>"), "<nat> in <forward>"),
    "typo in forward": (
        network(forward="<forward mode='vepa'><interfaces dev='a'/></forward>"),
        "<interfaces> in <forward>",
    ),
    "typo": (network("<extbrigde dev='a'/>"), "<extbrigde> in <network>: it is not an element"),
    "unknown attribute": (network(attributes=" bridge='a'"), "attribute 'bridge' on <network>"),
    "PCI driver": (
        network(forward="<forward mode='vepa' dev='a'><driver name='vfio' model='x'/></forward>"),
        "model= on <driver>, which is for PCI devices",
    ),
    "unknown forward attribute": (pool("a", attributes=" device='a'"), "attribute 'device' on <forward>"),
    "text": (network("vepa"), "text 'vepa' in <network>"),
    "text in forward": (network(forward="<forward mode='vepa'>eth0</forward>"), "text 'eth0' in <forward>"),
    "bad yes": (network(attributes=" trustGuestRxFilters='true'"), "trustGuestRxFilters='true' on <network>"),
    "bad default": (network("<portgroup name='a' default='1'/>"), "default='1' on <portgroup>"),
    "bad uuid": (network("<uuid>1</uuid>"), "uuid '1'"),
    "two uuids": (network(f"<uuid>{UUID}</uuid><uuid>{UUID}</uuid>"), "2 <uuid> elements"),
    "two metadata": (network("<metadata/><metadata/>"), "2 <metadata> elements"),
    "element in name": ("<network><name>n<b/></name><extbridge dev='a'/></network>", "<b> in <name>"),
    **{
        f"<{tag}>": (network(f"<{tag}/>", "<forward mode='vepa' dev='eth0'/>"), f"<{tag}> in <network>")
        for tag in ("bridge", "ip", "mac", "dns", "domain", "mtu", "route", "virtualport")
    },
    "trunk": (network("<vlan trunk='yes'><tag id='4'/></vlan>"), "network 'n' has a <vlan> that is a trunk: here a"),
    "trunk of a portgroup": (
        network("<portgroup name='a'><vlan><tag id='4'/><tag id='5'/></vlan></portgroup>"),
        "network 'n', port group 'a' has a <vlan> that is a trunk",
    ),
    "native": (network("<vlan><tag id='4' nativeMode='untagged'/></vlan>"), "has nativeMode on <tag>"),
    "tag": (network("<vlan><tag id='4095'/></vlan>"), "has id='4095' on <tag>; write a number from 1 to 4094"),
    "typo in vlan": (network("<vlan><tags id='4'/></vlan>"), "<tags> in <vlan>: it is not an element"),
    "unknown attribute of tag": (network("<vlan><tag id='4' name='a'/></vlan>"), "attribute 'name' on <tag>"),
    "802.1Qbg": (network("<virtualport type='802.1Qbg'/>"), "switch port by hand"),
    "802.1Qbh": (network("<virtualport type='802.1Qbh'/>"), "switch port by hand"),
    "openvswitch": (network("<virtualport type='openvswitch'/>"), "switch port by hand"),
    **{
        f"portgroup {tag}": (network(f"<portgroup name='a'><{tag}/></portgroup>"), f"<{tag}> in <portgroup>")
        for tag in ("virtualport", "nonsense")
    },
    "portgroup without name": (network("<portgroup/>"), "<portgroup> without a name"),
    "portgroup with empty name": (network("<portgroup name=''/>"), "<portgroup> without a name"),
    "portgroup twice": (network("<portgroup name='a'/><portgroup name='a'/>"), "port group 'a' more than once"),
    "two defaults": (
        network("<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>"),
        "more than one default port group, 'a' and 'b'",
    ),
    "isolated port": (network("<port isolated='yes'/>"), "mode='private'"),
}


@pytest.mark.parametrize(("document", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_by_name_with_the_way_out(document, said):
    with pytest.raises(InvalidInput) as caught:
        parse_network(document)
    message = str(caught.value)
    assert said in message
    assert "; " in message, "no way out"
    assert "\n" not in message


def test_two_different_names_are_refused():
    with pytest.raises(InvalidInput, match=r"'n', but the name asked for is 'm'"):
        parse_network(network(), "m")


@pytest.mark.parametrize("name", ["../../x", "", "."])
def test_name_of_the_option_is_checked(name):
    with pytest.raises(InvalidInput):
        parse_network("<network><extbridge dev='eth0'/></network>", name)


# --- choosing a port group


def test_portgroup_is_the_one_named_or_the_default_or_none():
    found = parse_network(network("<portgroup name='a'/><portgroup name='b' default='yes'/>"))
    assert choose_portgroup(found, "a") == PortGroup("a", False)
    assert choose_portgroup(found, None) == PortGroup("b", True)
    assert choose_portgroup(parse_network(network()), None) is None


@pytest.mark.parametrize(
    ("inside", "known"), [("", "none"), ("<portgroup name='a'/><portgroup name='b'/>", "'a', 'b'")]
)
def test_unknown_portgroup_is_an_error_that_names_the_known_ones(inside, known):
    with pytest.raises(InvalidInput, match=f"no port group 'x' .it has: {known}.;"):
        choose_portgroup(parse_network(network(inside)), "x")


# --- what a network sets for its NICs

NAMESPACE = "https://github.com/linuxnet/ansible-collection-macvtap"


def defaults(text):
    return f"<metadata><m:defaults xmlns:m='{NAMESPACE}'>{text}</m:defaults></metadata>"


def test_what_a_network_sets_for_its_nics_is_in_the_metadata_and_written_the_same_way_again():
    found = parse_network(network(defaults('{"broadcast_queue":  5000}')))
    assert found.settings == {"broadcast_queue": 5000}
    assert (
        f'  <metadata>\n    <macvtap:defaults xmlns:macvtap="{NAMESPACE}">{{"broadcast_queue": 5000}}'
        "</macvtap:defaults>\n  </metadata>\n"
    ) in found.xml
    assert parse_network(found.xml) == found


def test_metadata_of_others_stays_when_a_network_no_longer_sets_anything():
    text = network(defaults('{"broadcast_queue": 5000}').replace("</metadata>", "<a:b xmlns:a='urn:a'/></metadata>"))
    updated = update_network_xml(text, Network("n", "vepa", ("eth0",)))
    assert "urn:a" in updated and NAMESPACE not in updated
    assert "metadata" not in update_network_xml(network(defaults("{}")), Network("n", "vepa", ("eth0",)))


def test_the_vlan_of_a_network_and_of_a_port_group_moves_into_the_metadata():
    found = parse_network(
        network("<vlan><tag id='4'/></vlan><portgroup name='a'><vlan trunk='no'><tag id='5'/></vlan></portgroup>")
    )
    assert found.settings == {"vlan": 4} and [group.settings for group in found.portgroups] == [{"vlan": 5}]
    assert "<vlan" not in found.xml and parse_network(found.xml) == found


def test_bandwidth_of_a_network_and_of_a_port_group_moves_into_the_metadata():
    found = parse_network(
        network(
            "<bandwidth><inbound average='1000' peak='5000' burst='0'/><outbound average='128'/></bandwidth>"
            "<portgroup name='a'><bandwidth><outbound average='2'/></bandwidth></portgroup><portgroup name='b'>"
            "<bandwidth/></portgroup>"
        )
    )
    assert found.settings == {"bandwidth": {"inbound": {"average": 1000, "peak": 5000}, "outbound": {"average": 128}}}
    assert [group.settings for group in found.portgroups] == [{"bandwidth": {"outbound": {"average": 2}}}, {}]
    assert "<bandwidth" not in found.xml and parse_network(found.xml) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "has a <macvtap:defaults> that is not JSON"),
        ("[]", "that is not an object of settings"),
        ('{"portgroups": {"a": 1}}', "that is not an object of settings"),
        ('{"portgroups": {"a": {}}}', "has settings for the port group 'a', which it does not have"),
        ('{"wings": 2}', "has the unknown setting 'wings'; remove it, or update the collection"),
        ('{"broadcast_queue": 0}', "broadcast_queue 0 is not possible; it must be 1 to 4294967295"),
        ('{"broadcast_queue": true}', "broadcast_queue True is not possible"),
    ],
)
def test_damaged_settings_are_refused_by_name(text, said):
    with pytest.raises(InvalidInput, match=said):
        parse_network(network(defaults(text)))


# --- writing


def test_document_is_laid_out_once_and_for_all():
    text = (
        f"<network connections='3'>\n\n<!-- c -->  <name>n</name><uuid>{UUID}</uuid><metadata><a:b xmlns:a='urn:a'>"
        " <a:c/>mixed\n</a:b></metadata>\t<forward mode='vepa'><interface dev='eth0' connections='3'/></forward>"
        "<portgroup name='x'>\n  </portgroup></network>"
    )
    written = parse_network(text).xml
    assert written == (
        "<network>\n"
        "  <!-- c -->\n"
        "  <name>n</name>\n"
        f"  <uuid>{UUID}</uuid>\n"
        "  <metadata>\n"
        '    <a:b xmlns:a="urn:a"> <a:c/>mixed\n'
        "</a:b>\n"
        "  </metadata>\n"
        '  <forward mode="vepa" dev="eth0">\n'
        '    <interface dev="eth0"/>\n'
        "  </forward>\n"
        '  <portgroup name="x"/>\n'
        "</network>\n"
    )
    assert parse_network(written).xml == written


def test_foreign_elements_move_to_where_libvirt_keeps_them():
    text = network("<a:b xmlns:a='urn:a'><a:c/></a:b>", "<forward mode='vepa' dev='a'><x:y xmlns:x='urn:x'/></forward>")
    root = etree.fromstring(parse_network(text).xml)
    assert [node.tag for node in root.find("metadata")] == ["{urn:a}b", "{urn:x}y"]
    assert root.find("metadata")[0].prefix == "a"


def test_plain_options_make_a_plain_document():
    wanted = Network("a&b", "private", ("eth0", "eth1"))
    found = parse_network(network_xml(wanted))
    assert found._replace(xml=None) == wanted
    assert network_xml(found) == found.xml == network_xml(wanted)


def test_options_on_a_network_from_xml_keep_all_but_mode_and_pool():
    old = network(
        f"<uuid>{UUID}</uuid><metadata><a:b xmlns:a='urn:a'/></metadata><portgroup name='x' default='yes'/>",
        "<forward mode='vepa'><!-- pool --><driver name='vfio'/><interface dev='eth0'/></forward>",
    )
    groups = (PortGroup("x", True),)
    new = update_network_xml(old, Network("n", "private", ("eth1", "eth2"), portgroups=groups))
    found = parse_network(new)
    assert found[:5] == ("n", "private", ("eth1", "eth2"), None, (PortGroup("x", True),))
    for kept in (UUID, "urn:a", "<!-- pool -->", "vfio"):
        assert kept in new
    assert update_network_xml(new, found) == new
    assert update_network_xml(new, parse_network(old)) == parse_network(old).xml


def test_update_of_another_network_is_refused():
    with pytest.raises(InvalidInput, match="'n', but the name asked for is 'm'"):
        update_network_xml(network(), Network("m", "vepa", ("eth0",)))
