# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What README, guides and messages say that libvirt does, shown by libvirt: 9.0 on Debian 12.

``tests/unit/plugins/test_sentences.py`` says which sentence is shown where.
"""

import pathlib
import re
import runpy
import subprocess

import pytest
from lab import open_interface
from libvirt_lab import Libvirtd
from lxml import etree
from qemu_lab import lone_host
from test_attach_silence import answers, who_has

# makes the collection importable from a plain checkout
runpy.run_path(str(pathlib.Path(__file__).resolve().parents[1] / "unit" / "conftest.py"))

from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt import domain as domain_xml  # noqa: E402

FORWARD = "<forward mode='vepa' dev='eth0'/>"
MACVTAP = "<source dev='eth0'/>"
SCHEMA = "/usr/share/libvirt/schemas/domaincommon.rng"


def network(inside="", forward=FORWARD, attributes=""):
    return f"<network{attributes}><name>n</name>{forward}{inside}</network>"


def domain(*nics):
    return f"""<domain type='test'><name>n</name><memory>1024</memory><os><type>hvm</type></os>
        <devices>{"".join(nics)}</devices></domain>"""


def direct(inside):
    return f"<interface type='direct'>{MACVTAP}{inside}</interface>"


def of_network(inside="", name="n", source=""):
    return f"<interface type='network'><source network='{name}'{source}/>{inside}</interface>"


def read_by_libvirt(document, *options):
    """What libvirt writes when it has read a document; its test driver, which needs no daemon, does the reading."""
    verbs = ("net-define", "net-dumpxml") if document.startswith("<network") else ("define", "dumpxml --inactive")
    words = f"{' '.join([verbs[0], *options])} /dev/stdin; {verbs[1]} n"
    command = ["virsh", "--quiet", "--connect", "test:///default", words]
    return subprocess.run(command, input=document, capture_output=True, text=True, check=False)


#: what is said in a document → the word that is not in what libvirt makes of it
NOT_WRITTEN_AGAIN = {
    network("<lost/>"): "lost",
    network(forward="<forward mode='vepa' dev='eth0' lost='yes'/>"): "lost",
    network("<!-- lost -->"): "lost",
    network(attributes=" xmlns:a='urn:a' a:lost='yes'"): "lost",
    network("<a:lost xmlns:a='urn:a'/>"): "lost",
    network("<metadata><lost/><a:kept xmlns:a='urn:a'/></metadata>"): "lost",
    network("<metadata><a:kept xmlns:a='urn:a'/><a:lost xmlns:a='urn:a'/></metadata>"): "lost",
    network("<name>lost</name>"): "lost",
    network(forward="<forward mode='passthrough' managed='yes' dev='eth0'/>"): "managed",
    domain(direct("<lost/>")): "lost",
    domain(direct("<model type='virtio' lost='yes'/>")): "lost",
    domain(direct("<mac address='52:54:00:00:00:01'/><mac address='52:54:00:00:00:02'/>")): "00:02",
    domain(direct("<filterref filter='clean-traffic'/>")): "filterref",
    **{domain(direct(f"<target dev='{name}7'/>")): name for name in ("macvtap", "macvlan", "vnet")},
}


@pytest.mark.parametrize("document", NOT_WRITTEN_AGAIN)
def test_what_libvirt_drops_without_a_word(document):
    done = read_by_libvirt(document)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert NOT_WRITTEN_AGAIN[document] in document and NOT_WRITTEN_AGAIN[document] not in done.stdout
    assert "kept" not in document or "kept" in done.stdout


@pytest.mark.parametrize("document", [network(attributes=" xmlns:a='urn:a' a:b='c'"), network("<lost/>")])
def test_what_libvirt_refuses_when_it_is_to_validate(document):
    assert "failed to validate" in read_by_libvirt(document, "--validate").stderr


def version():
    """Of libvirt, as numbers."""
    done = subprocess.run(["virsh", "--version"], capture_output=True, text=True, check=True)
    return tuple(map(int, done.stdout.split(".")))


def test_libvirt_makes_a_uuid_and_knows_title_and_description_since_9_7():
    text = read_by_libvirt(network("<title>t</title><description>d</description>")).stdout
    known = version() >= (9, 7)
    assert re.search("<uuid>[-0-9a-f]{36}</uuid>", text)
    assert ["<title>" in text, "<description>" in text] == [known, known]


def test_virsh_has_no_way_to_say_what_would_change():
    for command in ("define", "net-define", "net-update", "attach-device"):
        options = subprocess.run(["virsh", "help", command], capture_output=True, text=True, check=True).stdout
        assert not re.search("dry|check|diff|simulat|pretend", options), options


def names_in_schema(definitions, name):
    """Names of the elements that a definition puts directly below the element that refers to it."""
    found, todo = set(), list(definitions[name])
    while todo:
        node = todo.pop()
        if node.tag == "element":
            found.add(node.get("name"))
        elif node.tag == "ref":
            # a definition of another file is of attributes only
            todo += definitions.get(node.get("name"), [])
        elif node.tag != "attribute":
            todo += node
    return found


def test_every_interface_that_libvirt_knows_is_known_here():
    grammar = etree.parse(SCHEMA).getroot()
    for node in grammar.iter(etree.Element):
        node.tag = etree.QName(node).localname
    definitions = {node.get("name"): node for node in grammar.iter("define")}
    (interface,) = definitions["interface"]
    types = {value.text for value in interface.xpath("choice/group/attribute[@name='type']//value")}
    assert {"direct", "network"} < types <= {"direct", "network", *domain_xml._OTHER_TYPES}
    elements = names_in_schema(definitions, "interface-options")
    assert elements > {"mac", "link", "ip"}
    assert elements <= domain_xml._LINK_ELEMENTS | domain_xml._GUEST_ELEMENTS | {*domain_xml._REFUSED, "port"}


# -- what takes a libvirtd ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def libvirt():
    with lone_host() as host:
        libvirtd = Libvirtd(host, make_nodes=True)
        libvirtd.define("n", FORWARD, "net-create")
        libvirtd.define("empty", "<forward mode='vepa'/>", "net-create")
        yield libvirtd


#: what libvirt refuses on a NIC → what it says when the domain is started
REFUSED = {
    direct("<mtu size='1400'/>"): "setting MTU on interface type direct is not supported",
    direct("<port isolated='yes'/>"): "<port isolated='yes'/> is not supported for network interfaces with type='",
    direct("<vlan><tag id='4'/></vlan>"): "vlan tag not supported for this connection type",
    direct("<coalesce><rx><frames max='7'/></rx></coalesce>"): "coalesce settings on interface type direct are not",
    direct("<script path='/bin/true'/>"): "scripts are not supported on interfaces of type direct",
    direct("<ip address='192.0.2.1'/>"): "attempt to set network interface guest-side IP ",
    direct("<route address='192.0.2.0' prefix='24' gateway='192.0.2.1'/>"): "set network interface guest-side IP route",
    direct("<target dev='web-0' managed='no'/>"): "unmanaged target dev is not supported on interfaces",
    of_network("<filterref filter='clean-traffic'/>"): "filterref is not supported for network interfaces of type",
    of_network(name="empty"): "uses a direct mode, but has no forward dev and no interface pool",
}


def started(libvirt, *nics):
    """Have libvirt run a domain with these NICs; the finished virsh."""
    text = f"""<domain type='qemu'><name>tried</name><memory unit='MiB'>64</memory>
        <os><type arch='x86_64'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
        <controller type='usb' model='none'/>{"".join(nics)}</devices></domain>"""
    return libvirt.virsh("create", "/dev/stdin", input=text, check=False)


@pytest.mark.parametrize("nic", REFUSED)
def test_what_libvirt_refuses_on_a_macvtap(libvirt, nic):
    done = started(libvirt, nic)
    assert done.returncode and REFUSED[nic] in done.stderr
    assert libvirt.host.links() == {}


@pytest.mark.parametrize(
    ("inside", "mode"), [("<dns enable='no'/>", "vepa"), ("<vlan><tag id='4'/></vlan>", "passthrough")]
)
def test_what_libvirt_takes_and_we_do_not(libvirt, inside, mode):
    libvirt.define("taken", f"<forward mode='{mode}' dev='eth0'/>{inside}")
    text = libvirt.virsh("net-dumpxml", "taken").stdout
    libvirt.virsh("net-undefine", "taken")
    assert inside in re.sub(r">\s+<", "><", text)


def test_libvirt_makes_an_isolated_bridge_of_the_form_of_2010(libvirt):
    libvirt.define("old", "<extbridge mode='vepa' dev='eth0'/>")
    text = libvirt.virsh("net-dumpxml", "old").stdout
    libvirt.virsh("net-undefine", "old")
    assert "extbridge" not in text and "<bridge name='virbr" in text and "<forward" not in text


def test_port_forwarding_on_a_macvtap_is_refused_by_newer_versions_only(libvirt):
    done = started(libvirt, direct("<portForward proto='tcp'><range start='22'/></portForward>"))
    if version() < (10,):
        assert done.returncode == 0, done.stderr
        libvirt.virsh("destroy", "tried")
    else:
        assert "The <portForward> element can only be used with" in done.stderr


def test_links_of_libvirts_making(libvirt):
    """They come with the guest and go with it, at another path each time, and the host has an IPv6 address on them."""
    host = libvirt.host
    nics = [
        direct("<mac address='52:54:00:00:00:01'/>"),
        # set on a NIC of a network, though refused on one of type direct; a port group that the network does not have
        of_network("<mac address='52:54:00:00:00:02'/><mtu size='1400'/>", source=" portgroup='nowhere'"),
        # no use on a macvtap, and no reason not to start
        direct("<mac address='52:54:00:00:00:03'/><downscript path='/bin/true'/><backenddomain name='x'/>"),
    ]
    paths = set()
    for _start in range(2):
        done = started(libvirt, *nics)
        assert done.returncode == 0, done.stderr
        links = {link["address"][-1]: link for link in host.links().values()}
        assert sorted(links) == ["1", "2", "3"] and all(name.startswith("macvtap") for name in host.links())
        assert [links[number]["mtu"] for number in "123"] == [1500, 1400, 1500]
        assert all("ifalias" not in link and "NOARP" not in link["flags"] for link in links.values())
        addresses = host.run(["ip", "-6", "address", "show", "dev", links["1"]["ifname"]]).stdout
        assert "fe80::5054:ff:fe00:1/64" in addresses
        with open_interface(host.switch, host.hypervisor.ports[0]) as wire:
            wire.send(who_has("192.0.2.11"))
            assert answers(wire) == {host.link("eth0")["address"]}
        # changed by somebody else: libvirt works with the link, and leaves that as it is
        host.ip(f"link set {links['1']['ifname']} mtu 1300")
        for command in ("suspend", "resume"):
            libvirt.virsh(command, "tried")
        assert host.link(links["1"]["ifname"])["mtu"] == 1300
        paths |= {link["ifindex"] for link in links.values()}
        libvirt.virsh("destroy", "tried")
        assert host.links() == {}
    assert len(paths) == 6
