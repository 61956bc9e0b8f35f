# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page on design names every room once in its table, and none in its picture that is not there."""

import pathlib
import re

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
PAGE = (CHECKOUT / "docs/docsite/rst/guide_design.rst").read_text(encoding="utf-8")
ROOMS = sorted(path.stem for path in (CHECKOUT / "plugins/module_utils").glob("_*.py"))


def test_the_table_names_every_room_once():
    assert sorted(re.findall(r":file:`(_\w+)`", PAGE)) == ROOMS


def test_the_picture_names_rooms_that_are_there():
    picture = PAGE.split(".. code-block:: text", 1)[1].split("\n\nThe plan", 1)[0]
    named = set(re.findall(r"\b_[a-z_]+", picture))
    assert len(named) > 10 and named <= set(ROOMS)
