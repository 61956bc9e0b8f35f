# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One task defines a network and attaches guests to it, or does neither."""

import pytest
from module_host import ModuleFailed

DEFINITION = "/etc/macvtap/networks/n.xml"
PLAIN = {"name": "n", "mode": "bridge", "devices": ["eth0"]}
XML = "<network><name>n</name><forward mode='bridge' dev='eth0'/></network>"
GUESTS = [{"name": "web", "nics": [{}, {}]}]


@pytest.mark.parametrize("define", [PLAIN, {"xml": XML}], ids=["plain", "xml"])
def test_network_and_guests_are_predicted_made_and_left_alone(host, define):
    before = host.snapshot()
    foretold = host.attach(define=define, guests=GUESTS, check=True)
    assert foretold["changed"] and host.snapshot() == before
    made = host.attach(define=define, guests=GUESTS)
    assert foretold["actions"] == made["actions"] and foretold["guest_tap_paths"] == made["guest_tap_paths"]
    assert [(row["network"], row["mode"]) for row in made["attachments"]] == [("n", "bridge")] * 2
    assert (made["network"]["name"], made["network"]["mode"], made["boot_files"]) == ("n", "bridge", False)
    for check in (True, False):
        again = host.attach(define=define, guests=GUESTS, check=check)
        assert (again["changed"], again["actions"]) == (False, [])
    assert host.network(name="n", mode="bridge", devices=["eth0"])["changed"] is False


def test_a_change_of_the_network_reaches_links_once_and_is_predicted_so(host):
    host.attach(define=PLAIN, guests=GUESTS)
    private = {**PLAIN, "mode": "private"}
    foretold = host.attach(define=private, guests=GUESTS, check=True)
    made = host.attach(define=private, guests=GUESTS)
    assert foretold["actions"] == made["actions"] and len(made["actions"]) == 3
    assert {row["mode"] for row in made["attachments"]} == {"private"}


def test_what_is_refused_of_the_guests_is_refused_before_the_network_is_written(host):
    taken = [{"name": "web", "nics": [{"mac": "02:00:00:00:00:01"}, {"mac": "02:00:00:00:00:01"}]}]
    assert "02:00:00:00:00:01" in host.refusal("macvtap_attach", define=PLAIN, guests=taken)


def test_a_task_that_fails_takes_the_definition_back(host):
    host.attach(define=PLAIN, guests=GUESTS)
    before, text = host.attach(define=PLAIN, guests=GUESTS)["attachments"], host.read(DEFINITION)
    host.run(["sh", "-c", "mkdir -p /srv/nodes && mount -t tmpfs -o size=4k,nr_inodes=1 nodes /srv/nodes"])
    more = [{"name": "db", "nics": [{}]}]
    with pytest.raises(ModuleFailed) as failed:
        host.attach(define={**PLAIN, "mode": "private"}, guests=more, device_dir="/srv/nodes")
    assert "The run was rolled back (steps: " in failed.value.message
    assert host.read(DEFINITION) == text
    assert host.attach(define=PLAIN, guests=GUESTS)["attachments"] == before
    assert host.links().keys() == {row["ifname"] for row in before}


def test_a_network_is_not_defined_by_a_task_that_removes(host):
    sentence = host.refusal("macvtap_attach", define=PLAIN, guests=GUESTS, state="absent")
    assert sentence.startswith("define requires state=present")
