# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Whether anybody has a tap open: the kernel decides, /proc names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._core.model import Link
from .._link.in_use import Use, doubts
from . import holders, rtnetlink

#: qdiscs that follow the length of the queue. They refuse ours as well, once the link is up, and then the kernel logs a
#: line for a tap that no process has open.
_LOUD_QDISCS = ("pfifo_fast", "mq")
#: such lines in one run
_MOST_LINES = 20


def use_of(netlink: rtnetlink.Netlink, links: Sequence[Link], numbers: Mapping[int, tuple[int, int]]) -> Use:
    """Who has the taps of these links open.

    The kernel knows every open tap: of threads and processes of any namespace, in flight in a socket, kept by vhost or
    io_uring. It is asked for each link, except for many links with loud qdiscs where /proc shows everything.

    :arg numbers: device numbers of the taps by ifindex; one that is missing names no holder.
    """
    loud = [link for link in links if link.is_up and link.qdisc in _LOUD_QDISCS]
    if len(loud) > _MOST_LINES:
        found = holders.look(numbers.values())
        if found.is_complete:
            return Use({index: found.holders[number] for index, number in numbers.items() if number in found.holders})
    answers = dict(zip((link.ifindex for link in links), netlink.opened(links)))
    unsure = [index for index, answer in answers.items() if answer is None]
    held = [index for index, answer in answers.items() if answer]
    found = holders.look(numbers[index] for index in unsure + held if index in numbers)
    seen = {index: found.holders.get(number, []) for index, number in numbers.items()}
    return Use(
        {index: seen.get(index, []) for index in answers if index in held or (index in unsure and seen.get(index))},
        doubts(found) if unsure else (),
    )
