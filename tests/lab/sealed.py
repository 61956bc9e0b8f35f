# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Process 1 of a sealed run: keeps a command and all that it leaves behind in a PID and a mount namespace.

Started by tools/surroundings.sh under ``unshare``; its arguments are the command. It ends with the command, or when
its standard input closes, and with it every process of the namespace. What the command writes to its temporary
directory lives in memory and is gone as well.
"""

import os
import select
import subprocess
import sys

#: directories that every system has; one is covered in here by an empty one
PLACES = ("/tmp", "/mnt", "/srv")


def cover(used):
    """Mount an empty directory over one of PLACES that none of the paths ``used`` lie in; return it."""
    real = [os.path.realpath(path) + "/" for path in used]
    for place in PLACES:
        if os.path.isdir(place) and not any(path.startswith(place + "/") for path in real):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "sealed", place], check=True)
            return place
    raise OSError(f"this must lie outside of {' or '.join(PLACES)}")


def main():
    """Run the command; return its exit status."""
    command = sys.argv[1:]
    try:
        temporary = cover([*command, sys.executable, os.getcwd()])
        environment = dict(os.environ, TMPDIR=temporary)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
    except (OSError, subprocess.CalledProcessError) as exc:
        print(f"sealed: cannot start: {exc}", file=sys.stderr)
        return 1
    ended = os.pidfd_open(process.pid)
    if ended not in select.select([0, ended], [], [])[0]:
        return 1
    status = process.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
