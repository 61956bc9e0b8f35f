#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# sanity.sh [OPTION...]: ansible-test sanity with all tests on the Python of .venv, then compile and import on every
# other Python from 3.9 on that this machine has. One interpreter is enough. With options for ansible-test only the
# first run is made, with them: sanity.sh --test pylint
set -euo pipefail

# shellcheck source=tools/ansible_test_env.sh
. "$(dirname "$0")/ansible_test_env.sh"

others=()
for version in 3.9 3.10 3.11 3.12 3.13 3.14; do
    [ "$version" = "$main" ] && continue
    command -v "python$version" >/dev/null || continue
    # Only what this core's ansible-test knows: it lists its versions in its constants.
    grep -rqF "'$version'" "$("$venv/bin/python" -c 'import ansible_test; print(list(ansible_test.__path__)[0])')/_util/target/common/constants.py" || continue
    others+=("$version")
done

[ $# -eq 0 ] || others=()

cd "$copy"
failed=()
run() {
    local python=$1
    shift
    ansible-test sanity --venv --python "$python" --color no "$@" || failed+=("$python")
}
printf '\n== ansible-core %s, Python %s: all tests\n' "$core" "$main"
run "$main" "$@"
for version in "${others[@]}"; do
    printf '\n== ansible-core %s, Python %s: compile, import\n' "$core" "$version"
    run "$version" --test compile --test import
done

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nsanity: failed on ansible-core %s, Python %s\n' "$core" "${failed[*]}"
    exit 1
fi
printf '\nsanity: passed on ansible-core %s, Python %s\n' "$core" "$main ${others[*]}"
