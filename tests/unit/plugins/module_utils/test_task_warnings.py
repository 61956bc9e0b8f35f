# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is warned of: when, in which words, and that the words are among the problems."""

from __future__ import annotations

import pytest
from scene import host, macvtap

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Network
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.sysfs import wireless
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.problems import Survey
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.warnings import of_devices, of_probe


@pytest.mark.parametrize("sign", ["phy80211", "wireless"])
def test_a_wireless_device_is_told_by_its_shape_in_sysfs(tmp_path, sign):
    for name in ("eth0", "wlan0"):
        (tmp_path / "class" / "net" / name).mkdir(parents=True)
    (tmp_path / "class" / "net" / "wlan0" / sign).mkdir()
    assert wireless(["eth0", "wlan0", "gone0"], str(tmp_path)) == ["wlan0"]


def test_each_wireless_device_is_told_once():
    first, second = of_devices({"wlan1", "wlan0"})
    assert first.startswith("lower device wlan0 is wireless: ") and second.startswith("lower device wlan1 ")
    assert of_devices([]) == []


def test_a_wireless_device_is_a_problem_of_its_networks_and_links_and_of_no_others():
    link = macvtap(50, "macvtap0", "web", network="n")
    there = host(link, macvtap(51, "macvtap1", "db", lower=3))
    networks = {"n": Network("n", "vepa", ("eth0",)), "m": Network("m", "vepa", ("eth1",))}
    survey = Survey(there, networks, {}, ["eth0"])
    assert of_devices(["eth0"])[0] in survey.of_link(link, None, "/dev/tap50", [])
    assert survey.of_network(networks["n"]) == of_devices(["eth0"])
    assert survey.of_network(networks["m"]) == []
    assert not set(of_devices(["eth0"])) & set(survey.of_link(there.by_name["macvtap1"], None, "/dev/tap51", []))


@pytest.mark.parametrize(
    ("reflects", "full_mtu", "vepa", "words"),
    [
        (True, True, 2, None),
        (True, False, 0, "none with the 9000 bytes"),
        (False, None, 0, None),
        (False, None, 1, None),
        (False, None, 2, "the 2 NICs in mode vepa"),
    ],
)
def test_what_the_answer_of_a_port_means(reflects, full_mtu, vepa, words):
    told = of_probe("eth0", {"reflective_relay": reflects, "full_mtu": full_mtu}, vepa, 9000)
    assert [words in text and "switch port of eth0" in text for text in told] == ([True] if words else [])
