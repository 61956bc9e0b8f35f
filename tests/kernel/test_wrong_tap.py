# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No guest is started on a tap that is not its own: an ordinary user has a link of its index while ours is absent."""

import os
import pathlib
import runpy

import pytest
from lab import open_interface
from lab.frames import EXPERIMENTAL, ethernet
from module_host import ATTACH, ModuleFailed
from qemu_lab import Guest, guest_image
from squatter import NOBODY, devtmpfs_host, squatter

runpy.run_path(str(pathlib.Path(__file__).resolve().parents[1] / "unit" / "conftest.py"))

from ansible_collections.linuxnet.macvtap.plugins.filter.qemu_netdev import qemu_netdev  # noqa: E402

#: nodes are in devtmpfs, which is one for all that runs on the machine
WEB = "web%d" % os.getpid()
MAC, PEER = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
#: A machine monitor: sends one frame through descriptor 3, behind the header that the kernel expects.
MONITOR = r"""
import fcntl, os, struct, sys
header = struct.unpack("i", fcntl.ioctl(3, 0x800454D7, bytes(4)))[0]
os.write(3, bytes(header) + bytes.fromhex(sys.argv[1]))
print("sent")
"""


@pytest.fixture(scope="module")
def shared():
    with devtmpfs_host() as host:
        yield host


@pytest.fixture
def host(shared):
    yield shared
    shared.detach(guest=WEB)


@pytest.fixture
def row(host):
    """The attachment of the guest, as a unit or a script that was made from it has it."""
    return host.attach(attachments=[{"guest": WEB, "device": "eth0", "mac": MAC}])["attachments"][0]


def frame(token):
    return ethernet(PEER, MAC, EXPERIMENTAL, token)


def send(host, row, token, guarded=True, user=(), first="exec"):
    """What a script does that was made with the filter; returns the finished process."""
    netdev = qemu_netdev([row])
    monitor = [*user, "/usr/bin/python3", "-I", "-c", MONITOR, frame(token).hex()]
    command = [*(netdev["guard"] if guarded else ()), *monitor]
    return host.run(["bash", "-c", f'{first} "$@" {netdev["redirections"][0]}', "-", *command], check=False)


def test_a_guarded_command_starts_on_its_own_tap(host, row):
    with open_interface(host.hypervisor, "eth0") as wire:
        for user in ((), NOBODY):
            assert send(host, row, b"mine", user=user).stdout == "sent\n"
            assert wire.receive(5, EXPERIMENTAL, source=MAC, contains=b"mine") is not None


def test_the_guard_runs_in_busybox_too(host, row):
    netdev = qemu_netdev([row])
    command = ["busybox", "sh", *netdev["guard"][1:], "echo", "started"]
    for path, said in ((row["tap_path"], "started\n"), ("/dev/null", "")):
        assert host.run(["bash", "-c", f'exec "$@" 3<>{path}', "-", *command], check=False).stdout == said


@pytest.mark.parametrize("user", [(), NOBODY], ids=["root", "nobody"])
def test_no_frame_of_a_guest_goes_to_the_user_who_has_its_path(host, row, user):
    host.detach(guest=WEB)
    with squatter(host, row["ifindex"]) as attacker:
        # what 1.0 did
        assert send(host, row, b"secret", guarded=False, user=user).stdout == "sent\n"
        assert attacker.receive(5, EXPERIMENTAL, source=MAC, contains=b"secret") is not None
        refused = send(host, row, b"kept", user=user)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"tap of /sys/class/net/{row['ifname']}/macvtap/tap{row['ifindex']}/dev" in refused.stderr
        assert send(host, row, b"last", guarded=False).stdout == "sent\n"
        heard = attacker.receive(5, EXPERIMENTAL, source=MAC)
        assert b"last" in heard


def test_nor_while_our_link_is_there_and_its_node_is_not(host, row):
    host.detach(guest=WEB)
    with squatter(host, row["ifindex"]) as attacker:
        # a boot of 1.0, or a person, does this
        host.ip(
            f"link add link eth0 name {row['ifname']} index {row['ifindex']} address {MAC} type macvtap mode vepa",
            f"link set {row['ifname']} up",
        )
        refused = send(host, row, b"kept")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert send(host, row, b"last", guarded=False).stdout == "sent\n"
        assert b"last" in attacker.receive(5, EXPERIMENTAL, source=MAC)
        assert row["tap_path"] in host.refusal(ATTACH, attachments=[{"guest": WEB, "device": "eth0", "mac": MAC}])
    host.ip(f"link del {row['ifname']}")


def test_nobody_takes_the_path_of_a_link_that_is_there(host, row):
    with squatter(host, row["ifindex"]):
        assert host.opens(row)
        assert send(host, row, b"mine").stdout == "sent\n"


def test_the_file_that_a_shell_makes_of_a_missing_node_is_no_tap(host, row):
    host.detach(guest=WEB)
    try:
        refused = send(host, row, b"kept")
        assert (refused.returncode, refused.stdout) == (1, "") and "character device none" in refused.stderr
        assert host.node(row["tap_path"])[0] == "regular empty file"
    finally:
        host.run(["rm", "-f", row["tap_path"]])


def test_a_descriptor_that_nobody_opened_is_no_tap(host, row):
    netdev = qemu_netdev([row])
    refused = host.run([*netdev["guard"], "echo", "started"], check=False)
    assert (refused.returncode, refused.stdout) == (1, "") and "descriptor 3" in refused.stderr


# -- macvtap_qemu ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boot():
    with guest_image() as paths:
        yield paths


@pytest.mark.parametrize("known", [("tap_major", "tap_minor", "ifname"), ("ifname",), ()], ids=["all", "name", "path"])
def test_macvtap_qemu_starts_no_guest_on_it(host, boot, known):
    web = Guest(host, boot, WEB, extra_args=["-S"])
    (row,) = web.attachments
    host.detach(guest=WEB)
    with squatter(host, row["ifindex"]):
        # numbers are given out again, the lowest free one first: this one may be what the guest's tap had
        numbers = dict(zip(("tap_major", "tap_minor"), map(int, host.node(row["tap_path"])[1].split(":"))))
        given = {"ifname": row["ifname"], **numbers}
        messages = []
        for check in (True, False) if "tap_minor" in known else (False,):
            with pytest.raises(ModuleFailed) as caught:
                web.started(check=check, taps=[{**row, **{key: given[key] if key in known else None for key in given}}])
            messages.append(caught.value.message)
        assert len(set(messages)) == 1 and "in this network namespace" in messages[0]
    assert host.run(["sh", "-c", f"ls /run/qemu-guests/{WEB}.pid"], check=False).stdout == ""
