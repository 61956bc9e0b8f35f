# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way to ask for attachments: check mode foretells it exactly, one run does it, the next finds nothing to do."""

import pytest
from module_host import ATTACH

WEB = {"guest": "web", "device": "eth0"}
DOMAIN = """<domain type='kvm'><name>web</name><devices>
<interface type='network'><source network='vepanet'/><mac address='52:54:0:12:34:5a'/><model type='virtio'/></interface>
<interface type='user'/>
<interface type='direct'><source dev='eth1' mode='bridge'/><target dev='web2'/><link state='down'/></interface>
</devices></domain>"""


@pytest.mark.parametrize(
    "options",
    [
        {"attachments": [WEB]},
        {"attachments": []},
        {"guest": "web", "attachments": [{"device": "eth0"}, {"device": "eth1"}, {"device": "eth0", "nic": 7}]},
        {"attachments": [WEB, {"guest": "db", "device": "eth0"}, WEB, {"guest": "db", "device": "eth1"}]},
        {"attachments": [{**WEB, "mode": "bridge"}]},
        {"attachments": [{**WEB, "mode": "private"}]},
        {"attachments": [{**WEB, "mode": "passthrough"}]},
        {"attachments": [{**WEB, "mac": "52:54:00:12:34:56"}]},
        {"attachments": [{**WEB, "ifname": "web-0"}, WEB]},
        {"attachments": [{**WEB, "mtu": 1280}]},
        {"attachments": [{**WEB, "mtu": 1279}]},
        {"attachments": [{**WEB, "mtu": 68}]},
        {"attachments": [{**WEB, "queues": 4}]},
        {"attachments": [{**WEB, "allmulticast": False, "promiscuous": True}]},
        {"attachments": [WEB], "link_state": "down"},
        {"attachments": [WEB], "isolate_host": False},
        {"attachments": [{**WEB, "mtu": 1000}], "isolate_host": False},
        {"attachments": [WEB, WEB], "stable_index": False},
        {"attachments": [WEB], "mac_prefix": "52:54:00"},
        {"attachments": [WEB], "device_owner": "nobody", "device_group": "65533", "device_mode": "0660"},
        {"attachments": [WEB], "device_dir": "/run/lock"},
        {"guest": "web", "attachments": [WEB], "purge": True},
        {"attachments": [{"guest": "web", "network": "given"}], "networks": [{"name": "given", "devices": ["eth1"]}]},
    ],
    ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items())[:90],
)
def test_an_attachment_converges(host, options):
    result = host.converges(ATTACH, **options)
    assert result["changed"] == bool(options["attachments"])
    assert len(result["attachments"]) == len(options["attachments"])
    assert result["tap_paths"] == [row["tap_path"] for row in result["attachments"]]
    assert all(host.opens(row) for row in result["attachments"])


def test_a_domain_document_converges(host):
    host.network(name="vepanet", devices=["eth0"])
    first, second = host.converges(ATTACH, xml=DOMAIN)["attachments"]
    assert (first["guest"], first["nic"], first["network"], first["device"]) == ("web", 0, "vepanet", "eth0")
    assert (first["mac"], first["mode"], first["link_state"]) == ("52:54:00:12:34:5a", "vepa", "up")
    assert (second["nic"], second["device"], second["mode"]) == (2, "eth1", "bridge")
    assert (second["ifname"], second["link_state"]) == ("web2", "down")


def test_several_domain_documents_converge_in_one_task(host):
    host.network(name="vepanet", devices=["eth0"])
    other = DOMAIN.replace(">web<", ">db<").replace("34:5a", "34:5b").replace("web2", "db2")
    rows = host.converges(ATTACH, xml=[DOMAIN, other])["attachments"]
    assert [(row["guest"], row["nic"]) for row in rows] == [("web", 0), ("web", 2), ("db", 0), ("db", 2)]


def test_the_result_is_what_the_kernel_has(host):
    row = host.attach(attachments=[{**WEB, "mtu": 1400, "mode": "private"}], device_mode="0640")["attachments"][0]
    link = host.links()[row["ifname"]]
    assert (row["ifindex"], row["mac"], row["mtu"]) == (link["ifindex"], link["address"], link["mtu"])
    assert (row["device"], row["mode"]) == (link["link"], link["linkinfo"]["info_data"]["mode"])
    assert row["tap_path"] == f"/dev/tap{link['ifindex']}"
    assert (row["tap_owner"], row["tap_group"], row["tap_mode"]) == ("root", "root", "0640")
    assert {"UP", "NOARP", "ALLMULTI"} <= set(link["flags"])
    assert host.ipv6_disabled(row["ifname"])


def test_the_alias_says_whose_link_it_is(host):
    host.network(name="vepanet", devices=["eth0"])
    host.attach(attachments=[{"guest": "web", "network": "vepanet", "queues": 2}])
    assert host.link("macvtap0")["ifalias"] == "linuxnet.macvtap guest=web nic=0 network=vepanet queues=2"


def test_an_owner_without_a_name_is_shown_as_a_number(host):
    row = host.attach(attachments=[WEB], device_owner="4711", device_group="4712")["attachments"][0]
    assert (row["tap_owner"], row["tap_group"]) == ("4711", "4712")


def test_a_detached_guest_gets_the_same_path_and_mac_again(host):
    options = {"attachments": [WEB, {"guest": "web", "device": "eth1"}]}
    before = host.attach(**options)["attachments"]
    host.attach(attachments=[{"guest": "other", "device": "eth0"}])
    host.detach(guest="web")
    host.attach(attachments=[{"guest": "another", "device": "eth0"}])
    after = host.attach(**options)["attachments"]
    assert [(row["tap_path"], row["mac"]) for row in after] == [(row["tap_path"], row["mac"]) for row in before]


def test_derived_macs_have_the_prefix_and_are_unicast(host):
    rows = host.attach(attachments=[WEB, WEB, {"guest": "db", "device": "eth0"}], mac_prefix="52:54:00")["attachments"]
    assert len({row["mac"] for row in rows}) == 3
    assert all(row["mac"].startswith("52:54:00:") for row in rows)


def test_without_stable_index_the_kernels_next_index_is_taken(host):
    highest = max(host.link(name)["ifindex"] for name in ("lo", "eth0", "eth1"))
    rows = host.attach(attachments=[WEB, WEB], stable_index=False)["attachments"]
    assert [row["ifindex"] for row in rows] == [highest + 1, highest + 2]


def test_an_existing_attachment_keeps_its_index_whatever_stable_index_says(host):
    before = host.attach(attachments=[WEB], stable_index=False)["attachments"]
    again = host.attach(attachments=[WEB])
    assert (again["changed"], again["attachments"]) == (False, before)


def test_the_diff_shows_a_change_before_and_after(host):
    host.attach(attachments=[WEB])
    result = host.attach(attachments=[{**WEB, "mode": "bridge"}])
    assert result["diff"] == {"before": {"macvtap0": {"mode": "vepa"}}, "after": {"macvtap0": {"mode": "bridge"}}}


def test_following_the_lower_device_means_its_mtu_as_it_is_now(host):
    host.attach(attachments=[WEB])
    host.ip("link set eth0 mtu 9000")
    assert host.converges(ATTACH, attachments=[WEB])["attachments"][0]["mtu"] == 9000


def test_everything_changes_in_one_run(host):
    host.attach(attachments=[WEB])
    wanted = {**WEB, "mode": "private", "mac": "02:00:00:00:00:77", "ifname": "zz", "mtu": 1300, "promiscuous": True}
    changed = host.converges(
        ATTACH, attachments=[{**wanted, "allmulticast": False, "queues": 4}], link_state="down", isolate_host=False
    )
    assert len(changed["actions"]) == 1
    back = host.converges(ATTACH, attachments=[{**WEB, "ifname": "macvtap0"}])
    assert back["attachments"][0]["ifname"] == "macvtap0"


@pytest.mark.parametrize("mtu", [68, 1279])
def test_an_mtu_too_small_for_ipv6_is_set_on_a_live_link_and_taken_back(host, mtu):
    host.attach(attachments=[WEB])
    host.converges(ATTACH, attachments=[{**WEB, "mtu": mtu}])
    host.converges(ATTACH, attachments=[{**WEB, "mtu": 0}])
    assert host.ipv6_disabled("macvtap0")
    assert "inet6" not in host.run(["ip", "address", "show", "dev", "macvtap0"]).stdout


def test_a_lower_device_that_is_down_is_brought_up_and_not_touched_otherwise(host):
    host.ip("link set eth1 mtu 1400 down", "address replace 198.51.100.1/24 dev eth1")
    result = host.converges(ATTACH, attachments=[{"guest": "web", "device": "eth1"}])
    assert result["actions"][0] == "bring up lower device eth1"
    assert host.link("eth1")["mtu"] == 1400 and "UP" in host.link("eth1")["flags"]
    assert "198.51.100.1/24" in host.run(["ip", "address", "show", "dev", "eth1"]).stdout
    # it went down since: drift, repaired as all other is
    host.ip("link set eth1 down")
    again = host.converges(ATTACH, attachments=[{"guest": "web", "device": "eth1"}])
    assert again["actions"] == ["bring up lower device eth1"]
    host.ip("link set eth1 mtu 1500", "address flush dev eth1")


def test_the_interface_for_libvirt_names_mac_and_link(host):
    row = host.attach(attachments=[{**WEB, "ifname": "a'b<c&d", "queues": 2}])["attachments"][0]
    assert row["mac"] in row["libvirt_xml"] and "managed='no'" in row["libvirt_xml"].replace('"', "'")
    assert "a'b<c" not in row["libvirt_xml"]
