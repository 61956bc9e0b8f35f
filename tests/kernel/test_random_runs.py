# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Eight processes attach, change, redefine and remove at random on one host, while another tool makes links of its own.

All the time no MAC, no name of a NIC and no tap is two guests', nothing of the other tool's is lost, and every run ends
with a result or one sentence. In the end one run makes all right and the next finds nothing to do.

``make test`` does it for some seconds, ``make torture`` for its share of TORTURE_MINUTES; TORTURE_SEED is the seed of
the runs' order in each process (which of them comes first is the scheduler's choice).
"""

import collections
import json
import select
import time

import pytest
from fault_lab import request, trial
from module_host import ATTACH, NETWORK, PATIENCE
from torture import LONG, SEED, Share, dice

#: where the time is short
SECONDS = 8
PROCESSES = 8

GUESTS = [f"g{number}" for number in range(6)]
NETWORKS = ("one", "two")
MODES = ("vepa", "vepa", "bridge", "private")
INFO = "macvtap_info"

#: Prints whatever is wrong with the links and nodes, and the names of those that are not ours.
LOOK = r"""
ASKED_FOR = "02:00:00:00:00:"
import collections, json, os, re, stat, subprocess
rows = json.loads(subprocess.run(["ip", "-json", "-details", "link"], capture_output=True, check=True).stdout)
wrong, seen, theirs = [], collections.defaultdict(list), []
for row in rows:
    if row.get("linkinfo", {}).get("info_kind") not in ("macvtap", "macvlan"):
        continue
    name, alias = row["ifname"], row.get("ifalias", "")
    if not alias.startswith("linuxnet.macvtap "):
        theirs.append([name, row["ifindex"], row["address"], alias])
        continue
    seen["guest and NIC " + " ".join(alias.split()[1:3])].append(name)
    # whoever asks for a MAC may have it on each lower device once
    where = " on " + row["link"] if row["address"].startswith(ASKED_FOR) else ""
    seen["MAC " + row["address"] + where].append(name)
wrong += ["%s is on %s" % item for item in seen.items() if len(item[1]) > 1]
for node in os.listdir("/dev"):
    try:
        found = os.lstat("/dev/" + node)
        if re.fullmatch(r"tap\d+", node) and stat.S_ISCHR(found.st_mode):
            numbers = os.major(found.st_rdev), os.minor(found.st_rdev)
            opens = os.path.basename(os.readlink("/sys/dev/char/%d:%d" % numbers))
            # a look takes its time: only what is so twice is so
            if opens != node and os.lstat("/dev/" + node).st_rdev == found.st_rdev:
                wrong.append("/dev/%s opens %s" % (node, opens))
    except FileNotFoundError:
        continue
print(json.dumps([wrong, theirs]))
"""


class Process:
    """One of those that run modules, with its own dice."""

    def __init__(self, host, number):
        self.runner = host.start_runner()
        self.rolls = dice(number)
        self.asked = None

    def begin(self):
        self.asked = run_at_random(self.rolls)
        self.runner.stdin.write(json.dumps(request(*self.asked)) + "\n")
        self.runner.stdin.flush()

    def end(self):
        """How the run ended."""
        return trial(json.loads(self.runner.stdout.readline()))


def run_at_random(rolls):
    """A module and its options."""
    what = rolls.choices(("attach", "purge", "remove", "define", "undefine", "info"), (40, 15, 20, 15, 3, 7))[0]
    guest = rolls.choice(GUESTS)
    if what in ("attach", "purge"):
        nics = [nic_at_random(rolls) for _nic in range(rolls.randrange(1, 4))]
        options = {"guest": guest, "attachments": nics, "force": rolls.random() < 0.3}
        if what == "purge":
            options["purge"] = True
        if rolls.random() < 0.3:
            options["device_mode"] = "0660"
        return ATTACH, options
    if what == "remove":
        selector = rolls.choice(({"guest": guest}, {"network": rolls.choice(NETWORKS)}, {"ifname": ["macvtap1"]}))
        return ATTACH, {"state": "absent", **selector}
    if what == "info":
        return INFO, {"all": True}
    name = rolls.choice(NETWORKS)
    if what == "undefine":
        return NETWORK, {"name": name, "state": "absent", "force": True}
    return NETWORK, {"name": name, **network_at_random(rolls), "force": rolls.random() < 0.5}


def nic_at_random(rolls):
    where = rolls.choice(
        (
            {"network": rolls.choice(NETWORKS)},
            {"device": rolls.choice(("eth0", "eth1")), "mode": rolls.choice(MODES)},
        )
    )
    if rolls.random() < 0.2:
        where["mtu"] = rolls.choice((1200, 1400, 1500))
    if rolls.random() < 0.1:
        where["mac"] = "02:00:00:00:00:%02x" % rolls.randrange(4)
    if rolls.random() < 0.1:
        where["ifname"] = rolls.choice(("red", "green"))
    return where


def network_at_random(rolls):
    devices = rolls.choice((["eth0"], ["eth1"], ["eth0", "eth1"], ["eth1", "eth0"]))
    return {"mode": rolls.choice(MODES), "devices": devices}


class OtherTool:
    """Makes and removes links of its own, under the names that we would take as well."""

    def __init__(self, host):
        self._host = host
        self._rolls = dice("other")
        #: [name, ifindex, MAC, alias] of its links
        self.links = []
        for name, kind in (("foreign0", "macvtap"), ("foreign1", "macvlan")):
            self._make(name, kind)

    def act(self):
        if self._rolls.random() < 0.4 and len(self.links) > 2:
            name = self.links.pop(self._rolls.randrange(2, len(self.links)))[0]
            self._host.ip(f"link delete {name}")
        else:
            self._make(f"macvtap{self._rolls.randrange(12)}", "macvtap")

    def _make(self, name, kind):
        mac = "06:" + ":".join(f"{self._rolls.randrange(256):02x}" for _octet in range(5))
        device = self._rolls.choice(("eth0", "eth1"))
        command = f"ip link add link {device} name {name} address {mac} type {kind} mode bridge"
        if self._host.run(["sh", "-c", f"{command} && ip link set {name} alias theirs"], check=False).returncode == 0:
            index = self._host.link(name)["ifindex"]
            self.links.append([name, index, mac, "theirs"])


class Watch:
    """Counts how runs end, and collects what must not be."""

    def __init__(self, host, other):
        self._host, self._other = host, other
        self.ends = collections.Counter()
        self.sentences = collections.Counter()
        self.wrong = []
        self.looks = 0

    def ended(self, asked, run):
        if run.message is None:
            self.ends["changed" if run.result.get("changed") else "nothing to do"] += 1
            return
        self.ends["refused"] += 1
        self.sentences[run.message] += 1
        if "the host refused" in run.message or "Rollback was incomplete" in run.message:
            self.wrong.append(f"{asked}: {run.message}")

    def look(self):
        self.looks += 1
        wrong, theirs = json.loads(self._host.run(["python3", "-c", LOOK]).stdout)
        self.wrong += wrong
        lost = [link for link in self._other.links if link not in theirs]
        if lost:
            self.wrong.append(f"of somebody else's are lost or changed: {lost}")


def test_eight_processes_at_random(host):
    for name in NETWORKS:
        host.network(name=name, devices=["eth0", "eth1"])
    processes = [Process(host, number) for number in range(PROCESSES)]
    other = OtherTool(host)
    watch = Watch(host, other)
    by_stream = {process.runner.stdout: process for process in processes}
    for process in processes:
        process.begin()
    seconds = Share(0.15).seconds if LONG else SECONDS
    deadline = time.monotonic() + seconds
    working = set(by_stream)
    while working:
        ready = select.select(working, [], [], PATIENCE)[0]
        assert ready, "a run hangs"
        for stream in ready:
            process = by_stream[stream]
            watch.ended(process.asked, process.end())
            if time.monotonic() < deadline and not watch.wrong:
                process.begin()
            else:
                working.remove(stream)
        if sum(watch.ends.values()) % 3 == 0:
            other.act()
            watch.look()
    watch.look()
    print(
        f"figures: {sum(watch.ends.values())} runs by {PROCESSES} processes in {seconds:.0f} s (seed {SEED}), ", end=""
    )
    print(f"{dict(watch.ends)}, {watch.looks} looks at the host, {len(other.links)} links of another tool at the end")
    for sentence, count in watch.sentences.most_common(12):
        print(f"{count:5d} {sentence}")
    assert not watch.wrong, "\n".join(watch.wrong[:20])
    assert watch.ends["changed"]
    settle(host, other)


def settle(host, other):
    """One run makes all right, the next finds nothing to do, and all of ours can be removed."""
    for name in NETWORKS:
        host.network(name=name, devices=["eth0", "eth1"])
    nics = [{"guest": guest, "network": name} for guest in GUESTS for name in NETWORKS]
    host.attach(attachments=nics, purge=True)
    rows = host.attach(attachments=nics, purge=True)
    assert rows["actions"] == []
    assert all(host.opens(row) for row in rows["attachments"])
    theirs = {link[0] for link in other.links}
    assert set(host.links()) == {row["ifname"] for row in rows["attachments"]} | (theirs - {"foreign1"})
    assert sorted(host.taps()) == sorted(rows["tap_paths"])
    host.detach(attachments=nics)
    assert set(host.links()) == theirs - {"foreign1"} and host.taps() == []


def rounds(few):
    """Numbers of rounds: a few, or as many as the time allows."""
    share = Share(0.05)
    number = 0
    while number < few or share.lasts():
        yield number
        number += 1


@pytest.fixture
def pair(host):
    return [host.start_runner() for _process in range(2)]


def both(pair, runs):
    """Two runs at once; how they ended."""
    for runner, run in zip(pair, runs):
        runner.stdin.write(json.dumps(request(*run)) + "\n")
        runner.stdin.flush()
    return [trial(json.loads(runner.stdout.readline())) for runner in pair]


def some_of_five(rolls):
    """Up to three of a guest's five NICs, anywhere."""
    numbers = sorted(rolls.sample(range(5), rolls.randrange(1, 4)))
    return [{"nic": nic, "device": rolls.choice(("eth0", "eth1")), "mode": rolls.choice(MODES)} for nic in numbers]


def test_two_purges_with_different_wishes_end_with_one_of_them(host, pair):
    rolls = dice("purges")
    count = 0
    for _round in rounds(6):
        wishes = [(ATTACH, {"guest": "web", "attachments": some_of_five(rolls), "purge": True}) for _run in pair]
        ended = both(pair, wishes)
        assert [run.message for run in ended] == [None, None]
        left = sorted((name, link["address"], link["link"]) for name, link in host.links().items())
        wanted = [
            sorted((row["ifname"], row["mac"], row["device"]) for row in run.result["attachments"]) for run in ended
        ]
        assert left in wanted
        count += 1
    print(f"figures: {count} pairs of purges (seed {SEED})")


def test_a_network_is_redefined_and_removed_while_guests_attach(host, pair):
    rolls = dice("networks")
    ends = collections.Counter()
    nics = [{"guest": guest, "network": "one"} for guest in GUESTS[:3]]
    for _round in rounds(8):
        network = {"name": "one", **network_at_random(rolls)}
        if rolls.random() < 0.3:
            network = {"name": "one", "state": "absent", "force": rolls.random() < 0.5}
        ended = both(pair, [(NETWORK, network), (ATTACH, {"attachments": nics})])
        for run in ended:
            ends["done" if run.message is None else "refused"] += 1
            # the only thing in the way is that it is not defined, or that it is in use
            assert run.message is None or "is not defined here" in run.message or "live attachments" in run.message
        final = {"name": "one", **network_at_random(rolls)}
        host.network(**final)
        host.attach(attachments=nics)
        assert host.attach(attachments=nics)["actions"] == host.network(**final)["actions"] == []
        assert {link["linkinfo"]["info_data"]["mode"] for link in host.links().values()} == {final["mode"]}
        assert {link["link"] for link in host.links().values()} <= set(final["devices"])
    print(f"figures: {sum(ends.values())} runs (seed {SEED}): {dict(ends)}")
