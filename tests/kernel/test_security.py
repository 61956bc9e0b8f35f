# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest can and cannot do through its tap: measured, for the guide to security.

That a frame does not arrive is shown by a later one of the same kind that does, wherever there is such a frame.
"""

import contextlib
import json
import struct

import pytest
from lab import open_interface, open_tap
from lab.frames import BROADCAST, EXPERIMENTAL, ethernet, octets
from module_host import ModuleFailed
from test_attach_silence import ARP, answers, who_has

A, B, FAR = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0f"
STRANGER, SENDER = "02:00:00:00:00:66", "02:00:00:00:00:77"
MULTICAST = "33:33:00:00:00:fb"
SPANNING_TREE = "01:80:c2:00:00:00"
SHARED = ("vepa", "bridge", "private")
MODES = (*SHARED, "passthrough")
HOST = "192.0.2.11"


class Site:
    """Guest a, in some modes with a neighbour b on the same device, and the wire between the uplink and the switch."""

    def __init__(self, host, stack, mode, **options):
        self.host = host
        guests = {"a": A} if mode == "passthrough" else {"a": A, "b": B}
        wanted = [
            {"guest": name, "device": "eth0", "mode": mode, "mac": mac, **options} for name, mac in guests.items()
        ]
        self.rows = {row["guest"]: row for row in host.attach(attachments=wanted)["attachments"]}
        self.wire = stack.enter_context(open_interface(host.switch, host.hypervisor.ports[0]))
        self.taps = {
            name: stack.enter_context(open_tap(host.hypervisor, row["tap_path"])) for name, row in self.rows.items()
        }
        self.a, self.b = self.taps["a"], self.taps.get("b")

    def guest_elsewhere(self):
        """The tap of a guest on another port of the switch."""
        wanted = [{"guest": "far", "device": "eth1", "mac": FAR}]
        return open_tap(self.host.hypervisor, self.host.attach(attachments=wanted)["attachments"][0]["tap_path"])


@pytest.fixture
def site(host):
    """Makes a Site; all that it opened is closed afterwards."""
    with contextlib.ExitStack() as stack:
        yield lambda mode, **options: Site(host, stack, mode, **options)
    host.switch.set_hairpin(True)


def frame(destination, source, token):
    return ethernet(destination, source, EXPERIMENTAL, token)


def next_token(port, timeout=5.0):
    """The token of the next of our frames, None when there is none for a while."""
    found = port.receive(timeout, ethertype=EXPERIMENTAL)
    return None if found is None else found[14:].rstrip(b"\0")


# -- sending -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_guest_can_send_from_any_address_and_to_the_switch_itself(site, mode):
    here = site(mode)
    uplink = here.host.link("eth0")["address"]
    for source in (STRANGER, uplink, B, A):
        here.a.send(frame(BROADCAST, source, b"from " + source.encode()))
        assert here.wire.receive(5, EXPERIMENTAL, source=source, contains=source.encode()) is not None
    here.a.send(frame(SPANNING_TREE, A, b"bpdu"))
    assert here.wire.receive(5, source=A, contains=b"bpdu") is not None


@pytest.mark.parametrize("mode", MODES)
def test_a_guest_can_send_into_any_vlan_and_be_reached_from_it(site, mode):
    here = site(mode)
    tag = struct.pack("!HHH", 0x8100, 5, EXPERIMENTAL)
    with here.guest_elsewhere() as far:
        here.a.send(ethernet(BROADCAST, A, 0x8100, tag[2:] + b"tagged"))
        heard = far.receive(5, source=A, contains=b"tagged")
        assert heard is not None and heard[12:18] == tag
        far.send(ethernet(A, FAR, 0x8100, tag[2:] + b"answer"))
        heard = here.a.receive(5, source=FAR, contains=b"answer")
        assert heard is not None and heard[12:18] == tag


# -- hearing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "promiscuous"), [*((mode, False) for mode in SHARED), ("vepa", True)])
def test_a_guest_hears_no_unicast_but_its_own(site, mode, promiscuous):
    here = site(mode, promiscuous=promiscuous)
    for destination in (B, STRANGER, here.host.link("eth0")["address"], A):
        here.wire.send(frame(destination, SENDER, b"to " + destination.encode()))
    assert next_token(here.a) == b"to " + A.encode()
    assert next_token(here.b) == b"to " + B.encode()


def test_a_passthrough_guest_hears_all_that_reaches_the_device(site):
    here = site("passthrough")
    here.wire.send(frame(STRANGER, SENDER, b"for somebody else"))
    assert next_token(here.a) == b"for somebody else"


@pytest.mark.parametrize("allmulticast", [True, False])
def test_a_guest_hears_every_multicast_unless_allmulticast_is_off(site, allmulticast):
    here = site("vepa", allmulticast=allmulticast)
    here.wire.send(frame(MULTICAST, SENDER, b"multicast"))
    here.wire.send(frame(BROADCAST, SENDER, b"broadcast"))
    heard = [b"multicast", b"broadcast"] if allmulticast else [b"broadcast"]
    assert [next_token(here.a) for _frame in heard] == heard


# -- neighbours on the same device -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "reflects", "unicast", "broadcast"), [
    ("vepa", True, True, True),
    ("vepa", False, False, False),
    ("bridge", True, True, True),
    ("bridge", False, True, True),
    ("private", True, True, False),
    ("private", False, False, False),
])  # fmt: skip
def test_what_neighbours_hear_of_each_other(site, mode, reflects, unicast, broadcast):
    here = site(mode)
    here.host.switch.set_hairpin(reflects)
    here.a.send(frame(B, A, b"unicast"))
    here.a.send(frame(BROADCAST, A, b"broadcast"))
    # what b hears comes by two ways in the kernel, and in no order
    here.wire.send(frame(B, SENDER, b"end"))
    heard = set()
    while not {b"end"} | ({b"broadcast"} if broadcast else set()) <= heard:
        token = next_token(here.b)
        assert token is not None, heard
        heard.add(token)
    if not broadcast:
        here.wire.send(frame(BROADCAST, SENDER, b"last"))
        while b"last" not in heard:
            heard.add(next_token(here.b))
    assert (b"unicast" in heard, b"broadcast" in heard) == (unicast, broadcast)


@pytest.mark.parametrize(("mode", "seen"), [("vepa", True), ("private", True), ("bridge", False)])
def test_the_switch_sees_what_neighbours_say_to_each_other_but_in_mode_bridge(site, mode, seen):
    here = site(mode)
    here.a.send(frame(B, A, b"private talk"))
    here.a.send(frame(STRANGER, A, b"end"))
    assert next_token(here.b) == b"private talk"
    assert next_token(here.wire) == (b"private talk" if seen else b"end")


@pytest.mark.parametrize("mode", MODES)
def test_a_guest_can_cut_off_a_guest_elsewhere_by_its_address_and_read_its_frames_in_passthrough_only(site, mode):
    """A switch believes whoever spoke last; only the switch can forbid that (port security)."""
    here = site(mode)
    with here.guest_elsewhere() as far, open_interface(here.host.switch, "br0") as bridge:
        far.send(frame(BROADCAST, FAR, b"I am here"))
        assert bridge.receive(5, EXPERIMENTAL, source=FAR) is not None
        bridge.send(frame(FAR, SENDER, b"before"))
        assert far.receive(5, EXPERIMENTAL, source=SENDER, contains=b"before") is not None
        here.a.send(frame(BROADCAST, FAR, b"no, here"))
        assert bridge.receive(5, EXPERIMENTAL, source=FAR, contains=b"no, here") is not None
        bridge.send(frame(FAR, SENDER, b"stolen"))
        bridge.send(frame(A, SENDER, b"to a"))
        heard = here.a.receive(5, EXPERIMENTAL, source=SENDER)
        assert (b"stolen" in heard) == (mode == "passthrough")
        far.send(frame(BROADCAST, FAR, b"I am back"))
        assert bridge.receive(5, EXPERIMENTAL, source=FAR, contains=b"I am back") is not None
        bridge.send(frame(FAR, SENDER, b"after"))
        heard = far.receive(5, EXPERIMENTAL, source=SENDER)
        assert b"after" in heard


# -- the host ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "reflects", "by_broadcast", "by_unicast"),
    [
        ("vepa", True, True, True),
        ("vepa", False, False, False),
        ("bridge", True, True, True),
        ("bridge", False, False, False),
        ("private", True, False, True),
        ("private", False, False, False),
    ],
)
def test_a_guest_and_its_host_reach_each_other_by_way_of_a_reflecting_switch_only(
    site, mode, reflects, by_broadcast, by_unicast
):
    here = site(mode)
    here.host.switch.set_hairpin(reflects)
    uplink = here.host.link("eth0")["address"]
    request = who_has(HOST).replace(octets("02:aa:aa:aa:aa:aa"), octets(A))
    for question, is_answered in ((request, by_broadcast), (octets(uplink) + request[6:], by_unicast)):
        here.a.send(question)
        answer = here.a.receive(5 if is_answered else 0.6, ethertype=ARP, source=uplink)
        assert (answer is not None) == is_answered
    with open_interface(here.host.hypervisor, "eth0") as stack:
        stack.send(frame(A, uplink, b"from the host"))
        if reflects:
            assert here.a.receive(5, EXPERIMENTAL, contains=b"from the host") is not None
        else:
            assert here.wire.receive(5, EXPERIMENTAL, contains=b"from the host") is not None
            here.wire.send(frame(A, SENDER, b"end"))
            assert next_token(here.a) == b"end"


def test_a_guest_can_claim_the_hosts_address(site):
    """An ARP answer in the host's name leaves as it is: only the switch can forbid it (ARP inspection)."""
    here = site("vepa")
    lie = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + octets(A) + bytes([192, 0, 2, 11])
    here.a.send(ethernet(SENDER, A, ARP, lie + octets(SENDER) + bytes([192, 0, 2, 200])))
    assert here.wire.receive(5, ethertype=ARP, source=A, contains=lie) is not None


def test_the_host_stays_silent_while_guests_run(site):
    here = site("vepa")
    here.wire.send(who_has(HOST))
    assert answers(here.wire) == {here.host.link("eth0")["address"]}


# -- who holds the tap -------------------------------------------------------------------------------------------------

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--")

#: Opens a tap, sets the MAC address of its link by ioctl where one is named, and opens it as often as it goes.
HOLDER = r"""
import errno, fcntl, json, os, struct, sys
path, macs, often = sys.argv[1], sys.argv[2].split(), int(sys.argv[3])
SIOCSIFHWADDR = 0x8924
said = {"opened": 0, "macs": []}
try:
    held = []
    for number in range(often):
        held.append(os.open(path, os.O_RDWR))
        said["opened"] += 1
except OSError as error:
    said["error"] = errno.errorcode[error.errno]
for mac in macs if held else ():
    request = struct.pack("16sH14s8x", b"", 1, bytes.fromhex(mac.replace(":", "")))
    try:
        fcntl.ioctl(held[0], SIOCSIFHWADDR, request)
        said["macs"].append("")
    except OSError as error:
        said["macs"].append(errno.errorcode[error.errno])
print(json.dumps(said))
"""


def hold(host, row, macs=(), often=1, prefix=NOBODY):
    """What a process of an ordinary user can do with a tap."""
    command = [*prefix, "/usr/bin/python3", "-I", "-c", HOLDER, row["tap_path"], " ".join(macs), str(often)]
    return json.loads(host.run(command).stdout)


def test_only_whom_the_node_belongs_to_may_open_a_tap(host):
    wanted = [{"guest": "a", "device": "eth0", "mac": A}]
    row = host.attach(attachments=wanted)["attachments"][0]
    assert hold(host, row)["error"] == "EACCES"
    host.attach(attachments=wanted, device_owner="nobody")
    assert hold(host, row) == {"opened": 1, "macs": []}
    # from any network namespace, and without any capability
    assert hold(host, row, prefix=["unshare", "--net", *NOBODY]) == {"opened": 1, "macs": []}
    host.attach(attachments=wanted, device_owner="root", device_mode="0660")
    assert hold(host, row)["error"] == "EACCES"


def test_the_holder_of_a_tap_can_change_the_address_of_its_link_but_not_to_a_neighbours(host):
    """By an ioctl on the tap, without any capability (tap_ioctl, drivers/net/tap.c)."""
    wanted = [{"guest": "a", "device": "eth0", "mac": A}, {"guest": "b", "device": "eth0", "mac": B}]
    row = host.attach(attachments=wanted, device_owner="nobody")["attachments"][0]
    uplink = host.link("eth0")["address"]
    said = hold(host, row, macs=[B, uplink, MULTICAST, STRANGER])
    assert said["macs"] == ["EADDRINUSE", "EADDRINUSE", "EADDRNOTAVAIL", ""]
    assert host.link(row["ifname"])["address"] == STRANGER and host.link("eth0")["address"] == uplink
    # the next run sees it and sets it right
    again = host.converges("macvtap_attach", attachments=wanted, device_owner="nobody")
    assert again["actions"] == [f"change {row['ifname']} of guest a nic 0: mac {STRANGER} -> {A}"]


def test_the_holder_of_a_passthrough_tap_can_change_the_address_of_the_device(host):
    wanted = [{"guest": "a", "device": "eth1", "mode": "passthrough", "mac": A}]
    before = host.link("eth1")["address"]
    row = host.attach(attachments=wanted, device_owner="nobody")["attachments"][0]
    assert hold(host, row, macs=[STRANGER])["macs"] == [""]
    assert host.link("eth1")["address"] == STRANGER
    host.converges("macvtap_attach", attachments=wanted, device_owner="nobody")
    host.detach(guest="a")
    assert host.link("eth1")["address"] == before


def test_who_was_cut_off_neither_sends_nor_hears_again(site):
    """Also when the next guest's tap gets the device number of the one that is gone."""
    here = site("vepa")
    with pytest.raises(ModuleFailed, match="held open"):
        here.host.detach(guest="b")
    here.host.detach(guest="b", force=True)
    row = here.host.attach(attachments=[{"guest": "new", "device": "eth0", "mac": B}])["attachments"][0]
    assert row["tap_minor"] == here.rows["b"]["tap_minor"]
    with contextlib.suppress(OSError):
        here.b.send(frame(BROADCAST, B, b"ghost"))
    here.a.send(frame(BROADCAST, A, b"end"))
    assert next_token(here.wire) == b"end"
    with open_tap(here.host.hypervisor, row["tap_path"]) as new:
        here.wire.send(frame(B, SENDER, b"to the new one"))
        assert next_token(new) == b"to the new one"
    assert next_token(here.b, timeout=0) is None
