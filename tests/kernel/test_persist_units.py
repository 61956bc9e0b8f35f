# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units of the boot: an MTU that comes late or never, links that must be silent, and nothing left in the end."""

import pytest
from persist_lab import PERSIST, RUN, SYSCTL, play_boot, three_uplinks, wait_for
from test_persist_reboot import booted_systemd

pytestmark = pytest.mark.usefixtures("clean_boot")

NICS = [{"guest": "a" + RUN, "device": "eth0"}, {"guest": "b" + RUN, "device": "usb0"}]
LISTED = "systemctl list-units --all --plain --no-legend"


def persisted(host, nics):
    """Attach and persist the guests, then lose their links as a reboot does; returns their rows."""
    rows = host.attach(attachments=nics)["attachments"]
    host.module(PERSIST, attachments=rows)
    for nic in nics:
        host.detach(guest=nic["guest"])
    return rows


def test_systemd_waits_for_a_late_mtu_and_has_nothing_of_ours_when_all_is_forgotten():
    with three_uplinks() as host:
        host.ip("link set eth0 mtu 9000", "link add usb0 type veth peer name far0", "link set usb0 up")
        persisted(host, NICS)
        host.ip("link set eth0 mtu 1500", "link delete usb0")
        with booted_systemd(host) as (beside, runner):

            def wait_until(state, unit):
                wait_for(lambda: beside("systemctl", "is-active", unit) == state, f"{unit} {state}")

            # its link is there and waits for the MTU that a network manager will set
            wait_for(host.links, "a link")
            wait_until("activating", "macvtap@eth0")
            assert [link["mtu"] for link in host.links().values()] == [1500]
            host.ip("link set eth0 mtu 9000")
            wait_until("active", "macvtap@eth0")
            assert [(link["mtu"], "UP" in link["flags"]) for link in host.links().values()] == [(9000, True)]
            # one that failed and one that runs
            wait_until("failed", "macvtap@usb0")
            before = beside("sh", "-c", LISTED)
            assert "macvtap@eth0" in before and "macvtap@usb0" in before and "macvtap.target" in before
            forget = {"state": "absent", "guest": [nic["guest"] for nic in NICS]}
            foretold = host.module(PERSIST, check=True, runner=runner, **forget)
            done = host.module(PERSIST, runner=runner, **forget)
            assert foretold["actions"] == done["actions"]
            units = "macvtap@eth0.service, macvtap@usb0.service, macvtap.target, system-macvtap.slice"
            assert done["actions"][-1] == f"stop {units}"

            def left():
                rows = [line.split()[0] for line in beside("sh", "-c", LISTED).splitlines()]
                return [unit for unit in rows if unit.startswith(("macvtap", "system-macvtap", "qemu-guest@"))]

            wait_for(lambda: not left(), "the end of the units")
            # the links of guests are theirs
            assert [link["mtu"] for link in host.links().values()] == [9000]
        host.detach(guest=NICS[0]["guest"])


def test_an_mtu_that_never_comes_is_named_and_the_links_are_up_with_what_there_is(host):
    nics = [{"guest": "a", "device": "eth0", "mtu": 1400}, {"guest": "b", "device": "eth0"}]
    persisted(host, nics)
    host.run(["sed", "-i", "s/seq 30/seq 1/", "/etc/macvtap/boot/links.sh"])
    host.ip("link set eth0 mtu 1420")
    results = play_boot(host, "eth0")
    assert results[-1].returncode != 0
    said = "lower device eth0 has MTU 1420, less than the boot files have for (name and MTU): macvtap1 1500."
    assert said in results[-1].stderr and "Invalid argument" not in results[-1].stderr
    assert {name: (link["mtu"], "UP" in link["flags"]) for name, link in host.links().items()} == {
        "macvtap0": (1400, True), "macvtap1": (1420, True),
    }  # fmt: skip
    told = host.module("macvtap_info")
    assert [row["requested"] for row in told["attachments"]] == [{"mtu": 1400}, {}]
    # once it is there, the unit is started again
    host.ip("link set eth0 mtu 1500")
    assert [done.returncode for done in play_boot(host, "eth0")] == [0, 0, 0, 0]
    assert [link["mtu"] for link in host.links().values()] == [1400, 1500]


def test_the_boot_reads_sysctls_of_links_that_are_not_there_without_a_word(host):
    (row,) = persisted(host, [{"guest": "a", "device": "eth0"}])
    read = host.run([SYSCTL, f"--prefix=/net/ipv6/conf/{row['ifname']}"], check=False)
    assert (read.returncode, read.stdout + read.stderr) == (0, "")


def test_a_link_whose_ipv6_cannot_be_switched_off_stays_down_and_is_named(host):
    nics = [{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth0", "isolate_host": False}]
    rows = persisted(host, nics)
    host.run(["rm", "/etc/sysctl.d/90-macvtap-eth0.conf"])
    results = play_boot(host, "eth0")
    assert results[-1].returncode != 0
    said = f"cannot be switched off (name and interface index), so these stay down: {rows[0]['ifname']}"
    assert said in results[-1].stderr
    assert {name: "UP" in link["flags"] for name, link in host.links().items()} == {
        rows[0]["ifname"]: False, rows[1]["ifname"]: True,
    }  # fmt: skip
