# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles cost on a prepared host where nothing changes, beside one task that does the same."""

import statistics

from lab import Lab

from . import fleet, machine

GUEST = """\
        name: bench
        image: /var/lib/bench.raw
        image_format: raw
        memory: 32
        accelerator: tcg
        extra_args: [-S]
"""
QEMU_TASK = f"""\
    - linuxnet.macvtap.macvtap_qemu:
{GUEST}\
        supervisor: none
"""
VEPA_ROLE = """\
    - role: linuxnet.macvtap.vepa_network
      vepa_network_name: fleet
      vepa_network_devices: [eth0]
      vepa_network_guests: "{{ guests }}"
"""
ATTACH_TASK = """\
    - linuxnet.macvtap.macvtap_attach:
        default_network: fleet
        guests: "{{ guests }}"
"""
QEMU_ROLE = f"""\
    - role: linuxnet.macvtap.qemu_guest
      qemu_guest_supervisor: none
      qemu_guest_taps: {{}}
      qemu_guest_guests:
      -
{GUEST}"""

#: role: (the play with the role, the play with the task)
PAIRS = {
    "vepa_network": ((VEPA_ROLE, "roles"), (ATTACH_TASK, "tasks")),
    "qemu_guest": ((QEMU_ROLE, "roles"), (QEMU_TASK, "tasks")),
}


def measure(counts, runs, collections, quiet=None):
    """Return rows: each role and its task in turn, over each number of hosts."""
    rows = []
    with Lab(hypervisors=max(counts)) as lab:
        for hypervisor in lab.hypervisors:
            hypervisor.run(["sh", "-c", "truncate -s 1M /var/lib/bench.raw && chmod 0666 /var/lib/bench.raw"])
        hosts = fleet.Fleet(lab, collections)
        try:
            for (role, keyword), _task in PAIRS.values():
                hosts.play((role, "false", "linear", {}), max(counts), keyword=keyword)
            for count in counts:
                for run in range(runs):
                    for name, pair in PAIRS.items():
                        for which, (text, keyword) in zip(("role", "task"), pair):
                            if quiet:
                                machine.wait_for_quiet(quiet)
                            others = machine.Others()
                            cost = hosts.play((text, "false", "linear", {}), count, keyword=keyword)
                            cost["others"] = others.busy()
                            play = {"play": f"{which}, {name}", "hosts": count, "connection": "local", "run": run}
                            rows.append({**play, **cost})
                            print(f"{play['play']}, {count} hosts, run {run + 1}: {cost['seconds']:.2f} s", flush=True)
        finally:
            gone = QEMU_ROLE + "        state: absent\n"
            hosts.play((gone, "false", "linear", {}), max(counts), keyword="roles")
    return rows


def text(rows):
    """The rows as a plain table, and under it how many times as long as its task each role took, pair by pair."""
    lines = [fleet.text(rows), ""]
    for name in PAIRS:
        for count in sorted({row["hosts"] for row in rows}):
            role, task = (
                [row for row in rows if (row["play"], row["hosts"]) == (f"{which}, {name}", count)]
                for which in ("role", "task")
            )
            seconds, processor = (
                statistics.median(one[key] / other[key] for one, other in zip(role, task)) for key in ("seconds", "cpu")
            )
            lines.append(f"{name} : its task, {count} hosts: {seconds:.2f} in seconds, {processor:.2f} in CPU time")
    return "\n".join(lines)
