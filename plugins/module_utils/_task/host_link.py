# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Carries out the steps of a host link. Every deed pushes its own undo where it is done."""

from __future__ import annotations

from functools import partial

from .._core.revert import Revert
from .._link.host_link import CreateHostLink, DeleteHostLink, HostLinkStep
from .._system import host_link, rtnetlink


def apply(step: HostLinkStep, netlink: rtnetlink.Netlink, revert: Revert) -> None:
    """Carry out one step.

    :raises RaceLost: when looking again and planning again may help.
    :raises HostError: what the kernel refused; what was done can still be undone.
    """
    if isinstance(step, DeleteHostLink):
        host_link.delete(step.link)
        revert.push(partial(host_link.create, step.link, step.addresses))
    elif isinstance(step, CreateHostLink):
        # pushed before it is done: it may take effect in part
        revert.push(partial(_undo_create, step, netlink))
        host_link.create(step.link, step.addresses)
    else:
        revert.push(partial(host_link.change, step.new, step.old, step.after, step.before))
        host_link.change(step.old, step.new, step.before, step.after)


def _undo_create(step: CreateHostLink, netlink: rtnetlink.Netlink) -> None:
    found = next((link for link in netlink.links().values() if link.name == step.link.name), None)
    host_link.delete_by_name(step.link, found)
