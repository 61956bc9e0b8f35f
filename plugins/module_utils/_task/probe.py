# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Asks a switch port whether it reflects frames to where they came from (802.1Qbg reflective relay, "hairpin").

Two VEPA taps on the lower device: one sends the other a frame, which arrives only when the switch sends it back. So
that no other host can return it in the switch's stead, the switch first learns that the receiver is behind this very
port (IEEE Std 802.1Q, 8.7): then the frame leaves by no other port. The taps live in namespaces that only this process
knows: when it ends, even by SIGKILL, the kernel removes all of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import select
import struct
import time
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .._core import names
from .._core.errors import HostError, InvalidInput
from .._core.explain import explain
from .._core.model import IFF_NOARP, IFF_UP, Link
from .._link.host import Host
from .._system import rtnetlink, tap_node
from .._system.netlink import Reply
from . import warnings

#: IEEE Std 802 local experimental EtherType 1: no host or switch acts on it
_ETHERTYPE = 0x88B5
_FRAME_BYTES, _HEADER_BYTES = 60, 14
# linux/sched.h, linux/mount.h
_CLONE_NEWNET, _CLONE_NEWNS = 0x40000000, 0x00020000
_MS_NOSUID, _MS_REC, _MS_PRIVATE = 2, 1 << 14, 1 << 18
#: linux/if_tun.h: plain frames, without the virtio header
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
#: seconds between two tries: the first frames may be lost while the switch port wakes up
_PAUSE = 0.1
#: seconds to wait for a large frame, once a small one has come back
_PATIENCE = 1.0
#: seconds
_LONGEST = 60


def work(module: AnsibleModule) -> dict[str, Any]:
    """Ask the switch port of the device.

    :returns: the result of the module.
    :raises MacvtapError: naming the option and its value, or what keeps the device from asking.
    """
    timeout = module.params["timeout"]
    if not 0 < timeout <= _LONGEST:
        raise InvalidInput(f"timeout {timeout} is not possible; it must be more than 0 and at most {_LONGEST} seconds")
    device = names.check_device(module.params["device"], "device")
    result = probe(device, timeout)
    for warning in warnings.of_probe(device, result, result.pop("vepa"), result.pop("mtu")):
        module.warn(warning)
    return result


def probe(device: str, timeout: float) -> dict[str, Any]:
    """Send a frame, again every 0.1 s, until one comes back or the time is up.

    Then a frame as large as the MTU of the device, which a switch with a smaller one drops.

    :arg timeout: seconds to wait for an answer.

    :returns: ``reflective_relay``, ``round_trip_us`` (None without an answer), ``sent``, ``received``, ``full_mtu``
        (None without an answer); ``vepa``, the number of macvtaps in that mode on the device, and ``mtu``, its own.
    :raises InvalidInput: when the device cannot carry the question (down, no carrier, a bridge port …).
    """
    with contextlib.ExitStack() as stack:
        outside = stack.enter_context(rtnetlink.Netlink())
        host = Host(outside.links())
        lower = host.lower_device(device, "probe")
        if not lower.has_carrier:
            raise InvalidInput(f"probe: device {device!r} is down or has no carrier, so no frame can travel; set it up")
        host.require_alone(lower, "vepa", set(), "probe")
        stack.enter_context(_private_namespaces())
        inside = stack.enter_context(rtnetlink.Netlink())
        links = [_probe_link(number, lower) for number in (1, 2)]
        with open("/proc/self/ns/net", "rb") as namespace:
            _require(links, outside.create(links, namespace.fileno()))
        # the end of the namespace would remove them too, but some time later
        stack.callback(inside.delete, links)
        for link in links:
            # without IPv6 in the kernel there is nothing to switch off
            rtnetlink.set_ipv6(link.name, False)
        _require(links, inside.change([(link, ("link_state",)) for link in links]))
        taps = [stack.enter_context(_open_tap(link)) for link in links]
        macs = [bytes.fromhex(link.mac.replace(":", "")) for link in (*links, lower)]
        answer = _ask(taps, macs, timeout, _FRAME_BYTES)
        full_mtu = None
        if answer["reflective_relay"]:
            largest = _ask(taps, macs, min(timeout, _PATIENCE), max(_FRAME_BYTES, _HEADER_BYTES + lower.mtu))
            full_mtu = largest["reflective_relay"]
        vepa = len([link for link in host.on_device(lower.ifindex) if link.is_macvtap and link.mode == "vepa"])
        return {**answer, "full_mtu": full_mtu, "vepa": vepa, "mtu": lower.mtu}


def _probe_link(number: int, lower: Link) -> Link:
    octets = [0x02] + [random.getrandbits(8) for _octet in range(5)]
    return Link(
        # far from what anybody counts up to or derives, so that its node is nobody else's
        ifindex=(1 << 29) + random.getrandbits(28),
        name=f"probe{number}",
        kind="macvtap",
        mode="vepa",
        lower=lower.ifindex,
        mac=":".join(f"{octet:02x}" for octet in octets),
        mtu=lower.mtu,
        flags=IFF_NOARP | IFF_UP,
    )


@contextlib.contextmanager
def _private_namespaces() -> Iterator[None]:
    """Be in a network and a mount namespace of our own for a while, the latter with an empty /dev for the taps' nodes.

    (os.unshare and os.setns came with Python 3.12 only.)
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def require(result: int, what: str) -> None:
        if result:
            number = ctypes.get_errno()
            raise HostError(f"cannot {what}: {os.strerror(number)}; run as root (become: true)", number)

    with contextlib.ExitStack() as stack:
        network, mounts = (stack.enter_context(open("/proc/self/ns/" + kind, "rb")) for kind in ("net", "mnt"))
        here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, here)
        require(libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS), "make namespaces for the probe")
        # last in, first out: entering a mount namespace changes the working directory
        stack.callback(os.fchdir, here)
        stack.callback(lambda: libc.setns(mounts.fileno(), _CLONE_NEWNS))
        stack.callback(lambda: libc.setns(network.fileno(), _CLONE_NEWNET))
        require(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "make the mounts of the probe private")
        require(libc.mount(b"tmpfs", b"/dev", b"tmpfs", _MS_NOSUID, None), "mount a /dev for the probe")
        yield


@contextlib.contextmanager
def _open_tap(link: Link) -> Iterator[int]:
    """The tap, through a node in our private /dev.

    sysfs does not show links of the private namespace, but /sys/dev/char knows the devices of all.
    """
    number = tap_node.number_by_name(f"tap{link.ifindex}")
    if number is None:
        raise HostError("/sys/dev/char does not show the tap of the probe; is /sys mounted?")
    path = f"/dev/tap{link.ifindex}"
    tap_node.make(path, number)
    tap = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("=16sH22x", b"", _IFF_TAP | _IFF_NO_PI))
        yield tap
    finally:
        os.close(tap)


def _ask(taps: list[int], macs: list[bytes], timeout: float, length: int) -> dict[str, Any]:
    """Ask until there is an answer.

    The receiver speaks only before the frame is sent, to the lower device, whose address the switch knows: another host
    that claims the receiver's address gets the frame, but cannot send it here, and every frame is good for one round.

    :arg taps: of the sender and of the receiver.
    :arg macs: theirs, and that of the lower device.
    """
    sender, receiver, lower = macs
    teaching = (lower + receiver + struct.pack("!H", _ETHERTYPE)).ljust(_FRAME_BYTES, b"\0")
    sent = 0
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        frame = (receiver + sender + struct.pack("!H", _ETHERTYPE) + os.urandom(16)).ljust(length, b"\0")
        os.write(taps[1], teaching)
        begun = time.monotonic()
        os.write(taps[0], frame)
        sent += 2
        arrived = _wait(taps[1], frame, min(begun + _PAUSE, deadline))
        if arrived is not None:
            return {
                "reflective_relay": True,
                "round_trip_us": round((arrived - begun) * 1e6),
                "sent": sent,
                "received": 1,
            }
    return {"reflective_relay": False, "round_trip_us": None, "sent": sent, "received": 0}


def _wait(tap: int, frame: bytes, deadline: float) -> float | None:
    """When the frame arrived; others (broadcast of the network, frames of earlier rounds) are passed over."""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        if select.select([tap], [], [], left)[0] and os.read(tap, 1 << 17)[: len(frame)] == frame:
            return time.monotonic()


def _require(links: list[Link], replies: list[Reply]) -> None:
    for link, reply in zip(links, replies):
        if reply.errno:
            raise HostError(explain("make", link, reply.errno, reply.text), reply.errno)
