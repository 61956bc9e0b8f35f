# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role installs what a module reports as missing, once, and a prepared host runs no task for it."""

import json

import pytest

ROLE = "linuxnet.macvtap.vepa_network"
NETWORK = "<network><name>n</name><forward mode='vepa' dev='eth0'/></network>"
VARIABLES = {"vepa_network_xml": NETWORK, "vepa_network_guests": [{"name": "web", "nics": [{}]}]}
#: a package manager: what it installs is there from then on
PACKAGES = """\
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"name": {"type": "list"}, "state": {}, "use": {}})
open(%r, "w").close()
module.exit_json(changed=True, installed=module.params["name"])
"""


@pytest.fixture
def role(host, ansible, tmp_path):
    """Run the role on a host without lxml, which ``package`` brings; returns (status, changed tasks, output)."""
    installed, hidden, library = (tmp_path / name for name in ("installed", "hidden", "library"))
    for directory in (hidden, library):
        directory.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['lxml'] = None\n", encoding="utf-8")
    # instead of the lab's own, which enters the hypervisor
    python = tmp_path / "python"
    lines = ("#!/bin/sh", f"[ -e {installed} ] || export PYTHONPATH={hidden}", f'exec {host.hypervisor.python} "$@"')
    python.write_text("\n".join(lines) + "\n", encoding="utf-8")
    python.chmod(0o755)

    def run(*words, brings=installed):
        (library / "pacman.py").write_text(PACKAGES % str(brings), encoding="utf-8")
        manager = {"ansible.builtin.set_fact": {"pkg_mgr": "pacman", "cacheable": True}}
        play = {"hosts": "all", "gather_facts": False, "pre_tasks": [manager], "roles": [ROLE]}
        play["vars"] = {**VARIABLES, "ansible_python_interpreter": str(python)}
        path = tmp_path / "play.yml"
        path.write_text(json.dumps([play]), encoding="utf-8")
        status, output = ansible("ansible-playbook", str(path), "-v", *words, ANSIBLE_LIBRARY=str(library))
        return status, ansible.changed(), output

    return run


def test_a_library_is_installed_when_a_module_lacks_it(host, role):
    before = host.snapshot()
    status, changed, output = role("--check")
    assert (status, changed) == (0, 1) and "Would install python3-lxml." in output, output
    assert "neither the network nor its guests are predicted" in output and host.snapshot() == before
    # one that does not bring what is missing
    status, _changed, output = role(brings="/dev/null")
    assert status and "requires the Python library lxml" in output and output.count('"installed"') == 1
    status, changed, output = role()
    assert (status, changed) == (0, 2) and '"installed": ["python3-lxml"]' in output, output
    status, changed, output = role()
    assert (status, changed) == (0, 0) and "cannot import" not in output, output
