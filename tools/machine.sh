#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# machine.sh SUITE KERNEL [COMMAND...]: a shell, or one command, in a whole virtual machine of Debian SUITE (bookworm,
# trixie) with the newest KERNEL of that version (6.1, 6.12, 7). What is done there is gone at the end.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh machine
[ $# -ge 2 ] || {
    sed -n 's/^# \(machine.sh .*\): .*/usage: tools\/\1/p' "$0" >&2
    exit 2
}
exec "${VENV:-.venv}/bin/python" tests/vm/machine.py "$@"
