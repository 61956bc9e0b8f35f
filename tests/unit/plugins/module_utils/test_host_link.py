# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host link of a network: name and MAC of one that asks for none, and its boot file."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import files, reading
from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot.host_link import host_entry, merged
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import host_tag_text, read_host_tag
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import IFF_UP
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.names import check_ifname, check_network_name
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.host_link import HostLink, decide, derived_name
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.hostile import NAMES
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.scene import ETH0, ETH1, host, macvtap

ROW = {"ifname": "mvh-n", "mac": "02:00:00:00:00:01", "device": "eth0", "addresses": ["192.0.2.1/24", "2001:db8::1/64"]}


def test_every_network_has_a_name_for_its_host_link_and_a_tag():
    for network in NAMES.values():
        with contextlib.suppress(InvalidInput):
            # too long for the tag, or no name of a network
            assert read_host_tag(host_tag_text(check_network_name(network))) == network
            assert check_ifname(derived_name(network))
    with pytest.raises(InvalidInput, match="too long for a host link: the owner tag in its alias would take 274 of"):
        host_tag_text("n" * 244)


def test_the_derived_name_says_the_network_where_that_fits():
    assert derived_name("vepanet") == "mvh-vepanet"
    assert derived_name("a-longer-name") != derived_name("a-longer-nam")


def test_a_derived_mac_that_another_link_has_is_stepped_around():
    first = decide("n", "bridge", [host().links[ETH0]], HostLink(), host()).link
    taken = host(macvtap(10, "macvtap0", "web", mac=first.mac))
    assert decide("n", "bridge", [taken.links[ETH0]], HostLink(), taken).link.mac != first.mac


def test_it_stays_on_its_device_while_that_is_in_the_pool():
    made = macvtap(10, "mvh-n", kind="macvlan", mode="bridge", lower=ETH1, alias=host_tag_text("n"))
    there = host(made)
    devices = [there.links[ETH0], there.links[ETH1]]
    assert decide("n", "bridge", devices, None, there).device == "eth1"
    assert decide("n", "bridge", devices[:1], None, there).device == "eth0"


def test_a_new_one_takes_the_first_device_with_a_carrier():
    there = host()
    dead = there.links[ETH0]._replace(flags=IFF_UP)
    assert decide("n", "bridge", [dead, there.links[ETH1]], HostLink(), there).device == "eth1"
    assert decide("n", "bridge", [dead], HostLink(), there).device == "eth0"


def test_a_boot_file_is_read_as_it_was_written():
    entries = [host_entry("a network's", ROW), host_entry("m", {**ROW, "ifname": "mv.x", "addresses": []})]
    texts = files.files([], {}, [files.NETWORK_MANAGER], entries)
    assert reading.read_hosts(texts) == sorted(entries) and reading.read(texts) == []
    # nothing in it could match the links of others
    assert files.NETWORK not in texts and files.NETWORK_MANAGER not in texts


def test_a_line_of_another_author_is_refused_with_its_place():
    path = files.batch_path("eth0", files.HOST)
    with pytest.raises(Refused, match=r"eth0\.host, line 2 is not as this collection writes it"):
        reading.read_hosts({path: files.HEADER + "link delete dev eth0\n"})


@pytest.mark.parametrize("wrong", [{"ifname": "a b"}, {"mac": "x"}, {"device": "a;b"}, {"addresses": ["1.2.3.4"]}])
def test_what_cannot_be_in_a_boot_file_is_refused(wrong):
    with pytest.raises(InvalidInput):
        host_entry("n", {**ROW, **wrong})
    with pytest.raises(InvalidInput, match="has no mac"):
        host_entry("n", {"ifname": "x", "device": "eth0", "addresses": []})


def test_entries_of_other_networks_stay():
    old, other = host_entry("n", ROW), host_entry("m", {**ROW, "ifname": "mvh-m"})
    new = old._replace(addresses=())
    assert merged([old, other], [new], {"n"}) == ([other, new], [])
    assert merged([old, other], [], {"n"}) == ([other], [old])
