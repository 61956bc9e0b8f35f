# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What is not done without force to a link whose tap a process holds: cut it off, give it to another guest. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from .._core.errors import Refused
from .._core.identity import likely_indexes, read_tag
from .._core.model import MAKING_GROUP, MOST_HOLDERS, Holder, Link, NodePolicy, OwnerTag, Tap
from .plan import Plan
from .steps import ChangeLink, MakeNode, OwnNode

#: of so many links, or processes, the message tells
_NAMED = 5
#: who has a tap open that the kernel calls open, when no process is found
_UNSEEN = (
    "a process that /proc does not show here (in another PID namespace, hidden from this user, or with the descriptor"
    " in flight)"
)
_NO_FILES_OF = "the open files of %s are not readable (Permission denied)"
_PARKED_BY = "%s has descriptors in flight in sockets or registered with io_uring, which may be of taps"
_UNREACHED = "%d processes were not examined, because the others took too long"
_UNACCOUNTED = "%d openings of macvtap devices are of processes that /proc does not show here"
_PARTIAL = "/proc shows only the processes of this PID namespace or user, but others share the network of the host"


class Use(NamedTuple):
    """Which taps are open, and who has them open."""

    #: by ifindex, of each tap that is open; an empty list = by none that can be seen
    holders: Mapping[int, Sequence[Holder]] = MappingProxyType({})
    #: why others may be open as well, in words; empty = they are not
    doubts: Sequence[str] = ()


class _Look(Protocol):
    """What a look at all processes could not see (see :class:`_system.holders.Look`)."""

    @property
    def hidden(self) -> list[Holder]: ...

    @property
    def parked(self) -> list[Holder]: ...

    @property
    def unreached(self) -> int: ...

    @property
    def is_partial(self) -> bool: ...

    @property
    def unaccounted(self) -> int | None: ...


def doubts(look: _Look) -> list[str]:
    """Why a tap may be open although no holder was found, in words."""
    if look.unaccounted == 0:
        return []
    found = [_UNACCOUNTED % look.unaccounted] if look.unaccounted else []
    if look.hidden:
        found.append(_NO_FILES_OF % first_of(look.hidden))
    if look.parked:
        found.append(_PARKED_BY % first_of(look.parked))
    if look.unreached:
        found.append(_UNREACHED % look.unreached)
    if look.is_partial:
        found.append(_PARTIAL)
    return found


class Conflict(Refused):
    """Another link has what is wanted; ``link`` is that one."""

    def __init__(self, message: str, link: Link) -> None:
        super().__init__(message)
        self.link = link

    def held_by(self, holders: Sequence[Holder], path: str) -> Refused:
        """The same, where the guest of that link runs.

        :arg path: of its tap.
        """
        return Refused(f"{self}; it is in use: its tap {path} is held open by {first_of(holders)}")


def new_owner(step: ChangeLink) -> OwnerTag | None:
    """The guest to which a change assigns a link, and so its tap, unless it surely had it before.

    A link without an owner tag certainly belongs to its guest if its ifindex was derived from that guest: another
    program cleared the alias. Name and MAC alone are no proof. A link that is still being created was not handed out.
    """
    before, after = read_tag(step.old.alias), read_tag(step.new.alias)
    if after is None or (before is not None and (before.guest, before.nic) == (after.guest, after.nic)):
        return None
    is_certain = (
        before is None and step.old.group != MAKING_GROUP and step.old.ifindex in likely_indexes(after.guest, after.nic)
    )
    return None if is_certain else after


def taps_at_stake(plan: Plan, seen: Mapping[int, Tap]) -> dict[int, tuple[int, int]]:
    """Device numbers, by ifindex, of the taps that no process may hold when the plan is carried out.

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
        done = "recreated" if cut_off[0].because else "removed"
        them = "it" if len(cut_off) == 1 else "them"
        raise Refused(
            "nothing was %s: %s; stop %s first, or set force=true to disconnect %s"
            % (done, _told([step.link for step in cut_off], holders), them, them)
        )
    for step in plan.change:
        owner = new_owner(step)
        if owner is not None and step.old.ifindex in holders:
            raise Refused(
                f"nothing was changed: {step.old.name} would be assigned to guest {owner.guest} nic {owner.nic},"
                f" but its tap {policy.path(step.old.ifindex)} is held open by"
                f" {first_of(holders[step.old.ifindex])},"
                " which may be another guest (name and MAC are no proof); stop that process, choose another ifname"
                " or MAC, or set force=true if it runs this guest"
            )


def require_certainty(reasons: Sequence[str], can_force: bool = True) -> None:
    """Refuse to touch taps that an invisible process may hold.

    :arg reasons: see :attr:`Use.doubts`.
    :arg can_force: whether the module has an option ``force``.
    """
    if reasons:
        raise Refused(
            f"nothing was changed: cannot check whether a guest holds these taps: {'; '.join(reasons)}; stop the"
            " guest, or run as root"
            f" (become: true) with CAP_NET_ADMIN on the host{', or set force=true' if can_force else ''}"
        )


def taps_that_change_hands(plan: Plan, seen: Mapping[int, Tap]) -> dict[int, tuple[int, int]]:
    """Device numbers, by ifindex, of the taps whose nodes get another owner, group or mode."""
    changed = {step.number for step in plan.nodes if isinstance(step, OwnNode)}
    made = {step.number for step in plan.nodes if isinstance(step, MakeNode)}
    return {index: tap.number for index, tap in seen.items() if tap.number in changed - made}


def with_keepers(plan: Plan, holders: Mapping[tuple[int, int], Sequence[Holder]]) -> Plan:
    """The plan, with who keeps a tap open that its node would not admit any more.

    :arg holders: by device number, of the taps that are open; an empty list = by none that can be seen.
    """
    return plan._replace(
        nodes=[
            step._replace(kept=_keepers(step, holders[step.number]))
            if isinstance(step, OwnNode) and step.number in holders
            else step
            for step in plan.nodes
        ]
    )


def _keepers(step: OwnNode, holders: Sequence[Holder]) -> str:
    """In words, the holders that could not open the node again after the step; "" = all could."""
    keepers = [holder for holder in holders if not admits(step.new, holder)]
    if holders and not keepers:
        return ""
    return ", ".join(f"{holder} of user {holder.uid}" for holder in keepers[:_NAMED]) or _UNSEEN


def admits(owner: tuple[int, int, int], holder: Holder) -> bool:
    """Whether a process could open the node.

    :arg owner: user, group and permission bits of the node.
    """
    uid, gid, mode = owner
    return holder.uid in (0, uid) or bool(mode & (0o060 if gid in holder.groups else 0o006))


def first_of(holders: Sequence[Holder], omitted: int = 0) -> str:
    """The first processes by name, and how many more there are; without any, that there is one that is not seen.

    :arg omitted: number of processes that are not among them.
    """
    left = len(holders[_NAMED:]) + omitted
    least = "at least " if len(holders) >= MOST_HOLDERS and not omitted else ""
    more = f" and {least}{left} more" if left else ""
    return ", ".join(map(str, holders[:_NAMED])) + more if holders else _UNSEEN


def _told(links: Sequence[Link], holders: Mapping[int, Sequence[Holder]]) -> str:
    lines = [f"{link.name} is held open by {first_of(holders[link.ifindex])}" for link in links[:_NAMED]]
    if len(links) > _NAMED:
        lines.append(f"and {len(links) - _NAMED} more")
    return "; ".join(lines)
