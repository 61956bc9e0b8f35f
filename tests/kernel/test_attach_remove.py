# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Teardown: what each selector means, alone and together, and that nothing else ever goes."""

import pytest
from module_host import ATTACH

MAC = "02:00:00:00:00:01"
DOMAIN = """<domain type='kvm'><name>%s</name><devices>
<interface type='network'><source network='vepanet'/></interface></devices></domain>"""


def removed(result):
    return sorted((row["guest"], row["nic"]) for row in result["attachments"])


@pytest.fixture
def crowd(host):
    """Guests a and b with two NICs each on eth0 and eth1; the first of each belongs to the network vepanet."""
    host.network(name="vepanet", devices=["eth0"])
    wanted = [{"network": "vepanet"}, {"device": "eth1"}]
    rows = host.attach(attachments=[{"guest": guest, **nic} for guest in ("a", "b") for nic in wanted])["attachments"]
    host.rows = {(row["guest"], row["nic"]): row for row in rows}
    return host


def test_by_guest(crowd):
    assert removed(crowd.converges(ATTACH, state="absent", guest="a")) == [("a", 0), ("a", 1)]


def test_by_mac_in_any_spelling(crowd):
    spelt = ":".join(octet.lstrip("0").upper() or "0" for octet in crowd.rows["a", 0]["mac"].split(":"))
    assert removed(crowd.converges(ATTACH, state="absent", mac=[spelt])) == [("a", 0)]


def test_by_link_name(crowd):
    names = [crowd.rows[key]["ifname"] for key in (("a", 0), ("b", 1))]
    assert removed(crowd.converges(ATTACH, state="absent", ifname=names)) == [("a", 0), ("b", 1)]


def test_by_network(crowd):
    assert removed(crowd.converges(ATTACH, state="absent", network="vepanet")) == [("a", 0), ("b", 0)]


def test_by_a_network_that_is_not_defined_any_more(crowd):
    crowd.network(name="vepanet", state="absent", force=True)
    assert removed(crowd.converges(ATTACH, state="absent", network="vepanet")) == [("a", 0), ("b", 0)]


def test_by_domain_document(crowd):
    assert removed(crowd.converges(ATTACH, state="absent", xml=DOMAIN % "b")) == [("b", 0)]


def test_by_several_domain_documents(crowd):
    documents = [DOMAIN % "a", DOMAIN % "b"]
    assert removed(crowd.converges(ATTACH, state="absent", xml=documents)) == [("a", 0), ("b", 0)]


def test_by_attachments_as_they_were_asked_for(crowd):
    wanted = [{"guest": "a", "device": "eth0"}, {"guest": "b", "nic": 1}]
    assert removed(crowd.converges(ATTACH, state="absent", attachments=wanted)) == [("a", 0), ("b", 1)]


@pytest.mark.parametrize(
    "selectors, expected",
    [
        ({"guest": "a", "network": "vepanet"}, [("a", 0)]),
        ({"guest": "a", "ifname": ["macvtap2", "macvtap1"]}, [("a", 1)]),
        ({"network": "vepanet", "ifname": ["macvtap1"]}, []),
        ({"guest": "b", "mac": [MAC]}, []),
        ({"attachments": [{"guest": "a"}, {"guest": "b"}], "ifname": ["macvtap2"]}, [("b", 0)]),
        ({"xml": DOMAIN % "a", "network": "other"}, []),
        ({"guest": "nobody"}, []),
        ({"network": "nowhere"}, []),
    ],
)
def test_several_selectors_narrow_the_choice(crowd, selectors, expected):
    assert removed(crowd.converges(ATTACH, state="absent", **selectors)) == expected


@pytest.mark.parametrize("selector", ["mac", "ifname", "attachments", "xml"])
def test_an_empty_list_selects_nothing(crowd, selector):
    assert removed(crowd.converges(ATTACH, state="absent", **{selector: []})) == []
    assert removed(crowd.converges(ATTACH, state="absent", guest="a", **{selector: []})) == []


def test_no_selector_at_all_is_refused(crowd):
    assert "without a selector" in crowd.refusal(ATTACH, state="absent")
    assert len(crowd.links()) == 4


def test_a_mac_selects_foreign_macvtaps_on_every_device_and_no_other_kind_of_link(host):
    host.run(["ip", "tuntap", "add", "dev", "tap9", "mode", "tap"])
    host.ip(
        "link add link eth0 name foreign0 type macvtap",
        "link add link eth1 name foreign1 type macvtap",
        "link add link eth0 name macvlan0 type macvlan",
        "link add name veth0 type veth peer name veth1",
        "link add name bridge0 type bridge",
        *(f"link set {name} address {MAC}" for name in "foreign0 foreign1 macvlan0 veth0 bridge0 tap9".split()),
    )
    host.attach(attachments=[{"guest": "web", "device": "eth0"}])
    result = host.converges(ATTACH, state="absent", mac=[MAC])
    assert [row["ifname"] for row in result["attachments"]] == ["foreign0", "foreign1"]
    assert [row["guest"] for row in result["attachments"]] == [None, None]
    for name in ("macvlan0", "veth0", "bridge0", "tap9", "macvtap0"):
        assert host.link(name)["ifname"] == name


def test_the_mac_of_an_uplink_does_not_select_the_uplink(host):
    host.converges(ATTACH, state="absent", mac=[host.link("eth0")["address"]])
    assert host.link("eth0")["ifname"] == "eth0"


@pytest.mark.parametrize("selector", [{"ifname": ["foreign0"]}, {"guest": "web"}, {"network": "vepanet"}])
def test_only_a_mac_selects_links_that_are_not_ours(host, selector):
    host.ip("link add link eth0 name foreign0 type macvtap", "link set foreign0 alias 'guest=web network=vepanet'")
    assert removed(host.converges(ATTACH, state="absent", **selector)) == []


def test_another_selector_beside_the_mac_spares_foreign_links(host):
    host.ip("link add link eth0 name foreign0 type macvtap", f"link set foreign0 address {MAC}")
    assert removed(host.converges(ATTACH, state="absent", mac=[MAC], guest="web")) == []


def test_links_in_a_group_with_others_go_alone(host):
    host.attach(attachments=[{"guest": guest, "device": "eth0"} for guest in ("a", "b")])
    host.ip("link add link eth0 name foreign0 type macvtap", "link add name bridge0 type bridge")
    host.ip(*(f"link set {name} group 42" for name in ("macvtap0", "macvtap1", "foreign0", "bridge0", "eth1")))
    host.converges(ATTACH, state="absent", guest="a")
    assert sorted(host.links()) == ["foreign0", "macvtap1"]
    assert host.link("bridge0")["group"] == host.link("eth1")["group"] == "42"


def test_what_was_removed_is_told_as_it_was(crowd):
    row = crowd.rows["a", 0]
    assert crowd.detach(ifname=[row["ifname"]])["attachments"] == [row]


def test_purge_makes_the_list_exact(crowd):
    result = crowd.converges(ATTACH, guest="a", attachments=[{"network": "vepanet"}], purge=True)
    assert len(result["actions"]) == 1 and "nic 1" in result["actions"][0]
    assert sorted(row["ifname"] for row in crowd.rows.values() if row["ifname"] in crowd.links()) == [
        "macvtap0",
        "macvtap2",
        "macvtap3",
    ]


def test_purge_with_an_empty_list_removes_the_guest_named(crowd):
    crowd.converges(ATTACH, guest="a", attachments=[], purge=True)
    assert sorted(crowd.links()) == ["macvtap2", "macvtap3"]


def test_purge_without_any_guest_removes_nothing(crowd):
    assert not crowd.converges(ATTACH, attachments=[], purge=True)["changed"]


def test_purge_frees_names_and_macs_for_the_same_task(crowd):
    row = crowd.rows["a", 1]
    wanted = [
        {"nic": 0, "network": "vepanet"},
        {"nic": 5, "device": "eth1", "mac": row["mac"], "ifname": row["ifname"]},
    ]
    crowd.converges(ATTACH, guest="a", attachments=wanted, purge=True)


def test_a_link_with_the_mark_of_a_wanted_one_is_purged(host):
    wanted = [{"guest": "web", "device": "eth0"}]
    before = host.attach(attachments=wanted)["attachments"]
    host.ip("link add link eth1 name twin0 type macvtap", "link set twin0 alias 'linuxnet.macvtap guest=web nic=0'")
    assert host.attach(attachments=wanted)["attachments"] == before
    host.converges(ATTACH, attachments=wanted, purge=True)
    assert list(host.links()) == ["macvtap0"]


@pytest.mark.parametrize(
    "selector",
    [
        {"mac": ["02:00"]},
        {"mac": ["01:00:5e:00:00:01"]},
        {"guest": ""},
        {"guest": "a\nb"},
        {"ifname": ["x" * 16]},
        {"network": "a/b"},
        {"attachments": [{}]},
        {"attachments": [{"device": "eth0"}]},
    ],
    ids=str,
)
def test_a_selector_that_can_select_nothing_is_refused(host, selector):
    host.refusal(ATTACH, state="absent", **selector)
