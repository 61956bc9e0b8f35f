# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""One run at a time in a network namespace: two of them would look at the same free name, and plan for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from ansible_collections.linuxnet.macvtap.plugins.module_utils._errors import HostError

#: seconds; a run over thousands of links takes a few
_PATIENCE = 300.0
_PAUSE = 0.02


@contextlib.contextmanager
def namespace_lock() -> Iterator[None]:
    """Hold the lock of this process's network namespace.

    It is a flock on the namespace's own file: it leaves nothing behind and goes with the process, however that ends.

    :raises HostError: when another run keeps it for minutes.
    """
    descriptor = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    deadline = time.monotonic() + _PATIENCE
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() > deadline:
                    raise HostError(
                        "another run has been changing macvtaps here for %d s; look for it with 'lslocks'" % _PATIENCE
                    ) from exc
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)
