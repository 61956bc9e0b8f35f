# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""A client of QMP, QEMU's control socket: one JSON document a line; answers come in order, events at any time.

The other end is not trusted: a guest that broke out of its QEMU speaks for it. Everything it sends is bounded (time,
bytes, size of a line, depth, digits) and has the type that is expected, or ends as :class:`QmpSilent`.
"""

from __future__ import annotations

import array
import json
import socket
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from .._core.errors import HostError
from .._core.names import shown

#: seconds that QEMU may take for a greeting or an answer; it answers at once unless it hangs
ANSWER_SECONDS = 10.0
#: seconds for all answers of one connection together, so that a peer cannot spend ANSWER_SECONDS on each of thousands
CONNECTION_SECONDS = 30.0
#: bytes; what we ask for takes a few thousand
_LONGEST_LINE = 1 << 20
_MOST_BYTES = 4 << 20
#: more digits take Python minutes to read, or are an error, depending on its version
_MOST_DIGITS = 20
#: devices that left the guest, kept until they are asked for
_MOST_DELETED = 1024
_LONGEST_ID = 256
_CHUNK = 65536


class QmpError(HostError):
    """QEMU refused a command; the text holds its own words.

    :arg kind: QEMU's class of the error, like ``DeviceNotFound``.
    """

    def __init__(self, message: str, kind: str = "GenericError") -> None:
        super().__init__(message)
        self.kind = kind


class QmpSilent(HostError):
    """QEMU did not answer in time, went away, or says what QEMU never says."""


class Qmp:
    """A connection to one QEMU; a context manager, which closes the socket.

    :arg connected: a stream to the QEMU, whose other end was checked.
    :arg path: of its socket, for messages.
    :arg timeout: seconds until the greeting must be there.
    :arg patience: seconds for all answers together.
    :raises QmpSilent: connected, but no greeting: another client holds the socket, or QEMU hangs.
    """

    def __init__(
        self, connected: socket.socket, path: str, timeout: float = ANSWER_SECONDS, patience: float = CONNECTION_SECONDS
    ) -> None:
        self._path = path
        self._socket = connected
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._bytes = 0
        self._deleted: deque[str] = deque(maxlen=_MOST_DELETED)
        self._end = time.monotonic() + timeout + patience
        try:
            self._receive(("QMP",), timeout)
            self.execute("qmp_capabilities")
        except BaseException:
            self.close()
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

    def execute(self, command: str, arguments: Mapping[str, Any] | None = None, fds: Sequence[int] = ()) -> Any:
        """Carry out a command.

        :arg fds: open descriptors to send along (for ``getfd``).
        :returns: what QEMU returns, of whatever type.
        :raises QmpError: QEMU refuses.
        :raises QmpSilent: no answer, or none of QEMU's.
        """
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = dict(arguments)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._socket.settimeout(max(min(ANSWER_SECONDS, self._end - time.monotonic()), 0.001))
        try:
            self._socket.sendmsg([json.dumps(request).encode() + b"\n"], rights)
        except OSError as exc:
            reason = exc.strerror or "it does not read"
            raise QmpSilent(f"QEMU went away before {command} ({reason})", exc.errno or 0) from exc
        answer = self._receive(("return", "error"), ANSWER_SECONDS)
        if "error" not in answer:
            return answer["return"]
        said = answer["error"]
        words, kind = (said.get("desc"), said.get("class")) if isinstance(said, dict) else (said, None)
        # its words reach a terminal
        printable = words if isinstance(words, str) and words.isprintable() else shown(words)
        raise QmpError(f"QEMU refuses {command}: {printable[:1000]}", kind if isinstance(kind, str) else "GenericError")

    def wait_deleted(self, device: str, timeout: float) -> bool:
        """Wait until a device has left the guest (``DEVICE_DELETED``), also if that was since the connection was made.

        :returns: False when it did not within ``timeout`` seconds.
        :raises QmpSilent: what answers is not QEMU.
        """
        # a guest may take minutes for it
        self._end += timeout
        deadline = time.monotonic() + timeout
        while device not in self._deleted:
            document = self._document(deadline)
            if document is None:
                return False
            self._keep(document)
        return True

    def _receive(self, keys: Sequence[str], seconds: float) -> dict[str, Any]:
        deadline = min(time.monotonic() + seconds, self._end)
        while True:
            document = self._document(deadline)
            if document is None:
                raise QmpSilent(
                    f"QEMU does not answer at {self._path}: another QMP client holds the socket, or QEMU hangs"
                )
            if any(key in document for key in keys):
                return document
            self._keep(document)

    def _keep(self, document: Mapping[str, Any]) -> None:
        data = document.get("data")
        device = data.get("device") if isinstance(data, dict) else None
        if document.get("event") == "DEVICE_DELETED" and isinstance(device, str) and len(device) <= _LONGEST_ID:
            self._deleted.append(device)

    def _document(self, deadline: float) -> dict[str, Any] | None:
        """The next document, None when there is none until ``deadline``."""
        while time.monotonic() < deadline:
            if self._lines:
                return self._parsed(self._lines.popleft())
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                chunk = self._socket.recv(_CHUNK)
            except socket.timeout:
                return None
            except OSError as exc:
                raise QmpSilent(f"QEMU at {self._path} went away ({exc.strerror})", exc.errno or 0) from exc
            if not chunk:
                raise QmpSilent(f"QEMU at {self._path} went away")
            self._bytes += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._lines.extend(lines)
            if self._bytes > _MOST_BYTES or len(self._rest) > _LONGEST_LINE:
                raise QmpSilent(
                    f"what answers at {self._path} is not QEMU: it sends more than QEMU ever does; stop the guest"
                )
        return None

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            document = json.loads(line, parse_int=_integer)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise QmpSilent(f"what answers at {self._path} is not QEMU; stop the guest")
        return document


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("too many digits")
    return int(digits)
