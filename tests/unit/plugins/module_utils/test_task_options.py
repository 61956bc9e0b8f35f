# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From option values to the model: every value is checked, by name."""

from __future__ import annotations

import types

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Network, NodePolicy
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import options


def entry(**values):
    """An entry of ``attachments`` as AnsibleModule hands it over."""
    return {"guest": None, **{name: spec.get("default") for name, spec in options.NIC.items()}, **values}


def task(**values):
    """Options of a task as AnsibleModule hands them over."""
    return {
        "device_dir": "/dev",
        **{name: spec.get("default") for name, spec in options.NIC_DEFAULTS.items()},
        **values,
    }


def policy(**values):
    return options.node_policy({"device_dir": "/dev", **values})


def test_entries_become_nics_in_order():
    nics = options.nics([entry(guest="web", device="eth0"), entry(guest="db", network="n")])
    assert [(nic.guest, nic.device, nic.network, nic.origin) for nic in nics] == [
        ("web", "eth0", None, "attachments[0]"),
        ("db", None, "n", "attachments[1]"),
    ]


def test_a_mac_is_brought_into_one_spelling():
    assert options.nics([entry(mac="52:54:0:AA:b:1")])[0].mac == "52:54:00:aa:0b:01"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"guest": "a\nb"}, "guest"),
        ({"guest": ""}, "guest"),
        ({"network": "../../x"}, "network name"),
        ({"device": "a/b"}, "device"),
        ({"ifname": "sixteen-byte-nam"}, "ifname"),
        ({"ifname": "tap%d"}, "ifname"),
        ({"mac": "01:00:5e:00:00:01"}, "multicast"),
        ({"mac": "52:54"}, "52:54"),
        ({"nic": -1}, "nic -1"),
        ({"queues": 0}, "queues 0"),
        ({"queues": 257}, "queues 257"),
        ({"broadcast_queue": 0}, "broadcast_queue 0 is not possible; it must be 1 to 4294967295"),
        ({"broadcast_queue": 1 << 32}, "broadcast_queue 4294967296"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_entry_and_the_option(values, words):
    with pytest.raises(InvalidInput, match=r"attachments\[1\].*" + words):
        options.nics([entry(guest="web"), entry(**values)])


def test_a_network_is_vepa_by_default():
    assert options.network("n", None, ["eth0", "eth1"]) == Network("n", "vepa", ("eth0", "eth1"))


@pytest.mark.parametrize("devices", [None, []])
def test_a_network_without_a_device_is_refused(devices):
    with pytest.raises(InvalidInput, match="no lower device"):
        options.network("n", "vepa", devices)


def test_a_device_listed_twice_is_refused():
    with pytest.raises(InvalidInput, match="'n' lists device eth0 twice"):
        options.network("n", "vepa", ["eth0", "eth1", "eth0"])


def test_what_is_not_given_is_not_managed():
    assert policy() == NodePolicy("/dev", None, None, None)


def test_owner_and_group_may_be_names_or_numbers():
    assert policy(device_owner="root", device_group="4711")[1:3] == (0, 4711)


@pytest.mark.parametrize("option", ["device_owner", "device_group"])
@pytest.mark.parametrize("value", ["nobody-has-this-name", "", "4294967295", "-1", "²"])
def test_an_unknown_owner_or_group_is_refused_by_name(option, value):
    with pytest.raises(InvalidInput, match=option):
        policy(**{option: value})


def test_a_mode_is_octal_text():
    assert policy(device_mode="0660").mode == 0o660


@pytest.mark.parametrize("mode", ["660", "432", "0999", "rw-rw----", "01777", "", "0660 "])
def test_any_other_mode_is_refused_with_the_way_to_write_it(mode):
    with pytest.raises(InvalidInput, match="'0660'"):
        policy(device_mode=mode)


@pytest.mark.parametrize("path", ["dev", "./dev", ""])
def test_a_relative_directory_is_refused(path):
    for option in options.SHARED:
        with pytest.raises(InvalidInput, match="%s '%s' is not an absolute path" % (option, path)):
            options.check_shared({**dict.fromkeys(options.SHARED, "/dev"), option: path})


def test_a_slash_at_the_end_of_the_directory_makes_no_other_path():
    assert policy(device_dir="/dev/").path(7) == "/dev/tap7"


def test_a_nic_has_the_values_of_its_task_where_it_has_none_of_its_own():
    asked = options.nics([entry(), entry(link_state="up", isolate_host=True, device_mode="0600"), entry(mtu=1400)])
    made = options.with_defaults(asked, task(link_state="down", isolate_host=False, device_mode="0660"))
    assert [(nic.settings["link_state"], nic.settings["isolate_host"]) for nic in made] == [
        ("down", False),
        ("up", True),
        ("down", False),
    ]
    assert [nic.policy.mode for nic in made] == [0o660, 0o600, 0o660]
    assert made[2].settings["mtu"] == 1400


def test_each_user_and_group_is_looked_up_once(monkeypatch):
    asked = []

    def look_up(name):
        asked.append(name)
        return types.SimpleNamespace(pw_uid=len(asked), gr_gid=len(asked))

    monkeypatch.setattr(options.pwd, "getpwnam", look_up)
    monkeypatch.setattr(options.grp, "getgrnam", look_up)
    entries = [entry(guest=f"g{number}", device_owner=f"u{number % 3}", device_group="kvm") for number in range(1000)]
    made = options.with_defaults(options.nics(entries), task())
    assert sorted(asked) == ["kvm", "u0", "u1", "u2"]
    assert made[0].policy == made[999].policy != made[1].policy


@pytest.mark.parametrize("option", ["device_owner", "device_group", "device_mode"])
def test_an_owner_that_is_not_there_is_refused_with_its_nic(option):
    asked = options.nics([entry(guest="web"), entry(guest="db", **{option: "nobody-has-this-name"})])
    with pytest.raises(InvalidInput, match=rf"attachments\[1\] \(guest db\): {option}"):
        options.with_defaults(asked, task())
    # nor may the task's be wrong when every NIC has its own
    with pytest.raises(InvalidInput, match=f"^{option}"):
        options.with_defaults(options.nics([entry(**{option: "0600"})]), task(**{option: "nobody-has-this-name"}))
