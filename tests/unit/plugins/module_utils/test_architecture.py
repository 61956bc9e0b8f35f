# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the design promises of the rooms in plugins/module_utils: who may import whom."""

from __future__ import annotations

import ast
import functools
import pathlib

import pytest

ROOMS = pathlib.Path(__file__).parents[4] / "plugins" / "module_utils"
PREFIX = "ansible_collections.linuxnet.macvtap.plugins.module_utils"
TOUCHES_A_HOST = {"ctypes", "fcntl", "os", "pathlib", "pyroute2", "select", "shutil", "socket", "subprocess", "time"}
NAMES = sorted(path.stem for path in ROOMS.glob("_*.py") if path.stem != "__init__")


@functools.cache
def room(name: str) -> ast.Module:
    return ast.parse((ROOMS / f"{name}.py").read_text(encoding="utf-8"))


@functools.cache
def imports(name: str) -> frozenset[str]:
    """Top-level modules, and names of rooms, that a room imports anywhere."""
    found = set()
    for node in ast.walk(room(name)):
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module == PREFIX):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return frozenset(item[len(PREFIX) + 1 :] if item.startswith(PREFIX) else item.split(".")[0] for item in found)


def is_pure(name: str) -> bool:
    return "PURE" in (ast.get_docstring(room(name)) or "")


@pytest.mark.parametrize("name", [name for name in NAMES if is_pure(name)])
def test_a_pure_room_imports_nothing_that_touches_a_host(name):
    assert not imports(name) & TOUCHES_A_HOST
    assert [other for other in imports(name) if other in NAMES and not is_pure(other) and other != "_errors"] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_room_imports_itself_by_way_of_others(name):
    reached, todo = set(), [name]
    while todo:
        for other in imports(todo.pop()):
            if other in NAMES and other not in reached:
                reached.add(other)
                todo.append(other)
    assert name not in reached


@pytest.mark.parametrize("name", [name for name in NAMES if name != "_rtnetlink"])
def test_only_the_netlink_room_knows_pyroute2(name):
    assert "pyroute2" not in imports(name)


def test_the_planner_is_pure():
    assert all(is_pure(name) for name in ("_model", "_host", "_identity", "_placement", "_resolve", "_plan", "_select"))
