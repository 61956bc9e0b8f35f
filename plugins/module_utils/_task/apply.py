# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Carries out a plan: the only code that changes the host. What it did is journalled and can be undone."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Callable

from .._core.errors import UNDOING_MET, HostError, MacvtapError, RaceLost
from .._core.explain import explain
from .._core.model import Link, NodePolicy
from .._libvirt import definitions
from .._link import attributes
from .._link.plan import (
    BringUp,
    ChangeLink,
    CreateLink,
    DeleteLink,
    MakeNode,
    OwnNode,
    Plan,
    Step,
    WriteDefinition,
    break_cycles,
    node_steps,
)
from .._system import renaming, rtnetlink, tap_node

#: what the kernel says when somebody else was quicker: looking again and planning anew tells what is to be done now
_RACES = (errno.EEXIST, errno.ENODEV)


class Applier:
    """Carries out plans over one netlink socket and remembers what it did.

    :ivar done: the steps carried out, in order.
    """

    def __init__(self, netlink: rtnetlink.Netlink, policy: NodePolicy) -> None:
        self._netlink = netlink
        self._policy = policy
        self.done: list[Step] = []
        #: of the nodes of links made again, by mark: a plan made after a lost race finds the old link gone
        self._owners: dict[str, tuple[int, int, int]] = {}
        #: device numbers of the links made, by ifindex: sysfs may not show them any more when their nodes are to go
        self._numbers: dict[int, tuple[int, int]] = {}

    def apply(self, plan: Plan) -> None:
        """Carry out every step, in order.

        :raises RaceLost: when looking again and planning anew may help; what was done stays in the journal.
        :raises MacvtapError: the first step that failed; nothing is undone yet.
        """
        self._owners.update((step.link.alias, step.owner) for step in plan.create if step.owner)
        self._bring_up(plan.bring_up)
        self._delete(plan.delete)
        self._change(plan.change)
        created, failure = self._create(plan.create)
        if created or plan.nodes:
            # udev gives new nodes their owner some time after the link: it must not overwrite ours
            tap_node.settle()
        for node in plan.nodes:
            self._node(node)
            self.done.append(node)
        numbers = {step.link.ifindex: tap_node.require_device_number(step.link) for step in created}
        self._numbers.update(numbers)
        fresh = frozenset(numbers.values())
        for step in created:
            self._node_of_new_link(step, numbers[step.link.ifindex], fresh)
        if failure is not None:
            raise failure
        for definition in plan.definitions:
            self._write_definition(definition)

    def undo(self) -> str:
        """Take back what was done, last first, and say so in a sentence for the error message."""
        failures: list[str] = []
        done, self.done = self.done, []
        # links that this run made go in one request, and their nodes with them
        created = [step for step in done if isinstance(step, CreateLink)]
        self._try(failures, lambda: self._undo_create(created))
        changes = [step for step in done if isinstance(step, ChangeLink)]
        rest = [step for step in reversed(done) if not isinstance(step, (CreateLink, ChangeLink))]
        for step in rest:
            if isinstance(step, (MakeNode, OwnNode)):
                self._try(failures, partial(self._undo_step, step))
        self._try(failures, lambda: self._undo_changes(changes))
        for step in rest:
            if not isinstance(step, (MakeNode, OwnNode)):
                self._try(failures, partial(self._undo_step, step))
        self.done = []
        if failures:
            return UNDOING_MET + "; ".join(failures)
        return "What the run had begun was undone (steps: %d)." % len(done) if done else "Nothing was changed."

    @staticmethod
    def _try(failures: list[str], action: Callable[[], None]) -> None:
        try:
            action()
        except (MacvtapError, OSError) as exc:
            failures.append(str(exc))

    # -- steps -----------------------------------------------------------------------------------------------------

    def _write_definition(self, step: WriteDefinition) -> None:
        # journalled before it is done: the file may be in place although its directory could not be synced
        self.done.append(step)
        definitions.replace(step.path, step.old, step.new)

    def _bring_up(self, steps: Sequence[BringUp]) -> None:
        for step in steps:
            try:
                rtnetlink.bring_up([step.link.ifindex])
            except HostError as exc:
                raise HostError("cannot set lower device %s up: %s" % (step.link.name, exc), exc.errno) from exc
            self.done.append(step)

    def _delete(self, steps: Sequence[DeleteLink]) -> None:
        if not steps:
            return
        try:
            self._delete_links(steps)
        except (MacvtapError, OSError):
            # an answer that is lost says nothing of what became of the links
            self.done += [step for step in steps if not self._is_left(step.link)]
            raise
        self.done += steps

    def _delete_links(self, steps: Sequence[DeleteLink]) -> None:
        """The node first: one made by mknod outlives its link, and would open another guest's tap one day."""
        unlinked = []
        try:
            for step in steps:
                if step.number and tap_node.remove(step.path, step.number):
                    unlinked.append(step)
            self._netlink.delete([step.link for step in steps])
        except (MacvtapError, OSError) as exc:
            failures: list[str] = []
            for step in unlinked:
                if self._is_left(step.link):
                    self._try(failures, partial(self._restore_node, step))
            if failures:
                exc.args = ("%s. %s%s" % (exc, UNDOING_MET, "; ".join(failures)), *exc.args[1:])
            raise

    def _is_left(self, link: Link) -> bool:
        """Whether a link is there still; where that cannot be seen, it counts as there."""
        try:
            return link.ifindex in self._netlink.links()
        except HostError:
            return True

    def _restore_node(self, step: DeleteLink) -> None:
        number = tap_node.require_device_number(step.link)
        policy = NodePolicy(self._policy.directory, *(step.owner or ()))
        for node_step in node_steps(step.link.name, number, tap_node.look_at(step.path, number), step.path, policy):
            self._node(node_step)

    def _create(self, steps: Sequence[CreateLink]) -> tuple[list[CreateLink], HostError | None]:
        """Made down and silent, marked, and only then up: not one frame leaves with the guest's MAC before.

        :returns: the steps that worked, all the way, and the failure of one that did not.
        """
        try:
            replies = self._netlink.create([step.link for step in steps])
        except HostError:
            # whatever was made before the answers stopped coming; undoing looks which of them there are
            self.done += steps
            raise
        made = [step for step, reply in zip(steps, replies) if not reply.errno]
        self.done += made
        failure = self._failure([(step.link, ()) for step in steps], replies, "make")
        links = [step.link for step in made]
        for link in links:
            if link.ipv6_disabled:
                self._set_ipv6(link, False)
        # the kernel ignores the MAC given to a passthrough link at its creation: once more now
        rest = [
            (link, ("mark", "mac", "link_state") if link.mode == "passthrough" else ("mark", "link_state"))
            for link in links
        ]
        self._require(rest, self._netlink.change(rest), "set up")
        return made, failure

    def _change(self, steps: Sequence[ChangeLink]) -> None:
        """Everything but "up" first: one message with silence and "up" takes effect in the wrong order."""
        # journalled before it is done: a message that fails may have taken effect in part
        self.done += steps
        late = (attributes.LINK_STATE, attributes.IPV6)
        lowered = {step.new.ifindex for step in steps if attributes.must_go_down(step.old, step.new)}
        to_be_down = {step.new.ifindex for step in steps if attributes.LINK_STATE in step.names and not step.new.is_up}
        down = [step.new for step in steps if step.new.ifindex in lowered | to_be_down]
        self._set(renaming.set_down(down), "set down")
        lowered |= self._set(break_cycles(steps), "change")
        changes = [(step.new, tuple(name for name in step.names if name not in late)) for step in steps]
        lowered |= self._set(changes, "change")
        for step in steps:
            if attributes.IPV6 in step.names:
                self._set_ipv6(step.new, not step.new.ipv6_disabled)
        up = [step.new for step in steps if attributes.LINK_STATE in step.names or step.new.ifindex in lowered]
        self._set([(link, (attributes.LINK_STATE,)) for link in up if link.is_up], "set up")

    def _set(self, changes: Sequence[renaming.Change], verb: str) -> set[int]:
        """Make changes; returns the ifindexes of the links that had to go down for it, to be set up again."""
        changes = [(link, names) for link, names in changes if names]
        replies, down = renaming.change(self._netlink, changes)
        self._require(changes, replies, verb)
        return down

    def _set_ipv6(self, link: Link, enabled: bool) -> None:
        reply = rtnetlink.set_ipv6(link.name, enabled)
        # no IPv6 in this kernel, or none on a link with an MTU below 1280 (RFC 8200): nothing to switch
        if reply.errno != errno.ENOENT:
            self._require([(link, ())], [reply], "switch IPv6 %s for" % ("on" if enabled else "off"))

    @staticmethod
    def _node(step: MakeNode | OwnNode) -> None:
        if isinstance(step, OwnNode):
            tap_node.own(step.path, step.number, *step.new)
            return
        if step.stale is not None:
            tap_node.remove(step.path, (step.stale.major, step.stale.minor))
        tap_node.make(step.path, step.number)

    def _node_of_new_link(self, step: CreateLink, number: tuple[int, int], fresh: frozenset[tuple[int, int]]) -> None:
        """There already (devtmpfs), or made here; part of making the link, so not journalled on its own.

        :arg fresh: device numbers of all links that were made just now.
        """
        path = self._policy.path(step.link.ifindex)
        owner = self._owners.get(step.link.alias)
        policy = self._policy.with_defaults(owner) if owner else self._policy
        node = tap_node.look_at(path, number)
        if node is not None and (node.major, node.minor) in fresh:
            # older than the link that was given its number just now: left by one that is gone
            node = node._replace(tap=None)
        for node_step in node_steps(step.link.name, number, node, path, policy):
            self._node(node_step)

    # -- replies ---------------------------------------------------------------------------------------------------

    def _require(self, changes: Sequence[renaming.Change], replies: Sequence[rtnetlink.Reply], verb: str) -> None:
        failure = self._failure(changes, replies, verb)
        if failure is not None:
            raise failure

    @staticmethod
    def _failure(changes: Sequence[renaming.Change], replies: Sequence[rtnetlink.Reply], verb: str) -> HostError | None:
        failed = [(change, reply) for change, reply in zip(changes, replies) if reply.errno]
        if not failed:
            return None
        # a real refusal tells more than a race
        change, reply = next((each for each in failed if each[1].errno not in _RACES), failed[0])
        (link, names), kind = change, RaceLost if reply.errno in _RACES else HostError
        return kind(explain(verb, link, reply.errno, reply.text, names), reply.errno)

    # -- undo ------------------------------------------------------------------------------------------------------

    def _undo_create(self, steps: Sequence[CreateLink]) -> None:
        present = self._netlink.links()
        mine = [step.link for step in steps if _is_made(step.link, present.get(step.link.ifindex))]
        gone = [
            DeleteLink(link, "", self._policy.path(link.ifindex), self._number_of(present[link.ifindex]))
            for link in mine
        ]
        self._delete_links(gone)
        left = [step.path for step in gone if step.number is None and tap_node.look(step.path) is not None]
        if left:
            raise HostError("/sys did not show whose %s is, so it was left; remove it" % ", ".join(left))

    def _number_of(self, link: Link) -> tuple[int, int] | None:
        return tap_node.device_number(link) or self._numbers.get(link.ifindex)

    def _undo_step(self, step: Step) -> None:
        if isinstance(step, WriteDefinition):
            definitions.replace(step.path, step.new, step.old)
        elif isinstance(step, BringUp):
            rtnetlink.bring_up([step.link.ifindex], up=False)
        elif isinstance(step, DeleteLink):
            _made, failure = self._create([CreateLink(step.link, step.device, step.path)])
            if failure is not None:
                raise failure
            # a node that was not there is not put back
            if step.owner is not None:
                self._restore_node(step)
        elif isinstance(step, OwnNode):
            tap_node.own(step.path, step.number, *step.old, step.acl)
        elif isinstance(step, MakeNode):
            tap_node.remove(step.path, step.number)

    def _undo_changes(self, steps: Sequence[ChangeLink]) -> None:
        """Attribute by attribute: of a message that failed, what came before the failing one stays."""
        if not steps:
            return
        state, ipv6 = attributes.LINK_STATE, attributes.IPV6
        renaming.change(self._netlink, break_cycles([ChangeLink(step.new, step.old, step.names) for step in steps]))
        present = self._netlink.links()
        lowered = [step.old for step in steps if attributes.must_go_down(_now(step, present), step.old)]
        self._netlink.change(renaming.set_down(lowered))
        back = [
            (step.old, (name,))
            for step in steps
            # what did not take effect needs no way back
            for name in reversed(attributes.differences(_now(step, present), step.old))
            if name in step.names and name not in (state, ipv6)
        ]
        tried = list(zip(back, renaming.change(self._netlink, back)[0]))
        present = self._netlink.links()
        differing = [(step.old, attributes.differences(_now(step, present), step.old)) for step in steps]
        for link in [link for link, names in differing if ipv6 in names]:
            tried.append(((link, (ipv6,)), rtnetlink.set_ipv6(link.name, not link.ipv6_disabled)))
        # silent before it is up again; it may be down only because it had to be while it was changed
        states = [(link, (state,)) for link, names in differing if state in names]
        tried += zip(states, self._netlink.change(states))
        failed = [(link.name, names[0], reply) for (link, names), reply in tried if reply.errno]
        if failed:
            raise HostError(
                "; ".join(
                    "%s of %s stays as it is now (%s)"
                    % (attribute, name, errno.errorcode.get(reply.errno, reply.errno))
                    for name, attribute, reply in failed[:5]
                )
            )


def _now(step: ChangeLink, present: Mapping[int, Link]) -> Link:
    """The link as it is; one that is gone needs nothing."""
    return present.get(step.old.ifindex, step.old)


def _is_made(link: Link, found: Link | None) -> bool:
    """Whether ``found`` is the link this run made, and not one that somebody made in its place."""
    return (
        found is not None
        and found.is_macvtap
        and (found.name, found.lower) == (link.name, link.lower)
        and (found.mac == link.mac or link.mode == "passthrough")
    )
