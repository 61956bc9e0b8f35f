# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inside a whole machine: requests of kernel/support/module_runner.py, one a connection, several at once."""

import json
import os
import socketserver
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kernel", "support"))

import module_runner  # noqa: E402

ADDRESS = ("0.0.0.0", 5000)


class Answer(socketserver.StreamRequestHandler):
    """One request and its answer, each a line of JSON."""

    def handle(self):
        line = self.rfile.readline()
        if line:
            self.wfile.write(json.dumps(module_runner.answer(json.loads(line))).encode() + b"\n")


class Server(socketserver.ForkingTCPServer):
    allow_reuse_address = True
    max_children = 100


if __name__ == "__main__":
    module_runner.preload()
    Server(ADDRESS, Answer).serve_forever()
