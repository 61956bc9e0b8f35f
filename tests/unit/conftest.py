# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let ``import ansible_collections.linuxnet.macvtap…`` find this checkout, wherever it lies.

Under ansible-test the path is right already and nothing is done.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pathlib
import sys
import tempfile

import pytest

# keep hypothesis from leaving a directory in the checkout
_cache = tempfile.TemporaryDirectory(prefix="hypothesis-")
atexit.register(_cache.cleanup)
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", _cache.name)

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def _importable() -> bool:
    try:
        return importlib.util.find_spec("ansible_collections.linuxnet.macvtap.plugins.module_utils") is not None
    except ImportError:
        return False


if not _importable():
    _root = tempfile.TemporaryDirectory(prefix="ansible_collections-")
    atexit.register(_root.cleanup)
    _namespace = pathlib.Path(_root.name, "ansible_collections", "linuxnet")
    _namespace.mkdir(parents=True)
    (_namespace / "macvtap").symlink_to(CHECKOUT, target_is_directory=True)
    sys.path.insert(0, _root.name)
    # a failed look-up is remembered otherwise
    for _name in [name for name in sys.modules if name.split(".")[0] == "ansible_collections"]:
        del sys.modules[_name]
    importlib.invalidate_caches()


@pytest.fixture(autouse=True)
def lock_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks lie in a directory of the test's own: these tests need no root and leave nothing on the machine."""
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import lock

    monkeypatch.setattr(lock, "DIRECTORY", str(tmp_path_factory.mktemp("run") / "linuxnet-macvtap"))
