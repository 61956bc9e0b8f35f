# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The links of a running guest's NICs, as the guest sees them.

QEMU sets the link of a NIC (``set_link``) and does not report it, so which are down is kept beside the pid file. The
file counts for one process only: the next one starts with all links up.
"""

from __future__ import annotations

from .._system import text_file
from . import files, process
from .paths import Paths
from .plan import Process
from .qemu import QemuNic
from .qmp import Qmp


def cut_of(paths: Paths, guest: Process) -> frozenset[int]:
    """The numbers of the NICs whose links are down."""
    words = (files.read_note(paths.link_file) or "").split()
    known = " ".join(words[:3]) == process.note(guest)
    return frozenset(int(word) for word in words[3:] if known and word.isdecimal())


def set_link(qmp: Qmp, paths: Paths, guest: Process, nic: QemuNic) -> None:
    """Set the link of a NIC as it is wanted."""
    qmp.execute("set_link", {"name": nic.device_id, "up": nic.link_up})
    cut = cut_of(paths, guest)
    keep(paths, guest, cut - {nic.nic} if nic.link_up else cut | {nic.nic})


def keep(paths: Paths, guest: Process, cut: frozenset[int]) -> None:
    """Write down whose links are down."""
    text = " ".join([process.note(guest), *map(str, sorted(cut))]) + "\n" if cut else None
    text_file.replace(paths.link_file, text_file.read(paths.link_file, "link file"), text, "link file")
