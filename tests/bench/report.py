# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From results.json to what people read: the table of targets, README.md and the plot."""

import inspect
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench import roles, targets

README = """\
<!--
{licence}
-->

# Benchmark

Written by `make bench`; do not edit. Raw samples are in [results.json](results.json).

## Seconds for so many NICs

{answers}

*playbook* is a play with one task of `macvtap_attach`, less the same with a ping: what the collection adds to a play.
*module* is the part of it that the module takes on the host. The rest is Ansible's: it builds, sends and compiles the
module, checks the options of each NIC, and returns a row for each.

![seconds over the number of NICs](results.svg)

## Targets

{targets}

Under *Where the time goes* stands what the figures are made of. Not this collection's own are the kernel's time for
each link, which grows with their number as that of `ip -batch` does; Ansible's check of the options and its copy of the
result; and Ansible's building, sending and compiling of the module, which is all of what one NIC takes beyond a ping.

Median over {runs} runs, least and most in brackets. *In the module* is the module's own process from after its imports
to its exit: options, look, plan, apply, look again, result. *Beyond ping* is the whole `ansible` command less the same
with `ansible.builtin.ping` right before it. Multiples are of what the others took per NIC in the same run: contenders
take turns.

## All sizes

{sizes}

`ip -batch` makes links with MAC, ifindex, mode, alias, no ARP, no IPv6, all multicast, up, and no device nodes; its
"unchanged" is one `ip -details -json link show`. It deletes one by one. libvirt creates and destroys a guest with
{nics} NICs, less the same guest without; the Ansible loop handles {loop} NICs; both are extrapolated from there, and
so is `ip -batch` deleting more than {most}.

## Where the time goes

{rooms}

Measured apart from the figures above, since looking costs a little.

{shares}

*Ansible alone* is the same command with the same options and the same result, and a module that does nothing in
between: less than that no module can take. Building and shipping the module is what the first host of a play pays for
all. Each column is a median by itself.

{roles}
## Machine

{machine}
"""
ROLES = """\
## Roles on a prepared host

Nothing changes; each role and one task that does the same, in turn, by `connection: local` on the same processors.
Compare the ratios and the processor time: seconds depend on what else the machine does. Seconds are per host but for
those in all. Raw samples are in [roles.json](roles.json).

```text
{text}
```

A role adds tasks that run on the controller alone: the check of its variables, two includes and the export.
"""
LICENCE = "\n".join(line[2:] for line in inspect.getcomments(sys.modules[__name__]).splitlines())


def write(directory):
    """Write README.md and results.svg beside results.json; return the table of targets as plain text."""
    with open(os.path.join(directory, "results.json"), encoding="utf-8") as file:
        content = json.load(file)
    samples, results = content["samples"], targets.Results(content["samples"])
    sizes = sorted({sample["size"] for sample in samples} - {1})
    size = min(sizes, key=lambda number: abs(number - targets.REFERENCE))
    rows = targets.table(results, size, max(sizes))
    head = ["", "target", "measured", "", "of ip -batch", "of libvirt"]
    verdict = {True: "met", False: "missed"}
    lines = [[row.what, row.target, row.measured, verdict[row.met], row.of_ip, row.of_libvirt] for row in rows]
    text = README.format(
        licence=LICENCE,
        targets=_markdown(head, lines),
        answers=_answers(results, [1, *sizes]),
        sizes=_sizes(results, sizes),
        rooms="\n\n".join(_rooms(operation, lines, size) for operation, lines in targets.rooms(results, size)),
        shares=_shares(results, size),
        roles=_roles(os.path.join(directory, "roles.json")),
        machine=_machine(content["machine"], samples),
        runs=1 + max(sample["run"] for sample in samples),
        nics=_counted(samples, "libvirt"),
        loop=_counted(samples, "Ansible loop"),
        most=1000,
    )
    with open(os.path.join(directory, "README.md"), "w", encoding="utf-8") as file:
        file.write(text)
    _plot(results, sizes, size, os.path.join(directory, "results.svg"))
    return _plain(head, lines)


def _plot(results, sizes, reference, path):
    try:
        from bench import plot
    except ImportError as exc:
        print(f"no plot: {exc} (tests/requirements-bench.txt)", file=sys.stderr)
        return
    plot.draw(results, sizes, reference, path)


def _counted(samples, contender):
    return next((sample["counted"] for sample in samples if sample["contender"] == contender), "no")


def _answers(results, sizes):
    lines = []
    for operation in ("create", "unchanged", "remove"):
        for contender in ("playbook", "module", "ip -batch", "libvirt"):
            figures = [results.figure(contender, operation, size) for size in sizes]
            cells = ["-" if figure is None else targets.seconds(figure.median) for figure in figures]
            if any(figures):
                lines.append([operation, contender, *cells])
    return _markdown(["", "", *map(str, sizes)], lines)


def _sizes(results, sizes):
    lines = []
    for operation in ("create", "unchanged", "remove"):
        for contender in results.contenders():
            figures = [results.figure(contender, operation, size) for size in sizes]
            if any(figures):
                lines.append([operation, contender, *("-" if figure is None else str(figure) for figure in figures)])
    return _markdown(["", "", *(f"{size} NICs" for size in sizes)], lines)


def _rooms(operation, figures, size):
    lines = [[name, str(figure)] for name, figure in figures]
    return _markdown([f"{operation}, {size} NICs", "time"], lines)


def _shares(results, size):
    lines = [[operation, *map(str, figures)] for operation, figures in targets.shares(results, size)]
    return _markdown([f"beyond ping, {size} NICs", *targets.SHARES], lines)


def _roles(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return ROLES.format(text=roles.text(json.load(file)["rows"]))


def _machine(machine, samples):
    others = [sample["others"] for sample in samples]
    lines = [[key.replace("_", " "), str(value)] for key, value in machine.items() if value is not None]
    lines.append(["processors in use by others", f"{statistics.median(others)}, at most {max(others)}"])
    return _markdown(["", ""], lines)


def _markdown(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _plain(head, lines):
    widths = [max(len(row[column]) for row in [head, *lines]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *lines]
    )


if __name__ == "__main__":
    print(write(sys.argv[1]))
