# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide to security names a test for each of its statements, and each of these tests is there."""

from __future__ import annotations

import ast
import functools
import pathlib
import re

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[2]
PAGE = TESTS.parent / "docs" / "docsite" / "rst" / "guide_security.rst"
TEXT = PAGE.read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"``([\w/]+\.py)::(\w+)``", TEXT)))
#: rows of the tables, without those of their heads
ROWS = [row for row in re.split(r"^   \* - ", TEXT, flags=re.MULTILINE)[1:] if "Shown by" not in row]


@functools.cache
def names_in(path: pathlib.Path) -> frozenset[str]:
    """Names of the test functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_test_that_the_page_names_is_there(file, name):
    assert name in names_in(TESTS / file)


def test_each_statement_names_a_test():
    assert len(ROWS) > 25
    for row in ROWS:
        statement, _dash, shown_by = row.partition("\n     - ")
        assert statement.strip() and re.match(r"``[\w/]+\.py::test_\w+``", shown_by), row


def test_nothing_that_was_measured_is_left_out():
    measured = names_in(TESTS / "kernel" / "test_security.py")
    assert measured - {name for file, name in NAMED if file == "kernel/test_security.py"} == set()


def test_no_name_of_a_test_is_written_in_another_way():
    assert len(re.findall(r"::test_", TEXT)) == len(re.findall(r"``[\w/]+\.py::test_\w+``", TEXT))
