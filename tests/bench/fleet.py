# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a play over many hypervisors costs, and where the time goes.

All hypervisors share this machine's processors, so what counts per host is processor time: of Ansible on the
controller, and of the module processes on the hosts, which a probe in their interpreter tells apart.
"""

import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys

from lab import Lab

from . import contenders, machine

PROBE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "probe")
#: guests per hypervisor
GUESTS = 10

PLAY = """\
- hosts: hypervisors
  gather_facts: {facts}
  strategy: {strategy}
  {keyword}:
{tasks}
"""
PING = """\
    - ansible.builtin.ping:
"""
ATTACH = """\
    - linuxnet.macvtap.macvtap_attach:
        attachments: "{{ taps }}"
"""
REMOVE = f"{ATTACH}        state: absent\n"
ROLE = """\
    - ansible.builtin.include_role:
        name: linuxnet.macvtap.vepa_network
      vars:
        vepa_network_name: fleet
        vepa_network_devices: [eth0]
        vepa_network_guests: "{{ guests }}"
"""
ROLE_REMOVE = f"{ROLE}        vepa_network_state: absent\n"
PIPELINING = {"ANSIBLE_PIPELINING": "1"}

#: name: (tasks, facts, strategy, settings); the order matters, since each finds what those before it left
PLAYS = {
    "ping": (PING, "false", "linear", {}),
    "ping twice": (PING * 2, "false", "linear", {}),
    "create": (ATTACH, "false", "linear", {}),
    "unchanged": (ATTACH, "false", "linear", {}),
    "unchanged, pipelining": (ATTACH, "false", "linear", PIPELINING),
    "unchanged, strategy free": (ATTACH, "false", "free", {}),
    "unchanged, gathering facts": (ATTACH, "true", "linear", {}),
    "remove": (REMOVE, "false", "linear", {}),
    "role, create": (ROLE, "false", "linear", {}),
    "role, unchanged": (ROLE, "false", "linear", {}),
    "role, unchanged, pipelining": (ROLE, "false", "linear", PIPELINING),
    "role, remove": (ROLE_REMOVE, "false", "linear", {}),
}
SSH_PLAYS = ("ping", "create", "unchanged", "unchanged, pipelining", "remove")

WRAPPER = """\
#!/bin/sh
export PYTHONPATH={probe} BENCH_PROBE={directory}
exec {python} "$@"
"""


class Fleet:
    """Hypervisors of a lab, their module processes watched."""

    def __init__(self, lab, collections):
        self._lab = lab
        self.ansible = contenders.AnsibleCommand(lab, collections)
        self._told = os.path.join(lab.directory, "probe")
        os.makedirs(self._told)
        variables = {
            "taps": contenders.wanted(GUESTS),
            "guests": [{"name": f"guest{number}", "nics": [{}]} for number in range(GUESTS)],
        }
        self._variables = self.ansible.write("fleet.json", json.dumps(variables))
        self._inventories = {"local": self._inventory("local")}

    def _inventory(self, connection, **variables):
        inventory = self._lab.inventory()
        for name, host in inventory["hypervisors"]["hosts"].items():
            python = sys.executable if connection == "ssh" else host["ansible_python_interpreter"]
            path = self.ansible.write(
                f"python-{connection}-{name}",
                WRAPPER.format(probe=shlex.quote(PROBE), directory=shlex.quote(self._told), python=shlex.quote(python)),
            )
            os.chmod(path, 0o755)
            host.update(ansible_python_interpreter=path, **{key: value(name) for key, value in variables.items()})
        return self.ansible.write(f"{connection}.json", json.dumps(inventory))

    def use_ssh(self):
        """Make the hypervisors reachable by SSH: each connection ends in an sshd of its own inside."""
        key, directory = os.path.join(self.ansible.directory, "key"), self.ansible.directory
        for path in (key, key + "-host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        shutil.copy(key + ".pub", os.path.join(directory, "authorized"))
        configuration = self.ansible.write(
            "sshd_config",
            f"HostKey {key}-host\nAuthorizedKeysFile {directory}/authorized\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin yes\nSubsystem sftp internal-sftp\n",
        )
        enter = {}
        for hypervisor in self._lab.hypervisors:
            hypervisor.run(["mkdir", "-p", "/run/sshd"])
            enter[hypervisor.name] = shlex.join([*hypervisor.enter, shutil.which("sshd"), "-i", "-f", configuration])
        common = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        self._inventories["ssh"] = self._inventory(
            "ssh",
            ansible_connection=lambda name: "ssh",
            ansible_user=lambda name: "root",
            ansible_ssh_private_key_file=lambda name: key,
            ansible_ssh_common_args=lambda name: f'{common} -o ProxyCommand="{enter[name]}"',
        )

    def _playbook(self, play, keyword="tasks"):
        tasks, facts, strategy, _settings = play
        content = PLAY.format(facts=facts, strategy=strategy, keyword=keyword, tasks=tasks)
        return self.ansible.write("play.yml", content)

    def play(self, play, hosts, connection="local", keyword="tasks"):
        """Run one of the plays, under that keyword; return what it cost."""
        playbook, settings = self._playbook(play, keyword), play[-1]
        arguments = ["-i", self._inventories[connection], "-e", f"@{self._variables}", "-f", str(hosts), playbook]
        if hosts < len(self._lab.hypervisors):
            arguments += ["--limit", f"hypervisors[0:{hosts - 1}]"]
        seconds, user, system = self.ansible.run("ansible-playbook", *arguments, **settings)
        return {"seconds": seconds, "cpu": user + system, **self._told_by_modules()}

    def _told_by_modules(self):
        told = []
        for entry in os.scandir(self._told):
            with open(entry.path, encoding="utf-8") as file:
                told.append(json.load(file))
            os.unlink(entry.path)
        sums = {key: sum(one[key] for one in told) for key in ("start", "imports", "cpu", "user", "system")}
        return {"processes": len(told), **{f"module_{key}": value for key, value in sums.items()}}

    def shipped_bytes(self):
        """Size of what Ansible copies to a host: of ping and of ours."""
        sizes = {}
        for name in ("ping", "unchanged"):
            host = self._lab.inventory()["hypervisors"]["hosts"]["hypervisor0"]
            shutil.rmtree(host["ansible_remote_tmp"], ignore_errors=True)
            playbook = self._playbook(PLAYS[name])
            arguments = ["-i", self._inventories["local"], "-e", f"@{self._variables}", "-l", "hypervisor0", playbook]
            self.ansible.run("ansible-playbook", *arguments, ANSIBLE_KEEP_REMOTE_FILES="1")
            self._told_by_modules()
            found = pathlib.Path(host["ansible_remote_tmp"]).rglob("AnsiballZ_*")
            sizes[name] = sum(path.stat().st_size for path in found)
        return sizes


def measure(hosts, runs, collections, quiet=None):
    """Return rows for fleet.json: every play, over all hosts and over one, ``runs`` times in turn."""
    rows = []
    with Lab(hypervisors=hosts) as lab:
        fleet = Fleet(lab, collections)
        plays = [(name, count, "local") for count in (hosts, 1) for name in PLAYS]
        if shutil.which("sshd") and shutil.which("ssh-keygen"):
            fleet.use_ssh()
            plays += [(name, hosts, "ssh") for name in SSH_PLAYS]
            # what opening the connections costs is not part of a run: they persist
            fleet.play(PLAYS["ping"], hosts, "ssh")
        rows.append({"shipped_bytes": fleet.shipped_bytes()})
        for run in range(runs):
            for name, count, connection in plays:
                if quiet:
                    machine.wait_for_quiet(quiet)
                others = machine.Others()
                cost = fleet.play(PLAYS[name], count, connection)
                cost["others"] = others.busy()
                rows.append({"play": name, "hosts": count, "connection": connection, "run": run, **cost})
                print(f"{name}, {count} hosts by {connection}, run {run + 1}: {cost['seconds']:.2f} s", flush=True)
    return rows


COLUMNS = (
    ("seconds in all", lambda row: row["seconds"]),
    ("seconds per host", lambda row: row["seconds"] / row["hosts"]),
    ("module runs per host", lambda row: row["processes"] / row["hosts"]),
    ("Ansible, CPU per host", lambda row: (row["cpu"] - row["module_cpu"]) / row["hosts"]),
    ("interpreter start", lambda row: row["module_start"] / row["hosts"]),
    ("imports", lambda row: row["module_imports"] / row["hosts"]),
    ("module, user", lambda row: (row["module_cpu"] - row["module_start"] - row["module_imports"]) / row["hosts"]),
    ("kernel (system)", lambda row: row["module_system"] / row["hosts"]),
)


def text(rows):
    """The rows as a plain table: medians, least and most of the seconds in all."""
    lines = [["play", "hosts", "by", *(title for title, _value in COLUMNS), "least", "most"]]
    groups = {}
    for row in rows:
        if "play" in row:
            groups.setdefault((row["play"], row["hosts"], row["connection"]), []).append(row)
    for (play, hosts, connection), group in groups.items():
        cells = [f"{statistics.median(map(value, group)):.3f}" for _title, value in COLUMNS]
        spread = [f"{choose(row['seconds'] for row in group):.2f}" for choose in (min, max)]
        lines.append([play, str(hosts), connection, *cells, *spread])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
