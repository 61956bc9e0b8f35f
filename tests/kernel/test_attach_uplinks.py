# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lower devices as they are: down, without a carrier, or gone, alone and in pools."""

import contextlib

import pytest
from module_host import ATTACH, NETWORK, warnings, without_numbers


def wanted(*guests):
    return [{"guest": guest, "network": "pool"} for guest in guests]


def devices(result):
    return [row["device"] for row in result["attachments"]]


@contextlib.contextmanager
def unplugged(host, *devices):
    """Without a cable: the port of the switch is down, and with it the carrier."""
    ports = [host.hypervisor.ports[host.hypervisor.uplinks.index(device)] for device in devices]
    host.switch.ip(*(f"link set {port} down" for port in ports))
    try:
        yield
    finally:
        host.switch.ip(*(f"link set {port} up" for port in ports))


@pytest.fixture
def pool(host):
    """A network of eth0 and eth1."""
    host.network(name="pool", devices=["eth0", "eth1"])
    return host


@pytest.fixture
def pool_of_three(pool):
    """A network of eth0, eth1 and usb0, which can be pulled."""
    pool.ip("link add usb0 type veth peer name far0", "link set usb0 up", "link set far0 up")
    pool.network(name="pool", devices=["eth0", "eth1", "usb0"])
    return pool


# -- up, with a carrier ------------------------------------------------------------------------------------------------


def test_new_nics_avoid_a_device_without_a_carrier_and_existing_ones_stay(pool):
    pool.attach(attachments=wanted("a"))
    with unplugged(pool, "eth0"):
        done = pool.converges(ATTACH, attachments=wanted("a", "b", "c"))
        assert (devices(done), warnings(done)) == (["eth0", "eth1", "eth1"], [])
        (problem,) = pool.module("macvtap_info", guest="a")["attachments"][0]["problems"]
        assert problem == "lower device eth0 has no carrier"
        assert pool.module("macvtap_info")["networks"][0]["problems"] == ["lower device eth0 has no carrier"]


def test_new_nics_avoid_a_device_that_is_down(pool):
    pool.ip("link set eth0 down")
    done = pool.converges(ATTACH, attachments=wanted("a", "b"))
    assert devices(done) == ["eth1", "eth1"]
    assert not any("bring up" in action for action in done["actions"])


def test_where_no_other_is_left_a_dead_one_serves_with_a_warning(pool):
    with unplugged(pool, "eth0", "eth1"):
        done = pool.converges(ATTACH, attachments=wanted("a", "b"))
        assert devices(done) == ["eth0", "eth1"]
        assert [said.partition(",")[0] for said in warnings(done)] == ["new NICs are on eth0", "new NICs are on eth1"]
        assert warnings(pool.attach(attachments=wanted("a", "b"))) == []


def test_rebalance_moves_nics_off_a_dead_device_and_not_back(pool):
    rows = pool.attach(attachments=wanted("a", "b"))["attachments"]
    with unplugged(pool, "eth0"):
        done = pool.converges(ATTACH, attachments=wanted("a", "b"), rebalance=True)
        assert devices(done) == ["eth1", "eth1"]
        assert "device eth0 -> eth1" in " ".join(done["actions"])
        assert [{**row, "device": "eth1", "tap_minor": 0} for row in rows] == [
            {**row, "tap_minor": 0} for row in done["attachments"]
        ]
    assert not pool.attach(attachments=wanted("a", "b"), rebalance=True)["changed"]
    # nowhere to go
    with unplugged(pool, "eth0", "eth1"):
        assert not pool.attach(attachments=wanted("a", "b"), rebalance=True)["changed"]


def test_rebalance_takes_no_tap_from_a_process_without_force(pool):
    rows = pool.attach(attachments=wanted("a", "b"))["attachments"]
    pool.hold(rows[0]["tap_path"])
    with unplugged(pool, "eth0"):
        sentence = pool.refusal(ATTACH, attachments=wanted("a", "b"), rebalance=True)
        assert "macvtap0" in sentence and "pid" in sentence
        done = pool.converges(ATTACH, attachments=wanted("a", "b"), rebalance=True, force=True)
        assert devices(done) == ["eth1", "eth1"]


def test_rebalance_of_passthrough_takes_a_free_device_with_a_carrier(pool_of_three):
    host = pool_of_three
    host.network(name="pool", mode="passthrough", devices=["eth0", "eth1", "usb0"])
    host.attach(attachments=wanted("a", "b"))
    with unplugged(host, "eth0", "eth1"):
        done = host.converges(ATTACH, attachments=wanted("a", "b"), rebalance=True)
        assert devices(done) == ["usb0", "eth1"]


# -- gone --------------------------------------------------------------------------------------------------------------


def test_while_one_device_is_gone_the_others_serve_and_all_gone_is_an_error(pool_of_three):
    host = pool_of_three
    rows = host.attach(attachments=wanted("a", "b", "c"))["attachments"]
    host.ip("link delete usb0")
    # as devtmpfs does
    host.run(["rm", rows[2]["tap_path"]])
    done = host.converges(ATTACH, attachments=wanted("a", "b", "c", "d"))
    assert devices(done) == ["eth0", "eth1", "eth0", "eth1"]
    (said,) = warnings(done)
    assert said.startswith("network 'pool' was defined with usb0, which does not exist on this host now")
    again = host.converges(NETWORK, name="pool", devices=["eth0", "eth1", "usb0"])
    assert (again["changed"], warnings(again)) == (False, [said])
    assert again["network"]["devices"][2]["ifindex"] is None
    # also as that task handed it on
    handed = host.attach(attachments=wanted("a"), networks=[again["network"]], check=True)
    assert (handed["changed"], warnings(handed)) == (False, [said])
    assert "lower device usb0 does not exist" in host.module("macvtap_info")["networks"][0]["problems"]
    changed = host.converges(NETWORK, name="pool", mode="bridge", devices=["eth0", "eth1", "usb0"])
    assert changed["changed"]


def test_a_network_of_which_all_devices_are_gone_names_them(host):
    host.ip("link add usb0 type veth peer name usb1")
    host.network(name="pool", devices=["usb0", "usb1"])
    host.ip("link delete usb0")
    for module, options in ((ATTACH, {"attachments": wanted("a")}), (NETWORK, {"name": "pool", "devices": ["usb0"]})):
        assert "usb0" in host.refusal(module, **options)
    sentence = host.refusal(ATTACH, attachments=wanted("a"))
    assert "network 'pool': none of its lower devices exists on this host: usb0, usb1" in sentence


@pytest.mark.parametrize("before", [None, ["eth0"]], ids=["first", "changed"])
def test_a_device_that_is_missing_from_the_beginning_is_an_error(host, before):
    if before:
        host.network(name="pool", devices=before)
    assert "'eth9' does not exist" in host.refusal(NETWORK, name="pool", devices=["eth0", "eth9"])


# -- what an earlier task of the same run would have done --------------------------------------------------------------


def test_check_mode_of_two_tasks_brings_up_each_device_once(host):
    host.ip("link set eth0 down", "link set eth1 down")
    network = {"name": "pool", "devices": ["eth1", "eth0"]}
    foretold = [host.network(check=True, **network)]
    foretold.append(host.attach(check=True, attachments=wanted("a", "b"), networks=[foretold[0]["network"]]))
    done = [host.network(**network)]
    done.append(host.attach(attachments=wanted("a", "b"), networks=[done[0]["network"]]))
    assert list(map(without_numbers, foretold)) == list(map(without_numbers, done))
    assert [action for result in done for action in result["actions"] if "bring up" in action] == [
        "bring up lower device eth1",
        "bring up lower device eth0",
    ]
    assert [device["link_state"] for device in done[0]["network"]["devices"]] == ["up", "up"]


def test_only_check_mode_believes_that_a_device_is_up(host):
    network = host.network(name="pool", devices=["eth0"])["network"]
    host.ip("link set eth0 down")
    done = host.attach(attachments=wanted("a"), networks=[network])
    assert "bring up lower device eth0" in done["actions"]
