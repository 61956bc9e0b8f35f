# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who reaches whom in which mode, behind a switch that reflects and one that does not: the table of guide_vepa_switch.

Guests are macvlans in namespaces of their own, with an IP stack: below it, they and macvtaps are one driver.
"""

import contextlib
import subprocess

import pytest
from lab import Lab

HOST, BEYOND = "192.0.2.11", "192.0.2.1"
#: mode → whether a guest reaches (the host, the other guest), behind a reflecting port and behind another one
REACH = {
    "vepa": {True: (True, True), False: (False, False)},
    "bridge": {True: (True, True), False: (False, True)},
    "private": {True: (False, False), False: (False, False)},
}


class Guest:
    """A process in a network namespace, with a macvlan of the hypervisor's eth0."""

    def __init__(self, hypervisor, number, mode):
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
        self._process = hypervisor.spawn(["unshare", "--net", "sh", "-c", "echo $$ && exec sleep infinity"], **quiet)
        self._hypervisor = hypervisor
        self.pid = self._process.stdout.readline().strip()
        self.address = f"192.0.2.{100 + number}"
        link = f"guest{number}"
        hypervisor.run(["ip", "link", "add", link, "link", "eth0", "type", "macvlan", "mode", mode])
        hypervisor.run(["ip", "link", "set", link, "netns", self.pid])
        self.run("ip", "link", "set", link, "up")
        self.run("ip", "address", "add", self.address + "/24", "dev", link)

    def run(self, *words, check=True):
        return self._hypervisor.run(["nsenter", "--target", self.pid, "--net", *words], check=check)

    def reaches(self, address):
        """Whether one of two pings is answered."""
        return self.run("busybox", "ping", "-c", "2", "-i", "0.2", "-W", "1", address, check=False).returncode == 0

    def end(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def switched():
    with Lab(subnets=("192.0.2.0/24",)) as lab:
        yield lab


@pytest.mark.parametrize("reflects", [True, False], ids=["reflecting", "plain"])
@pytest.mark.parametrize("mode", REACH)
def test_who_reaches_whom(switched, mode, reflects):
    switched.switch.set_hairpin(reflects)
    with contextlib.ExitStack() as stack:
        guests = [Guest(switched.hypervisors[0], number, mode) for number in (1, 2)]
        for guest in guests:
            stack.callback(guest.end)
        assert guests[0].reaches(BEYOND)
        assert (guests[0].reaches(HOST), guests[0].reaches(guests[1].address)) == REACH[mode][reflects]
