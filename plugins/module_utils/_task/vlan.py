# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Carries out the steps of a VLAN device. Every deed pushes its own undo where it is done."""

from __future__ import annotations

from functools import partial

from .._core.revert import Revert
from .._link.vlan import CreateVlan, DeleteVlan, VlanStep
from .._system import vlan
from .._system.rtnetlink import Netlink


def apply(step: VlanStep, netlink: Netlink, revert: Revert) -> None:
    """Carry out one step.

    :raises RaceLost: when looking again and planning again may help.
    :raises HostError: what the kernel refused; what was done can still be undone.
    """
    if isinstance(step, DeleteVlan):
        vlan.delete(netlink, step.link)
        revert.push(partial(vlan.create, netlink, step.link))
    elif isinstance(step, CreateVlan):
        # pushed before it is done: it may take effect in part
        revert.push(partial(vlan.delete, netlink, step.link))
        vlan.create(netlink, step.link)
    else:
        revert.push(partial(vlan.change, netlink, step.old))
        vlan.change(netlink, step.new)
