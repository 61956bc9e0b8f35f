# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SELinux contexts: the real libselinux reads a policy's file contexts, and Ansible's own file handling sets them.

Two things are made up, since a policy is the whole machine's: that SELinux is enabled, and the label that it shows for
a file that has none.
"""

import os
import subprocess
import sys

import pytest
from module_host import RUNNER

PERSIST = "macvtap_persist"
ENABLED = """
import runpy, sys
from ansible.module_utils import basic

def labelled(path, ask=basic.selinux.lgetfilecon_raw):
    try:
        return ask(path)
    except OSError:
        return [0, "system_u:object_r:unlabeled_t:s0"]

basic.selinux.is_selinux_enabled = lambda: 1
basic.selinux.lgetfilecon_raw = labelled
sys.argv = [sys.argv[1]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
#: lines of the reference policy (files, virt, udev and systemd modules)
CONTEXTS = """
/etc(/.*)?\tsystem_u:object_r:etc_t:s0
/etc/udev/rules\\.d(/.*)?\tsystem_u:object_r:udev_rules_t:s0
/etc/systemd/system(/.*)?\tsystem_u:object_r:systemd_unit_t:s0
/dev/.*\tsystem_u:object_r:device_t:s0
/dev/tap.*\t-c\tsystem_u:object_r:tun_tap_device_t:s0
"""
POLICY = (
    "mkdir -p /etc/selinux/lab/contexts/files; printf 'SELINUX=permissive\\nSELINUXTYPE=lab\\n' >/etc/selinux/config"
)


@pytest.fixture
def runner(host):
    """Runs modules on a host where SELinux is enabled."""
    host.run(["sh", "-c", POLICY])
    host.run(["tee", "/etc/selinux/lab/contexts/files/file_contexts"], input=CONTEXTS)
    environment = dict(os.environ, PYTHONPATH=host.collections + ":" + str(RUNNER.parent))
    return host.spawn(
        [sys.executable, "-c", ENABLED, str(RUNNER)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def label(host, path):
    script = "import os, sys; print(os.getxattr(sys.argv[1], 'security.selinux').decode().rstrip(chr(0)))"
    return host.run([sys.executable, "-I", "-c", script, path]).stdout.strip()


def set_label(host, path, context):
    script = "import os, sys; os.setxattr(sys.argv[1], 'security.selinux', sys.argv[2].encode() + bytes(1))"
    host.run([sys.executable, "-I", "-c", script, path, context])


def test_taps_and_boot_files_get_the_contexts_of_the_policy(host, runner):
    wanted = {"attachments": [{"guest": "a", "device": "eth0"}]}
    made = host.module("macvtap_attach", runner=runner, **wanted)
    assert label(host, made["tap_paths"][0]) == "system_u:object_r:tun_tap_device_t:s0"
    again = host.module("macvtap_attach", runner=runner, check=True, **wanted)
    assert (again["changed"], again["actions"]) == (False, [])
    set_label(host, made["tap_paths"][0], "system_u:object_r:device_t:s0")
    again = host.module("macvtap_attach", runner=runner, **wanted)
    assert again["actions"] == ["set the SELinux context of %s" % made["tap_paths"][0]]
    done = host.module(PERSIST, attachments=made["attachments"], runner=runner)
    labels = {path: label(host, path).split(":")[2] for path in done["files"]}
    assert labels.pop("/etc/udev/rules.d/90-macvtap.rules") == "udev_rules_t"
    assert {labels[path] for path in labels if "/systemd/system/" in path} == {"systemd_unit_t"}
    assert {labels[path] for path in labels if "/systemd/system/" not in path} == {"etc_t"}


def test_what_is_refused_is_found_out_without_a_change_of_contexts(host, runner):
    define = {"name": "n", "mode": "bridge", "devices": ["eth0"]}
    guests = [{"name": "a", "nics": [{}]}]
    (path,) = host.attach(define=define, guests=guests)["tap_paths"]
    set_label(host, path, "system_u:object_r:device_t:s0")
    done = host.module("macvtap_attach", runner=runner, define={**define, "mode": "private"}, guests=guests)
    assert f"set the SELinux context of {path}" in done["actions"]
