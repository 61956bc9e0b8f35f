# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd unit of a guest, with and without ``OpenFile=``."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.names import unit_escaped
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.paths import file_name, paths_of
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qemu import QemuNic
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.unit import (
    UnitSpec,
    is_ours,
    unit_name,
    unit_text,
)

SPEC = UnitSpec(
    name="web",
    user="qemu-guest",
    group="qemu-guest",
    extra_group=None,
    systemd_version=257,
    udev=False,
    python="/bin/true",
    start_timeout=30,
    stop_timeout=60,
)
NIC = QemuNic(0, "02:00:00:00:00:01", 1500, 2, "/dev/tap7", (246, 3), "macvtap0")
COMMAND = ("/bin/true", "-name", "guest=web")


def text(spec=SPEC, nics=(NIC,), command=COMMAND, name="web", runtime="/run/qemu-guests"):
    return unit_text(spec, list(command), list(nics), paths_of(file_name(name), runtime, "/var/log/qemu-guests"))


def setting(unit, key):
    return [line.partition("=")[2] for line in unit.split("\n") if line.startswith(key + "=")]


def test_systemd_opens_the_tap_once_per_queue():
    unit = text()
    assert setting(unit, "OpenFile") == ["/dev/tap7:net0-0", "/dev/tap7:net0-1"]
    (start,) = setting(unit, "ExecStart")
    file = "/sys/class/net/macvtap0/macvtap/tap7/dev"
    assert start.startswith("/bin/sh -c ")
    assert start.endswith(f" macvtap-guard 3 {file} 4 {file} -- /bin/true -name guest=web")
    assert setting(unit, "CapabilityBoundingSet") == [""]
    assert setting(unit, "User") == ["qemu-guest"]


def test_before_that_a_shell_opens_it_as_root_and_becomes_the_user():
    unit = text(SPEC._replace(systemd_version=252, extra_group="kvm"))
    (start,) = setting(unit, "ExecStart")
    assert setting(unit, "OpenFile") == setting(unit, "CapabilityBoundingSet") == []
    assert start.startswith('!/bin/sh -c "[ -c /dev/tap7 ] && exec \\"$$@\\" 3<>/dev/tap7 4<>/dev/tap7" sh ')
    # the descriptors are looked at before the rights go
    assert start.index(" macvtap-guard 3 ") < start.index("/usr/bin/setpriv")
    assert "/usr/bin/setpriv --reuid qemu-guest --regid qemu-guest --groups kvm " in start
    assert "--no-new-privs -- /bin/true -name guest=web" in start


def test_a_shell_that_knows_no_descriptor_above_nine_is_not_asked():
    many = NIC._replace(queues=8)
    assert setting(text(SPEC._replace(systemd_version=252), [many]), "ExecStart")[0].startswith("!/bin/bash ")


def test_without_nics_nothing_has_to_be_opened():
    assert setting(text(SPEC._replace(systemd_version=252), []), "ExecStart") == ["/bin/true -name guest=web"]


def test_where_udev_runs_it_waits_for_the_links():
    unit = text(SPEC._replace(udev=True))
    assert setting(unit, "Wants") == ["sys-subsystem-net-devices-macvtap0.device"]
    assert setting(unit, "After") == ["network.target sys-subsystem-net-devices-macvtap0.device"]


def test_what_systemd_would_expand_stays_as_it_is():
    command = ["/bin/true", "100%", "$HOME", "a b", 'q"uo\\te', "new\nline", ""]
    (start,) = setting(text(nics=[], command=command), "ExecStart")
    assert start == '/bin/true "100%%" "$$HOME" "a b" "q\\"uo\\\\te" "new\\x0aline" ""'


def test_no_setting_can_be_smuggled_in():
    unit = text(command=["/bin/true", "x\nUser=root"])
    assert setting(unit, "User") == ["qemu-guest"]


@pytest.mark.parametrize("name", ["web", "a b", "a%n", "q\\"])
def test_a_unit_is_the_guests_whose_name_it_has(name):
    unit = text(SPEC._replace(name=name), name=name)
    assert is_ours(unit, name)
    assert is_ours(unit.replace("UMask=0077\n", "").replace("Group=", "Group=x"), name)
    assert not is_ours(unit, "other")
    assert not is_ours(unit.split("\n", 1)[1], name)
    assert not is_ours("", name)


def test_only_the_unit_itself_speaks_to_qemu_and_only_as_root_to_its_own_process():
    unit = text()
    assert [line.startswith("+/bin/true -Ic ") for line in setting(unit, "ExecStartPost")] == [True]
    assert [line.startswith("-+/bin/true -Ic ") for line in setting(unit, "ExecStop")] == [True]
    assert setting(unit, "ExecStartPost")[0].endswith("/run/qemu-guests/web/qmp.sock 30 $MAINPID")
    assert setting(unit, "ExecStop")[0].endswith("/run/qemu-guests/web/qmp.sock 60 $MAINPID")
    assert (setting(unit, "UMask"), setting(unit, "LimitCORE")) == (["0077"], ["0"])


def test_a_runtime_directory_that_systemd_cannot_make_is_refused():
    with pytest.raises(InvalidInput, match="must lie below /run"):
        text(runtime="/srv/run")
    with pytest.raises(InvalidInput, match="plain name"):
        text(runtime="/run/a b")


@pytest.mark.parametrize("name", ["web", "web-1", "a b", "a%n", ".hidden", "ü", 'q"\\', "a@b", "a:b_c.d"])
def test_link_names_are_escaped_as_systemd_does(name):
    done = subprocess.run(["systemd-escape", "--", name], capture_output=True, text=True, check=True)
    assert unit_escaped(name) == done.stdout.strip()


@pytest.mark.parametrize("version", [252, 257])
@pytest.mark.parametrize("name", ["web", "a b,c=d%n$x'\"y"])
def test_systemd_accepts_it(tmp_path, version, name):
    installed = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    file = tmp_path / unit_name(file_name(name))
    spec = SPEC._replace(name=name, systemd_version=version, user="daemon", group="daemon", udev=True)
    file.write_text(text(spec, command=["/bin/true", name], name=name))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.split("\n") if file.name in line]
    if int(installed) < version:
        said = [line for line in said if "'OpenFile'" not in line]
    assert said == []
