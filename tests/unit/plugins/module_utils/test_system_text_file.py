# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small files: written whole or not at all, whatever somebody has put in their way."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import text_file

PLANTED = {
    "symbolic link": lambda path, victim: os.symlink(victim, path),
    "dangling link": lambda path, victim: os.symlink("/nowhere/x", path),
    "hard link": lambda path, victim: os.link(victim, path),
    "FIFO": lambda path, victim: os.mkfifo(path),
    "what a killed run left": lambda path, victim: path.write_text("hal"),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_what_lies_at_the_temporary_name_is_not_written_to(tmp_path, plant):
    victim, file = tmp_path / "victim", tmp_path / "n.xml"
    victim.write_text("stays")
    victim.chmod(0o604)
    plant(tmp_path / ".n.new", victim)
    text_file.replace(str(file), None, "new", "definition")
    assert file.read_text() == "new" and stat.S_IMODE(file.stat().st_mode) == 0o644 and file.stat().st_nlink == 1
    assert victim.read_text() == "stays" and stat.S_IMODE(victim.stat().st_mode) == 0o604
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["n.xml", "victim"]


def test_a_symbolic_link_stays_one_and_its_file_is_replaced(tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    (there / "real.conf").write_text("old")
    (there / "real.conf").chmod(0o640)
    link = tmp_path / "dhcpcd.conf"
    link.symlink_to("there/real.conf")
    text_file.replace(str(link), "old", "new", "boot file")
    assert link.is_symlink() and link.read_text() == "new"
    assert stat.S_IMODE((there / "real.conf").stat().st_mode) == 0o640
    assert [entry.name for entry in there.iterdir()] == ["real.conf"]
    text_file.replace(str(link), "new", None, "boot file")
    assert not link.is_symlink() and (there / "real.conf").read_text() == "new"


def test_a_directory_there_is_a_sentence(tmp_path):
    (tmp_path / ".n.new").mkdir()
    with pytest.raises(HostError, match="cannot write definition"):
        text_file.replace(str(tmp_path / "n.xml"), None, "new", "definition")
    assert not (tmp_path / "n.xml").exists()


@pytest.mark.parametrize("plant", [PLANTED["FIFO"], lambda path, victim: os.mkdir(path)], ids=["FIFO", "directory"])
def test_what_is_no_file_is_neither_read_nor_waited_for(tmp_path, plant):
    path = tmp_path / "n.xml"
    plant(path, None)
    with pytest.raises(HostError):
        text_file.read(str(path), "definition")
    with pytest.raises(HostError):
        text_file.replace(str(path), None, "new", "definition")
    assert not path.is_file()


def test_a_change_of_somebody_else_is_seen(tmp_path):
    path = tmp_path / "n.xml"
    path.write_text("theirs")
    with pytest.raises(HostError, match="changed by another program"):
        text_file.replace(str(path), "old", "new", "definition")
    assert path.read_text() == "theirs"
