# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that dies at any step is repaired by the next one; a run that fails at any step is undone."""

import itertools

import pytest
from module_host import ATTACH, NETWORK, Killed, ModuleFailed

ON_ETH0 = [{"guest": guest, "device": "eth0"} for guest in ("a", "b")]
ON_BOTH = [{"guest": "a", "device": "eth1"}, {"guest": "b", "device": "eth0", "mode": "bridge", "ifname": "bee"}]
PASSTHROUGH = [{"guest": "p", "device": "eth0", "mode": "passthrough"}]
ON_NETWORK = [{"guest": guest, "network": "vepanet"} for guest in ("a", "b")]

#: what there was before, the run that dies, and the run that must find nothing to do in the end
CASES = {
    "create": ([], (ATTACH, {"attachments": ON_ETH0, "device_mode": "0660"}), None),
    "create passthrough": ([], (ATTACH, {"attachments": PASSTHROUGH}), None),
    "change and recreate": (
        [(ATTACH, {"attachments": ON_ETH0})],
        (ATTACH, {"attachments": ON_BOTH, "device_mode": "0660"}),
        None,
    ),
    "to passthrough": (
        [(ATTACH, {"attachments": [{"guest": "p", "device": "eth0"}]})],
        (ATTACH, {"attachments": PASSTHROUGH}),
        None,
    ),
    "remove": ([(ATTACH, {"attachments": ON_ETH0})], (ATTACH, {"state": "absent", "guest": "a"}), None),
    "purge": (
        [(ATTACH, {"attachments": [*ON_ETH0, {"guest": "a", "device": "eth1"}]})],
        (ATTACH, {"attachments": ON_ETH0, "purge": True}),
        None,
    ),
    "define": ([], (NETWORK, {"name": "vepanet", "devices": ["eth0"]}), None),
    "undefine": (
        [(NETWORK, {"name": "vepanet", "devices": ["eth0"]})],
        (NETWORK, {"name": "vepanet", "state": "absent"}),
        None,
    ),
    "network mode": (
        [(NETWORK, {"name": "vepanet", "devices": ["eth0"]}), (ATTACH, {"attachments": ON_NETWORK})],
        (NETWORK, {"name": "vepanet", "devices": ["eth0"], "mode": "bridge"}),
        (ATTACH, {"attachments": ON_NETWORK}),
    ),
    "network devices": (
        [(NETWORK, {"name": "vepanet", "devices": ["eth0"]}), (ATTACH, {"attachments": ON_NETWORK})],
        (NETWORK, {"name": "vepanet", "devices": ["eth1"]}),
        (ATTACH, {"attachments": ON_NETWORK}),
    ),
}


def prepare(host, steps):
    host.reset()
    for module, options in steps:
        host.module(module, **options)


@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_at_any_step_is_repaired_by_the_next(host, case):
    before, (module, options), then = CASES[case]
    macs = {uplink: host.link(uplink)["address"] for uplink in ("eth0", "eth1")}
    for step in itertools.count(1):
        prepare(host, before)
        try:
            host.module(module, luck={"kill_at": step}, **options)
        except Killed:
            died = True
        else:
            died = False
        host.module(module, **options)
        again = host.module(module, **options)
        assert (step, again["actions"]) == (step, [])
        if then:
            # a link that was to be made again and is gone can only be brought back by who knows the guest
            host.module(then[0], **then[1])
            assert (step, host.module(then[0], **then[1])["actions"]) == (step, [])
        links = host.links()
        assert (step, sorted(host.taps())) == (step, sorted(f"/dev/tap{link['ifindex']}" for link in links.values()))
        assert all(link.get("ifalias") and "UP" in link["flags"] for link in links.values())
        assert "new" not in host.run(["ls", "-A", "/etc/macvtap/networks"], check=False).stdout
        if not died:
            break
    assert step > 2
    host.reset()
    assert {uplink: host.link(uplink)["address"] for uplink in macs} == macs


@pytest.mark.parametrize("case", [case for case in CASES if case != "purge"])
def test_a_run_that_fails_at_any_step_is_undone(host, case):
    before, (module, options), _then = CASES[case]
    for step in itertools.count(1):
        prepare(host, before)
        was = comparable(host)
        try:
            result = host.module(module, luck={"fail_at": [step, 28]}, **options)
        except ModuleFailed as failed:
            assert failed.message and "\n" not in failed.message
            # what could not be taken back is said
            assert comparable(host) == was or "Rollback was incomplete" in failed.message, (step, failed)
            host.module(module, **options)
        else:
            assert result["changed"]
            break
        assert host.module(module, **options)["actions"] == []
    assert step > 1


def comparable(host):
    """The host as it is, without what a link made again cannot have kept: device and inode numbers, and statistics."""
    seen = host.snapshot()
    links = {row["ifname"]: {key: row.get(key) for key in ("ifindex", "address", "mtu", "flags", "link", "ifalias")}
             for row in seen["links"]}  # fmt: skip
    modes = {name: link["linkinfo"]["info_data"]["mode"] for name, link in host.links().items()}
    taps = {path: facts[:3] for path, facts in seen["taps"].items()}
    texts = {path: facts[-1] for path, facts in seen["definitions"].items()}
    return links, modes, taps, texts, seen["ipv6"]
