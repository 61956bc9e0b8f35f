# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""A sysfs that shows this process's network namespace.

/sys shows the namespace in which it was mounted: after ``nsenter --net`` it is another one, and a link of that name and
ifindex there would be taken for ours, with its tap. So a sysfs of our own is mounted, on a descriptor only: nothing
else sees it, and it goes with the process.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterable

# the same numbers on every architecture (Linux 5.2)
_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 430, 431, 432
_CLOEXEC, _FSCONFIG_CMD_CREATE = 1, 6
_FALLBACK = "/sys"


@functools.cache
def root() -> str:
    """Path of the sysfs to read; plain /sys where the kernel or missing privileges allow no mount.

    Made once: a process that reads it stays in its network namespace.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    context = libc.syscall(_SYS_FSOPEN, b"sysfs", _CLOEXEC)
    if context < 0:
        return _FALLBACK
    try:
        if libc.syscall(_SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0) < 0:
            return _FALLBACK
        mount = libc.syscall(_SYS_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)
    return f"/proc/self/fd/{mount}" if mount >= 0 else _FALLBACK


def has_carrier(name: str) -> bool:
    """Whether a link of this network namespace is up and has a carrier."""
    try:
        with open(f"{root()}/class/net/{name}/carrier", encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        # EINVAL while it is down
        return False


def wireless(names: Iterable[str], sysfs: str | None = None) -> list[str]:
    """Those of the links that are wireless: cfg80211 adds the one, the older wireless extensions the other.

    :arg sysfs: None = that of this network namespace.
    """
    top = sysfs or root()
    return [
        name
        for name in names
        if any(os.path.exists(f"{top}/class/net/{name}/{sign}") for sign in ("phy80211", "wireless"))
    ]
