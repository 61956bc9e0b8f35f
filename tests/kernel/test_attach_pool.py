# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which device of a pool a guest gets: the one least used by whatever is really on it."""

import pytest
from module_host import ATTACH

DOMAIN = """<domain type='kvm'><name>live</name><devices><interface type='direct'>
<source network='pool' portid='7e7f2c4e-0000-4000-8000-000000000000' dev='eth1' mode='bridge'/>
<target dev='macvtap7'/></interface></devices></domain>"""


@pytest.fixture
def pool(host):
    """A network of eth0 and eth1."""
    host.network(name="pool", devices=["eth0", "eth1"])
    return host


def wanted(*guests):
    return [{"guest": guest, "network": "pool"} for guest in guests]


def devices(result):
    return [row["device"] for row in result["attachments"]]


def test_the_least_used_device_is_taken_and_ties_go_in_order(pool):
    assert devices(pool.converges(ATTACH, attachments=wanted(*"abcde"))) == ["eth0", "eth1", "eth0", "eth1", "eth0"]


def test_the_order_of_the_definition_decides_ties(pool):
    pool.network(name="pool", devices=["eth1", "eth0"])
    assert devices(pool.attach(attachments=wanted("a", "b"))) == ["eth1", "eth0"]


@pytest.mark.parametrize("kind", ["macvtap", "macvlan"])
def test_links_of_others_count(pool, kind):
    pool.ip(f"link add link eth0 name x0 type {kind}", f"link add link eth0 name x1 type {kind}")
    assert devices(pool.converges(ATTACH, attachments=wanted("a", "b", "c"))) == ["eth1", "eth1", "eth0"]


def test_attachments_of_other_networks_and_of_none_count(pool):
    pool.network(name="other", devices=["eth0"])
    pool.attach(attachments=[{"guest": "x", "network": "other"}, {"guest": "y", "device": "eth0"}])
    assert devices(pool.attach(attachments=wanted("a", "b"))) == ["eth1", "eth1"]


def test_a_guest_keeps_its_device_although_another_is_less_used(pool):
    pool.attach(attachments=wanted("a", "b", "c"))
    pool.detach(guest="b")
    again = pool.attach(attachments=wanted("a", "c"))
    assert (again["changed"], devices(again)) == (False, ["eth0", "eth0"])


def test_newcomers_fill_up_around_those_who_stay(pool):
    pool.attach(attachments=[{"guest": "b", "device": "eth0"}])
    assert devices(pool.converges(ATTACH, attachments=wanted("a", "c", "b"))) == ["eth1", "eth0", "eth0"]


def test_what_is_purged_does_not_count(pool):
    pool.attach(guest="a", attachments=[{"nic": nic, "device": "eth0"} for nic in (5, 6, 7)])
    result = pool.converges(ATTACH, guest="a", attachments=[{"nic": 0, "network": "pool"}], purge=True)
    assert devices(result) == ["eth0"]


def test_a_live_document_keeps_the_device_it_names(pool):
    row = pool.converges(ATTACH, xml=DOMAIN)["attachments"][0]
    assert (row["device"], row["mode"], row["network"], row["ifname"]) == ("eth1", "bridge", "pool", "macvtap0")


def test_one_bad_device_of_a_pool_is_named(host):
    networks = [{"name": "given", "devices": ["eth0", "missing0"]}]
    sentence = host.refusal(ATTACH, attachments=[{"guest": "a", "network": "given"}], networks=networks)
    assert "missing0" in sentence and "given" in sentence


def test_a_definition_given_with_the_task_goes_before_the_one_on_disk(pool):
    networks = [{"name": "pool", "mode": "bridge", "devices": ["eth1"]}]
    row = pool.converges(ATTACH, attachments=wanted("a"), networks=networks)["attachments"][0]
    assert (row["device"], row["mode"], row["network"]) == ("eth1", "bridge", "pool")


def test_an_unknown_network_is_refused_by_name(pool):
    sentence = pool.refusal(ATTACH, attachments=[{"guest": "a", "network": "nowhere"}])
    assert "'nowhere'" in sentence and "macvtap_network" in sentence
