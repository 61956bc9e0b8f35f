# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the scenarios: one whole machine for all of them, as freshly booted before each."""

import os
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS), str(TESTS / "vm"), str(TESTS / "kernel" / "support")]

from machine import BOOTED, NICS, SWITCH, Machine  # noqa: E402
from module_host import ModuleHost, result_of  # noqa: E402

#: The other ends of the cables: ports of a bridge that reflects, in a namespace.
SWITCH_SCRIPT = """
ip netns add switch
ip -n switch link add br0 type bridge
ip -n switch link set br0 up
for port; do
    ip link set $port netns switch
    ip -n switch link set $port master br0 up
    ip netns exec switch bridge link set dev $port hairpin on
done
"""


class MachineHost(ModuleHost):
    """A whole machine as the tests of the modules see a hypervisor.

    Attributes: ``machine``; ``nic0`` (an SR-IOV card) and ``nic1``, names of its NICs, which are down.
    """

    python = "python3"

    def __init__(self, machine):
        self.machine, self.run, self.sh, self.read = machine, machine.run, machine.sh, machine.read
        self.look()
        machine.run(["sh", "-ec", SWITCH_SCRIPT, "sh", *(self.name_of(mac) for mac in SWITCH.values())])

    def look(self):
        """Learn what the NICs are called now."""
        self.nic0, self.nic1 = (self.name_of(mac) for _model, mac in NICS.values())

    def name_of(self, mac):
        """The NIC with this MAC: a link that is a device of its own."""
        script = """for link in /sys/class/net/*; do
            [ ! -e $link/device ] || ! grep -q $0 $link/address || basename $link
        done"""
        return self.run(["sh", "-c", script, mac]).stdout.split()[0]

    def module(self, name, /, *, check=False, diff=True, **options):
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
        return result_of(self.machine.ask({"module": name, "arguments": arguments}))

    def ip(self, *lines):
        self.run(["sh", "-ec", "printf '%s\\n' \"$@\" | ip -batch -", "sh", *lines])

    def write(self, path, text):
        self.run(["sh", "-ec", 'printf %s "$1" >"$0"', path, text])

    def persist(self):
        """Have the next boot make what is there."""
        return self.module("macvtap_persist", attachments=self.module("macvtap_info")["attachments"])

    def identities(self):
        """What of each link of ours must survive a reboot and a return."""
        shown = ("guest", "nic", "ifname", "ifindex", "mac", "mode", "device", "tap_path", "tap_group", "tap_mode")
        return {row["ifname"]: {key: row[key] for key in shown} for row in self.module("macvtap_info")["attachments"]}

    def failures(self):
        """What a boot complains about: units that failed, and sysctls that could not be written for links of ours."""
        return self.sh(
            "systemctl --failed --plain --no-legend; systemctl list-units --all --plain --no-legend 'macvtap*' |"
            " grep -v ' loaded ' || :; journalctl -b --no-pager -o cat | grep -i 'could.* write' || :"
        )

    def flag(self, name, flag="UP"):
        return flag in self.link(name)["flags"]


def pytest_addoption(parser):
    parser.addoption("--machine", default=os.environ.get("MACHINE", "bookworm/6.1"), help="SUITE/KERNEL")


@pytest.fixture(scope="session")
def machine(request):
    with Machine(*request.config.getoption("--machine").split("/")) as made:
        print(f"Linux {made.version} on {made.suite}")
        yield made


@pytest.fixture
def host(machine, request):
    """The machine as it was after its boot; its console goes along with a failure."""
    machine.load(BOOTED)
    yield MachineHost(machine)
    request.node.add_report_section("teardown", "console", machine.console()[-4000:])
