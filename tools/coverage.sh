#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# coverage.sh [PATH...]: which lines and branches of plugins/ the unit and the kernel tests (or those of PATHs) run. What
# runs elsewhere than from the checkout does not count: modules that Ansible ships to a host, and processes that are killed.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh coverage
python=$PWD/${VENV:-.venv}/bin/python
"$python" -c 'import coverage' 2>/dev/null ||
    "$python" -m pip install -qq --disable-pip-version-check -r tests/requirements-coverage.txt
data=$PWD/.cache/coverage
rm -rf "$data"
mkdir -p "$data"
[ $# -gt 0 ] || set -- tests/unit tests/kernel
export COVERAGE_SOURCE=$PWD/plugins
status=0
# one after the other: files of the two have names in common
for path; do
    COVERAGE_FILE=$data/data PYTHONPATH=$PWD/.collections "$python" -m coverage run --rcfile="$PWD/pyproject.toml" \
        -m pytest -o cache_dir=.cache/pytest "$path" || status=$?
done
cd "$data"
"$python" -m coverage combine --quiet --rcfile=../../pyproject.toml --data-file=data
"$python" -m coverage report --rcfile=../../pyproject.toml --data-file=data
exit "$status"
