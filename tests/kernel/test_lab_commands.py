# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's command line: a lab around one command, and a lab that stays between two commands."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = Path(__file__).resolve().parent.parent / "lab"


def lab_command(*words):
    """Run the lab's command line with ``words``; return the CompletedProcess."""
    command = [sys.executable, str(COMMANDS), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def state(tmp_path):
    """A state directory whose lab, if there is one, is taken down at the end."""
    yield tmp_path / "lab"
    assert lab_command("down", "--state", tmp_path / "lab").returncode == 0


def description_of(state):
    return json.loads((state / "lab.json").read_text(encoding="utf-8"))


def hairpin_of_port(state):
    pid = description_of(state)["switch"]["pid"]
    command = ["nsenter", "--target", str(pid), "--net", "ip", "-json", "-details", "link", "show", "h0-eth0"]
    shown = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return shown[0]["linkinfo"]["info_slave_data"]["hairpin"]


def test_run_shows_the_lab_to_the_command_and_returns_its_status():
    done = lab_command("run", "--hypervisors", 2, "--", "sh", "-c", 'cat "$LAB_INVENTORY"; exit 3')
    assert done.returncode == 3
    assert sorted(json.loads(done.stdout)["hypervisors"]["hosts"]) == ["hypervisor0", "hypervisor1"]


def test_a_lab_stays_until_it_is_taken_down(state):
    started = lab_command("up", "--state", state, "--no-hairpin")
    assert started.stdout.strip() == str(state / "inventory.json")
    description = description_of(state)
    assert hairpin_of_port(state) is False
    lab_command("hairpin", "on", "--state", state)
    assert hairpin_of_port(state) is True
    assert lab_command("down", "--state", state).returncode == 0
    assert os.listdir(state) == []
    assert not os.path.exists(f"/proc/{description['switch']['pid']}")
    assert not os.path.exists(description["directory"])


def test_a_lab_ends_by_itself_when_its_lifetime_is_over(state):
    lab_command("up", "--state", state, "--lifetime", 0.5)
    try:
        owner = os.pidfd_open(json.loads((state / "lab-owner.json").read_text(encoding="utf-8"))["pid"])
    except ProcessLookupError:
        return  # over already
    assert select.select([owner], [], [], 10)[0]
    os.close(owner)


def test_up_replaces_the_lab_that_was_there(state):
    lab_command("up", "--state", state)
    first = description_of(state)["directory"]
    lab_command("up", "--state", state)
    assert description_of(state)["directory"] != first
    assert not os.path.exists(first)


def test_down_without_a_lab_is_no_error(state):
    assert lab_command("down", "--state", state).returncode == 0


def test_a_lab_that_cannot_be_built_says_why(state):
    failed = lab_command("up", "--state", state, "--uplinks", "a-very-long-name")
    assert failed.returncode == 1
    assert "a-very-long-name" in failed.stderr
