# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's wiring: hypervisors whose uplinks end in the ports of one switch."""

import contextlib
import ipaddress
import json
import os
import subprocess
import sys
import tempfile

from .namespace import LabError, Namespace, require_lab_support

BRIDGE = "br0"

# Removes the lab's directory when the owner is gone, however it went: the pipe it reads from closes then.
JANITOR = ["sh", "-c", 'trap "" INT TERM HUP; cat >/dev/null; rm -rf -- "$0"']


class Switch(Namespace):
    """A namespace with a bridge, ``br0``; uplinks of hypervisors end in its ports, eth0 of hypervisor0 in ``h0-eth0``.

    Attributes: ``ports``, their names; ``addresses``, those of the bridge, as ``address/length``.
    """

    def __init__(self, directory):
        super().__init__("switch", directory)
        self.ports = []
        self.addresses = []
        # Snooping would hold back multicast until somebody has joined: a plain switch floods.
        self.ip(f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0", f"link set {BRIDGE} up")

    def set_hairpin(self, port="all", reflect=True):
        """Let ``port`` (a name, or "all") reflect frames to where they came from (802.1Qbg reflective relay), or not.

        ``set_hairpin(False)`` is short for all ports.
        """
        if isinstance(port, bool):
            port, reflect = "all", port
        chosen = self.ports if port == "all" else [port]
        self.ip(*(f"link set {name} type bridge_slave hairpin {'on' if reflect else 'off'}" for name in chosen))


class Hypervisor(Namespace):
    """A namespace that looks like a virtualisation host.

    Attributes: ``uplinks``; ``ports``, those of the switch in the same order; ``addresses`` of the first uplink.
    """

    def __init__(self, index, directory, uplinks, python):
        super().__init__(f"hypervisor{index}", directory, python)
        self.uplinks = list(uplinks)
        self.ports = [f"h{index}-{uplink}" for uplink in uplinks]
        self.addresses = []


class Lab:
    """Hypervisors around a switch; a context manager.

    Arguments:
        hypervisors: how many.
        uplinks: names of the NICs of each of them.
        hairpin: whether the switch ports reflect at first.
        subnets: networks ("192.0.2.0/24", "2001:db8::/64") from which the bridge (host part 1) and the first uplink of
            each hypervisor (host part 11, 12 …) get an address.
        python: interpreter that ``hypervisor.python`` starts inside.
    Attributes: ``hypervisors``, ``switch``, ``directory`` (temporary).
    Errors: LabError where namespaces cannot be made.
    Make and use it in one thread: the lab ends when the thread that made it does.
    """

    def __init__(self, hypervisors=1, uplinks=("eth0",), hairpin=True, subnets=(), python=sys.executable):
        require_lab_support()
        too_long = [uplink for uplink in uplinks if len(f"h{hypervisors - 1}-{uplink}") > 15]
        if too_long:
            raise LabError(f"uplink names leave no room for the port names made of them: {', '.join(too_long)}")
        self.hypervisors = []
        self._stack = contextlib.ExitStack()
        try:
            self.directory = self._make_directory()
            self.switch = self._enter(Switch(self.directory))
            for index in range(hypervisors):
                self.hypervisors.append(self._enter(Hypervisor(index, self.directory, uplinks, python)))
            self._connect(hairpin)
            self._give_addresses([ipaddress.ip_network(subnet) for subnet in subnets])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Take everything down; harmless when done already."""
        self._stack.close()

    def _enter(self, namespace):
        self._stack.callback(namespace.close)
        return namespace

    def _make_directory(self):
        directory = tempfile.mkdtemp(prefix="linuxnet-lab-")
        janitor = subprocess.Popen(JANITOR + [directory], stdin=subprocess.PIPE, cwd="/", start_new_session=True)
        self._stack.callback(janitor.wait)
        self._stack.callback(janitor.stdin.close)
        return directory

    def _connect(self, hairpin):
        lines = []
        for hypervisor in self.hypervisors:
            for uplink, port in zip(hypervisor.uplinks, hypervisor.ports):
                lines.append(f"link add {port} type veth peer name {uplink} netns {hypervisor.pid}")
                lines.append(f"link set {port} addrgenmode none master {BRIDGE} up")
            self.switch.ports += hypervisor.ports
        if lines:
            self.switch.ip(*lines)
        for hypervisor in self.hypervisors:
            hypervisor.ip(*(f"link set {uplink} up" for uplink in hypervisor.uplinks))
        if hairpin:
            self.switch.set_hairpin(True)

    def _give_addresses(self, subnets):
        hosts = [(self.switch, BRIDGE, 1)]
        hosts += [(hypervisor, hypervisor.uplinks[0], 11 + index) for index, hypervisor in enumerate(self.hypervisors)]
        for subnet in subnets:
            for namespace, link, number in hosts:
                address = f"{subnet[number]}/{subnet.prefixlen}"
                # Without nodad an IPv6 address could not be used for the first second or two.
                namespace.ip(f"address add {address} dev {link}" + (" nodad" if subnet.version == 6 else ""))
                namespace.addresses.append(address)

    def inventory(self):
        """The Ansible inventory of the hypervisors, as a dict in the YAML inventory's form."""
        hosts = {hypervisor.name: self._host_variables(hypervisor) for hypervisor in self.hypervisors}
        return {"hypervisors": {"hosts": hosts}}

    def _host_variables(self, hypervisor):
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": hypervisor.python,
            # Not below the home directory: what a killed run leaves behind goes with the lab.
            "ansible_remote_tmp": os.path.join(self.directory, "ansible-" + hypervisor.name),
            "lab_uplinks": hypervisor.uplinks,
            "lab_addresses": hypervisor.addresses,
        }

    def write_inventory(self, path=None):
        """Write the inventory to ``path`` (default: into the lab's directory) for ``ansible -i``; return the path."""
        path = path or os.path.join(self.directory, "inventory.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.inventory(), file, indent=2)
        return path
