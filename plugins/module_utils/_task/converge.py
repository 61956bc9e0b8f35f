# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The one loop: look, decide, plan, apply, look again, until a look finds nothing left to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Callable, NamedTuple, Union

from .._core.errors import HostError, MacvtapError, RaceLost, as_error
from .._core.model import Attachment, Link, NodePolicy, Tap
from .._link import attributes
from .._link.host import Host
from .._link.host_link import ChangeHostLink, CreateHostLink, DeleteHostLink
from .._link.in_use import (
    Conflict,
    require_certainty,
    require_free,
    taps_at_stake,
    taps_that_change_hands,
    with_keepers,
)
from .._link.plan import Plan, diff, plan_attachments, predict
from .._link.steps import BringUp, Step, WriteFile
from .._link.vlan import CreateVlan
from .._link.vlan import plan as plan_vlans
from .._system import holders, host_link, nftables, rtnetlink, shaping, tap_node, tap_use, vlan
from .._system.lock import namespace_lock
from .._system.look import look_at_host, look_at_taps
from .apply import Applier

#: how often another process may be faster before we give up
_RACES = 50
#: how often the same plan may come out again after it was carried out
_REPEATS = 3


class Run(NamedTuple):
    """What the loops of one task share: if one of them fails, what all of them did is undone."""

    netlink: rtnetlink.Netlink
    applier: Applier
    #: why this user may not change anything
    denied: HostError | None


class Task(NamedTuple):
    """How one task is to be carried out."""

    policy: NodePolicy
    #: cut off processes that hold a tap open
    force: bool
    check_mode: bool
    #: in check mode: indexes of lower devices that an earlier task of the same run would have brought up
    brought_up: frozenset[int] = frozenset()
    #: where one loop follows another
    run: Run | None = None


class Decision(NamedTuple):
    """What one look at the host leads to, before the taps of the links concerned are looked at."""

    #: the host as the decision takes it
    host: Host
    #: the wanted attachments, and links that go
    attachments: Sequence[Attachment] = ()
    leaving: Sequence[Link] = ()
    bring_up: Sequence[BringUp] = ()
    files: Sequence[WriteFile] = ()
    #: steps of a host link, those that come before the links of guests and those after
    part: Sequence[DeleteHostLink] = ()
    meet: Sequence[Union[CreateHostLink, ChangeHostLink]] = ()
    #: False where owner and mode of nodes are another module's business
    owns_nodes: bool = True


class View(NamedTuple):
    """One look at the host, and what it leads to."""

    host: Host
    plan: Plan
    attachments: Sequence[Attachment] = ()
    #: of existing links, by ifindex
    taps: Mapping[int, Tap] = MappingProxyType({})


#: what is wanted, from one look at the host and what was read with it
Decide = Callable[[Host, Any], Decision]


@contextlib.contextmanager
def running(task: Task) -> Iterator[Run]:
    """The only run in this network namespace; what it did is undone if it fails.

    :raises MacvtapError: with what became of the steps done before the failure.
    """
    with contextlib.ExitStack() as stack:
        denied = None if task.check_mode else stack.enter_context(namespace_lock())
        netlink = stack.enter_context(rtnetlink.Netlink())
        applier = Applier(netlink)
        try:
            yield Run(netlink, applier, denied)
        except (MacvtapError, OSError) as exc:
            raise applier.revert.run(as_error(exc)) from exc


def converge(decide: Decide, task: Task, read: Callable[[], Any] = lambda: None) -> tuple[list[Step], View]:
    """Look, plan and apply until a look finds nothing left to do.

    :arg decide: touches nothing: it gets one look at the host, and what ``read`` returned with it.
    :arg read: reads what the decision needs beside links and nodes.
    :returns: the steps done (in check mode: planned), and the last look.
    :raises MacvtapError: with what became of the steps done before the failure.
    """
    with contextlib.nullcontext(task.run) if task.run else running(task) as run:
        done = len(run.applier.done)
        races = repeats = 0
        while True:
            try:
                view = _plan(decide, _as_left(look_at_host(run.netlink, task.policy), task), read(), task)
                if view.plan.steps():
                    view = _with_use(view, task, run.netlink)
                steps = view.plan.steps()
                _require(view.plan, run.netlink)
                if task.check_mode or not steps:
                    return (steps if task.check_mode else run.applier.done[done:]), view
                if repeats == _REPEATS:
                    raise HostError(
                        "changes do not persist: still pending after %d rounds: %s; another program (a network"
                        " manager?) reverts them; configure it to ignore these links"
                        % (repeats, "; ".join(step.describe() for step in steps[:3]))
                    )
                if run.denied is not None:
                    raise run.denied
                run.applier.apply(view.plan)
                repeats += 1
            except RaceLost:
                races += 1
                if races == _RACES:
                    raise


def _require(plan: Plan, netlink: rtnetlink.Netlink) -> None:
    """Find out before the first change whether the host has what the plan needs.

    :raises MacvtapError: naming what it lacks.
    """
    if plan.bring_up:
        rtnetlink.require_pyroute2()
    if plan.part or plan.meet:
        host_link.require_library()
    if any(isinstance(step, CreateVlan) for step in plan.vlans):
        vlan.require(netlink)
    limited = [step.new for step in plan.change if attributes.BANDWIDTH in step.names]
    shaping.require(netlink, limited + [step.link for step in plan.create])
    if plan.sets_guards():
        nftables.require()


def _as_left(host: Host, task: Task) -> Host:
    """The host as earlier tasks would have left it."""
    down = [BringUp(host.links[index]) for index in task.brought_up if index in host.links]
    down = [step for step in down if not step.link.is_up]
    return predict(host, Plan(bring_up=down)) if down else host


def _plan(decide: Decide, host: Host, found: Any, task: Task) -> View:
    try:
        decision = decide(host, found)
    except Conflict as exc:
        number = tap_node.device_number(exc.link) if exc.link.is_macvtap else None
        for users in holders.find([number] if number is not None else ()).values():
            raise exc.held_by(users, task.policy.path(exc.link.ifindex)) from exc
        raise
    existing = [attachment.found for attachment in decision.attachments if attachment.found is not None]
    taps = look_at_taps(existing, task.policy, required=True)
    # a tap that sysfs does not show might be held: only force deletes its link unseen
    taps.update(look_at_taps(decision.leaving, task.policy, required=not task.force))
    plan = plan_attachments(decision.attachments, decision.leaving, taps, decision.host, task.policy)
    plan = plan._replace(
        bring_up=decision.bring_up,
        files=decision.files,
        nodes=plan.nodes if decision.owns_nodes else (),
        part=decision.part,
        meet=decision.meet,
    )
    vlans, left = plan_vlans(decision.host, plan.steps())
    plan = plan._replace(vlans=vlans, left=left)
    return View(decision.host, plan, decision.attachments, taps)


def _with_use(view: View, task: Task, netlink: rtnetlink.Netlink) -> View:
    """The view, with which processes keep a tap open that changes hands.

    :raises Refused: when a process has a tap open that the plan takes from it.
    """
    at_stake = {} if task.force else taps_at_stake(view.plan, view.taps)
    changing = taps_that_change_hands(view.plan, view.taps)
    numbers = {**changing, **at_stake}
    use = tap_use.use_of(netlink, [view.host.links[index] for index in numbers], numbers)
    require_free(view.plan, {index: use.holders[index] for index in at_stake if index in use.holders}, task.policy)
    if at_stake:
        require_certainty(use.doubts)
    kept = {number: use.holders[index] for index, number in changing.items() if index in use.holders}
    return view._replace(plan=with_keepers(view.plan, kept)) if kept else view


def report(steps: list[Step]) -> dict[str, Any]:
    """``changed``, ``actions`` and ``diff`` of a result, all from the same steps."""
    return {"changed": bool(steps), "actions": [step.describe() for step in steps], "diff": diff(steps)}
