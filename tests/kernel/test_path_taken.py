# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No path of a guest moves without a word: an ordinary user, or another link, has the indexes that it begins with."""

import os

import pytest
from module_host import ATTACH, warnings
from persist_lab import PERSIST
from squatter import devtmpfs_host, squatter

#: nodes are in devtmpfs, which is one for all that runs on the machine
WEB = "web%d" % os.getpid()
NICS = [{"guest": WEB, "device": "eth0"}]
#: more than tell whose a link is that has lost its mark
MANY = 40


@pytest.fixture(scope="module")
def shared():
    with devtmpfs_host() as host:
        yield host


@pytest.fixture
def host(shared):
    yield shared
    shared.detach(guest=WEB)
    shared.module(PERSIST, state="absent", guest=[WEB])


@pytest.fixture
def row(host):
    """The attachment that the guest had, and that is gone."""
    row = host.attach(attachments=NICS)["attachments"][0]
    host.detach(guest=WEB)
    return row


def after(row, count):
    """The next candidates for the index of a NIC."""
    return [row["ifindex"] + number for number in range(count)]


def test_a_guest_of_the_next_boot_is_refused_another_path(host, row):
    host.module(PERSIST, attachments=[row])
    with squatter(host, *after(row, MANY)):
        sentence = host.refusal(ATTACH, attachments=NICS)
        number = host.node(row["tap_path"])[1]
        assert (
            f"gives it the path tap{row['ifindex']}, which is in use: {row['tap_path']} is device {number}" in sentence
        )
        assert "another network namespace" in sentence and "macvtap_persist with state=absent" in sentence
        (problem,) = host.module("macvtap_info")["boot_problems"]
        assert f"is taken: {row['tap_path']} is device {number}, the tap of a link in another" in problem
        # out of the boot files, nothing holds it to the path
        host.module(PERSIST, state="absent", guest=[WEB])
        moved = host.converges(ATTACH, attachments=NICS)
        assert moved["attachments"][0]["ifindex"] == row["ifindex"] + MANY
    assert host.attach(attachments=NICS)["changed"] is False


def test_a_guest_of_the_next_boot_keeps_the_path_that_it_once_had_to_move_to(host, row):
    with squatter(host, row["ifindex"]):
        moved = host.attach(attachments=NICS)["attachments"]
    host.module(PERSIST, attachments=moved)
    host.detach(guest=WEB)
    # the derived path is free again
    again = host.converges(ATTACH, attachments=NICS)
    assert again["tap_paths"] == [moved[0]["tap_path"]] and "warnings" not in again


def test_a_path_that_is_not_the_derived_one_is_warned_of(host, row):
    with squatter(host, *after(row, MANY)):
        for check in (True, False):
            result = host.attach(attachments=NICS, check=check)
            (warning,) = warnings(result)
            assert f"gets {result['tap_paths'][0]} and not {row['tap_path']}" in warning
            assert (
                f"is device {host.node(row['tap_path'])[1]}, the tap of a link in another network namespace" in warning
            )
        assert "warnings" not in host.attach(attachments=NICS)


def test_a_link_with_the_index_is_named(host, row):
    host.module(PERSIST, attachments=[row])
    host.ip(f"link add link eth1 name other index {row['ifindex']} type macvlan")
    try:
        sentence = host.refusal(ATTACH, attachments=NICS)
        assert "which is in use: other (macvlan, no owner tag) has the interface index" in sentence
        host.module(PERSIST, state="absent", guest=[WEB])
        (warning,) = warnings(host.attach(attachments=NICS))
        assert "other (macvlan, no owner tag) has the interface index" in warning
    finally:
        host.ip("link del other")


def test_no_new_guest_gets_the_path_of_one_of_the_next_boot(host, row):
    """Of a guest that is down: its entry is all that there is of it."""
    host.module(PERSIST, attachments=[{**row, "guest": "other"}])
    try:
        result = host.attach(attachments=NICS)
        assert result["attachments"][0]["ifindex"] == row["ifindex"] + 1
        assert "it is promised to another NIC" in warnings(result)[0]
    finally:
        host.module(PERSIST, state="absent", guest=["other"])


def test_without_stable_indexes_there_is_no_path_to_warn_of(host, row):
    with squatter(host, row["ifindex"]):
        assert "warnings" not in host.attach(attachments=NICS, stable_index=False)
