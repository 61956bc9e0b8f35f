# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What macvtap_info reports of hosts, as the tree that pictures are drawn from. PURE.

host → lower device → segment (a network on that device) → guest → tap
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

#: name of the only host where a result came without one
LONE_HOST = "this host"
_MISSING = "not on this host"
#: characters that turn the direction of text around: what follows would read as something else
_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class Tap(NamedTuple):
    """One NIC of a guest: a link and its tap."""

    nic: int | None
    ifname: str
    path: str
    mac: str
    mode: str
    is_up: bool
    #: False for a link that only the next boot makes
    is_live: bool
    #: "qemu-system-x86 (pid 4711)"
    holders: tuple[str, ...]
    problems: tuple[str, ...]


class Guest(NamedTuple):
    """A guest as far as it is on one segment; a link that is not ours is a guest of its own."""

    name: str
    is_ours: bool
    taps: tuple[Tap, ...]

    @property
    def problems(self) -> list[str]:
        return _unique(problem for tap in self.taps for problem in tap.problems)


class Segment(NamedTuple):
    """A network on one lower device."""

    name: str
    mode: str
    guests: tuple[Guest, ...]

    @property
    def size(self) -> str:
        """How many it has, in words."""
        is_ours = all(guest.is_ours for guest in self.guests)
        return count(len(self.guests), "guest" if is_ours else "link")


class Device(NamedTuple):
    """A lower device."""

    name: str
    #: "up", "MTU 1500" …
    facts: tuple[str, ...]
    #: what all taps on it share, told once
    problems: tuple[str, ...]
    segments: tuple[Segment, ...]

    @property
    def taps(self) -> int:
        """How many are live."""
        return sum(tap.is_live for segment in self.segments for guest in segment.guests for tap in guest.taps)

    @property
    def is_missing(self) -> bool:
        return self.facts == (_MISSING,)


class Host(NamedTuple):
    """A hypervisor."""

    name: str
    #: of its networks and of what the next boot makes
    problems: tuple[str, ...]
    devices: tuple[Device, ...]
    #: False when it did not tell anything
    answered: bool = True

    @property
    def guests(self) -> set[str]:
        return {
            guest.name
            for device in self.devices
            for segment in device.segments
            for guest in segment.guests
            if guest.is_ours
        }

    @property
    def summary(self) -> str:
        """What it carries, in words."""
        if not self.answered:
            return "no answer"
        found = len(list(problems_of(self)))
        return ", ".join(
            [
                count(len(self.devices), "lower device"),
                count(len(self.guests), "guest"),
                count(sum(device.taps for device in self.devices), "tap"),
                count(found, "problem") if found else "no problems",
            ]
        )


def count(number: int, what: str) -> str:
    """A number with its word: "1 guest", "2 guests"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def topology(told: Mapping[str, Any]) -> list[Host]:
    """The hosts, by name.

    :arg told: the result of macvtap_info, or such results by host. A host that gave none (unreachable, failed) is one
        with that problem.
    :raises ValueError: naming what is neither.
    """
    if not isinstance(told, Mapping):
        raise ValueError(f"wants the result of macvtap_info, or a dictionary of host and result, not {told!r}")
    results = {LONE_HOST: told} if _is_result(told) or _failure(told) else told
    return [_host(str(name), results[name]) for name in sorted(results, key=lambda name: natural(str(name)))]


def problems_of(host: Host) -> Iterator[tuple[str, str]]:
    """Every problem of a host once: (where, problem)."""
    for problem in host.problems:
        yield "host", problem
    for device in host.devices:
        for problem in device.problems:
            yield f"lower device {device.name}", problem
        for segment in device.segments:
            for guest in segment.guests:
                for tap in guest.taps:
                    for problem in tap.problems:
                        yield title_of(guest, tap), problem


def title_of(guest: Guest, tap: Tap) -> str:
    """A tap and its guest, in words."""
    if not guest.is_ours:
        return f"link {tap.ifname}"
    return f"guest {guest.name} nic {tap.nic} ({tap.ifname})"


def printable(text: Any) -> str:
    """Text in one visible line: control characters as their pictures, and none that XML forbids or that turn text."""
    return "".join(map(_printable, str(text)))


def _printable(char: str) -> str:
    if char < " ":
        return chr(0x2400 + ord(char))
    if char == "\x7f":
        return "\u2421"
    is_forbidden = unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or ord(char) & 0xFFFE == 0xFFFE
    return "\ufffd" if is_forbidden or char in _BIDI else char


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key that puts ``eth9`` before ``eth10``."""
    # [0-9], not \d: int() knows no superscript
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in re.split("([0-9]+)", text)]


def _is_result(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("attachments"), Sequence)


def _failure(value: Any) -> str:
    """Why a registered result tells nothing, "" = it does."""
    if not isinstance(value, Mapping) or _is_result(value):
        return ""
    said = value.get("msg") or value.get("skip_reason")
    words = said if isinstance(said, str) else ""
    for flag in ("unreachable", "skipped"):
        if value.get(flag) is True:
            return f"{flag}: {words or 'nothing was said'}"
    # a task may say that this is no failure, so that its play goes on
    return f"failed: {words or 'nothing was said'}" if words or value.get("failed") is True else ""


def _host(name: str, result: Any) -> Host:
    failure = _failure(result)
    if failure:
        return Host(name, (failure,), (), answered=False)
    if not _is_result(result):
        raise ValueError(f"{name!r} has no attachments: that is no result of macvtap_info")
    networks = result.get("networks") or []
    rows = [{**row, "is_live": True} for row in result["attachments"]]
    rows += [{**row, "is_live": False} for row in result.get("boot_only") or []]
    facts: dict[str, Mapping[str, Any]] = {}
    for network in networks:
        facts.update({device["name"]: device for device in network["devices"]})
    names = set(facts) | {row["device"] for row in rows}
    problems = [f"network {network['name']}: {text}" for network in networks for text in network["problems"]]
    problems += [f"next boot: {text}" for text in result.get("boot_problems") or []]
    return Host(
        name,
        tuple(problems),
        tuple(_device(device, facts.get(device), networks, rows) for device in sorted(names, key=natural)),
    )


def _device(
    name: str,
    facts: Mapping[str, Any] | None,
    networks: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
) -> Device:
    mine = [row for row in rows if row["device"] == name]
    live = [row for row in mine if row["is_live"]]
    shared: list[str] = []
    if len(live) > 1:
        shared = [
            text for text in live[0].get("problems", ()) if all(text in row.get("problems", ()) for row in live[1:])
        ]
    modes = {network["name"]: network["mode"] for network in networks}
    here = {network["name"] for network in networks if name in [device["name"] for device in network["devices"]]}
    keys = {_segment_key(row) for row in mine} | {(0, network) for network in here}
    segments = []
    for key in sorted(keys, key=lambda key: (key[0], natural(key[1]))):
        members = [row for row in mine if _segment_key(row) == key]
        mode = modes.get(key[1]) if key[0] == 0 else None
        mode = mode or ", ".join(sorted({str(row["mode"]) for row in members}))
        segments.append(Segment(key[1], mode, tuple(_guests(members, shared))))
    return Device(name, tuple(_facts(facts)), tuple(shared), tuple(segments))


def _segment_key(row: Mapping[str, Any]) -> tuple[int, str]:
    """Networks first, then links without one, then links that are not ours."""
    if row.get("guest") is None:
        return 2, "not ours"
    return (1, "no network") if row.get("network") is None else (0, str(row["network"]))


def _facts(facts: Mapping[str, Any] | None) -> Iterator[str]:
    if facts is None:
        return
    if facts.get("ifindex") is None:
        yield _MISSING
        return
    yield str(facts["operstate"])
    yield f"MTU {facts['mtu']}"
    yield str(facts["mac"])


def _guests(rows: Sequence[Mapping[str, Any]], shared: Sequence[str]) -> Iterator[Guest]:
    taps: dict[tuple[bool, str], list[Tap]] = {}
    for row in rows:
        is_ours = row.get("guest") is not None
        taps.setdefault((is_ours, str(row["guest"] if is_ours else row["ifname"])), []).append(_tap(row, shared))
    for is_ours, name in sorted(taps, key=lambda key: natural(key[1])):
        found = sorted(taps[is_ours, name], key=lambda tap: (tap.nic or 0, natural(tap.ifname)))
        yield Guest(name, is_ours, tuple(found))


def _tap(row: Mapping[str, Any], shared: Sequence[str]) -> Tap:
    return Tap(
        row.get("nic"),
        str(row["ifname"]),
        # what only the next boot makes has no path yet, but the kernel names it so
        str(row.get("tap_path") or f"/dev/tap{row['ifindex']}"),
        str(row["mac"]),
        str(row["mode"]),
        row.get("link_state") == "up",
        bool(row["is_live"]),
        tuple(f"{holder['command']} (pid {holder['pid']})" for holder in row.get("holders") or ()),
        tuple(text for text in row.get("problems") or () if text not in shared),
    )


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
