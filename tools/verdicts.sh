#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# verdicts.sh: write docs/docsite/rst/guide_libvirt_verdicts.rst, the verdicts of libvirt and of the modules.
set -euo pipefail

cd "$(dirname "$0")/.."
LINUXNET_WRITE_VERDICTS=1 exec tools/kernel.sh tests/kernel/test_libvirt_verdicts.py
