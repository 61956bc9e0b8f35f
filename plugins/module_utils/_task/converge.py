# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The one loop: look, plan, apply, look again, until a look finds nothing left to do."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Callable, NamedTuple

from .._core.errors import HostError, MacvtapError, RaceLost, unexpected
from .._core.model import Attachment, NodePolicy, Tap
from .._link.host import Host
from .._link.in_use import (
    Conflict,
    also_held,
    require_certainty,
    require_free,
    taps_at_stake,
    taps_that_change_hands,
    with_keepers,
)
from .._link.plan import Plan, Step, describe, diff
from .._system import holders, rtnetlink, tap_node, tap_use
from .._system.lock import namespace_lock
from .._system.look import look_at_host
from .apply import Applier

#: how often somebody else may be quicker before we give up
_RACES = 50
#: how often the same plan may come out again after it was carried out
_REPEATS = 3


class Task(NamedTuple):
    """How one task is to be carried out."""

    policy: NodePolicy
    #: cut off processes that hold a tap open
    force: bool
    check_mode: bool


class View(NamedTuple):
    """One look at the host, and what it leads to."""

    host: Host
    plan: Plan
    attachments: Sequence[Attachment] = ()
    #: the taps of existing links, by ifindex
    seen: Mapping[int, Tap] = MappingProxyType({})


def converge(plan_for: Callable[[Host], View], task: Task) -> tuple[list[Step], View]:
    """Look, plan and apply until a look finds nothing left to do.

    :arg plan_for: decides, from one look, what is to be done.
    :returns: the steps done (in check mode: planned), and the last look.
    :raises MacvtapError: with what became of the steps done before the failure.
    """
    with contextlib.ExitStack() as stack:
        denied = None if task.check_mode else stack.enter_context(namespace_lock())
        netlink = stack.enter_context(rtnetlink.Netlink())
        applier = Applier(netlink, task.policy)
        races = repeats = 0
        try:
            while True:
                try:
                    view = _plan(plan_for, look_at_host(netlink, task.policy), task.policy)
                    if view.plan.steps():
                        view = _with_use(view, task, netlink)
                    steps = view.plan.steps()
                    if view.plan.bring_up:
                        rtnetlink.require_pyroute2()
                    if task.check_mode or not steps:
                        return (steps if task.check_mode else applier.done), view
                    if repeats == _REPEATS:
                        raise HostError(
                            "the host does not stay as it was set: still to do after %d rounds: %s; somebody else (a"
                            " network manager?) changes it back" % (repeats, "; ".join(map(describe, steps[:3])))
                        )
                    if denied is not None:
                        raise denied
                    applier.apply(view.plan)
                    repeats += 1
                except RaceLost:
                    races += 1
                    if races == _RACES:
                        raise
        except (MacvtapError, OSError) as exc:
            error = exc if isinstance(exc, MacvtapError) else unexpected(exc)
            if applier.done:
                error.args = ("%s. %s" % (error, applier.undo()),)
            raise error from exc


def _plan(plan_for: Callable[[Host], View], host: Host, policy: NodePolicy) -> View:
    try:
        return plan_for(host)
    except Conflict as exc:
        number = tap_node.device_number(exc.link) if exc.link.is_macvtap else None
        users = holders.find([number] if number is not None else ())
        for known in users.values():
            exc.args = (also_held(exc, policy.path(exc.link.ifindex), known),)
        raise


def _with_use(view: View, task: Task, netlink: rtnetlink.Netlink) -> View:
    """The view, with who keeps a tap open that changes hands.

    :raises Refused: when a process has a tap open that the plan takes from it.
    """
    at_stake = {} if task.force else taps_at_stake(view.plan, view.seen)
    changing = taps_that_change_hands(view.plan, view.seen)
    numbers = {**changing, **at_stake}
    use = tap_use.use_of(netlink, [view.host.links[index] for index in numbers], numbers)
    require_free(view.plan, {index: use.holders[index] for index in at_stake if index in use.holders}, task.policy)
    if at_stake:
        require_certainty(use.doubts)
    kept = {number: use.holders[index] for index, number in changing.items() if index in use.holders}
    return view._replace(plan=with_keepers(view.plan, kept)) if kept else view


def report(steps: list[Step]) -> dict[str, Any]:
    """``changed``, ``actions`` and ``diff`` of a result, all from the same steps."""
    return {"changed": bool(steps), "actions": [describe(step) for step in steps], "diff": diff(steps)}
