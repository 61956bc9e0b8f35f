# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes of network and domain documents that are given to libvirt and to the modules, side by side.

A group has frames and parts: each part is put into each frame, which makes a document. ``libvirt_verdicts.py``
asks both, and writes guide_libvirt_verdicts.rst. A part whose verdicts differ has the reason beside it; one whose
verdicts agree has none.
"""

from typing import NamedTuple


class Part(NamedTuple):
    """What varies in a group."""

    xml: str
    #: why libvirt and the modules differ
    reason: str = ""
    #: whether a libvirt newer than that of the page judges it in another way
    newer: bool = False


class Group(NamedTuple):
    """Documents that have something in common."""

    title: str
    #: name of a frame → document with ``PART`` where the part goes
    frames: dict
    parts: tuple


def group(title, frames, *parts):
    """A group; a part without a reason can be given as its text."""
    return Group(title, frames, tuple(part if isinstance(part, Part) else Part(part) for part in parts))


# -- networks ----------------------------------------------------------------------------------------------------------

#: reasons that several parts have
SCHEMA = "libvirt ignores what it does not know, unless it validates. Here it is a spelling mistake."
NO_BRIDGE = "It has no effect on a macvtap network."
BRIDGE_NET = "libvirt has networks of other kinds; here, only macvtap networks are defined."
EMPTY_POOL = "libvirt notices when a guest attaches."
DEFAULT_OF_NICS = "libvirt limits only NICs. Here it is the limit of the NICs that have none of their own."
LIMITS_NOTHING = "It limits nothing; libvirt drops it."
LIVE = "In dumps of what runs. Neither keeps it."
LOSES = "libvirt loses it. Here it is kept."
VLAN = "libvirt takes a VLAN tag in mode ``passthrough`` only. Here it is one in all modes."
TRUNK = "Here a NIC is in one VLAN, and a guest that is in several tags its frames itself."
PROFILE = "Not supported here: configure the switch port by hand."
OF_2010 = "The form of 2010, which libvirt ignores: it defines an isolated bridge."
TWICE = "libvirt uses one of them. Here it is refused, since it is not clear which is meant."
PCI = "For PCI devices. Here it is refused, since a macvtap has no use for it."
ISOLATED = "For ports of a bridge. Use ``mode='private'``."
g = "Names of definition files here are those of the networks."

VEPA = "<forward mode='vepa' dev='eth0'/>"
BESIDE = {
    "mode vepa": f"<network><name>n</name>{VEPA}PART</network>",
    "mode passthrough": "<network><name>n</name><forward mode='passthrough'><interface dev='eth0'/>"
    "<interface dev='eth1'/></forward>PART</network>",
}
FORWARD = {"": "<network><name>n</name>PART</network>"}
MODES = ("vepa", "bridge", "private", "passthrough")

NETWORKS = (
    group(
        "Modes and lower devices: in ``<network>``",
        FORWARD,
        *(f"<forward mode='{mode}' dev='eth0'/>" for mode in MODES),
        *(f"<forward mode='{mode}'><interface dev='eth0'/><interface dev='eth1'/></forward>" for mode in MODES),
        *(f"<forward mode='{mode}' dev='eth0'><interface dev='eth0'/></forward>" for mode in MODES),
        "<forward mode='passthrough'><pf dev='eth0'/></forward>",
        "<forward mode='vepa'><pf dev='eth0'/></forward>",
        *(Part(f"<forward mode='{mode}'/>", EMPTY_POOL) for mode in MODES),
        "<forward mode='passthru' dev='eth0'/>",
        "<forward mode='VEPA' dev='eth0'/>",
        "<forward mode='' dev='eth0'/>",
        Part("<forward mode='vepa' dev=''/>", EMPTY_POOL),
        Part("<forward mode='vepa'><interface dev=''/></forward>", EMPTY_POOL),
        "<forward mode='vepa'><interface/></forward>",
        "<forward mode='vepa'><interface dev='eth0'/><interface dev='eth0'/></forward>",
        "<forward mode='vepa' dev='eth1'><interface dev='eth0'/></forward>",
        "<forward mode='passthrough'><pf dev='eth0'/><pf dev='eth1'/></forward>",
        "<forward mode='passthrough' dev='eth0'><pf dev='eth0'/></forward>",
        "<forward mode='passthrough'><pf/></forward>",
        "<forward mode='vepa' dev='eth0'><nat/></forward>",
        "<forward mode='vepa'><address type='pci' domain='0' bus='0' slot='1' function='0'/></forward>",
        Part("<forward mode='vepa' dev='a device of a long name'/>", EMPTY_POOL),
        Part("<forward mode='vepa' dev='eth0'/><forward mode='vepa' dev='eth1'/>", TWICE),
        Part("<forward mode='vepa' dev='eth0' lost='yes'/>", SCHEMA),
        Part("<forward mode='vepa' dev='eth0'><lost/></forward>", SCHEMA),
        Part("<forward mode='vepa'><interface dev='eth0' lost='yes'/></forward>", SCHEMA),
        Part("<forward mode='vepa' dev='eth0'><interface dev='eth0' connections='2'/></forward>", LIVE),
        Part("<forward mode='passthrough' dev='eth0' managed='yes'/>", LOSES),
        "<forward mode='passthrough' dev='eth0'><driver name='vfio'/></forward>",
        Part("<forward mode='passthrough' dev='eth0'><driver name='vfio' model='m'/></forward>", PCI, newer=True),
    ),
    group(
        "Networks of other kinds: in ``<network>``",
        FORWARD,
        Part("", BRIDGE_NET),
        Part("<bridge name='virbr7'/>", BRIDGE_NET),
        "<forward/>",
        *(f"<forward mode='{mode}'/>" for mode in ("nat", "route")),
        Part("<forward mode='open'/>", newer=True),
        *(
            Part(f"<forward mode='{mode}'/><ip address='198.51.100.1' netmask='255.255.255.0'/>", BRIDGE_NET)
            for mode in ("nat", "route", "open")
        ),
        "<forward mode='nat' dev='eth0'/>",
        "<forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>",
        Part("<forward mode='bridge'/><bridge name='br0'/>", BRIDGE_NET),
        "<forward mode='bridge' dev='eth0'/><bridge name='br0'/>",
        Part("<forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/>", BRIDGE_NET),
        Part("<forward mode='hostdev' managed='yes'><pf dev='eth0'/></forward>", BRIDGE_NET),
        "<forward mode='hostdev'><address type='pci' domain='0' bus='0' slot='1' function='0'/></forward>",
        "<forward mode='unknown'/>",
    ),
    group(
        "Elements beside ``<forward>``",
        BESIDE,
        "<uuid>7d5fc8a1-3c5e-4f0e-9d1a-0a1b2c3d4e5f</uuid>",
        "<uuid>7D5FC8A13C5E4F0E9D1A0A1B2C3D4E5F</uuid>",
        "<uuid>1</uuid>",
        Part("<title>t</title>", "libvirt has it since 9.7. Here it is kept.", newer=True),
        Part("<description>d</description>", "libvirt has it since 9.7. Here it is kept.", newer=True),
        "<metadata><a:b xmlns:a='urn:a'>text</a:b></metadata>",
        Part("<metadata><plain/></metadata>", LOSES),
        Part("<metadata><a:b xmlns:a='urn:a'/><a:c xmlns:a='urn:a'/></metadata>", LOSES),
        Part("<!-- comment -->", LOSES),
        Part("<a:b xmlns:a='urn:a'/>", LOSES),
        "<o:options xmlns:o='http://libvirt.org/schemas/network/dnsmasq/1.0'><o:option value='a'/></o:options>",
        *(f"<portgroup name='a'{more}/>" for more in ("", " default='yes'", " trustGuestRxFilters='yes'")),
        "<portgroup name='a'/><portgroup name='b' default='yes'/>",
        "<portgroup name='a'/><portgroup name='a'/>",
        "<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>",
        "<portgroup/>",
        Part("<portgroup name='a' default='maybe'/>", "libvirt takes it for ``no``."),
        Part("<portgroup name='a'><bandwidth><inbound average='1'/></bandwidth></portgroup>", DEFAULT_OF_NICS),
        Part("<portgroup name='a'><bandwidth/></portgroup>", LIMITS_NOTHING),
        Part("<portgroup name='a'><vlan><tag id='4'/></vlan></portgroup>", VLAN),
        Part(
            "<portgroup name='a'><virtualport type='802.1Qbh'><parameters profileid='p'/></virtualport></portgroup>",
            PROFILE,
        ),
        "<port isolated='no'/>",
        Part("<port isolated='yes'/>", ISOLATED),
        "<bridge name='b'/>",
        "<bridge stp='on'/>",
        "<ip address='192.0.2.9' netmask='255.255.255.0'/>",
        "<ip family='ipv6' address='2001:db8::9' prefix='64'/>",
        "<mac address='52:54:00:00:00:01'/>",
        "<domain name='x'/>",
        "<mtu size='1400'/>",
        "<route address='192.0.2.0' prefix='24' gateway='192.0.2.1'/>",
        "<dns><host ip='192.0.2.1'><hostname>a</hostname></host></dns>",
        "<dns><srv service='a' protocol='tcp'/></dns>",
        "<dns><txt name='a' value='b'/></dns>",
        Part("<dns enable='no'/>", NO_BRIDGE),
        Part("<dns><forwarder addr='192.0.2.1'/></dns>", NO_BRIDGE),
        Part("<bandwidth><inbound average='1'/></bandwidth>", DEFAULT_OF_NICS),
        Part("<bandwidth/>", LIMITS_NOTHING),
        Part("<vlan><tag id='4'/></vlan>", VLAN),
        Part("<vlan trunk='yes'><tag id='4'/><tag id='5'/></vlan>", TRUNK),
        Part("<vlan><tag id='4' nativeMode='untagged'/></vlan>", TRUNK),
        Part(
            "<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3'/></virtualport>",
            PROFILE,
        ),
        Part("<virtualport type='802.1Qbh'><parameters profileid='p'/></virtualport>", PROFILE),
        Part("<virtualport type='openvswitch'/>", PROFILE),
        Part("<name>other</name>", TWICE),
        Part("<lost/>", SCHEMA),
        Part("<forwards mode='vepa'/>", SCHEMA),
    ),
    group(
        "Attributes of ``<network>``",
        {"": f"<network PART><name>n</name>{VEPA}</network>"},
        *(f"trustGuestRxFilters='{value}'" for value in ("yes", "no", "maybe")),
        *(f"ipv6='{value}'" for value in ("yes", "maybe")),
        Part("ipv6='no'", LOSES),
        Part("connections='2'", LIVE),
        Part("lost='yes'", SCHEMA),
        Part("xmlns:a='urn:a' a:b='c'", LOSES),
    ),
    group(
        "Names: in ``<name>``",
        {"": f"<network><name>PART</name>{VEPA}</network>"},
        *("vepanet", "a b", "o&apos;neil &quot;x&quot; &amp; &lt;y&gt;", "网络 🙂", "--x", "$(id)", "%s", "...", "é"),
        "",
        "a/b",
        "a&#10;b",
        Part(".", g),
        Part("..", g),
        Part("x&#9;y", g),
    ),
    group(
        "The form of 2010: in ``<network>``",
        FORWARD,
        *(Part(f"<extbridge mode='{mode}' dev='eth0'/>", OF_2010) for mode in MODES),
        Part("<extbridge dev='eth0'/>", OF_2010),
        Part("<extbridge dev='eth0'/><bridge name='virbr8'/><ip address='198.51.100.1' prefix='24'/>", OF_2010),
        Part("<forward mode='nat'/><extbridge dev='eth0'/>", OF_2010),
        Part("<extbridge mode='vepa'/>", OF_2010),
        Part("<extbridge mode='passthru' dev='eth0'/>", OF_2010),
        Part("<extbridge dev='eth0'/><extbridge dev='eth1'/>", OF_2010),
    ),
    group(
        "Other documents for a network",
        {"": "PART"},
        f"<network>{VEPA}</network>",
        "<network/>",
        "<net/>",
        f"<networks><network><name>n</name>{VEPA}</network></networks>",
        f"<networkstatus><network><name>n</name>{VEPA}</network></networkstatus>",
        f"<network><name>n</name>{VEPA}",
        f"<network><name>n</name>{VEPA}</network><network/>",
        Part(f"<!-- a --><network><name>n<!-- b --></name>{VEPA}</network>", LOSES),
        Part(f"<!DOCTYPE network><network><name>n</name>{VEPA}</network>", "A DTD is never needed, and is refused."),
        f"<?xml version='1.0' encoding='ISO-8859-1'?><network><name>n</name>{VEPA}</network>",
        "<interface type='direct'><source dev='eth0'/></interface>",
        "nothing of XML",
    ),
)

# -- domains -----------------------------------------------------------------------------------------------------------

MAC = "<mac address='52:54:00:00:00:01'/>"
DIRECT = f"<interface type='direct'>{MAC}<source dev='eth0' mode='vepa'/>PART</interface>"
BARE = {"direct": DIRECT, "network": f"<interface type='network'>{MAC}<source network='vepanet'/>PART</interface>"}
VIRTIO = {name: text.replace("PART", "<model type='virtio'/>PART") for name, text in BARE.items()}
NICS = {**VIRTIO, "on NAT": VIRTIO["network"].replace("vepanet", "nat")}
ONE = {"": "PART"}
FRAGMENT = "``virsh attach-device`` takes a part of a domain; here, every task does."
RUNNING = "As dumps show a running guest. libvirt drops it from a definition."
AT_START = "libvirt notices when the guest starts."
NOT_HERE = "Not supported here on a macvtap."
ONE_QUEUE = "libvirt takes it for one queue."
DROPS = "libvirt drops it from ``direct``, and does not start a guest with it on a macvtap network."
PORTGROUP = "libvirt gives the NIC no port group."
OWN_g = "A name that libvirt generated; the link gets a new one here."

DOMAINS = (
    group(
        "Types of ``<interface>``",
        ONE,
        "<interface type='direct'><source dev='eth0' mode='vepa'/></interface>",
        "<interface type='network'><source network='vepanet'/></interface>",
        "<interface type='user'/>",
        "<interface type='bridge'><source bridge='br0'/></interface>",
        "<interface type='bridge'><source bridge='br0'/><virtualport type='openvswitch'/></interface>",
        "<interface type='bridge'><source bridge='br0'/><filterref filter='clean-traffic'/></interface>",
        "<interface type='ethernet'/>",
        "<interface type='ethernet'><target dev='tap0' managed='no'/></interface>",
        "<interface type='ethernet'><script path='/bin/true'/></interface>",
        *(
            f"<interface type='{kind}'><source address='192.0.2.1' port='5'/></interface>"
            for kind in ("server", "client")
        ),
        "<interface type='mcast'><source address='230.0.0.1' port='5'/></interface>",
        "<interface type='udp'><source address='192.0.2.1' port='5'><local address='192.0.2.2' port='6'/></source>"
        "</interface>",
        "<interface type='internal'><source name='n'/></interface>",
        "<interface type='hostdev'><source><address type='pci' domain='0' bus='0' slot='7' function='0'/></source>"
        "</interface>",
        Part(
            "<interface type='vhostuser'><source type='unix' path='/tmp/s' mode='client'/><model type='virtio'/>"
            "</interface>",
            newer=True,
        ),
        "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>",
        "<interface type='null'/>",
        "<interface type='vds'><source switchid='1' portid='1' portgroupid='p' connectionid='1'/></interface>",
        "<interface type='macvtap'><source dev='eth0'/></interface>",
        "<interface type='Direct'><source dev='eth0'/></interface>",
        Part("<interface><source dev='eth0'/></interface>", "libvirt takes it for type ``user``."),
    ),
    group(
        "Sources",
        {"": f"<interface PART<model type='virtio'/>{MAC}</interface>"},
        *(f"type='direct'><source dev='eth0' mode='{mode}'/>" for mode in MODES),
        "type='direct'><source dev='eth0'/>",
        "type='direct'><source dev='eth1' mode='bridge'/>",
        "type='direct'><source dev='eth0' mode='passthru'/>",
        "type='direct'><source dev='eth0' mode='VEPA'/>",
        "type='direct'><source mode='vepa'/>",
        Part("type='direct'><source dev=''/>", AT_START),
        "type='direct'>",
        Part("type='direct'><source dev='eth9'/>", AT_START),
        Part("type='direct'><source dev='lo'/>", AT_START),
        Part("type='direct'><source dev='eth0'/><source dev='eth1'/>", TWICE),
        Part("type='direct'><source network='vepanet' dev='eth0' mode='vepa'/>", RUNNING),
        Part("type='direct'><source network='gone' dev='eth0' mode='vepa'/>", RUNNING),
        "type='network'><source network='vepanet'/>",
        "type='network'><source network='vepanet' portgroup='a'/>",
        Part("type='network'><source network='vepanet' portgroup='nowhere'/>", PORTGROUP),
        *(f"type='network'><source network='{name}'/>" for name in ("nat", "isolated", "hostbridge", "openvswitch")),
        Part("type='network'><source network='unknown'/>", AT_START),
        Part("type='network'><source network=''/>", AT_START),
        "type='network'><source/>",
        "type='network'>",
        Part("type='network'><source network='nat' bridge='virbr7'/>", RUNNING),
        Part("type='network'><source network='vepanet' portid='7d5fc8a1-3c5e-4f0e-9d1a-0a1b2c3d4e5f'/>", RUNNING),
    ),
    group(
        "MAC addresses: ``<mac address=…/>``",
        {
            name: f"<interface type={source}<mac address='PART'/></interface>"
            for name, source in (
                ("direct", "'direct'><source dev='eth0' mode='bridge'/>"),
                ("network", "'network'><source network='vepanet'/>"),
            )
        },
        "52:54:00:aa:bb:01",
        "52:54:00:AA:BB:02",
        "2:0:0:0:0:3",
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
        Part("00:00:00:00:00:00", AT_START, newer=True),
        "52:54:00:aa:bb",
        "52:54:00:aa:bb:01:02",
        "52-54-00-aa-bb-01",
        "525400aabb01",
        "52:54:00:aa:bb:zz",
        "",
        Part(" 52:54:00:aa:bb:04"),
    ),
    group(
        "Elements that describe the link",
        NICS,
        "<target dev='web-0'/>",
        *(Part(f"<target dev='{name}7'/>", OWN_g) for name in ("macvtap", "macvlan", "vnet")),
        Part("<target dev='a name of great length'/>", AT_START),
        "<target dev='web-0' managed='no'/>",
        "<link state='up'/>",
        "<link state='down'/>",
        "<link state='left'/>",
        Part("<mtu size='1400'/>", "libvirt sets it on a NIC of a network. Here it is set on both."),
        Part("<mtu size='9000'/>", AT_START),
        "<mtu size='big'/>",
        "<driver queues='4'/>",
        "<driver name='vhost' queues='2' rx_queue_size='256'/>",
        "<driver name='qemu' txmode='timer' ioeventfd='on' event_idx='off'/>",
        Part("<driver queues='0'/>", ONE_QUEUE),
        Part("<driver queues='1000'/>", AT_START),
        "<driver queues='many'/>",
        Part("<filterref filter='clean-traffic'/>", DROPS),
        Part("<filterref filter='no-mac-spoofing'/>", DROPS),
        Part("<filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.9'/></filterref>", DROPS),
        "<bandwidth><inbound average='1000'/><outbound average='128' peak='256' burst='256'/></bandwidth>",
        Part("<bandwidth/>", LIMITS_NOTHING),
        Part("<vlan><tag id='4'/></vlan>", "libvirt does not start the guest. Here its link is on a VLAN device."),
        Part("<vlan trunk='yes'><tag id='4'/><tag id='5'/></vlan>", AT_START),
        Part(
            "<virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3'/></virtualport>",
            PROFILE,
        ),
        Part("<virtualport type='802.1Qbh'><parameters profileid='p'/></virtualport>", PROFILE),
        Part("<virtualport type='openvswitch'/>", PROFILE),
        Part("<port isolated='yes'/>", AT_START),
        "<port isolated='no'/>",
        Part("<coalesce><rx><frames max='7'/></rx></coalesce>", NOT_HERE),
        Part("<script path='/bin/true'/>", AT_START),
        Part("<downscript path='/bin/true'/>", NOT_HERE),
        "<ip address='192.0.2.1' prefix='24'/>",
        "<route address='192.0.2.0' prefix='24' gateway='192.0.2.1'/>",
        Part("<portForward proto='tcp'><range start='22'/></portForward>", NOT_HERE, newer=True),
        Part("<backenddomain name='x'/>", NOT_HERE),
    ),
    group(
        "Elements that describe the guest's device",
        BARE,
        *(f"<model type='{model}'/>" for model in ("virtio", "e1000", "rtl8139")),
        "<model type='virtio-non-transitional'/>",
        "<address type='pci' domain='0' bus='0' slot='7' function='0'/>",
        "<alias name='ua-nic'/>",
        Part("<alias name='net0'/>", "Generated by libvirt, for a running guest. Here it is kept."),
        "<boot order='2'/>",
        "<rom bar='off'/>",
        "<acpi index='3'/>",
        "<tune><sndbuf>0</sndbuf></tune>",
        "<model type='virtio'/><backend vhost='/dev/vhost-net'/>",
        "<guest dev='eth5'/>",
        Part("<!-- comment -->", "Neither keeps it in a domain."),
        Part("<a:b xmlns:a='urn:a'/>", "Neither keeps it in a domain."),
    ),
    group(
        "Attributes and elements that libvirt does not have",
        BARE,
        Part("<link status='down'/>", SCHEMA),
        Part("<driver queue='4'/>", SCHEMA),
        Part("<target device='web-0'/>", SCHEMA),
        Part("<mtu sise='1400'/>", SCHEMA),
        Part("<model type='virtio' lost='yes'/>", "libvirt loses it. Here it is kept, for libvirt."),
        Part("<lost/>", SCHEMA),
        Part("<Link state='down'/>", SCHEMA),
        Part("<mac addres='52:54:00:00:00:01'/>", TWICE),
        Part(MAC, TWICE),
        Part("<link state='up'/><link state='down'/>", TWICE),
        Part("<actual type='direct'><source dev='eth0' mode='vepa'/></actual>", SCHEMA),
    ),
    group(
        "Attributes of ``<interface>`` and ``<source>``",
        {
            "direct": "<interface type='direct'PART</interface>".replace("PART", f"PART{MAC}"),
        },
        *(f" trustGuestRxFilters='{value}'><source dev='eth0'/>" for value in ("yes", "no", "maybe")),
        Part(" trust='yes'><source dev='eth0'/>", SCHEMA),
        Part("><source dev='eth0' mod='private'/>", SCHEMA),
        Part("><source dev='eth0' device='eth1'/>", SCHEMA),
        Part(" xmlns:a='urn:a' a:b='c'><source dev='eth0'/>", "Neither keeps it in a domain."),
    ),
)

#: what stands around the NICs of the groups above
DOMAIN = (
    "<domain type='qemu'><name>g</name><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os>"
    "<devices><controller type='usb' model='none'/><memballoon model='none'/>PART</devices></domain>"
)
NIC = DIRECT.replace("PART", "")
#: types of guests that open no tap
TAPLESS = ("lxc", "xen", "vz", "bhyve", "vmware", "hyperv", "openvz")
RUNS_IT = "Only libvirt needs the type: it runs the guest."
HEAD = "<name>g</name><memory>1024</memory><os><type>hvm</type></os>"

DOCUMENTS = group(
    "Other documents for a guest",
    {"": "PART"},
    Part(NIC, FRAGMENT),
    Part(f"<devices>{NIC}</devices>", FRAGMENT),
    f"<domain type='qemu'>{HEAD}<devices>{NIC}</devices></domain>",
    f"<domain type='qemu'>{HEAD}<devices/></domain>",
    f"<domain type='qemu'>{HEAD}</domain>",
    f"<domain type='qemu'>{HEAD}<metadata><a:b xmlns:a='urn:a'>{NIC}</a:b></metadata></domain>",
    Part(f"<domain type='qemu'>{HEAD}{NIC}</domain>", "Neither takes it for a NIC; libvirt drops it."),
    Part(f"<domain type='qemu'>{HEAD}<devices><!-- {NIC} --></devices></domain>", "Neither keeps it in a domain."),
    Part(f"<domain>{HEAD}<devices>{NIC}</devices></domain>", RUNS_IT),
    Part(f"<domain type='kvm'>{HEAD}<devices>{NIC}</devices></domain>", RUNS_IT),
    Part(f"<domain type='unknown'>{HEAD}<devices>{NIC}</devices></domain>", RUNS_IT),
    *(f"<domain type='{kind}'>{HEAD}<devices>{NIC}</devices></domain>" for kind in TAPLESS),
    f"<domain type='qemu'><memory>1024</memory><os><type>hvm</type></os><devices>{NIC}</devices></domain>",
    f"<domstatus state='running'><domain type='qemu'>{HEAD}<devices>{NIC}</devices></domain></domstatus>",
    "<interface type='ethernet' name='eth0'><start mode='onboot'/></interface>",
    f"<domain type='qemu'>{HEAD}<devices>{NIC}</devices></domain><domain type='qemu'/>",
    f"<domain type='qemu'>{HEAD}<devices>{NIC}",
    "/etc/libvirt/qemu/web.xml",
    "<network><name>n</name><forward mode='vepa' dev='eth0'/></network>",
    "",
)
