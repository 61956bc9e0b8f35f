#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# molecule.sh [OPTION...]: all molecule scenarios; options go to `molecule test`. The same as calling molecule by hand
# from the root of the checkout, but for where it keeps its files.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh molecule
PATH=$(cd "${VENV:-.venv}" && pwd)/bin:$PATH
export ANSIBLE_HOME=$PWD/.cache/molecule/ansible
exec molecule test --all "$@"
