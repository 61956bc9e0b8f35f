# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Swaps what lies at two paths, as fast as it can, until standard input closes; then prints how often it did.

    path_swapper.py /dev/tap7 /dev/decoy

Each swap is atomic (renameat2 with RENAME_EXCHANGE): whoever looks at a path twice sees the one, then the other.
"""

import ctypes
import errno
import os
import select
import sys

AT_FDCWD = -100
#: linux/fs.h
RENAME_EXCHANGE = 2
#: between two looks at standard input
BATCH = 500


def main():
    """Swap until told to stop."""
    exchange = ctypes.CDLL(None, use_errno=True).renameat2
    first, second = (os.fsencode(path) for path in sys.argv[1:])
    swaps = 0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for _swap in range(BATCH):
            if exchange(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE) == 0:
                swaps += 1
            elif ctypes.get_errno() != errno.ENOENT:
                raise OSError(ctypes.get_errno(), "renameat2")
    print(swaps, flush=True)


if __name__ == "__main__":
    main()
