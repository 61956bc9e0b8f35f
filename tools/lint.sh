#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# lint.sh [CHECK...]: runs the static checks, all or those named, and says at the end which failed.
# Needs the tools of tests/requirements-lint.txt in .venv (or in the virtual environment that VENV names).
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
PATH=$(cd "${VENV:-.venv}" && pwd)/bin:$PATH

cache=$root/.cache/lint
copy=$(tools/copy_tracked.sh "$cache")
unset GIT_DIR GIT_INDEX_FILE # set in a git hook, for the checkout and not for the copy
export ANSIBLE_COLLECTIONS_PATH=$cache
export ANSIBLE_HOME=$cache/ansible
export RUFF_CACHE_DIR=$cache/ruff

check_ruff() { (cd "$copy" && ruff check . && ruff format --check .); }
check_mypy() { MYPYPATH=$cache mypy --cache-dir "$cache/mypy" -p ansible_collections.linuxnet.macvtap.plugins; }
check_yamllint() { git ls-files -z '*.yml' '*.yaml' .ansible-lint .yamllint | xargs -0 yamllint --strict; }
check_reuse() { reuse --root "$copy" lint --lines; }
check_changelog() { antsibull-changelog lint; }
check_docs() { antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self "$copy"; }
check_ansible_lint() { (cd "$copy" && ansible-lint --offline --profile production); }

# Builds the archive as a release would, and has Galaxy's own importer judge it.
check_galaxy() {
    local build=$cache/build
    rm -rf "$build" && mkdir -p "$build"
    ansible-galaxy collection build "$copy" --output-path "$build" --force
    (cd "$build" && PYTHONPATH='' python -m galaxy_importer.main ./*.tar.gz) 2>&1 | tee "$build/importer.log"
    # The importer only warns about much of what a reviewer would send back.
    ! grep -E '^(ERROR|WARNING)' "$build/importer.log"
}

checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(ruff mypy yamllint reuse changelog docs ansible_lint galaxy)
failed=()
for check in "${checks[@]}"; do
    printf '\n== %s\n' "$check"
    "check_$check" || failed+=("$check")
done

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nlint: failed: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nlint: passed: %s\n' "${checks[*]}"
