# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VLAN devices: which NIC gets which, what is planned for them, and their boot files.

What a kernel does with the plans is seen in tests/vm/scenarios/test_vlan.py.
"""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import entry as boot
from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import files, reading
from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot.host_link import host_entry
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import VLAN_MARK
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import (
    IFF_LOWER_UP,
    IFF_UP,
    MAKING_GROUP,
    Link,
    Network,
    Nic,
    NodePolicy,
    PortGroup,
    Tap,
    Vlan,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.inherit import inherited
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.plan import diff, plan_attachments
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.resolve import Defaults, number_nics, resolve
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.vlan import device_on, plan
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.scene import ETH0, ETH1, host, macvtap
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.test_boot_entry import row

GROUPS = (PortGroup("other", False, {"vlan": 30}), PortGroup("own", False))
NETWORK = Network("n", "vepa", ("eth0", "eth1"), settings={"vlan": 20}, portgroups=GROUPS)
UP = IFF_UP | IFF_LOWER_UP
TAPS = {10: Tap((246, 1), None)}


def vlan_device(index, name, tag=20, lower=ETH0, alias=VLAN_MARK, **facts):
    link = Link(index, name, "vlan", lower=lower, vlan=tag, mac="52:54:00:00:00:02", mtu=1500, flags=UP, alias=alias)
    return link._replace(**facts)


def attachments(there, *nics, network=NETWORK, leaving=()):
    wanted = [inherited(nic, network if nic.network else None) for nic in number_nics(nics, None)]
    return resolve(wanted, {network.name: network}, there, Defaults(), leaving)


def steps(there, wanted, leaving=()):
    """What is done to VLAN devices, before and after the links."""
    made = plan_attachments(wanted, leaving, TAPS, there, NodePolicy())
    return [[step.describe() for step in some] for some in plan(there, made.steps())]


@pytest.mark.parametrize(
    ("own", "group", "of_network", "expected"),
    [(40, 30, 20, 40), (None, 30, 20, 30), (None, None, 20, 20), (None, None, None, None), (40, None, None, 40)],
)
def test_the_vlan_of_a_nic_goes_before_that_of_its_port_group_and_of_its_network(own, group, of_network, expected):
    groups = (PortGroup("g", True, {} if group is None else {"vlan": group}),)
    network = NETWORK._replace(settings={} if of_network is None else {"vlan": of_network}, portgroups=groups)
    (made,) = attachments(host(), Nic("web", network="n", settings={"vlan": own}), network=network)
    assert made.device == ("eth0" if expected is None else f"eth0.{expected}")
    assert made.vlan == (None if expected is None else Vlan(expected, "eth0"))


def test_one_device_for_each_vlan_and_lower_device_and_none_that_no_link_is_on():
    there = host()
    nics = [Nic(name, network="n") for name in "abc"] + [Nic("d", network="n", portgroup="other")]
    made = attachments(there, *nics, Nic("e", device="eth2", settings={"vlan": 20}))
    assert [each.device for each in made] == ["eth0.20", "eth1.20", "eth0.20", "eth0.30", "eth2.20"]
    first, last = steps(there, made)
    assert first == [
        f"create VLAN device {name} on {name[:4]}: VLAN {name[5:]}"
        for name in ("eth0.20", "eth1.20", "eth0.30", "eth2.20")
    ]
    assert last == [] and "eth1.30" not in there.by_name
    assert made[0].link.lower == there.by_name["eth0.20"].ifindex >= 1 << 30


def test_a_link_that_moves_into_a_vlan_is_created_again_and_an_empty_device_goes():
    link = macvtap(10, "macvtap0", "web", network="n", lower=7)
    there = host(vlan_device(7, "eth0.30", 30), link)
    made = attachments(there, Nic("web", network="n"))
    first, last = steps(there, made)
    assert first == ["create VLAN device eth0.20 on eth0: VLAN 20"]
    assert last == ["delete VLAN device eth0.30 on eth0: nothing uses it any more"]
    (deletion,) = plan_attachments(made, [], TAPS, there, NodePolicy()).delete
    assert deletion.because == "device eth0.30 -> eth0.20" and deletion.vlan == Vlan(30, "eth0")


@pytest.mark.parametrize(
    "user",
    [
        macvtap(11, "x", "other", lower=7),
        Link(11, "br", "vlan", lower=7, vlan=5),
        Link(11, "mvh-x", "macvlan", lower=7, mode="bridge"),
    ],
)
def test_what_is_on_a_device_keeps_it(user):
    link = macvtap(10, "macvtap0", "web", lower=7)
    there = host(vlan_device(7, "eth0.20"), link, user)
    assert steps(there, [], [link]) == [[], []]
    assert 7 in there.without([10]).links


def test_an_address_a_bridge_and_another_maker_keep_a_device():
    link = macvtap(10, "macvtap0", "web", lower=7)
    there = host(vlan_device(7, "eth0.20"), link)
    assert steps(there, [], [link])[1] and 7 not in there.without([10]).links
    there.addresses = {7: ("192.0.2.1/24",)}
    assert steps(there, [], [link]) == [[], []]
    for facts in ({"master": 4}, {"alias": ""}, {"alias": "theirs"}):
        assert steps(host(vlan_device(7, "eth0.20", **facts), link), [], [link]) == [[], []]


def test_a_device_of_another_program_is_used_as_it_is():
    theirs = vlan_device(7, "theirs", alias="", flags=0, mtu=1400)
    there = host(theirs)
    (made,) = attachments(there, Nic("web", device="eth0", settings={"vlan": 20}))
    assert (made.device, made.vlan, made.link.mtu) == ("theirs", Vlan(20), 1400)
    assert steps(there, [made]) == [[], []]
    assert there.to_bring_up([7]) == [theirs]
    # its lower device first
    there.links[ETH0] = there.links[ETH0]._replace(flags=0)
    assert [link.name for link in there.to_bring_up([7])] == ["eth0", "theirs"]


def test_one_of_ours_is_repaired():
    there = host(vlan_device(7, "eth0.20", alias="", group=MAKING_GROUP, flags=0, mtu=1400))
    (made,) = attachments(there, Nic("web", device="eth0", settings={"vlan": 20}))
    assert made.link.mtu == 1500 and there.to_bring_up([made.link.lower]) == []
    first, last = steps(there, [made])
    words = f"mark none -> {VLAN_MARK}, mtu 1400 -> 1500, link_state down -> up"
    assert (first, last) == ([f"change VLAN device eth0.20: {words}"], [])


def test_what_is_in_the_way_is_named():
    nic = Nic("web", device="eth0", settings={"vlan": 20})
    with pytest.raises(
        InvalidInput, match=r"guest web nic 0: the VLAN device for VLAN 20 on eth0 is called eth0\.20, but"
    ):
        attachments(host(Link(7, "eth0.20", "dummy")), nic)
    port = vlan_device(7, "v", alias="", master=8)
    with pytest.raises(InvalidInput, match="lower device 'v' of VLAN 20 is a port of bridge br0"):
        attachments(host(port, Link(8, "br0", "bridge")), nic)


def test_a_device_has_a_name_wherever_it_is():
    there = host(Link(7, "enp193s0f0np0", flags=UP), Link(8, "enp193s0f0np1", flags=UP))
    found = [device_on(there.links[index], 4094, there, "test").name for index in (7, 8, 7)]
    assert found[0] == found[2] != found[1]
    assert all(name.startswith("mvv-4094-") and len(name) == 15 for name in found)


def test_a_link_stays_while_a_device_of_its_network_is_gone_only_if_it_is_in_its_vlan():
    network = NETWORK._replace(devices=("eth0", "eth9"), defined_with=("eth0", "eth9"))
    # on a device that may be the one that is gone, by another name
    renamed = vlan_device(7, "eth1.20", lower=ETH1)
    link = macvtap(10, "macvtap0", "web", network="n", lower=7)
    (made,) = attachments(host(renamed, link), Nic("web", network="n"), network=network)
    assert made.device == "eth1.20"
    for settings, device in (({"vlan": 30}, "eth0.30"), ({}, "eth0")):
        other = network._replace(settings=settings)
        (made,) = attachments(host(renamed, link), Nic("web", network="n"), network=other)
        assert made.device == device


def test_the_diff_shows_devices_whole():
    there = host()
    first, _last = plan(
        there, plan_attachments(attachments(there, Nic("a", network="n")), [], {}, there, NodePolicy()).steps()
    )
    assert diff(first) == {"before": {}, "after": {"eth0.20": f"[{VLAN_MARK}] vlan=20 device=eth0 mtu=1500"}}


# -- boot files --------------------------------------------------------------------------------------------------------

ROW = row(device="eth0.20", vlan=20, vlan_parent="eth0")
HOST = {"ifname": "mvh-n", "mac": "02:00:00:00:00:09", "device": "eth0.21", "vlan": 21, "vlan_parent": "eth0"}


def test_boot_files_create_devices_first_and_are_read_again():
    made = boot.in_order(boot.entries([ROW, row("db", device="theirs", vlan=30, vlan_parent=None)]))
    hosts = [host_entry("n", {**HOST, "addresses": []})]
    texts = files.files(made, {}, [files.NETWORK_MANAGER], hosts)
    assert texts[files.batch_path("eth0", files.VLANS)].splitlines()[1:] == [
        "link add link eth0 name eth0.20 type vlan id 20",
        f'link set dev eth0.20 alias "{VLAN_MARK}" up',
        "link add link eth0 name eth0.21 type vlan id 21",
        f'link set dev eth0.21 alias "{VLAN_MARK}" up',
    ]
    assert files.devices_of(texts) == ["eth0", "eth0.20", "eth0.21", "theirs"]
    # nobody else configures ours
    for path in (files.LINK, files.NETWORK, files.NETWORK_MANAGER):
        assert "eth0.20" in texts[path] and "eth0.21" in texts[path] and "theirs" not in texts[path]
    assert reading.read(texts) == made and reading.read_hosts(texts) == hosts
    found = {entry.key: boot.as_row(entry) for entry in made}
    assert (found["web", 0]["vlan"], found["web", 0]["vlan_parent"]) == (20, "eth0")
    assert (found["db", 0]["vlan"], found["db", 0]["vlan_parent"]) == (None, None)
    assert [boot.differences(entry, {**ROW, **found[entry.key], "vlan": 30}) for entry in made] == [[], []]
    # with the last link on it
    assert not any(path.endswith(files.VLANS) for path in files.files([made[0]], {}, []))


def test_what_cannot_be_in_a_boot_file_is_refused():
    for wrong, said in (
        ({"vlan": None}, "vlan None is not a number"),
        ({"vlan_parent": "a b"}, "the vlan_parent 'a b' contains ' '"),
    ):
        with pytest.raises(InvalidInput, match=said):
            boot.entries([{**ROW, **wrong}])
    path = files.batch_path("eth0", files.VLANS)
    with pytest.raises(Refused, match=r"eth0\.vlan, line 2 is not as this collection writes it"):
        reading.read({path: files.HEADER + "link delete dev eth0\n"})
