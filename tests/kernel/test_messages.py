# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a message says is so: slips of the pen are named, and an ordinary user is told that root is needed."""

import json
import sys

import pytest
from module_host import ATTACH, NETWORK, ModuleFailed, warnings

INFO, PERSIST, PROBE, QEMU = "macvtap_info", "macvtap_persist", "macvtap_probe", "macvtap_qemu"
WEB = {"guest": "web", "device": "eth0"}

#: Is a module for a user without any right of root's. What it needs is imported before: a checkout may lie anywhere.
ORDINARY = """
import contextlib, importlib, os, sys
sys.path.insert(0, sys.argv[1])
from ansible.module_utils import basic
plugins = "ansible_collections.linuxnet.macvtap.plugins."
importlib.import_module(plugins + "module_utils._libvirt.network")
module = importlib.import_module(plugins + "modules." + sys.argv[2])
for way in ("c2m", "m2c"):
    with contextlib.suppress(ImportError):
        # ansible-core 2.19 and later; they are imported when options are read and when a result is written
        importlib.import_module(f"ansible.module_utils._internal._json._profiles._module_legacy_{way}")
basic._ANSIBLE_ARGS = sys.argv[3].encode()
basic._ANSIBLE_PROFILE = "legacy"
os.chdir("/")
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
module.main()
"""


# -- slips of the pen --------------------------------------------------------------------------------------------------


def test_an_undefined_network_is_reported_with_all_that_are_defined(host):
    for name in ("vepanet", "storage", "öffentlich"):
        host.network(name=name, devices=["eth0"])
    sentence = host.refusal(ATTACH, attachments=[{**WEB, "nic": 1}, {"guest": "db", "network": "vepnet"}])
    assert "guest db nic 0 (attachments[1]): network 'vepnet' is not defined here" in sentence
    assert "(defined: 'storage', 'vepanet', 'öffentlich'); write 'vepanet' if you mean that" in sentence
    given = [{"name": "given", "devices": ["eth0"]}]
    sentence = host.refusal(ATTACH, attachments=[{"guest": "db", "network": "x"}], networks=given)
    assert "(defined: 'given', 'storage', 'vepanet', 'öffentlich'); define it" in sentence
    nic = "<interface type='network'><source network='storge'/></interface>"
    xml = f"<domain><name>db</name><devices>{nic}</devices></domain>"
    assert "write 'storage'" in host.refusal(ATTACH, xml=xml)


def test_without_any_network_the_message_says_so(host):
    assert "(defined: none); define it" in host.refusal(ATTACH, attachments=[{"guest": "db", "network": "x"}])


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (ATTACH, {"xml": "/etc/libvirt/qemu/web.xml"}),
        (ATTACH, {"xml": ["<domain><name>a</name><devices/></domain>", "web.xml"]}),
        (ATTACH, {"xml": "/run/web.xml", "state": "absent"}),
        (ATTACH, {"attachments": [{"guest": "web", "network": "n"}], "networks": [{"name": "n", "xml": "~/n.xml"}]}),
        (NETWORK, {"xml": "/etc/libvirt/qemu/networks/default.xml"}),
        (NETWORK, {"xml": "/etc/libvirt/qemu/networks/default.xml", "state": "absent"}),
    ],
    ids=str,
)
def test_a_path_in_the_place_of_xml_is_refused_with_the_way_to_read_it(host, module, options):
    sentence = host.refusal(module, **options)
    assert "the path of a file" in sentence and "ansible.builtin.file" in sentence and "slurp" in sentence


@pytest.mark.parametrize(
    ("module", "options", "advice"),
    [
        (ATTACH, {"guest": "web", "device": "eth0"}, "device belongs in attachments or in guests.nics. Unsupported"),
        (ATTACH, {"guest": "web", "queues": 2, "mtu": 1400}, "mtu belongs in attachments or in guests.nics; queues"),
        (ATTACH, {"guest": "web", "devices": ["eth0"]}, "devices belongs in define or in networks"),
        (ATTACH, {"attachments": [{**WEB, "definitions_dir": "/x"}]}, "definitions_dir belongs beside attachments"),
        (ATTACH, {"attachments": [{**WEB, "que": 2}]}, "que is not an option here: did you mean queues?"),
        (ATTACH, {"guest": "web", "portgroups": "gold"}, "Unsupported parameters"),
        (ATTACH, {"guest": "web", "network": "n"}, "network requires state=absent, where it selects links"),
        (NETWORK, {"name": "n", "device": "eth0"}, "device is not an option here: did you mean devices or"),
        (NETWORK, {"nmae": "n", "devices": ["eth0"]}, "nmae is not an option here: did you mean name?"),
        (INFO, {"guests": "web"}, "guests is not an option here: did you mean guest?"),
        (PERSIST, {"atachments": []}, "did you mean attachments?"),
        (PROBE, {"devices": "eth0"}, "did you mean device or"),
        (QEMU, {"name": "web", "tap": []}, "did you mean taps?"),
    ],
    ids=str,
)
def test_an_option_in_the_wrong_place_is_refused_with_the_right_one(host, module, options, advice):
    assert advice in host.refusal(module, **options)


def test_a_filter_that_nothing_on_the_host_can_match_is_warned_of(host):
    host.network(name="vepanet", devices=["eth0"])
    (row,) = host.attach(attachments=[{"guest": "web", "network": "vepanet"}])["attachments"]
    host.ip("link add foreign0 link eth1 type macvtap")
    foreign = host.link("foreign0")["address"]
    for options in (
        {"guest": "web"}, {"network": "vepanet"}, {"device": "eth1"}, {"mac": [row["mac"].upper(), foreign]}, {},
        # known, and still without a row: nothing was mistyped
        {"guest": "web", "device": "eth1"},
    ):  # fmt: skip
        assert warnings(host.module(INFO, **options)) == [], options
    said = warnings(
        host.module(INFO, guest="wbe", network="vepnet", device="eth7", mac=["02:00:00:00:00:09", row["mac"]])
    )
    assert len(said) == 4
    assert said[0].startswith("there is no guest 'wbe' on this host (similar: 'web'), so the filter")
    assert said[1].startswith("there is no network 'vepnet' on this host (similar: 'vepanet')")
    assert said[2].startswith("there is no device 'eth7' on this host (similar: 'eth")
    assert said[3].startswith("there is no mac '02:00:00:00:00:09' on this host")
    # an orphan keeps its network known
    host.network(name="vepanet", state="absent", force=True)
    assert warnings(host.module(INFO, network="vepanet")) == []


# -- an ordinary user --------------------------------------------------------------------------------------------------


@pytest.fixture
def user(host):
    """Run a module as an ordinary user; returns its result."""
    host.network(name="n", devices=["eth0"])
    host.row = host.attach(attachments=[WEB])["attachments"][0]
    runner = host.start_unprivileged_runner()
    return lambda name, /, **options: host.module(name, runner=runner, **options)


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (ATTACH, {"attachments": [{"guest": "new", "device": "eth0"}]}),
        (ATTACH, {"attachments": [{**WEB, "mode": "bridge"}]}),
        (ATTACH, {"attachments": [WEB], "device_mode": "0666"}),
        (ATTACH, {"state": "absent", "guest": "web", "force": True}),
        (NETWORK, {"name": "m", "devices": ["eth0"]}),
        (NETWORK, {"name": "n", "state": "absent"}),
        # a boot makes links in the namespace of process 1, and this is another
        (PERSIST, {"attachments": "row", "root": "/etc/macvtap/image"}),
    ],
    ids=str,
)
def test_check_mode_without_root_warns_that_a_real_run_needs_it(host, user, module, options):
    if options.get("attachments") == "row":
        options = {**options, "attachments": [host.row]}
    before = host.snapshot()
    said = warnings(user(module, check=True, **options))
    assert [text for text in said if text.startswith("check mode ran as user 65534: a real run needs root")] == said
    assert len(said) == 1 and "become: true" in said[0]
    assert warnings(host.module(module, check=True, **options)) == []
    with pytest.raises(ModuleFailed, match="become: true"):
        user(module, **options)
    assert host.snapshot() == before


def test_check_mode_without_root_says_nothing_where_nothing_is_to_do(user):
    assert warnings(user(ATTACH, check=True, attachments=[WEB])) == []


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("state", ["started", "stopped", "absent"])
def test_a_guest_without_root_asks_for_root_and_blames_no_file(host, user, state, check):
    host.run(["sh", "-c", "umask 022; touch /run/web.img"])
    with pytest.raises(ModuleFailed, match=r"guests are managed as root.*become: true"):
        user(QEMU, check=check, name="web", state=state, taps=[host.row], image="/run/web.img", user="daemon")


@pytest.mark.parametrize("check", [True, False])
def test_a_root_that_cannot_become_the_guests_user_is_told_so_and_no_file_is_blamed(host, check):
    host.run(["sh", "-c", "umask 022; touch /run/web.img"])
    (row,) = host.attach(attachments=[WEB])["attachments"]
    runner = host.start_runner("setpriv", "--bounding-set=-setuid,-setgid", "--")
    with pytest.raises(ModuleFailed) as failed:
        options = {"name": "web", "taps": [row], "image": "/run/web.img", "user": "daemon"}
        host.module(QEMU, check=check, runner=runner, **options)
    assert failed.value.message.startswith("cannot see whether the guest's user may read image /run/web.img: setpriv: ")
    assert "CAP_SETUID" in failed.value.message


def test_the_probe_without_root_asks_for_root(user):
    with pytest.raises(ModuleFailed, match="become: true"):
        user(PROBE, device="eth0")


@pytest.mark.usefixtures("user")
def test_a_look_without_root_says_what_it_cannot_see(host):
    libvirt = "mkdir -p /run/libvirt/qemu /etc/libvirt/qemu/networks; chmod 700 /run/libvirt/qemu /etc/libvirt/qemu"
    host.run(["sh", "-c", libvirt])
    words = [sys.executable, "-c", ORDINARY, host.collections, INFO, json.dumps({"ANSIBLE_MODULE_ARGS": {}})]
    said = warnings(json.loads(host.run(words).stdout))
    assert any("the open files of pid" in text and "become: true" in text for text in said)
    hidden = "/etc/libvirt/qemu/networks and /run/libvirt/qemu"
    assert any(f"cannot read libvirt's files in {hidden} (Permission denied)" in text for text in said)
    assert warnings(host.module(INFO)) == []
