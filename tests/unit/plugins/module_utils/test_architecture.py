# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the design promises of plugins/module_utils: which package may import which, and what is documented."""

from __future__ import annotations

import ast
import functools
import pathlib

import pytest

PLUGINS = pathlib.Path(__file__).parents[4] / "plugins"
ROOT = PLUGINS / "module_utils"
PREFIX = "ansible_collections.linuxnet.macvtap.plugins.module_utils."
#: package → packages that it may import; a package stands one floor above the highest of them
ALLOWED = {
    "_core": set(),
    "_traffic": {"_core"},
    "_link": {"_core", "_traffic"},
    "_system": {"_core", "_traffic", "_link"},
    "_libvirt": {"_core", "_traffic", "_link", "_system"},
    "_boot": {"_core", "_traffic", "_link", "_system"},
    "_guest": {"_core", "_traffic", "_link", "_system"},
    "_task": {"_core", "_traffic", "_link", "_system", "_libvirt", "_boot", "_guest"},
}
TOUCHES_A_HOST = {"ctypes", "fcntl", "os", "pathlib", "pyroute2", "select", "shutil", "socket", "subprocess", "time"}
ROOMS = sorted(f"{path.parent.name}.{path.stem}" for path in ROOT.rglob("*.py"))
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))


def tree(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def room(name: str) -> ast.Module:
    return tree(ROOT.joinpath(*name.split(".")).with_suffix(".py"))


def imported(source: ast.Module, package: str) -> frozenset[str]:
    """Rooms (as package.room) and top-level modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level == 1:
                base = f"{package}.{base}".rstrip(".")
            elif not node.level and not base.startswith(PREFIX):
                found.add(base.split(".")[0])
                continue
            base = base.removeprefix(PREFIX)
            found.update([base] if "." in base else [f"{base}.{alias.name}" for alias in node.names])
    return frozenset(found)


@functools.cache
def imports(name: str) -> frozenset[str]:
    return imported(room(name), name.split(".", maxsplit=1)[0])


def reached(names: frozenset[str]) -> set[str]:
    """Rooms that come along when these are imported."""
    found, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name in ROOMS and name not in found:
            found.add(name)
            todo += imports(name)
    return found


def is_pure(name: str) -> bool:
    return "PURE" in (ast.get_docstring(room(name)) or "")


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_rooms_of_its_own_package_and_of_those_below(name):
    package = name.split(".")[0]
    others = {other.split(".")[0] for other in imports(name) if "." in other} - {package}
    assert others <= ALLOWED[package]


@pytest.mark.parametrize("name", ROOMS)
def test_what_a_room_imports_is_there_and_not_itself(name):
    assert {other for other in imports(name) if "." in other} <= set(ROOMS)
    assert name not in reached(imports(name))


@pytest.mark.parametrize("name", [name for name in ROOMS if is_pure(name)])
def test_a_pure_room_imports_nothing_that_touches_a_host(name):
    assert not imports(name) & TOUCHES_A_HOST
    assert [other for other in imports(name) if other in ROOMS and not is_pure(other) and other != "_core.errors"] == []


def test_what_decides_about_links_is_pure():
    assert [name for name in ROOMS if name.startswith("_link.") and not is_pure(name)] == []


@pytest.mark.parametrize("name", [name for name in ROOMS if name != "_system.rtnetlink"])
def test_only_the_netlink_room_knows_pyroute2(name):
    assert "pyroute2" not in imports(name)


def test_what_lists_brings_nothing_that_starts_ends_or_changes():
    """Not even the guests that macvtap_info asks."""
    effects = {f"_guest.{name}" for name in ("control", "files", "process", "spawn", "supervisor")} | {"_task.apply"}
    assert effects <= set(ROOMS)
    assert reached(frozenset({"_task.info"})) & effects == set()


@pytest.mark.parametrize("module", MODULES)
def test_modules_import_tasks_and_definitions_only(module):
    rooms = {
        name
        for name in imported(tree(PLUGINS / "modules" / f"{module}.py"), "")
        if name.startswith("_") and "." in name
    }
    assert rooms and rooms <= set(ROOMS)


def documented(source: ast.Module) -> list[str]:
    """Public functions and methods without a docstring; what a property or ``__dunder__`` says, its name says."""
    return [
        node.name
        for node in ast.walk(source)
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and not node.decorator_list
        and ast.get_docstring(node) is None
    ]


@pytest.mark.parametrize("name", ROOMS)
def test_a_public_function_has_a_docstring(name):
    inner = {
        part.name
        for node in ast.walk(room(name))
        if isinstance(node, ast.FunctionDef)
        for part in ast.walk(node)
        if isinstance(part, ast.FunctionDef) and part is not node
    }
    assert set(documented(room(name))) - inner == set()
