# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Bandwidth of a NIC: libvirt's words and units to what the kernel shapes with, and back. PURE.

Both directions are shaped by a token bucket (tbf): frames wait, and are dropped only when the queue is full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._core.errors import InvalidInput
from .._core.model import Bandwidth, Shape
from .._core.names import shown

KIB = 1024
DIRECTIONS = ("inbound", "outbound")
#: KiB/s, and KiB: tbf has 64 bits for a rate and 32 for the bytes of a burst
_RATES, _BURSTS = range(1, 1 << 32), range(1, 1 << 22)
#: seconds that a burst may last at the average rate: the kernel reports it in 32 bits of 64 ns
_LONGEST_BURST = 256
#: header of a frame with one tag
_HEADER = 18

_DIRECTION = {
    "type": "dict",
    "options": {
        "average": {"type": "int", "required": True},
        "peak": {"type": "int"},
        "burst": {"type": "int"},
    },
}
SPEC: dict[str, Any] = {"type": "dict", "options": dict.fromkeys(DIRECTIONS, _DIRECTION)}


def check(value: Any, where: str) -> None:
    """Check a bandwidth as options, XML or a definition have it.

    :arg where: what to call it in messages.
    :raises InvalidInput: naming the value.
    """
    if not isinstance(value, Mapping) or not set(value) <= set(DIRECTIONS):
        raise InvalidInput(f"{where} {shown(value)} is not possible; it has inbound, outbound or both")
    for name in DIRECTIONS:
        if value.get(name) is not None:
            _check_direction(value[name], f"{where}: {name}")


def _check_direction(value: Any, where: str) -> None:
    if not isinstance(value, Mapping) or not set(value) <= set(_DIRECTION["options"]):
        raise InvalidInput(f"{where} {shown(value)} is not possible; it has average, peak and burst")
    for name, allowed in (("average", _RATES), ("peak", _RATES), ("burst", _BURSTS)):
        number = value.get(name)
        if number is None and name != "average":
            continue
        if isinstance(number, bool) or not isinstance(number, int) or number not in allowed:
            raise InvalidInput(
                f"{where} {name} {shown(number)} is not possible; it must be {allowed[0]} to {allowed[-1]}"
            )
    if value.get("peak") is not None and value["peak"] < value["average"]:
        raise InvalidInput(
            f"{where} peak {value['peak']} is less than average {value['average']}; raise it or leave it out"
        )
    if value.get("burst") is not None and value["burst"] > _LONGEST_BURST * value["average"]:
        raise InvalidInput(
            f"{where} burst {value['burst']} is more than {_LONGEST_BURST} seconds of average {value['average']};"
            " lower it"
        )


def wanted(value: Mapping[str, Any] | None, mtu: int) -> Bandwidth | None:
    """What a checked bandwidth means for a link of this MTU; None = neither direction is limited."""
    shapes = [_shape((value or {}).get(name), mtu) for name in DIRECTIONS]
    return Bandwidth(*shapes) if any(shapes) else None


def _shape(value: Mapping[str, Any] | None, mtu: int) -> Shape | None:
    if value is None:
        return None
    average, peak = value["average"], value.get("peak") or 0
    frame = mtu + _HEADER
    # a bucket smaller than a frame would let none through; two frames, or what comes in 10 ms
    least = _whole_kib(frame)
    burst = value.get("burst") or max(_whole_kib(2 * frame), average // 100)
    return Shape(average * KIB, peak * KIB if peak > average else 0, max(burst, least) * KIB)


def _whole_kib(count: int) -> int:
    return -(-count // KIB)


def show(bandwidth: Bandwidth | None) -> dict[str, Any] | None:
    """A bandwidth as options have it, with the burst that applies."""
    if bandwidth is None:
        return None
    return {name: _shown(shape) for name, shape in zip(DIRECTIONS, bandwidth)}


def _shown(shape: Shape | None) -> dict[str, Any] | None:
    if shape is None:
        return None
    average, peak, burst = (round(number / KIB) for number in shape)
    return {"average": average, "peak": peak or None, "burst": burst}


def text(bandwidth: Bandwidth | None) -> str:
    """A bandwidth in words, "" = none: ``inbound 1024 KiB/s (burst 10 KiB)``."""
    return ", ".join(_words(name, shape) for name, shape in zip(DIRECTIONS, bandwidth or ()) if shape is not None)


def _words(name: str, shape: Shape) -> str:
    if not shape.rate:
        return f"{name} incomplete"
    average, peak, burst = (f"{number / KIB:.10g}" for number in shape)
    return f"{name} {average} KiB/s ({f'peak {peak} KiB/s, ' if shape.peak else ''}burst {burst} KiB)"


def queue_bytes(shape: Shape) -> int:
    """How much waits at most: 200 ms at the average rate, 16 frames or a burst."""
    return max(shape.burst, min(shape.rate // 5, 16 << 20), 24 * KIB)


def needs(bandwidth: Bandwidth | None) -> Iterator[str]:
    """What the kernel must have for it: kinds of qdisc, action or link."""
    if bandwidth is not None:
        yield "tbf"
        if bandwidth.inbound is not None:
            yield from ("ifb", "mirred")
