# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Ask the running guests of macvtap_qemu what they want to receive. Changes nothing.

Only a process that holds a tap of the guest is spoken to. Whatever it answers takes a bounded time and says something
of its own guest alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from .._core.errors import HostError, InvalidInput
from . import peer, rx_filter
from .paths import file_name, file_name_1_0, paths_of

#: seconds that a QEMU may take to greet, and for its answers; it takes milliseconds
_GREETING, _ANSWERS = 2.0, 2.0
#: seconds after which no further guest is asked
_PATIENCE = 10.0


class HeldNic(NamedTuple):
    """A NIC of a guest whose tap is open."""

    guest: str
    nic: int
    mac: str
    #: processes that hold the tap
    pids: frozenset[int]


class Answers(NamedTuple):
    """What the guests answered."""

    #: by guest and nic
    filters: dict[tuple[str, int], rx_filter.Filter]
    #: of each guest that did not answer, why
    silent: dict[str, str]


def filters_of(held: Iterable[HeldNic], runtime_dir: str) -> Answers:
    """The filters of the NICs of all guests that have a control socket of ours.

    :arg runtime_dir: where the sockets are.
    """
    guests: dict[str, list[HeldNic]] = {}
    for nic in held:
        guests.setdefault(nic.guest, []).append(nic)
    answers = Answers({}, {})
    deadline = time.monotonic() + _PATIENCE
    for guest, nics in guests.items():
        try:
            if time.monotonic() > deadline:
                raise HostError("the guests before it took too long")
            filters = _ask(guest, nics, runtime_dir)
        except (FileNotFoundError, ConnectionRefusedError, InvalidInput):
            # another program runs it
            continue
        except (OSError, HostError) as exc:
            answers.silent[guest] = str(exc)
            continue
        answers.filters.update({(guest, nic.nic): filters[_id(nic)] for nic in nics if _id(nic) in filters})
    return answers


def _ask(guest: str, nics: list[HeldNic], runtime_dir: str) -> dict[str, rx_filter.Filter]:
    pids = frozenset[int]().union(*(nic.pids for nic in nics))
    expected = f"one of {', '.join(map(str, sorted(pids)))}"
    try:
        path = paths_of(file_name(guest), runtime_dir, runtime_dir).socket
        connected = peer.connect(path, pids.__contains__, expected, _GREETING, _ANSWERS)
    except FileNotFoundError:
        path = paths_of(file_name_1_0(guest), runtime_dir, runtime_dir).socket
        connected = peer.connect(path, pids.__contains__, expected, _GREETING, _ANSWERS)
    with connected as qmp:
        return rx_filter.read(qmp.execute("query-rx-filter"), {_id(nic): nic.mac for nic in nics})


def _id(nic: HeldNic) -> str:
    return f"nic{nic.nic}"
