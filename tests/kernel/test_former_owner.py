# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tap that changes its owner: what the former one prepared does not let it in, and whom it still serves is told."""

import subprocess

import pytest
from module_host import ATTACH, ModuleFailed, warnings

INFO = "macvtap_info"
OLD, NEW, MATE = 4711, 4712, 4713
WEB = {"attachments": [{"guest": "web", "device": "eth0"}]}
#: sets the ACL u::rw-, u:MATE:rw-, g::---, m::rw-, o::--- as setfacl does, which not every host has
SET_ACL = (
    """
import os, struct, sys
entries = [(1, 6, 2**32 - 1), (2, 6, %d), (4, 0, 2**32 - 1), (16, 6, 2**32 - 1), (32, 0, 2**32 - 1)]
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
os.setxattr(sys.argv[1], sys.argv[2], acl)
"""
    % MATE
)


def as_user(uid, *words):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *words]


def let_in(host, row, owner=OLD, name="system.posix_acl_access", path=None):
    """The owner of the node lets MATE in as well."""
    host.run(as_user(owner, "/usr/bin/python3", "-I", "-c", SET_ACL, path or row["tap_path"], name))


def can_open(host, row, uid):
    return host.run(as_user(uid, "sh", "-c", f"exec 3<>{row['tap_path']}"), check=False).returncode == 0


def holder(host, row, uid):
    """A process of a user that has the tap open."""
    process = host.spawn(
        as_user(uid, "sh", "-c", f"exec 3<>{row['tap_path']}; echo open; read line"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "open\n"
    return process


def problems(host):
    return host.module(INFO)["attachments"][0]["problems"]


@pytest.fixture
def row(host):
    """An attachment of user OLD."""
    return host.attach(**WEB, device_owner=str(OLD), device_mode="0600")["attachments"][0]


@pytest.mark.parametrize("wish", [
    {"device_owner": str(NEW), "device_mode": "0600"},
    {"device_owner": str(NEW)},
    {"device_mode": "0600"},
    {"device_group": str(NEW), "device_mode": "0660"},
])  # fmt: skip
def test_an_acl_of_the_former_owner_lets_nobody_in(host, row, wish):
    let_in(host, row)
    assert can_open(host, row, MATE)
    assert any("has an ACL" in problem for problem in problems(host))
    result = host.converges(ATTACH, **WEB, **wish)
    assert ["with an ACL to" in action for action in result["actions"]] == [True]
    assert not can_open(host, row, MATE) and problems(host) == []
    assert can_open(host, row, int(wish.get("device_owner", OLD)))
    # the mask of the ACL is left to no group
    assert host.node(row["tap_path"])[2] == wish.get("device_mode", "0600")[1:]


def test_what_is_not_managed_keeps_its_acl(host, row):
    let_in(host, row)
    assert not host.attach(**WEB)["changed"]
    assert can_open(host, row, MATE)


def test_a_failed_run_gives_the_acl_back(host):
    wanted = [{"guest": guest, "device": "eth0"} for guest in ("a", "b")]
    rows = host.attach(attachments=wanted, device_owner=str(OLD), device_mode="0600")["attachments"]
    for row in rows:
        let_in(host, row)
    before = host.snapshot()
    for number in range(1, 30):
        try:
            host.module(ATTACH, attachments=wanted, device_owner=str(NEW), luck={"fail_at": [number, 28]})
        except ModuleFailed:
            assert host.snapshot() == before
            assert [can_open(host, row, MATE) for row in rows] == [True, True]
        else:
            break
    assert number > 4
    assert [can_open(host, row, MATE) for row in rows] == [False, False]


def test_a_default_acl_of_the_directory_lets_nobody_in(host):
    host.run(["mkdir", "-p", "/dev/mine"])
    let_in(host, None, 0, "system.posix_acl_default", "/dev/mine")
    for wish in ({}, {"device_mode": "0600"}, {"device_mode": "0640"}):
        row = host.attach(**WEB, device_dir="/dev/mine", **wish)["attachments"][0]
        host.run(["chmod", "g+rw", row["tap_path"]])
        assert not can_open(host, row, MATE)
        host.detach(guest="web", device_dir="/dev/mine")
    host.run(["rm", "-r", "/dev/mine"])


def test_a_process_of_the_former_owner_that_keeps_the_tap_is_named(host, row):
    process = holder(host, row, OLD)
    foretold = host.module(ATTACH, **WEB, check=True, device_owner=str(NEW))
    done = host.module(ATTACH, **WEB, device_owner=str(NEW))
    (warning,), (action,) = warnings(done), done["actions"]
    assert warnings(foretold) == [warning] and foretold["actions"] == [action]
    (told,) = host.module(INFO)["attachments"][0]["holders"]
    assert (told["command"], told["user"]) == ("sh", str(OLD))
    assert f"pid {told['pid']} (sh) of user {OLD}" in warning and f"of user {OLD} keeps open" in action
    assert any("do not admit it" in problem for problem in problems(host))
    process.communicate("\n")
    assert problems(host) == []


def test_a_guest_that_the_new_owner_runs_is_no_reason_to_warn(host, row):
    host.hold(row["tap_path"])
    host.run(["chown", str(NEW), row["tap_path"]])
    holder(host, row, NEW)
    host.run(["chown", str(OLD), row["tap_path"]])
    assert "warnings" not in host.attach(**WEB, device_owner=str(NEW))


def test_a_hidden_process_of_the_former_owner_is_told_too(host, row):
    holder(host, row, OLD)
    container = host.start_runner("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
    result = host.module(ATTACH, **WEB, runner=container, device_owner=str(NEW))
    (warning,) = warnings(result)
    assert "a process that /proc does not show here" in warning and "keeps the NIC" in warning
