# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Carries out the steps of device nodes. Every deed pushes its own undo where it is done."""

from __future__ import annotations

from functools import partial

from .._core.model import NodePolicy, Tap
from .._core.revert import Revert
from .._link.plan import node_steps
from .._link.steps import CreateLink, DeleteLink, MakeNode, OwnNode
from .._system import tap_node


def apply(step: MakeNode | OwnNode, revert: Revert) -> None:
    """Carry out one step.

    :raises MacvtapError: what is in the way.
    """
    _set(step)
    if isinstance(step, OwnNode):
        revert.push(partial(tap_node.own, step.path, step.number, *step.old, step.acl))
    else:
        revert.push(partial(tap_node.remove, step.path, step.number))


def of_new_link(
    step: CreateLink, number: tuple[int, int], fresh: frozenset[tuple[int, int]], policy: NodePolicy
) -> None:
    """Give a link that was just created its node: there already (devtmpfs), or created here. Its undo is the link's.

    :arg number: of the link's tap.
    :arg fresh: device numbers of all links that were created just now.
    :raises MacvtapError: what is in the way.
    """
    found = tap_node.look_at(step.path, number)
    if found is not None and (found.major, found.minor) in fresh:
        # older than the link that was given its number just now: left by one that is gone
        found = found._replace(tap=None)
    for node_step in node_steps(step.link.name, Tap(number, found), step.path, policy):
        _set(node_step)


def restore(step: DeleteLink) -> None:
    """Give a link that was to be deleted, or that is back, its node as it was.

    :raises MacvtapError: what is in the way.
    """
    number = tap_node.require_device_number(step.link)
    policy = NodePolicy().with_defaults(step.owner) if step.owner else NodePolicy()
    for node_step in node_steps(step.link.name, Tap(number, tap_node.look_at(step.path, number)), step.path, policy):
        _set(node_step)


def _set(step: MakeNode | OwnNode) -> None:
    if isinstance(step, OwnNode):
        tap_node.own(step.path, step.number, *step.new)
        return
    if step.stale is not None:
        tap_node.remove(step.path, (step.stale.major, step.stale.minor))
    tap_node.make(step.path, step.number)
