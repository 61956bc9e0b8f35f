# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""A client of QMP, QEMU's control socket: one JSON document a line; answers come in order, events at any time."""

from __future__ import annotations

import array
import json
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from ansible_collections.linuxnet.macvtap.plugins.module_utils._errors import HostError

#: seconds that QEMU may take for a greeting or an answer; it answers at once unless it hangs
ANSWER_SECONDS = 10.0
_CHUNK = 65536


class QmpError(HostError):
    """QEMU refused a command; the text holds its own words.

    :arg kind: QEMU's class of the error, like ``DeviceNotFound``.
    """

    def __init__(self, message: str, kind: str = "GenericError") -> None:
        super().__init__(message)
        self.kind = kind


class QmpSilent(HostError):
    """QEMU did not answer in time, or went away."""


class Qmp:
    """A connection to one QEMU; a context manager.

    :arg path: of the socket.
    :arg timeout: seconds until the greeting must be there.
    :raises FileNotFoundError, ConnectionRefusedError: nobody listens there (yet).
    :raises QmpSilent: connected, but no greeting: another client holds the socket, or QEMU hangs.
    """

    def __init__(self, path: str, timeout: float = ANSWER_SECONDS) -> None:
        self._path = path
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
            self._receive("QMP", time.monotonic() + timeout)
            self.execute("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; QEMU goes on and waits for the next client."""
        self._socket.close()

    def peer_pid(self) -> int:
        """The process that listens at the other end, from the kernel: nobody can pretend."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])

    def execute(self, command: str, arguments: Mapping[str, Any] | None = None, fds: Sequence[int] = ()) -> Any:
        """Carry out a command.

        :arg fds: open descriptors to send along (for ``getfd``).
        :return: what QEMU returns.
        :raises QmpError: QEMU refuses.
        :raises QmpSilent: no answer.
        """
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = dict(arguments)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._socket.settimeout(ANSWER_SECONDS)
        try:
            self._socket.sendmsg([json.dumps(request).encode() + b"\n"], rights)
        except OSError as error:
            raise QmpSilent(f"QEMU went away before {command} ({error.strerror})", error.errno or 0) from error
        answer = self._receive(("return", "error"), time.monotonic() + ANSWER_SECONDS)
        if "error" in answer:
            said = answer["error"]
            raise QmpError(f"QEMU refuses {command}: {said.get('desc', said)}", said.get("class", "GenericError"))
        return answer["return"]

    def wait_event(self, name: str, match: Callable[[Mapping[str, Any]], bool], timeout: float) -> bool:
        """Wait for an event; those that came since the connection was made count as well.

        :arg match: looks at the event's data.
        :return: False when it did not come within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            for event in self._events[seen:]:
                if event["event"] == name and match(event.get("data", {})):
                    return True
            seen = len(self._events)
            try:
                self._events.append(self._receive("event", deadline))
            except QmpSilent:
                return False

    def _receive(self, keys: str | tuple[str, ...], deadline: float) -> dict[str, Any]:
        wanted = (keys,) if isinstance(keys, str) else keys
        while True:
            document = self._line(deadline)
            if any(key in document for key in wanted):
                return document
            if "event" in document:
                self._events.append(document)

    def _line(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                chunk = self._socket.recv(_CHUNK)
            except socket.timeout as error:
                raise QmpSilent(
                    f"QEMU does not answer at {self._path}: another QMP client holds the socket, or QEMU hangs"
                ) from error
            except OSError as error:
                raise QmpSilent(f"QEMU at {self._path} went away ({error.strerror})", error.errno or 0) from error
            if not chunk:
                raise QmpSilent(f"QEMU at {self._path} went away")
            self._buffer += chunk
        line, _newline, self._buffer = self._buffer.partition(b"\n")
        try:
            document = json.loads(line)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise QmpSilent(f"what answers at {self._path} is not QEMU")
        return document
