#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# docs.sh: the documentation as a site of pages, in .cache/docs/html, as the collection's docsite would show it. A warning
# of antsibull-docs or Sphinx fails. Needs the tools of tests/requirements-lint.txt, and no network.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
PATH=$(cd "${VENV:-.venv}" && pwd)/bin:$PATH

cache=$root/.cache/docs
mkdir -p "$cache"
# One build at a time: a second one waits.
exec 9>"$cache/lock"
flock 9
tools/copy_tracked.sh "$cache" >/dev/null
export ANSIBLE_COLLECTIONS_PATH=$cache
export ANSIBLE_HOME=$cache/ansible

# antsibull-docs writes only where nobody else may.
umask 022
rm -rf "$cache/site" "$cache/html"
mkdir -p "$cache/site/rst"

antsibull-docs sphinx-init --use-current --squash-hierarchy --fail-on-error --lenient --dest-dir "$cache/site" \
    --project linuxnet.macvtap --title 'linuxnet.macvtap' --html-short-title 'linuxnet.macvtap' \
    --copyright 'linuxnet.macvtap maintainers' linuxnet.macvtap >/dev/null
cat tools/docs_conf.py >>"$cache/site/conf.py"
antsibull-docs --config-file "$cache/site/antsibull-docs.cfg" collection --use-current --squash-hierarchy --fail-on-error \
    --cleanup everything --dest-dir "$cache/site/rst" linuxnet.macvtap
sphinx-build -W --keep-going --quiet --builder html --conf-dir "$cache/site" "$cache/site/rst" "$cache/html"
printf 'docs: %s pages without a warning; begin at %s\n' \
    "$(find "$cache/html" -name '*.html' | wc -l)" "$cache/html/index.html"
