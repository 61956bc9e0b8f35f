# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The QMP client, against a server that says what a test wants."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import threading

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._qmp import Qmp, QmpError, QmpSilent

GREETING = {"QMP": {"version": {}, "capabilities": []}}
EVENT = {"event": "DEVICE_DELETED", "data": {"device": "nic1"}}


@pytest.fixture
def serve(tmp_path):
    """Start a server that sends the lists of documents one by one, each but the first after a request."""
    threads = []

    def start(*answers):
        path = str(tmp_path / "qmp.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, answers, start.requests), daemon=True)
        thread.start()
        threads.append(thread)
        return path

    start.requests = []
    yield start
    for thread in threads:
        thread.join(10)


def _serve(listener, answers, requests):
    with listener, contextlib.suppress(OSError):
        connection, _address = listener.accept()
        with connection:
            for position, documents in enumerate(answers):
                if position:
                    text, rights, _flags, _address = connection.recvmsg(65536, socket.CMSG_SPACE(64))
                    descriptors = array.array("i")
                    for _level, _kind, data in rights:
                        descriptors.frombytes(data)
                    requests.append((json.loads(text), list(descriptors)))
                raw = b"".join(d if isinstance(d, bytes) else json.dumps(d).encode() + b"\r\n" for d in documents)
                connection.sendall(raw)
            connection.recv(1)


def test_it_negotiates_and_returns_the_answer(serve):
    path = serve([GREETING], [{"return": {}}], [{"return": {"status": "running"}}])
    with Qmp(path) as qmp:
        assert qmp.execute("query-status", {"a": 1}) == {"status": "running"}
        assert qmp.peer_pid() == os.getpid()
    assert [request for request, _fds in serve.requests] == [
        {"execute": "qmp_capabilities"},
        {"execute": "query-status", "arguments": {"a": 1}},
    ]


def test_events_between_command_and_answer_are_kept(serve):
    path = serve([GREETING], [{"return": {}}], [EVENT, {"return": {}}])
    with Qmp(path) as qmp:
        qmp.execute("device_del", {"id": "nic1"})
        assert qmp.wait_event("DEVICE_DELETED", lambda data: data["device"] == "nic1", 0)
        assert not qmp.wait_event("DEVICE_DELETED", lambda data: data["device"] == "nic2", 0)


def test_an_event_that_comes_later_is_waited_for(serve):
    path = serve([GREETING], [{"return": {}}], [{"return": {}}, {"event": "RESUME"}, EVENT])
    with Qmp(path) as qmp:
        qmp.execute("device_del", {"id": "nic1"})
        assert qmp.wait_event("DEVICE_DELETED", lambda data: data["device"] == "nic1", 10)


def test_descriptors_travel_with_the_command(serve):
    path = serve([GREETING], [{"return": {}}], [{"return": {}}])
    with Qmp(path) as qmp, open(os.devnull, "rb") as file:
        qmp.execute("getfd", {"fdname": "net0-0"}, [file.fileno()])
        ((received,),) = [fds for _request, fds in serve.requests if fds]
        assert os.path.samestat(os.fstat(received), os.fstat(file.fileno()))
        os.close(received)


def test_qemus_refusal_is_repeated_in_its_own_words(serve):
    refusal = {"error": {"class": "DeviceNotFound", "desc": "Device 'nic1' not found"}}
    path = serve([GREETING], [{"return": {}}], [refusal])
    with Qmp(path) as qmp, pytest.raises(QmpError, match="QEMU refuses device_del: Device 'nic1' not found") as caught:
        qmp.execute("device_del", {"id": "nic1"})
    assert caught.value.kind == "DeviceNotFound"


def test_a_server_that_says_nothing_is_named(serve):
    with pytest.raises(QmpSilent, match="another QMP client holds the socket, or QEMU hangs"):
        Qmp(serve([]), timeout=0.1)


def test_what_is_not_qemu_is_named(serve):
    with pytest.raises(QmpSilent, match="is not QEMU"):
        Qmp(serve([b"SSH-2.0-OpenSSH\n"]))


def test_nobody_there_is_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        Qmp(str(tmp_path / "none"))
