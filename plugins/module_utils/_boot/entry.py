# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What the next boot makes: entries, one for each guest NIC, as plain data. PURE.

The files are the only store: :mod:`_boot.files` writes entries as text, and :mod:`_boot.reading` reads them again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from .._core import names
from .._core.errors import InvalidInput, Refused
from .._core.identity import INDEX_BASE, derived_indexes, tag_text
from .._core.model import MAX_NIC, MAX_QUEUES, MODES, VLANS, Guard, OwnerTag, Vlan, placed
from .._link.attributes import GUARD, KEPT, NODE_OPTIONS, OPTIONS, VF, Option, requested, to_request
from .._link.steps import WriteFile
from .._traffic import virtual_function
from .._traffic.guard import as_row as as_guard_row
from .._traffic.guard import digest, of_link, parse

#: what such a file is called in messages
WHAT = "boot file"
_OCTAL = re.compile(r"0[0-7]{3}")
#: of a user or group (LOGIN_NAME_MAX in linux/limits.h, less the final NUL); udev reads no rule of any length
_MAX_OWNER_BYTES = 255
_NICS, _QUEUES, _INDEXES = range(MAX_NIC + 1), range(1, MAX_QUEUES + 1), range(1, 1 << 31)


class Entry(NamedTuple):
    """One link and its tap as the next boot makes them."""

    tag: OwnerTag
    ifname: str
    ifindex: int
    mac: str
    mode: str
    #: name of the lower device
    device: str
    #: by their names in results, what :data:`_link.attributes.OPTIONS` and ``NODE_OPTIONS`` say of link and node: users
    #: and groups as names, or as numbers in text; None = as the lower device has it
    settings: Mapping[str, Any]
    #: None = the lower device is no VLAN device of ours
    vlan: Vlan | None = None

    @property
    def guard(self) -> Guard | None:
        """What the link may send."""
        asked = self.settings[GUARD]
        return None if asked is None else of_link(parse(asked), self.mac)

    @property
    def key(self) -> tuple[str, int]:
        """What an entry is recognised by."""
        return self.tag.guest, self.tag.nic

    @property
    def title(self) -> str:
        """The entry in messages."""
        return f"{self.ifname} of guest {self.tag.guest} nic {self.tag.nic}"


def as_row(entry: Entry) -> dict[str, Any]:
    """An entry as a row of a result."""
    facts = {name: getattr(entry, name) for name in ("ifname", "ifindex", "mac", "mode")}
    tag = entry.tag
    names_of_tag = ("guest", "nic", "network", "queues")
    return {
        **facts,
        **placed(entry.device, entry.vlan),
        **entry.settings,
        **{name: getattr(tag, name) for name in names_of_tag},
        "vf_before": virtual_function.former(tag.vf) or None,
        "requested": requested(tag),
    }


def entries(rows: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The entries for attachments as macvtap_attach returns them.

    :raises InvalidInput: naming the row: what no such row has, what cannot be written into the files, or a guest's
        NIC, name or index twice.
    """
    made = [_entry(row, f"attachments[{number}]") for number, row in enumerate(rows)]
    for what, value_of in _UNIQUE:
        seen: dict[Any, Entry] = {}
        for entry in made:
            other = seen.setdefault(value_of(entry), entry)
            if other is not entry:
                raise InvalidInput(f"{other.title} and {entry.title} have the same {what}; give each once")
    return made


_UNIQUE: tuple[tuple[str, Callable[[Entry], Any]], ...] = (
    ("guest and nic", lambda entry: entry.key),
    ("ifname", lambda entry: entry.ifname),
    ("ifindex", lambda entry: entry.ifindex),
)


def keys_of(rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, int]]:
    """Guest and NIC of each row that has a guest; without a position, in the order of appearance within the guest."""
    seen: dict[str, int] = {}
    keys = set()
    for row in rows:
        guest = row.get("guest")
        if guest is not None:
            nic = row.get("nic")
            keys.add((guest, seen.get(guest, 0) if nic is None else _number(nic, "nic", _NICS)))
            seen[guest] = seen.get(guest, 0) + 1
    return keys


def _entry(row: Mapping[str, Any], origin: str) -> Entry:
    def get(name: str, default: Any = None) -> Any:
        value = row.get(name)
        value = default if value is None else value
        if value is None:
            raise InvalidInput(f"it has no {name}; pass attachments as macvtap_attach returns them")
        return value

    try:
        network = row.get("network")
        # what identifies a link is asked for first
        guest, nic = names.check_guest_name(get("guest")), _number(get("nic"), "nic", _NICS)
        ifname = plain(names.check_ifname(get("ifname"), "link"), "link")
        mac, asked = names.check_mac(get("mac")), row.get(GUARD)
        function = virtual_function.show(virtual_function.wanted(_function(row.get(VF), VF)))
        before = {**dict.fromkeys(function or ()), **_function(row.get("vf_before") or {}, "vf_before")}
        guard = None if asked is None else of_link(parse(asked), mac)
        tag = OwnerTag(
            guest,
            nic,
            None if network is None else names.check_network_name(network),
            _number(row.get("queues") or 1, "queues", _QUEUES),
            _requested(row.get("requested") or {}),
            "" if guard is None else digest(guard),
            virtual_function.former_word(before),
        )
        tag_text(tag)
        return Entry(
            tag,
            ifname,
            _index(_number(get("ifindex", next(derived_indexes(guest, nic))), "ifindex", _INDEXES)),
            mac,
            _choice(get("mode"), "mode", MODES),
            lower_device(get("device"), "lower device"),
            {
                **{
                    option.name: _setting(
                        option, row.get(option.name) if option.check else get(option.name, option.default)
                    )
                    for option in OPTIONS
                },
                GUARD: as_guard_row(guard),
                VF: function,
                **{option.key: _NODE_CHECKS[option.key](get(option.key, option.default)) for option in NODE_OPTIONS},
            },
            own_vlan(row),
        )
    except InvalidInput as exc:
        raise InvalidInput(f"{origin}: {exc}") from exc


def lower_device(name: Any, what: str) -> str:
    """:returns: the name of a lower device, fit for the files.

    :raises InvalidInput: it is not.
    """
    return plain(names.check_ifname(name, what), what)


def own_vlan(row: Mapping[str, Any]) -> Vlan | None:
    """The VLAN device of ours that a link is on, as its row says.

    :raises InvalidInput: what no row says.
    """
    if row.get("vlan_parent") is None:
        return None
    return Vlan(_number(row.get("vlan"), "vlan", VLANS), lower_device(row["vlan_parent"], "vlan_parent"))


def _function(value: Any, what: str) -> Any:
    if value is not None:
        virtual_function.check(value, what)
    return value


def _requested(values: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(values, Mapping):
        raise InvalidInput(
            f"requested {names.shown(values)} is not a dictionary; pass attachments as macvtap_attach returns them"
        )
    return to_request({option.name: _setting(option, values[option.name]) for option in KEPT if option.name in values})


def _setting(option: Option, value: Any) -> Any:
    if option.check is not None:
        # none is a value of its own
        if value is not None:
            option.check(value, option.name)
        return value or None
    if option.allowed:
        return _number(value, option.name, option.allowed)
    choices = option.spec.get("choices")
    return bool(value) if choices is None else _choice(value, option.name, choices)


def _number(value: Any, what: str, allowed: range) -> int:
    text = "" if isinstance(value, bool) else str(value)
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) not in allowed:
        raise InvalidInput(f"{what} {names.shown(value)} is not a number from {allowed[0]} to {allowed[-1]}")
    return int(text)


def _index(value: int) -> int:
    """Only derived indexes: one that the kernel counted is any link's at the next boot."""
    if not INDEX_BASE <= value < 2 * INDEX_BASE:
        raise InvalidInput(
            f"its ifindex {value} was chosen by the kernel, which may give it to another link at the next boot;"
            " detach it and"
            " attach it again with stable_index=true"
        )
    return value


def _choice(value: Any, what: str, choices: Collection[str]) -> str:
    if value not in choices:
        raise InvalidInput(f"{what} {names.shown(value)} is none of: {', '.join(choices)}")
    return value


def plain(name: str, what: str, remedy: str = "use one of letters, digits and . _ + -") -> str:
    """:returns: ``name``, which means nothing else in a file of a boot.

    :raises InvalidInput: it may.
    """
    if not names.is_plain(name):
        raise InvalidInput(
            f"the name {names.shown(name)} of the {what} has characters that mean something else in the files that the"
            f" boot reads; {remedy}"
        )
    return name


def _owner(name: str, what: str) -> str:
    plain(name, what, "use its number")
    if len(name) > _MAX_OWNER_BYTES:
        raise InvalidInput(
            f"the name {names.shown(name)} of the {what} has more than {_MAX_OWNER_BYTES} bytes; use its number"
        )
    return name


def _node_mode(value: Any) -> str:
    if not isinstance(value, str) or not _OCTAL.fullmatch(value):
        raise InvalidInput(f"tap_mode {names.shown(value)} is not an octal mode of four digits")
    return value


_NODE_CHECKS: dict[str, Callable[[Any], str]] = {
    "tap_owner": lambda value: _owner(str(value), "owner of the tap"),
    "tap_group": lambda value: _owner(str(value), "group of the tap"),
    "tap_mode": _node_mode,
}


def merged(
    found: Iterable[Entry], wanted: Sequence[Entry], guests: Collection[str], purge: bool
) -> tuple[list[Entry], list[Entry]]:
    """The entries that the files are to hold: ``wanted``, and those of ``found`` that do not conflict with them.

    A name or an index is one link's at a time, so an entry that has a wanted one's is of a link that is gone.

    :arg guests: whose NICs ``purge`` makes exact, beside those of ``wanted``.
    :returns: the entries, and those of ``found`` that leave.
    :raises InvalidInput: a link of ``wanted`` is called like a lower device or ``lo``.
    """
    exact = set(guests) | {entry.key[0] for entry in wanted} if purge else set()
    taken = {(what, value_of(entry)) for entry in wanted for what, value_of in _UNIQUE}
    keys = {entry.key for entry in wanted}
    kept, leaving = [], []
    for entry in found:
        in_the_way = any((what, value_of(entry)) in taken for what, value_of in _UNIQUE)
        if not in_the_way and entry.key[0] not in exact:
            kept.append(entry)
        elif entry.key not in keys:
            leaving.append(entry)
    devices = {
        "lo",
        *(device for entry in (*kept, *wanted) for device in (entry.device, entry.vlan and entry.vlan.parent)),
    }
    for entry in wanted:
        # what the boot does to a link by its name would reach that device
        if entry.ifname in devices:
            raise InvalidInput(
                "guest %s nic %d: the ifname %s is the name of a lower device or of the loopback device; pass"
                " attachments as macvtap_attach returns them" % (*entry.key, entry.ifname)
            )
    return in_order([*kept, *wanted]), leaving


def without(
    found: Sequence[Entry],
    keys: Collection[tuple[str, int]] | None,
    guests: Collection[str] | None,
    network: str | None,
) -> tuple[list[Entry], list[Entry]]:
    """``found`` without what the selectors mean, which narrow the choice together; None = no such selector.

    :returns: the entries that stay, and those that leave.
    """
    leaving = [
        entry
        for entry in found
        if (keys is None or entry.key in keys)
        and (guests is None or entry.tag.guest in guests)
        and (network is None or entry.tag.network == network)
    ]
    return in_order(entry for entry in found if entry not in leaving), leaving


def in_order(entries_: Iterable[Entry]) -> list[Entry]:
    """As the files have them: the same entries make the same text."""
    return sorted(entries_, key=lambda entry: entry.key)


def differences(entry: Entry, row: Mapping[str, Any]) -> list[str]:
    """In what a live link (a row of a result) is other than the next boot makes it, in words."""
    return [
        f"{name} {row.get(name)} -> {booted}"
        for name, booted in as_row(entry).items()
        # what a link cannot have is no difference, and facts of a node that is missing are a problem of their own; the
        # files know of no VLAN device of another program, and with one of ours its name says the VLAN
        if name != "vlan"
        and row.get(name) != booted
        and not (row.get(name) is None and name in entry.settings and name not in (GUARD, VF))
    ]


# -- steps -------------------------------------------------------------------------------------------------------------


def plan(found: Mapping[str, str], wanted: Mapping[str, str], is_ours: Callable[[str, str], bool]) -> list[WriteFile]:
    """What makes the files so, and ours that are not wanted gone.

    :arg is_ours: of path and text.
    :raises Refused: when a file that this collection did not write lies at a path.
    """
    steps = []
    for path, new in wanted.items():
        old = found.get(path)
        if old == new:
            continue
        if old is not None and not is_ours(path, old):
            raise Refused(
                f"nothing was changed: {path} was not written by this collection; move it away if nothing uses it"
            )
        steps.append(WriteFile(path, old, new, WHAT))
    # what refers to other files goes before them
    gone = [path for path in found if path not in wanted and is_ours(path, found[path])]
    return steps + [WriteFile(path, found[path], None, WHAT) for path in reversed(gone)]
