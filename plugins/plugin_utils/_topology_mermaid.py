# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Hosts as a Mermaid flowchart. PURE.

Mermaid has no grid: boxes stand in rows because invisible links (``~~~``) hold them there. It draws at most 500 links
and 50000 characters unless the page that embeds it says otherwise, so many healthy guests share a box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.linuxnet.macvtap.plugins.plugin_utils._topology import (
    Device,
    Guest,
    Host,
    Segment,
    count,
    printable,
    problems_of,
)

#: boxes of healthy guests on a segment at most, and how many stand in a row
_BOXES, _COLUMNS = 24, 4


def mermaid(hosts: Sequence[Host], title: str) -> str:
    """The flowchart."""
    lines = ["flowchart LR", f"  accTitle: {_label(title)}", f"  accDescr: {_label(_description(hosts))}"]
    red: list[str] = []
    for number, host in enumerate(hosts):
        lines += _host(f"h{number}", host, red)
    lines.append("  classDef problem fill:#ffebe9,stroke:#b3131f,color:#82071e")
    lines += [f"  class {node} problem" for node in red]
    return "\n".join(lines) + "\n"


def _description(hosts: Sequence[Host]) -> str:
    return "%s, %s" % (count(len(hosts), "host"), count(sum(len(list(problems_of(host))) for host in hosts), "problem"))


def _host(node: str, host: Host, red: list[str]) -> Iterator[str]:
    yield '  subgraph %s["%s"]' % (node, _label(host.name))
    yield "    direction LR"
    if not host.devices and not host.problems:
        yield '    %sn["no macvtap network"]' % node
    if host.problems:
        yield '    %sp["%s"]' % (node, _lines(["! " + text for text in host.problems]))
        red.append(node + "p")
    for number, device in enumerate(host.devices):
        yield from _device(f"{node}d{number}", device, red)
    yield "  end"


def _device(node: str, device: Device, red: list[str]) -> Iterator[str]:
    yield '    %s["%s"]' % (node, _lines([device.name, *device.facts, *("! " + text for text in device.problems)]))
    if device.problems or device.is_missing:
        red.append(node)
    for number, segment in enumerate(device.segments):
        yield from _segment(f"{node}s{number}", segment, red)
        yield f"    {node} --- {node}s{number}"


def _segment(node: str, segment: Segment, red: list[str]) -> Iterator[str]:
    name = _label(", ".join(filter(None, (segment.name, segment.mode))))
    if not segment.guests:
        yield '    %s(["%s<br/>no guests"])' % (node, name)
        return
    yield '    subgraph %s["%s"]' % (node, name)
    yield "      direction LR"
    boxes = list(_boxes(segment.guests))
    for number, (guests, is_bad) in enumerate(boxes):
        box = f"{node}g{number}"
        yield '      %s["%s"]' % (box, _lines([line for guest in guests for line in _guest(guest)]))
        if is_bad:
            red.append(box)
    for begin in range(0, len(boxes), _COLUMNS):
        row = [f"{node}g{number}" for number in range(begin, min(begin + _COLUMNS, len(boxes)))]
        if len(row) > 1:
            yield "      " + " ~~~ ".join(row)
    yield "    end"


def _boxes(guests: Sequence[Guest]) -> Iterator[tuple[list[Guest], bool]]:
    """Guests by box: each with a problem in a box of its own, first."""
    healthy = [guest for guest in guests if not guest.problems]
    yield from (([guest], True) for guest in guests if guest.problems)
    size = -(-len(healthy) // _BOXES) or 1
    yield from ((healthy[begin : begin + size], False) for begin in range(0, len(healthy), size))


def _guest(guest: Guest) -> Iterator[str]:
    name = guest.name if guest.is_ours else guest.name + " (not ours)"
    taps = [tap.path.rpartition("/")[2] + ("" if tap.is_live else " (next boot)") for tap in guest.taps]
    yield f"{name}: {', '.join(taps)}"
    yield from ("! " + text for text in guest.problems)


def _lines(texts: Sequence[str]) -> str:
    return "<br/>".join(map(_label, texts))


def _label(text: str) -> str:
    """Text for a quoted label: everything but letters, digits and spaces as the number of its character.

    Mermaid would take quotes, brackets, ``%%``, Markdown and HTML for its own.
    """
    return "".join(char if char.isalnum() or char == " " else f"#{ord(char)};" for char in printable(text))
