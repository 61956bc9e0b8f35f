# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo as a person runs it: in a terminal, in an odd place, with odd settings, without network, until it is ended.

However it ends, nothing is left: no process, mount, link and temporary file. The whole demo runs last, after those that
were ended.
"""

import sys

import pytest
from first_steps import HUP, KILL, TERM, Machine, is_one_sentence

#: settings of a user's that must not matter
HOSTILE = {
    "HOME": None,
    "LC_ALL": "de_DE",
    "LANG": "de_DE.ISO-8859-1",
    "TERM": "xterm-256color",
    "COLUMNS": "20",
    "CDPATH": "/usr",
    "PYTHONPATH": "/nowhere",
    "TMPDIR": "/tmp/a b",
    "ANSIBLE_CONFIG": "/nowhere",
    "ANSIBLE_STDOUT_CALLBACK": "minimal",
    "ANSIBLE_CALLBACKS_ENABLED": "nothing",
    "ANSIBLE_FORKS": "0",
    "ANSIBLE_CHECK_MODE_MARKERS": "maybe",
    "ANSIBLE_COLLECTIONS_PATH": "/nowhere",
    "ANSIBLE_REMOTE_TMP": "/nowhere",
}


#: setup has its own tests
ENVIRONMENT = {"VENV": sys.prefix, "TERM": "xterm-256color"}


@pytest.fixture(scope="module")
def machine():
    with Machine() as built:
        yield built


@pytest.fixture
def demo(machine):
    """The demo, begun in a terminal."""
    return machine.terminal("make demo", environment=ENVIRONMENT)


@pytest.mark.parametrize("moment", ["Build the lab", "TASK [", "Pass a frame"])
def test_interrupted_it_says_one_sentence_and_leaves_nothing(machine, demo, moment):
    demo.until(moment)
    shown = len(demo.output)
    demo.press_interrupt()
    status, output = demo.rest()
    said = output[shown:].rpartition("^C")[2]
    assert status and is_one_sentence(said, "demo: interrupted"), output
    machine.is_clean()


@pytest.mark.parametrize(
    ("victim", "number"),
    # make hands no other signal on to what it runs
    [
        ("^make demo", KILL),
        ("^make demo", TERM),
        ("tools/demo.sh", KILL),
        ("tools/demo.sh", TERM),
        ("tools/demo.sh", HUP),
    ],
)
def test_when_one_of_its_processes_is_ended_all_end(machine, demo, victim, number):
    demo.until("TASK [")
    assert machine.signal(number, victim)
    machine.is_clean()
    status, output = demo.rest()
    assert status and "Traceback" not in output, output


@pytest.mark.parametrize(
    "victim", ["unshare --mount", "lab/sealed.py", "tools/demo.py$", "ansible playbook", "holder.py"]
)
def test_when_an_inner_process_is_killed_all_end(machine, demo, victim):
    demo.until("TASK [")
    assert machine.signal(KILL, victim)
    status, output = demo.rest()
    assert status and "Traceback" not in output, output
    machine.is_clean()


def test_when_its_terminal_is_closed_all_end(machine, demo):
    demo.until("== Guest web pings guest database")
    demo.close()
    machine.is_clean()


def test_a_reader_that_goes_away_ends_it(machine):
    status, output = machine.run("make demo | head -n 2", environment=ENVIRONMENT)
    assert "Build the lab" in output and "nobody reads what it shows" in output and "Traceback" not in output
    assert status == 0  # head's
    machine.is_clean()


def test_output_that_cannot_be_written_is_one_sentence(machine):
    status, output = machine.run("make demo >/dev/full", environment=ENVIRONMENT)
    assert status and is_one_sentence(output, "No space left")
    machine.is_clean()


def test_it_runs_in_a_terminal_in_an_odd_place_with_odd_settings(machine):
    environment = {**HOSTILE, **ENVIRONMENT}
    machine.root('mount -o remount,bind,ro "$PWD"')
    try:
        status, output = machine.terminal("sh -c 'umask 077; exec make demo'", environment=environment).rest()
    finally:
        machine.root('mount -o remount,bind,rw "$PWD"')
    assert status == 0 and "demo: all as expected" in output, output
    assert "\x1b[1m== " in output and "\x1b[0;33mchanged=2" in output, "no colors in a terminal"
    machine.is_clean()
