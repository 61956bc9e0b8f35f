# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A boot hands out no tap of somebody else, and touches no link of somebody else, whoever was there before it."""

import pathlib
import runpy

import pytest
from lab import open_interface
from lab.frames import EXPERIMENTAL
from persist_lab import OWNED, PERSIST, RUN, play_boot, row_of, start_udev, three_uplinks, wait_for
from squatter import squatter
from test_persist_reboot import booted_systemd
from test_wrong_tap import MAC, MONITOR, frame, send

runpy.run_path(str(pathlib.Path(__file__).resolve().parents[1] / "unit" / "conftest.py"))

from ansible_collections.linuxnet.macvtap.plugins.filter.qemu_netdev import qemu_netdev  # noqa: E402
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.paths import paths_of  # noqa: E402
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qemu import nics_of  # noqa: E402
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.unit import (  # noqa: E402
    OPEN_FILE_VERSION,
    UnitSpec,
    unit_text,
    unit_words,
)

pytestmark = pytest.mark.usefixtures("clean_boot")

WEB, MAIL = "web" + RUN, "mail" + RUN
NICS = ({"guest": WEB, "device": "eth0", "mac": MAC}, {"guest": MAIL, "device": "eth0"})


def persisted(host, nics=NICS, **options):
    """Attach and persist the guests, then lose their links as a reboot does; returns their rows."""
    made = host.attach(attachments=nics, **options)
    host.module(PERSIST, attachments=made["attachments"])
    host.detach(attachments=[{"guest": row["guest"], "nic": row["nic"]} for row in made["attachments"]])
    return made


@pytest.mark.parametrize("udev", [False, True], ids=["no udev", "udev"])
def test_a_path_that_a_user_has_is_not_handed_out(udev):
    with three_uplinks() as host:
        made = persisted(host, **OWNED)
        web, mail = (row_of(made, guest) for guest in (WEB, MAIL))
        if udev:
            start_udev(host)
        with squatter(host, web["ifindex"]) as attacker:
            theirs = host.node(web["tap_path"])
            results = play_boot(host, "eth0")
            assert results[-1].returncode != 0 and f"{web['ifname']} {web['ifindex']}" in results[-1].stderr
            assert f"{web['tap_path']} is not the tap of {web['ifname']}" in results[0].stderr
            # no link that libvirt, or anybody, could start the guest on; and theirs is as it was
            assert list(host.links()) == [mail["ifname"]]
            assert host.node(web["tap_path"]) == theirs
            assert "UP" in host.link(mail["ifname"])["flags"] and host.number_in_sysfs(mail)
            refused = send(host, web, b"kept")
            assert (refused.returncode, refused.stdout) == (1, "")
            assert send(host, web, b"last", guarded=False).stdout == "sent\n"
            assert b"last" in attacker.receive(5, EXPERIMENTAL, source=MAC)
        wait_for(lambda: host.node(web["tap_path"]) is None, "the end of the other link")
        assert [done.returncode for done in play_boot(host, "eth0")] == [0, 0, 0, 0]
        # without udev nobody gives the kernel's nodes to their owners
        assert host.node(web["tap_path"])[2] == ("660" if udev else "600")
        assert send(host, web, b"mine").stdout == "sent\n"
        host.detach(guest=WEB)
        host.detach(guest=MAIL)


def test_a_link_that_has_the_index_is_left_alone(host):
    made = persisted(host)
    web, mail = (row_of(made, guest) for guest in (WEB, MAIL))
    host.ip(f"link add link eth1 name other index {web['ifindex']} mtu 1400 type macvlan")
    before = host.link("other")
    results = play_boot(host, "eth0")
    assert results[-1].returncode != 0 and f"{web['ifname']} {web['ifindex']}" in results[-1].stderr
    assert host.link("other") == before
    assert "UP" in host.link(mail["ifname"])["flags"]


def test_a_file_at_the_path_is_left_alone(host):
    made = persisted(host, NICS[:1])
    (path,) = made["tap_paths"]
    host.run(["touch", path])
    results = play_boot(host, "eth0")
    assert results[-1].returncode != 0 and f"{path} is not the tap of" in results[0].stderr
    assert host.node(path)[0] == "regular empty file" and host.links() == {}


def test_a_node_that_the_kernel_does_not_make_is_made_with_its_owner(host):
    """The lab's /dev is a tmpfs, as in a container."""
    made = persisted(host, **OWNED)
    assert [done.returncode for done in play_boot(host, "eth0")] == [0, 0, 0, 0]
    for row in made["attachments"]:
        assert host.node(row["tap_path"])[1:] == (host.number_in_sysfs(row), "660", "0:1")
    assert host.attach(attachments=NICS, check=True, **OWNED)["actions"] == []


def test_a_restart_never_removes_a_link_that_was_there(host):
    """Somebody may be on it; the instance fails."""
    made = persisted(host, NICS[:1])
    (row,) = made["attachments"]
    host.attach(attachments=NICS[:1])
    host.run(["sh", "-c", f"rm {row['tap_path']} && mknod {row['tap_path']} c 1 3"])
    before = host.snapshot()["links"]
    results = play_boot(host, "eth0")
    assert results[-1].returncode != 0 and f"{row['ifname']} {row['ifindex']}" in results[-1].stderr
    assert host.snapshot()["links"] == before


def filter_unit(row, token):
    """A unit as the documentation of the filter shows it."""
    netdev = qemu_netdev([row])
    monitor = unit_words(["/usr/bin/python3", "-I", "-c", MONITOR, frame(token).hex()])
    return (
        f"[Service]\nType=oneshot\nUser=nobody\nStandardError=append:/var/log/made-with-the-filter.log\n"
        f"OpenFile={netdev['open_files'][0]}\nExecStart={netdev['unit_guard']} {monitor}\n"
    )


def test_a_guest_fails_at_boot_rather_than_start_on_the_tap_of_a_user():
    """The unit that macvtap_qemu writes, and one made with the filter, while a user has the path as systemd boots."""
    name, other = f"qemu-guest-{WEB}.service", "made-with-the-filter.service"
    with three_uplinks() as host:
        version = int(host.run(["systemctl", "--version"]).stdout.split()[1])
        spec = UnitSpec(WEB, "nobody", "nogroup", None, version, False, "/usr/bin/python3", 5, 5)
        made = persisted(host, NICS[:1])
        (row,) = made["attachments"]
        host.run(["sh", "-c", "cat >/root/monitor.py && chmod 644 /root/monitor.py"], input=MONITOR)
        for guarded, guest in ((True, name), (False, "qemu-guest-careless.service")):
            command = ["/usr/bin/python3", "-I", "-c", MONITOR, frame(b"kept" if guarded else b"careless").hex()]
            unit = unit_text(spec, command, nics_of([row]), paths_of(WEB, "/run/qemu-guests", "/var/log"))
            # what stands in for QEMU has no control socket
            unit = "\n".join(line for line in unit.split("\n") if not line.startswith(("ExecStartPost=", "ExecStop=")))
            if not guarded:
                unit = "[Service]\nExecStart=/bin/sh -c 'exec \"$$@\" 3<>%s' - %s\n" % (
                    row["tap_path"],
                    f"/usr/bin/python3 -I /root/monitor.py {command[-1]}",
                )
            host.run(["tee", f"/etc/systemd/system/{guest}"], input=unit)
        made_with_filter = version >= OPEN_FILE_VERSION
        host.run(["tee", f"/etc/systemd/system/{other}"], input=filter_unit(row, b"mine"))
        wants = "/etc/systemd/system/multi-user.target.d/guests.conf"
        with squatter(host, row["ifindex"]) as attacker:
            host.run(["tee", wants], input=f"[Unit]\nWants={name}\n")
            with booted_systemd(host) as (beside, _runner):
                wait_for(lambda: beside("systemctl", "is-active", "multi-user.target") == "active", "multi-user.target")
                assert beside("systemctl", "is-active", "macvtap@eth0", name).split() == ["failed", "failed"]
                assert host.links() == {}
                assert "macvtap guard: descriptor 3" in host.read(f"/var/log/{WEB}.log")
                beside("systemctl", "start", other)
                assert "macvtap guard: descriptor 3" in host.read("/var/log/made-with-the-filter.log")
                # a unit without a guard is what the guard is for
                beside("systemctl", "start", "qemu-guest-careless.service")
                assert b"careless" in attacker.receive(20, EXPERIMENTAL, source=MAC)
                attacker.close()
                wait_for(lambda: host.node(row["tap_path"]) is None, "the end of the other link")
                with open_interface(host.hypervisor, "eth0") as wire:
                    beside("systemctl", "restart", "macvtap@eth0")
                    beside("systemctl", "start", name)
                    assert wire.receive(20, EXPERIMENTAL, source=MAC, contains=b"kept") is not None
                    beside("systemctl", "start", other)
                    # an older systemd opens nothing, and the guard says so
                    heard = wire.receive(20 if made_with_filter else 0, EXPERIMENTAL, source=MAC, contains=b"mine")
                    assert (heard is not None) == made_with_filter
        host.detach(guest=WEB)
