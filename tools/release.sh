#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# release.sh: builds the archive that goes to Galaxy, in .cache/release, and uses it as a new user does: installed from
# the archive beside a fresh virtual environment, the first playbook of the README run from that installation on a
# hypervisor of the lab, twice; what an execution environment would take from it. Needs root, for the lab.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh release
cache=$root/.cache/release
copy=$(tools/copy_tracked.sh "$cache/source")
unset GIT_DIR GIT_INDEX_FILE # set in a git hook, for the checkout and not for the copy

rm -rf "$cache/user" && mkdir -p "$cache/user"
archive=$(.venv/bin/ansible-galaxy collection build "$copy" --output-path "$cache" --force | sed -n 's/.* at \(\/.*\.tar\.gz\)$/\1/p')
printf 'release: %s, %s bytes\n' "$archive" "$(stat -c %s "$archive")"

# A user's machine: what the README asks for, and nothing else.
[ -x "$cache/venv/bin/ansible-galaxy" ] || .venv/bin/python -m venv "$cache/venv"
"$cache/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    'ansible-core>=2.18' 'pyroute2>=0.7.2' 'lxml>=4.6.5' ansible-builder

cd "$cache/user"
export HOME=$cache/user ANSIBLE_COLLECTIONS_PATH=$cache/user/collections PATH=$cache/venv/bin:$PATH
ansible-galaxy collection install "$archive" -p collections >/dev/null
installed=$ANSIBLE_COLLECTIONS_PATH/ansible_collections/linuxnet/macvtap

# The checks need what is not part of the product; nothing of them may be in it.
for stray in .ci .git Makefile extensions tests/bench tests/demo tests/guest tests/kernel tests/lab tools; do
    [ ! -e "$installed/$stray" ] || {
        echo "release: the archive carries $stray" >&2
        exit 1
    }
done
ansible-doc -t module linuxnet.macvtap.macvtap_attach >/dev/null
ansible-doc -t role linuxnet.macvtap.vepa_network >/dev/null

awk '/^```yaml$/ && !done { inside = 1; next } /^```$/ && inside { done = 1; inside = 0 } inside' "$installed/README.md" >first.yml
grep -q macvtap_attach first.yml
# shellcheck disable=SC2016
python "$root/tests/lab" run --python "$cache/venv/bin/python" -- sh -euc '
    sed "s/^  hosts: .*/  hosts: all/; s/^  become: .*//" first.yml >play.yml
    ansible-playbook -i "$LAB_INVENTORY" play.yml
    ANSIBLE_CALLBACK_PLUGINS=$1 ANSIBLE_CALLBACKS_ENABLED=recap LINUXNET_RECAP=second.json \
        ansible-playbook -i "$LAB_INVENTORY" play.yml
    python -c "import json; assert [host[\"changed\"] for host in json.load(open(\"second.json\")).values()] == [0]"
' sh "$root/tests/lab/callbacks"

printf 'release: an execution environment gets\n'
ansible-builder introspect "$ANSIBLE_COLLECTIONS_PATH" | tee introspected.yml
for library in $(sed '/^ *#/d' "$installed/meta/ee-requirements.txt"); do
    grep -qF "'$library " introspected.yml || {
        echo "release: ansible-builder did not read $library" >&2
        exit 1
    }
done
