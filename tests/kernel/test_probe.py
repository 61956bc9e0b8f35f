# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""macvtap_probe asks the switch port, and nothing of the question stays, whatever becomes of the one who asks."""

import subprocess
import sys
import time

import pytest
from lab import Lab
from module_host import Killed, ModuleFailed, ModuleHost, warnings

PROBE = "macvtap_probe"


@pytest.fixture(scope="module")
def lab():
    with Lab(uplinks=("eth0", "eth1")) as made:
        yield made


@pytest.fixture(scope="module")
def prober(lab):
    with ModuleHost(lab.hypervisors[0], lab.directory) as made:
        yield made


def probe_taps(prober):
    """How many taps of probes there are in whatever namespace: their ifindexes lie between 2^29 and 2^30."""
    find = r"readlink /sys/dev/char/* | grep -c '/probe[12]/macvtap/tap[5-9][0-9]\{8\}$' || true"
    return int(prober.run(["sh", "-c", find]).stdout)


@pytest.mark.parametrize("check", [True, False])
def test_a_port_that_reflects_is_told(lab, prober, check):
    lab.switch.set_hairpin(True)
    before = prober.snapshot()
    result = prober.module(PROBE, device="eth0", check=check)
    assert result["reflective_relay"] and not result.get("changed")
    assert 0 < result["round_trip_us"] < 1_000_000
    assert result["received"] == 1 and result["full_mtu"]
    assert prober.snapshot() == before


def test_a_port_that_does_not_reflect_is_told_within_the_timeout(lab, prober):
    lab.switch.set_hairpin(False)
    began = time.monotonic()
    result = prober.module(PROBE, device="eth0", timeout=0.5)
    lab.switch.set_hairpin(True)
    assert (result["reflective_relay"], result["round_trip_us"], result["received"]) == (False, None, 0)
    assert result["sent"] >= 2
    assert time.monotonic() - began < 10


def test_a_port_that_returns_small_frames_only_is_warned_of(lab, prober):
    prober.ip("link set eth0 mtu 9000")
    result = prober.module(PROBE, device="eth0")
    lab.switch.ip("link set h0-eth0 mtu 9000")
    large = prober.module(PROBE, device="eth0")
    lab.switch.ip("link set h0-eth0 mtu 1500")
    prober.ip("link set eth0 mtu 1500")
    assert (result["reflective_relay"], result["full_mtu"]) == (True, False)
    assert ["none with the 9000 bytes of the MTU" in warning for warning in warnings(result)] == [True]
    assert large["full_mtu"] and warnings(large) == []


def test_guests_that_do_not_reach_each_other_are_warned_of(lab, prober):
    lab.switch.set_hairpin(False)
    told = []
    for guest in ("a", "b"):
        prober.attach(attachments=[{"guest": guest, "device": "eth0"}])
        told.append(warnings(prober.module(PROBE, device="eth0", timeout=0.3)))
    lab.switch.set_hairpin(True)
    assert told[0] == [] and ["so the 2 NICs in mode vepa" in warning for warning in told[1]] == [True]
    prober.reset()


def test_guests_that_are_attached_do_not_disturb_it(prober):
    prober.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth0", "mode": "bridge"}])
    assert prober.module(PROBE, device="eth0")["reflective_relay"]
    prober.reset()


def test_a_probe_killed_at_any_step_leaves_nothing(prober):
    before = prober.snapshot()
    for step in range(1, 30):
        try:
            prober.module(PROBE, device="eth0", luck={"kill_at": step})
        except Killed:
            # the kernel removes a namespace some time after its last process
            deadline = time.monotonic() + 10
            while prober.snapshot() != before or probe_taps(prober):
                assert time.monotonic() < deadline, "something of a killed probe is still there"
        else:
            break
    assert step > 5, "not killed often enough to tell"
    assert prober.module(PROBE, device="eth0")["reflective_relay"]


def test_a_device_that_cannot_carry_the_question_is_refused(prober):
    prober.ip("link set eth1 down")
    with pytest.raises(ModuleFailed, match="'eth1' is down or has no carrier"):
        prober.module(PROBE, device="eth1")
    prober.ip("link set eth1 up", "link add br0 type bridge", "link set eth1 master br0")
    with pytest.raises(ModuleFailed, match="is a port of bridge br0"):
        prober.module(PROBE, device="eth1")
    prober.ip("link delete br0")
    prober.attach(attachments=[{"guest": "a", "device": "eth1", "mode": "passthrough"}])
    with pytest.raises(ModuleFailed, match="passthrough, which excludes all others"):
        prober.module(PROBE, device="eth1")
    prober.reset()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"device": "lo"}, "is the loopback device"),
        ({"device": "eth9"}, "'eth9' does not exist"),
        ({"device": "a/b"}, "'a/b'"),
        ({"device": "eth0", "timeout": 0}, "timeout 0.0 is not possible"),
        ({"device": "eth0", "timeout": 61}, "timeout 61.0 is not possible"),
    ],
)
def test_what_cannot_be_is_refused_by_name(prober, options, sentence):
    with pytest.raises(ModuleFailed) as failed:
        prober.module(PROBE, **options)
    assert sentence in failed.value.message


#: Sends every frame of the probe's EtherType back to where it came from, to the letter.
ECHO = """
import socket
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
raw.bind(("eth0", 0x88B5))
raw.setsockopt(263, 1, __import__("struct").pack("IHH8s", socket.if_nametoindex("eth0"), 1, 0, b""))  # promiscuous
print("ready", flush=True)
while True:
    frame, where = raw.recvfrom(65536)
    if where[2] != socket.PACKET_OUTGOING:
        raw.send(frame)
"""


@pytest.fixture(scope="module")
def echo():
    """A lab whose second hypervisor echoes: (the switch, the first one)."""
    with Lab(hypervisors=2, hairpin=False) as made, ModuleHost(made.hypervisors[0], made.directory) as first:
        process = made.hypervisors[1].spawn([sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        yield made.switch, first
        process.kill()


def test_a_host_that_echoes_is_not_taken_for_a_switch_that_reflects(echo):
    switch, prober = echo
    for _time in range(5):
        assert not prober.module(PROBE, device="eth0", timeout=0.5)["reflective_relay"]
    switch.set_hairpin(True)
    assert prober.module(PROBE, device="eth0")["reflective_relay"]
    switch.set_hairpin(False)


def test_behind_a_port_that_does_not_learn_an_echo_looks_like_a_reflection(echo):
    switch, prober = echo
    switch.ip("link set h0-eth0 type bridge_slave learning off", "link set br0 type bridge ageing_time 0")
    result = prober.module(PROBE, device="eth0")
    switch.ip("link set h0-eth0 type bridge_slave learning on", "link set br0 type bridge ageing_time 30000")
    assert result["reflective_relay"]
