# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What a name or a MAC address may be. PURE.

Every ``check_…`` returns the value in the spelling used from there on, or raises InvalidInput with the way out.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

from .errors import InvalidInput

#: IFNAMSIZ and ALTIFNAMSIZ less the closing zero (include/uapi/linux/if.h)
MAX_IFNAME_BYTES, MAX_ALTNAME_BYTES = 15, 127
#: begins the permanent MAC of a device, where a name could stand
_BY_MAC = "mac:"
#: a file name has 255 bytes (NAME_MAX), and libvirt itself writes NAME.xml.new
MAX_NETWORK_NAME_BYTES = 247
#: more never fits the mark in a link's alias (IFALIASZ, 255 bytes), which checks the exact length, network included
MAX_GUEST_NAME_BYTES = 226

#: what the kernel takes for a blank in a device name (dev_valid_name(); its isspace() includes 0xa0, so the second
#: byte of "à" in UTF-8 counts)
_KERNEL_BLANKS = b" \t\n\v\f\r\xa0"
#: means other things in sysfs and below /proc/sys/net (sysctl_dev_name_is_allowed(), include/net/ip.h)
_NO_DEVICES = (".", "..", "all", "default")
#: control characters, halves of characters, and the two others that XML 1.0 has no place for
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

#: what means nothing else in a batch file, a unit, a sysctl, a udev rule, a network manager's configuration or nft(8)
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_OCTET = re.compile(r"[0-9a-fA-F]{1,2}")
#: deviceName in libvirt's basictypes.rng
_PORTGROUP = re.compile(r"[a-zA-Z0-9_.\-\\:/]+")


def shown(value: object, limit: int = 80) -> str:
    """A value as it appears in a message: quoted, on one line, cut when it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def printable(text: str) -> str:
    """``text`` for a terminal: control and invisible characters, which may come from names of processes, links or
    guests, are shown as escapes (``\\x1b``), but for line breaks."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def is_plain(name: str) -> bool:
    """Whether a name means nothing else in the files and programs that are given it."""
    return _PLAIN.fullmatch(name) is not None


def similar(name: str, known: Iterable[str]) -> list[str]:
    """:returns: at most three of ``known`` that may have been mistyped as ``name``, the likeliest first."""
    # imported here, since only messages need it
    from difflib import get_close_matches

    return get_close_matches(name, sorted(known))


def _check_text(name: object, what: str) -> str:
    """Text that can be stored in UTF-8, XML and an alias: not empty, no control characters."""
    if not isinstance(name, str):
        raise InvalidInput(f"the {what} {shown(name)} is not text; write it in quotes")
    if not name:
        raise InvalidInput(f"the {what} is empty; give one")
    bad = _FORBIDDEN.search(name)
    if bad is not None:
        raise InvalidInput(f"the {what} {shown(name)} contains the character U+{ord(bad.group()):04X}; remove it")
    return name


def check_network_name(name: str) -> str:
    """:returns: ``name``, fit for libvirt and for a file name.

    :raises InvalidInput: empty, ``.``, ``..``, with ``/`` or control characters, or too long for a file name.
    """
    _check_text(name, "network name")
    if "/" in name or name in (".", ".."):
        raise InvalidInput(
            f"the network name {shown(name)} cannot be a file name; use a name without '/' that is not '.' or '..'"
        )
    if len(name.encode()) > MAX_NETWORK_NAME_BYTES:
        raise InvalidInput(
            f"the network name {shown(name)} has {len(name.encode())} bytes;"
            f" shorten it to {MAX_NETWORK_NAME_BYTES} so that it fits a file name"
        )
    return name


def check_portgroup_name(name: str) -> str:
    """:returns: ``name``, fit for libvirt's schema.

    :raises InvalidInput: empty, or with another character than those of a device name there.
    """
    if not _PORTGROUP.fullmatch(_check_text(name, "port group name")):
        raise InvalidInput(
            f"the port group name {shown(name)} has characters that libvirt's schema does not have; use letters, digits"
            " and . _ - : /"
        )
    return name


def check_guest_name(name: str) -> str:
    """:returns: ``name``, fit for the mark on a link.

    :raises InvalidInput: empty, with control characters, or too long for the mark.
    """
    _check_text(name, "guest name")
    if len(name.encode()) > MAX_GUEST_NAME_BYTES:
        raise InvalidInput(
            f"the guest name {shown(name)} has {len(name.encode())} bytes, too long for the owner tag on its links;"
            f" shorten it to {MAX_GUEST_NAME_BYTES} or less"
        )
    return name


def check_ifname(name: str, what: str = "interface name", most: int = MAX_IFNAME_BYTES) -> str:
    """:returns: ``name``, one that the kernel accepts for a network device (dev_valid_name(), net/core/dev.c).

    :arg what: what to call it in the message, such as "lower device".
    :arg most: bytes that it may have.
    """
    _check_text(name, what)
    raw = name.encode()
    if len(raw) > most:
        raise InvalidInput(f"the {what} {shown(name)} has {len(raw)} bytes; the kernel allows {most}")
    bad = next((c for c in name if c in "/:%" or any(byte in _KERNEL_BLANKS for byte in c.encode())), None)
    if bad is not None:
        raise InvalidInput(f"the {what} {shown(name)} contains {shown(bad)}, which no device name can; remove it")
    if name in _NO_DEVICES:
        raise InvalidInput(f"the {what} {shown(name)} cannot be the name of a network device; choose another one")
    return name


def check_device(name: str, what: str = "lower device") -> str:
    """:returns: ``name``, as it is: the name or an alternative name of a device, or ``mac:`` and its permanent MAC.

    :raises InvalidInput: it can be neither.
    """
    if permanent_mac_in(name) is None:
        check_ifname(name, what, MAX_ALTNAME_BYTES)
    return name


def permanent_mac_in(device: str) -> str | None:
    """:returns: the permanent MAC by which ``device`` is given, as :func:`normalize_mac` does; None = by a name.

    :raises InvalidInput: what follows ``mac:`` is not a MAC address.
    """
    is_mac = isinstance(device, str) and device.startswith(_BY_MAC)
    return normalize_mac(device[len(_BY_MAC) :]) if is_mac else None


def normalize_mac(text: str) -> str:
    """:returns: the MAC address ``text`` in lower case, two digits per octet (``2:0:0:0:0:A`` → ``02:00:00:00:00:0a``).

    :raises InvalidInput: it is not six octets of one or two hexadecimal digits.
    """
    octets = _octets(text)
    if octets is None or len(octets) != 6:
        raise InvalidInput(
            f"the MAC address {shown(text)} is not six hexadecimal octets with colons;"
            " write it like '52:54:00:12:34:56', in quotes"
        )
    return ":".join(octets)


def check_mac(text: str) -> str:
    """:returns: ``text`` as :func:`normalize_mac` does; one that a guest NIC can have.

    :raises InvalidInput: it is not a MAC address, is multicast (or broadcast), or all zero.
    """
    mac = normalize_mac(text)
    if int(mac[:2], 16) & 1:
        raise InvalidInput(
            f"the MAC address {shown(text)} is multicast, which a NIC cannot have; make the first octet even"
        )
    if mac == "00:00:00:00:00:00":
        raise InvalidInput(f"the MAC address {shown(text)} is all zero, which a NIC cannot have; omit it to derive one")
    return mac


def check_mac_prefix(text: str) -> str:
    """:returns: the first octets of derived MAC addresses, in lower case, two digits each.

    :raises InvalidInput: it is not one to five octets, or the first one makes every address multicast.
    """
    octets = _octets(text)
    if octets is None or not 1 <= len(octets) <= 5:
        raise InvalidInput(
            f"the MAC prefix {shown(text)} is not one to five hexadecimal octets with colons;"
            " write it like '52:54:00', in quotes"
        )
    if int(octets[0], 16) & 1:
        raise InvalidInput(f"the MAC prefix {shown(text)} makes multicast addresses; make the first octet even")
    return ":".join(octets)


_UNIT_CHARACTERS = frozenset(string.ascii_letters + string.digits + ":_.")


def unit_escaped(text: str) -> str:
    """A text inside a unit name, as ``systemd-escape`` does."""
    words = []
    for position, byte in enumerate(text.encode()):
        plain = chr(byte) in _UNIT_CHARACTERS and not (position == 0 and chr(byte) == ".")
        words.append(chr(byte) if plain else "-" if chr(byte) == "/" else f"\\x{byte:02x}")
    return "".join(words)


def _octets(text: object) -> list[str] | None:
    parts = text.split(":") if isinstance(text, str) else []
    if not parts or not all(_OCTET.fullmatch(part) for part in parts):
        return None
    return [part.lower().zfill(2) for part in parts]
