#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# test.sh: everything that CI checks, step by step; stops at the first step that fails.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh test

logs=.cache/test
mkdir -p "$logs"
for step in setup lint docs sanity unit integration demo molecule release kernel; do
    printf '\n===== %s\n' "$step"
    began=$SECONDS
    if ! "tools/$step.sh" </dev/null 2>&1 | tee "$logs/$step.log"; then
        printf '\n===== %s failed after %d s; the steps after it did not run\n' "$step" $((SECONDS - began))
        exit 1
    fi
    took+=("$(printf '%-12s %4d s' "$step" $((SECONDS - began)))")
done

printf '\n===== all passed\n'
printf '%s\n' "${took[@]}"
# The closing lines of the test runner once more, after everything else.
for step in unit kernel; do
    tail -n 1 "$logs/$step.log"
done
