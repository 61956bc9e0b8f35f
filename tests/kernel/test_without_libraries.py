# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts without lxml, without pyroute2, and without both: what needs neither works, all else names the package."""

import re

import pytest
from module_host import warnings

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import PACKAGES

XML = (
    "<network><name>n</name><uuid>b6f5bbd4-5a5a-4d3e-9c8e-0d6f2a4f7a01</uuid>"
    "<forward mode='vepa' dev='eth0'/></network>"
)
PLAIN = {"name": "n", "devices": ["eth0"]}
GUEST = [{"guest": "web", "network": "n"}]
DEFINITION = "/etc/macvtap/networks/n.xml"


@pytest.fixture(params=[("lxml",), ("pyroute2",), ("lxml", "pyroute2")], ids=" ".join)
def missing(request):
    """Names of the libraries that are not there."""
    return request.param


@pytest.fixture
def without(host, missing):
    """Run a module where they are missing."""
    runner = host.start_runner_without(*missing)
    return lambda module, /, **options: host.module("macvtap_" + module, runner=runner, **options)


@pytest.fixture
def without_lxml(host, clean_boot):
    return host.start_runner_without("lxml")


def names_the_package(sentence, library):
    return PACKAGES[library] in sentence and "No module named '%s'" % library in sentence


def test_plain_options_need_no_library(host, without, missing, clean_boot):
    def settles(module, /, **options):
        """Check, apply, check, apply; returns the first result."""
        foretold, done, *again = [without(module, check=check, **options) for check in (True, False, True, False)]
        assert foretold["changed"] and done["changed"] and foretold["actions"] == done["actions"]
        assert [result["changed"] for result in again] == [False, False]
        return done

    settles("network", **PLAIN)
    attached = settles("attach", attachments=GUEST, device_mode="0660")
    settles("network", name="n", devices=["eth0", "eth1"])
    settles("network", name="n", devices=["eth1", "eth0"], mode="private")
    # the definition, and the link that the text moved, are what a host with all libraries has
    settled = host.network(name="n", devices=["eth1", "eth0"], mode="private")
    assert not settled["changed"] and settled["network"]["xml"] == host.read(DEFINITION) + "\n"

    told = without("info")
    (row,) = told["attachments"]
    (network,) = told["networks"]
    assert (row["problems"], network["problems"], network["mode"]) == ([], [], "private")
    said = [words for words in warnings(told) if names_the_package(words, "pyroute2")]
    assert (bool(said), row["statistics"] == {}) == ("pyroute2" in missing,) * 2

    settles("persist", attachments=attached["attachments"], reload=False)
    settles("persist", state="absent", network="n", reload=False)
    assert without("probe", device="eth0")["reflective_relay"] is True
    for state in ("stopped", "absent"):
        without("qemu", name="web", state=state, supervisor="none")
    settles("attach", attachments=GUEST, link_state="down", isolate_host=False)
    settles("attach", state="absent", guest="web")
    settles("network", name="n", state="absent")


def test_a_definition_handed_on_by_a_task_is_read_too(host, without):
    network = without("network", check=True, **PLAIN)["network"]
    given = [{"name": "n", "mode": network["mode"], "devices": ["eth0"], "xml": network["xml"]}]
    assert without("attach", check=True, attachments=GUEST, networks=given)["changed"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("macvtap_network", {"xml": XML}),
        ("macvtap_network", {"xml": XML, "state": "absent"}),
        ("macvtap_attach", {"xml": "<domain><name>web</name></domain>"}),
        ("macvtap_attach", {"xml": "<domain><name>web</name></domain>", "state": "absent"}),
        ("macvtap_attach", {"attachments": GUEST, "networks": [{"name": "n", "xml": XML}]}),
    ],
)
def test_xml_without_lxml_names_the_package(host, without_lxml, name, options):
    sentence = host.refusal(name, runner=without_lxml, **options)
    assert names_the_package(sentence, "lxml") and re.match(r"reading (the network XML|xml) requires ", sentence)


def test_a_definition_from_xml_without_lxml(host, without_lxml):
    host.network(xml=XML)
    host.attach(attachments=GUEST)
    (row,) = host.attach(attachments=GUEST)["attachments"]
    changes = (
        ("macvtap_attach", {"attachments": [{"guest": "db", "network": "n"}]}),
        ("macvtap_network", {"name": "n", "devices": ["eth1"]}),
    )
    for name, options in changes:
        sentence = host.refusal(name, runner=without_lxml, **options)
        assert names_the_package(sentence, "lxml") and "definition " + DEFINITION in sentence
    told = host.module("macvtap_info", runner=without_lxml)
    ((problem,),) = [network["problems"] for network in told["networks"]]
    assert names_the_package(problem, "lxml") and [each["ifname"] for each in told["attachments"]] == [row["ifname"]]
    # what needs no look into the definition works
    assert host.module("macvtap_attach", runner=without_lxml, state="absent", network="n")["changed"]
    assert host.module("macvtap_network", runner=without_lxml, name="n", state="absent")["changed"]


def test_nothing_is_said_of_a_network_of_libvirt_that_cannot_be_compared(host, without_lxml):
    theirs = "/etc/libvirt/qemu/networks/n.xml"
    host.run(["sh", "-c", 'mkdir -p ${1%/*} && printf %s "$0" > $1', XML, theirs])
    try:
        (said,) = warnings(host.module("macvtap_network", runner=without_lxml, **PLAIN))
        assert said.startswith("libvirt has a network 'n' too (%s): its guests" % theirs)
    finally:
        host.run(["rm", "-r", theirs])


def test_a_lower_device_that_is_down_without_pyroute2_is_refused_before_anything_is_changed(host):
    runner = host.start_runner_without("pyroute2")
    host.ip("link set eth0 down")
    attach = {"attachments": [{"guest": "web", "device": "eth0"}]}
    for module, options in (("macvtap_network", PLAIN), ("macvtap_attach", attach)):
        sentence = host.refusal(module, runner=runner, **options)
        assert names_the_package(sentence, "pyroute2") and sentence.startswith("bringing up a lower device requires ")


def test_a_guest_whose_files_cannot_be_looked_at_is_told_why(host):
    path = "/usr/bin/test"
    options = {"name": "web", "image": "/etc/hostname", "image_format": "raw", "binary": "/bin/true", "user": "nobody"}
    # a file that nobody can run
    host.run(["mount", "--bind", "/etc/hostname", path])
    try:
        sentence = host.refusal("macvtap_qemu", accelerator="tcg", supervisor="none", **options)
    finally:
        host.run(["umount", path])
    said = "cannot see whether the guest's user may read .*%s: .*; this takes setpriv .util-linux"
    assert re.match(said % path, sentence)
