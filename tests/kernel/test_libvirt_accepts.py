# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real libvirt takes every document we write, and what it makes of a definition is still the same definition."""

from __future__ import annotations

import os
import pathlib
import random
import re
import runpy
import subprocess
import time

import pytest
from lab import Lab

# makes the collection importable from a plain checkout
runpy.run_path(str(pathlib.Path(__file__).resolve().parents[1] / "unit" / "conftest.py"))

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import MODES, Network  # noqa: E402
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.domain import parse_domain  # noqa: E402
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.interface import interface_xml  # noqa: E402
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import (  # noqa: E402
    network_xml,
    parse_network,
    same_definition,
    update_network_xml,
)

#: how many random definitions are tried, and from which seed
DOCUMENTS = int(os.environ.get("LINUXNET_DOCUMENTS", "40"))
SEED = int(os.environ.get("LINUXNET_SEED", "1"))
UUID = "7d5fc8a1-3c5e-4f0e-9d1a-0a1b2c3d4e5f"
FORWARD = "<forward mode='vepa' dev='eth0'/>"


class Libvirt:
    """libvirtd in a hypervisor of a lab."""

    def __init__(self, hypervisor, directory):
        self._hypervisor = hypervisor
        self._directory = pathlib.Path(directory)
        self._daemon = hypervisor.spawn(
            ["libvirtd"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while self._virsh("version").returncode:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                pytest.fail("libvirtd does not answer in the lab")
            time.sleep(0.1)

    def _virsh(self, *words):
        return self._hypervisor.run(["virsh", "-q", "-c", "qemu:///system", *words], check=False)

    def __call__(self, *words):
        """Run one virsh command; return what it printed, fail when it fails."""
        done = self._virsh(*words)
        assert done.returncode == 0, f"virsh {' '.join(words)}: {done.stderr}"
        return done.stdout

    def _write(self, document):
        path = self._directory / "network.xml"
        path.write_text(document, encoding="utf-8")
        return str(path)

    def define(self, document):
        """net-define --validate; return what libvirt says against it, or nothing."""
        done = self._virsh("net-define", "--validate", self._write(document))
        return done.stderr.strip() if done.returncode else ""

    def written_again(self, document, start):
        """Define the network ``n``, dump it (also running), remove it, in one call; return the dumps."""
        steps = ["net-dumpxml --inactive n"]
        if start:
            steps += ["net-start n", "net-dumpxml n", "net-dumpxml --inactive n", "net-destroy n"]
        printed = self("; ".join([f"net-define --validate '{self._write(document)}'", *steps, "net-undefine n"]))
        dumps = [dump + "</network>" for dump in printed.split("</network>")[:-1]]
        assert len(dumps) == (3 if start else 1), printed
        return dumps


@pytest.fixture(scope="module")
def libvirt():
    with Lab(uplinks=("eth0", "eth1")) as lab:
        yield Libvirt(lab.hypervisors[0], lab.directory)


def comes_back_the_same(libvirt, definition, start=True):
    """Define, dump, start, dump: each of libvirt's own documents must be the same definition."""
    network = parse_network(definition)
    for dump in libvirt.written_again(definition, start):
        assert same_definition(definition, dump), f"{definition}\n{dump}"
        assert parse_network(dump)._replace(xml=None) == network._replace(xml=None)


def document(inside="", forward=FORWARD, attributes=""):
    return f"<network{attributes}><name>n</name>{forward}{inside}</network>"


FROM_XML = {
    "2010": "<network><name>n</name><extbridge mode='vepa' dev='eth0'/></network>",
    "2010 beside everything": document(
        f"<uuid>{UUID}</uuid><extbridge dev='eth1'/><bridge name='b'/><ip address='10.0.0.1'/><dns/><nonsense/>"
        "<metadata><a:b xmlns:a='urn:a'/></metadata>"
    ),
    **{mode: document(forward=f"<forward mode='{mode}' dev='eth0'/>") for mode in MODES},
    "pool": document(forward="<forward mode='bridge'><interface dev='eth0'/><interface dev='eth1'/></forward>"),
    "live": document(
        forward="<forward mode='vepa' dev='eth0'><interface dev='eth0' connections='2'/></forward>",
        attributes=" connections='2'",
    ),
    "uuid": document(f"<uuid>{UUID.upper().replace('-', '')}</uuid>"),
    "metadata": document(
        "<metadata><a:b xmlns:a='urn:a' a:c='1'>text <a:d/>\n  more\n   text<!-- c --></a:b>"
        "<e xmlns='urn:e'><f>\n</f></e></metadata>"
    ),
    "metadata that libvirt loses": document(
        "<metadata><!-- c --><plain/><a:b xmlns:a='urn:a'/><a:c xmlns:a='urn:a'/></metadata>"
    ),
    "empty metadata": document("<metadata/>"),
    "foreign element": document("<a:b xmlns:a='urn:a'><a:c>text</a:c></a:b>"),
    "foreign element in forward": document(forward="<forward mode='vepa' dev='eth0'><a:b xmlns:a='urn:a'/></forward>"),
    "dnsmasq": document(
        "<o:options xmlns:o='http://libvirt.org/schemas/network/dnsmasq/1.0'><o:option value='a'/></o:options>"
    ),
    "comments": "<!-- a --><network><!-- b --><name>n<!-- c --></name>"
    "<forward mode='vepa' dev='eth0'><!-- d --></forward></network>",
    "vlan": document("<vlan><tag id='4'/></vlan><portgroup name='a'><vlan><tag id='5'/></vlan></portgroup>"),
    "portgroups": document("<portgroup name='b' default='yes'/><portgroup name='a' default='no'/>"),
    "trusted portgroup": document("<portgroup name='a' trustGuestRxFilters='yes'><!-- c --></portgroup>"),
    "trust": document(attributes=" trustGuestRxFilters='yes'"),
    "no trust": document(attributes=" trustGuestRxFilters='no'"),
    "ipv6": document(attributes=" ipv6='yes'"),
    "no ipv6": document(attributes=" ipv6='no'"),
    "managed": document(forward="<forward mode='passthrough' managed='yes' dev='eth0'><driver name='vfio'/></forward>"),
    "not isolated": document("<port isolated='no'/>"),
    "encoding": "<?xml version='1.0' encoding='ISO-8859-1'?>" + document("<!-- é -->"),
}


@pytest.mark.parametrize("text", FROM_XML.values(), ids=FROM_XML.keys())
def test_definition_made_from_xml_comes_back_the_same(libvirt, text):
    comes_back_the_same(libvirt, parse_network(text).xml)


def test_physical_function_comes_back_the_same(libvirt):
    definition = network_xml(Network("n", "passthrough", (), "eth0"))
    comes_back_the_same(libvirt, definition, start=False)


@pytest.mark.parametrize("name", ["a b", " ", 'o\'neil "x" & <y>', "网络 🙂", "--x", "$(id)", "é" * 123, "...", "%s"])
def test_definition_of_any_name_comes_back_the_same(libvirt, name):
    definition = network_xml(Network(name, "vepa", ("eth0",)))
    assert not libvirt.define(definition)
    dump = libvirt("net-dumpxml", "--inactive", "--network", name)
    libvirt("net-undefine", "--network", name)
    assert same_definition(definition, dump)
    assert parse_network(dump).name == name


def test_changed_definition_comes_back_the_same(libvirt):
    text = document("<metadata><a:b xmlns:a='urn:a'/></metadata><portgroup name='a'/>")
    comes_back_the_same(libvirt, update_network_xml(text, Network("n", "private", ("eth1", "eth0"))))


def random_document(rng):
    """A network document of random make, in the part of the language that libvirt's schema knows."""
    devices = rng.sample(["eth0", "eth1", "bond0.7", "br-x", "a_b", "enp3s0f1np1"], rng.randint(1, 4))
    if rng.random() < 0.2:
        source = f"<extbridge mode='{rng.choice(MODES)}' dev='{devices[0]}'/>"
    else:
        first = f" dev='{devices[0]}'" if rng.random() < 0.5 or len(devices) == 1 else ""
        interfaces = "".join(f"<interface dev='{name}'/>" for name in devices) if len(devices) > 1 else ""
        source = f"<forward mode='{rng.choice(MODES)}'{first}>{interfaces}</forward>"
    parts = ["<name>n</name>", source]
    default = rng.randint(0, 4)
    for n in range(rng.randint(0, 3)):
        parts.append(f"<portgroup name='g{n}' default='{'yes' if n == default else 'no'}'/>")
    if rng.random() < 0.5:
        parts.append(f"<uuid>{UUID[:-4]}{rng.randint(0, 0xFFFF):04x}</uuid>")
    if rng.random() < 0.5:
        words = " ".join(
            rng.choices(["one", "<x:two/>", "\n three", "<!-- 4 -->", "&amp;", "<x:six a='b'>6</x:six>"], k=4)
        )
        parts.append(f"<metadata><x:data xmlns:x='urn:x'>{words}</x:data></metadata>")
    if rng.random() < 0.3:
        parts.append(f"<!-- comment {rng.random()} -->")
    if rng.random() < 0.3:
        parts.append("<y:foreign xmlns:y='urn:y' key='&lt;'><y:inner/></y:foreign>")
    rng.shuffle(parts)
    attribute = rng.choice(["", " ipv6='no'", " ipv6='yes'", " trustGuestRxFilters='no'", " connections='4'"])
    return f"<network{attribute}>" + rng.choice(["", "\n", "\n  "]).join(parts) + "</network>"


@pytest.mark.parametrize("number", range(DOCUMENTS))
def test_random_definition_comes_back_the_same(libvirt, number):
    comes_back_the_same(
        libvirt, parse_network(random_document(random.Random(SEED * 1_000_003 + number))).xml, start=False
    )


@pytest.mark.parametrize(
    "text",
    [
        *(
            document(element)
            for element in (
                "<bridge name='b'/>",
                "<bridge stp='on'/>",
                "<dns><host ip='192.0.2.1'><hostname>a</hostname></host></dns>",
                "<dns><srv service='a' protocol='tcp'/></dns>",
                "<ip address='192.0.2.9' netmask='255.255.255.0'/>",
                "<mac address='52:54:00:00:00:01'/>",
                "<domain name='x'/>",
                "<dns><txt name='a' value='b'/></dns>",
                "<mtu size='1400'/>",
                "<vlan trunk='yes'><tag id='4'/></vlan>",
                "<route address='192.0.2.0' prefix='24' gateway='192.0.2.1'/>",
                "<portgroup name='a'/><portgroup name='a'/>",
                "<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>",
                "<portgroup name='a'><vlan><tag id='4'/><tag id='5'/></vlan></portgroup>",
                "<uuid>1</uuid>",
                "<nonsense/>",
            )
        ),
        *(
            document(forward=forward)
            for forward in (
                "<forward mode='passthru' dev='eth0'/>",
                "<forward mode='vepa' dev=''/>",
                "<forward mode='vepa'><interface dev='eth0'/><interface dev='eth0'/></forward>",
                "<forward mode='vepa' dev='eth1'><interface dev='eth0'/></forward>",
                "<forward mode='vepa' dev='eth0'><nat/></forward>",
                "<forward mode='vepa'><address type='pci' domain='0' bus='0' slot='1' function='0'/></forward>",
                "<forward mode='passthrough'><pf dev='eth0'/><pf dev='eth1'/></forward>",
                "<forward mode='passthrough' dev='eth0'><pf dev='eth0'/></forward>",
                "<forward mode='bridge' dev='eth0'/><bridge name='b'/>",
            )
        ),
    ],
)
def test_what_libvirt_refuses_we_refuse(libvirt, text):
    assert libvirt.define(text)
    with pytest.raises(Exception, match="; "):
        parse_network(text)


BANDWIDTH = "<bandwidth><inbound average='1000' peak='5000'/><outbound average='128' burst='64'/></bandwidth>"


@pytest.mark.parametrize(
    "inside", [BANDWIDTH, f"<portgroup name='a'>{BANDWIDTH}</portgroup>"], ids=["network", "port group"]
)
def test_bandwidth_which_libvirt_refuses_is_written_as_libvirt_takes_it(libvirt, inside):
    assert "nsupported" in libvirt.define(document(inside))
    comes_back_the_same(libvirt, network_xml(parse_network(document(inside))))


@pytest.mark.parametrize("inside", ["<bandwidth/>", "<portgroup name='a'><bandwidth/></portgroup>"])
def test_an_empty_bandwidth_is_taken_by_both(libvirt, inside):
    assert not libvirt.define(document(inside))
    libvirt("net-undefine", "n")
    comes_back_the_same(libvirt, network_xml(parse_network(document(inside))))


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<dns enable='no'/>", "<dns>"),
        ("<dns><forwarder addr='192.0.2.1'/></dns>", "<dns>"),
    ],
)
def test_what_libvirt_takes_without_effect_we_refuse(libvirt, inside, said):
    assert not libvirt.define(document(inside))
    libvirt("net-undefine", "n")
    with pytest.raises(Exception, match=said) as caught:
        parse_network(document(inside))
    assert "libvirt refuses" not in str(caught.value)


def domain_of(*interfaces):
    return (
        "<domain type='test'><name>g</name><memory>1024</memory><os><type>hvm</type></os>"
        f"<devices>{''.join(interfaces)}</devices></domain>"
    )


def defined_domain(tmp_path, *interfaces):
    """What libvirt makes of a domain with these NICs (its test driver needs no emulator), validated."""
    path = tmp_path / "domain.xml"
    path.write_text(domain_of(*interfaces), encoding="utf-8")
    command = ["virsh", "-q", "-c", "test:///default", f"define --validate '{path}'; dumpxml --inactive g"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("queues", [1, 4])
def test_libvirt_takes_the_interface_that_hands_it_a_tap(tmp_path, queues):
    ours = interface_xml("02:00:00:00:00:01", "macvtap0", queues)
    text = defined_domain(tmp_path, ours)
    assert "managed='no'" in text
    assert ("queues='4'" in text) == (queues == 4)
    assert parse_domain(text) == []


def test_nics_that_libvirt_writes_again_are_the_same(tmp_path):
    interfaces = (
        "<interface type='direct'><mac address='52:54:00:00:00:01'/><source dev='eth0'/><target dev='web-0'/>"
        "<model type='virtio'/><link state='down'/></interface>",
        "<interface type='user'><mac address='52:54:00:00:00:02'/></interface>",
        "<interface type='direct' trustGuestRxFilters='yes'><mac address='52:54:00:00:00:03'/>"
        "<source dev='eth1' mode='passthrough'/><target dev='web-1'/><model type='virtio'/><driver queues='4'/>"
        "</interface>",
        "<interface type='network'><mac address='52:54:00:00:00:04'/><source network='vepanet' portgroup='a'/>"
        "<target dev='web-2'/><model type='virtio'/></interface>",
    )
    nics = parse_domain(defined_domain(tmp_path, *interfaces))
    assert nics == parse_domain(f"<domain><name>g</name><devices>{''.join(interfaces)}</devices></domain>")
    assert [nic.nic for nic in nics] == [0, 2, 3]


#: attributes that libvirt does not know, on an element of <interface type='direct'>
MISTYPED = [
    ("<source dev='eth0' mod='private'/>", ""),
    ("<source dev='eth0'/>", "<link status='down'/>"),
    ("<source dev='eth0'/>", "<driver queue='4'/>"),
    ("<source dev='eth0'/>", "<target device='web-0'/>"),
    ("<source dev='eth0'/>", "<mac addres='52:54:00:00:00:01'/>"),
]


@pytest.mark.parametrize(("source", "inside"), MISTYPED)
def test_libvirt_drops_a_mistyped_attribute_without_a_word_unless_it_validates(tmp_path, source, inside):
    nic = f"<interface type='direct'>{source}{inside}</interface>"
    (name,) = re.findall(r"(?<= )(mod|status|queue|device|addres)=", nic)
    path = tmp_path / "domain.xml"
    path.write_text(domain_of(nic), encoding="utf-8")
    tried = {}
    for word in ("", "--validate "):
        command = ["virsh", "-q", "-c", "test:///default", f"define {word}'{path}'; dumpxml --inactive g"]
        tried[word] = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tried[""].returncode == 0 and f" {name}=" not in tried[""].stdout
    assert "fail" in tried["--validate "].stderr, tried["--validate "]
    (found,) = parse_domain(domain_of(nic))
    assert f"has the attribute {name!r} on" in found.objection


def test_libvirt_knows_every_attribute_that_is_read(tmp_path):
    nic = (
        "<interface type='direct' trustGuestRxFilters='yes'><mac address='52:54:00:00:00:01' type='static' check='no'/>"
        "<source dev='eth0' mode='vepa'/><target dev='web-0' managed='yes'/><model type='virtio'/><link state='up'/>"
        "<driver name='vhost' queues='2' rx_queue_size='256' tx_queue_size='256' txmode='timer' ioeventfd='on'"
        " event_idx='off' iommu='on' ats='on' packed='on' page_per_vq='on' rss='on' rss_hash_report='on'/>"
        "</interface>"
    )
    (found,) = parse_domain(defined_domain(tmp_path, nic))
    assert found.objection is None and (found.queues, found.ifname) == (2, "web-0")


HARDWARE = (
    "<model type='e1000'/>",
    "<model type='virtio'/><driver name='qemu' queues='4' txmode='timer'><host csum='off' gso='off'/></driver>",
    "<model type='virtio'/><boot order='2'/><link state='down'/><alias name='ua-first'/><rom bar='off'/>"
    "<address type='pci' domain='0x0000' bus='0x00' slot='0x07' function='0x0'/>",
    "<model type='virtio'/><mtu size='1400'/><tune><sndbuf>0</sndbuf></tune><acpi index='3'/>",
)


@pytest.mark.parametrize("hardware", HARDWARE)
def test_libvirt_gives_the_guest_the_same_hardware_on_our_link(tmp_path, hardware):
    mac = "52:54:00:00:00:01"
    (nic,) = parse_domain(f"<interface type='direct'><mac address='{mac}'/><source dev='eth0'/>{hardware}</interface>")
    ours = defined_domain(tmp_path, interface_xml(mac, "web-0", nic.queues, nic.hardware))
    plain = f"<interface type='ethernet'><mac address='{mac}'/><target dev='web-0' managed='no'/>{hardware}</interface>"
    uuid = re.compile("<uuid>.*</uuid>")
    assert uuid.sub("", ours) == uuid.sub("", defined_domain(tmp_path, plain))
