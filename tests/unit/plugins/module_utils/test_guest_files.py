# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who listens at a guest's socket, and the two scripts of its unit, which ask the same."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest import files, peer, process
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.paths import paths_of
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qmp import QmpSilent
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.scripts import POWER_DOWN


@pytest.fixture
def paths(tmp_path):
    found = paths_of("web", os.path.relpath(tmp_path), str(tmp_path))
    os.mkdir(found.directory)
    return found


@pytest.fixture
def heard(paths):
    """A process of ours listens; what it hears, once it hung up."""
    got = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(paths.socket)
    listener.listen(1)

    def serve():
        with contextlib.suppress(OSError):
            connection = listener.accept()[0]
            got.append(connection.recv(4096))
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def ended():
        # wakes it where nobody came
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as last:
            last.connect(paths.socket)
        thread.join(10)
        return b"".join(got)

    yield ended
    listener.close()


def myself():
    return process.look(os.getpid())


def test_the_guests_own_process_is_spoken_to(paths, heard):
    with pytest.raises(QmpSilent):
        files.connect(paths, myself(), 0.1)
    assert heard() == b""


@pytest.mark.parametrize("guest", [
    lambda: process.look(os.getppid()),
    # its number is another's by now
    lambda: myself()._replace(started=1),
])  # fmt: skip
def test_another_process_is_not_spoken_to(paths, heard, guest):
    with pytest.raises(peer.StrangerListens, match=rf"process {os.getpid()} \(.*\) listens at .*qmp.sock in place of"):
        files.connect(paths, guest(), 0.1)
    assert heard() == b""


@pytest.mark.parametrize(
    "plant", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/null", path), lambda path: open(path, "w").close()]
)
def test_what_is_no_socket_is_named(paths, plant):
    plant(paths.socket)
    with pytest.raises(peer.StrangerListens, match=r"qmp\.sock is not a socket"):
        files.connect(paths, myself(), 0.1)


def test_a_link_in_the_place_of_the_directory_is_not_followed(paths, heard):
    os.rename(paths.directory, paths.directory + "-moved")
    os.symlink("web-moved", paths.directory)
    with pytest.raises(peer.StrangerListens, match="is not a directory"):
        files.connect(paths, myself(), 0.1)
    os.remove(paths.directory)
    os.rename(paths.directory + "-moved", paths.directory)
    assert heard() == b""


def test_nobody_there_is_told_apart(paths):
    with pytest.raises(FileNotFoundError):
        files.connect(paths, myself(), 0.1)


def test_a_socket_with_too_many_clients_is_named(paths):
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(paths.socket)
        listener.listen(0)
        for _client in range(2):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(paths.socket)
        with pytest.raises(QmpSilent, match="too many clients"):
            files.connect(paths, myself(), 0.1)


def power_down(paths, pid):
    command = [sys.executable, "-Ic", POWER_DOWN, paths.socket, "10", *pid]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_unit_presses_the_button_of_its_own_qemu(paths, heard):
    assert power_down(paths, [str(os.getpid())]).returncode == 0
    assert b"system_powerdown" in heard()


def test_and_of_no_other(paths, heard):
    done = power_down(paths, [str(os.getppid())])
    assert "in place of QEMU" in done.stderr
    assert heard() == b""


def test_a_deep_tree_in_the_guests_directory_is_removed_or_named(paths, monkeypatch):
    # the owner of the directory is for root to change; these tests need no root
    monkeypatch.setattr(files.os, "fchown", lambda *_owner: None)
    descriptor = os.open(paths.directory, os.O_PATH)
    for _level in range(1500):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_PATH, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    try:
        files.clear(paths)
    except files.HostError as exc:
        assert "cannot remove" in str(exc)
        subprocess.run(["rm", "-rf", paths.directory], check=True)
    assert not os.path.exists(paths.directory)
