# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The one table of link attributes: how each is asked for, read, written, reported and booted. PURE.

Options, comparing, planning, applying, the diff, results, boot entries and boot files all walk this table, so a new
attribute is one row in it, and for one that is no flag also its place in :class:`Link` and :mod:`_link.message`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Callable, NamedTuple

from .._core.model import IFF_ALLMULTI, IFF_NOARP, IFF_PROMISC, IFF_UP, MTUS, Link, OwnerTag
from .._traffic import bandwidth, guard, virtual_function
from . import message as wire

#: of a link whose NIC asks for none (MACVLAN_DEFAULT_BC_QUEUE_LEN, drivers/net/macvlan.c)
BROADCAST_QUEUE = 1000
#: RFC 8200; the kernel takes IPv6 off a link with a smaller MTU and puts it back, switched on, when that grows
_IPV6_MIN_MTU = 1280
IPV6 = "ipv6"
LINK_STATE = "link_state"
BANDWIDTH = "bandwidth"
GUARD = "guard"
VF = "vf"
MARK = "mark"


def _never(_old: Any, _new: Any) -> bool:
    return False


def _always(_old: Any, _new: Any) -> bool:
    return True


def _crosses_passthrough(old: Any, new: Any) -> bool:
    """The kernel changes modes in place except to and from passthru (macvlan_changelink: EINVAL)."""
    return "passthrough" in (old, new)


class BootWord(NamedTuple):
    """How the boot files have the value of an option, in the words of ip-link(8)."""

    #: "%d" stands for the value
    text: str
    #: the value when the word is there, unless that is in it, and when it is not
    present: Any = None
    absent: Any = None
    #: one of the words of the line that creates the link; otherwise a line of its own, carried out later
    at_creation: bool = False

    def write(self, value: Any) -> str:
        """The word for a value, "" = none."""
        if value == self.absent:
            return ""
        return self.text % value if "%d" in self.text else self.text


class Option(NamedTuple):
    """How a NIC asks for an attribute, under one name in options, results and boot entries."""

    name: str
    #: for AnsibleModule, where a NIC is described
    spec: Mapping[str, Any]
    #: when it is not asked for; None = as the lower device has it
    default: Any
    #: puts a value among the fields of a Link
    put: Callable[[dict[str, Any], Any], None]
    #: the value that a link has
    show: Callable[[Link], Any]
    boot: BootWord
    #: of a number
    allowed: range = range(0)
    #: True when the task has an option of this name too, which holds for its NICs that do not ask for another value
    is_of_task: bool = False
    #: the first Linux that has it, where not all have
    since: str = ""
    #: of a value that is neither a number nor a choice, and what to call it in messages; raises InvalidInput
    check: Callable[[Any, str], None] | None = None
    #: the value that asks for ``default``, where no other says that
    none: Any = None
    #: True when a task that does not ask for it keeps what an earlier one asked for, which the owner tag says
    is_kept: bool = False


class Attribute(NamedTuple):
    """One attribute of a macvtap link."""

    #: as in actions and diffs
    name: str
    read: Callable[[Link], Any]
    #: the netlink attribute that sets it, or None
    encode: Callable[[Link], bytes] | None = None
    #: the same, of one that is part of the link info
    encode_info: Callable[[Link], bytes] | None = None
    #: the IFF_* bit that sets it, or 0
    flag: int = 0
    #: True when a live link cannot go from the first to the second value and must be created again
    recreate: Callable[[Any, Any], bool] = _never
    #: whether RTM_NEWLINK with NLM_F_CREATE sets it: the flags too, so that not one frame leaves before silence
    at_creation: bool = True
    #: True when the first link can have the value of the second
    can_have: Callable[[Link, Link], bool] = _always
    option: Option | None = None


def _flag(name: str, flag: int, default: bool, word: str) -> Attribute:
    """The row of an attribute that is a flag, and set when its option is true."""

    def put(fields: dict[str, Any], value: bool) -> None:
        fields["flags"] |= flag if value else 0

    def read(link: Link) -> bool:
        return bool(link.flags & flag)

    spec = {"type": "bool", "default": default}
    option = Option(name, spec, default, put, read, BootWord(word, True, False, at_creation=True))
    return Attribute(name, read, flag=flag, option=option)


def _put_isolate_host(fields: dict[str, Any], value: bool) -> None:
    fields["flags"] |= IFF_NOARP if value else 0
    fields["ipv6_disabled"] = value


def _put_link_state(fields: dict[str, Any], value: str) -> None:
    fields["flags"] |= IFF_UP if value == "up" else 0


def link_state(link: Link) -> str:
    """``up`` or ``down``, as an administrator has set it."""
    return "up" if link.flags & IFF_UP else "down"


def _can_have_ipv6(found: Link, wanted: Link) -> bool:
    """Without IPv6 in this kernel or on this link there is nothing to switch."""
    return found.ipv6_disabled is not None or found.mtu < _IPV6_MIN_MTU <= wanted.mtu


_MTU = Option(
    "mtu",
    {"type": "int"},
    None,
    lambda fields, value: fields.update(mtu=value),
    lambda link: link.mtu,
    BootWord("mtu %d"),
    allowed=MTUS,
    none=0,
    is_kept=True,
)
_ISOLATE_HOST = Option(
    "isolate_host",
    {"type": "bool"},
    True,
    _put_isolate_host,
    lambda link: bool(link.flags & IFF_NOARP) and link.ipv6_disabled is not False,
    BootWord("arp off", True, False, at_creation=True),
    is_of_task=True,
    is_kept=True,
)
_BROADCAST_QUEUE = Option(
    "broadcast_queue",
    {"type": "int"},
    BROADCAST_QUEUE,
    lambda fields, value: fields.update(broadcast_queue=value),
    lambda link: link.broadcast_queue,
    BootWord("type macvtap bcqueuelen %d", absent=BROADCAST_QUEUE),
    # with none on any of its links the kernel drops every broadcast frame that the lower device gets
    allowed=range(1, 1 << 32),
    since="5.11",
)
# the MTU is put first
_BANDWIDTH = Option(
    BANDWIDTH,
    bandwidth.SPEC,
    None,
    lambda fields, value: fields.update(bandwidth=bandwidth.wanted(value, fields["mtu"])),
    lambda link: bandwidth.show(link.bandwidth),
    BootWord(""),
    check=bandwidth.check,
)
_GUARD = Option(
    GUARD,
    guard.SPEC,
    None,
    lambda fields, value: fields.update(guard=guard.of_link(guard.parse(value), fields["mac"])),
    lambda link: guard.as_row(link.guard),
    BootWord(""),
    check=guard.check,
)
_VF = Option(
    VF,
    virtual_function.SPEC,
    None,
    lambda fields, value: fields.update(vf=virtual_function.wanted(value)),
    lambda link: virtual_function.show(link.vf),
    BootWord(""),
    check=virtual_function.check,
)
_LINK_STATE = Option(
    LINK_STATE,
    {"type": "str", "choices": ["up", "down"]},
    "up",
    _put_link_state,
    link_state,
    BootWord("up", "up", "down"),
    is_of_task=True,
    is_kept=True,
)

#: In the order in which the diff, the actions and the boot files name them.
ATTRIBUTES = (
    # IFLA_LINK on a live macvlan is silently ignored, and success reported
    Attribute("device", lambda link: link.lower, recreate=_always),
    Attribute(
        "mode",
        lambda link: link.mode,
        encode_info=lambda link: wire.nla_mode(link.mode),
        recreate=_crosses_passthrough,
    ),
    Attribute("ifname", lambda link: link.name, lambda link: wire.nla_text(wire.IFLA_IFNAME, link.name)),
    Attribute("mac", lambda link: link.mac, lambda link: wire.nla_mac(link.mac)),
    Attribute("mtu", lambda link: link.mtu, lambda link: wire.nla_u32(wire.IFLA_MTU, link.mtu), option=_MTU),
    Attribute("arp", lambda link: not link.flags & IFF_NOARP, flag=IFF_NOARP, option=_ISOLATE_HOST),
    # of isolate_host too; written through /proc/sys: netlink cannot
    Attribute(
        IPV6,
        lambda link: None if link.ipv6_disabled is None else not link.ipv6_disabled,
        can_have=_can_have_ipv6,
    ),
    _flag("allmulticast", IFF_ALLMULTI, True, "allmulticast on"),
    _flag("promiscuous", IFF_PROMISC, False, "promisc on"),
    Attribute(
        "broadcast_queue",
        lambda link: link.broadcast_queue,
        encode_info=lambda link: wire.nla_broadcast_queue(link.broadcast_queue),
        can_have=lambda found, _wanted: found.broadcast_queue is not None,
        option=_BROADCAST_QUEUE,
    ),
    # of the traffic control of a link, which has messages of its own (_system.shaping)
    Attribute(BANDWIDTH, lambda link: bandwidth.text(link.bandwidth), at_creation=False, option=_BANDWIDTH),
    # of nftables, before the link is up (_system.nftables)
    Attribute(GUARD, lambda link: guard.text(link.guard), at_creation=False, option=_GUARD),
    # of the physical function of the lower device, before the link is up (_system.sriov)
    Attribute(VF, lambda link: virtual_function.text(link.vf), at_creation=False, option=_VF),
    Attribute(MARK, lambda link: link.alias, lambda link: wire.nla_tag(link.alias, link.group), at_creation=False),
    Attribute(LINK_STATE, link_state, flag=IFF_UP, at_creation=False, option=_LINK_STATE),
)
BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}
AT_CREATION = tuple(row.name for row in ATTRIBUTES if row.at_creation)
#: what a NIC may ask of its link
OPTIONS = tuple(row.option for row in ATTRIBUTES if row.option is not None)

#: of these, what later tasks keep that do not mention it
KEPT = tuple(option for option in OPTIONS if option.is_kept)


class NodeOption(NamedTuple):
    """How a NIC asks for the owner of its tap's node; each is also an option of the task."""

    name: str
    #: in results and boot entries
    key: str
    #: of a node that the kernel creates
    default: str
    #: in the udev rules of the boot files
    udev: str


#: in the order of the fields of NodePolicy
NODE_OPTIONS = (
    NodeOption("device_owner", "tap_owner", "root", "OWNER"),
    NodeOption("device_group", "tap_group", "root", "GROUP"),
    NodeOption("device_mode", "tap_mode", "0600", "MODE"),
)


def with_settings(fields: dict[str, Any], settings: Mapping[str, Any], lacking: Collection[Option] = ()) -> Link:
    """A link with these fields, and with what its NIC asks for.

    :arg settings: by option; None or absent = its default.
    :arg lacking: options that the kernel does not know.
    """
    for option in OPTIONS:
        if option in lacking:
            continue
        value = settings.get(option.name)
        value = option.default if value in (None, option.none) else value
        if value is not None:
            option.put(fields, value)
    return Link(**fields)


def to_request(settings: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What the owner tag is to say of the settings of a NIC, so that later tasks keep it."""
    asked = [(option, settings.get(option.name)) for option in KEPT]
    return tuple(
        (option.name, str(value).lower()) for option, value in asked if value not in (None, option.default, option.none)
    )


def requested(tag: OwnerTag | None) -> dict[str, Any]:
    """The settings that an owner tag says were asked for; what no option can be is left out."""
    words = dict(tag.requested) if tag is not None else {}
    values = {option.name: _requested(option, words[option.name]) for option in KEPT if option.name in words}
    return {name: value for name, value in values.items() if value is not None}


def _requested(option: Option, word: str) -> Any:
    if option.allowed:
        return int(word) if word.isdigit() and int(word) in option.allowed else None
    choices = option.spec.get("choices") or ("true", "false")
    if word not in choices:
        return None
    return word if "choices" in option.spec else word == "true"


def not_in_this_kernel(links: Iterable[Link]) -> list[Option]:
    """The options that the kernel does not know: not one macvtap or macvlan has such a value.

    :arg links: of the host; without a macvtap or macvlan among them nothing can be told.
    """
    children = [link for link in links if link.kind in ("macvtap", "macvlan")]
    recent = [option for option in OPTIONS if option.since] if children else []
    return [option for option in recent if all(option.show(link) is None for link in children)]


def differences(found: Link, wanted: Link) -> tuple[str, ...]:
    """Names of the attributes in which two links differ, in the order of the table."""
    return tuple(row.name for row in ATTRIBUTES if row.read(found) != row.read(wanted) and row.can_have(found, wanted))


def forcing(found: Link, wanted: Link) -> list[Attribute]:
    """The attributes for which the kernel cannot turn ``found`` into ``wanted`` in place; empty = it can."""
    pairs = [(row, row.read(found), row.read(wanted)) for row in ATTRIBUTES]
    return [row for row, old, new in pairs if old != new and row.recreate(old, new)]


def must_go_down(found: Link, wanted: Link) -> bool:
    """True when a live link must be down while it is changed.

    Its new MTU may give it IPv6 back, switched on, and so an address before it is silent. And macvlan counts
    allmulticast of a passthrough link on the lower device when the flag changes, but not when the link goes up or down
    with it: the lower device's counter would underflow (macvlan_change_rx_flags, macvlan_open). A guard loses a link
    that is renamed (seen on Linux 6.18).
    """
    names = differences(found, wanted)
    regains_ipv6 = found.ipv6_disabled is None and IPV6 in names
    miscounts = wanted.mode == "passthrough" and "allmulticast" in names
    is_lost = (found.guard or wanted.guard) is not None and "ifname" in names
    return found.is_up and wanted.is_up and (regains_ipv6 or miscounts or is_lost)


def encode(link: Link, names: tuple[str, ...]) -> tuple[bytes, int, int]:
    """The named attributes of ``link`` for a message: (netlink attributes, flags, flags meant)."""
    payload, info, change = b"", b"", 0
    for name in names:
        row = BY_NAME[name]
        change |= row.flag
        if row.encode is not None:
            payload += row.encode(link)
        if row.encode_info is not None:
            info += row.encode_info(link)
    return wire.nla_link_info(info) + payload, link.flags & change, change
