# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The points at which a module meets the host: counted, told, and one of them made to fail. Used by module_runner.py.

A point is one message to the kernel (``create``, ``change``, ``delete``, ``dump``), one read of its answers (``recv``),
or one call of a file function by this collection's code (its name, such as ``mknod``). What Ansible and Python do on
their own does not count. A request for a module may have

    "record": true                  the answer has ``points``: [[kind, detail], …]
    "fault": {"at": 7, …}           the 7th point (from 1) fails, see :class:`Fault`
    "pause_at": 7                   the process stops itself right before the 7th point (SIGSTOP)
"""

import builtins
import errno
import fcntl
import os
import signal
import socket
import struct
import sys
import types

PLUGINS = "ansible_collections.linuxnet.macvtap.plugins."
FILE_FUNCTIONS = {
    os: "open read write fsync unlink mknod rename link makedirs rmdir chown chmod fchmod"
    " listdir readlink lstat stat fstat",
    fcntl: "flock",
    builtins: "open",
}
DIRECTORY_CHANGES = ("unlink", "mknod", "rename", "link", "makedirs", "rmdir")
FILE_METHODS = ("read", "write", "flush")

# linux/netlink.h, linux/rtnetlink.h
_HEADER = struct.Struct("=IHHII")
_NOOP, _ERROR = 1, 2
_REQUEST, _ACK, _CREATE = 0x1, 0x4, 0x400
_MESSAGES = {17: "delete", 18: "dump"}


class Fault:
    """What is to go wrong.

    Keys of ``asked``: ``at``, number of the point; ``error``, an errno, or "garbage" or "empty" for what a read gives;
    ``after``, true when a message fails although the kernel carried it out (one of several attributes may: do_setlink
    is not atomic); ``sticky``, true when all later points of the same kind fail as well; what
    changes directories is of one kind.
    """

    def __init__(self, asked):
        self.at = asked["at"]
        self.error = asked["error"]
        self.after = asked.get("after", False)
        self.sticky = asked.get("sticky", False)
        self.family = None

    def strikes(self, number, kind):
        family = DIRECTORY_CHANGES if kind in DIRECTORY_CHANGES else (kind,)
        if number == self.at:
            self.family = family
        return number == self.at or (self.sticky and family == self.family)


class Points:
    """Counts the points of this process from :meth:`install` on."""

    def __init__(self, request):
        self.told = [] if request.get("record") else None
        self._fault = Fault(request["fault"]) if "fault" in request else None
        self._pause_at = request.get("pause_at")
        self._number = 0
        #: sequence number of a message → the errno that the answer to it shall have
        self._refused = {}

    def install(self):
        """Watch this process from now on; it is thrown away afterwards, so nothing is put back."""
        for module, names in FILE_FUNCTIONS.items():
            for name in names.split():
                setattr(module, name, self._watched(name, getattr(module, name)))
        socket.socket.send = self._watched_send(socket.socket.send)
        socket.socket.recv = self._watched_recv(socket.socket.recv)
        rtnetlink = sys.modules[PLUGINS + "module_utils._system.rtnetlink"]
        rtnetlink.import_pyroute2 = self._watched_pyroute2(rtnetlink.import_pyroute2)

    def reach(self, kind, detail):
        """Count a point; return the Fault when it is to fail."""
        self._number += 1
        if self.told is not None:
            self.told.append([kind, detail])
        if self._number == self._pause_at:
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._fault is not None and self._fault.strikes(self._number, kind):
            return self._fault
        return None

    # -- files -----------------------------------------------------------------------------------------------------

    def _watched(self, name, function):
        def call(*arguments, **options):
            if not is_ours(sys._getframe(1)):
                return function(*arguments, **options)
            path = path_of(arguments[0])
            fault = self.reach(name, path)
            if fault is not None:
                if not isinstance(fault.error, str):
                    raise OSError(fault.error, os.strerror(fault.error), arguments[0])
                function(*arguments, **options)
                return spoilt(fault.error, name)
            result = function(*arguments, **options)
            return WatchedFile(self, result, path) if function is OPEN else result

        return call

    # -- netlink ---------------------------------------------------------------------------------------------------

    def _watched_send(self, send):
        def call(sock, data, *flags):
            if not is_ours(sys._getframe(1)):
                return send(sock, data, *flags)
            sent = bytearray(data)
            for start, length, kind, message_flags, sequence in messages(data):
                what = _MESSAGES.get(kind) or ("create" if message_flags & _CREATE else "change")
                (index,) = struct.unpack_from("=i", data, start + 20)
                fault = self.reach(what, f"ifindex {index}")
                if fault is not None:
                    self._refused[sequence] = fault.error
                    if not fault.after:
                        # the kernel acknowledges it and does nothing
                        _HEADER.pack_into(sent, start, length, _NOOP, _REQUEST | _ACK, sequence, 0)
            return send(sock, bytes(sent), *flags)

        return call

    def _watched_recv(self, recv):
        def call(sock, size, *flags):
            if not is_ours(sys._getframe(1)):
                return recv(sock, size, *flags)
            fault = self.reach("recv", "netlink")
            data = bytearray(recv(sock, size, *flags))
            if fault is not None:
                raise OSError(fault.error, os.strerror(fault.error))
            for start, _length, kind, _message_flags, sequence in messages(data):
                if kind == _ERROR and sequence in self._refused:
                    struct.pack_into("=i", data, start + 16, -self._refused[sequence])
            return bytes(data)

        return call

    def _watched_pyroute2(self, import_it):
        """Only lower devices are set up through it, and statistics read: its calls are points, not its messages."""

        def call(purpose):
            pyroute2 = import_it(purpose)
            names = {"IPRoute": lambda: WatchedRoute(self, pyroute2), "NetlinkError": pyroute2.NetlinkError}
            return types.SimpleNamespace(**names)

        return call


class WatchedRoute:
    """pyroute2's client whose requests are points."""

    def __init__(self, points, pyroute2):
        self._points, self._error = points, pyroute2.NetlinkError
        self._route = pyroute2.IPRoute()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._route.close()

    def link(self, command, **options):
        self._reach("change", f"lower device {options['index']}")
        return self._route.link(command, **options)

    def get_links(self):
        self._reach("dump", "statistics")
        return self._route.get_links()

    def _reach(self, kind, detail):
        fault = self._points.reach(kind, detail)
        if fault is not None:
            raise self._error(fault.error, os.strerror(fault.error))


class WatchedFile:
    """A file object whose reading and writing are points."""

    def __init__(self, points, file, path):
        self._points, self._file, self._path = points, file, path

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *exception):
        return self._file.__exit__(*exception)

    def __iter__(self):
        return iter(self._file)

    def __getattr__(self, name):
        method = getattr(self._file, name)
        if name not in FILE_METHODS:
            return method

        def call(*arguments):
            fault = self._points.reach(name, self._path)
            if fault is None:
                return method(*arguments)
            if isinstance(fault.error, str):
                # whoever reads a file may have said what becomes of bytes that are no text
                return spoilt(fault.error, name).decode(errors=self._file.errors)
            raise OSError(fault.error, os.strerror(fault.error))

        return call


OPEN, READLINK = builtins.open, os.readlink


def is_ours(frame):
    return frame.f_globals.get("__name__", "").startswith(PLUGINS)


def path_of(target):
    """The path that a call is about, where it was given a descriptor as well."""
    if not isinstance(target, int):
        return os.fsdecode(target)
    try:
        return READLINK(f"/proc/self/fd/{target}")
    except OSError as exc:
        return errno.errorcode[exc.errno]


def spoilt(how, name):
    """What a read gives that went wrong without an error."""
    text = {"garbage": b"\x01garbage:\xc3\x28\n", "empty": b""}[how]
    return text.decode("latin-1") if name == "readlink" else text


def messages(data):
    """(start, length, type, flags, sequence) of each netlink message in a datagram."""
    start = 0
    while start + 16 <= len(data):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, start)
        if length < 16:
            return
        yield start, length, kind, flags, sequence
        start += (length + 3) & ~3
