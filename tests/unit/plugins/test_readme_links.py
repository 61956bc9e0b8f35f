# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links that are read where the files beside them are not: README on Galaxy, "See also" in a terminal."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
BLOB = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["repository"] + "/blob/main/"
#: files as they are, for pictures
RAW = BLOB.replace("//github.com/", "//raw.githubusercontent.com/").replace("/blob/", "/")
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
PLUGINS = [path for kind in ("modules", "filter") for path in sorted((CHECKOUT / "plugins" / kind).glob("*.py"))]


def test_every_link_of_readme_works_on_galaxy():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 15
    assert [link for link in links if not link.startswith("https://")] == []


def test_every_link_to_a_file_of_the_repository_names_one():
    texts = [README, *(path.read_text(encoding="utf-8") for path in PLUGINS)]
    paths = [path for text in texts for path in re.findall(re.escape(BLOB) + r"([^)\s]+)", text)]
    paths += re.findall(re.escape(RAW) + r"([^)\s]+)", README)
    assert len(paths) > 15
    assert [path for path in paths if not (CHECKOUT / path).is_file()] == []


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_see_also_is_readable_in_a_terminal(path):
    """ansible-doc shows a reference to a label of the documentation site as it is written."""
    assert "  - ref:" not in path.read_text(encoding="utf-8")


def test_galaxy_yml_names_nothing_twice():
    ignored = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    assert sorted(set(ignored)) == sorted(ignored)
