# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Whether an open descriptor is the tap of a link in this network namespace. PURE.

While a link is absent, any user can make one with its index in a user namespace, and ``/dev/tapN`` is that user's
device. A path can change hands until it is opened; a descriptor cannot. So the descriptor is compared, after it was
opened, with what sysfs says of the link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TAP_NAME = re.compile(r"tap\d{1,10}")
#: what shells and Python's glob read differently from each other; any one character will do in its place
_SPECIAL = re.compile(r"[*?[\]\\]")

_REFUSAL = (
    "macvtap guard: descriptor $1 (character device $opened) is not the tap of $2; the command was not started; attach"
    " the guest again (macvtap_attach)"
)
#: Arguments: a descriptor and a pattern of :func:`device_file`, as often as needed; ``--``; the command.
_SCRIPT = (
    'while [ "$1" != -- ]; do opened=none;'
    ' [ -c "/proc/self/fd/$1" ] && opened=$(printf %d:%d $(stat -Lc "0x%t 0x%T" "/proc/self/fd/$1"));'
    ' right=; for file in $2; do [ -r "$file" ] && read -r tap <"$file" && [ "$tap" = "$opened" ] && right=1; done;'
    ' if [ -z "$right" ]; then'
    ' printf "%s\\n" "' + _REFUSAL + '" >&2; exit 1; fi;'
    ' shift 2; done; shift; exec "$@"'
)


def device_file(ifname: str | None, tap_path: str) -> str:
    """The file of sysfs with the device number of a tap, below the sysfs mount, as a pattern for glob or a shell.

    :arg ifname: name of the link, None where it is not known.
    :arg tap_path: path of the node, which the kernel names after the index of the link.
    """
    name = tap_path.rpartition("/")[2]
    link = "*" if ifname is None else _SPECIAL.sub("?", ifname)
    return f"/class/net/{link}/macvtap/{name if _TAP_NAME.fullmatch(name) else 'tap*'}/dev"


def guard(taps: Iterable[tuple[int, str | None, str]]) -> list[str]:
    """Words to put in front of a command that inherits open taps: it starts only if all of them are the right ones.

    They run ``/bin/sh``, which needs no privilege, and which the command replaces.

    :arg taps: descriptor, name of the link (or None) and path of the node of each.
    :returns: an empty list without taps.
    """
    checks = [word for fd, ifname, path in taps for word in (str(fd), "/sys" + device_file(ifname, path))]
    return ["/bin/sh", "-c", _SCRIPT, "macvtap-guard", *checks, "--"] if checks else []
