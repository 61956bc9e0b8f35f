# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""NICs of every model, in guests that run: started, replaced, unplugged, with and without a carrier."""

import re
import subprocess

import pytest
from module_host import ModuleFailed
from qemu_lab import QEMU, Guest, guest_image, lone_host

from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qemu import QemuNic, device, is_virtio

BINARY = "qemu-system-x86_64"
MODELS = ("e1000", "e1000e", "rtl8139", "vmxnet3", "pcnet", "virtio-net-pci-non-transitional", "virtio-net-pci")


@pytest.fixture(scope="module")
def host():
    with lone_host() as host, guest_image() as boot:
        host.boot = boot
        yield host


@pytest.fixture
def guest(host):
    made = []

    def make(**options):
        made.append(Guest(host, host.boot, "web", **options))
        return made[-1]

    yield make
    host.module(QEMU, name="web", state="absent", stop_timeout=0)
    host.detach(guest="web")


def helped(*words):
    return subprocess.run([BINARY, *words], check=True, capture_output=True, text=True).stdout


def network_models():
    """Every model of this QEMU that takes a netdev, with the names of its properties."""
    listed = helped("-device", "help").partition("Network devices:")[2].partition("\n\n")[0]
    for name in re.findall(r'^name "([^"]+)"', listed, re.MULTILINE):
        properties = set(re.findall(r"^  ([\w-]+)=", helped("-device", f"{name},help"), re.MULTILINE))
        if {"netdev", "mac"} <= properties:
            yield name, properties


def test_a_model_is_given_what_it_knows_and_no_more():
    models = dict(network_models())
    assert set(MODELS) <= models.keys()
    for name, properties in models.items():
        assert is_virtio(name) is ({"host_mtu", "mq"} <= properties), name
        nic = QemuNic(0, "02:00:00:00:00:01", 1500, 2 if is_virtio(name) else 1, "/dev/tap1", None, driver=name)
        assert device(nic).keys() - {"driver", "id"} <= properties, name


@pytest.mark.parametrize("model", [name for name, _properties in network_models() if name != "virtio-net-device"])
def test_a_guest_starts_with_any_model_and_stays_as_it_is(guest, model):
    # paused, so that it costs nothing
    web = guest(extra_args=["-S"], driver=model)
    if model == "usb-net":
        web.options["extra_args"] = ["-S", "-usb"]
    assert web.started()["actions"] == ["start guest web"]
    assert web.started()["changed"] is False


def replaced(web):
    mac = web.attachments[0]["mac"]
    return [f"unplug NIC 0 ({mac}) of guest web", f"plug NIC 0 ({mac}) into guest web"]


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_each_model_replaces_the_last_one_while_the_guest_runs(guest, machine):
    web = guest(machine=machine)
    web.started()
    web.wait_for("ready")
    pid = web.pid()
    for model in MODELS:
        if model != "virtio-net-pci" or web.options.get("driver"):
            web.options["driver"] = model
            assert web.started(check=True)["actions"] == replaced(web), model
            assert web.started()["actions"] == replaced(web), model
            assert web.started()["changed"] is False, model
    assert web.pid() == pid


def test_a_model_that_this_qemu_has_not_is_refused_and_the_nic_stays(guest):
    web = guest(extra_args=["-S"])
    web.started()
    for check in (True, False):
        with pytest.raises(ModuleFailed, match="driver nonsense is not one that this QEMU has"):
            web.started(check=check, driver="nonsense")
    assert web.started()["changed"] is False


def test_taps_can_differ_in_their_model_and_one_queue_is_one(guest):
    web = guest(extra_args=["-S"], nics=({}, {"queues": 2}))
    taps = [dict(web.attachments[0], driver="e1000"), web.attachments[1]]
    web.started(taps=taps)
    assert web.started(taps=taps)["changed"] is False
    with pytest.raises(ModuleFailed, match=r"taps\[1\]|attachments\[1\]: driver e1000 has one queue, and the tap 2"):
        web.started(driver="e1000")


def test_the_guest_sees_the_link_state_of_its_attachments(guest):
    web = guest(nics=({}, {}), machine="q35")
    web.options["append"] += " guest.carriers"
    cut = [dict(web.attachments[0], link_state="down"), web.attachments[1]]
    names = [f"set the link of NIC 0 of guest web {state}" for state in ("down", "up")]
    assert web.started(taps=cut)["actions"] == ["start guest web", names[0]]
    web.wait_for("carrier eth0 0")
    web.wait_for("carrier eth1 1")
    assert web.started(taps=cut)["changed"] is False
    since = web.mark()
    assert web.started(check=True)["actions"] == web.started()["actions"] == [names[1]]
    web.wait_for("carrier eth0 1", since)
    assert web.started()["changed"] is False
    # the next process of the guest starts with all links up
    web.started(taps=cut)
    web.host.run(["kill", "-KILL", web.pid()])
    assert web.started()["actions"] == ["start guest web"]


def test_the_carrier_of_the_lower_device_reaches_the_guest_where_asked(guest):
    web = guest(extra_args=["-S"])
    web.started(follow_carrier=True)
    web.host.run(["ip", "link", "set", "eth0", "down"])
    try:
        assert web.started()["changed"] is False
        assert web.started(follow_carrier=True)["actions"] == ["set the link of NIC 0 of guest web down"]
        assert web.started(follow_carrier=True)["changed"] is False
    finally:
        web.host.run(["ip", "link", "set", "eth0", "up"])
    assert web.started(follow_carrier=True)["actions"] == ["set the link of NIC 0 of guest web up"]
