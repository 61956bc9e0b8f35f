# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What another user of the host locks, and what that keeps from being done: nothing."""

import subprocess
import sys

import pytest
from module_host import ATTACH, DEFINITIONS, NETWORK, ModuleFailed
from persist_lab import PERSIST

KEEPER = """
import fcntl, os, sys
kept = [os.open(path, os.O_RDONLY) for path in sys.argv[1:]]
for descriptor in kept:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]


@pytest.mark.usefixtures("clean_boot")
def test_another_users_locks_keep_no_run_from_working(host):
    host.network(name="vepanet", devices=["eth0"])
    made = host.attach(attachments=[{"guest": "a", "network": "vepanet"}])
    host.module(PERSIST, attachments=made["attachments"])
    files = ["/proc/self/ns/net", "/run", "/etc/sysctl.d", "/etc/macvtap", DEFINITIONS, DEFINITIONS + "/vepanet.xml"]
    python = [sys.executable, "-I", "-c", KEEPER]
    keeper = host.spawn([*AS_NOBODY, *python, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert keeper.stdout.readline() == "locked\n"
    # a run that waits for one of them fails the test: the runner gives up on it
    host.module(NETWORK, name="vepanet", devices=["eth0", "eth1"])
    both = host.attach(attachments=[{"guest": "a", "network": "vepanet"}, {"guest": "b", "network": "vepanet"}])
    assert host.module(PERSIST, attachments=both["attachments"])["changed"]
    gone = host.attach(state="absent", network="vepanet")
    assert gone["changed"], gone


def test_another_user_cannot_open_replace_or_remove_a_lock(host):
    host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    for attempt in (
        "ls /run/linuxnet-macvtap",
        "exec 3<>/run/linuxnet-macvtap/files",
        "rmdir /run/linuxnet-macvtap",
        "mv /run/linuxnet-macvtap /run/elsewhere",
        "touch /run/linuxnet-macvtap/net-1",
    ):
        assert host.run([*AS_NOBODY, "sh", "-c", attempt], check=False).returncode != 0, attempt
    assert host.run(["stat", "-c", "%a %U", "/run/linuxnet-macvtap"]).stdout == "700 root\n"


def test_a_user_who_may_not_lock_is_told_to_become_root(host):
    runner = host.start_unprivileged_runner()
    with pytest.raises(ModuleFailed) as failed:
        host.module(ATTACH, attachments=[{"guest": "a", "device": "eth0"}], runner=runner)
    sentence = failed.value.message
    assert "/run/linuxnet-macvtap" in sentence and "run as root (become: true)" in sentence
