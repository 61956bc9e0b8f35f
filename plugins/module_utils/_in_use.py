# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What is not done without force to a link whose tap a process holds: cut it off, give it to another guest. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.linuxnet.macvtap.plugins.module_utils._errors import Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._identity import likely_indexes, read_mark
from ansible_collections.linuxnet.macvtap.plugins.module_utils._model import (
    MAKING_GROUP,
    Holder,
    Link,
    Mark,
    NodePolicy,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._plan import ChangeLink, Plan, Seen

#: of so many links the message tells
_NAMED = 5


class Taken(Refused):
    """Another link has what is wanted; ``link`` is that one."""

    def __init__(self, message: str, link: Link) -> None:
        super().__init__(message)
        self.link = link


def new_owner(step: ChangeLink) -> Mark | None:
    """The guest that a change gives a link to, and so whoever holds its tap, if it may not have been its before.

    A link without a mark is its guest's for certain when its ifindex was derived from that guest: somebody wiped the
    alias. Name and MAC alone are no proof. A link still in the making was handed out to nobody yet.
    """
    before, after = read_mark(step.old.alias), read_mark(step.new.alias)
    if after is None or (before is not None and (before.guest, before.nic) == (after.guest, after.nic)):
        return None
    is_certain = (
        before is None and step.old.group != MAKING_GROUP and step.old.ifindex in likely_indexes(after.guest, after.nic)
    )
    return None if is_certain else after


def taps_at_stake(plan: Plan, seen: Mapping[int, Seen]) -> dict[int, tuple[int, int]]:
    """Device numbers, by ifindex, of the taps that nobody may hold when the plan is carried out.

    :arg seen: the taps of the links that the plan changes.
    """
    numbers = {step.link.ifindex: step.number for step in plan.delete if step.number is not None}
    for step in plan.change:
        if step.old.ifindex in seen and new_owner(step) is not None:
            numbers[step.old.ifindex] = seen[step.old.ifindex].number
    return numbers


def require_free(plan: Plan, holders: Mapping[int, Sequence[Holder]], policy: NodePolicy) -> None:
    """Refuse to cut off a process that holds a tap open, or to give it another guest's NIC; all or nothing.

    :arg holders: by ifindex, of the taps at stake.
    """
    cut_off = [step for step in plan.delete if step.link.ifindex in holders]
    if cut_off:
        done = "recreated" if cut_off[0].recreated else "removed"
        them = "it" if len(cut_off) == 1 else "them"
        raise Refused(
            "nothing was %s: %s; stop %s first, or set force=true to cut %s off"
            % (done, _told([step.link for step in cut_off], holders), them, them)
        )
    for step in plan.change:
        owner = new_owner(step)
        if owner is not None and step.old.ifindex in holders:
            raise Refused(
                "nothing was changed: %s would be given to guest %s nic %d, but its tap %s is held open by %s, which"
                " may be another guest: name and MAC alone do not tell; stop it first, choose another ifname or MAC, or"
                " set force=true if it is this very guest"
                % (
                    step.old.name,
                    owner.guest,
                    owner.nic,
                    policy.path(step.old.ifindex),
                    _names(holders[step.old.ifindex]),
                )
            )


def require_seen(hidden: Sequence[Holder]) -> None:
    """Refuse to touch taps that somebody may hold of whom that cannot be seen.

    :arg hidden: the processes whose open files may not be seen.
    """
    if hidden:
        raise Refused(
            "nothing was changed: whether a guest holds these taps cannot be seen, since the open files of %s may not"
            " be looked at (Permission denied); run as root (become: true) with CAP_SYS_PTRACE, or set force=true"
            % first_of(hidden)
        )


def first_of(holders: Sequence[Holder]) -> str:
    """The first processes by name, and how many more there are."""
    more = " and %d more" % (len(holders) - _NAMED) if len(holders) > _NAMED else ""
    return _names(holders[:_NAMED]) + more


def also_held(error: Taken, path: str, holders: Sequence[Holder]) -> str:
    """What a refusal says of another guest's link when that guest runs.

    :arg path: of the tap.
    """
    return "%s; it is in use: its tap %s is held open by %s" % (error, path, _names(holders))


def _told(links: Sequence[Link], holders: Mapping[int, Sequence[Holder]]) -> str:
    lines = ["%s is held open by %s" % (link.name, _names(holders[link.ifindex])) for link in links[:_NAMED]]
    if len(links) > _NAMED:
        lines.append("and %d more" % (len(links) - _NAMED))
    return "; ".join(lines)


def _names(holders: Iterable[Holder]) -> str:
    return ", ".join("pid %d (%s)" % holder for holder in holders)
