# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that cannot do what is asked: a full or read-only file system, no capability, no macvtap, no sysfs."""

import contextlib
import errno
import subprocess

import pytest
from fault_lab import FaultLab
from module_host import ATTACH, DEFINITIONS, NETWORK, ModuleFailed, second_namespace

INFO, PERSIST, PROBE = "macvtap_info", "macvtap_persist", "macvtap_probe"
TWO = [{"guest": guest, "network": "net"} for guest in ("a", "b")]
VEPA, BRIDGE = ({"name": "net", "mode": mode, "devices": ["eth0"]} for mode in ("vepa", "bridge"))


@contextlib.contextmanager
def mounted(host, directory, options):
    """A small file system at ``directory`` for a while."""
    host.run(["mkdir", "-p", directory])
    host.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory])
    try:
        yield
    finally:
        host.run(["umount", directory])


def failure(host, module, **options):
    """The message with which a module fails, having left all as it was."""
    before = host.snapshot()
    with pytest.raises(ModuleFailed) as failed:
        host.module(module, **options)
    assert host.snapshot() == before
    assert "\n" not in failed.value.message
    return failed.value.message


def modes(host):
    return [link["linkinfo"]["info_data"]["mode"] for link in host.links().values()]


def test_definitions_on_a_full_file_system(host):
    with mounted(host, DEFINITIONS, "size=8k"):
        host.network(**VEPA)
        host.attach(attachments=TWO)
        host.run(["sh", "-c", f"cat /dev/zero >{DEFINITIONS}/filler"], check=False)
        for options in (BRIDGE, {"name": "other", "devices": ["eth1"]}):
            assert "No space left on device" in failure(host, NETWORK, **options)
        assert sorted(host.run(["ls", "-A", DEFINITIONS]).stdout.split()) == ["filler", "net.xml"]
        assert modes(host) == ["vepa", "vepa"]
        host.run(["rm", f"{DEFINITIONS}/filler"])
        assert host.network(**BRIDGE)["changed"] and not host.network(**BRIDGE)["changed"]
        assert modes(host) == ["bridge", "bridge"]


def test_definitions_on_a_read_only_file_system(host):
    with mounted(host, DEFINITIONS, "size=1m"):
        host.network(**VEPA)
        host.attach(attachments=TWO)
        host.run(["mount", "-o", "remount,ro", DEFINITIONS])
        gone = {"name": "net", "state": "absent", "force": True}
        for options in (BRIDGE, gone, {"name": "other", "devices": ["eth1"]}):
            assert "Read-only file system" in failure(host, NETWORK, **options)
        # what needs no writing works
        assert not host.network(**VEPA)["changed"] and not host.attach(attachments=TWO)["changed"]
        host.run(["mount", "-o", "remount,rw", DEFINITIONS])
        assert host.network(**gone)["changed"] and not host.network(**gone)["changed"]


def test_a_read_only_dev(host):
    wanted = {"attachments": [{"guest": guest, "device": "eth0"} for guest in ("a", "b")]}
    host.run(["mount", "-o", "remount,ro", "/dev"])
    try:
        assert "Read-only file system" in failure(host, ATTACH, **wanted)
    finally:
        host.run(["mount", "-o", "remount,rw", "/dev"])
    assert host.attach(**wanted)["changed"] and not host.attach(**wanted)["changed"]
    host.run(["mount", "-o", "remount,ro", "/dev"])
    try:
        for options in ({**wanted, "device_mode": "0660"}, {"state": "absent", "guest": "a"}):
            assert "Read-only file system" in failure(host, ATTACH, **options)
        assert not host.attach(**wanted)["changed"]
    finally:
        host.run(["mount", "-o", "remount,rw", "/dev"])
    assert host.detach(guest="a")["changed"]
    assert len(host.taps()) == 1


def test_boot_files_on_a_read_only_file_system(host):
    rows = host.attach(guest="a", attachments=[{"device": "eth0"}])["attachments"]
    with mounted(host, "/run/booted", "size=1m,ro"):
        options = {"attachments": rows, "root": "/run/booted"}
        assert host.module(PERSIST, check=True, **options)["changed"]
        assert "Read-only file system" in failure(host, PERSIST, **options)


def test_without_any_capability_each_module_says_to_run_as_root(host):
    host.network(**VEPA)
    host.attach(attachments=TWO)
    runner = host.start_unprivileged_runner()
    for module, options in (
        (ATTACH, {"attachments": [*TWO, {"guest": "c", "device": "eth1"}]}),
        (ATTACH, {"attachments": [{**nic, "mtu": 1400} for nic in TWO]}),
        (ATTACH, {"attachments": TWO, "device_mode": "0660"}),
        (ATTACH, {"state": "absent", "guest": "a"}),
        (NETWORK, BRIDGE),
        (NETWORK, {"name": "other", "devices": ["eth1"]}),
        (PROBE, {"device": "eth0"}),
    ):
        assert "run as root" in failure(host, module, runner=runner, **options)
    assert len(host.module(INFO, runner=runner)["attachments"]) == 2


def test_a_kernel_without_macvtap(host):
    lab = FaultLab(host)
    wanted = {"attachments": [{"guest": guest, "device": "eth0"} for guest in ("a", "b")]}
    before = host.snapshot()
    kinds = [kind for kind, _detail in lab.run(ATTACH, wanted, record=True).points]
    host.detach(guest="a")
    host.detach(guest="b")
    fault = {"at": kinds.index("create") + 1, "error": errno.EOPNOTSUPP, "sticky": True}
    assert "modprobe macvtap" in lab.run(ATTACH, wanted, fault=fault).message
    assert host.snapshot() == before


def test_whoever_cannot_see_open_files_removes_nothing(host):
    row = host.attach(guest="a", attachments=[{"device": "eth0"}])["attachments"][0]
    # a guest of a user of its own: root without this capability may not look at what it has open
    user = "exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'echo open; exec sleep infinity'"
    script = f"exec 3<>{row['tap_path']}; {user}"
    guest = host.spawn(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert guest.stdout.readline() == "open\n"
    runner = host.start_runner("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--")
    refusal = failure(host, ATTACH, runner=runner, state="absent", guest="a")
    assert "held open by a process that /proc does not show here" in refusal
    assert "held open by" in failure(host, ATTACH, state="absent", guest="a")
    half = host.module(INFO, runner=runner)
    assert half["attachments"][0]["holders"] == []
    assert "(sleep)" in str(half["warnings"]) and "CAP_SYS_PTRACE" in str(half["warnings"])
    whole = host.module(INFO)
    assert [user["command"] for user in whole["attachments"][0]["holders"]] == ["sleep"] and "warnings" not in whole
    assert host.module(ATTACH, runner=runner, state="absent", guest="a", force=True)["changed"]


def without_mounting(host):
    """A runner that may do all but mount, so that it can make no sysfs of its own."""
    return host.start_runner("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--")


def test_no_sysfs_of_this_namespace_and_none_can_be_mounted(host):
    wanted = {"guest": "a", "attachments": [{"device": "eth0"}]}
    with second_namespace(host, sysfs=False) as second:
        runner = without_mounting(second)
        assert "/sys does not show" in failure(second, ATTACH, runner=runner, **wanted)
        row = second.attach(**wanted)["attachments"][0]
        assert "/sys does not show" in failure(second, ATTACH, runner=runner, **{**wanted, "device_mode": "0660"})
        # whether a guest has it open cannot be seen: it is not taken away, unless that is wanted all the same
        holder = second.hold(row["tap_path"])
        assert "/sys does not show" in failure(second, ATTACH, runner=runner, state="absent", guest="a")
        assert second.module(ATTACH, runner=runner, state="absent", guest="a", force=True)["changed"]
        holder.close()
        assert second.links() == {}


def test_no_sysfs_at_all_but_one_can_be_mounted(host):
    wanted = {"guest": "a", "attachments": [{"device": "eth0"}]}
    runner = host.start_runner("unshare", "--mount", "--", "sh", "-c", 'umount -l /sys && exec "$@"', "sh")
    row = host.module(ATTACH, runner=runner, **wanted)["attachments"][0]
    assert host.opens(row)
    assert not host.module(ATTACH, runner=runner, **wanted)["changed"]
    assert host.module(ATTACH, runner=runner, state="absent", guest="a")["changed"]
    assert host.links() == {} and host.taps() == []
