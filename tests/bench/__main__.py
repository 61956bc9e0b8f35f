# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmark from the command line; see --help.

Contenders take turns, so that what else the machine does hits all alike. Figures are medians over the runs.
"""

import argparse
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import Lab, LabError

from bench import contenders, fleet, libvirt, machine, report, roles, targets

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUTPUT = os.path.join(CHECKOUT, "docs", "benchmarks")
CHOICES = ("module", "command", "playbook", "alone", "ip", "loop", "libvirt")


def parse(words):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="tools/bench.sh", description=__doc__)
    parser.add_argument("--sizes", default="10,100,1000,4000", help="numbers of NICs, comma-separated")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--contenders", default=",".join(CHOICES), help="comma-separated (default: all)")
    parser.add_argument("--nics", type=int, default=25, help="of the libvirt guest")
    parser.add_argument("--output", default=OUTPUT, help="directory for results.json, results.svg, README.md")
    parser.add_argument(
        "--quiet", type=float, metavar="CORES", help="before each turn, wait until others use less than this"
    )
    parser.add_argument("--fleet", type=int, metavar="HOSTS", help="measure a play over so many hypervisors instead")
    parser.add_argument("--roles", metavar="HOSTS", help="measure the roles beside a task instead, such as 1,20")
    return parser.parse_args(words)


def measure(options, collections, save):
    """Let the contenders take their turns; hand the samples so far to ``save`` after each round."""
    sizes = [int(size) for size in options.sizes.split(",")]
    chosen = options.contenders.split(",")
    reference = min(sizes, key=lambda size: abs(size - targets.REFERENCE))
    samples = []
    with Lab(hypervisors=2) as lab:
        first, second = lab.hypervisors
        ansible = contenders.AnsibleCommand(lab, collections)
        players = {
            "module": lambda: contenders.InModule(first, collections),
            "ip": lambda: contenders.IpBatch(first),
            "alone": lambda: contenders.AnsibleAlone(ansible, first, collections),
            "command": lambda: contenders.WholeCommand(ansible),
            "playbook": lambda: contenders.Playbook(ansible),
            "loop": lambda: contenders.AnsibleLoop(ansible),
            "libvirt": lambda: libvirt.Libvirt(second, options.nics),
        }
        if "libvirt" in chosen and libvirt.missing():
            print(f"left out libvirt: this machine has no {', '.join(libvirt.missing())}", file=sys.stderr)
            chosen.remove("libvirt")
        players = {name: make() for name, make in players.items() if name in chosen}
        for size in sorted({1, *sizes}):
            for run in range(options.runs):
                for name, player in players.items():
                    if (name in ("loop", "libvirt") and size != reference) or (size == 1 and name == "ip"):
                        continue
                    samples += turn(player, size, run, first, options.quiet)
                save(samples)


def turn(player, size, run, hypervisor, quiet):
    """One contender's turn, as samples for the JSON file."""
    if quiet:
        machine.wait_for_quiet(quiet)
    others, samples = machine.Others(), []
    try:
        for sample in player.turn(size):
            row = {**sample._asdict(), "more": dict(sample.more)}
            samples.append({"contender": player.name, "run": run, "others": others.busy(), **row})
            others = machine.Others()
            took = targets.seconds(sample.seconds)
            print(f"{player.name}, {size}, run {run + 1}: {sample.operation} {took}", flush=True)
    finally:
        contenders.remove_leftovers(hypervisor)
    return samples


def snapshot():
    """Lay out the checkout's tracked files as a collection, so that edits do not disturb a run; return its root."""
    copy = subprocess.run(
        [os.path.join(CHECKOUT, "tools", "copy_tracked.sh"), os.path.join(CHECKOUT, ".cache", "bench")],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    return copy.split("/ansible_collections/")[0]


def main(options):
    """Measure, write, print."""
    description = machine.describe(CHECKOUT)
    collections = snapshot()

    def save(name, **content):
        os.makedirs(options.output, exist_ok=True)
        with open(os.path.join(options.output, name), "w", encoding="utf-8") as file:
            json.dump({"machine": description, **content}, file, indent=1)
            file.write("\n")

    if options.roles:
        counts = [int(count) for count in options.roles.split(",")]
        rows = roles.measure(counts, options.runs, collections, options.quiet)
        save("roles.json", rows=rows)
        print(roles.text(rows))
    elif options.fleet:
        rows = fleet.measure(options.fleet, options.runs, collections, options.quiet)
        save("fleet.json", hosts=options.fleet, rows=rows)
        print(fleet.text(rows))
    else:
        measure(options, collections, lambda samples: save("results.json", samples=samples))
        print(report.write(options.output))


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (LabError, contenders.BenchError) as exc:
        sys.exit(f"bench: {exc}")
