#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# demo.sh: installs what the demo needs and shows it.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh demo
[ -n "${VENV:-}" ] || bounded tools/setup.sh demo
sealed "${VENV:-.venv}/bin/python" tests/lab/sealed.py "${VENV:-.venv}/bin/python" tools/demo.py "$@"
