# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What macvtap_persist writes is played back by the programs that a boot plays it back with."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from lab import Lab
from module_host import ModuleFailed, ModuleHost

PERSIST = "macvtap_persist"
UDEVD = "/usr/lib/systemd/systemd-udevd"
NETWORKD = "/usr/lib/systemd/systemd-networkd"
SYSCTL = "/usr/lib/systemd/systemd-sysctl"
GROUP, OTHER_GROUP = "daemon", "mail"

#: part of every guest's name where nodes are in devtmpfs, which is one for all that runs on the machine
RUN = str(os.getpid())
#: as bad as names of guests and networks can be, shell, systemd, udev, ip and libvirt taken together
WORST = RUN + " w'e\"b $HOME `id` %i %n; # \\ ü || ../*[a]"
#: all that a NIC can ask for
NICS = [
    {"guest": WORST, "network": "n'e\"t $x # %I"},
    {"guest": "db" + RUN, "device": "eth1", "mode": "bridge", "mac": "52:54:00:00:00:01", "mtu": 1400, "queues": 4},
    {"guest": "db" + RUN, "device": "eth0", "ifname": "db-1.x", "promiscuous": True, "allmulticast": False},
    {"guest": "alone" + RUN, "device": "eth2", "mode": "passthrough", "mac": "52:54:00:00:00:02"},
    {"guest": "quiet" + RUN, "device": "eth0", "mode": "private"},
]
OWNED = {"device_group": GROUP, "device_mode": "0660"}

SHOWN = ("guest", "nic", "ifname", "ifindex", "mac", "mode", "device", "mtu", "tap_path", "tap_group", "tap_mode")
#: Prints the path of every file of ours.
FIND = "find /etc -name '*macvtap*' -type f; find /etc/macvtap -path '*/boot/*' -type f 2>/dev/null || true"
#: What a hypervisor is after a reboot: the files are there, the links are not.
FILES = """cd / && tar -c etc/macvtap etc/sysctl.d etc/systemd/system etc/systemd/network etc/udev/rules.d \
$(ls -d etc/NetworkManager etc/dhcpcd.conf)"""


def need(program):
    """Path of a program that the test cannot do without."""
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/usr/lib/systemd")
    if path is None:
        pytest.fail("needs %s (Debian: systemd, udev, network-manager, dhcpcd-base)" % program)
    return path


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never saw " + what
        time.sleep(0.02)


@contextlib.contextmanager
def three_uplinks():
    with Lab(uplinks=("eth0", "eth1", "eth2")) as lab, ModuleHost(lab.hypervisors[0], lab.directory) as made:
        # udev handles nodes that the kernel makes, and that is in devtmpfs only
        made.run(["mount", "-t", "devtmpfs", "lab-devtmpfs", "/dev"])
        # devtmpfs is the machine's: udev's links go into a directory of our own
        made.run(["sh", "-c", "mkdir -p /dev/macvtap && mount -t tmpfs lab-links /dev/macvtap"])
        try:
            yield made
        finally:
            made.run(["umount", "/dev/macvtap"])
            made.run(["rmdir", "/dev/macvtap"], check=False)


def start_udev(host):
    need("systemd-udevd")
    host.run(["mkdir", "-p", "/run/udev"])
    daemon = host.spawn([UDEVD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: host.run(["udevadm", "control", "--ping"], check=False).returncode == 0, "udevd")
    return daemon


def play_boot(host, device):
    """Do what macvtap@DEVICE.service does, read from the unit itself; return the exit codes."""
    unit = host.read("/etc/systemd/system/macvtap@.service")
    commands = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert len(commands) == 4
    return [host.run(command.lstrip("-").replace("%I", device).split(), check=False) for command in commands]


def files_of(host):
    listed = host.run(["sh", "-c", FIND])
    return sorted(listed.stdout.split())


def row_of(result, guest, nic=0):
    return next(row for row in result["attachments"] if (row["guest"], row["nic"]) == (guest, nic))


@pytest.fixture(autouse=True)
def clean(host):
    """The boot files of one test are not the next one's."""
    host.run(
        [
            "sh",
            "-c",
            "rm -rf $(find /etc -name '*macvtap*') /etc/systemd/system/*.d /etc/systemd/network/50-* /run/udev",
        ]
    )


def test_a_reboot_makes_the_same_links_with_the_same_taps_and_owners():
    with three_uplinks() as before:
        before.network(name=NICS[0]["network"], devices=["eth0"])
        made = before.attach(attachments=NICS, **OWNED)
        before.attach(attachments=[NICS[4]], link_state="down", isolate_host=False, **OWNED)
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
            assert after.node(row["tap_path"])[2] == "660"
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
        for options in (
            {"attachments": NICS[:4]},
            {"attachments": NICS[4:], "link_state": "down", "isolate_host": False},
        ):
            again = after.attach(check=True, **options, **OWNED)
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
    host.ip("link set eth1 name gone")
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


@contextlib.contextmanager
def booted_systemd(host):
    """Boot systemd as process 1 on the files of ``host``; gives a function that runs a command beside it."""
    need("systemd-udevd")
    if host.run(["sh", "-c", SMALL_SYSTEM], check=False).returncode:
        pytest.fail("needs a private copy of /usr, and cgroups to mount")
    unshare = ["unshare", "--pid", "--mount", "--fork", "--kill-child=KILL", "--mount-proc"]
    systemd = host.spawn(
        [*unshare, "env", "container=lab", "/usr/lib/systemd/systemd", "--system", "--unit=multi-user.target"],
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

        yield beside
    finally:
        systemd.kill()
        systemd.wait()
        wait_for(lambda: host.run(["sh", "-c", NO_CGROUPS], check=False).returncode == 0, "the end of systemd")


def test_systemd_boots_the_links_before_the_guests_and_names_the_instance_that_failed():
    guests = ["up" + RUN, "late" + RUN]
    nics = [{"guest": guest, "device": "eth%d" % number} for number, guest in enumerate(guests)]
    with three_uplinks() as host:
        made = host.attach(attachments=nics, **OWNED)
        host.module(PERSIST, attachments=made["attachments"])
        for guest in guests:
            host.detach(guest=guest)
        host.ip("link set eth1 name gone")
        with booted_systemd(host) as beside:
            wait_for(lambda: beside("systemctl", "is-active", "multi-user.target") == "active", "multi-user.target", 60)
            states = beside("systemctl", "is-active", "macvtap@eth0", "macvtap@eth1", "macvtap.target", "qemu-guest-x")
            assert states.split() == ["active", "failed", "active", "active"]
            assert "macvtap@eth1.service" in beside("systemctl", "--failed", "--plain", "--no-legend")
            assert list(host.links()) == [made["attachments"][0]["ifname"]]
            # the device comes late, and its links with it
            host.ip("link set gone name eth1", "link set eth1 up")
            wait_for(lambda: beside("systemctl", "is-active", "macvtap@eth1") == "active", "macvtap@eth1")
            again = host.attach(attachments=nics, check=True, **OWNED)
            assert (again["changed"], again["actions"]) == (False, [])
            # links that are there are no failure
            beside("systemctl", "restart", "macvtap@eth0")
            assert beside("systemctl", "is-active", "macvtap@eth0") == "active"
        for guest in guests:
            host.detach(guest=guest)


def test_a_link_that_took_the_name_is_left_alone(host):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0", "ifname": "mv0"}])
    host.module(PERSIST, attachments=made["attachments"])
    host.detach(guest="a")
    host.ip("link add link eth1 name mv0 type macvtap mode private")
    before = host.link("mv0")
    assert play_boot(host, "eth0")[-1].returncode != 0
    assert host.link("mv0") == before


def test_units_pass_systemds_own_judgement(host):
    need("systemd-analyze")
    made = host.attach(attachments=[{"guest": WORST, "device": "eth0"}, {"guest": "b", "device": "eth1"}])
    host.module(PERSIST, attachments=made["attachments"])
    host.run(["sh", "-c", "printf '[Service]\\nExecStart=true\\n' >/etc/systemd/system/qemu-guest-b.service"])
    units = ["macvtap.target", "macvtap@eth0.service", "macvtap@eth1.service", "qemu-guest-b.service"]
    judged = host.run(["systemd-analyze", "verify", "--man=no", *units, "multi-user.target"], check=False)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, "")


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
    assert again["actions"] == [action for action in again["actions"] if action.startswith("make node")]


def test_udev_that_wakes_late_does_not_overwrite_the_owner():
    with three_uplinks() as host:
        rule = f'SUBSYSTEM=="macvtap", GROUP="{OTHER_GROUP}", MODE="0666", SYMLINK+="macvtap/seen-%k"'
        host.run(["tee", "/etc/udev/rules.d/60-other.rules"], input=rule + "\n")
        start_udev(host)
        pid = host.run(["pgrep", "-o", "-f", UDEVD]).stdout.strip()
        # a host so busy that udevd gets to run only a second later
        host.run(["kill", "-STOP", pid])
        waker = host.spawn(["sh", "-c", f"sleep 1; kill -CONT {pid}"])
        row = row_of(
            host.attach(attachments=[{"guest": "a" + RUN, "device": "eth0"}], device_group=GROUP, device_mode="0640"),
            "a" + RUN,
        )
        waker.wait()
        host.run(["udevadm", "settle", "--timeout=10"])
        # udev did come to the node, and its rule matched
        assert (
            host.run(["readlink", "-f", "/dev/macvtap/seen-tap%d" % row["ifindex"]]).stdout.strip() == row["tap_path"]
        )
        group = host.run(["stat", "-c", "%G %a", row["tap_path"]]).stdout.strip()
        host.detach(guest="a" + RUN)
        assert group == f"{GROUP} 640"


def test_macs_are_not_rewritten_by_a_policy():
    with three_uplinks() as host:
        host.run(["mkdir", "-p", "/etc/systemd/network"])
        policy = "[Match]\nOriginalName=*\n\n[Link]\nMACAddressPolicy=random\nName=stolen\n"
        host.run(["tee", "/etc/systemd/network/50-random.link"], input=policy)
        made = host.attach(attachments=[{"guest": "a" + RUN, "device": "eth0"}])
        host.module(PERSIST, attachments=made["attachments"])
        host.detach(guest="a" + RUN)
        start_udev(host)
        assert [done.returncode for done in play_boot(host, "eth0")] == [0, 0, 0, 0]
        row = row_of(made, "a" + RUN)
        assert host.link(row["ifname"])["address"] == row["mac"]
        chosen = host.run(["udevadm", "info", "/sys/class/net/" + row["ifname"]]).stdout
        assert "ID_NET_LINK_FILE=/etc/systemd/network/05-macvtap.link" in chosen
        host.detach(guest="a" + RUN)


def test_networkd_keeps_off(host):
    need("systemd-networkd")
    start_udev(host)
    policy = "[Match]\nName=*\n\n[Network]\nDHCP=yes\nLinkLocalAddressing=ipv6\n"
    host.run(["tee", "/etc/systemd/network/50-all.network"], input=policy)
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth0"}])
    ours, other = (row_of(made, guest) for guest in "ab")
    host.module(PERSIST, attachments=[ours])
    host.run(
        ["sh", "-c", "mkdir -p /run/systemd/netif/links /run/systemd/netif/leases; chmod -R 777 /run/systemd/netif"]
    )
    host.run(
        [
            "udevadm",
            "trigger",
            "--settle",
            "--action=add",
            "/sys/class/net/" + ours["ifname"],
            "/sys/class/net/" + other["ifname"],
        ]
    )
    host.spawn([NETWORKD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def state(row):
        text = host.run(["cat", "/run/systemd/netif/links/%d" % row["ifindex"]], check=False).stdout
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    # the catch-all takes the other one: networkd has read its files, and ours kept it away
    wait_for(lambda: state(other).get("ADMIN_STATE") in ("configuring", "configured"), "networkd at work")
    assert state(ours)["ADMIN_STATE"] == "unmanaged"


def test_network_manager_reads_what_it_is_told(host):
    need("NetworkManager")
    host.run(["mkdir", "-p", "/etc/NetworkManager/conf.d"])
    other = "[keyfile]\nunmanaged-devices=interface-name:other\n"
    host.run(["tee", "/etc/NetworkManager/conf.d/10-other.conf"], input=other)
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth1"}])
    host.module(PERSIST, attachments=made["attachments"])
    read = host.run(["NetworkManager", "--print-config"])
    names = [row["ifname"] for row in made["attachments"]]
    listed = next(line for line in read.stdout.splitlines() if line.startswith("unmanaged-devices="))
    assert sorted(re.split("[,;]", listed.partition("=")[2])) == sorted(
        ["interface-name:other", *("interface-name:=" + name for name in names)]
    )
    assert "warn" not in read.stderr.lower()


def test_dhcpcd_keeps_off(host):
    need("dhcpcd")
    original = "# mine\nhostname\ninterface eth0\nmetric 100\n"
    host.run(["tee", "/etc/dhcpcd.conf"], input=original)
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth0"}])
    ours, other = (row_of(made, guest) for guest in "ab")
    host.module(PERSIST, attachments=[ours])
    assert host.run(["cat", "/etc/dhcpcd.conf"]).stdout.endswith(original)
    host.run(["mkdir", "-p", "/run/dhcpcd", "/var/lib/dhcpcd"])
    said = host.run(
        ["timeout", "5", "dhcpcd", "--test", "--nodev", "--timeout", "1", "--ipv4only", "--debug"], check=False
    )
    text = said.stdout + said.stderr
    assert other["ifname"] + ":" in text and ours["ifname"] + ":" not in text, text
    host.module(PERSIST, state="absent", guest=["a"])
    assert host.run(["cat", "/etc/dhcpcd.conf"]).stdout == original


def test_everything_is_gone_after_absent(host):
    host.network(name="vepanet", devices=["eth0"])
    host.run(["mkdir", "-p", "/etc/NetworkManager/conf.d"])
    before = files_of(host)
    made = host.attach(attachments=[{"guest": "a", "network": "vepanet"}, {"guest": "b", "device": "eth1"}])
    check = host.module(PERSIST, attachments=made["attachments"], check=True)
    assert files_of(host) == before
    done = host.module(PERSIST, attachments=made["attachments"])
    assert done == check and set(done["files"]) == set(files_of(host)) - set(before)
    again = host.module(PERSIST, attachments=made["attachments"])
    assert (again["changed"], again["actions"], again["diff"]) == (False, [], [])

    host.module(PERSIST, state="absent", network="vepanet")
    assert [row["guest"] for row in host.module("macvtap_info")["attachments"] if row["persistent"]] == ["b"]
    check = host.module(PERSIST, state="absent", attachments=[{"guest": "b"}], check=True)
    gone = host.module(PERSIST, state="absent", attachments=[{"guest": "b"}])
    assert check == gone and gone["files"] == [] and gone["entries"] == []
    assert files_of(host) == before
    left = host.run(["sh", "-c", "ls -d /etc/macvtap/boot /etc/systemd/system/*.d"], check=False).stdout
    assert left == ""
    assert not host.module(PERSIST, state="absent", network="vepanet")["changed"]


def test_a_file_of_somebody_else_is_refused_and_nothing_is_written(host):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    rules = "/etc/udev/rules.d/90-macvtap.rules"
    host.run(["tee", rules], input="# mine\n")
    try:
        before = files_of(host)
        for check in (True, False):
            with pytest.raises(ModuleFailed, match=r"90-macvtap\.rules was not written by this collection"):
                host.module(PERSIST, attachments=made["attachments"], check=check)
        assert files_of(host) == before and host.read(rules) == "# mine"
    finally:
        host.run(["rm", rules])


@pytest.mark.parametrize("effect", [5, 12, 20, 30, 40])
def test_a_failure_takes_back_what_was_written(host, effect):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth1"}])
    host.module(PERSIST, attachments=made["attachments"][:1])
    contents = "cat $({ %s; } | sort)" % FIND
    before = host.run(["sh", "-c", contents]).stdout
    with pytest.raises(ModuleFailed, match=r"No space left on device\. The files are as they were before\."):
        host.module(PERSIST, attachments=made["attachments"], luck={"fail_at": [effect, 28]})
    assert host.run(["sh", "-c", contents]).stdout == before
    host.module(PERSIST, state="absent", guest=["a"])


def test_drift_between_what_is_live_and_what_the_next_boot_makes(host):
    made = host.attach(attachments=[{"guest": guest, "device": "eth0"} for guest in "abc"])
    host.module(PERSIST, attachments=made["attachments"][:2])
    host.attach(attachments=[{"guest": "a", "device": "eth0", "mode": "bridge", "queues": 2}])
    host.detach(guest="b")
    told = host.module("macvtap_info")
    assert {row["guest"]: (row["persistent"], row["problems"]) for row in told["attachments"]} == {
        "a": (True, ["the next boot makes it otherwise: mode bridge -> vepa, queues 2 -> 1"]),
        "c": (False, []),
    }
    assert [row["guest"] for row in told["boot_only"]] == ["b"]
    assert host.module("macvtap_info", guest="c")["boot_only"] == []
    # and check mode shows the same
    rows = told["attachments"]
    planned = host.module(PERSIST, attachments=rows, guest=["b"], purge=True, check=True)
    assert planned["changed"] and json.dumps(planned["diff"]).count("macvtap mode bridge") == 1
    host.module(PERSIST, attachments=rows, guest=["b"], purge=True)
    told = host.module("macvtap_info")
    assert told["boot_only"] == [] and not any(row["problems"] for row in told["attachments"])
    host.run(["sh", "-c", "echo 'link delete eth0' >>/etc/macvtap/boot/eth0.up"])
    assert "eth0.up, line" in host.module("macvtap_info")["boot_problems"][0]


def test_another_root(host, tmp_path):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    root = str(tmp_path / "image")
    done = host.module(PERSIST, attachments=made["attachments"], root=root)
    found = [str(path) for path in pathlib.Path(root).rglob("*") if path.is_file()]
    assert sorted(root + path for path in done["files"]) == sorted(found) and files_of(host) == []
    host.module(PERSIST, state="absent", guest=["a"], root=root)
    assert [path for path in pathlib.Path(root).rglob("*") if path.is_file()] == []
