# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A QEMU that a guest broke out of: started in its place, as the guest's user, it says what its ``-append`` names.

The first two connections, those of the start, get what QEMU says.
"""

import ctypes
import itertools
import json
import os
import re
import socket
import sys
import threading
import time

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'


def forever(piece, pause=0.0):
    def talk(connection):
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return talk


def answering(*answers):
    """Give these answers in turn, the last one again and again."""

    def talk(connection):
        connection.sendall(GREETING)
        for answer in itertools.chain([b'{"return": {}}\n'], answers, itertools.repeat(answers[-1])):
            if not connection.recv(65536):
                return
            connection.sendall(answer)

    return talk


def returning(*values):
    return answering(*(json.dumps({"return": value}).encode() + b"\n" for value in values))


BEHAVIOURS = {
    "events": forever(b'{"event": "RESUME"}\n' * 3000),
    "drip": forever(b'{"event": "RESUME"}\n', pause=0.05),
    "line": forever(b"x" * 65536),
    "deep": answering(b'{"return": ' + b"[" * 400000 + b"]" * 400000 + b"}\n"),
    "text": returning([{"name": "nic0"}], "\x1b[2J", 1500),
}
#: what it does beside: before it listens, and when it has started; then it says what QEMU without NICs says
DEAD_FILE, NO_LEADER = "dead file:", "no leader"
STARTED = threading.Event()


def main():
    asked = sys.argv[sys.argv.index("-append") + 1]
    if asked.startswith(DEAD_FILE):
        os.open(asked[len(DEAD_FILE) :], os.O_RDONLY)
    if asked == NO_LEADER:
        threading.Thread(target=serve, args=(asked,)).start()
        STARTED.wait()
        # the first thread alone, past everything that Python does at an exit
        ctypes.CDLL(None).pthread_exit(None)
    serve(asked)


def serve(asked):
    path = next(re.search("path=([^,]+),", word).group(1) for word in sys.argv if word.startswith("socket,"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    for count in itertools.count(1):
        connection, _address = listener.accept()
        behave = returning({}) if count <= 2 else BEHAVIOURS.get(asked, returning([]))
        try:
            behave(connection)
        except OSError:
            connection.close()
        if count == 2:
            STARTED.set()


if __name__ == "__main__":
    main()
