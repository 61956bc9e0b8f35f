#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# need_root.sh WHAT: ends with a plain sentence when the caller is not root, or root of a container that may do little.
if [ "$(id -u)" -ne 0 ]; then
    echo "$1 needs root: it makes network and mount namespaces. Nothing has been changed. Try: sudo make $1" >&2
    exit 1
fi
unshare --net --mount --pid --fork true 2>/dev/null && exit 0
echo "$1 cannot make network and mount namespaces here: this container lacks CAP_SYS_ADMIN. Nothing has been changed." >&2
exit 1
