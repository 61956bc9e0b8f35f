# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests as QEMU command lines, and the steps from what runs to what is wanted."""

from __future__ import annotations

import contextlib
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.command_line import (
    GuestSpec,
    base_command,
    check_spec,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.paths import file_name, file_name_1_0, paths_of
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.plan import (
    Found,
    LiveNic,
    Process,
    Running,
    Wanted,
    plan,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qemu import (
    QemuNic,
    is_virtio,
    keeps_its_bus,
    nic_args,
    ports_in,
    without_nics,
)

PATHS = paths_of("web", "/run/qemu-guests", "/var/log/qemu-guests")
SPEC = GuestSpec(name="web", binary="/usr/bin/qemu-system-x86_64", accelerator="tcg", kernel="/boot/vmlinuz")
BASE = tuple(base_command(SPEC, PATHS))
MAC = "02:00:00:00:00:01"


def nic(number=0, **changes):
    values = {"mac": MAC, "mtu": 1500, "queues": 1, "tap_path": f"/dev/tap{number}", "tap_number": (246, number)}
    return QemuNic(nic=number, **{**values, **changes})


def running(*nics, base=BASE, held=None, vhosts=0, cut=()):
    """A guest that runs with these NICs."""
    live = {nic.nic: LiveNic(nic.mac, (nic.mtu or 0) if is_virtio(nic.driver) else None, nic.driver) for nic in nics}
    devices = {nic.tap_number: nic.queues for nic in nics} if held is None else held
    return Found(Running(Process(7, 1), base, live, devices, vhosts, frozenset(cut)), files=("/run/qemu-guests/web",))


def kinds(wanted, found):
    return [step.kind for step in plan(wanted, found)]


def started(*nics, **changes):
    return Wanted(**{"name": "web", "state": "started", "base": BASE, "nics": nics, **changes})


NOTHING = Found(None)


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (started(nic()), NOTHING, ["start"]),
        (started(nic()), running(nic()), []),
        (started(nic()), running(nic(), base=(*BASE, "-S")), ["stop", "start"]),
        (started(nic(), restarts=False), running(nic(), base=(*BASE, "-S")), []),
        (started(restarts=False, unit="new"), running(nic(), base=(*BASE, "-S")), ["define", "unplug"]),
        (started(nic(0), nic(1)), running(nic(0)), ["plug"]),
        (started(nic(0)), running(nic(0), nic(1)), ["unplug"]),
        (started(), running(nic(0)), ["unplug"]),
        (started(nic(mac="02:00:00:00:00:02")), running(nic()), ["unplug", "plug"]),
        (started(nic(mtu=9000)), running(nic()), ["unplug", "plug"]),
        (started(nic(queues=2)), running(nic()), ["unplug", "plug"]),
        # the link was made anew: QEMU still holds the old device
        (started(nic(tap_number=(246, 9))), running(nic()), ["unplug", "plug"]),
        # check mode, the link will be made anew
        (started(nic(tap_number=None)), running(nic()), ["unplug", "plug"]),
        (started(nic(), unit="new", enabled=True), NOTHING, ["define", "enable", "start"]),
        (started(nic(), unit="new", enabled=True), running(nic())._replace(unit="old", enabled=True), ["define"]),
        (started(nic(), unit="same"), running(nic())._replace(unit="same", enabled=True), ["disable"]),
        (Wanted("web", "stopped"), NOTHING, []),
        (Wanted("web", "stopped"), running(nic()), ["stop"]),
        (Wanted("web", "absent"), NOTHING, []),
        (Wanted("web", "absent"), running(nic()), ["stop", "remove"]),
        (Wanted("web", "absent"), Found(None, files=("/var/log/qemu-guests/web.log",)), ["remove"]),
        (Wanted("web", "absent"), Found(None, unit="old"), ["remove"]),
    ],
)
def test_the_plan_is_the_difference(wanted, found, expected):
    assert kinds(wanted, found) == expected


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (started(nic(driver="e1000")), running(nic()), ["unplug", "plug"]),
        (started(nic(driver="virtio-net")), running(nic()), []),
        (started(nic(driver="e1000-82540em", mtu=9000)), running(nic(driver="e1000", mtu=None)), []),
        (started(nic(vhost=True), vhost=True), running(nic()), ["unplug", "plug"]),
        (started(nic(vhost=True), vhost=True), running(nic(), vhosts=1), []),
        # auto: a running guest keeps what it has
        (started(nic(vhost=True)), running(nic()), []),
        (started(nic()), running(nic(), vhosts=1), []),
        (started(nic(), vhost=False), running(nic(), vhosts=1), ["unplug", "plug"]),
        (started(nic(link_up=False)), NOTHING, ["start", "link"]),
        (started(nic(link_up=False)), running(nic()), ["link"]),
        (started(nic(link_up=False)), running(nic(), cut={0}), []),
        (started(nic()), running(nic(), cut={0}), ["link"]),
        (started(nic(mtu=9000)), running(nic(), cut={0}), ["unplug", "plug"]),
        (started(nic(mtu=9000, link_up=False)), running(nic(), cut={0}), ["unplug", "plug", "link"]),
    ],
)
def test_model_vhost_and_link_of_a_nic_are_converged_without_a_restart(wanted, found, expected):
    assert kinds(wanted, found) == expected


def test_a_command_line_with_a_vhost_of_the_users_own_says_nothing_of_ours():
    found = running(nic(), vhosts=1, base=(*BASE, "-netdev", "tap,id=x,vhost=on"))
    assert kinds(started(nic(), vhost=False, base=found.running.base), found) == []


@pytest.mark.parametrize("machine", ["q35", "q35,smm=off", "pc-q35-7.2", "type=q35"])
def test_a_machine_that_plugs_into_root_ports_only_has_one_for_each_nic(machine):
    command = base_command(SPEC._replace(machine=machine), PATHS)
    ports = ports_in(" ".join(command))
    assert len(ports) == len(set(ports)) == 16
    args = nic_args([nic(0), nic(1, driver="e1000e"), nic(2, driver="usb-net"), nic(40)], ports=ports)
    buses = [dict(word.partition("=")[::2] for word in arg.split(",")).get("bus") for arg in args[3::4]]
    assert buses == ["nicport0", "nicport1", None, None]
    assert not keeps_its_bus(" ".join(command))
    assert keeps_its_bus(" ".join(base_command(SPEC._replace(machine=machine), PATHS, has_ports=False)))


@pytest.mark.parametrize("machine", [None, "pc", "microvm", "virt", "pc-i440fx-7.2"])
def test_other_machines_get_no_root_ports(machine):
    command = base_command(SPEC._replace(machine=machine), PATHS)
    assert ports_in(" ".join(command)) == []
    assert not keeps_its_bus(" ".join(command))


def test_a_control_socket_that_its_user_can_exchange_is_taken_from_it_without_a_restart():
    found = running(nic())
    exposed = found._replace(running=found.running._replace(exposed=True))
    assert kinds(started(nic()), exposed) == ["secure"]
    assert kinds(started(nic(), base=(*BASE, "-S")), exposed) == ["stop", "start"]
    assert kinds(Wanted("web", "stopped"), exposed) == ["stop"]


def test_a_restart_shows_no_escapes_of_what_runs():
    text = plan(started(nic()), running(nic(), base=(*BASE, "\x1b[2J")))[0].text
    assert text.isprintable()


def test_a_restart_says_what_changes():
    base = tuple("256M" if word == "512M" else word for word in BASE)
    assert "from 256M to 512M" in plan(started(nic()), running(nic(), base=base))[0].text


def test_the_command_line_without_its_nics_is_the_base():
    nics = [nic(0), nic(1, queues=2)]
    extra = ["-netdev", "user,id=net9", "-device", "virtio-net-pci,netdev=net9,id=mgmt"]
    base = base_command(SPEC._replace(extra_args=tuple(extra)), PATHS)
    assert without_nics([*base, *nic_args(nics)]) == base
    assert without_nics([*base, *nic_args([nic._replace(vhost=True, driver="e1000") for nic in nics])]) == base


def test_values_cannot_become_options():
    command = base_command(SPEC._replace(name="a,b", image="/srv/a,b.img"), paths_of("a-b", "/run/x", "/var/log/x,y"))
    assert "guest=a,,b" in command
    assert "socket,id=qmp,path=/run/x/a-b/qmp.sock,server=on,wait=off" in command
    assert "file,id=console,path=/var/log/x,,y/a-b.console,append=on" in command
    assert "file=/srv/a,,b.img,format=qcow2,if=virtio" in command


def test_kvm_gets_the_hosts_processor_unless_told_otherwise():
    assert "-cpu" not in BASE
    kvm = SPEC._replace(accelerator="kvm")
    assert base_command(kvm, PATHS)[base_command(kvm, PATHS).index("-cpu") + 1] == "host"
    assert "qemu64" in base_command(kvm._replace(cpu="qemu64"), PATHS)


@pytest.mark.parametrize("name", ["web", "web-1.example", "_x"])
def test_a_plain_name_names_the_files(name):
    assert file_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["a b", "-a", ".hidden", "ü", "x" * 200, 'q"uo\\te', "%n", "$x", "a.pid", "a.start", f"a--{'0' * 32}"],
)
def test_any_other_name_is_made_plain_and_stays_unique(name):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,53}", file_name(name))
    assert file_name(name) != file_name(name + "x")
    paths = paths_of(file_name(name), "/run/qemu-guests", "/var/log/qemu-guests")
    assert paths.socket.startswith("/run/qemu-guests/")


def test_the_longest_name_leaves_room_for_a_long_runtime_directory():
    stem = file_name("x" * 200)
    assert len(stem) == 53
    paths_of(stem, "/run/" + "d" * 38, "/var/log/qemu-guests")
    with pytest.raises(InvalidInput, match=r"runtime_dir .* is too long"):
        paths_of(stem, "/run/" + "d" * 40, "/var/log/qemu-guests")


@given(st.lists(st.text(string.printable + "ü", min_size=1, max_size=60), min_size=2, max_size=8, unique=True))
def test_no_two_guests_share_a_file(names):
    paths = []
    for name in names:
        for known in (name, name + ".pid", name + ".start"):
            with contextlib.suppress(InvalidInput):
                paths.append(paths_of(file_name(known), "/run/qemu-guests", "/var/log/qemu-guests"))
                stem = file_name_1_0(known)
                paths.append(paths_of(file_name(stem), "/run/qemu-guests", "/var/log/qemu-guests"))
    different = set(paths)
    assert len({path for each in different for path in each}) == len(different) * len(paths[0] if paths else ())


def test_files_of_1_0_are_known_by_the_names_that_it_gave():
    assert file_name_1_0("a b") == "a_b-c8687a08aa5d"
    assert file_name_1_0("a.pid") == "a.pid"


def test_a_runtime_directory_that_is_too_long_is_refused():
    with pytest.raises(InvalidInput, match=r"runtime_dir .* is too long"):
        paths_of("web", "/run/" + "x" * 100, "/var/log/qemu-guests")
    with pytest.raises(InvalidInput, match=r"runtime_dir .* is too long"):
        # half a character, which no encoding of a path knows
        paths_of("web", "/run/" + "\ud800" * 100, "/var/log/qemu-guests")


@pytest.mark.parametrize("log_dir", ["/var/log/" + "x" * 256, "/var/log/" + "ü" * 128, "/var/log" + "/xxxxxxx" * 490])
def test_a_log_directory_that_no_path_can_name_is_refused(log_dir):
    with pytest.raises(InvalidInput, match=r"log_dir .* is too long for a path"):
        paths_of("web", "/run/qemu-guests", log_dir)
    assert paths_of("web", "/run/qemu-guests", "/var/log/" + "x" * 255)


@pytest.mark.parametrize("name", ["x" * 227, "ü" * 114, "x" * 100_000])
def test_a_name_that_no_mark_holds_is_refused(name):
    with pytest.raises(InvalidInput, match=r"guest name .* shorten it to 226 or less"):
        file_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "a\0b"])
def test_a_name_that_no_guest_can_have_is_refused(name):
    with pytest.raises(InvalidInput, match="guest name"):
        file_name(name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel": None}, "neither image nor kernel"),
        ({"kernel": None, "image": "/a", "append": "quiet"}, "has append but no kernel"),
        ({"cpus": 0}, "cpus 0 is less than 1"),
        ({"memory": -1}, "memory -1 is less than 1"),
        ({"append": "quiet\0x"}, "append .* has a NUL"),
        ({"extra_args": ("-S", "a\0b")}, "extra_args .* has a NUL"),
        ({"append": "x" * 131009}, "append .* has more than 131008 bytes, which no argument can"),
        ({"extra_args": ("-S", "ü" * 65505)}, "extra_args .* has more than 131008 bytes"),
    ],
)
def test_what_cannot_start_is_refused(changes, words):
    with pytest.raises(InvalidInput, match=words):
        check_spec(SPEC._replace(**changes))
