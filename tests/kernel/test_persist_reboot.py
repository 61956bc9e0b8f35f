# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A reboot plays back what macvtap_persist wrote, with the programs that a boot plays it back with."""

import contextlib
import subprocess

import pytest
from persist_lab import (
    FILES,
    NICS,
    OWNED,
    PERSIST,
    RUN,
    SHOWN,
    files_of,
    need,
    play_boot,
    row_of,
    start_udev,
    three_uplinks,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("clean_boot")


def test_a_reboot_makes_the_same_links_with_the_same_taps_and_owners():
    with three_uplinks() as before:
        before.network(name=NICS[0]["network"], devices=["eth0"])
        before.attach(attachments=NICS, **OWNED)
        made = before.module("macvtap_info")
        before.module(PERSIST, attachments=made["attachments"])
        archive = before.run(["sh", "-c", FILES], text=False).stdout
        wanted = {row["ifname"]: row for row in made["attachments"]}
        links = before.links()
        before.detach(attachments=[{"guest": row["guest"], "nic": row["nic"]} for row in made["attachments"]])

    with three_uplinks() as after:
        after.run(["tar", "-x", "-C", "/"], input=archive, text=False)
        start_udev(after)
        for device in ("eth0", "eth1", "eth2"):
            results = play_boot(after, device)
            assert [done.returncode for done in results] == [0, 0, 0, 0], results
        told = after.module("macvtap_info")
        booted = {row["ifname"]: row for row in told["attachments"]}
        volatile = ("statistics", "tap_minor", "operstate", "problems", "persistent")
        for name, row in wanted.items():
            assert {key: value for key, value in booted[name].items() if key not in volatile} == {
                key: value for key, value in row.items() if key not in volatile
            }
            assert after.node(row["tap_path"])[2] == row["tap_mode"].lstrip("0")
            assert after.run(["readlink", "-f", "/dev/macvtap/" + name]).stdout.strip() == row["tap_path"]
            now = after.link(name)
            assert sorted(now["flags"]) == sorted(links[name]["flags"])
            for key in ("ifindex", "link", "mtu", "address", "ifalias", "linkinfo", "promiscuity", "allmulti"):
                assert (key, now.get(key)) == (key, links[name].get(key))
            print(" ".join("%s=%s" % item for item in row.items() if item[0] in SHOWN))
            print("%d: %s %s %s" % (now["ifindex"], name, now["address"], now["linkinfo"]["info_data"]))
        assert booted.keys() == wanted.keys()
        assert told["boot_only"] == [] and all(row["persistent"] for row in told["attachments"])

        after.network(name=NICS[0]["network"], devices=["eth0"])
        again = after.attach(check=True, attachments=NICS, **OWNED)
        assert (again["changed"], again["actions"]) == (False, [])
        again = after.module(PERSIST, attachments=told["attachments"], check=True)
        assert not again["changed"]
        # playing it once more (systemctl restart) is harmless
        assert [done.returncode for done in play_boot(after, "eth1")][1:] == [0, 0, 0]
        after.detach(attachments=[{"guest": row["guest"], "nic": row["nic"]} for row in told["attachments"]])


def test_a_missing_lower_device_fails_its_own_instance_only(host):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth1"}])
    host.module(PERSIST, attachments=made["attachments"])
    host.detach(guest="a")
    host.detach(guest="b")
    host.ip("link set eth1 down", "link set eth1 name gone")
    try:
        assert play_boot(host, "eth0")[-1].returncode == 0
        failed = play_boot(host, "eth1")
    finally:
        host.ip("link set gone name eth1", "link set eth1 up")
    assert "eth1" in failed[0].stderr and failed[-1].returncode != 0
    assert list(host.links()) == [row_of(made, "a")["ifname"]]


#: Leaves of the units of the machine what a boot of the links needs, with udev for the uplinks only.
SMALL_SYSTEM = """set -e
grep -q " /usr overlay " /proc/self/mounts
grep -q " /etc overlay " /proc/self/mounts
rm -rf /usr/lib/systemd/system/*.wants /etc/systemd/system/*.wants /usr/lib/systemd/system-generators
mkdir -p /etc/systemd/system/sysinit.target.wants /etc/systemd/system.conf.d
for unit in systemd-udevd systemd-udev-trigger; do
    ln -s /usr/lib/systemd/system/$unit.service /etc/systemd/system/sysinit.target.wants/
done
mkdir /etc/systemd/system/systemd-udev-trigger.service.d
printf '[Service]\\nExecStart=\\nExecStart=udevadm trigger --subsystem-match=net --action=add\\n' \
    >/etc/systemd/system/systemd-udev-trigger.service.d/uplinks.conf
printf '[Manager]\\nDefaultDeviceTimeoutSec=3s\\n' >/etc/systemd/system.conf.d/lab.conf
printf '[Unit]\\nWants=qemu-guest-x.service\\n' >/etc/systemd/system/multi-user.target.d/lab.conf
printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=ls /dev/macvtap/macvtap0\\n' \
    >/etc/systemd/system/qemu-guest-x.service
mount -t tmpfs lab-cgroup /sys/fs/cgroup && mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=linuxnet-lab lab-cgroup /sys/fs/cgroup/systemd
"""
#: A hierarchy of cgroups outlives its mount while it has members.
NO_CGROUPS = """
cd /sys/fs/cgroup
umount systemd
mount -t cgroup -o none,name=linuxnet-lab lab-cgroup systemd
find systemd -mindepth 1 -depth -type d -exec rmdir {} +
umount systemd
# the kernel takes it away some time after its last mount
for _ in 1 2 3 4 5 6 7 8 9 10; do
    grep -q linuxnet-lab /proc/self/cgroup || exit 0
    sleep 0.2
done
exit 1
"""


#: The machine's /tmp is no business of a systemd in the lab.
BOOT = """mount -t tmpfs lab-tmp /tmp && \
exec env container=lab /usr/lib/systemd/systemd --system --unit=multi-user.target"""


@contextlib.contextmanager
def booted_systemd(host):
    """Boot systemd as process 1 on the files of ``host``.

    Gives a function that runs a command beside it, and a runner of modules among its processes: it answers no others.
    """
    need("systemd-udevd")
    if host.run(["sh", "-c", SMALL_SYSTEM], check=False).returncode:
        pytest.fail("needs a private copy of /usr, and cgroups to mount")
    unshare = ["unshare", "--pid", "--mount", "--fork", "--kill-child=KILL", "--mount-proc"]
    systemd = host.spawn(
        [*unshare, "sh", "-c", BOOT],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: host.run(["test", "-e", "/run/systemd/private"], check=False).returncode == 0, "systemd")
        pid = host.run(["pgrep", "-x", "systemd"]).stdout.split()[-1]

        def beside(*command):
            return host.run(
                ["nsenter", "--target", pid, "--pid", "--mount", "--", *command], check=False
            ).stdout.strip()

        assert beside("findmnt", "--noheadings", "--output=SOURCE", "/tmp") == "lab-tmp"
        yield beside, host.start_runner("nsenter", "--target", pid, "--pid", "--")
    finally:
        systemd.kill()
        systemd.wait()
        wait_for(lambda: host.run(["sh", "-c", NO_CGROUPS], check=False).returncode == 0, "the end of systemd")


def test_systemd_boots_the_links_before_the_guests_and_names_the_instance_that_failed():
    late = "macvtap@up\\x2dlink.7.service"
    guests = ["up" + RUN, "late" + RUN, "renamed" + RUN]
    # a name that systemd escapes
    nics = [{"guest": guest, "device": device} for guest, device in zip(guests, ("eth0", "up-link.7", "usb0"))]
    with three_uplinks() as host:
        host.ip("link set eth1 down", "link set eth1 name up-link.7", "link set up-link.7 up")
        host.ip("link add usb0 type veth peer name far0", "link property add dev usb0 altname uplink")
        made = host.attach(attachments=nics, **OWNED)
        host.module(PERSIST, attachments=made["attachments"])
        for guest in guests:
            host.detach(guest=guest)
        host.ip("link set up-link.7 down", "link set up-link.7 name gone")
        host.ip("link set usb0 down", "link set usb0 name lan9")
        with booted_systemd(host) as (beside, runner):
            wait_for(lambda: beside("systemctl", "is-active", "multi-user.target") == "active", "multi-user.target")
            units = ("macvtap@eth0", late, "macvtap@usb0", "macvtap.target", "qemu-guest-x")
            states = beside("systemctl", "is-active", *units)
            assert states.split() == ["active", "failed", "active", "active", "active"]
            assert late in beside("systemctl", "--failed", "--plain", "--no-legend")
            up, _late, renamed = (row["ifname"] for row in made["attachments"])
            assert {name: link["link"] for name, link in host.links().items()} == {up: "eth0", renamed: "lan9"}
            host.ip("link set lan9 name usb0")
            # the device comes late, and its links with it
            host.ip("link set gone name up-link.7", "link set up-link.7 up")
            wait_for(lambda: beside("systemctl", "is-active", late) == "active", late)
            again = host.attach(attachments=nics, check=True, **OWNED)
            assert (again["changed"], again["actions"]) == (False, [])
            # it goes and returns, down, again and again: without Ansible its links are there again
            for _time in range(10):
                host.ip("link delete up-link.7")
                wait_for(lambda: beside("systemctl", "is-active", late) == "inactive", f"the end of {late}")
                host.ip("link add up-link.7 type veth peer name far7", "link set far7 up")
                wait_for(lambda: beside("systemctl", "is-active", late) == "active", late)
            again = host.attach(attachments=nics, check=True, **OWNED)
            assert (again["changed"], again["actions"]) == (False, [])
            assert beside("systemctl", "is-active", "macvtap@eth0", "qemu-guest-x").split() == ["active", "active"]
            # links that are there are no failure
            beside("systemctl", "restart", "macvtap@eth0")
            assert beside("systemctl", "is-active", "macvtap@eth0") == "active"
            # one more guest on one more device: systemd knows of it at once
            more = host.attach(attachments=[{"guest": "more" + RUN, "device": "eth2"}])
            done = host.module(PERSIST, attachments=more["attachments"], runner=runner)
            assert "reload systemd (systemctl daemon-reload)" in done["actions"]
            assert "warnings" not in done, done["warnings"]
            assert "macvtap@eth2.service" in beside("systemctl", "show", "--property=Wants", "macvtap.target")
            host.detach(guest="more" + RUN)
        for guest in guests:
            host.detach(guest=guest)


def test_a_link_that_took_the_name_is_left_alone_and_keeps_no_other_away(host):
    nics = [{"guest": "a", "device": "eth0", "ifname": "mv0"}, {"guest": "b", "device": "eth0", "ifname": "mv1"}]
    made = host.attach(attachments=nics)
    host.module(PERSIST, attachments=made["attachments"])
    host.detach(guest="a")
    host.detach(guest="b")
    host.ip("link add link eth1 name mv0 type macvtap mode private")
    before = host.link("mv0")
    assert play_boot(host, "eth0")[-1].returncode != 0
    assert host.link("mv0") == before
    assert "UP" in host.link("mv1")["flags"] and host.ipv6_disabled("mv1")


def test_a_lower_device_of_another_name_is_found_again_and_of_two_that_match_none(host):
    """By an alternative name, which is all that a virtual device has; by a permanent MAC: tests/vm."""
    host.ip("link add usb0 type veth peer name far0", "link set far0 up", "link set usb0 up")
    host.ip("link property add dev usb0 altname uplink altname lan1")
    network = {"name": "n", "mode": "bridge", "devices": ["usb0"], "host_link": {"addresses": ["198.51.100.1/24"]}}
    host.network(**network)
    nics = [{"guest": guest, "network": "n"} for guest in "ab"]
    made = host.attach(attachments=nics)["attachments"]
    host.module(PERSIST, attachments=made)
    assert not host.module(PERSIST, attachments=made)["changed"]
    before = host.links()
    assert "# lower device: lan1 uplink\n" in host.read("/etc/macvtap/boot/usb0.create") + "\n"
    host.network(**{**network, "host_link": {}})
    host.detach(network="n")
    host.ip("link set usb0 down", "link set usb0 name up9")

    # its name and its alternative names are not one device's
    host.ip("link property del dev up9 altname lan1", "link property add dev eth0 altname lan1")
    results = play_boot(host, "usb0")
    assert results[-1].returncode != 0 and not host.links()
    assert "macvtap: eth0 up9 all match what the boot files know of lower device usb0" in results[-1].stderr
    (said,) = host.module("macvtap_info")["boot_problems"]
    assert said.startswith("the next boot makes no link on lower device usb0: eth0 and up9 match what the boot files")
    host.ip("link property del dev eth0 altname lan1")

    assert [done.returncode for done in play_boot(host, "usb0")] == [0, 0, 0, 0]
    assert {name: link["link"] for name, link in host.links().items()} == dict.fromkeys(before, "up9")
    assert host.link("mvh-n")["link"] == "up9" and "UP" in host.link("up9")["flags"]
    told = host.module("macvtap_info")
    (said,) = told["boot_problems"]
    assert said == (
        "lower device usb0 of the boot files is now called up9, and the next boot finds it; run macvtap_persist to"
        " write its name"
    )
    assert "next boot" not in str([row["problems"] for row in told["attachments"]])

    # the next run writes the new name, and then all is well
    host.network(**{**network, "devices": ["up9"]})
    for changed in (True, False):
        assert host.module(PERSIST, attachments=told["attachments"])["changed"] == changed
    assert not [path for path in files_of(host) if "usb0" in path]
    assert host.module("macvtap_info")["boot_problems"] == []
    assert [done.returncode for done in play_boot(host, "up9")] == [0, 0, 0, 0]
    # the name of the boot files may have become an alternative name
    host.ip("link set up9 down", "link set up9 name up8", "link property add dev up8 altname up9")
    host.detach(network="n")
    assert [done.returncode for done in play_boot(host, "up9")] == [0, 0, 0, 0]
    assert {link["link"] for link in host.links().values()} == {"up8"}


def test_files_of_an_awkward_lower_device(host):
    need("systemd-escape")
    name = "br-lan+1.2"
    host.ip(f"link add {name} type bridge", f"link set {name} up")
    made = host.attach(attachments=[{"guest": "a", "device": name}])
    host.module(PERSIST, attachments=made["attachments"])
    host.detach(guest="a")
    instance = host.run(["systemd-escape", "--template=macvtap@.service", name]).stdout.strip()
    assert f"Wants={instance}\n" in host.read("/etc/systemd/system/macvtap.target") + "\n"
    assert f'+="{instance}"' in host.read("/etc/udev/rules.d/90-macvtap.rules")
    assert [done.returncode for done in play_boot(host, name)] == [0, 0, 0, 0]
    again = host.attach(attachments=[{"guest": "a", "device": name}], check=True)
    # the lab's /dev is no devtmpfs
    assert again["actions"] == [action for action in again["actions"] if action.startswith("create device node")]


def test_a_reboot_makes_the_host_link_of_a_network_again(host):
    addresses = ["198.51.100.1/24", "2001:db8:51::1/64"]
    network = {"name": "n", "mode": "bridge", "devices": ["eth0"], "host_link": {"addresses": addresses}}
    made = host.network(**network)["network"]
    guests = [{"guest": "web", "network": "n"}]
    rows = host.attach(attachments=guests)["attachments"]
    foretold = host.module(PERSIST, attachments=rows, check=True)
    done = host.module(PERSIST, attachments=rows)
    assert done["host_links"] == [{**made["host_link"], "network": "n"}]
    assert (foretold["actions"], foretold["host_links"]) == (done["actions"], done["host_links"])
    assert not host.module(PERSIST, attachments=rows)["changed"]
    host.network(**{**network, "host_link": {}})
    host.detach(guest="web")
    assert [each.returncode for each in play_boot(host, "eth0")] == [0, 0, 0, 0]
    again = host.network(**network)
    assert (again["changed"], again["network"]["host_link"]) == (False, made["host_link"])
    assert not host.attach(attachments=guests)["changed"]
    # played once more it changes nothing, and a link of that name is left alone
    host.network(**{**network, "host_link": {}})
    host.ip("link add mvh-n type bridge")
    assert [each.returncode for each in play_boot(host, "eth0")] == [0, 0, 0, 0]
    assert not host.link("mvh-n").get("ifalias")
    assert host.module("macvtap_info")["boot_problems"] == []


def test_a_host_link_without_guests_is_persisted_by_the_name_of_its_network_and_forgotten(host):
    network = {"name": "n", "mode": "bridge", "devices": ["eth1"], "host_link": {"addresses": ["198.51.100.1/24"]}}
    made = host.network(**network)["network"]
    assert host.module(PERSIST, networks=[made], check=True)["changed"]
    assert host.module(PERSIST, networks=["n"])["host_links"] == [{**made["host_link"], "network": "n"}]
    assert not host.module(PERSIST, networks=[made])["changed"]
    host.network(**{**network, "host_link": {}})
    assert [each.returncode for each in play_boot(host, "eth1")] == [0, 0, 0, 0]
    assert not host.network(**network)["changed"]
    host.network(**{**network, "host_link": {}})
    gone = host.module(PERSIST, networks=["n"])
    assert "forget host link mvh-n of network n" in gone["actions"] and files_of(host) == []
    host.network(**network)
    host.module(PERSIST, networks=["n"])
    host.module(PERSIST, state="absent", network="n")
    assert files_of(host) == []
