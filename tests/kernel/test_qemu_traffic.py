# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real guests on our taps: who reaches whom in which mode, and NICs that come and go while they ping.

All tests share three guests, which boot once: *web* (two queues) and *mail* on one hypervisor, *far* on another.
"""

import contextlib

import pytest
from lab import Lab
from module_host import ModuleHost, warnings
from qemu_lab import Guest, Watch, guest_image

WEB, MAIL, FAR = ("192.0.2.101", "2001:db8::101"), ("192.0.2.102", "2001:db8::102"), ("192.0.2.103", "2001:db8::103")
#: of the second NIC of mail; web has an address in the same network
WEB_TOO, MAIL_TOO = "198.51.100.101", "198.51.100.102"


def with_length(addresses):
    return [f"{address}/{64 if ':' in address else 24}" for address in addresses]


class Site:
    """The lab, the guests, and the watch over the hypervisor's own addresses."""

    def __init__(self, lab, hosts, boot):
        self.switch = lab.switch
        self.host = hosts[0]
        self.web = Guest(
            hosts[0],
            boot,
            "web",
            nics=[{"queues": 2}],
            addresses=[with_length([*WEB, WEB_TOO])],
            ping=[*MAIL, *FAR],
            cpus=2,
        )
        self.mail = Guest(
            hosts[0],
            boot,
            "mail",
            nics=[{}, {}],
            addresses=[with_length(MAIL), with_length([MAIL_TOO])],
            ping=[*WEB, WEB_TOO],
        )
        self.far = Guest(hosts[1], boot, "far", addresses=[with_length(FAR)], ping=WEB)
        # The second NIC comes later.
        self.first = self.mail.attachments[:1]
        for guest, taps in (
            (self.web, self.web.attachments),
            (self.mail, self.first),
            (self.far, self.far.attachments),
        ):
            guest.started(taps=taps)
        for guest in (self.web, self.mail, self.far):
            guest.wait_for("ready")
        own = [address.split("/")[0] for address in lab.hypervisors[0].addresses]
        self.watches = [Watch(lab.switch, address) for address in own]


@pytest.fixture(scope="module")
def site():
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(hypervisors=2, subnets=("192.0.2.0/24", "2001:db8::/64")))
        hosts = [stack.enter_context(ModuleHost(hypervisor, lab.directory)) for hypervisor in lab.hypervisors]
        yield Site(lab, hosts, stack.enter_context(guest_image()))


@pytest.fixture(autouse=True)
def reflecting(site):
    """Every test starts on a reflecting switch."""
    site.switch.set_hairpin(True)


@pytest.mark.parametrize("address", MAIL)
def test_guests_on_one_host_ping_each_other_through_a_reflecting_switch(site, address):
    assert site.web.reaches(address)


@pytest.mark.parametrize("address", MAIL)
def test_and_do_not_when_it_does_not_reflect(site, address):
    site.switch.set_hairpin(False)
    assert not site.web.reaches(address)


@pytest.mark.parametrize("address", MAIL)
def test_in_mode_bridge_they_do_not_need_the_switch(site, address):
    site.switch.set_hairpin(False)
    for guest in (site.web, site.mail):
        guest.attach(mode="bridge")
    try:
        assert site.web.reaches(address)
    finally:
        for guest in (site.web, site.mail):
            guest.attach()


@pytest.mark.parametrize("address", FAR)
def test_guests_on_two_hosts_ping_each_other_whether_it_reflects_or_not(site, address):
    assert site.web.reaches(address)
    site.switch.set_hairpin(False)
    assert site.web.reaches(address)


@pytest.mark.parametrize("address", WEB)
def test_pings_work_the_other_way_round(site, address):
    assert site.far.reaches(address)
    assert site.mail.reaches(address)


def test_qemu_runs_without_root_and_without_capabilities(site):
    status = dict(
        line.split(":\t", 1) for line in site.host.read(f"/proc/{site.web.pid()}/status").split("\n") if ":\t" in line
    )
    user = site.host.run(["id", "-u", "nobody"]).stdout.strip()
    assert user != "0"
    assert set(status["Uid"].split()) == {user}
    assert status["Groups"].strip() == ""
    assert {key: int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0
    )
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_the_guests_user_has_no_right_on_the_node(site):
    path = site.web.attachments[0]["tap_path"]
    assert site.host.run(["stat", "-c", "%a %u:%g", path]).stdout == "600 0:0\n"


def test_two_queues_are_two_openings_and_two_queues_in_the_guest(site):
    assert site.web.open_taps() == [site.web.attachments[0]["tap_path"]] * 2
    assert "rx_queues=2 tx_queues=2" in site.web.wait_for("nic eth0").group(0)


def test_the_guest_sees_mac_and_mtu_of_its_link(site):
    attachment = site.web.attachments[0]
    assert f"mac={attachment['mac']} mtu={attachment['mtu']} " in site.web.wait_for("nic eth0").group(0)


def test_a_second_run_changes_nothing(site):
    assert site.web.started()["actions"] == []


def test_a_nic_is_plugged_in_and_unplugged_while_the_guest_pings(site):
    mail = site.mail
    mark = mail.mark()
    mac = mail.attachments[1]["mac"]
    foretold = mail.started(check=True)
    done = mail.started()
    assert foretold["actions"] == done["actions"] == [f"plug NIC 1 ({mac}) into guest mail"]
    assert f"mac={mac}" in mail.wait_for("nic eth1", since=mark).group(0)
    assert mail.reaches(WEB_TOO)
    assert mail.started()["changed"] is False

    unplugged = mail.started(taps=site.first)
    assert unplugged["actions"] == [f"unplug NIC 1 ({mac}) of guest mail"]
    assert unplugged["released"] == [{"nic": 1, "mac": mac}]
    mail.wait_for("gone eth1", since=mark)
    assert mail.open_taps() == [site.first[0]["tap_path"]]
    assert not mail.reaches(WEB_TOO)
    for address in WEB:
        assert None not in mail.pings(address, since=mark, count=15)


def test_a_guest_whose_link_was_recreated_under_it_is_reported_and_replugged(site):
    far, (row,) = site.far, site.far.attachments
    far.host.ip(f"link del {row['ifname']}")
    far.host.run(["rm", "-f", row["tap_path"]])
    dead = f"pid {far.pid()} (qemu-system-x86) has a tap open whose link is gone"
    assert dead in warnings(far.host.module("macvtap_info"))[0]
    far.attachments = far.attach()
    # its path is that of the dead tap, and so may its number be: only the kernel knows better
    assert far.attachments[0]["tap_path"] == row["tap_path"]
    (again,) = far.host.module("macvtap_info")["attachments"]
    assert again["holders"] == []
    actions = [f"unplug NIC 0 ({row['mac']}) of guest far", f"plug NIC 0 ({row['mac']}) into guest far"]
    mark = far.mark()
    assert far.started(check=True)["actions"] == far.started()["actions"] == actions
    far.wait_for("nic eth0", since=mark)
    assert far.started()["changed"] is False and warnings(far.host.module("macvtap_info")) == []
    assert far.reaches(WEB[0])


def test_a_guest_shuts_down_by_its_power_button_and_its_links_go_by_mac(site):
    mark = site.far.mark()
    assert site.far.ended("stopped")["actions"] == ["stop guest far"]
    site.far.wait_for("off", since=mark)
    assert site.far.ended("absent")["changed"]
    mac = site.far.attachments[0]["mac"]
    assert len(site.far.host.detach(mac=[mac])["attachments"]) == 1
    assert site.far.host.links() == {}


# The last one: it looks back on all the others.
def test_the_hosts_own_addresses_stayed_reachable_throughout(site):
    for watch in site.watches:
        lost, sent = watch.lost()
        assert sent
        assert lost == 0, watch.address
