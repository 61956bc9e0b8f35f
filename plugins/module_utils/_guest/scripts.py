# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Two small programs for the unit of a guest, which must not need this collection. PURE.

Both run as root and are given the path of the control socket, seconds, and the number of QEMU's process. They speak to
that process alone, as :mod:`_guest.files` does.
"""

from __future__ import annotations

_CONNECT = """\
import os, socket, struct, sys, time
path, end, pid = sys.argv[1], time.monotonic() + float(sys.argv[2]), int(sys.argv[3])
looking = os.O_PATH | os.O_NOFOLLOW
def connect():
    directory = os.open(os.path.dirname(path), looking | os.O_DIRECTORY)
    entry = os.open(os.path.basename(path), looking, dir_fd=directory)
    try:
        qmp = socket.socket(socket.AF_UNIX)
        qmp.settimeout(max(min(5, end - time.monotonic()), 0.1))
        qmp.connect("/proc/self/fd/%d" % entry)
    finally:
        os.close(entry)
        os.close(directory)
    peer = struct.unpack("3i", qmp.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    if peer != pid:
        sys.exit("process %d listens at %s in place of QEMU, process %d" % (peer, path, pid))
    return qmp
"""

#: Waits until QEMU listens and makes the directory of its socket root's alone.
TAKE = (
    _CONNECT
    + """\
while True:
    try:
        connect().close()
        break
    except OSError as exc:
        if time.monotonic() > end:
            sys.exit("QEMU does not listen at %s: %s" % (path, exc))
        time.sleep(0.02)
directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
os.fchown(directory, 0, 0)
os.fchmod(directory, 0o700)
connect()
"""
)

#: Presses the power button over QMP and waits until QEMU is gone.
POWER_DOWN = (
    _CONNECT
    + """\
while time.monotonic() < end:
    try:
        qmp = connect()
        qmp.sendall(b'{"execute":"qmp_capabilities"}{"execute":"system_powerdown"}')
        # a guest that still boots misses the first press
        again = time.monotonic() + 5
        while time.monotonic() < min(again, end):
            if not qmp.recv(4096):
                sys.exit()
        qmp.close()
    except socket.timeout:
        continue
    except OSError:
        break
"""
)
