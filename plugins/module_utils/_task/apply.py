# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Carries out a plan: the only code that changes links and nodes. Every deed pushes its own undo where it is done."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Callable

from .._core.errors import HostError, MacvtapError, RaceLost, as_error
from .._core.explain import explain
from .._core.identity import GUARDED, OF_FUNCTION, read_tag
from .._core.model import Link, NodePolicy, Tap
from .._core.revert import Revert
from .._link import attributes, tc
from .._link.host_link import HostLinkStep
from .._link.plan import Plan, break_cycles
from .._link.steps import BringUp, ChangeLink, CreateLink, DeleteLink, Step
from .._link.vlan import VlanStep
from .._system import nftables, renaming, rtnetlink, shaping, sriov, tap_node, text_file
from .._system.netlink import Reply
from .._traffic.table import change
from .._traffic.virtual_function import given_back
from . import host_link, node, vlan

#: what the kernel says when another process was faster: looking again and planning again shows what is to be done now
_RACES = (errno.EEXIST, errno.ENODEV)


class Applier:
    """Carries out plans over one netlink socket.

    :ivar done: the steps carried out, in order.
    :ivar revert: what undoes them.
    """

    def __init__(self, netlink: rtnetlink.Netlink) -> None:
        self._netlink = netlink
        self.done: list[Step] = []
        self.revert = Revert()
        #: of the nodes of links created again, by owner tag: a plan made after a lost race finds the old link gone
        self._policies: dict[str, NodePolicy] = {}
        #: device numbers of the links created, by ifindex: sysfs may not show them any more when their nodes are to go
        self._numbers: dict[int, tuple[int, int]] = {}

    def apply(self, plan: Plan) -> None:
        """Carry out every step, in order.

        :raises RaceLost: when looking again and planning again may help; what was done can still be undone.
        :raises MacvtapError: the first step that failed; nothing is undone yet.
        """
        self._policies.update((step.link.alias, step.policy) for step in plan.create if step.because)
        self._bring_up(plan.bring_up)
        self._vlans(plan.vlans)
        self._host_links(plan.part)
        self._delete(plan.delete)
        late = self._change(plan.change)
        created, failure = self._create(plan.create, self._created)
        self._guard(
            [
                *(step.link._replace(guard=None) for step in plan.delete),
                *(step.new for step in plan.change),
                *(step.link for step in created),
            ]
        )
        self._set(late, "bring up")
        self._finish(created)
        if created or plan.nodes:
            # udev gives new nodes their owner some time after the link: it must not overwrite ours
            tap_node.settle()
        for step in plan.nodes:
            node.apply(step, self.revert)
            self.done.append(step)
        numbers = {step.link.ifindex: tap_node.require_device_number(step.link) for step in created}
        self._numbers.update(numbers)
        fresh = frozenset(numbers.values())
        for made in created:
            # part of creating the link, so undone with that
            policy = self._policies.get(made.link.alias, made.policy)
            node.of_new_link(made, numbers[made.link.ifindex], fresh, policy)
        if failure is not None:
            raise failure
        self._host_links(plan.meet)
        self._vlans(plan.left)
        for file in plan.files:
            self.done.append(file)
            text_file.write(file.path, file.old, file.new, file.what, self.revert)

    # -- lower devices ---------------------------------------------------------------------------------------------

    def _bring_up(self, steps: Sequence[BringUp]) -> None:
        for step in steps:
            index = step.link.ifindex
            try:
                rtnetlink.bring_up([index])
            except HostError as exc:
                raise HostError(f"cannot bring up lower device {step.link.name}: {exc}", exc.errno) from exc
            self.done.append(step)
            self.revert.push(partial(rtnetlink.bring_up, [index], up=False))

    def _host_links(self, steps: Sequence[HostLinkStep]) -> None:
        for step in steps:
            host_link.apply(step, self._netlink, self.revert)
            self.done.append(step)

    def _vlans(self, steps: Sequence[VlanStep]) -> None:
        for step in steps:
            vlan.apply(step, self._netlink, self.revert)
            self.done.append(step)

    # -- links that go ---------------------------------------------------------------------------------------------

    def _delete(self, steps: Sequence[DeleteLink]) -> None:
        if not steps:
            return
        try:
            self._delete_links(steps)
        except (MacvtapError, OSError):
            # an answer that is lost does not say what became of the links
            self._deleted([step for step in steps if not self._is_left(step.link)])
            raise
        self._deleted(steps)

    def _deleted(self, steps: Sequence[DeleteLink]) -> None:
        self.done += steps
        for step in steps:
            self.revert.push(partial(self._undo_delete, step))

    def _undo_delete(self, step: DeleteLink) -> None:
        created, failure = self._create([CreateLink(step.link, step.device, step.path)], lambda _created: None)
        if failure is not None:
            raise failure
        self._guard([step.link])
        self._finish(created)
        # a node that was not there is not put back
        if step.owner is not None:
            node.restore(step)

    def _delete_links(self, steps: Sequence[DeleteLink]) -> None:
        """The node first: one made by mknod outlives its link, and would open another guest's tap one day."""
        unlinked = []
        try:
            for step in steps:
                if step.number and tap_node.remove(step.path, step.number):
                    unlinked.append(step)
            ifbs = [Link(step.link.ifb, tc.ifb_name(step.link.ifindex)) for step in steps if step.link.ifb]
            self._netlink.delete([step.link for step in steps] + ifbs)
            # not before: a frame of the guest would leave without its VLAN
            tags = [(step.link, read_tag(step.link.alias)) for step in steps if OF_FUNCTION in step.link.alias]
            sriov.set_up(self._netlink, [(link.lower, given_back(tag.vf)) for link, tag in tags if tag is not None])
        except (MacvtapError, OSError) as exc:
            restore = Revert()
            for step in reversed(unlinked):
                if self._is_left(step.link):
                    restore.push(partial(node.restore, step))
            raise restore.run(as_error(exc), silent=True) from exc

    def _is_left(self, link: Link) -> bool:
        """Whether a link is there still; where that cannot be seen, it counts as there."""
        try:
            return link.ifindex in self._netlink.links()
        except HostError:
            return True

    # -- links that come -------------------------------------------------------------------------------------------

    def _create(
        self, steps: Sequence[CreateLink], remember: Callable[[Sequence[CreateLink]], None]
    ) -> tuple[list[CreateLink], HostError | None]:
        """Create links, down and silent; one that is to be guarded, or whose virtual function is set, is tagged before.

        So every such link is marked, whenever a run is killed: that is how the next one knows of it.

        :arg remember: is called with the steps that took effect, or may have, as soon as they did.
        :returns: the steps that worked, and the failure of one that did not.
        """
        try:
            replies = self._netlink.create([step.link for step in steps])
        except HostError:
            # whatever was created before the answers stopped coming; undoing looks which of them there are
            remember(steps)
            raise
        created = [step for step, reply in zip(steps, replies) if not reply.errno]
        remember(created)
        failure = _failure([(step.link, ()) for step in steps], replies, "create")
        links = [step.link for step in created]
        for link in links:
            if link.ipv6_disabled:
                self._set_ipv6(link, False)
        shaping.limit(self._netlink, [link for link in links if link.bandwidth is not None])
        self._set(
            [(link, (attributes.MARK,)) for link in links if link.guard is not None or link.vf is not None], "set up"
        )
        sriov.set_up(self._netlink, [(link.lower, link.vf) for link in links])
        return created, failure

    def _finish(self, steps: Sequence[CreateLink]) -> None:
        """Tagged, and only then up: not one frame leaves with the guest's MAC before."""
        links = [step.link for step in steps]
        # the kernel ignores the MAC given to a passthrough link at its creation: once more now
        rest = [
            (link, ("mark", "mac", "link_state") if link.mode == "passthrough" else ("mark", "link_state"))
            for link in links
        ]
        try:
            _require(rest, self._netlink.change(rest), "set up")
        except HostError as exc:
            raise _of_virtual_function(exc, steps) from exc

    def _guard(self, links: Sequence[Link]) -> None:
        """Give links their guards in one transaction, or take them from links that are to have none.

        A table that is there may have rules of links that are gone, and whose interface indexes return.
        """
        if not any(link.guard is not None for link in links) and not (links and nftables.may_be_there()):
            return
        table = nftables.look()
        others = set(table.entries if table else ()).difference(link.ifindex for link in links)
        transaction = change(table, links, self._netlink.links() if others else ())
        if transaction:
            nftables.apply(transaction)

    def _created(self, steps: Sequence[CreateLink]) -> None:
        if steps:
            self.done += steps
            self.revert.push(partial(self._undo_create, steps), len(steps))

    def _undo_create(self, steps: Sequence[CreateLink]) -> None:
        """All in one request, and their nodes with them."""
        present = shaping.links(self._netlink)
        gone = []
        for step in steps:
            found = present.get(step.link.ifindex)
            if found is not None and _is_created(step.link, found):
                number = tap_node.device_number(found) or self._numbers.get(found.ifindex)
                tap = None if number is None else Tap(number, None)
                gone.append(DeleteLink(step.link._replace(ifb=found.ifb), step.device, step.path, tap))
        self._delete_links(gone)
        self._guard([step.link._replace(guard=None) for step in gone])
        left = [step.path for step in gone if step.tap is None and tap_node.look(step.path) is not None]
        if left:
            raise HostError(f"/sys did not show the tap of {', '.join(left)}, so the node remains; remove it")

    # -- links that change -----------------------------------------------------------------------------------------

    def _change(self, steps: Sequence[ChangeLink]) -> list[renaming.Change]:
        """Everything but guard and "up": one message with silence and "up" takes effect in the wrong order.

        :returns: the changes that are left, when the guards are there.
        """
        if not steps:
            return []
        # pushed before it is done: a message that fails may have taken effect in part
        self.done += steps
        self.revert.push(partial(self._undo_changes, steps), len(steps))
        late = (attributes.LINK_STATE, attributes.IPV6, attributes.BANDWIDTH, attributes.GUARD, attributes.VF)
        lowered = {step.new.ifindex for step in steps if attributes.must_go_down(step.old, step.new)}
        to_be_down = {step.new.ifindex for step in steps if attributes.LINK_STATE in step.names and not step.new.is_up}
        down = [step.new for step in steps if step.new.ifindex in lowered | to_be_down]
        self._set(renaming.set_down(down), "bring down")
        lowered |= self._set(break_cycles(steps), "change")
        # a link is marked as guarded as long as it may be
        unmarked = [
            (step.new, (attributes.MARK,))
            for step in steps
            if attributes.MARK in step.names and step.new.guard is None and GUARDED in step.old.alias
        ]
        later = {(attributes.MARK, link.ifindex) for link, _names in unmarked}
        changes = [
            (step.new, tuple(name for name in step.names if name not in late and (name, step.new.ifindex) not in later))
            for step in steps
        ]
        lowered |= self._set(changes, "change")
        for step in steps:
            if attributes.IPV6 in step.names:
                self._set_ipv6(step.new, not step.new.ipv6_disabled)
        shaping.limit(self._netlink, [step.new for step in steps if attributes.BANDWIDTH in step.names])
        sriov.set_up(self._netlink, [(step.new.lower, step.new.vf) for step in steps if attributes.VF in step.names])
        up = [step.new for step in steps if attributes.LINK_STATE in step.names or step.new.ifindex in lowered]
        return [*((link, (attributes.LINK_STATE,)) for link in up if link.is_up), *unmarked]

    def _set(self, changes: Sequence[renaming.Change], verb: str) -> set[int]:
        """Make changes; returns the ifindexes of the links that had to go down for it, to be brought up again."""
        changes = [(link, names) for link, names in changes if names]
        replies, down = renaming.change(self._netlink, changes)
        _require(changes, replies, verb)
        return down

    def _set_ipv6(self, link: Link, enabled: bool) -> None:
        reply = rtnetlink.set_ipv6(link.name, enabled)
        # no IPv6 in this kernel, or none on a link with an MTU below 1280 (RFC 8200): nothing to switch
        if reply.errno != errno.ENOENT:
            _require([(link, ())], [reply], f"switch IPv6 {'on' if enabled else 'off'} for")

    def _undo_changes(self, steps: Sequence[ChangeLink]) -> None:
        """Attribute by attribute: of a message that failed, what came before the failing one stays."""
        state, ipv6, limits, guard = attributes.LINK_STATE, attributes.IPV6, attributes.BANDWIDTH, attributes.GUARD
        present = self._netlink.links()
        lowered = [step.old for step in steps if attributes.must_go_down(_now(step, present), step.old)]
        self._netlink.change(renaming.set_down(lowered))
        renaming.change(self._netlink, break_cycles([ChangeLink(step.new, step.old, step.names) for step in steps]))
        present = self._netlink.links()
        back = [
            (step.old, (name,))
            for step in steps
            # what did not take effect needs no way back
            for name in reversed(attributes.differences(_now(step, present), step.old))
            if name in step.names and name not in (state, ipv6, limits, guard, attributes.VF)
        ]
        tried = list(zip(back, renaming.change(self._netlink, back)[0]))
        present = self._netlink.links()
        differing = [(step.old, attributes.differences(_now(step, present), step.old)) for step in steps]
        for link in [link for link, names in differing if ipv6 in names]:
            tried.append(((link, (ipv6,)), rtnetlink.set_ipv6(link.name, not link.ipv6_disabled)))
        shaping.limit(self._netlink, [step.old for step in steps if limits in step.names])
        tags = [(step.old, read_tag(step.new.alias)) for step in steps if attributes.VF in step.names]
        sriov.set_up(self._netlink, [(old.lower, given_back(tag.vf, old.vf)) for old, tag in tags if tag is not None])
        self._guard([step.old for step in steps if step.old.ifindex in present])
        # silent before it is up again; it may be down only because it had to be while it was changed
        states = [(link, (state,)) for link, names in differing if state in names]
        tried += zip(states, self._netlink.change(states))
        failed = [(link.name, names[0], reply.errno) for (link, names), reply in tried if reply.errno]
        if failed:
            raise HostError(
                "; ".join(
                    f"{attribute} of {name} stays as it is now ({errno.errorcode.get(number, number)})"
                    for name, attribute, number in failed[:5]
                )
            )


# -- replies of the kernel ---------------------------------------------------------------------------------------------


def _require(changes: Sequence[renaming.Change], replies: Sequence[Reply], verb: str) -> None:
    failure = _failure(changes, replies, verb)
    if failure is not None:
        raise failure


def _failure(changes: Sequence[renaming.Change], replies: Sequence[Reply], verb: str) -> HostError | None:
    failed = [(change, reply) for change, reply in zip(changes, replies) if reply.errno]
    if not failed:
        return None
    # a real refusal says more than a race
    change, reply = next((each for each in failed if each[1].errno not in _RACES), failed[0])
    (link, names), kind = change, RaceLost if reply.errno in _RACES else HostError
    return kind(explain(verb, link, reply.errno, reply.text, names), reply.errno)


def _of_virtual_function(exc: HostError, steps: Sequence[CreateLink]) -> HostError:
    """The refusal of a MAC by a virtual function, with the command that allows it."""
    if exc.errno != errno.EADDRNOTAVAIL:
        return exc
    ways = filter(None, (sriov.way_to_trust(step.device) for step in steps if step.link.mode == "passthrough"))
    return HostError("; ".join([str(exc), *ways]), exc.errno)


def _now(step: ChangeLink, present: Mapping[int, Link]) -> Link:
    """The link as it is; one that is gone needs nothing."""
    return present.get(step.old.ifindex, step.old)


def _is_created(link: Link, found: Link) -> bool:
    """Whether ``found`` is the link this run created, and not one that another process created in its place."""
    return (
        found.is_macvtap
        and (found.name, found.lower) == (link.name, link.lower)
        and (found.mac == link.mac or link.mode == "passthrough")
    )
