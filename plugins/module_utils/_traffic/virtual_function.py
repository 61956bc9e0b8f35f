# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What the physical function does for an SR-IOV virtual function, as a NIC asks for it (option ``vf``). PURE.

The owner tag of a link says what its virtual function had before, so that it is given back: ``v0t0s1``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._core.errors import InvalidInput
from .._core.model import VirtualFunction
from .._core.names import shown

SPEC: dict[str, Any] = {
    "type": "dict",
    "options": {"vlan": {"type": "int"}, "trust": {"type": "bool"}, "spoof_check": {"type": "bool"}},
}
#: 0 = no tag is added and removed
VLANS = range(4095)
#: in the owner tag and for ip(8), by field of VirtualFunction
_LETTERS = {"vlan": "v", "trust": "t", "spoof_check": "s"}
_IP_WORDS = {"vlan": "vlan", "trust": "trust", "spoof_check": "spoofchk"}
_FORMER = re.compile(r"(?:v(?P<vlan>\d{1,5}|x))?(?:t(?P<trust>[01x]))?(?:s(?P<spoof_check>[01x]))?")


def check(value: Any, where: str) -> None:
    """Check a value of the option.

    :arg where: what to call it in messages.
    :raises InvalidInput: naming the value.
    """
    if not isinstance(value, Mapping) or not set(value) <= set(_LETTERS):
        raise InvalidInput(f"{where} {shown(value)} is not possible; it has vlan, trust and spoof_check")
    for name, word in value.items():
        is_number = isinstance(word, int) and not isinstance(word, bool)
        if name == "vlan" and word is not None and not (is_number and word in VLANS):
            raise InvalidInput(
                f"{where} vlan {shown(word)} is not possible; it must be {VLANS[0]} to {VLANS[-1]}, and 0 means none"
            )
        if name != "vlan" and not (word is None or isinstance(word, bool)):
            raise InvalidInput(f"{where} {name} {shown(word)} is not possible; it must be true or false")


def wanted(value: Mapping[str, Any] | None) -> VirtualFunction | None:
    """What a checked value asks for; None = nothing."""
    asked = VirtualFunction(**{name: (value or {}).get(name) for name in _LETTERS})
    return None if asked == VirtualFunction() else asked


def show(function: VirtualFunction | None) -> dict[str, Any] | None:
    """What is set, as the option has it."""
    if function is None:
        return None
    values = set_in(function)
    return {**values, "vlan": values["vlan"] & 0xFFF} if "vlan" in values else values


def set_in(function: VirtualFunction | None) -> dict[str, Any]:
    """The settings of which something is said."""
    return {name: value for name, value in (function or VirtualFunction())._asdict().items() if value is not None}


def text(function: VirtualFunction | None) -> str:
    """In the words of ip(8), "" = nothing: ``vlan 20 trust on spoofchk off``."""
    values = show(function) or {}
    return " ".join(f"{_IP_WORDS[name]} {_word(value)}" for name, value in values.items())


def _word(value: int | bool) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def former(word: str) -> dict[str, Any]:
    """What a virtual function had before, by what was set since; None = that is not known."""
    match = _FORMER.fullmatch(word)
    words = {name: value for name, value in match.groupdict().items() if value is not None} if match else {}
    values = {name: None if value == "x" else int(value) for name, value in words.items()}
    return {name: value if value is None or name == "vlan" else bool(value) for name, value in values.items()}


def former_word(values: Mapping[str, Any] | None) -> str:
    """That, as the owner tag has it."""
    known = {name: (values or {})[name] for name in _LETTERS if name in (values or {})}
    return "".join(_LETTERS[name] + ("x" if value is None else str(int(value))) for name, value in known.items())


def given_back(word: str, kept: VirtualFunction | None = None) -> VirtualFunction | None:
    """What is to be set when only ``kept`` is asked for any more.

    :arg word: what was there before, from the owner tag.
    """
    return wanted({**former(word), **set_in(kept)})


def managed(current: VirtualFunction, word: str) -> VirtualFunction | None:
    """Of the settings that a virtual function has, those that were set for a link with this owner tag."""
    return wanted({name: getattr(current, name) for name in former(word)})


def joined(asked: VirtualFunction | None, had: VirtualFunction | None) -> VirtualFunction | None:
    """What is asked for, and of what an earlier task asked for what is left as it is."""
    return wanted({**set_in(had), **set_in(asked)})


def remembered(target: VirtualFunction, word: str, current: VirtualFunction) -> str:
    """What the owner tag says of a virtual function that gets ``target``.

    :arg word: what it says now.
    """
    before = former(word)
    return former_word({name: before.get(name, getattr(current, name)) for name in set_in(target)})
