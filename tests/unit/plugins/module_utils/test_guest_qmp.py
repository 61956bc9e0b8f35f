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
import tracemalloc

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest import control as converge
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest import qmp as qmp_room
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qmp import Qmp, QmpError, QmpSilent

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


def dial(path, timeout=10, **options):
    """A Qmp on the socket at ``path``, whoever listens."""
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(path)
    return Qmp(connected, path, timeout, **options)


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
    with dial(path) as qmp:
        assert qmp.execute("query-status", {"a": 1}) == {"status": "running"}
    assert [request for request, _fds in serve.requests] == [
        {"execute": "qmp_capabilities"},
        {"execute": "query-status", "arguments": {"a": 1}},
    ]


def test_events_between_command_and_answer_are_kept(serve):
    path = serve([GREETING], [{"return": {}}], [EVENT, {"return": {}}])
    with dial(path) as qmp:
        qmp.execute("device_del", {"id": "nic1"})
        assert qmp.wait_deleted("nic1", 0)
        assert not qmp.wait_deleted("nic2", 0)


def test_an_event_that_comes_later_is_waited_for(serve):
    path = serve([GREETING], [{"return": {}}], [{"return": {}}, {"event": "RESUME"}, EVENT])
    with dial(path) as qmp:
        qmp.execute("device_del", {"id": "nic1"})
        assert qmp.wait_deleted("nic1", 10)


def test_descriptors_travel_with_the_command(serve):
    path = serve([GREETING], [{"return": {}}], [{"return": {}}])
    with dial(path) as qmp, open(os.devnull, "rb") as file:
        qmp.execute("getfd", {"fdname": "net0-0"}, [file.fileno()])
        ((received,),) = [fds for _request, fds in serve.requests if fds]
        assert os.path.samestat(os.fstat(received), os.fstat(file.fileno()))
        os.close(received)


def test_qemus_refusal_is_repeated_in_its_own_words(serve):
    refusal = {"error": {"class": "DeviceNotFound", "desc": "Device 'nic1' not found"}}
    path = serve([GREETING], [{"return": {}}], [refusal])
    with dial(path) as qmp, pytest.raises(QmpError, match="QEMU refuses device_del: Device 'nic1' not found") as caught:
        qmp.execute("device_del", {"id": "nic1"})
    assert caught.value.kind == "DeviceNotFound"


def test_a_server_that_says_nothing_is_named(serve):
    with pytest.raises(QmpSilent, match="another QMP client holds the socket, or QEMU hangs"):
        dial(serve([]), timeout=0.1)


def test_what_is_not_qemu_is_named(serve):
    with pytest.raises(QmpSilent, match="is not QEMU"):
        dial(serve([b"SSH-2.0-OpenSSH\n"]))


# -- a peer that is no QEMU, or no longer ------------------------------------------------------------------------------

DEEP = b'{"return": ' + b"[" * 400000 + b"]" * 400000 + b"}\n"
DIGITS = b'{"return": ' + b"7" * 5000 + b"}\n"
#: what is sent again and again, after the greeting
ENDLESS = {
    "events": b'{"event": "RESUME"}\n' * 3000,
    "deletions": b'{"event": "DEVICE_DELETED", "data": {"device": "%s"}}\n' % (b"x" * 200) * 300,
    "odd events": b'{"event": "DEVICE_DELETED", "data": 5}\n{"event": {}, "data": {"device": []}}\n' * 1000,
    "a line": b"x" * 65536,
    "blank lines": b"\n" * 65536,
}


@pytest.fixture
def endless():
    """A Qmp whose peer greets, takes the first command, and then sends the same for ever."""
    ours, theirs = socket.socketpair()

    def talk(piece):
        with theirs, contextlib.suppress(OSError):
            theirs.sendall(json.dumps(GREETING).encode() + b"\n")
            theirs.recv(65536)
            theirs.sendall(b'{"return": {}}\n')
            while True:
                theirs.sendall(piece)

    threads = []

    def start(piece):
        thread = threading.Thread(target=talk, args=(piece,), daemon=True)
        thread.start()
        threads.append(thread)
        return Qmp(ours, "/run/qmp.sock")

    yield start
    ours.close()
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize("piece", ENDLESS.values(), ids=list(ENDLESS))
def test_a_peer_without_an_end_is_hung_up_on_and_fills_no_memory(endless, monkeypatch, piece):
    # beyond every deadline: the bytes have to end it
    for seconds in ("ANSWER_SECONDS", "CONNECTION_SECONDS"):
        monkeypatch.setattr(qmp_room, seconds, 1e6)
    # as much as is read at once takes memory, and no more the more comes
    monkeypatch.setattr(qmp_room, "_MOST_BYTES", 1 << 18)
    with endless(piece) as qmp:
        tracemalloc.start()
        with pytest.raises(QmpSilent, match="is not QEMU"):
            qmp.execute("query-status")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 16 << 20


def test_a_peer_that_talks_on_and_on_has_no_longer_than_one_that_is_silent(endless, monkeypatch):
    monkeypatch.setattr(qmp_room, "_MOST_BYTES", 1 << 60)
    with endless(ENDLESS["events"]) as qmp:
        monkeypatch.setattr(qmp_room, "ANSWER_SECONDS", 0.2)
        with pytest.raises(QmpSilent, match="does not answer"):
            qmp.execute("query-status")


def test_many_slow_answers_have_one_deadline_together(serve):
    with pytest.raises(QmpSilent, match="does not answer"):
        dial(serve([GREETING], [{"return": {}}]), timeout=10, patience=-10)


@pytest.mark.parametrize(
    "answer",
    [b"[]\n", b"5\n", b"null\n", b'"return"\n', b"\xff\xfe\xfd\n", b"\n", b"{\n", DEEP, DIGITS, b'{"return": NaN'],
)
def test_what_no_qemu_answers_is_an_error_of_ours(serve, answer):
    path = serve([GREETING], [{"return": {}}], [answer, b"\n"])
    with dial(path) as qmp, pytest.raises(QmpSilent, match="is not QEMU"):
        qmp.execute("query-status")


@pytest.mark.parametrize(
    "error", [5, None, [], {"desc": 7, "class": []}, {"desc": "\ud800\x1b[2J"}, {"desc": "x" * 9000}]
)
def test_a_refusal_of_any_shape_is_one_short_line(serve, error):
    path = serve([GREETING], [{"return": {}}], [{"error": error}])
    with dial(path) as qmp, pytest.raises(QmpError, match="QEMU refuses query-status: ") as caught:
        qmp.execute("query-status")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1100
    assert isinstance(caught.value.kind, str)


NIC = [{"name": "nic0", "type": "child<virtio-net-pci>"}]
VIRTIO, MAC = "virtio-net-pci", "02:00:00:00:00:01"


@pytest.mark.parametrize("values", [
    *([value] for value in (None, 5, "nic0", {"name": "nic0"}, ["nic0"], [{}], [{"name": 5}])),
    *([NIC, model] for model in (5, None, [])),
    *([NIC, VIRTIO, mac] for mac in (5, None)),
    *([NIC, VIRTIO, mac, 1500] for mac in ("\x1b[2J", MAC + "\n", "x" * 100000)),
    *([NIC, VIRTIO, MAC, mtu] for mtu in ("1500", True, None, 1e999, -1, 10**19, [])),
    *([NIC, VIRTIO, MAC, 1500, filters] for filters in (None, {}, "x", [5], [{}], [{"name": 5}])),
    *([NIC, VIRTIO, MAC, 1500, [{"name": "nic0", "main-mac": MAC, **more}]] for more in (
        {"main-mac": None}, {"main-mac": "x" * 100000}, {"unicast-table": "x"}, {"unicast-table": ["\x1b[2J"]},
        {"multicast-table": [5]}, {"vlan-table": ["x"]}, {"vlan-table": None}, {"vlan-table": [True]},
    )),
])  # fmt: skip
def test_nics_of_any_other_type_than_qemus_are_an_error_of_ours(serve, values):
    path = serve([GREETING], [{"return": {}}], *([{"return": value}] for value in values))
    with dial(path) as qmp, pytest.raises(HostError, match="which it never does") as caught:
        converge._live_nics(qmp)
    assert len(str(caught.value)) < 200
