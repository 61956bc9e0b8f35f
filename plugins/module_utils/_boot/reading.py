# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The entries in the files that :mod:`_boot.files` writes. PURE."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .._core.errors import InvalidInput, Refused
from .._core.identity import read_tag
from .._core.model import Vlan
from .._link.attributes import NODE_OPTIONS, OPTIONS, Option
from . import host_link, lower, vlan
from .entry import Entry, in_order
from .files import (
    AT_CREATION,
    BATCH_DIR,
    CREATE,
    FUNCTION,
    GUARDS,
    HOST,
    KERNEL_MODES,
    LATER,
    LIMIT,
    UDEV_RULES,
    UP,
    VLANS,
    batch_path,
    devices_of,
    is_ours,
)
from .host_link import HostEntry

_MODES = {kernel: mode for mode, kernel in KERNEL_MODES.items()}
_ADD = re.compile(
    r"link add link (?P<device>\S+) name (?P<ifname>\S+) index (?P<ifindex>\d+) address (?P<mac>\S+)"
    + "".join(f"(?P<{option.name}> {re.escape(option.boot.text)})?" for option in AT_CREATION)
    + r" type macvtap mode (?P<mode>\w+)"
)
#: what the lines of an option mean, which are for programs that know it by other words
_MEANING = re.compile(r"# (\w+) of (\d+): (.*)")
_SETTING = re.compile(r"link set dev if(\d+) (.*)")
_WORDS = (
    ("alias", re.compile('alias "([^"]*)"')),
    ("address", re.compile(r"address (\S+)")),
    *((option.name, re.compile(re.escape(option.boot.text).replace("%d", r"(\d+)"))) for option in LATER),
)
_RULE = re.compile(
    r'SUBSYSTEM=="macvtap", KERNEL=="tap(\d+)", '
    + ", ".join(f'{option.udev}="(?P<{option.key}>[^"]*)"' for option in NODE_OPTIONS)
    + r', SYMLINK\+="[^"]*"'
)
_NODE = {option.key: option.default for option in NODE_OPTIONS}


def read(found: Mapping[str, str]) -> list[Entry]:
    """The entries in the files that exist; files that are not ours hold none.

    :raises Refused: naming file and line that we cannot have written.
    """
    links: dict[int, dict[str, str]] = {}
    for line, place in _lines_of(found, CREATE, UP):
        index, words = _read_line(line, place)
        links.setdefault(index, {}).update(words)
    meanings = _meanings(found)
    rules = filter(None, map(_RULE.fullmatch, found.get(UDEV_RULES, "").splitlines()))
    owners = {int(match[1]): match.groupdict() for match in rules}
    made, vlans = [], _vlans(found)
    for index, words in links.items():
        tag = read_tag(words.get("alias", ""))
        # a file cut off in the middle: the link's next attachment rewrites it
        if tag is not None and "device" in words:
            meant = meanings.get(index, {})
            settings = {
                option.name: meant.get(option.name) if option.check else _value(option, words.get(option.name))
                for option in OPTIONS
            }
            made.append(
                Entry(
                    tag,
                    words["ifname"],
                    index,
                    words["mac"],
                    _MODES[words["mode"]],
                    words["device"],
                    {**settings, **owners.get(index, _NODE)},
                    vlans.get(words["device"]),
                )
            )
    return in_order(made)


def _meanings(found: Mapping[str, str]) -> dict[int, dict[str, Any]]:
    """The options that have a file of their own, by interface index.

    :raises Refused: as :func:`read`.
    """
    checks = {option.name: option.check for option in OPTIONS if option.check is not None}
    made: dict[int, dict[str, Any]] = {}
    for path, text in found.items():
        if not (path.startswith(BATCH_DIR) and path.endswith((GUARDS, LIMIT, FUNCTION)) and is_ours(path, text)):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            match = _MEANING.fullmatch(line)
            if match is not None and match[1] in checks:
                try:
                    value = json.loads(match[3])
                    checks[match[1]](value, match[1])
                except (ValueError, RecursionError, InvalidInput) as exc:
                    raise _not_ours(line, f"{path}, line {number}") from exc
                made.setdefault(int(match[2]), {})[match[1]] = value
    return made


def read_hosts(found: Mapping[str, str]) -> list[HostEntry]:
    """The host links in the files that exist.

    :raises Refused: as :func:`read`.
    """
    return host_link.read(_lines_of(found, HOST), _vlans(found))


def _vlans(found: Mapping[str, str]) -> dict[str, Vlan]:
    return vlan.read(_lines_of(found, VLANS))


def _lines_of(found: Mapping[str, str], *suffixes: str) -> Iterator[tuple[str, str]]:
    """The lines of those batch files of ours."""
    for path, text in found.items():
        if path.startswith(BATCH_DIR) and path.endswith(suffixes) and is_ours(path, text):
            yield from _lines(path, text)


def read_known(found: Mapping[str, str]) -> dict[str, str]:
    """What the files that exist know their lower devices by, see :mod:`_boot.lower`."""
    return {device: lower.read(found[batch_path(device, CREATE)]) for device in devices_of(found)}


def _lines(path: str, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield line, f"{path}, line {number}"


def _read_line(line: str, place: str) -> tuple[int, dict[str, str]]:
    """Interface index, and the words of the line with what they say."""
    added = _ADD.fullmatch(line)
    if added is not None and added["mode"] in _MODES:
        return int(added["ifindex"]), {name: word for name, word in added.groupdict().items() if word is not None}
    setting = _SETTING.fullmatch(line)
    if setting is not None:
        for name, pattern in _WORDS:
            word = pattern.fullmatch(setting[2])
            if word is not None:
                return int(setting[1]), {name: word[word.lastindex or 0]}
    raise _not_ours(line, place)


def _not_ours(line: str, place: str) -> Refused:
    return Refused(
        f"{place} is not as this collection writes it: {line[:200]!r}; put it right, or remove the file and attach its"
        " guests again"
    )


def _value(option: Option, word: str | None) -> Any:
    """What a boot file says of an option.

    :arg word: the number in it for an option that has one; None = it is not there.
    """
    if word is None:
        return option.boot.absent
    return int(word) if option.allowed else option.boot.present
