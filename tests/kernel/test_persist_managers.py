# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""udev, networkd, NetworkManager and dhcpcd beside our links."""

import re
import subprocess

import pytest
from module_host import warnings
from persist_lab import (
    GROUP,
    NETWORKD,
    OTHER_GROUP,
    PERSIST,
    RUN,
    UDEVD,
    need,
    play_boot,
    row_of,
    start_udev,
    three_uplinks,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("clean_boot")


@pytest.mark.parametrize("waits", [False, True])
def test_udev_that_wakes_late_does_not_overwrite_the_owner(waits):
    with three_uplinks() as host:
        rule = f'SUBSYSTEM=="macvtap", GROUP="{OTHER_GROUP}", MODE="0666", SYMLINK+="macvtap/seen-%k"'
        host.run(["tee", "/etc/udev/rules.d/60-other.rules"], input=rule + "\n")
        start_udev(host)
        pid = host.run(["pgrep", "-o", "-f", UDEVD]).stdout.strip()
        if not waits:
            # the control: a module that does not wait loses the race
            host.run(["cp", "/usr/bin/udevadm", "/run/udevadm"])
            host.run(["mount", "--bind", "/usr/bin/true", "/usr/bin/udevadm"])
        # a host so busy that udevd gets to run only a second later, or when the module is done
        host.run(["kill", "-STOP", pid])
        wake = f"kill -CONT {pid}"
        waker = host.spawn(["sh", "-c", f"sleep 1; {wake}" if waits else "true"])
        row = row_of(
            host.attach(attachments=[{"guest": "a" + RUN, "device": "eth0"}], device_group=GROUP, device_mode="0640"),
            "a" + RUN,
        )
        waker.wait()
        host.run(["sh", "-c", wake])
        host.run(["/usr/bin/udevadm" if waits else "/run/udevadm", "settle", "--timeout=10"])
        # udev did come to the node, and its rule matched
        seen = host.run(["readlink", "-f", "/dev/macvtap/seen-tap%d" % row["ifindex"]]).stdout.strip()
        assert seen == row["tap_path"]
        owner = host.run(["stat", "-c", "%G %a", row["tap_path"]]).stdout.strip()
        host.detach(guest="a" + RUN)
        assert owner == (f"{GROUP} 640" if waits else f"{OTHER_GROUP} 666")


def test_a_tap_that_is_there_gets_its_name_when_udev_is_asked():
    with three_uplinks() as host:
        start_udev(host)
        row = row_of(host.attach(attachments=[{"guest": "a" + RUN, "device": "eth0"}]), "a" + RUN)
        host.module(PERSIST, attachments=[row])
        name = "/dev/macvtap/" + row["ifname"]
        assert host.run(["test", "-e", name], check=False).returncode == 1
        host.run(["udevadm", "trigger", "--settle", "--subsystem-match=macvtap"])
        found = host.run(["readlink", "-f", name]).stdout.strip()
        host.detach(guest="a" + RUN)
        assert found == row["tap_path"]


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

    def handled():
        """The interfaces that dhcpcd begins with."""
        words = ["timeout", "5", "dhcpcd", "--test", "--nodev", "--timeout", "1", "--ipv4only", "--debug"]
        said = host.run(words, check=False)
        return {line.partition(":")[0] for line in (said.stdout + said.stderr).splitlines()}

    assert {other["ifname"], ours["ifname"]} & handled() == {other["ifname"]}
    # further down the block would belong to the interface before it
    written = host.run(["cat", "/etc/dhcpcd.conf"]).stdout
    host.run(["tee", "/etc/dhcpcd.conf"], input=original + written.removesuffix(original))
    assert {other["ifname"], ours["ifname"]} <= handled()
    host.run(["tee", "/etc/dhcpcd.conf"], input=written)
    host.module(PERSIST, state="absent", guest=["a"])
    assert host.run(["cat", "/etc/dhcpcd.conf"]).stdout == original


def start_bus(host):
    """The system's D-Bus, without any service but those that tests start."""
    need("dbus-daemon")
    host.run(["sh", "-c", "mkdir -p /run/dbus; rm -f /run/dbus/* /usr/share/dbus-1/system-services/*"])
    host.spawn(
        ["dbus-daemon", "--system", "--nofork", "--nopidfile"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: host.run(["busctl", "list"], check=False).returncode == 0, "D-Bus")


def start_networkd(host):
    need("systemd-networkd")
    host.run(["sh", "-c", "mkdir -p /run/systemd/netif/links /run/systemd/netif/leases; chmod -R 777 /run/systemd"])
    host.spawn([NETWORKD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_running_networkd_lets_go_of_our_links_and_of_nothing_else(host):
    start_udev(host)
    start_bus(host)
    policy = "[Match]\nName=eth1 macvtap*\n\n[Network]\nAddress=198.51.100.7/24\nDHCP=yes\n"
    host.run(["sh", "-c", f"mkdir -p /etc/systemd/network; printf '{policy}' >/etc/systemd/network/50-all.network"])
    row = row_of(host.attach(attachments=[{"guest": "a", "device": "eth0"}]), "a")
    host.run(["udevadm", "trigger", "--settle", "--action=add", "--subsystem-match=net"])
    start_networkd(host)

    def addresses(link):
        return host.run(["ip", "-oneline", "-4", "address", "show", "dev", link]).stdout.count("198.51.100.7")

    wait_for(lambda: addresses("eth1") and addresses(row["ifname"]), "networkd at work on both")
    monitor = host.spawn(["ip", "monitor", "address", "dev", "eth1"], stdout=subprocess.PIPE, text=True)
    foretold = host.module(PERSIST, attachments=[row], check=True)["actions"]
    assert addresses(row["ifname"]) == 1
    assert host.module(PERSIST, attachments=[row])["actions"] == foretold
    assert {"reload udev (udevadm control --reload)", "reload systemd-networkd (networkctl reload)"} <= set(foretold)
    wait_for(lambda: not addresses(row["ifname"]), "networkd without our link")
    # the guest keeps its link, and the host its address
    assert "UP" in host.link(row["ifname"])["flags"] and addresses("eth1") == 1
    again = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    assert again["actions"] == ["change macvtap0 of guest a nic 0: ipv6 true -> false"]
    monitor.kill()
    assert "eth1" not in monitor.communicate()[0]
    # from now on they are left alone
    assert not host.attach(attachments=[{"guest": "a", "device": "eth0"}], check=True)["changed"]


def test_a_stopped_networkd_is_not_started(host):
    start_bus(host)
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    actions = host.module(PERSIST, attachments=made["attachments"])["actions"]
    assert [action for action in actions if action.startswith("reload ")] == []


#: A profile of the host for a macvtap, without which NetworkManager leaves the links of others alone.
PROFILE = """\
[connection]
id=x
uuid=ea988e85-a10b-428a-b2f3-20cd63ac76b1
type=macvlan
interface-name=%s
[macvlan]
parent=eth0
mode=1
tap=true
[ipv4]
method=manual
address1=198.51.100.7/24
[ipv6]
method=link-local
"""


def test_a_running_network_manager_is_told_unless_it_would_set_a_link_down(host):
    need("NetworkManager")
    start_udev(host)
    start_bus(host)
    profiles = "/etc/NetworkManager/system-connections"
    host.run(["sh", "-c", f"mkdir -p /etc/NetworkManager/conf.d {profiles}; rm -f {profiles}/*"])
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth0"}])
    free, taken = (row_of(made, guest) for guest in "ab")
    # an address makes NetworkManager look at a link, and no more
    host.ip(f"address add 203.0.113.7/24 dev {free['ifname']}")
    host.run(["tee", f"{profiles}/x.nmconnection"], input=PROFILE % taken["ifname"])
    host.run(["chmod", "600", f"{profiles}/x.nmconnection"])
    host.spawn(["NetworkManager", "--no-daemon"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def state(row):
        listed = host.run(["nmcli", "--terse", "--fields", "DEVICE,STATE", "device"], check=False).stdout
        return dict(line.split(":", 1) for line in listed.splitlines()).get(row["ifname"])

    host.run(["udevadm", "trigger", "--settle", "--action=add", "--subsystem-match=net"])
    wait_for(lambda: state(free) == "connected (externally)" and state(taken) == "unmanaged", "NetworkManager")
    told = "reload NetworkManager (nmcli general reload conf)"
    assert told in host.module(PERSIST, attachments=[free])["actions"]
    wait_for(lambda: state(free) == "unmanaged", "NetworkManager without the link")
    assert "UP" in host.link(free["ifname"])["flags"]

    host.run(["nmcli", "device", "set", taken["ifname"], "managed", "yes"])
    wait_for(lambda: host.run(["nmcli", "connection", "up", "x"], check=False).returncode == 0, "the profile")
    for check in (True, False):
        done = host.module(PERSIST, attachments=[taken], check=check)
        assert told not in done["actions"]
        assert f"NetworkManager manages {taken['ifname']} and would bring it down" in " ".join(warnings(done))
    assert "UP" in host.link(taken["ifname"])["flags"]
    # what the warning says: it sets the link down, and then leaves it alone
    host.run(["nmcli", "general", "reload", "conf"])
    wait_for(lambda: "UP" not in host.link(taken["ifname"])["flags"], "NetworkManager without the link")
    wanted = {"guest": "b", "device": "eth0"}
    host.attach(attachments=[wanted])
    assert state(taken) == "unmanaged" and not host.attach(attachments=[wanted], check=True)["changed"]


def test_a_program_that_cannot_be_told_is_a_warning_and_reload_false_tells_none(host):
    start_udev(host)
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth0"}])
    ours, other = (row_of(made, guest) for guest in "ab")
    silent = host.module(PERSIST, attachments=[ours], reload=False)
    assert [action for action in silent["actions"] if action.startswith("reload ")] == []
    host.run(["mount", "--bind", "/usr/bin/false", "/usr/bin/udevadm"])
    try:
        done = host.module(PERSIST, attachments=[other])
    finally:
        host.run(["umount", "/usr/bin/udevadm"])
    assert any("could not be reloaded: udevadm control --reload: exit code 1" in words for words in warnings(done))
    assert done["changed"] and [row["guest"] for row in done["entries"]] == ["a", "b"]
