# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many guests of both kinds in one task, the default network, and what a purge makes exact."""

import pytest
from module_host import ATTACH, ModuleFailed

DOMAIN = """<domain type='kvm'><name>%s</name><devices>
<interface type='network'><source network='vepanet'/></interface>
<interface type='user'/>
<interface type='direct'><source dev='eth1' mode='bridge'/></interface></devices></domain>"""
NO_NICS = "<domain><name>%s</name><devices/></domain>"
WEB = {"name": "web", "nics": [{}, {"device": "eth1"}]}
MAIL = {"name": "mail", "xml": DOMAIN % "mail"}
BOTH = {"default_network": "vepanet", "guests": [WEB, MAIL]}


@pytest.fixture
def net(host):
    """The host, with the networks vepanet on eth0 and other on eth1."""
    host.network(name="vepanet", devices=["eth0"])
    host.network(name="other", devices=["eth1"])
    return host


@pytest.fixture
def crowd(net):
    """Guests web and db on both networks, db also on eth1 without a network, and a link of another tool."""
    nics = [{"network": "vepanet"}, {"network": "other"}]
    wanted = [{"guest": guest, **nic} for guest in ("web", "db") for nic in nics]
    net.attach(attachments=[*wanted, {"guest": "db", "device": "eth1"}])
    net.ip("link add link eth0 name foreign0 type macvtap")
    return net


def short(value):
    return str(value)[:70]


def keys(rows):
    """Attachments as words: "web0 web1" are NIC 0 and NIC 1 of guest web."""
    return " ".join(sorted(f"{row['guest']}{row['nic']}" for row in rows))


def there(host):
    """All attachments, without the link of another tool, which is there too."""
    assert host.link("foreign0")
    return keys(host.module("macvtap_info")["attachments"])


def test_guests_of_both_kinds_converge_in_one_task(net):
    result = net.converges(ATTACH, **BOTH)
    where = [[row[key] for key in ("guest", "nic", "network", "device", "mode")] for row in result["attachments"]]
    assert where == [
        ["web", 0, "vepanet", "eth0", "vepa"],
        ["web", 1, None, "eth1", "vepa"],
        ["mail", 0, "vepanet", "eth0", "vepa"],
        ["mail", 2, None, "eth1", "bridge"],
    ]
    assert result["guests"] == {"web": result["attachments"][:2], "mail": result["attachments"][2:]}
    assert result["guest_tap_paths"] == {"web": result["tap_paths"][:2], "mail": result["tap_paths"][2:]}
    assert all(net.opens(row) for row in result["attachments"])


def test_they_are_what_attachments_and_xml_make(net):
    net.attach(guest="web", attachments=[{"network": "vepanet"}, {"device": "eth1"}])
    net.attach(xml=DOMAIN % "mail")
    assert not net.converges(ATTACH, **BOTH)["changed"]


def test_every_option_of_a_nic_works_in_guests(net):
    nic = {"nic": 3, "device": "eth1", "mode": "private", "mac": "52:54:00:12:34:56", "ifname": "web-3", "mtu": 1400}
    nic |= {"queues": 2, "allmulticast": False, "promiscuous": True}
    (row,) = net.converges(ATTACH, guests=[{"name": "web", "nics": [nic]}])["guests"]["web"]
    assert {key: row[key] for key in nic} == nic


def test_a_guest_without_a_name_of_its_own_is_that_of_its_document(net):
    result = net.converges(ATTACH, guests=[{"xml": DOMAIN % "mail"}, {"name": "web", "xml": "<devices/>"}])
    assert {guest: len(rows) for guest, rows in result["guests"].items()} == {"mail": 2, "web": 0}


def test_a_way_that_is_left_empty_does_not_count(net):
    guests = [{**MAIL, "nics": []}, {**WEB, "xml": ""}, {"name": "none", "nics": []}]
    result = net.converges(ATTACH, default_network="vepanet", guests=guests)
    assert {guest: len(rows) for guest, rows in result["guests"].items()} == {"mail": 2, "web": 2, "none": 0}


def test_no_guests_are_no_nics(net):
    result = net.converges(ATTACH, guests=[])
    assert (result["changed"], result["guests"], result["guest_tap_paths"]) == (False, {}, {})


def test_attachments_return_guests_too(net):
    result = net.attach(guest="idle", attachments=[{"guest": "web", "network": "vepanet"}])
    assert result["guests"] == {"web": result["attachments"], "idle": []}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"guests": [{"name": "web", "nics": []}, {"name": "db"}, {"name": "c"}]}, "only these: 'db', 'c'; write nics"),
        ({"guests": [{**WEB, "xml": DOMAIN % "web"}]}, "guests[0] (guest 'web') has both nics and xml"),
        ({"guests": [WEB, {"nics": [{}]}]}, "guests[1] has no name"),
        ({"guests": [{}]}, "guests[0] has no name"),
        ({"guests": [{"name": "web", "xml": DOMAIN % "mail"}]}, "guests[0].xml is the domain 'mail'"),
        ({"guests": [{"name": "a\nb", "nics": []}]}, "guest"),
        ({"guests": [{"name": "web", "nics": [{"queues": 0}]}]}, "guests[0].nics[0]: queues 0"),
        ({"guests": [WEB]}, "guest web nic 0 (guests[0].nics[0]) names neither a network nor a device"),
        ({"guests": [WEB, WEB], "default_network": "nowhere"}, "network 'nowhere' is not defined here"),
        ({"guests": [{"name": "web", "nics": [{"mode": "bridge"}]}], "default_network": "vepanet"}, "names neither"),
        ({"guests": [WEB], "default_network": "a/b"}, "network name"),
        ({"guests": [WEB, {"name": "web", "xml": DOMAIN % "web"}], "default_network": "vepanet"}, "two NICs number 0"),
        ({"guests": [WEB], "guest": "web"}, "mutually exclusive"),
        ({"guests": [WEB], "attachments": []}, "mutually exclusive"),
        ({"guests": [WEB], "xml": DOMAIN % "web"}, "mutually exclusive"),
        ({}, "state=present requires attachments, guests or xml"),
    ],
    ids=short,
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(net, options, words):
    assert words in net.refusal(ATTACH, **options)


def test_a_default_network_is_for_nics_that_name_no_place(net):
    wanted = [{"guest": "a"}, {"guest": "b", "network": "other"}, {"guest": "c", "device": "eth1"}]
    rows = net.converges(ATTACH, attachments=wanted, default_network="vepanet")["attachments"]
    assert [row["network"] for row in rows] == ["vepanet", "other", None]


def test_a_default_network_may_be_one_that_is_only_predicted(host):
    network = host.network(name="new", devices=["eth1"], check=True)["network"]
    (row,) = host.module(
        ATTACH, check=True, guests=[{"name": "web", "nics": [{}]}], default_network="new", networks=[network]
    )["attachments"]
    assert (row["network"], row["device"]) == ("new", "eth1")


# -- purge -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"guests": [{"name": "web", "nics": [{}]}]}, "db0 db1 db2 web0"),
        ({"guests": [{"name": "web", "nics": [{}]}], "purge_scope": "network"}, "db1 db2 web0 web1"),
        ({"guests": [{"name": "web", "nics": [{}]}], "purge_scope": "host"}, "web0"),
        ({"guests": [{"name": "db", "nics": []}]}, "web0 web1"),
        ({"guests": [{"name": "db", "nics": []}], "purge_scope": "network"}, "web1"),
        ({"guests": [{"xml": NO_NICS % "db"}]}, "web0 web1"),
        ({"xml": NO_NICS % "db"}, "web0 web1"),
        ({"guests": []}, "db0 db1 db2 web0 web1"),
        ({"guests": [], "purge_scope": "network"}, "db1 db2 web1"),
        ({"guests": [], "purge_scope": "host"}, ""),
        ({"attachments": [{"guest": "web", "network": "other", "nic": 1}], "purge_scope": "network"}, "db2 web1"),
        ({"attachments": [{"guest": "web", "device": "eth1"}], "purge_scope": "host"}, "web0"),
    ],
    ids=short,
)  # fmt: skip
def test_a_purge_makes_exact_what_its_scope_says(crowd, options, left):
    crowd.converges(ATTACH, default_network="vepanet", purge=True, **options)
    assert there(crowd) == left


def test_a_network_that_no_nic_names_is_not_purged(crowd):
    before = there(crowd)
    crowd.converges(
        ATTACH, attachments=[{"guest": "db", "nic": 2, "device": "eth1"}], purge=True, purge_scope="network"
    )
    assert there(crowd) == before


def test_a_scope_without_purge_removes_nothing(crowd):
    assert not crowd.converges(ATTACH, guests=[], purge_scope="host")["changed"]


@pytest.mark.parametrize("scope", ["guests", "network", "host"])
def test_a_guest_that_moves_to_another_network_is_kept(crowd, scope):
    guests = [{"name": "web", "nics": [{"network": "other"}, {"network": "vepanet"}]}]
    rows = crowd.converges(ATTACH, guests=guests, purge=True, purge_scope=scope)["attachments"]
    assert [row["network"] for row in rows] == ["other", "vepanet"]


@pytest.mark.parametrize("scope", ["network", "host"])
def test_a_tap_that_is_open_is_not_purged_without_force(crowd, scope):
    (held,) = crowd.module("macvtap_info", guest="db", network="vepanet")["attachments"]
    holder = crowd.hold(held["tap_path"])
    options = {"default_network": "vepanet", "guests": [], "purge": True, "purge_scope": scope}
    assert held["ifname"] in crowd.refusal(ATTACH, **options)
    crowd.converges(ATTACH, force=True, **options)
    assert there(crowd) == ("" if scope == "host" else "db1 db2 web1")
    holder.close()


# -- state absent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ({"guests": [{"name": "web", "nics": [{}]}, {"name": "db", "nics": [{"nic": 2}]}]}, "db2 web0"),
        ({"guests": [{"name": "db"}]}, "db0 db1 db2"),
        ({"guests": [{"name": "db"}, {"name": "web", "nics": [{"nic": 1}]}]}, "db0 db1 db2 web1"),
        ({"guests": [{"name": "db"}], "network": "other"}, "db1"),
        ({"guests": [{"name": "db", "xml": DOMAIN % "db"}]}, "db0 db2"),
        ({"guests": [{"name": "db", "nics": []}]}, ""),
        ({"guests": []}, ""),
        ({"guests": [{"name": "nobody"}]}, ""),
    ],
    ids=short,
)  # fmt: skip
def test_absent_selects_what_present_would_attach_and_by_name_all(crowd, options, gone):
    before = there(crowd).split()
    result = crowd.converges(ATTACH, state="absent", **options)
    assert keys(result["attachments"]) == gone
    assert there(crowd) == " ".join(key for key in before if key not in gone.split())
    assert list(result["guests"]) == [entry["name"] for entry in options["guests"]]
    assert keys(row for rows in result["guests"].values() for row in rows) == gone
    paths = {guest: [row["tap_path"] for row in rows] for guest, rows in result["guests"].items()}
    assert result["guest_tap_paths"] == paths


def test_a_removed_link_without_an_owner_tag_has_no_guest(crowd):
    (mac,) = {crowd.link("foreign0")["address"]}
    result = crowd.detach(mac=[mac], guest=None)
    assert [row["ifname"] for row in result["attachments"]] == ["foreign0"] and result["guests"] == {}


@pytest.mark.parametrize("entry", [{**WEB, "xml": DOMAIN % "web"}, {"nics": [{}]}, {}], ids=short)
def test_an_entry_that_cannot_be_is_refused_with_absent_too(crowd, entry):
    before = there(crowd)
    with pytest.raises(ModuleFailed):
        crowd.detach(guests=[entry])
    assert there(crowd) == before
