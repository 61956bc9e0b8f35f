# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guarded guest sends what it may and nothing else: random frames through a real tap, judged by a second parser.

GUARD_FRAMES=1000000 sends as many frames in all, GUARD_SEED repeats a run.
"""

import json
import os
import pathlib
import random
import sys

import pytest

AGENT = pathlib.Path(__file__).with_name("support") / "guard_frames.py"
MAC = "02:00:00:00:00:01"
ADDRESSES = ["192.0.2.10", "198.51.100.0/24", "2001:db8::10", "2001:db8:1::/64"]
#: mode → guard
CASES = {
    "vepa": {"addresses": ADDRESSES, "vlans": [20, 30]},
    "bridge": {"addresses": ADDRESSES, "other_protocols": False},
    "private": {"vlans": [20], "dhcp_server": True},
    "passthrough": {"addresses": [], "mac": False, "stp": True, "router_advertisements": True},
}
FRAMES = int(os.environ.get("GUARD_FRAMES", "100000"))
SEED = int(os.environ.get("GUARD_SEED", random.randrange(1 << 32)))


@pytest.mark.parametrize("mode", CASES)
def test_what_leaves_a_guarded_tap_is_what_may(host, mode):
    guard = CASES[mode]
    attached = host.attach(attachments=[{"guest": "web", "device": "eth0", "mode": mode, "mac": MAC, "guard": guard}])
    words = [
        sys.executable,
        AGENT,
        attached["tap_paths"][0],
        "eth0",
        MAC,
        json.dumps(guard),
        SEED,
        FRAMES // len(CASES),
    ]
    found = json.loads(host.run([str(word) for word in words], timeout=60 + FRAMES / 100).stdout)
    print("seed", SEED, "mode", mode, found["counts"])
    assert not found["wrong"], "\n".join(map(" ".join, found["wrong"]))
    dropped = host.module("macvtap_info", guest="web")["attachments"][0]["guard_dropped"]
    counts = {reason: number for reason, number in found["counts"].items() if reason != "passed"}
    assert {reason: number for reason, number in dropped.items() if number} == counts
