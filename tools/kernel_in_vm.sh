#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# kernel_in_vm.sh [--kernel DIRECTORY] [OPTION...]: the tests of kernel.sh against another kernel, in a virtual machine
# whose files are this machine's. DIRECTORY: an unpacked kernel package; default: the kernel of the tests' guests (the
# distribution's own). Drivers that put links or files of their own into every namespace are loaded, as on many a host.
set -euo pipefail

cd "$(dirname "$0")/.."
tools/need_root.sh kernel_in_vm
kernel=()
if [ "${1:-}" = --kernel ]; then
    kernel=(--kernel "$2")
    shift 2
fi
drivers='for driver in bonding ip_gre ipip sit; do modprobe -q $driver; done; uname -r; exec tools/kernel.sh --color=no "$@"'
exec "${VENV:-.venv}/bin/python" tests/vm "${kernel[@]}" sh -c "$drivers" sh "$@"
