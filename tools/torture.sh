#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# torture.sh [--seed N] [--minutes M] [OPTION...]: the tests that make test does a little of, for as long as that: every
# message and file operation of a run fails, somebody else acts in the middle of it, processes run against each other.
# Then the properties of the planner and of the XML on many examples, for about half an hour whatever M is; --minutes 0
# leaves out what comes before. Without --seed it is another one each time. Options go to pytest.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
seed=$((RANDOM * 32768 + RANDOM))
minutes=60
options=()
while [ $# -gt 0 ]; do
    case $1 in
        --seed) seed=$2 && shift ;;
        --minutes) minutes=$2 && shift ;;
        *) options+=("$1") ;;
    esac
    shift
done
tools/need_root.sh torture

repeat() {
    status=$?
    [ "$status" -eq 0 ] || printf '\n===== failed; once more the same: tools/torture.sh --seed %s --minutes %s\n' "$seed" "$minutes"
    exit "$status"
}
trap repeat EXIT

printf '===== seed %s, %s minutes of faults and races\n' "$seed" "$minutes"
# -rP: the tests print how many points they tried and what became of them
if [ "$minutes" != 0 ]; then
    TORTURE_SEED=$seed TORTURE_MINUTES=$minutes tools/kernel.sh -rP tests/kernel/test_fault_*.py \
        tests/kernel/test_random_*.py tests/kernel/test_attach_killed.py tests/kernel/test_attach_race.py \
        tests/kernel/test_attach_node_swapped.py "${options[@]}"
fi
printf '\n===== seed %s, many examples of the properties\n' "$seed"
HYPOTHESIS_PROFILE=long HYPOTHESIS_EXAMPLES=${HYPOTHESIS_EXAMPLES:-3000} tools/unit.sh \
    tests/unit/plugins/module_utils/test_*_properties.py --hypothesis-seed="$seed" "${options[@]}"
