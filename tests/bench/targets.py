# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From raw samples to medians with their spread, and to the table of targets."""

import collections
import statistics
from typing import NamedTuple

#: the size that the targets are about
REFERENCE = 1000
LARGE = 4000


class Figure(NamedTuple):
    """The seconds of one operation over all runs."""

    median: float
    least: float
    most: float
    runs: int

    def __str__(self):
        return f"{seconds(self.median)} ({seconds(self.least)} to {seconds(self.most)})"


def seconds(value):
    """A duration for people."""
    if abs(value) < 0.0995:
        return f"{value * 1000:.1f} ms" if abs(value) < 0.00995 else f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if abs(value) < 9.95 else f"{value:.0f} s"


def _whole(sample):
    """Seconds for all NICs, extrapolated where fewer were counted."""
    return sample["seconds"] * sample["size"] / sample["counted"]


def _work(sample):
    """Seconds without what AnsibleModule does with options and result."""
    return sample["more"]["work"]


class Results:
    """Samples by contender, operation and size."""

    def __init__(self, samples):
        self._samples = collections.defaultdict(list)
        for sample in samples:
            self._samples[sample["contender"], sample["operation"], sample["size"]].append(sample)

    def contenders(self):
        """The names of all, in the order in which they took turns."""
        return list(dict.fromkeys(contender for contender, _operation, _size in self._samples))

    def samples(self, contender, operation, size):
        """The samples of one operation, a list that may be empty."""
        return self._samples.get((contender, operation, size), [])

    def figure(self, contender, operation, size, value=None):
        """The Figure of one operation for all ``size`` NICs, None when it was not measured.

        ``value`` takes a number from a sample; default: its seconds, extrapolated where fewer NICs were counted.
        """
        return self.over([(value or _whole)(sample) for sample in self.samples(contender, operation, size)])

    def ratio(self, contender, other, operation, size):
        """How many times as long as ``other`` the contender took, run by run; None without both."""
        pairs = zip(self.samples(contender, operation, size), self.samples(other, operation, size))
        return self.over([_whole(a) / _whole(b) for a, b in pairs])

    def growth(self, contender, operation, small, large):
        """How many times as long the ``large`` size took as the ``small``, run by run; None without both."""
        pairs = zip(self.samples(contender, operation, small), self.samples(contender, operation, large))
        return self.over([_whole(b) / _whole(a) for a, b in pairs])

    @staticmethod
    def over(values):
        """The Figure of some values, None of none."""
        if not values:
            return None
        return Figure(statistics.median(values), min(values), max(values), len(values))


class Row(NamedTuple):
    """One line of the table of targets."""

    what: str
    target: str
    #: as text, with spread
    measured: str
    met: bool
    #: the same as a multiple of ``ip -batch`` and of libvirt in the same run
    of_ip: str
    of_libvirt: str


def table(results, size=REFERENCE, large=LARGE):
    """Targets and what was measured; rows without a measurement are left out."""
    rows = []

    def add(what, target, limit, figure, compared=None, text=str):
        if figure is not None:
            ratios = [_multiple(results.ratio(*compared, size)) for compared in compared or ()]
            rows.append(Row(what, target, text(figure), figure.median <= limit, *(ratios or ["", ""])))

    def against(contender, operation):
        return [(contender, other, operation) for other in ("ip -batch", "libvirt")]

    module, command = "module", "command"
    nics = f"{size} NICs"
    add(
        f"create {nics}, in the module", "1.5 x ip -batch", 1.5,
        results.ratio(module, "ip -batch", "create", size), against(module, "create"),
        lambda _ratio: str(results.figure(module, "create", size)),
    )  # fmt: skip
    add(
        f"create {nics}, beyond ping", "1.2 s", 1.2,
        results.figure(command, "create", size), against(command, "create"),
    )  # fmt: skip
    add(f"unchanged {nics}, in the module", "0.12 s", 0.12, results.figure(module, "unchanged", size))
    add("- of it our own work", "0.12 s", 0.12, results.figure(module, "unchanged", size, _work))
    add(f"unchanged {nics}, beyond ping", "0.6 s", 0.6, results.figure(command, "unchanged", size))
    add(
        f"remove {nics}, in the module", "0.03 x ip -batch", 0.03,
        results.ratio(module, "ip -batch", "remove", size), against(module, "remove"),
        lambda _ratio: str(results.figure(module, "remove", size)),
    )  # fmt: skip
    add(
        f"remove {nics}, beyond ping", "0.6 s", 0.6,
        results.figure(command, "remove", size), against(command, "remove"),
    )  # fmt: skip
    add("one NIC unchanged, in the module", "10 ms", 0.010, results.figure(module, "unchanged", 1))
    add("one NIC unchanged, beyond ping", "0.25 s", 0.25, results.figure(command, "unchanged", 1))
    for contender, where in ((module, "in the module"), (command, "beyond ping")):
        for operation in ("create", "unchanged", "remove") if large > size else ():
            growth = results.growth(contender, operation, size, large)
            add(f"growth {size} to {large}, {operation}, {where}", "4.4 x", 4.4, growth, text=_multiple)
            other = results.growth("ip -batch", operation, size, large)
            if growth is not None and other is not None:
                rows[-1] = rows[-1]._replace(of_ip=f"that of ip: {_multiple(other)}")
    nodes = results.figure(
        module, "repair nodes, by room", size, lambda sample: sample["more"]["rooms"].get("tap nodes", 0.0)
    )
    add(f"node check and ownership, {size} taps all wrong", "0.1 s", 0.1, nodes)
    peaks = [
        sample["more"]["peak_kib"] * 1024 / 1e6
        for operation in ("create", "unchanged", "remove")
        for sample in results.samples(module, operation, size)
    ]
    if peaks:
        rows.append(Row(f"peak memory, {nics}", "80 MB", f"{max(peaks):.0f} MB", max(peaks) <= 80, "", ""))
    return rows


def _multiple(figure):
    if figure is None:
        return "-"
    digits = 3 if figure.median < 0.1 else 2
    return f"{figure.median:.{digits}f} x ({figure.least:.{digits}f} to {figure.most:.{digits}f})"


def rooms(results, size=REFERENCE):
    """Where the module's time goes: (operation, [(room, Figure)]), the rest and Ansible's own share included."""
    tables = []
    for operation in ("create", "unchanged", "remove", "repair nodes"):
        samples = results.samples("module", f"{operation}, by room", size)
        if not samples:
            continue
        names = list(dict.fromkeys(name for sample in samples for name in sample["more"]["rooms"]))
        values = {name: [sample["more"]["rooms"].get(name, 0.0) for sample in samples] for name in names}
        works = [sample["more"]["work"] for sample in samples]
        values["deciding and reporting"] = [work - sum(inside) for work, *inside in zip(works, *values.values())]
        values["AnsibleModule: options in, result out"] = [s["seconds"] - work for s, work in zip(samples, works)]
        values["in all"] = [sample["seconds"] for sample in samples]
        tables.append((operation, [(name, Results.over(seconds)) for name, seconds in values.items()]))
    return tables


def shares(results, size=REFERENCE):
    """What the whole command's time beyond ping is made of: lines of (operation, Figures) in the order of SHARES."""
    lines = []
    for operation in ("create", "unchanged", "remove"):
        whole = [_whole(sample) for sample in results.samples("command", operation, size)]
        alone = [_whole(sample) for sample in results.samples("Ansible alone", operation, size)]
        work = [_work(sample) for sample in results.samples("module", operation, size)]
        if whole and alone and work:
            rest = [all_of_it - sum(known) for all_of_it, *known in zip(whole, alone, work)]
            lines.append((operation, [Results.over(values) for values in (alone, work, rest, whole)]))
    return lines


#: the columns of :func:`shares`
SHARES = ("Ansible alone", "our own work", "build, ship and import the module", "in all")
