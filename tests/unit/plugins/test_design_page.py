# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page on design names every file of every package in its table, and none in its picture that is not there."""

import pathlib
import re

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
PAGE = (CHECKOUT / "docs/docsite/rst/guide_design.rst").read_text(encoding="utf-8")
ROOMS = {f"{path.parent.name}/{path.stem}" for path in (CHECKOUT / "plugins/module_utils").glob("_*/*.py")}


def test_the_table_names_every_file_under_its_package():
    table = PAGE.split("The packages\n", 1)[1].split("\n\nThe pictures", 1)[0]
    rows = re.findall(r"\* - ``(_\w+)``\n     - (.*?)\n     - ", table, re.DOTALL)
    assert {f"{package}/{name}" for package, files in rows for name in re.findall(r":file:`(\w+)`", files)} == ROOMS


def test_the_picture_names_files_that_are_there():
    picture = PAGE.split(".. code-block:: text", 1)[1].split("\n\nThe plan", 1)[0]
    named = set(re.findall(r"_[a-z]+/[a-z_]+", picture))
    assert len(named) > 8 and named <= ROOMS
