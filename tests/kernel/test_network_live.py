# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network that is changed while guests are attached: the live links follow."""

import pytest
from module_host import ATTACH, NETWORK, ModuleFailed, warnings

GUESTS = [
    {"guest": "a", "network": "n"},
    {"guest": "b", "network": "n", "ifname": "bee", "mtu": 1400, "mac": "02:00:00:00:00:0b", "queues": 2},
]


@pytest.fixture
def live(host):
    """Network n on eth0 with guests a and b."""
    host.network(name="n", devices=["eth0"])
    host.rows = host.attach(attachments=GUESTS)["attachments"]
    return host


def modes(host):
    return {link["linkinfo"]["info_data"]["mode"] for link in host.links().values()}


@pytest.mark.parametrize("mode", ["bridge", "private"])
def test_the_mode_changes_in_place_and_nothing_else_does(live, mode):
    result = live.converges(NETWORK, name="n", mode=mode, devices=["eth0"])
    assert modes(live) == {mode}
    assert not any(action.startswith(("recreate", "delete")) for action in result["actions"])
    again = live.attach(attachments=GUESTS)
    assert not again["changed"]
    assert again["attachments"] == [{**row, "mode": mode} for row in live.rows]


def test_links_follow_to_another_device(live):
    result = live.converges(NETWORK, name="n", devices=["eth1"])
    assert {link["link"] for link in live.links().values()} == {"eth1"}
    assert sum(action.startswith("recreate") for action in result["actions"]) == 2
    again = live.attach(attachments=GUESTS)
    assert not again["changed"]
    assert [row["tap_path"] for row in again["attachments"]] == [row["tap_path"] for row in live.rows]
    assert all(live.opens(row) for row in again["attachments"])


def test_a_device_added_to_the_pool_moves_nobody(live):
    result = live.converges(NETWORK, name="n", devices=["eth1", "eth0"])
    assert len(result["actions"]) == 1
    assert not live.attach(attachments=GUESTS)["changed"]
    newcomer = live.attach(attachments=[{"guest": "c", "network": "n"}])["attachments"][0]
    assert newcomer["device"] == "eth1"


def test_only_the_links_on_a_device_that_leaves_the_pool_are_moved(live):
    live.network(name="n", devices=["eth0", "eth1"])
    live.attach(attachments=[*GUESTS, {"guest": "c", "network": "n"}, {"guest": "d", "network": "n"}])
    live.hold(live.rows[0]["tap_path"])
    result = live.converges(NETWORK, name="n", devices=["eth0"])
    assert sum(action.startswith("recreate") for action in result["actions"]) == 2
    assert {link["link"] for link in live.links().values()} == {"eth0"}


def test_guests_spread_over_the_pool_on_the_way_to_passthrough(live):
    own = {uplink: live.link(uplink)["address"] for uplink in ("eth0", "eth1")}
    live.converges(NETWORK, name="n", mode="passthrough", devices=["eth0", "eth1"])
    assert modes(live) == {"passthru"}
    assert sorted(link["link"] for link in live.links().values()) == ["eth0", "eth1"]
    # not foretold: which MACs the devices will have back, the kernel alone knows
    live.network(name="n", mode="vepa", devices=["eth0", "eth1"])
    assert modes(live) == {"vepa"}
    assert {uplink: live.link(uplink)["address"] for uplink in own} == own


def test_a_pool_too_small_for_passthrough_is_refused_naming_the_guests(live):
    sentence = live.refusal(NETWORK, name="n", mode="passthrough", devices=["eth0"])
    assert "guest a nic 0" in sentence and "guest b nic 0" in sentence
    assert modes(live) == {"vepa"}


def test_links_of_other_networks_stay_as_they_are(live):
    live.network(name="other", devices=["eth0"])
    live.attach(attachments=[{"guest": "x", "network": "other"}, {"guest": "y", "device": "eth0"}])
    live.ip("link add link eth0 name foreign0 type macvtap")
    live.converges(NETWORK, name="n", mode="bridge", devices=["eth0"])
    links = live.links()
    changed = {name for name, link in links.items() if link["linkinfo"]["info_data"]["mode"] == "bridge"}
    assert changed == {"macvtap0", "bee"}


def test_the_count_of_attachments_is_that_of_the_device(live):
    live.ip("link add link eth0 name foreign0 type macvtap")
    devices = live.network(name="n", devices=["eth0", "eth1"])["network"]["devices"]
    assert [device["attachments"] for device in devices] == [3, 0]


def test_a_network_with_live_attachments_is_not_removed(live):
    # nothing was detached before, so that check mode knows
    sentence = live.refusal(NETWORK, name="n", state="absent", detached=[])
    assert "2 live attachments" in sentence and "guest a nic 0" in sentence and "force=true" in sentence
    with pytest.raises(ModuleFailed) as failed:
        live.network(name="n", state="absent")
    assert failed.value.message == sentence


def test_check_mode_that_does_not_know_what_was_detached_removes_a_network_with_a_warning(live):
    before = live.snapshot()
    foretold = live.network(name="n", state="absent", check=True)
    assert foretold["changed"]
    assert foretold["actions"] == ["remove definition of network n (/etc/macvtap/networks/n.xml)"]
    (said,) = warnings(foretold)
    assert "2 live attachments (macvtap0 (guest a nic 0), bee (guest b nic 0))" in said
    assert "only if an earlier task has detached them" in said
    assert live.snapshot() == before


@pytest.mark.parametrize("detached", [{"guest": "a"}, {"network": "n"}], ids=str)
def test_check_mode_predicts_by_what_an_earlier_task_would_have_detached(live, detached):
    foretold = live.detach(check=True, **detached)["attachments"]
    options = {"name": "n", "state": "absent", "detached": foretold}
    if len(foretold) == 2:
        predicted = live.network(check=True, **options)
        assert warnings(predicted) == []
        # a real run believes nobody
        with pytest.raises(ModuleFailed, match="2 live attachments"):
            live.network(**options)
        assert live.detach(**detached)["attachments"] == foretold
        done = live.network(**options)
        assert predicted == done and done["changed"]
    else:
        with pytest.raises(ModuleFailed, match=r"1 live attachments \(bee \(guest b nic 0\)\)") as failed:
            live.network(check=True, **options)
        live.detach(**detached)
        with pytest.raises(ModuleFailed) as real:
            live.network(**options)
        assert real.value.message == failed.value.message


def test_a_change_is_predicted_for_what_is_left_too(live):
    foretold = live.detach(check=True, guest="b")["attachments"]
    options = {"name": "n", "mode": "passthrough", "devices": ["eth0"], "detached": foretold}
    predicted = live.network(check=True, **options)
    live.detach(guest="b")
    done = live.network(**options)
    assert predicted["actions"] == done["actions"] and predicted["diff"] == done["diff"]


def test_what_is_no_attachment_was_not_detached(live):
    assert "detached[1] has no ifindex" in live.refusal(
        NETWORK, name="n", state="absent", detached=[live.rows[0], {"guest": "b"}]
    )


def test_force_removes_the_definition_and_leaves_the_links(live):
    live.converges(NETWORK, name="n", state="absent", force=True)
    assert len(live.links()) == 2
    live.converges(ATTACH, state="absent", network="n")


def test_a_network_whose_guests_are_gone_is_removed(live):
    live.detach(network="n")
    live.converges(NETWORK, name="n", state="absent")
