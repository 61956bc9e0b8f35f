#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# kernel.sh [OPTION...]: the tests against the real kernel, in the lab; options go to pytest, and so do paths instead of all tests.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh kernel
paths=(tests/kernel)
for word; do
    [ ! -e "${word%%::*}" ] || paths=()
done
PYTHONPATH=$PWD/.collections exec "${VENV:-.venv}/bin/python" -m pytest -o cache_dir=.cache/pytest "${paths[@]}" "$@"
