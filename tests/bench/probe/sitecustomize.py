# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Python imports this at start when its directory is on PYTHONPATH: each module process tells at its end what it spent.

One line of JSON goes to a file of its own in the directory BENCH_PROBE: processor seconds before the first statement,
in imports, and in all.
"""

import atexit
import builtins
import json
import os
import time

_real_import = builtins.__import__
_spent = {"start": time.process_time(), "imports": 0.0}
_inside = []


def _timed_import(*arguments, **options):
    if _inside:
        return _real_import(*arguments, **options)
    _inside.append(True)
    started = time.process_time()
    try:
        return _real_import(*arguments, **options)
    finally:
        _inside.pop()
        _spent["imports"] += time.process_time() - started


def _tell():
    times = os.times()
    _spent.update(cpu=time.process_time(), user=times.user, system=times.system)
    with open(os.path.join(os.environ["BENCH_PROBE"], f"{os.getpid()}-{time.monotonic_ns()}"), "w") as file:
        json.dump(_spent, file)


if "BENCH_PROBE" in os.environ:
    builtins.__import__ = _timed_import
    atexit.register(_tell)
