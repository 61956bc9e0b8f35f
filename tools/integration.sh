#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# integration.sh [TARGET...]: ansible-test integration on the Python of .venv, as root. The targets make a veth pair of
# their own on this machine, mvtest0 and mvtest1, touch no other link, and remove it again.
set -euo pipefail

# shellcheck source=tools/ansible_test_env.sh
. "$(dirname "$0")/ansible_test_env.sh"

cd "$copy"
ansible-test integration --venv --python "$main" --color no "$@"
printf '\nintegration: passed on ansible-core %s, Python %s\n' "$core" "$main"
