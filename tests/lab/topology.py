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

from .namespace import Holder, LabError, Namespace, require_lab_support

BRIDGE = "br0"

# Makes the lab's directory, and removes it when the owner is gone, however and whenever it went: the pipe it reads from
# closes then.
JANITOR = """
trap "" INT TERM HUP
directory=$(mktemp -d -t linuxnet-lab-XXXXXXXX) || exit
echo "$directory"
cat >/dev/null
rm -rf -- "$directory"
"""


class Switch(Namespace):
    """A namespace with a bridge, ``br0``; uplinks of hypervisors end in its ports, eth0 of hypervisor0 in ``h0-eth0``.

    Attributes: ``ports``, their names; ``addresses``, those of the bridge, as ``address/length``.
    """

    def __init__(self, pid, ports=(), addresses=()):
        super().__init__("switch", pid)
        self.ports = list(ports)
        self.addresses = list(addresses)

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

    Attributes: ``python``, a script that runs an interpreter inside, for ansible_python_interpreter; ``uplinks``;
    ``ports``, those of the switch in the same order; ``addresses`` of the first uplink.
    """

    def __init__(self, name, pid, python, uplinks, ports, addresses=()):
        super().__init__(name, pid)
        self.python = python
        self.uplinks = list(uplinks)
        self.ports = list(ports)
        self.addresses = list(addresses)


class Topology:
    """A running lab, built by this process or, with attach(), by another.

    Attributes: ``directory``, ``hypervisors``, ``switch``.
    """

    @classmethod
    def attach(cls, path):
        """Return the running lab whose description write_description() left in ``path``."""
        with open(path, encoding="utf-8") as file:
            description = json.load(file)
        topology = cls.__new__(cls)
        topology.directory = description["directory"]
        topology.switch = Switch(**description["switch"])
        topology.hypervisors = [Hypervisor(**hypervisor) for hypervisor in description["hypervisors"]]
        return topology

    def write_description(self, path=None):
        """Write what attach() needs to ``path`` (default: into the lab's directory); return the path."""
        switch = {key: getattr(self.switch, key) for key in ("pid", "ports", "addresses")}
        keys = ("name", "pid", "python", "uplinks", "ports", "addresses")
        hypervisors = [{key: getattr(hypervisor, key) for key in keys} for hypervisor in self.hypervisors]
        description = {"directory": self.directory, "switch": switch, "hypervisors": hypervisors}
        return self._write(path or os.path.join(self.directory, "lab.json"), description)

    def inventory(self):
        """Return the Ansible inventory of the hypervisors, as a dict in the YAML inventory's form."""
        hosts = {hypervisor.name: self._host_variables(hypervisor) for hypervisor in self.hypervisors}
        return {"hypervisors": {"hosts": hosts}}

    def write_inventory(self, path=None):
        """Write the inventory to ``path`` (default: into the lab's directory) for ``ansible -i``; return the path."""
        return self._write(path or os.path.join(self.directory, "inventory.json"), self.inventory())

    def _host_variables(self, hypervisor):
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": hypervisor.python,
            # Not below the home directory: what a killed run leaves behind goes with the lab.
            "ansible_remote_tmp": os.path.join(self.directory, "ansible-" + hypervisor.name),
            "lab_uplinks": hypervisor.uplinks,
            "lab_addresses": hypervisor.addresses,
        }

    @staticmethod
    def _write(path, content):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
        return path


class Lab(Topology):
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
        self._stack = contextlib.ExitStack()
        self._namespaces = []
        try:
            self.directory = self._make_directory()
            self.switch = self._make_switch()
            self.hypervisors = [self._make_hypervisor(index, uplinks, python) for index in range(hypervisors)]
            self._namespaces = [self.switch, *self.hypervisors]
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
        for namespace in self._namespaces:
            namespace.reap()

    def _make_directory(self):
        # No stream is inherited: who reads our caller's output would wait for the end of the lab.
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        janitor = subprocess.Popen(["sh", "-c", JANITOR], cwd="/", start_new_session=True, text=True, **streams)
        self._stack.callback(janitor.wait)
        for stream in (janitor.stderr, janitor.stdout, janitor.stdin):
            self._stack.callback(stream.close)
        directory = janitor.stdout.readline().rstrip("\n")
        if not directory:
            raise LabError(janitor.stderr.read().strip())
        return directory

    def _hold(self, name):
        holder = Holder(name, self.directory)
        self._stack.callback(holder.close)
        return holder.pid

    def _make_switch(self):
        switch = Switch(self._hold("switch"))
        # Snooping would hold back multicast until somebody has joined: a plain switch floods.
        switch.ip(f"link add {BRIDGE} type bridge stp_state 0 mcast_snooping 0", f"link set {BRIDGE} up")
        return switch

    def _make_hypervisor(self, index, uplinks, python):
        name = f"hypervisor{index}"
        namespace = Namespace(name, self._hold(name))
        wrapper = namespace.write_interpreter(self.directory, python)
        return Hypervisor(name, namespace.pid, wrapper, uplinks, [f"h{index}-{uplink}" for uplink in uplinks])

    def _connect(self, hairpin):
        for hypervisor in self.hypervisors:
            lines = []
            for uplink, port in zip(hypervisor.uplinks, hypervisor.ports):
                lines.append(f"link add {port} type veth peer name {uplink} netns {hypervisor.pid}")
                # A port that had an address of its own would talk to the hypervisors.
                lines.append(f"link set {port} addrgenmode none master {BRIDGE} up")
            self.switch.ip(*lines)
            hypervisor.ip(*(f"link set {uplink} up" for uplink in hypervisor.uplinks))
            self.switch.ports += hypervisor.ports
        self.switch.set_hairpin(hairpin)

    def _give_addresses(self, subnets):
        hosts = [(self.switch, BRIDGE, 1)]
        hosts += [(hypervisor, hypervisor.uplinks[0], 11 + index) for index, hypervisor in enumerate(self.hypervisors)]
        for subnet in subnets:
            for namespace, link, number in hosts:
                address = f"{subnet[number]}/{subnet.prefixlen}"
                # Without nodad an IPv6 address could not be used for the first second or two.
                namespace.ip(f"address add {address} dev {link}" + (" nodad" if subnet.version == 6 else ""))
                namespace.addresses.append(address)
