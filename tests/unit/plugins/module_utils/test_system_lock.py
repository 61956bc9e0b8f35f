# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks between runs: whose the files are, who is named when one is kept."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import lock

KEEPER = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def mode_of(path: str) -> int:
    return os.stat(path).st_mode & 0o7777


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_directory_and_file_are_for_their_owner_alone_whatever_the_umask(umask: int) -> None:
    before = os.umask(umask)
    try:
        with lock.hold("net-1"):
            assert mode_of(lock.DIRECTORY) == 0o700
            assert mode_of(lock.DIRECTORY + "/net-1") == 0o600
    finally:
        os.umask(before)


def test_it_is_free_again_after_use() -> None:
    for _time in range(2):
        with lock.hold("files"):
            pass


def test_two_names_are_two_locks() -> None:
    with lock.hold("files"), lock.namespace_lock():
        pass


def test_who_keeps_it_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with lock.hold("files"):
        pass
    monkeypatch.setattr(lock, "_PATIENCE", 0.05)
    command = [sys.executable, "-c", KEEPER, lock.DIRECTORY + "/files"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None and keeper.stdin is not None
        keeper.stdout.readline()
        with pytest.raises(HostError, match=r"pid %d \(python.*/files for " % keeper.pid), lock.hold("files"):
            raise AssertionError("held twice")
        keeper.stdin.close()


def test_a_directory_that_others_can_write_to_is_refused() -> None:
    os.mkdir(lock.DIRECTORY)
    os.chmod(lock.DIRECTORY, 0o777)
    with pytest.raises(Refused, match=r"other users can write to the lock .* mode 0777"), lock.hold("files"):
        raise AssertionError("held there")
    assert os.listdir(lock.DIRECTORY) == []


@pytest.mark.parametrize("planted", ["directory", "file"])
def test_a_symbolic_link_is_not_followed(planted: str, tmp_path: os.PathLike[str]) -> None:
    victim = os.path.join(tmp_path, "victim")
    if planted == "directory":
        os.mkdir(victim)
        os.symlink(victim, lock.DIRECTORY)
    else:
        os.mkdir(lock.DIRECTORY, 0o700)
        os.symlink(victim, lock.DIRECTORY + "/files")
    with pytest.raises(HostError, match="cannot open the lock"), lock.hold("files"):
        raise AssertionError("followed")
    assert not os.path.exists(os.path.join(victim, "files")) and not os.path.isfile(victim)
