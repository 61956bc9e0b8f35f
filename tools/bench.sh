#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# bench.sh [OPTION...]: the benchmark, in the lab; see bench.sh --help. Without libvirt and QEMU it leaves them out
# (Debian: libvirt-daemon-system qemu-system-x86).
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh bench
python=${VENV:-.venv}/bin/python
"$python" -c 'import matplotlib' 2>/dev/null ||
    "$python" -m pip install -qq --disable-pip-version-check -r tests/requirements-bench.txt
exec "$python" tests/bench "$@"
