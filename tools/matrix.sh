#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# matrix.sh [CORE|PYTHON|SUITE...]: all versions that the collection supports, or those named (matrix.sh 2.20 3.9
# trixie), each in a virtual environment or root file system of its own under .cache/matrix. Prints tables at the end;
# fails when a cell of them did.
#
# - Per ansible-core, on the controller: sanity without an ignore file (all tests on its own Python, compile and import
#   on all others), unit tests; the integration targets on the oldest and the newest.
# - Per Python of managed hosts, with the libraries of a distribution of its age: unit tests of module_utils, and the
#   integration targets with that interpreter, driven by the newest core that speaks to it.
# - Per Debian release, in minimal root file systems: the README's commands; the demo into a terminal, a pipe and a file,
#   in a fresh one, a second time, and without network.
set -euo pipefail

cd "$(dirname "$0")/.."
tools/need_root.sh matrix
root=$PWD
cache=$root/.cache/matrix
mkdir -p "$cache/log"

# ansible-core | Python of the controller
cores=(
    "2.18 3.11"
    "2.19 3.12"
    "2.20 3.12"
    "2.21 3.13"
)
# Python of the managed host | its libraries
targets=(
    "3.9 pyroute2==0.7.2 lxml==4.6.5"
    "3.10 pyroute2==0.7.2 lxml==5.4.0"
    "3.11 pyroute2==0.7.2 lxml==4.9.4"
    "3.12 pyroute2==0.8.1 lxml==5.4.0"
    "3.13 pyroute2>=0.9.1 lxml>=6"
)
# Debian release | its name
systems=(
    "12 bookworm"
    "13 trixie"
)
asked=" $* "
newest=${cores[-1]%% *}
oldest=${cores[0]%% *}

# The shims of pyenv start nothing outside of pyenv's own rules: its real directories go first.
for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin; do
    [ -d "$python" ] && PATH=$python:$PATH
done

table=()
failed=0
# cell NAME COMMAND...: sets $cell to what the command's log says, or to a failure that names the log
cell() {
    local log=$cache/log/$1.log began=$SECONDS
    shift
    printf -- '-- %s\n' "${log##*/}"
    if "$@" >"$log" 2>&1; then
        cell="$(grep -oE '[0-9]+ passed' "$log" | tail -n 1 || true)"
        cell="${cell:-passed} ($((SECONDS - began)) s)"
    else
        cell="FAILED, see $log"
        tail -n 20 "$log"
        failed=1
    fi
}

# environment DIRECTORY PYTHON REQUIREMENT...: a virtual environment with these, made anew when they change
environment() {
    local directory=$1 python=$2
    shift 2
    [ "$(cat "$directory/.stamp" 2>/dev/null)" = "$python $*" ] && return
    "$python" -m venv --clear "$directory"
    "$directory/bin/python" -m pip install -qq --disable-pip-version-check "$@"
    echo "$python $*" >"$directory/.stamp"
}

core_environment() { environment "$cache/core-$1" "python$2" "ansible-core==$1.*" lxml 'pyroute2>=0.9.1' hypothesis pytest; }

wanted() { [ "$asked" = "  " ] || [[ $asked == *" $1 "* ]]; }

version_of() { "$1/bin/python" -c "from importlib.metadata import version; print(version('$2'))"; }

unit_tests() { PYTHONPATH=$root/.collections "$1/bin/python" -m pytest -q -p no:cacheprovider "$2"; }

# The targets in a hypervisor of the lab that has this interpreter, driven by the newest core.
tasks_on() {
    local controller=$cache/core-$newest target
    for target in tests/integration/targets/macvtap_*; do
        # shellcheck disable=SC2016
        ANSIBLE_COLLECTIONS_PATH=$root/.collections ANSIBLE_ROLES_PATH=$root/tests/integration/targets \
            "$root/.venv/bin/python" tests/lab run --python "$1/bin/python" -- \
            sh -c '"$1" hypervisor0 -i "$LAB_INVENTORY" -m ansible.builtin.include_role -a "name=$2"' \
            - "$controller/bin/ansible" "${target##*/}"
    done
}

for row in "${cores[@]}"; do
    read -r core python <<<"$row"
    wanted "$core" || continue
    directory=$cache/core-$core
    core_environment "$core" "$python"
    export VENV=$directory
    cell "core-$core-sanity" tools/sanity.sh
    sanity="$(sed -n 's/^sanity: .*, \(Python .*\)/\1: /p' "$cache/log/core-$core-sanity.log")$cell"
    cell "core-$core-units" unit_tests "$directory" tests/unit
    units=$cell
    integration=-
    if [ "$core" = "$oldest" ] || [ "$core" = "$newest" ]; then
        cell "core-$core-integration" tools/integration.sh
        integration=$cell
    fi
    unset VENV
    table+=("| ansible-core $(version_of "$directory" ansible-core), Python $python | $sanity | $units | $integration |")
done

for row in "${targets[@]}"; do
    read -r python requirements <<<"$row"
    wanted "$python" || continue
    read -r core core_python <<<"${cores[-1]}"
    core_environment "$core" "$core_python"
    directory=$cache/target-$python
    # shellcheck disable=SC2086
    environment "$directory" "python$python" ansible-core $requirements hypothesis pytest
    cell "target-$python-units" unit_tests "$directory" tests/unit/plugins/module_utils
    units=$cell
    cell "target-$python-integration" tasks_on "$directory"
    table+=("| target Python $python, pyroute2 $(version_of "$directory" pyroute2), lxml $(version_of "$directory" lxml) | - | $units | $cell |")
done

tried=()
for row in "${systems[@]}"; do
    read -r release suite <<<"$row"
    wanted "$suite" || continue
    for way in terminal pipe file; do
        cells=
        for state in --fresh '' --offline; do
            # shellcheck disable=SC2086
            cell "$suite-demo-$way$state" tools/rootfs.sh --copy "matrix-$suite" --way "$way" $state "$suite" make demo
            cells+=" $cell |"
        done
        tried+=("| Debian $release | make demo | $way |$cells")
    done
    cell "$suite-test" tools/rootfs.sh --way pipe "$suite" make test
    tried+=("| Debian $release | make test | pipe | $cell | - | - |")
done

{
    if [ ${#table[@]} -gt 0 ]; then
        echo '| versions | sanity | unit tests | integration targets |'
        echo '|---|---|---|---|'
        printf '%s\n' "${table[@]}"
    fi
    if [ ${#tried[@]} -gt 0 ]; then
        echo
        echo '| system | command | writes to | fresh clone | second run | no network |'
        echo '|---|---|---|---|---|---|'
        printf '%s\n' "${tried[@]}"
    fi
} | tee "$cache/results.md"
exit "$failed"
