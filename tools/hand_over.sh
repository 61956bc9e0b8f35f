#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# hand_over.sh [OPTION...]: ten running guests move from libvirt's links to ours and back while they are pinged; prints
# how long each did not answer. Takes some minutes, and 1.5 GiB of memory. Options go to pytest.
set -euo pipefail

cd "$(dirname "$0")/.."
exec tools/kernel.sh -s tests/kernel/hand_over_of_ten.py "$@"
