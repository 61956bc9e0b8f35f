# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever has a tap open is seen or refused, however it is hidden; who only seems to is neither.

A kernel tells of each tap whether it is open, or, where it limits the length of a queue, how many are open in all.
"""

import pathlib
import subprocess
import sys

import pytest
from module_host import ATTACH, ModuleFailed, end, warnings

INFO = "macvtap_info"
KEEPERS = pathlib.Path(__file__).with_name("support") / "tap_keepers.py"
PYTHON = "/usr/bin/python3"
WEB = {"guest": "web", "device": "eth0"}
#: ways to keep a tap open that /proc shows, and those that it does not
SHOWN = ("plain", "own_table", "without_leader")
UNSHOWN = ("in_flight", "io_uring", "closed_while_waiting")
UNSEEN = "that /proc does not show here"
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
#: a container that shares the network: other processes, the same links
CONTAINER = ("unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation", "private")


@pytest.fixture
def row(host):
    return host.attach(attachments=[WEB])["attachments"][0]


def kept(host, way, row, *prefix):
    """A process that keeps the tap of an attachment open in one of the ways of tap_keepers.py."""
    # any user reaches the system's own Python, and the text of the script: a checkout may lie anywhere
    command = [*prefix, PYTHON, "-I", "-c", KEEPERS.read_text(encoding="utf-8"), way, row["tap_path"]]
    process = host.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def let_go(process):
    process.stdin.close()
    process.wait()


def queue_length(host, row):
    return host.link(row["ifname"])["txqlen"]


@pytest.mark.parametrize("way", SHOWN)
def test_a_holder_in_any_table_of_descriptors_is_named(host, row, way):
    holder = kept(host, way, row)
    sentence = host.refusal(ATTACH, state="absent", guest="web")
    (told,) = host.module(INFO)["attachments"][0]["holders"]
    assert told["command"].startswith("python") and told["user"] == "root"
    assert f"held open by pid {told['pid']} ({told['command']})" in sentence
    let_go(holder)
    host.converges(ATTACH, state="absent", guest="web")


@pytest.mark.parametrize("way", UNSHOWN)
def test_a_holder_in_no_table_is_refused_all_the_same(host, row, way):
    holder = kept(host, way, row)
    length = queue_length(host, row)
    sentence = host.refusal(ATTACH, state="absent", guest="web")
    assert UNSEEN in sentence and "force=true" in sentence
    assert queue_length(host, row) == length
    let_go(holder)
    host.converges(ATTACH, state="absent", guest="web")


@pytest.mark.parametrize("way", ["in_flight", "io_uring"])
def test_info_says_whose_descriptors_it_cannot_see(host, row, way):
    holder = kept(host, way, row)
    result = host.module(INFO)
    assert result["attachments"][0]["holders"] == []
    (warning,) = warnings(result)
    assert "holders may leave out processes" in warning and "(python" in warning
    let_go(holder)
    assert "warnings" not in host.module(INFO)


@pytest.mark.parametrize("options", [{"state": "absent", "guest": "web"}, {"attachments": [{**WEB, "device": "eth1"}]}])
def test_a_guest_outside_the_container_of_the_module_is_not_cut_off(host, row, options):
    port = host.hold(row["tap_path"])
    container = host.start_runner(*CONTAINER)
    for check in (True, False):
        with pytest.raises(ModuleFailed, match=UNSEEN):
            host.module(ATTACH, runner=container, check=check, **options)
    # the frames still go through
    assert host.opens(row)
    port.close()
    assert host.module(ATTACH, runner=container, **options)["changed"]


def test_force_is_the_way_out_of_a_container(host, row):
    host.hold(row["tap_path"])
    container = host.start_runner(*CONTAINER)
    assert host.module(ATTACH, runner=container, state="absent", guest="web", force=True)["changed"]


def test_a_link_is_not_given_to_another_guest_under_a_hidden_holder(host):
    mac = "02:00:00:00:00:42"
    row = host.attach(attachments=[{**WEB, "ifname": "web0", "mac": mac}])["attachments"][0]
    holder = kept(host, "in_flight", row)
    host.ip("link set web0 alias ''")
    wanted = [{"guest": "db", "device": "eth0", "ifname": "web0", "mac": mac}]
    assert UNSEEN in host.refusal(ATTACH, attachments=wanted)
    let_go(holder)
    host.converges(ATTACH, attachments=wanted)


def test_who_opens_nothing_holds_nothing(host, row):
    """O_PATH needs no permission on the node: any user could keep any tap from going, and make operators use force."""
    assert host.node(row["tap_path"])[2:] == ("600", "0:0")
    with pytest.raises(AssertionError):
        kept(host, "plain", row, *AS_NOBODY)
    kept(host, "o_path", row, *AS_NOBODY)
    assert host.module(INFO)["attachments"][0]["holders"] == []
    host.converges(ATTACH, state="absent", guest="web")


def test_a_process_whose_tap_lost_its_link_is_named(host, row):
    """The next link may have its index and its minor: what is open still leads to none."""
    holder = kept(host, "plain", row)
    (told,) = host.module(INFO)["attachments"][0]["holders"]

    def is_named():
        said = [text for text in warnings(host.module(INFO)) if "has a tap open whose link is gone" in text]
        return any(f"pid {told['pid']} (" in text for text in said)

    assert not is_named()
    host.ip(f"link delete {row['ifname']}")
    assert is_named()
    assert host.attach(attachments=[WEB])["attachments"][0]["tap_path"] == row["tap_path"]
    assert is_named() and host.module(INFO)["attachments"][0]["holders"] == []
    host.converges(ATTACH, state="absent", guest="web")
    let_go(holder)
    assert not is_named()


def test_a_holder_of_another_node_of_the_same_device_counts(host, row):
    host.run(["mknod", "/dev/other", "c", str(row["tap_major"]), str(row["tap_minor"])])
    holder = kept(host, "plain", {"tap_path": "/dev/other"})
    host.run(["rm", "/dev/other"])
    assert "held open by pid " in host.refusal(ATTACH, state="absent", guest="web")
    let_go(holder)


def test_asking_leaves_no_trace_on_a_link_that_nobody_holds(host, row):
    for words in ("link set {} txqueuelen 777", "link set {} up", "link set {} down"):
        host.ip(words.format(row["ifname"]))
        before = host.snapshot()
        host.module(ATTACH, check=True, state="absent", guest="web")
        assert host.snapshot() == before and queue_length(host, row) == 777


@pytest.mark.parametrize("is_held", [False, True])
def test_many_links_with_a_loud_qdisc(host, is_held):
    """More than the kernel is asked about: /proc shows everything here."""
    rows = host.attach(attachments=[{"guest": f"g{n}", "device": "eth0"} for n in range(25)])["attachments"]
    if is_held:
        host.hold(rows[13]["tap_path"])
        kept(host, "in_flight", rows[17])
        sentence = host.refusal(ATTACH, state="absent", attachments=[{"guest": row["guest"]} for row in rows])
        assert "macvtap13 is held open by pid " in sentence
        # what is in flight makes the kernel be asked
        if host.run(["ip", "link", "set", "macvtap0", "txqueuelen", "100000"], check=False).returncode == 0:
            assert f"macvtap17 is held open by a process {UNSEEN}" in sentence
    else:
        assert host.detach(attachments=[{"guest": row["guest"]} for row in rows])["changed"]


def test_of_very_many_holders_some_are_listed_and_the_rest_counted(host, row):
    script = "exec 3<>%s; for n in $(seq 30); do sleep infinity & done; echo ready; wait" % row["tap_path"]
    crowd = host.spawn(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert crowd.stdout.readline() == "ready\n"
    (found,) = host.module(INFO)["attachments"]
    assert (len(found["holders"]), found["holders_omitted"]) == (20, 11)
    (problem,) = found["problems"]
    assert problem.startswith("held open by 31 processes") and "and 26 more" in problem
    assert "and at least 15 more" in host.refusal(ATTACH, state="absent", guest="web")


def test_a_look_that_takes_too_long_says_how_much_it_left_out(host, row):
    script = "from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import holders; print(%s)"
    number = (row["tap_major"], row["tap_minor"])
    host.hold(row["tap_path"])
    look = "holders.look([%r], patience=%%s)" % (number,)
    for patience, expression in ((0, look + ".unreached > 1"), (600, look + ".is_complete")):
        command = [sys.executable, "-c", script % (expression % patience)]
        assert host.run(command, env={"PYTHONPATH": host.collections}).stdout == "True\n"


@pytest.mark.parametrize("user", [(), (*AS_NOBODY, "unshare", "--user", "--map-root-user", "--mount", "--")], ids=len)
def test_a_file_on_a_dead_fuse_mount_makes_nobody_wait(host, row, user):
    """A user's own mount refuses root; one of root, or with allow_other, asks the server that does not answer."""
    host.run(["sh", "-c", "rm -f /dev/fuse; mknod -m 666 /dev/fuse c 10 229; mkdir -p -m 777 /run/lock/mine"])
    script = KEEPERS.with_name("dead_fuse.py").read_text(encoding="utf-8")
    command = [*user, PYTHON, "-I", "-c", script, "/run/lock/mine"]
    server = host.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    try:
        assert host.module(INFO)["attachments"][0]["holders"] == []
        holder = kept(host, "plain", row)
        assert "held open by pid " in host.refusal(ATTACH, state="absent", guest="web")
        let_go(holder)
        host.converges(ATTACH, state="absent", guest="web")
    finally:
        # closing its file, it would wait for its own answer
        end(server)
        host.run(["umount", "--lazy", "/run/lock/mine"], check=False)
