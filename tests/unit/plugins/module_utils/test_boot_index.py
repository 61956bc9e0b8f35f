# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The indexes that the boot files promise are those that the boot gives."""

from __future__ import annotations

import os

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import files, index
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.test_boot_entry import entries, row, texts


def written(directory, *rows):
    """The batch files of these rows, and every other file of theirs."""
    for path, text in texts(entries(*rows)).items():
        (directory / os.path.basename(path)).write_text(text, encoding="utf-8", errors="surrogateescape")


def test_they_are_those_of_the_boot_whatever_the_guests_are_called(tmp_path):
    rows = [row("web"), row("web", 1, device="eth1"), row('a b=c "x%', ifname="odd0")]
    written(tmp_path, *rows)
    assert index.promised(str(tmp_path)) == {(each["guest"], each["nic"]): each["ifindex"] for each in rows}


def test_where_nothing_is_persisted_nothing_is_promised(tmp_path):
    assert index.promised(str(tmp_path / "nowhere")) == index.promised(str(tmp_path)) == {}


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / ("eth0" + files.CREATE)).mkdir()
    with pytest.raises(HostError, match=r"cannot read the boot files in .*: Is a directory"):
        index.promised(str(tmp_path))
