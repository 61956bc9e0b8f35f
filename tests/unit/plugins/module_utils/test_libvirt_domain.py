# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Domain documents: which NICs they ask for, what is refused and how."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import MODES, Nic
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.domain import parse_domain, parse_domains

OTHER_TYPES = (
    "bridge", "client", "ethernet", "hostdev", "internal", "mcast", "null", "server", "udp", "user", "vdpa", "vds",
    "vhostuser",
)  # fmt: skip

RUNNING = """<?xml version='1.0'?>
<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
  <uuid>7d5fc8a1-3c5e-4f0e-9d1a-0a1b2c3d4e5f</uuid>
  <metadata><app:x xmlns:app='urn:app'><interface type='direct'/></app:x></metadata>
  <interface type='direct'><source dev='not-a-nic'/></interface>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <!-- <interface type='direct'/> -->
    <interface type='network'>
      <mac address='52:54:00:00:00:01'/>
      <source network='default' portid='11111111-2222-3333-4444-555555555555' bridge='virbr0'/>
      <target dev='vnet0'/>
      <bandwidth><inbound average='1'/></bandwidth>
    </interface>
    <interface type='direct' trustGuestRxFilters='yes'>
      <mac address='52:54:0:AA:0b:C'/>
      <source network='vepanet' portgroup='fast' portid='11111111-2222-3333-4444-555555555556'
        dev='eth1' mode='private'/>
      <target dev='macvtap0'/>
      <model type='virtio'/>
      <driver name='vhost' queues='4' rx_queue_size='256'><host csum='off'/></driver>
      <mtu size='1400'/>
      <link state='down'/>
      <teaming type='persistent'/>
      <boot order='1'/>
      <rom bar='off'/>
      <tune><sndbuf>0</sndbuf></tune>
      <backend vhost='/dev/vhost-net'/>
      <acpi index='4'/>
      <alias name='net1'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/>
      <qemu:x/>
    </interface>
    <interface type='hostdev' managed='yes'><source><address type='pci'/></source><vlan><tag id='3'/></vlan></interface>
    <interface type='network'><source network='vepanet'/><model type='virtio'/></interface>
    <hostdev><interface type='direct'/></hostdev>
  </devices>
</domain>"""


def direct(inside="", source="<source dev='eth0'/>", attributes=""):
    return f"<interface type='direct'{attributes}>{source}{inside}</interface>"


def network_nic(network):
    return f"<interface type='network'><source network='{network}'/></interface>"


def domain(*interfaces, name="g"):
    return f"<domain><name>{name}</name><devices>{''.join(interfaces)}</devices></domain>"


def one(*args, **kwargs):
    (nic,) = parse_domain(direct(*args, **kwargs))
    return nic


def objection(document):
    """Why the document, or else one of its NICs, is refused."""
    try:
        nics = parse_domains(document)
    except InvalidInput as exc:
        return str(exc)
    return next((nic.objection for nic in nics if nic.objection), "")


# --- what is accepted, and its meaning


def test_running_domain_with_nics_of_many_kinds():
    assert [nic._replace(hardware="") for nic in parse_domain(RUNNING)] == [
        Nic(
            guest="web",
            nic=1,
            network="vepanet",
            portgroup="fast",
            device="eth1",
            mode="private",
            mac="52:54:00:aa:0b:0c",
            ifname=None,
            queues=4,
            settings={"mtu": 1400, "link_state": "down"},
            origin="interface 1 of domain 'web'",
            from_xml=True,
            trusts_filters=True,
        ),
        Nic(guest="web", nic=3, network="vepanet", origin="interface 3 of domain 'web'", from_xml=True),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_direct_names_lower_device_and_mode(mode):
    assert one(source=f"<source dev='eth0' mode='{mode}'/>")[2:6] == (None, None, "eth0", mode)


def test_direct_without_mode_is_vepa():
    assert one().mode == "vepa"


def test_network_is_left_to_be_resolved():
    (nic,) = parse_domain("<interface type='network'><source network='a b' portgroup='x'/></interface>")
    assert nic[2:6] == ("a b", "x", None, None)


@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_other_types_are_skipped_and_counted(kind):
    nics = parse_domain(domain(f"<interface type='{kind}'><vlan/><nonsense/></interface>", direct()))
    assert [nic.nic for nic in nics] == [1]


def test_inactive_domain_has_no_target_and_no_mac():
    (nic,) = parse_domain(domain(direct("<model type='virtio'/>")))
    assert (nic.mac, nic.ifname, nic.queues, nic.settings) == (None, None, 1, {})


@pytest.mark.parametrize("text", ["2:0:0:0:0:A", "02:00:00:00:00:0a", "02:00:00:00:00:0A"])
def test_mac_is_spelled_one_way(text):
    assert one(f"<mac address='{text}' type='static' check='no'/>").mac == "02:00:00:00:00:0a"


def test_the_vlan_of_a_nic_is_an_option_of_it():
    tag = "<vlan><tag id='20'/></vlan>"
    for nic in (direct(tag), f"<interface type='network'><source network='n'/>{tag}</interface>"):
        (found,) = parse_domain(domain(nic))
        assert (found.objection, found.settings) == (None, {"vlan": 20})


@pytest.mark.parametrize("name", ["macvtap0", "macvtap", "macvtapx", "macvlan3", "vnet12"])
def test_target_that_libvirt_made_up_is_chosen_anew(name):
    assert one(f"<target dev='{name}'/>").ifname is None


@pytest.mark.parametrize("name", ["web-0", "tap0", "mymacvtap0", "vne", "a" * 15])
def test_other_target_is_honoured(name):
    assert one(f"<target dev='{name}' managed='yes'/>").ifname == name


@pytest.mark.parametrize("queues", [1, 2, 256])
def test_queues(queues):
    assert one(f"<driver name='vhost' queues='{queues}'/>").queues == queues


@pytest.mark.parametrize("state", ["up", "down"])
def test_link_state(state):
    assert one(f"<link state='{state}'/>").settings == {"link_state": state}


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_trusted_filters_are_accepted(answer):
    nic = one(attributes=f" trustGuestRxFilters='{answer}'")
    assert nic.trusts_filters == (answer == "yes") and nic._replace(trusts_filters=False) == one()


@pytest.mark.parametrize(
    "inside",
    ["<driver/>", "<driver name='vhost'/>", "<target/>", "<link/>", "<port isolated='no'/>", "<!-- c --><?pi?>"],
)
def test_harmless_rest(inside):
    assert one(inside)._replace(hardware="") == one()


@pytest.mark.parametrize(
    ("inside", "kept"),
    [
        ("", ""),
        ("<model type='e1000'/>", '<model type="e1000"/>'),
        (
            "<mac address='52:54:00:00:00:01'/><target dev='x'/><model type='virtio'/>\n  <driver name='qemu'>\n"
            "    <host csum='off'/><!-- why\n not --></driver><boot order='1'/><link state='down'/><mtu size='1400'/>"
            "<alias name='ua-a'/><x:y xmlns:x='urn:x'/><address type='pci' slot='0x03'/>",
            '<model type="virtio"/><driver name="qemu"><host csum="off"/></driver><boot order="1"/><link state="down"/>'
            '<mtu size="1400"/><alias name="ua-a"/><address type="pci" slot="0x03"/>',
        ),
        ("<tune>\n<sndbuf> 0 </sndbuf></tune><rom bar='off'/>", '<tune><sndbuf>0</sndbuf></tune><rom bar="off"/>'),
    ],
)
def test_what_the_guest_sees_of_the_nic_is_kept(inside, kept):
    assert one(inside).hardware == kept
    assert "xmlns" not in parse_domain(RUNNING)[0].hardware


# --- roots, guests, positions


@pytest.mark.parametrize("document", [direct(), f"<devices>{direct()}</devices>"])
def test_fragment_takes_the_guest_from_the_option(document):
    assert parse_domain(document, "g")[0].guest == "g"
    assert parse_domain(document)[0].guest is None
    assert parse_domain(document)[0].origin == "interface 0 of xml"


def test_guest_comes_from_domain_or_option():
    assert parse_domain(domain(direct()))[0].guest == "g"
    assert parse_domain(domain(direct()), "g")[0].guest == "g"
    assert parse_domain(domain(direct()).replace("<name>g</name>", ""), "h")[0].guest == "h"


def test_interface_elsewhere_is_no_nic():
    assert (
        parse_domain(f"<domain><name>g</name>{direct()}<devices><hostdev>{direct()}</hostdev></devices></domain>") == []
    )
    assert parse_domain("<devices xmlns:x='urn:x'><x:interface type='direct'/></devices>") == []


def test_several_domains_in_one_task():
    nics = parse_domains([domain(direct(), direct(), name="a"), domain(direct(), name="b").encode()])
    assert [(nic.guest, nic.nic) for nic in nics] == [("a", 0), ("a", 1), ("b", 0)]


def test_positions_go_on_over_the_documents_of_a_guest():
    nics = parse_domains([direct(), "<interface type='user'/>", f"<devices>{direct()}{direct()}</devices>"], "g")
    assert [(nic.guest, nic.nic) for nic in nics] == [("g", 0), ("g", 2), ("g", 3)]
    assert [nic.nic for nic in parse_domains([direct(), direct()])] == [0, 1]


def test_one_document_may_stand_for_a_list():
    assert parse_domains(domain(direct())) == parse_domains([domain(direct())]) == parse_domain(domain(direct()))
    assert parse_domains([]) == []
    assert parse_domain("<devices/>") == parse_domain("<domain><name>g</name></domain>") == []


# --- what is refused, and the sentence

REFUSED = {
    "root": ("<dom/>", "root element 'dom'"),
    "network": ("<network/>", "give it to macvtap_network"),
    "namespaced root": ("<domain xmlns='urn:x'/>", "'{urn:x}domain'"),
    "snapshot": (f"<domainsnapshot>{domain(direct())}</domainsnapshot>", "root element 'domainsnapshot'"),
    "no name": ("<domain><devices/></domain>", "<domain> without a <name>"),
    "two names": ("<domain><name>a</name><name>b</name></domain>", "2 <name> elements"),
    "line as name": (domain(name="a\nb"), "U+000A"),
    "long name": (domain(name="a" * 300), "300 bytes"),
    "no type": ("<interface><source dev='a'/></interface>", "without a type"),
    "unknown type": ("<interface type='macvtap'/>", "unknown type 'macvtap'"),
    "empty type": ("<interface type=''/>", "unknown type ''"),
    "no source": (direct(source=""), "without a lower device"),
    "no dev": (direct(source="<source mode='vepa'/>"), "without a lower device"),
    "empty dev": (direct(source="<source dev=''/>"), "without a lower device"),
    "long dev": (direct(source=f"<source dev='{'a' * 128}'/>"), "has 128 bytes"),
    "half a MAC as dev": (direct(source="<source dev='mac:52:54'/>"), "'52:54' is not six hexadecimal octets"),
    "two sources": (direct("<source dev='a'/>"), "2 <source> elements"),
    "passthru": (direct(source="<source dev='a' mode='passthru'/>"), "spells it 'passthrough'"),
    "unknown mode": (direct(source="<source dev='a' mode='nat'/>"), "mode='nat' on <source>"),
    "empty mode": (direct(source="<source dev='a' mode=''/>"), "mode='' on <source>"),
    "no network": ("<interface type='network'/>", "without a network"),
    "empty network": ("<interface type='network'><source network=''/></interface>", "without a network"),
    "path as network": ("<interface type='network'><source network='../x'/></interface>", "'../x'"),
    "live path as network": (direct(source="<source dev='a' network='../x'/>"), "'../x'"),
    "no address": (direct("<mac/>"), "MAC address ''"),
    "bad MAC": (direct("<mac address='52:54:00:00:00'/>"), "'52:54:00:00:00' is not six"),
    "multicast MAC": (direct("<mac address='01:00:5e:00:00:01'/>"), "multicast"),
    "zero MAC": (direct("<mac address='00:00:00:00:00:00'/>"), "all zero"),
    "two MACs": (direct("<mac address='02:00:00:00:00:01'/>" * 2), "2 <mac> elements"),
    "long target": (direct("<target dev='aaaaaaaaaaaaaaaa'/>"), "target name of interface 0 of xml"),
    "empty target": (direct("<target dev=''/>"), "is empty"),
    "path as target": (direct("<target dev='../x'/>"), "'../x'"),
    "unmanaged target": (direct("<target dev='a' managed='no'/>"), "type='ethernet'"),
    "bad queues": (direct("<driver queues='many'/>"), "queues='many' on <driver>"),
    "no queue": (direct("<driver queues='0'/>"), "from 1 to 256"),
    "too many queues": (direct("<driver queues='257'/>"), "queues='257'"),
    "huge queues": (direct(f"<driver queues='{'9' * 9999}'/>"), "from 1 to 256"),
    "odd digits": (direct("<driver queues='٣'/>"), "queues='٣'"),
    "small mtu": (direct("<mtu size='67'/>"), "from 68 to 65535"),
    "large mtu": (direct("<mtu size='65536'/>"), "size='65536' on <mtu>"),
    "no mtu": (direct("<mtu/>"), "size='' on <mtu>"),
    "negative mtu": (direct("<mtu size='-1'/>"), "size='-1'"),
    "link": (direct("<link state='unplugged'/>"), "state='unplugged' on <link>"),
    "trust": (direct(attributes=" trustGuestRxFilters='maybe'"), "trustGuestRxFilters='maybe'"),
    "isolated": (direct("<port isolated='yes'/>"), "mode='private'"),
    "802.1Qbg": (direct("<virtualport type='802.1Qbg'/>"), "switch port by hand"),
    "mod": (
        direct(source="<source dev='a' mod='private'/>"),
        "the attribute 'mod' on <source>, which libvirt does not",
    ),
    "status": (direct("<link status='down'/>"), "the attribute 'status' on <link>"),
    "queue": (direct("<driver queue='4'/>"), "the attribute 'queue' on <driver>"),
    "device": (direct("<target device='web-0'/>"), "the attribute 'device' on <target>"),
    "addres": (direct("<mac addres='52:54:00:00:00:01'/>"), "the attribute 'addres' on <mac>"),
    "sizes": (direct("<mtu size='1400' sizes='1'/>"), "the attribute 'sizes' on <mtu>"),
    "mode on interface": (direct(attributes=" mode='bridge'"), "the attribute 'mode' on <interface>"),
    "status file": (f"<domstatus state='running'>{domain(direct())}</domstatus>", "keeps the state of what runs"),
    "network status": ("<networkstatus/>", "(<networkstatus>); give what 'virsh dumpxml'"),
    "piece of a status file": (direct("<actual type='direct'/>"), "has <actual>, which only libvirt's own state files"),
    "host interface": ("<interface type='bridge' name='br0'><bridge/></interface>", "is the interface 'br0' of a host"),
    "two fragments": (direct() + direct(), "xml goes on after its root element; give one document"),
    "typo": (direct("<modle type='virtio'/>"), "<modle>, which is not an element"),
    **{
        f"<{tag}>": (direct(f"<{tag}/>"), f"interface 0 of xml has <{tag}>, ")
        for tag in ("virtualport", "coalesce", "script", "downscript", "ip", "route") + ("portForward", "backenddomain")
    },
    "guaranteed rate": (direct("<bandwidth><inbound floor='5'/></bandwidth>"), "has floor= on <inbound>, a guaranteed"),
    "no average": (direct("<bandwidth><inbound peak='5'/></bandwidth>"), "inbound average None is not possible"),
    "no number": (direct("<bandwidth><inbound average='1k'/></bandwidth>"), "has average='1k' on <inbound>; write a"),
    "trunk": (direct("<vlan trunk='yes'><tag id='3'/></vlan>"), "has a <vlan> that is a trunk: here a guest's frames"),
    "two tags": (direct("<vlan><tag id='3'/><tag id='4'/></vlan>"), "has a <vlan> that is a trunk"),
    "native": (
        direct("<vlan><tag id='3' nativeMode='tagged'/></vlan>"),
        "has nativeMode on <tag>, which is for trunks",
    ),
    "no tag": (direct("<vlan trunk='no'/>"), "has a <vlan> without a <tag>; write <vlan><tag id='20'/></vlan>"),
    **{
        f"tag {text!r}": (
            direct(f"<vlan><tag id='{text}'/></vlan>"),
            f"has id='{text}' on <tag>; write a number from 1 to",
        )
        for text in ("", "0", "4095", "x", "-1")
    },
}


@pytest.mark.parametrize(("document", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_by_name_with_the_way_out(document, said):
    message = objection(document)
    assert said in message
    assert "\n" not in message
    assert len(message) < 400


def test_message_says_which_nic_of_which_domain():
    said = objection(domain("<interface type='user'/>", direct(), direct("<virtualport/>")))
    assert said.startswith("interface 2 of domain 'g' has <virtualport>")
    assert objection(["<devices/>", direct("<virtualport/>")]).startswith("interface 0 of xml[1] ")


@pytest.mark.parametrize("kind", ["lxc", "xen", "vz", "parallels"])
def test_a_domain_whose_guests_open_no_tap_is_refused(kind):
    document = domain(direct("<vlan/>"), network_nic("n")).replace("<domain>", f"<domain type='{kind}'>")
    for number, nic in enumerate(parse_domain(document)):
        assert nic.objection.startswith(f"interface {number} of domain 'g': guest 'g' is of type '{kind}', but only")
    assert parse_domain(domain("<interface type='user'/>").replace("<domain>", f"<domain type='{kind}'>")) == []


@pytest.mark.parametrize("kind", ["kvm", "qemu", "hvf", "test"])
def test_a_domain_of_another_type_is_read(kind):
    document = domain(direct()).replace("<domain>", f"<domain type='{kind}'>")
    assert [nic.objection for nic in parse_domain(document)] == [None]


def test_every_attribute_that_libvirt_knows_is_read():
    inside = (
        "<mac address='52:54:00:00:00:01' type='static' check='no'/><target dev='a' managed='yes'/><link state='up'/>"
        "<driver name='vhost' queues='2' rx_queue_size='256' tx_queue_size='256' txmode='timer' ioeventfd='on'"
        " event_idx='off' iommu='on' ats='on' packed='on' page_per_vq='on' rss='on' rss_hash_report='on'/>"
        "<mtu size='1400'/><port isolated='no'/>"
    )
    assert one(inside).objection is None
    assert one(attributes=" xmlns:x='urn:x' x:mod='y'").objection is None


@pytest.mark.parametrize("inside", ["<filterref filter='f'/>", "<vlan/>", "<mac address='x'/>", "<nonsense/>"])
def test_an_objection_leaves_the_network_to_be_resolved(inside):
    (nic, last) = parse_domain(
        domain(f"<interface type='network'><source network='n' portgroup='p'/>{inside}</interface>", direct())
    )
    assert nic[:6] == ("g", 0, "n", "p", None, None)
    assert nic.objection and nic.from_xml and last.objection is None


def test_two_different_guests_are_refused():
    with pytest.raises(InvalidInput, match="domain 'g', but the guest asked for is 'h'"):
        parse_domain(domain(direct()), "h")


@pytest.mark.parametrize("guest", ["", "a\nb", "a" * 300])
def test_guest_of_the_option_is_checked(guest):
    with pytest.raises(InvalidInput, match="guest name"):
        parse_domain(direct(), guest)


@pytest.mark.parametrize("documents", [None, 1, {"a": 1}])
def test_something_else_than_documents_is_refused(documents):
    with pytest.raises(InvalidInput, match="give one XML document or a list"):
        parse_domains(documents)
    with pytest.raises(InvalidInput, match=r"xml\[1\] is "):
        parse_domains(["<devices/>", documents])
