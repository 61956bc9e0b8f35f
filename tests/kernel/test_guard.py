# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guards of links: set, changed, removed, repaired and rolled back, and there before the link is up."""

import time

import pytest
from lab import open_interface
from lab.frames import BROADCAST, EXPERIMENTAL, ethernet
from module_host import ATTACH, Killed, ModuleFailed

MAC = "02:00:00:00:00:01"
WEB = {"guest": "web", "device": "eth0", "ifname": "web0", "mac": MAC}
DB = {"guest": "db", "device": "eth0", "ifname": "db0"}
GUARD = {"addresses": ["192.0.2.10", "2001:db8::/64"], "vlans": [20], "broadcast_rate": 50}
FULL = {
    "mac": True, "addresses": None, "vlans": [], "other_protocols": True, "stp": False, "dhcp_server": False,
    "router_advertisements": False, "broadcast_rate": None,
}  # fmt: skip
LIE = ethernet(BROADCAST, "02:00:00:00:00:66", EXPERIMENTAL, b"lie")
TABLE = ["nft", "list", "table", "netdev", "linuxnet_macvtap"]


def guarded(guard, **more):
    return {"attachments": [{**WEB, "guard": guard, **more}]}


def has_table(host):
    return host.run(TABLE, check=False).returncode == 0


def has_chain_of(host, name):
    return any(f'"{name}"' in line for line in host.run(TABLE).stdout.splitlines() if "hook egress" in line)


def info(host, **filters):
    return host.module("macvtap_info", **filters)["attachments"]


def lies(host, row):
    """Whether a frame with another source MAC leaves the tap."""
    with open_interface(host.hypervisor, "eth0") as wire:
        host.hold(row["tap_path"]).send(LIE)
        return wire.receive(0.2, ethertype=EXPERIMENTAL) is not None


def test_a_guard_is_set_changed_and_removed(host):
    made = host.converges(ATTACH, **guarded(GUARD))
    (row,) = made["attachments"]
    assert row["guard"] == {**FULL, **GUARD}
    assert not lies(host, row)
    changed = host.converges(ATTACH, **guarded({}))
    assert changed["attachments"][0]["guard"] == FULL
    assert 'guard {"addresses": ["192.0.2.10", "2001:db8::/64"], "vlans": [20], "broadcast_rate": 50} -> {}' in str(
        changed["actions"]
    )
    assert changed["diff"]["before"]["web0"]["guard"] != changed["diff"]["after"]["web0"]["guard"] == "{}"
    assert not lies(host, row)
    freed = host.converges(ATTACH, attachments=[WEB])
    assert freed["attachments"][0]["guard"] is None and not has_table(host)
    assert lies(host, row)


def test_what_a_guard_dropped_is_counted_and_survives_a_change(host):
    (row,) = host.attach(attachments=[{**WEB, "guard": {}}, DB])["attachments"][:1]
    tap = host.hold(row["tap_path"])
    for _number in range(3):
        tap.send(LIE)
    host.attach(attachments=[{**WEB, "guard": {"vlans": [7]}}, {**DB, "guard": {}}])
    found = {row["guest"]: row for row in info(host)}
    assert found["web"]["guard_dropped"] == {
        "mac": 3, "vlans": 0, "stp": 0, "dhcp_server": 0, "router_advertisements": 0
    }  # fmt: skip
    assert set(found["db"]["guard_dropped"].values()) == {0}
    assert [row["problems"] for row in found.values()] == [[], []]


def test_the_last_guarded_link_takes_the_table_with_it_and_leaves_foreign_ones(host):
    host.run(["nft", "add table netdev theirs"])
    host.attach(attachments=[{**WEB, "guard": {}}, {**DB, "guard": {}}])
    host.converges(ATTACH, state="absent", guest="web")
    assert has_table(host) and host.run(TABLE).stdout.count("db0") and not host.run(TABLE).stdout.count("web0")
    host.converges(ATTACH, state="absent", guest="db")
    assert not has_table(host)
    host.run(["nft", "delete table netdev theirs"])


#: what another program may do → the problem, and whether the guest can lie then
DRIFT = {
    "nft flush ruleset": "guard missing: nftables has no rules",
    "nft delete table netdev linuxnet_macvtap": "guard missing",
    "nft insert rule netdev linuxnet_macvtap guard accept": "guard incomplete: another program changed its rules",
    "nft flush chain netdev linuxnet_macvtap mac_source": "guard incomplete: another program changed its rules",
    "nft delete chain netdev linuxnet_macvtap link_$(cat /sys/class/net/web0/ifindex)": "guard incomplete: the frames",
    "nft add element netdev linuxnet_macvtap ipv4 { web0 . 10.0.0.0/8 }": "guard differs",
    "nft flush set netdev linuxnet_macvtap mac": "guard incomplete",
    "nft flush set netdev linuxnet_macvtap targets": "guard incomplete: another program",
}


@pytest.mark.parametrize("command", DRIFT)
def test_what_another_program_does_to_a_guard_is_a_problem_and_repaired(host, command):
    options = {"attachments": [{**WEB, "guard": GUARD}, {**DB, "guard": {}}]}
    row = host.attach(**options)["attachments"][0]
    host.run(["sh", "-c", command])
    problems = info(host, guest="web")[0]["problems"]
    assert len(problems) == 1 and problems[0].startswith(DRIFT[command])
    host.converges(ATTACH, **options)
    assert info(host, guest="web")[0]["problems"] == []
    assert not lies(host, row)


def test_a_link_renamed_by_hand_is_reported_and_guarded_again(host):
    row = host.attach(**guarded({}))["attachments"][0]
    host.run(["sh", "-c", "ip link set web0 down && ip link set web0 name other0 && ip link set other0 up"])
    (found,) = info(host)
    assert found["problems"] == [] or found["problems"][0].startswith(
        "guard incomplete: the frames of this link do not"
    )
    host.converges(ATTACH, **guarded({}))
    assert info(host)[0]["problems"] == [] and not lies(host, row)


def test_a_guard_left_by_a_link_that_is_gone_hooks_its_successor_and_lets_its_frames_pass(host):
    host.attach(attachments=[{**WEB, "guard": {}}, {**DB, "guard": {}}])
    host.run(["ip", "link", "delete", "web0"])
    stranger = {"guest": "stranger", "device": "eth0", "ifname": "web0"}
    host.run("ip link add link eth0 name web0 address 02:00:00:00:00:09 type macvtap mode vepa".split())
    problems = info(host, all=True, mac=["02:00:00:00:00:09"])[0]["problems"]
    # a chain goes with its link before Linux 6.16
    assert has_chain_of(host, "web0") == any(words.startswith("guard covers another link") for words in problems)
    host.run(["ip", "link", "delete", "web0"])
    row = host.attach(attachments=[stranger])["attachments"][0]
    assert lies(host, row)
    assert [each["problems"] for each in info(host)] == [[], []]


def test_a_guest_that_is_made_again_without_a_guard_has_none(host):
    host.attach(**guarded({}))
    host.run(["ip", "link", "delete", "web0"])
    row = host.converges(ATTACH, attachments=[WEB])["attachments"][0]
    assert lies(host, row) and not has_table(host)


def test_links_change_names_and_keep_their_guards(host):
    one, two = {**WEB, "guard": {}}, {**DB, "guard": {"vlans": [5]}}
    host.attach(attachments=[one, two])
    swapped = host.converges(ATTACH, attachments=[{**one, "ifname": "db0"}, {**two, "ifname": "web0"}])
    assert [row["guard"]["vlans"] for row in swapped["attachments"]] == [[], [5]]
    assert [row["problems"] for row in info(host)] == [[], []]
    assert not any(lies(host, row) for row in swapped["attachments"])


def test_a_link_that_is_created_again_is_guarded(host):
    host.attach(**guarded({}))
    moved = host.converges(ATTACH, **guarded({}, device="eth1"))
    assert not lies(host, moved["attachments"][0])
    assert info(host)[0]["problems"] == []


def test_a_rate_lets_so_many_broadcasts_pass(host):
    row = host.attach(**guarded({"broadcast_rate": 20}))["attachments"][0]
    tap = host.hold(row["tap_path"])
    honest = ethernet(BROADCAST, MAC, EXPERIMENTAL, b"honest")
    unicast = ethernet("02:00:00:00:00:99", MAC, EXPERIMENTAL, b"unicast")
    begun = time.monotonic()
    for _number in range(500):
        tap.send(honest)
        tap.send(unicast)
    most = 20 + 20 * (time.monotonic() - begun) + 1
    dropped = info(host)[0]["guard_dropped"]
    assert 500 - most <= dropped["broadcast_rate"] <= 480 and sum(dropped.values()) == dropped["broadcast_rate"]


@pytest.mark.parametrize(
    "guard, words",
    [
        ({"addresses": ["192.0.2.300"]}, "attachments[0]: guard: '192.0.2.300' in addresses is not an IPv4 or IPv6"),
        ({"addresses": ["192.0.2.0/33"]}, "guard: '192.0.2.0/33' in addresses is not"),
        ({"addresses": ["192.0.2.7/24"]}, "guard: '192.0.2.7/24' in addresses has bits beyond its prefix length"),
        ({"addresses": [""]}, "guard: '' in addresses is not"),
        ({"vlans": [0]}, "guard: vlan 0 is not possible; it must be 1 to 4094"),
        ({"vlans": [4095]}, "guard: vlan 4095 is not possible; it must be 1 to 4094"),
        ({"broadcast_rate": 0}, "guard: broadcast_rate 0 is not possible; it must be 1 to 1000000"),
    ],
)
def test_what_cannot_be_is_refused(host, guard, words):
    assert words in host.refusal(ATTACH, **guarded(guard))


def test_a_name_that_nft_would_take_for_something_else_is_refused(host):
    assert "guard is not possible for the ifname 'a\"b'" in host.refusal(ATTACH, **guarded({}, ifname='a"b'))


def test_without_nft_a_guard_is_refused_before_anything_is_changed(host):
    place = host.run(["sh", "-c", "command -v nft"]).stdout.strip()
    attached = {"attachments": [DB]}
    host.attach(**attached)
    host.run(["mv", place, place + ".away"])
    try:
        with pytest.raises(ModuleFailed, match=r"guard requires nft .*nft: No such file or directory"):
            host.attach(**guarded({}))
        assert set(host.links()) == {"db0"}
        assert host.attach(**attached)["changed"] is False
    finally:
        host.run(["mv", place + ".away", place])


def is_up_and_unguarded(host, name="web0"):
    """Whether a link is up and its chain is not there, or does not hook it."""
    link = host.links().get(name)
    if link is None or "UP" not in link["flags"]:
        return False
    table = host.run(TABLE, check=False).stdout
    chain = table.partition(f"chain link_{link['ifindex']} {{")[2].partition("}")[0]
    is_policed = f'"{name}"' in table.partition("set mac {")[2].partition("}")[0].replace("\n", "")
    return name not in chain or "jump guard" not in chain or not is_policed


KILLED = {
    "create": ([], guarded({})),
    "guard": ([{"attachments": [{**WEB, "link_state": "down"}]}], guarded({})),
    "rename": ([guarded({})], guarded({}, ifname="web1")),
}


@pytest.mark.parametrize("case", KILLED)
def test_a_link_is_never_up_and_unguarded_wherever_a_run_is_killed(host, case):
    before, options = KILLED[case]
    step = died = 1
    while died:
        host.reset()
        for each in before:
            host.attach(**each)
        try:
            host.module(ATTACH, luck={"kill_at": step}, **options)
            died = 0
        except Killed:
            pass
        assert not any(is_up_and_unguarded(host, name) for name in host.links()), step
        if step % 5 == 0:
            host.attach(**options)
            assert (step, [row["problems"] for row in info(host)]) == (step, [[]])
        step += 1
    assert step > 5 and host.attach(**options)["actions"] == []


def test_a_run_that_fails_gives_the_old_guard_back(host):
    host.attach(**guarded({"vlans": [9]}))
    before = host.snapshot()
    step, failed = 1, True
    while failed:
        try:
            host.module(ATTACH, luck={"fail_at": [step, 28]}, **guarded({"vlans": [10]}, mtu=1400))
            failed = False
        except ModuleFailed:
            assert host.snapshot() == before, step
        step += 1
    assert step > 3
    assert info(host)[0]["guard"]["vlans"] == [10] and info(host)[0]["problems"] == []
