# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies at a tap's path is swapped for something else between check and use, again and again: it never matters.

A process swaps the node with a decoy as fast as it can while modules run. Whatever the decoy is or points to keeps its
owner, mode and content, nothing is opened, and each run either does its work or says what was in the way.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from module_host import ModuleFailed

SWAPPER = pathlib.Path(__file__).with_name("support") / "path_swapper.py"
EVERY_CALL = SWAPPER.with_name("swap_at_every_call.py")
#: seconds for each decoy; the torture gives more
SECONDS = 60 * float(os.environ.get("TORTURE_MINUTES", "0")) / 40 or 0.8
#: and until both a run that worked and one that was refused were seen, at most so long
PATIENCE = 60

WEB = {"guest": "web", "device": "eth0"}
VICTIM, DECOY = "/dev/victim", "/dev/decoy"
SECRET = "owner, mode and content stay"
#: what is swapped in: how to make it; the victim is there
DECOYS = {
    "symbolic link to a file": f"ln -s {VICTIM} {DECOY}",
    "hard link to a file": f"ln {VICTIM} {DECOY}",
    "regular file": f"cp -p {VICTIM} {DECOY}",
    "FIFO": f"mkfifo -m 604 {DECOY}",
    "directory": f"mkdir -m 705 {DECOY}",
    "another character device": f"mknod -m 604 {DECOY} c 1 3",
    "block device": f"mknod -m 604 {DECOY} b 7 0",
    "another guest's tap": f"mknod -m 604 {DECOY} c %(tap_major)d %(tap_minor)d",
    "symbolic link to another guest's tap": f"ln -s %(tap_path)s {DECOY}",
}
#: those that a removal could take away for good
SINGLE = ("regular file", "directory", "another guest's tap")
ROUNDS = max(2, int(SECONDS))
LOOK = ["stat", "-c", "%F %Hr:%Lr %a %u:%g %h", "--"]


@pytest.fixture
def other(host):
    """The attachment of another guest, which runs, and the victim's file."""
    row = host.attach(attachments=[{"guest": "other", "device": "eth1"}])["attachments"][0]
    host.hold(row["tap_path"])
    host.run(["sh", "-c", f"rm -rf {VICTIM} {DECOY} /dev/.tap*; printf '%s' '{SECRET}' >{VICTIM}; chmod 604 {VICTIM}"])
    yield row
    host.run(["sh", "-c", f"rm -rf {VICTIM} {DECOY}"])


@contextlib.contextmanager
def swapping(host, path, counts):
    """Swap ``path`` and the decoy while the block runs; adds the number of swaps to ``counts``."""
    command = [sys.executable, "-I", str(SWAPPER), path, DECOY]
    swapper = host.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert swapper.stdout.readline() == "ready\n"
    yield
    said = swapper.communicate("stop\n", timeout=PATIENCE)[0]
    counts["swaps"] = counts.get("swaps", 0) + int(said)


def facts(host, *paths):
    """Everything that must not change, of the victim, of the decoy wherever it lies, and of the other guest's tap."""
    return host.run([*LOOK, *paths]).stdout, host.read(VICTIM)


def play(host, counts, run):
    """Run again and again until the time is over and both ways that it can end were seen."""
    began = time.monotonic()
    while time.monotonic() < began + SECONDS or not (counts.get("done") and counts.get("refused")):
        assert time.monotonic() < began + PATIENCE, counts
        try:
            run(counts.get("done", 0) + counts.get("refused", 0))
            counts["done"] = counts.get("done", 0) + 1
        except ModuleFailed as failed:
            assert "/dev/" in failed.message and "\n" not in failed.message
            counts["refused"] = counts.get("refused", 0) + 1
            counts["late"] = counts.get("late", 0) + ("a moment ago" in failed.message)


def put_back(host, row):
    """After the swapping: the tap's node at its path again, the decoy at its own."""
    if not host.opens(row):
        host.run(
            [
                "sh",
                "-c",
                f"mv -T {DECOY} /dev/node && mv -T {row['tap_path']} {DECOY} && mv /dev/node {row['tap_path']}",
            ]
        )


def make_decoy(host, decoy, other):
    how = DECOYS[decoy]
    host.run(["sh", "-c", how % other if "%(" in how else how])


@pytest.mark.parametrize("decoy", DECOYS)
def test_owner_and_mode_go_to_the_tap_or_to_nothing(host, other, decoy):
    row = host.attach(attachments=[WEB])["attachments"][0]
    make_decoy(host, decoy, other)
    before = facts(host, VICTIM, DECOY, other["tap_path"])
    counts = {}

    def converge(number):
        host.attach(attachments=[WEB], device_owner="nobody", device_mode=("0640", "0622")[number % 2])

    with swapping(host, row["tap_path"], counts):
        play(host, counts, converge)
    put_back(host, row)
    assert facts(host, VICTIM, DECOY, other["tap_path"]) == before
    assert host.opens(row) and host.opens(other)
    assert left_aside(host) == ""
    print(decoy, counts)
    assert counts["swaps"] > 1000


def left_aside(host):
    return host.run(["sh", "-c", "ls -d /dev/.tap*"], check=False).stdout


def inode(host, path):
    return host.run(["stat", "-c", "%i", path], check=False).stdout.strip()


@pytest.mark.parametrize("stale", [False, True], ids=["removed", "replaced"])
@pytest.mark.parametrize("decoy", SINGLE)
def test_a_removal_takes_the_node_or_nothing(host, other, decoy, stale):
    counts = {}
    for _round in range(ROUNDS):
        row = host.attach(attachments=[WEB])["attachments"][0]
        path = row["tap_path"]
        if stale:
            host.run(["sh", "-c", f"rm {path}; mknod {path} c {row['tap_major']} 1048575"])
        make_decoy(host, decoy, other)
        known, before = inode(host, DECOY), facts(host, VICTIM, DECOY, other["tap_path"])
        with swapping(host, path, counts):
            try:
                host.attach(attachments=[WEB]) if stale else host.detach(guest="web")
            except ModuleFailed as failed:
                assert "/dev/" in failed.message and "\n" not in failed.message
        assert left_aside(host) == ""
        (decoy_lies_at,) = (each for each in (path, DECOY) if inode(host, each) == known)
        assert facts(host, VICTIM, decoy_lies_at, other["tap_path"]) == before
        host.run(["rm", "-rf", path, DECOY])
    print(decoy, counts)
    assert counts["swaps"] > 100


def test_at_each_system_call_of_each_operation(host):
    command = [sys.executable, str(EVERY_CALL)]
    done = host.run(command, env=dict(os.environ, PYTHONPATH=host.collections))
    said = json.loads(done.stdout)
    print(said["cases"], "cases")
    assert said["broken"] == [] and said["cases"] > 1000
