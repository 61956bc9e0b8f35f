# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Warnings: what the kernel allows, but what does not work as expected. PURE.

Warned of by the module that comes to know of it; macvtap_info tells what can be seen at any time among its problems.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .._core.model import Attachment, Holder, Nic, NodePolicy
from .._core.names import similar
from .._link.host import Host
from .._link.in_use import first_of
from .._link.steps import shown

#: a warning names so many guests or NICs
_MOST_NAMED = 20
#: all of them; the documentation lists them by these names
WARNINGS = {
    # an access point takes frames from the stations that associated with it only (IEEE Std 802.11, 11.3)
    "wireless": (
        "lower device %s is wireless: access points usually drop frames from MACs other than its own, so guests on"
        " it reach nothing; use a wired device"
    ),
    "gone": (
        "network %r was defined with %s, which does not exist on this host now; its other lower devices are used;"
        " define the network without the missing device if it does not return"
    ),
    "no carrier": (
        "new NICs are on %s, which has no carrier, because no other lower device of their network has one: %s;"
        " rebalance=true moves them once another one has a carrier"
    ),
    "kept": (
        "options that an earlier task requested, and this one does not mention, were kept: %s; set them in this task to"
        " confirm them or to change them"
    ),
    "no reflection": (
        "the switch port of %s does not reflect frames, so the %d NICs in mode vepa on that device cannot reach"
        " each other; enable reflective relay (hairpin) on the port, or use mode bridge"
    ),
    "frames too large": (
        "the switch port of %s reflects small frames, but none with the %d bytes of the MTU of the device: frames of"
        " that size are lost on the way; set the MTU of the device, or of the guests, to that of the switch"
    ),
    "path moved": (
        "guest %s nic %d gets %s and not %s, the path derived for it: %s; a program that starts the guest by the"
        " derived path does not find the tap there"
    ),
    # proc_fd_access_allowed in fs/proc/base.c
    "unseen holders": (
        "holders may leave out processes: %s; run as root (become: true) with CAP_SYS_PTRACE, in the PID namespace of"
        " the host"
    ),
    "kept open": (
        "%s gets another owner, but %s has it open and keeps the NIC; stop that process, or detach with force=true"
    ),
    "dead tap": (
        "%s has a tap open whose link is gone, so its guest has no network there; attach the guest again and have its"
        " VMM open the new tap (macvtap_qemu does so), or restart the guest"
    ),
    "no root": (
        "check mode ran as user %s: a real run needs root for links, device nodes and files that are not this user's;"
        " set become: true for it"
    ),
    "in use": (
        "network %r has %d live attachments (%s): a real run removes it only if an earlier task has detached them,"
        " which check mode does not see; to have it predicted, pass the attachments of that task in detached"
    ),
    "no match": "there is no %s %s on this host%s, so the filter of that name matches nothing; check the spelling",
    "libvirt's files": (
        "cannot read libvirt's files in %s (Permission denied), so its links and networks are not recognized;"
        " run as root (become: true)"
    ),
    "trusted filters": (
        "%s: trustGuestRxFilters='yes' is followed in part: the link receives all multicast frames, but not frames for"
        " other MAC addresses that the guest sets; those arrive in mode passthrough only"
    ),
    "skipped guests": "%d guests were skipped, see skipped_guests for the reasons: %s",
    "silent guests": "problems omits what these guests want to receive, because their QEMU did not answer: %s",
    "no statistics": "the statistics of the attachments are omitted: %s",
}


def of_prediction(user: int) -> list[str]:
    """What is to be said of changes that check mode foretells.

    :arg user: effective user id of the module.
    """
    return [WARNINGS["no root"] % user] if user else []


def of_removal(network: str, live: int, links: str) -> list[str]:
    """What is to be said of a network that only check mode, which does not know better, removes.

    :arg live: number of its live attachments.
    :arg links: the first of them, in words.
    """
    return [WARNINGS["in use"] % (network, live, links)]


def of_filters(asked: Iterable[tuple[str, str]], there: Mapping[str, Collection[str]]) -> list[str]:
    """What is to be said of filters that can match nothing.

    :arg asked: (what, value) of each filter, such as ("guest", "web").
    :arg there: the values that this host has of each.
    """
    return [
        WARNINGS["no match"] % (what, repr(value), _similar(value, there[what]))
        for what, value in asked
        if value not in there[what]
    ]


def _similar(value: str, there: Iterable[str]) -> str:
    near = similar(value, there)
    return f" (similar: {', '.join(map(repr, near))})" if near else ""


def of_libvirt(hidden: Sequence[str]) -> list[str]:
    """What is to be said of directories of libvirt that may not be looked at."""
    return [WARNINGS["libvirt's files"] % " and ".join(hidden)] if hidden else []


def of_skipped(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is to be said of guests that were skipped.

    :arg rows: ``skipped_guests`` of the result.
    """
    return [WARNINGS["skipped guests"] % (len(rows), _first([row["guest"] for row in rows]))] if rows else []


def of_trusted_filters(nics: Iterable[Nic]) -> list[str]:
    """What is to be said of NICs whose filters libvirt would follow."""
    trusting = [nic.origin for nic in nics if nic.trusts_filters]
    return [WARNINGS["trusted filters"] % _first(trusting)] if trusting else []


def _first(names: Sequence[str]) -> str:
    return ", ".join([*names[:_MOST_NAMED], *["…"][: len(names) > _MOST_NAMED]])


def of_devices(wireless: Iterable[str]) -> list[str]:
    """What is to be said of lower devices.

    :arg wireless: names of those that are.
    """
    return [WARNINGS["wireless"] % name for name in sorted(wireless)]


def of_gone(gone: Mapping[str, Sequence[str]]) -> list[str]:
    """What is to be said of lower devices that a network was defined with and that are gone.

    :arg gone: network → their names.
    """
    return [WARNINGS["gone"] % (network, ", ".join(names)) for network, names in sorted(gone.items()) if names]


def of_kept_options(attachments: Iterable[Attachment]) -> list[str]:
    """What is to be said of options that an earlier task asked for and this one does not mention."""
    kept = [
        f"{name}={shown(value)} of guest {each.guest} nic {each.nic}"
        for each in attachments
        for name, value in each.kept.items()
    ]
    return [WARNINGS["kept"] % _first(kept)] if kept else []


def of_dead(new: Iterable[Attachment], host: Host) -> list[str]:
    """What is to be said of new links on the devices of networks, none of which has a carrier.

    :arg host: as it is with them.
    """
    guests: dict[str, dict[str, None]] = {}
    for attachment in new:
        lower = host.links[attachment.link.lower]
        if attachment.network is not None and lower.is_up and not lower.has_carrier:
            guests.setdefault(lower.name, {})[attachment.guest] = None
    return [WARNINGS["no carrier"] % (device, _first(list(names))) for device, names in guests.items()]


def of_moved(moved: Sequence[tuple[str, int, int, int, str]], policy: NodePolicy) -> list[str]:
    """What is to be said of new links that do not get the derived path.

    :arg moved: as :func:`_link.resolve.moved` gives them.
    """
    return [
        WARNINGS["path moved"] % (guest, nic, policy.path(index), policy.path(derived), reason)
        for guest, nic, index, derived, reason in moved
    ]


def of_doubts(doubts: Sequence[str]) -> list[str]:
    """What is to be said of a list of holders that may not be all.

    :arg doubts: why, see :func:`_link.in_use.doubts`.
    """
    return [WARNINGS["unseen holders"] % "; ".join(doubts)] if doubts else []


def of_dead_taps(processes: Sequence[Holder]) -> list[str]:
    """What is to be said of processes that have taps open whose links are gone."""
    return [WARNINGS["dead tap"] % first_of(processes)] if processes else []


def of_silent_guests(silent: Mapping[str, str]) -> list[str]:
    """What is to be said of guests that could not be asked.

    :arg silent: guest → the reason.
    """
    named = [f"{guest} ({reason})" for guest, reason in silent.items()]
    return [WARNINGS["silent guests"] % _first(named)] if named else []


def of_kept_taps(kept: Iterable[tuple[str, str]]) -> list[str]:
    """What is to be said of taps that a process keeps although their nodes get another owner.

    :arg kept: path of each node, and the processes in words; "" = none.
    """
    return [WARNINGS["kept open"] % (path, processes) for path, processes in kept if processes]


def of_statistics(reason: Exception) -> list[str]:
    """What is to be said when the counters of links cannot be read, but all else can."""
    return [WARNINGS["no statistics"] % reason]


def of_probe(device: str, result: Mapping[str, Any], vepa: int, mtu: int) -> list[str]:
    """What the answer of a switch port means for those that are on its lower device.

    :arg vepa: number of macvtaps in mode vepa on it.
    :arg mtu: of the lower device, in bytes.
    """
    if not result["reflective_relay"]:
        # one NIC alone reaches everybody else
        return [WARNINGS["no reflection"] % (device, vepa)] if vepa > 1 else []
    return [] if result["full_mtu"] else [WARNINGS["frames too large"] % (device, mtu)]
