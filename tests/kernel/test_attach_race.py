# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many at once: no name, MAC, ifindex or tap is given twice, and no run fails because of another."""

import random
import subprocess

from module_host import ATTACH, NETWORK, ModuleFailed


def together(host, runs):
    """Start all runs at once, each in a process of its own; return their results in order."""
    runners = [host.start_runner() for _run in runs]
    for runner, (module, options) in zip(runners, runs):
        host.send(runner, module, **options)
    return [host.receive(runner) for runner in runners]


def guests(name, count):
    return {"attachments": [{"guest": name, "device": "eth0"} for _number in range(count)]}


def test_six_runs_at_once_make_thirty_distinct_links(host):
    runs = [(ATTACH, guests(f"g{number}", 5)) for number in range(6)]
    rows = [row for result in together(host, runs) for row in result["attachments"]]
    for key in ("ifname", "ifindex", "mac", "tap_path", "tap_minor"):
        assert len({row[key] for row in rows}) == 30
    assert sorted(row["ifname"] for row in rows) == sorted(f"macvtap{number}" for number in range(30))
    assert all(host.opens(row) for row in rows[::7])
    assert not any(result["changed"] for result in together(host, runs))
    gone = together(host, [(ATTACH, {"state": "absent", "guest": f"g{number}"}) for number in range(6)])
    assert [len(result["attachments"]) for result in gone] == [5] * 6
    assert host.links() == {} and host.taps() == []


def test_the_same_guest_attached_six_times_at_once_has_one_link_per_nic(host):
    results = together(host, [(ATTACH, guests("web", 3))] * 6)
    assert sum(result["changed"] for result in results) == 1
    assert len({str(result["attachments"]) for result in results}) == 1
    assert len(host.links()) == 3


def test_names_lost_to_another_tool_are_chosen_anew(host):
    script = "n=0; while :; do ip link add link eth1 name macvtap$n type macvtap 2>/dev/null; n=$(((n + 1) % 40)); done"
    other = host.spawn(["sh", "-c", script], stderr=subprocess.DEVNULL)
    rows = [row for number in range(8) for row in host.attach(**guests(f"g{number}", 3))["attachments"]]
    other.kill()
    other.wait()
    assert len({row["ifname"] for row in rows}) == 24
    links = host.links()
    assert all(links[row["ifname"]]["ifindex"] == row["ifindex"] for row in rows)


def test_a_network_is_redefined_while_guests_attach(host):
    host.network(name="n", devices=["eth0"])
    wanted = [{"guest": f"g{number}", "network": "n"} for number in range(4)]
    for mode in ("bridge", "private", "vepa"):
        together(host, [(NETWORK, {"name": "n", "mode": mode, "devices": ["eth0"]}), (ATTACH, {"attachments": wanted})])
        # whichever came first, both once more agree
        host.network(name="n", mode=mode, devices=["eth0"])
        host.attach(attachments=wanted)
        assert {link["linkinfo"]["info_data"]["mode"] for link in host.links().values()} == {mode}


def test_two_runs_that_purge_end_with_one_of_the_lists(host):
    for _round in range(3):
        lists = [[{"guest": "web", "nic": nic, "device": "eth0"} for nic in nics] for nics in ((0, 1, 2), (2, 3))]
        results = together(host, [(ATTACH, {"attachments": wanted, "purge": True}) for wanted in lists])
        left = sorted(host.links())
        assert left in [sorted(row["ifname"] for row in result["attachments"]) for result in results]


def test_random_runs_at_once_never_give_anything_twice(host):
    host.ip("link add link eth0 name foreign0 type macvtap", "link add link eth0 name foreign1 type macvlan")
    dice = random.Random(7)
    for _round in range(4):
        runs = []
        for _run in range(6):
            options = guests(f"g{dice.randrange(4)}", dice.randrange(1, 4))
            runs.append((ATTACH, dice.choice([options, {**options, "purge": True}, {**options, "state": "absent"}])))
        for result in together(host, runs):
            assert "changed" in result
        links = host.links()
        ours = [link for name, link in links.items() if name != "foreign0"]
        for key in ("address", "ifalias"):
            assert len({link[key] for link in ours}) == len(ours)
        assert sorted(host.taps()) == sorted(f"/dev/tap{link['ifindex']}" for link in ours)
        assert "foreign0" in links and host.link("foreign1")


def test_a_lower_device_that_comes_and_goes_gives_a_sentence_or_a_link(host):
    script = "while :; do ip link add name up0 type veth peer name up1 && ip link delete up0; done 2>/dev/null"
    host.spawn(["sh", "-c", script])
    for number in range(12):
        try:
            host.attach(
                attachments=[{"guest": f"g{number}", "device": "up0"}, {"guest": f"g{number}", "device": "eth0"}]
            )
        except ModuleFailed as failed:
            assert ("\n" not in failed.message and "up0" in failed.message) or "macvtap" in failed.message
