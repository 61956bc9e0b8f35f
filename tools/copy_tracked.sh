#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# copy_tracked.sh DEST: lays the tracked files of this checkout out as DEST/ansible_collections/linuxnet/macvtap and
# prints that path. ansible-test and others want a collection at such a path and refuse symlinks. What earlier checks
# left in tests/output stays, so that they need not make their virtual environments again.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1/ansible_collections/linuxnet/macvtap/tests/output"
echo '*' >"$1/.gitignore"
copy=$(cd "$1/ansible_collections/linuxnet/macvtap" && pwd)

find "$copy" -mindepth 1 -maxdepth 1 ! -name tests ! -name .git -exec rm -rf {} +
find "$copy/tests" -mindepth 1 -maxdepth 1 ! -name output -exec rm -rf {} +

cd "$root"
git ls-files -z --deduplicate -- ':!.collections' | while IFS= read -r -d '' path; do
    if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\0' "$path"; fi
done | tar --null --files-from=- -cf - | tar -xf - -C "$copy"

# A repository of its own: the checks list files with git, and must not find the one around it, nor what they leave.
[ -d "$copy/.git" ] || git init -q "$copy"
echo tests/output/ >"$copy/.git/info/exclude"
printf '%s\n' "$copy"
