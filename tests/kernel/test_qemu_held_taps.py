# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""macvtap_qemu gives no guest a tap that is open, however hidden, and is not kept waiting by a guest's process."""

import subprocess
import sys

import fake_qemu
import pytest
from module_host import ModuleFailed, end
from qemu_lab import QEMU, Guest, host_with_fake_qemu
from test_hidden_holders import CONTAINER, KEEPERS, SHOWN, UNSEEN, UNSHOWN, kept, let_go

NUMBERS = {"tap_major": None, "tap_minor": None}


@pytest.fixture(scope="module")
def shared():
    with host_with_fake_qemu() as host:
        yield host


@pytest.fixture
def web(shared):
    """A guest that does not run."""
    yield Guest(shared, shared.boot, "web", nics=({}, {}), extra_args=["-S"], stop_timeout=0)
    shared.module(QEMU, name="web", state="absent", stop_timeout=0)
    shared.reset()


def refused(web, **changes):
    """The message that keeps the guest from its taps, which check mode foretells."""
    messages = []
    for check in (True, False):
        with pytest.raises(ModuleFailed) as caught:
            web.started(check=check, **changes)
        messages.append(caught.value.message)
    assert messages[0] == messages[1]
    return messages[0]


def runs(web):
    return web.host.run(["test", "-e", "/run/qemu-guests/web.pid"], check=False).returncode == 0


@pytest.mark.parametrize("way", SHOWN + UNSHOWN)
def test_no_guest_starts_on_a_tap_that_is_open(web, way):
    holder = kept(web.host, way, web.attachments[1])
    length = web.host.link(web.attachments[1]["ifname"])["txqlen"]
    said = refused(web)
    if way in UNSHOWN:
        assert UNSEEN in said
    else:
        assert f"NIC 1: tap {web.attachments[1]['tap_path']} is held open by pid " in said and "(python" in said
    assert not runs(web) and web.host.link(web.attachments[1]["ifname"])["txqlen"] == length
    let_go(holder)
    assert web.started()["changed"]


def test_nor_where_the_path_is_all_that_is_known_of_the_tap(web):
    kept(web.host, "in_flight", web.attachments[0])
    taps = [{**row, **NUMBERS} for row in web.attachments]
    with pytest.raises(ModuleFailed, match=UNSEEN):
        web.started(taps=taps)


def test_nor_from_a_container_beside_a_guest_of_the_host(web):
    web.host.hold(web.attachments[0]["tap_path"])
    container = web.host.start_runner(*CONTAINER)
    options = {"name": "web", "taps": web.attachments, **web.options}
    for check in (True, False):
        with pytest.raises(ModuleFailed, match=UNSEEN):
            web.host.module(QEMU, runner=container, check=check, **options)


def test_no_nic_is_plugged_on_a_tap_that_is_open(web):
    first, second = web.attachments
    assert web.started(taps=[first])["changed"]
    holder = kept(web.host, "in_flight", second)
    assert UNSEEN in refused(web)
    assert web.started(taps=[first])["changed"] is False
    let_go(holder)
    assert web.started()["actions"] == [f"plug NIC 1 ({second['mac']}) into guest web"]
    assert web.started()["changed"] is False


def test_a_guest_may_hold_its_own_taps_when_it_is_restarted(web):
    web.started()
    for memory in (96, 160):
        changes = {"memory": memory}
        assert web.started(check=True, **changes)["actions"] == web.started(**changes)["actions"] != []


def test_what_a_guest_left_behind_on_its_tap_keeps_it_from_a_restart(web):
    web.started()
    holder = kept(web.host, "in_flight", web.attachments[0])
    with pytest.raises(ModuleFailed, match=UNSEEN):
        web.started(memory=160)
    assert not runs(web)
    let_go(holder)
    assert web.started()["actions"] == ["start guest web"]


# -- a guest that broke out of its QEMU --------------------------------------------------------------------------------


def test_a_file_on_a_dead_fuse_mount_in_its_hands_makes_nobody_wait(web):
    """Of a mount that lets others in: a user's own refuses root."""
    host = web.host
    host.run(["sh", "-c", "rm -f /dev/fuse; mknod /dev/fuse c 10 229; mkdir -p /run/lock/mine"])
    script = str(KEEPERS.with_name("dead_fuse.py"))
    command = [sys.executable, "-I", script, "/run/lock/mine", "1"]
    server = host.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    try:
        web.started(binary=host.fake, append=fake_qemu.DEAD_FILE + "/run/lock/mine/file")
        assert "/run/lock/mine/file" in host.run(["sh", "-c", f"readlink /proc/{web.pid()}/fd/*"]).stdout
        assert web.started(check=True)["actions"][0].startswith("stop guest web to restart it")
        assert web.ended("absent", stop_timeout=1)["changed"]
    finally:
        end(server)
        host.run(["umount", "--lazy", "/run/lock/mine"], check=False)


def test_more_descriptors_than_can_be_looked_at_are_an_error_with_a_way_out(web):
    web.started()
    row = web.attachments[0]
    call = f"held_taps({web.pid()}, [({row['tap_major']}, {row['tap_minor']})]"
    script = "from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest import process\n"
    script += f"print(process.{call}))\ntry:\n    process.{call}, patience=0)\n"
    script += "except Exception as error:\n    print(error)"
    said = web.host.run([sys.executable, "-c", script], env={"PYTHONPATH": web.host.collections}).stdout
    assert said.startswith(f"{{({row['tap_major']}, {row['tap_minor']}): 1}}\n")
    assert f"guest's process {web.pid()} (qemu-system-x86) has open" in said and "stop the guest" in said


def test_a_guest_whose_first_thread_ended_is_stopped(web):
    broken = {"taps": [], "binary": web.host.fake, "append": fake_qemu.NO_LEADER}
    web.started(**broken)
    pid = web.pid()
    web.host.run(["sh", "-c", f"until grep -q ') Z' /proc/{pid}/stat; do sleep 0.05; done"])
    assert "stop guest web" in web.ended("absent", stop_timeout=1)["actions"]
    assert web.host.run(["test", "-d", f"/proc/{pid}"], check=False).returncode
