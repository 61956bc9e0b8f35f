#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# To be sourced by what calls ansible-test: a copy of the collection where ansible-test wants one ($copy), its version
# of ansible-core ($core), the Python of .venv ($main), and real interpreters on PATH.
# shellcheck disable=SC2034

# shellcheck source=tools/surroundings.sh
. "$(dirname "${BASH_SOURCE[0]}")/surroundings.sh"
venv=$(cd "${VENV:-.venv}" && pwd)
core=$("$venv/bin/python" -c 'import ansible.release; print(ansible.release.__version__)')
main=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# One copy per core: the virtual environments that ansible-test keeps in it belong to a core.
copy=$(tools/copy_tracked.sh "$root/.cache/ansible-test-$core")
unset GIT_DIR GIT_INDEX_FILE # set in a git hook, for the checkout and not for the copy

# ansible-test looks for pythonX.Y on PATH. The shims of pyenv start nothing outside of pyenv's own rules, so the real
# directories go first and the shims out.
dirs=()
for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
    [ -x "$python" ] && dirs+=("$(dirname "$python")")
done
PATH=$(printf '%s\n' "${dirs[@]}" "${PATH//:/$'\n'}" | grep -v '/shims/*$' | paste -sd:)
PATH=$venv/bin:$PATH

# ansible-test bootstraps pip with a script from a server of its own. Where that cannot be reached, the pip that comes
# with Python does as well. The stand-in is taken away again.
stand_ins=()
trap 'rm -f "${stand_ins[@]}"' EXIT
provide_get_pip() {
    local versions version script
    versions=$("$venv/bin/python" - <<'PY'
import pathlib, re, ansible_test
text = pathlib.Path(list(ansible_test.__path__)[0], "_internal", "python_requirements.py").read_text()
print(*sorted(set(re.findall(r"""pip(?:=|': ?)['"]([0-9.]+)['"]""", text))))
PY
    )
    for version in $versions; do
        script=$HOME/.ansible/test/cache/get_pip_${version//./_}.py
        [ -e "$script" ] && continue
        "$venv/bin/python" - "$version" <<'PY' && continue
import sys, urllib.request
url = f"https://ci-files.testing.ansible.com/ansible-test/get-pip-{sys.argv[1]}.py"
try:
    urllib.request.urlopen(url, timeout=10).close()
except OSError:
    sys.exit(1)
PY
        mkdir -p "$(dirname "$script")"
        printf 'import ensurepip\nensurepip.bootstrap(default_pip=True)\n' >"$script"
        stand_ins+=("$script")
    done
}
provide_get_pip
