# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What an errno of the kernel means for attaching guests. PURE."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from .model import Link

#: (cause, way out). The kernel sends almost no text of its own for macvlan and macvtap (drivers/net/macvlan.c).
_MEANINGS = {
    errno.EEXIST: ("its name or its ifindex is taken", "look who has it with 'ip link', or run again"),
    errno.ENODEV: ("the link or its lower device vanished", "check the lower device and run again"),
    errno.EBUSY: (
        "the lower device belongs to a bridge, a bond or Open vSwitch, or another driver has its frames",
        "'ip -d link' shows its master; use that master as the device",
    ),
    errno.EINVAL: (
        "the kernel does not allow this here: a passthrough link must be alone on its lower device and cannot become"
        " anything else, the MTU must be 68 to that of the lower device, and the lower device must be Ethernet",
        "check mode, MTU and device",
    ),
    errno.EADDRINUSE: (
        "the MAC is that of the lower device, or of another macvtap that is up on it",
        "choose another MAC",
    ),
    errno.EADDRNOTAVAIL: ("the MAC is multicast or zero", "choose a unicast MAC, such as one beginning with 02"),
    errno.ERANGE: ("the name or the owner tag is too long", "choose a shorter name"),
    errno.EOPNOTSUPP: ("this kernel has no macvtap", "load the module: modprobe macvtap"),
    errno.EOVERFLOW: (
        "a counter of the lower device (promiscuity or allmulticast) is full, or was driven below zero before",
        "'ip -d link' shows it; only making the lower device again, or a reboot, resets it",
    ),
    errno.EPERM: ("the capability CAP_NET_ADMIN is missing here", "run as root (become: true)"),
    errno.EACCES: ("permission is missing", "run as root (become: true)"),
    errno.EROFS: ("the file system is read-only", "run where /proc/sys can be written"),
    errno.ENOMEM: ("the kernel has no memory left for it", "free memory"),
    errno.ENFILE: ("the kernel has no tap minors left (2^20)", "remove taps"),
}

#: the same errno for one attribute (see :data:`_link.attributes.ATTRIBUTES`) of a link that exists
_MEANINGS_OF_ATTRIBUTES = {
    # after the link was set down for it (_renaming)
    (errno.EBUSY, "ifname"): (
        "this kernel renames a link only while it is down, and another program brought it up again",
        "have that program (a network manager?) ignore macvtaps, and run again",
    ),
    # a virtual function keeps the MAC that was set at its physical function (igbvf, ixgbevf)
    (errno.EADDRNOTAVAIL, "mac"): (
        "the driver of the lower device refuses it: a virtual function keeps the MAC that the owner of its physical"
        " function has set",
        "have the owner trust it (ip link set dev PF vf N trust on), or give the NIC the MAC that the lower device has",
    ),
    # a passthrough link hands its MAC on to the lower device
    (errno.EOPNOTSUPP, "mac"): (
        "the lower device does not support another MAC, which mode passthrough requires",
        "use another device or another mode",
    ),
}


def explain(verb: str, link: Link, number: int, text: str = "", names: Iterable[str] = ()) -> str:
    """One sentence: what was being done to which link, why the kernel refused, and what to do.

    :arg verb: "make", "set up" …
    :arg number: positive errno.
    :arg text: the kernel's own words, if it sent any.
    :arg names: of the attributes that the refused message was to set on a link that exists.
    """
    cause = why(number, text, names)
    return f"cannot {verb} link {link.name} (ifindex {link.ifindex}, MAC {link.mac}): {cause}"


def why(number: int, text: str = "", names: Iterable[str] = ()) -> str:
    """Cause and way out of an errno, without what was being done.

    :arg number: positive errno.
    :arg text: the kernel's own words, if it sent any.
    :arg names: as of :func:`explain`.
    """
    general = _MEANINGS.get(number, ("the kernel refused", "see dmesg"))
    particular = (_MEANINGS_OF_ATTRIBUTES[number, name] for name in names if (number, name) in _MEANINGS_OF_ATTRIBUTES)
    cause, remedy = next(particular, general)
    own_words = f": {text}" if text else ""
    return f"{cause} ({errno.errorcode.get(number, str(number))}{own_words}); {remedy}"
