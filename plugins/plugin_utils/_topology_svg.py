# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Hosts as an SVG. PURE: the same hosts give the same bytes.

Each host is a panel, each lower device a bar in it, each network a label under its bar; guests hang from the network's
line as cards in as many columns as fit. Colours follow the reader's light or dark setting.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ansible_collections.linuxnet.macvtap.plugins.plugin_utils._topology import (
    Device,
    Guest,
    Host,
    Segment,
    Tap,
    count,
    printable,
    problems_of,
)
from ansible_collections.linuxnet.macvtap.plugins.plugin_utils._topology_text import clip, width, wrap

MIN_WIDTH, MAX_WIDTH = 320, 4000

_MARGIN, _PAD, _GAP = 16, 16, 12
#: from the edge of a panel to its cards: room for the line they hang from
_INDENT = 40
_CARD, _CARD_PAD = 208, 10
_LINE, _BAR, _PILL = 16, 34, 26
#: a host of that many cards at most may share its row with others, each at least so wide
_SMALL, _SMALL_PANEL = 6, 540

#: class → (light, dark)
_COLOURS = {
    "back": ("#ffffff", "#0d1117"),
    "panel": ("#f6f8fa", "#151b23"),
    "card": ("#ffffff", "#0d1117"),
    "edge": ("#c5cdd6", "#3d444d"),
    "text": ("#1f2328", "#f0f6fc"),
    "soft": ("#59636e", "#9198a1"),
    "device": ("#1f3a5f", "#2b4f80"),
    "ondevice": ("#ffffff", "#ffffff"),
    "network": ("#ddf0ff", "#12304d"),
    "wire": ("#4a90c2", "#4a90c2"),
    "held": ("#1a7f37", "#3fb950"),
    "bad": ("#b3131f", "#ff7b72"),
    "badback": ("#ffebe9", "#3c1618"),
}
_RULES = """\
.mvt{font-family:system-ui,"Segoe UI","Noto Sans","DejaVu Sans",sans-serif;font-size:12px;max-width:100%;height:auto}
.mvt text{fill:var(--mvt-text);white-space:pre}
.mvt .mono{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:11px}
.mvt .h1{font-size:20px;font-weight:600}
.mvt .h2{font-size:16px;font-weight:600}
.mvt .h3{font-size:13px;font-weight:600}
.mvt .soft{fill:var(--mvt-soft)}
.mvt .bad{fill:var(--mvt-bad)}
.mvt .on{fill:var(--mvt-ondevice)}
.mvt .back{fill:var(--mvt-back)}
.mvt .panel{fill:var(--mvt-panel);stroke:var(--mvt-edge)}
.mvt .card{fill:var(--mvt-card);stroke:var(--mvt-edge)}
.mvt .boot{stroke-dasharray:5 4}
.mvt .foreign{fill:var(--mvt-panel)}
.mvt .device{fill:var(--mvt-device)}
.mvt .network{fill:var(--mvt-network);stroke:var(--mvt-wire)}
.mvt .wire{fill:none;stroke:var(--mvt-wire);stroke-width:1.5}
.mvt .alarm{fill:var(--mvt-badback);stroke:var(--mvt-bad);stroke-width:1.5}
.mvt .held{fill:var(--mvt-held)}
.mvt .idle{fill:none;stroke:var(--mvt-soft);stroke-width:1.5}
"""


class Drawing(NamedTuple):
    """A part of the picture, drawn from its own corner at 0, 0."""

    height: float
    elements: list[str]


def svg(hosts: Sequence[Host], title: str, total: int) -> str:
    """The picture.

    :arg total: its width in pixels; the height follows.
    """
    summary = _summary(hosts)
    elements: list[str] = []
    room = total - 2 * _MARGIN
    y: float = _MARGIN - 4
    if title:
        y = _MARGIN + 20
        elements.append(_text(_MARGIN, y, clip(printable(title), room, 20, bold=True), "h1"))
    # one host says it itself
    for line in wrap(summary, room, 12) if len(hosts) != 1 else ():
        y += _LINE + 2
        elements.append(_text(_MARGIN, y, line, "soft"))
    y += _GAP
    for row in _rows(hosts, room):
        each = (room - (len(row) - 1) * _GAP) / len(row) if len(row) > 1 else room
        panels = [_host(host, each) for host in row]
        tallest = max(panel.height for panel in panels)
        for column, panel in enumerate(panels):
            back = _rect(0, 0, each, tallest, "panel", 10)
            elements += _at(_MARGIN + column * (each + _GAP), y, [back, *panel.elements])
        y += tallest + _GAP
    legend = _legend(room)
    elements += _at(_MARGIN, y, legend.elements)
    height = y + legend.height + _MARGIN
    body = "\n".join([_rect(0, 0, total, height, "back", 0), *elements])
    # several pictures may be on one page
    tag = "mvt-" + hashlib.sha256((f"{total} {printable(title)}" + body).encode()).hexdigest()[:12]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="mvt" width="%s" height="%s" viewBox="0 0 %s %s" role="img"'
        ' aria-labelledby="%s-title %s-desc">\n<title id="%s-title">%s</title>\n<desc id="%s-desc">%s</desc>\n'
        "<style>\n%s</style>\n%s\n</svg>\n"
        % (
            *(total, _number(height)) * 2,
            *(tag, tag, tag, _escape(title or summary), tag, _escape(_description(hosts, summary))),
            _style(),
            body,
        )
    )


def _style() -> str:
    """Light or dark as the page around it (the CSS property color-scheme); on its own, as the reader's system.

    The dark scheme of the system alone would say nothing of the page: a light one would hold a dark picture.
    """
    light = ";".join(f"--mvt-{name}:{pair[0]}" for name, pair in _COLOURS.items())
    either = ";".join("--mvt-%s:light-dark(%s,%s)" % (name, *pair) for name, pair in _COLOURS.items())
    scheme = "svg:root{color-scheme:light dark}"
    return f".mvt{{{light}}}\n{_RULES}@supports (color:light-dark(#fff,#000)){{{scheme}.mvt{{{either}}}}}\n"


def _summary(hosts: Sequence[Host]) -> str:
    if len(hosts) == 1:
        return hosts[0].summary
    taps = sum(device.taps for host in hosts for device in host.devices)
    found = sum(len(list(problems_of(host))) for host in hosts)
    return ", ".join(
        [
            count(len(hosts), "host"),
            count(sum(len(host.guests) for host in hosts), "guest"),
            count(taps, "tap"),
            count(found, "problem") if found else "no problems",
        ]
    )


def _description(hosts: Sequence[Host], summary: str) -> str:
    """What a reader who does not see the picture has to know."""
    each = [f"{host.name}: {host.summary}" for host in hosts] if len(hosts) > 1 else []
    bad = [f"{host.name}, {where}: {text}" for host in hosts for where, text in problems_of(host)]
    return ". ".join([summary, *each, *bad]) + "."


def _rows(hosts: Sequence[Host], room: float) -> Iterator[list[Host]]:
    """Hosts by row: small neighbours side by side."""
    most = max(1, int((room + _GAP) // (_SMALL_PANEL + _GAP)))
    small: list[Host] = []
    for host in hosts:
        if sum(len(segment.guests) for device in host.devices for segment in device.segments) <= _SMALL:
            small.append(host)
            if len(small) == most:
                yield small
                small = []
            continue
        if small:
            yield small
            small = []
        yield [host]
    if small:
        yield small


def _host(host: Host, room: float) -> Drawing:
    inner = room - 2 * _PAD
    elements = [_text(_PAD, 28, clip(printable(host.name), inner, 16, bold=True), "h2")]
    y: float = 28
    for line in wrap(host.summary, inner, 12):
        y += _LINE + 2
        elements.append(_text(_PAD, y, line, "soft"))
    y += _GAP
    for part in [_alarm(host.problems, inner), *(_device(device, inner) for device in host.devices)]:
        if part.height:
            elements += _at(_PAD, y, part.elements)
            y += part.height + _PAD
    return Drawing(y, elements)


def _alarm(problems: Sequence[str], room: float) -> Drawing:
    """Problems in a box of their own."""
    lines = [line for text in problems for line in _problem_lines(text, room - 2 * _CARD_PAD)]
    if not lines:
        return Drawing(0, [])
    height = len(lines) * _LINE + 12
    texts = [_text(_CARD_PAD, 20 + number * _LINE, line, "bad") for number, line in enumerate(lines)]
    return Drawing(height, [_rect(0, 0, room, height, "alarm", 6), *texts])


def _problem_lines(text: str, room: float) -> list[str]:
    """Not only red: an exclamation mark begins each problem."""
    first, *others = wrap(printable(text), room - 14, 12)
    return ["! " + first, *("   " + line for line in others)]


def _device(device: Device, room: float) -> Drawing:
    name = clip(printable(device.name), room - 2 * _CARD_PAD, 13, bold=True)
    facts = [printable(fact) for fact in (*device.facts, count(device.taps, "tap"))]
    after = _CARD_PAD + width(name, 13, bold=True) + 14
    lines = list(wrap(" \u00b7 ".join(facts), room - after - _CARD_PAD, 12))
    if len(lines) > 1:
        # below the name where they do not fit beside it
        after, lines = _CARD_PAD, ["", *wrap(" \u00b7 ".join(facts), room - 2 * _CARD_PAD, 12)]
    y: float = _BAR + (len(lines) - 1) * _LINE
    colour = "bad" if device.is_missing or device.problems else "on"
    elements = [
        _rect(0, 0, room, y, "alarm" if colour == "bad" else "device", 6),
        _text(_CARD_PAD, 22, name, "h3 " + colour),
        *(_text(after, 22 + number * _LINE, line, colour) for number, line in enumerate(lines) if line),
    ]
    alarm = _alarm(device.problems, room)
    if alarm.height:
        elements += _at(0, y + 4, alarm.elements)
        y += 4 + alarm.height
    trunk = y
    for segment in device.segments:
        part = _segment(segment, room - _CARD_PAD - 16)
        y += _GAP
        elements.append(_wire("M%s %sV%sh16" % tuple(map(_number, (_CARD_PAD, trunk, y + _PILL / 2)))))
        trunk = y + _PILL / 2
        elements += _at(_CARD_PAD + 16, y, part.elements)
        y += part.height
    return Drawing(y, elements)


def _segment(segment: Segment, room: float) -> Drawing:
    mode = printable(segment.mode)
    tail = " \u00b7 ".join([mode] * bool(mode) + [segment.size])
    name = clip(printable(segment.name), room - width(tail, 12) - 34, 13, bold=True)
    after = _CARD_PAD + width(name, 13, bold=True) + 8
    elements = [
        _rect(0, 0, after + width(tail, 12) + _CARD_PAD, _PILL, "network", _PILL / 2),
        _text(_CARD_PAD, 17.5, name, "h3"),
        _text(after, 17.5, tail, "soft"),
    ]
    left = _INDENT - 16
    columns = max(1, int((room - left + _GAP) // (_CARD + _GAP)))
    each = (room - left - (columns - 1) * _GAP) / columns
    y, spine = float(_PILL), float(_PILL)
    for begin in range(0, len(segment.guests), columns):
        cards = [_card(guest, each) for guest in segment.guests[begin : begin + columns]]
        y += 10
        centres = [left + number * (each + _GAP) + each / 2 for number in range(len(cards))]
        stubs = "".join(f"M{_number(x)} {_number(y)}v10" for x in centres)
        elements.append(
            _wire(f"M12 {_number(spine)}V{_number(y)}H{_number(centres[-1])}{stubs}"),
        )
        spine = y
        y += 10
        for number, card in enumerate(cards):
            elements += _at(left + number * (each + _GAP), y, card.elements)
        y += max(card.height for card in cards)
    return Drawing(y, elements)


def _card(guest: Guest, room: float) -> Drawing:
    inner = room - 2 * _CARD_PAD
    kind = "card"
    if guest.problems:
        kind = "alarm"
    elif not guest.is_ours:
        kind = "card foreign"
    if not any(tap.is_live for tap in guest.taps):
        kind += " boot"
    elements = [_text(_CARD_PAD, 21, clip(printable(guest.name), inner, 13, bold=True), "h3")]
    y: float = 24
    for tap in guest.taps:
        path = tap.path.rpartition("/")[2]
        lines = (f"{path}  {tap.ifname}", f"{tap.mac}{'' if tap.is_up else '  down'}")
        dot = "held" if tap.holders else "idle"
        elements.append('<circle cx="%s" cy="%s" r="4" class="%s"/>' % (_CARD_PAD + 4, _number(y + 11), dot))
        for number, line in enumerate(lines):
            shown = clip(printable(line), inner - 14, 11, mono=True)
            elements.append(_text(_CARD_PAD + 14, y + 15 + number * 15, shown, "mono soft" if number else "mono"))
        y += 34
    for problem in guest.problems:
        for line in _problem_lines(problem, inner):
            elements.append(_text(_CARD_PAD, y + 14, line, "bad"))
            y += _LINE
    y += _CARD_PAD - 2
    tip = "<title>%s</title>" % _escape("\n".join(_tip(guest)), "\n")
    return Drawing(y, ["<g>" + tip + _rect(0, 0, room, y, kind, 6), *elements, "</g>"])


def _tip(guest: Guest) -> Iterator[str]:
    """Everything about a guest, for who points at its card; what does not fit on it is here."""
    yield printable(guest.name if guest.is_ours else f"{guest.name} is not ours")
    for tap in guest.taps:
        yield printable(", ".join(_tap_words(tap)))
        yield from map(printable, tap.problems)


def _tap_words(tap: Tap) -> Iterator[str]:
    if tap.nic is not None:
        yield f"nic {tap.nic}"
    yield from (tap.ifname, tap.path, tap.mac, tap.mode, "up" if tap.is_up else "down")
    if not tap.is_live:
        yield "not live: the next boot makes it"
    elif tap.holders:
        yield f"held open by {' and '.join(tap.holders)}"
    else:
        yield "not open"


def _legend(room: float) -> Drawing:
    """What the signs mean, in as many lines as it takes."""
    signs = (
        ('<circle cx="5" cy="-4" r="4" class="held"/>', "tap open: its guest runs"),
        ('<circle cx="5" cy="-4" r="4" class="idle"/>', "tap not open"),
        ('<path d="M0 -4h14" class="idle boot"/>', "dashed: not live, the next boot makes it"),
        ('<text class="bad h3" x="3">!</text>', "red: a problem"),
    )
    x, y = 0.0, 12.0
    elements: list[str] = []
    for sign, words in signs:
        wide = 22 + width(words, 12)
        if x and x + wide > room:
            x, y = 0.0, y + _LINE
        elements += _at(x, y, [sign, _text(20, 0, words, "soft")])
        x += wide + _GAP
    return Drawing(y + 4, elements)


def _at(x: float, y: float, elements: list[str]) -> list[str]:
    return ['<g transform="translate(%s %s)">' % (_number(x), _number(y)), *elements, "</g>"]


def _rect(x: float, y: float, wide: float, high: float, kind: str, radius: float) -> str:
    return '<rect x="%s" y="%s" width="%s" height="%s" rx="%s" class="%s"/>' % (
        *map(_number, (x, y, wide, high, radius)),
        kind,
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return '<text x="%s" y="%s" class="%s">%s</text>' % (_number(x), _number(y), kind, _escape(text))


def _wire(path: str) -> str:
    return '<path d="%s" class="wire"/>' % path


def _number(value: float) -> str:
    return (f"{value:.1f}").removesuffix(".0")


def _escape(text: str, kept: str = "") -> str:
    """Text for XML, whatever it holds; ``kept``: control characters that are meant."""
    return html.escape("".join(char if char in kept else printable(char) for char in text))
