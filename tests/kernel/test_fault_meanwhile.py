# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody else acts in the middle of a run: the lower device goes, joins a bridge, changes its MAC; a name, an
ifindex, a MAC or the path of a tap is taken; a link is removed.

The run is stopped at a point, the other acts, the run goes on. However it ends, what the other made is as it was made,
and once the obstacle is gone the next run makes all right. ``make torture`` (TORTURE_MINUTES, TORTURE_SEED) stops at
every point of the runs.
"""

from typing import NamedTuple

import pytest
from fault_cases import Case
from fault_lab import FaultLab, says_what_is_left
from module_host import ATTACH
from torture import LONG, SEED, Share, dice

LOWER = """ip link add low0 address 02:00:00:00:aa:00 type veth peer name low1
ip link set low0 up
ip link set low1 up
"""
TWO = [{"guest": guest, "device": "low0"} for guest in ("a", "b")]
CHANGED = [{**nic, "mode": "bridge", "mtu": 1400, "ifname": "nic-" + nic["guest"]} for nic in TWO]
MADE = (ATTACH, {"attachments": TWO})
CASES = {
    "create": Case([LOWER], *MADE),
    "change": Case([LOWER, MADE], ATTACH, {"attachments": CHANGED}),
    "remove": Case([LOWER, MADE], ATTACH, {"state": "absent", "guest": "a"}),
    "purge": Case([LOWER, MADE], ATTACH, {"guest": "b", "attachments": TWO[:1], "purge": True}),
}
#: kinds of points at which the few runs of make test stop, at the first of its kind: two of these for each case and act
FEW = ("dump", "listdir", "create", "change", "mknod", "unlink", "delete")


class Act(NamedTuple):
    """What somebody else does: shell scripts, with {name}, {index}, {mac}, {path} of the first attachment."""

    do: str
    #: prints something that must stay as it is until the end
    look: str
    #: takes the obstacle away
    undo: str
    #: one of these is in the message, where there is one
    words: tuple


ACTS = {
    "lower device vanishes": Act(
        "ip link delete low0", "", f"ip link show low0 >/dev/null 2>&1 || ( {LOWER} )", ("low0", "vanished")
    ),
    "lower device joins a bridge": Act(
        # while it carries macvtaps, the kernel refuses that
        "ip link add br7 type bridge; ip link set low0 master br7 2>/dev/null || true",
        "ip -o link show low0 | grep -o 'master [^ ]*'; ls /sys/class/net/br7/brif",
        "ip link delete br7",
        ("br7", "bridge"),
    ),
    "lower device changes its MAC": Act(
        "ip link set low0 address 02:00:00:00:aa:01", "cat /sys/class/net/low0/address", "", ()
    ),
    "lower device takes the MAC of a guest": Act(
        "ip link set low0 address {mac} 2>/dev/null || true",
        "cat /sys/class/net/low0/address",
        "ip link set low0 address 02:00:00:00:aa:00",
        ("{mac}", "MAC"),
    ),
    "the name is taken": Act(
        "ip link add name {name} type bridge 2>/dev/null || ip link add name nic-a type bridge",
        "ip -o link show type bridge | grep -o '^[0-9]*: [mn][a-z0-9-]*'",
        "for link in $(ip -o link show type bridge | cut -d: -f2); do ip link delete $link; done",
        ("nic-a", "{name}"),
    ),
    "the ifindex is taken": Act(
        "ip link add name thief index {index} type bridge 2>/dev/null || ip link add name thief type bridge",
        "ip -o link show thief | cut -d: -f1",
        "ip link delete thief",
        ("ifindex",),
    ),
    "the MAC is taken": Act(
        "ip link add link low0 name thief address {mac} type macvlan mode bridge && ip link set thief up || true",
        "cat /sys/class/net/thief/address /sys/class/net/thief/ifindex",
        "ip link delete thief 2>/dev/null || true",
        ("{mac}", "MAC"),
    ),
    "the path is taken": Act(
        "rm -f {path} && echo theirs >{path}", "cat {path}; stat -c %a:%u:%i {path}", "rm -f {path}", ("{path}",)
    ),
    "a link is removed": Act("ip link delete {name} 2>/dev/null || true", "", "", ("{name}", "vanished")),
}


@pytest.fixture(scope="module")
def fault_lab(module_host):
    module_host.reset()
    return FaultLab(module_host)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("what", ACTS)
def test_somebody_else_acts_in_the_middle_of_a_run(fault_lab, module_host, name, what):
    case, act = CASES[name], ACTS[what]
    fault_lab.prepare(Case([LOWER], *MADE))
    row = fault_lab.run(*MADE).result["attachments"][0]
    facts = {"name": row["ifname"], "index": row["ifindex"], "mac": row["mac"], "path": row["tap_path"]}
    act = Act(*(part.format(**facts) for part in act[:3]), tuple(word.format(**facts) for word in act.words))
    fault_lab.prepare(case)
    kinds = [kind for kind, _detail in fault_lab.run(case.module, case.options, record=True).points]
    stops = [kinds.index(kind) + 1 for kind in FEW if kind in kinds] if not LONG else list(range(1, len(kinds) + 1))
    dice(name, what).shuffle(stops)
    stops = stops if LONG else stops[:2]
    share = Share(0.2 / len(CASES) / len(ACTS))
    wrong, failed, tried = [], 0, 0
    for stop in stops:
        try:
            failed += meanwhile(fault_lab, module_host, case, act, stop) is not None
        except AssertionError as exc:
            wrong.append(f"{stop} ({kinds[stop - 1]}): …{str(exc)[-1500:]}")
        tried += 1
        if LONG and not share.lasts():
            break
    print(
        f"{what}, {name}: stopped at {tried} of {len(kinds)} points (seed {SEED}), {failed} runs ended with a sentence"
    )
    assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(wrong)


def meanwhile(lab, host, case, act, stop):
    """Stop the run at a point, act, let it go on; returns its message."""

    def shell(script):
        return host.run(["sh", "-c", script], check=False).stdout

    lab.prepare(case)
    before = lab.look()[1]
    with lab.paused(case.module, case.options, at=stop) as run:
        shell(act.do)
        theirs = shell(act.look)
    message = run.trial.message
    seen = shell(act.look)
    if seen != theirs:
        raise AssertionError(f"what somebody else made was {theirs!r} and is {seen!r}; message: {message}")
    if lab.look()[1] != before:
        raise AssertionError(f"something foreign was touched; message: {message}")
    if message is not None:
        if act.words and not any(word in message for word in act.words):
            raise AssertionError(f"does not say why: {message}")
        if case is CASES["create"] and not says_what_is_left(message):
            left = shell(
                "ls /sys/class/net | grep -e macvtap -e nic-; cat /sys/class/net/*/ifalias | grep linuxnet.macvtap"
            )
            if "linuxnet.macvtap" in left:
                raise AssertionError(f"not undone: {left!r}; message: {message}")
    shell(act.undo)
    for expected in (None, []):
        again = lab.run(case.module, case.options)
        if again.message is not None:
            raise AssertionError(f"{message} -- and the next run, without the obstacle: {again.message}")
        if expected is not None and again.result["actions"]:
            raise AssertionError(f"{message} -- not at rest: {again.result['actions']}")
    links = [row for row in again.result["attachments"] if row["guest"] != "a" or case.options.get("state") != "absent"]
    for row in links:
        if not host.opens(row):
            raise AssertionError(f"{row['tap_path']} does not open {row['ifname']}; message: {message}")
    return message
