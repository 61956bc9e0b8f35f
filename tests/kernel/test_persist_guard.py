# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A boot sets guards before links are up, and brings no link up whose guard it cannot set."""

import pytest
from persist_lab import PERSIST, play_boot

pytestmark = pytest.mark.usefixtures("clean_boot")

NICS = [
    {"guest": "web", "device": "eth0", "ifname": "web0", "guard": {"addresses": ["192.0.2.9"], "vlans": [20]}},
    {"guest": "db", "device": "eth1", "ifname": "db0", "guard": {"vlans": [30]}},
    {"guest": "free", "device": "eth0", "ifname": "free0"},
]
FORGET = "nft flush ruleset; for link in web0 db0 free0; do ip link delete $link; done; rm -f /dev/tap*"


@pytest.fixture
def persisted(host):
    rows = host.attach(attachments=NICS)["attachments"]
    host.module(PERSIST, attachments=rows)
    assert host.module(PERSIST, attachments=rows)["changed"] is False
    host.run(["sh", "-c", FORGET])
    return rows


def up(host):
    return {name for name, link in host.links().items() if "UP" in link["flags"]}


def test_a_boot_sets_the_guards_that_a_task_would_set(host, persisted):
    for device in ("eth0", "eth1", "eth0"):
        assert play_boot(host, device)[-1].returncode == 0
    found = host.module("macvtap_info")["attachments"]
    assert {row["ifname"]: row["guard"] for row in found} == {row["ifname"]: row["guard"] for row in persisted}
    assert [row["problems"] for row in found] == [[], [], []]
    again = host.attach(attachments=NICS)
    # nodes are this namespace's own, and its boot has no udev
    assert [words for words in again["actions"] if "guard" in words or "change" in words] == []


@pytest.mark.parametrize(
    "trouble",
    [
        "mv $(command -v nft) /run/nft.away",
        "nft add table netdev linuxnet_macvtap '{ set mac { type ether_addr; } ; }'",
    ],
)
def test_a_link_whose_guard_cannot_be_set_stays_down_and_the_unit_fails(host, persisted, trouble):
    place = host.run(["sh", "-c", "command -v nft"]).stdout.strip()
    host.run(["sh", "-c", trouble.replace("; } ; }", "\n}\n}")])
    try:
        last = play_boot(host, "eth0")[-1]
        assert last.returncode != 0 and "left down, since nft could not set the guard" in last.stderr
        assert up(host) == {"free0"} and "web0" in host.links()
    finally:
        host.run(["sh", "-c", f"[ -e {place} ] || mv /run/nft.away {place}"])
    host.run(["nft", "flush", "ruleset"])
    assert play_boot(host, "eth0")[-1].returncode == 0
    assert up(host) == {"web0", "free0"}
    assert {row["guest"]: row["problems"] for row in host.module("macvtap_info")["attachments"]} == {
        "web": [],
        "free": [],
    }
