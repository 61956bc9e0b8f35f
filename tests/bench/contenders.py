# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is measured: the module, the whole ``ansible`` command, ``ip -batch``, and an Ansible loop over ``ip``.

All do the same to the same hypervisor of the lab: links with MAC, ifindex, mode and alias, silent for the host (no ARP,
no IPv6), open for all multicast, up. A contender's ``turn(size)`` makes that many, does with them what it can, removes
them, and yields one :class:`Sample` per operation. :class:`AnsibleAlone` does nothing: what it takes is the least that
any module can take which is asked the same and answers the same.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
INSIDE = os.path.join(HERE, "inside.py")
LIBRARY = os.path.join(HERE, "library")
MODULE = "linuxnet.macvtap.macvtap_attach"
#: of the whole command: the options besides the attachments
OPERATIONS = (("create", {}), ("unchanged", {}), ("remove", {"state": "absent"}))
LOWER = "eth0"
#: deleted one by one, a link costs the kernel 17 ms: of more than this, so many are timed and the rest goes as a group
MOST_DELETED_ONE_BY_ONE = 1000
SAMPLE_DELETED_ONE_BY_ONE = 250
#: NICs of the Ansible loop, which takes more than half a second for each
LOOP_SIZE = 10


class Sample(NamedTuple):
    """One measured operation."""

    operation: str
    #: NICs that were there, or were meant to be
    size: int
    #: NICs that the measured seconds were spent on; fewer than ``size`` where the rest is extrapolated
    counted: int
    seconds: float
    user: float = 0.0
    system: float = 0.0
    #: more figures of this contender alone, by name
    more: Mapping[str, Any] = MappingProxyType({})


class BenchError(Exception):
    """A contender failed at its job; the text says what it said."""


def inside(hypervisor, request, collections=""):
    """Let inside.py measure ``request`` in the hypervisor; return its answer."""
    environment = dict(os.environ, PYTHONPATH=collections)
    done = hypervisor.run([sys.executable, INSIDE], input=json.dumps(request), env=environment, timeout=1800)
    answer = json.loads(done.stdout)
    if answer["failed"]:
        raise BenchError(f"{request.get('module') or request['command']}: {answer['failed']}")
    return answer


def wanted(size):
    """Return the attachments of ``size`` guests with one NIC each."""
    return [{"guest": f"guest{number}", "device": LOWER} for number in range(size)]


def remove_leftovers(hypervisor):
    """Delete every macvtap by way of a group, so that the next turn starts from nothing."""
    names = hypervisor.run(["sh", "-c", "ip -br link show type macvtap | cut -d@ -f1"]).stdout.split()
    if names:
        hypervisor.ip(*(f"link set {name} group 77" for name in names), "link del group 77")
    hypervisor.run(["sh", "-c", "find /dev -maxdepth 1 -name 'tap[0-9]*' -delete"])


class InModule:
    """The module in a process of its own, timed from after the imports."""

    name = "module"

    def __init__(self, hypervisor, collections):
        self._hypervisor = hypervisor
        self._collections = collections

    def turn(self, size):
        """Create, run again, repair all nodes, remove; and one attachment of those."""
        taps = wanted(size)
        owner = {"device_owner": "nobody", "device_group": "nogroup", "device_mode": "0660"}
        yield self._sample("create", size, size, True, attachments=taps)
        yield self._sample("unchanged", size, size, False, attachments=taps)
        yield self._sample("one of them", size, 1, False, attachments=taps[:1])
        yield self._sample("repair nodes", size, size, True, attachments=taps, **owner)
        # the same with a look into the rooms, which costs a little itself
        self._spoil_nodes()
        yield self._sample("repair nodes, by room", size, size, True, True, attachments=taps, **owner)
        yield self._sample("remove", size, size, True, attachments=taps, state="absent")
        yield self._sample("create, by room", size, size, True, True, attachments=taps)
        yield self._sample("unchanged, by room", size, size, False, True, attachments=taps)
        yield self._sample("remove, by room", size, size, True, True, attachments=taps, state="absent")

    def _spoil_nodes(self):
        spoil = "find /dev -maxdepth 1 -name 'tap[0-9]*' -exec chown 0:0 {} + -exec chmod 0600 {} +"
        self._hypervisor.run(["sh", "-c", spoil])

    def _sample(self, operation, size, counted, changed, rooms=False, **arguments):
        request = {"module": "macvtap_attach", "arguments": arguments, "rooms": rooms}
        answer = inside(self._hypervisor, request, self._collections)
        if (answer["changed"], answer["count"]) != (changed, counted):
            raise BenchError(f"{operation} of {size}: changed={answer['changed']}, {answer['count']} attachments")
        more = {key: answer[key] for key in ("work", "imports", "peak_kib", "output_bytes")}
        if rooms:
            more["rooms"] = answer["rooms"]
        return Sample(operation, size, counted, answer["seconds"], answer["user"], answer["system"], more)


class AnsibleCommand:
    """Runs ``ansible`` and ``ansible-playbook`` on the hypervisor, with their default settings and no configuration."""

    def __init__(self, lab, collections):
        self.directory = os.path.join(lab.directory, "controller")
        os.makedirs(self.directory, exist_ok=True)
        configuration = self.write("ansible.cfg", "")
        self._inventory = lab.write_inventory()
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        self._environment.update(
            ANSIBLE_CONFIG=configuration,
            ANSIBLE_COLLECTIONS_PATH=collections,
            ANSIBLE_HOME=os.path.join(self.directory, "home"),
            ANSIBLE_NOCOLOR="1",
        )

    def write(self, name, content):
        """Write a file for a command to use; return its path."""
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    def run(self, program, *arguments, **environment):
        """Run it; return (seconds, user seconds, system seconds), those of all its processes."""
        command = [os.path.join(os.path.dirname(sys.executable), program), "-i", self._inventory, *arguments]
        output = os.path.join(self.directory, "output")
        with open(output, "w", encoding="utf-8") as file:
            before, started = os.times(), time.perf_counter()
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=dict(self._environment, **environment),
                check=False,
            )
            seconds, after = time.perf_counter() - started, os.times()
        if done.returncode:
            with open(output, encoding="utf-8") as file:
                raise BenchError(f"{' '.join(command)}: {file.read()[-2000:]}")
        return seconds, after.children_user - before.children_user, after.children_system - before.children_system

    def result(self):
        """What the last ``ansible`` command printed as its only host's result."""
        with open(os.path.join(self.directory, "output"), encoding="utf-8") as file:
            return json.loads(file.read().split(" => ", 1)[1])


class WholeCommand:
    """``ansible -m macvtap_attach`` from start to end, less the same command with ``ansible.builtin.ping`` before it.

    That is the same down to the variables; what they cost to load is in ``more``, from a third command.
    """

    name = "command"

    def __init__(self, ansible):
        self._ansible = ansible

    def turn(self, size):
        """Create, run again, remove."""
        variables = self._variables(size)
        for operation, options in OPERATIONS:
            yield self._sample(operation, size, variables, MODULE, options)

    def _variables(self, size):
        return self._ansible.write("taps.json", json.dumps({"taps": wanted(size)}))

    def _sample(self, operation, size, variables, module, options):
        arguments = {"attachments": "{{ taps }}", **options}
        bare = self._run("ansible.builtin.ping", {})
        ping = self._run("ansible.builtin.ping", {}, "-e", f"@{variables}")
        whole = self._run(module, arguments, "-e", f"@{variables}")
        beyond = [more - less for more, less in zip(whole, ping)]
        return Sample(operation, size, size, *beyond, {"whole": whole[0], "ping": ping[0], "bare ping": bare[0]})

    def _run(self, module, arguments, *options):
        words = ["-a", json.dumps(arguments)] if arguments else []
        return self._ansible.run("ansible", "hypervisor0", *options, "-m", module, *words)


class Playbook(WholeCommand):
    """The same as a playbook, which does not print the result."""

    name = "playbook"

    def _run(self, module, arguments, *options):
        play = {"hosts": "hypervisor0", "gather_facts": False, "tasks": [{module: arguments}]}
        return self._ansible.run("ansible-playbook", *options, self._ansible.write("play.yml", json.dumps([play])))


class AnsibleAlone(WholeCommand):
    """The command with the same options and the same result, and a module that does nothing in between."""

    name = "Ansible alone"

    def __init__(self, ansible, hypervisor, collections):
        super().__init__(ansible)
        self._hypervisor = hypervisor
        if collections not in sys.path:
            sys.path.insert(0, collections)
        module = importlib.import_module(
            f"ansible_collections.{MODULE.replace('macvtap.', 'macvtap.plugins.modules.')}"
        )
        self._carried = {"argument_spec": module.ARGUMENT_SPEC}

    def turn(self, size):
        """Let the real module work once for its results, then carry each of them."""
        variables = self._variables(size)
        for operation, options in OPERATIONS:
            self._run(MODULE, {"attachments": "{{ taps }}", **options}, "-e", f"@{variables}")
            carried = json.dumps({**self._carried, "result": self._ansible.result()})
            self._hypervisor.run(["sh", "-c", "mkdir -p /run/bench; cat >/run/bench/carried.json"], input=carried)
            yield self._sample(operation, size, variables, "bench_carry", options)

    def _run(self, module, arguments, *options):
        return super()._run(module, arguments, "-M", LIBRARY, *options)


class IpBatch:
    """``ip -batch``: what a shell script in a hurry does; it makes links, no nodes, and looks at nothing."""

    name = "ip -batch"

    def __init__(self, hypervisor):
        self._hypervisor = hypervisor

    def turn(self, size):
        """Create, list, remove one by one."""
        names = [f"bench{number}" for number in range(size)]
        create, up = [], []
        for number, name in enumerate(names):
            mac = ":".join(f"{octet:02x}" for octet in (2, 0xBE, *number.to_bytes(4, "big")))
            alias = f"linuxnet.bench guest=guest{number} nic=0"
            kind = f"index {(1 << 29) + number} type macvtap mode vepa"
            create.append(f"link add link {LOWER} name {name} address {mac} {kind}")
            create.append(f"link set dev {name} alias '{alias}' arp off allmulticast on")
            up.append(f"link set dev {name} up")
        script = (
            "set -e; ip -batch {0}/create; while read -r name; do echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6;"
            " done <{0}/names; ip -batch {0}/up"
        )
        yield self._sample("create", size, size, script, create=create, names=names, up=up)
        yield self._sample("unchanged", size, size, "ip -details -json link show type macvtap >/dev/null")
        deleted = names if size <= MOST_DELETED_ONE_BY_ONE else names[:SAMPLE_DELETED_ONE_BY_ONE]
        lines = [f"link del dev {name}" for name in deleted]
        yield self._sample("remove", size, len(deleted), "ip -batch {0}/delete", delete=lines)
        remove_leftovers(self._hypervisor)

    def _sample(self, operation, size, counted, script, **files):
        directory = "/run/bench"
        for name, lines in files.items():
            writer = ["sh", "-c", f"mkdir -p {directory}; cat >{directory}/{name}"]
            self._hypervisor.run(writer, input="\n".join(lines) + "\n")
        answer = inside(self._hypervisor, {"command": ["sh", "-c", script.format(directory)]})
        return Sample(operation, size, counted, answer["seconds"], answer["user"], answer["system"])


LOOP = """\
- hosts: hypervisor0
  gather_facts: false
  tasks:
{tasks}
"""
LOOP_TASK = """\
    - ansible.builtin.command: {command}
      loop: "{{{{ range({size}) | list }}}}"
"""


class AnsibleLoop:
    """A playbook that loops over ``ip`` commands, less ping; of a few NICs, extrapolated to all."""

    name = "Ansible loop"

    def __init__(self, ansible):
        self._ansible = ansible

    def turn(self, size):
        """Create and remove."""
        number = "{{ item }}"
        commands = {
            "create": [
                f"ip link add link {LOWER} name bench{number} address 02:be:00:00:01:{{{{ '%02x' % item }}}}"
                f" index {{{{ 536870912 + item }}}} type macvtap mode vepa",
                f"ip link set dev bench{number} alias guest{number} arp off allmulticast on",
                f"sysctl -qw net.ipv6.conf.bench{number}.disable_ipv6=1",
                f"ip link set dev bench{number} up",
            ],
            "remove": [f"ip link del dev bench{number}"],
        }
        for operation, lines in commands.items():
            tasks = "".join(LOOP_TASK.format(command=json.dumps(line), size=LOOP_SIZE) for line in lines)
            playbook = self._ansible.write(f"{operation}.yml", LOOP.format(tasks=tasks))
            ping = self._ansible.run("ansible", "hypervisor0", "-m", "ansible.builtin.ping")
            whole = self._ansible.run("ansible-playbook", playbook)
            yield Sample(operation, size, LOOP_SIZE, *(more - less for more, less in zip(whole, ping)))
