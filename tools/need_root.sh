#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# need_root.sh WHAT: ends with a plain sentence when the caller is not root.
[ "$(id -u)" -eq 0 ] && exit 0
echo "$1 needs root: it makes network and mount namespaces. Nothing has been changed. Try: sudo make $1" >&2
exit 1
