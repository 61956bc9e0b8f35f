# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The files that a boot makes links from, as text, and the entries read from them. PURE.

Names in them are plain (:func:`_boot.entry.entries` refuses others) but for those of guests and networks, which the
mark percent-encodes: it has no blank but its own, no ``"``, no ``#`` and no backslash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._core.errors import InvalidInput, Refused
from .._core.identity import read_tag, tag_text
from .._core.model import BOOT_DIRECTORY, MTUS, Link, Shape
from .._core.names import unit_escaped
from .._link import tc
from .._link.attributes import BANDWIDTH, GUARD, NODE_OPTIONS, OPTIONS, Option
from .._traffic.bandwidth import check, queue_bytes, wanted
from .._traffic.guard import as_row, parse
from .._traffic.guard import text as guard_text
from .._traffic.table import boot_lines
from . import host_link
from .entry import Entry, in_order
from .host_link import HostEntry
from .script import LINKS_SCRIPT

HEADER = "# Written by Ansible (module linuxnet.macvtap.macvtap_persist); changes will be overwritten.\n"

BATCH_DIR = BOOT_DIRECTORY
SYSCTL_DIR = "/etc/sysctl.d"
UDEV_RULES = "/etc/udev/rules.d/90-macvtap.rules"
LINK = "/etc/systemd/network/05-macvtap.link"
NETWORK = "/etc/systemd/network/05-macvtap.network"
#: only where there is the directory above it
NETWORK_MANAGER = "/etc/NetworkManager/conf.d/90-macvtap.conf"
#: dhcpcd has this file only: ours is a block in it
DHCPCD = "/etc/dhcpcd.conf"
#: what carries out the batch files
LINKS = BATCH_DIR + "/links.sh"
SERVICE = "/etc/systemd/system/macvtap@.service"
TARGET_UNIT = "macvtap.target"
TARGET = "/etc/systemd/system/" + TARGET_UNIT
#: systemd makes it for the instances of macvtap@.service
SLICE = "system-macvtap.slice"
BOOT = "/etc/systemd/system/multi-user.target.d/macvtap.conf"
GUESTS = "/etc/systemd/system/qemu-guest-.service.d/macvtap.conf"

CREATE, GUARDS, UP, HOST, LIMIT = ".create", ".guard", ".up", ".host", ".limit"
_SYSCTL = re.compile(re.escape(SYSCTL_DIR) + r"/90-macvtap-.+\.conf")
FIXED = (UDEV_RULES, LINK, NETWORK, NETWORK_MANAGER, LINKS, SERVICE, TARGET, GUESTS, BOOT)
#: directories of this collection alone: removed when empty
OWN_DIRECTORIES = (BATCH_DIR, BOOT.rpartition("/")[0], GUESTS.rpartition("/")[0])

#: the kernel's word for libvirt's
_KERNEL_MODES = {"vepa": "vepa", "bridge": "bridge", "private": "private", "passthrough": "passthru"}
_MODES = {kernel: mode for mode, kernel in _KERNEL_MODES.items()}

#: options that are words of the line that creates a link, and those that are lines of their own, carried out later
_AT_CREATION = [option for option in OPTIONS if option.boot.at_creation]
_LATER = [option for option in OPTIONS if not option.boot.at_creation and option.boot.text]

_DHCPCD_BEGIN = "# linuxnet.macvtap: begin. Written by Ansible (module macvtap_persist); changes will be overwritten.\n"
_DHCPCD_END = "# linuxnet.macvtap: end\n"
_DHCPCD_BLOCK = re.compile(re.escape(_DHCPCD_BEGIN) + r"(?:.*\n)*?" + re.escape(_DHCPCD_END))


def is_candidate(path: str) -> bool:
    """Whether a file at this path may be one of ours."""
    return (
        path in FIXED
        or path == DHCPCD
        or (path.startswith(BATCH_DIR + "/") and path.endswith((CREATE, GUARDS, UP, HOST, LIMIT)))
        or _SYSCTL.fullmatch(path) is not None
    )


def is_ours(path: str, text: str) -> bool:
    """Whether we may change this file."""
    return path == DHCPCD or text.startswith(HEADER)


# -- writing -----------------------------------------------------------------------------------------------------------


def files(
    entries: Sequence[Entry], found: Mapping[str, str], managers: Iterable[str], hosts: Sequence[HostEntry] = ()
) -> dict[str, str]:
    """Every file that the entries need, by path, in the order in which they are to be written.

    :arg found: the files that exist.
    :arg managers: those of NETWORK_MANAGER and DHCPCD whose program is on the host.
    :arg hosts: the host links of networks.
    """
    texts: dict[str, str] = {}
    if entries or hosts:
        devices = sorted({entry.device for entry in entries} | {entry.device for entry in hosts})
        for device in devices:
            texts.update(_of_device(device, entries, hosts))
        texts[UDEV_RULES] = _udev_rules(entries, devices)
        texts[LINK] = _link((*entries, *hosts))
        # a section without names would match every link
        if entries:
            texts[NETWORK] = _network(entries)
            if NETWORK_MANAGER in managers:
                texts[NETWORK_MANAGER] = _network_manager(entries)
        texts[LINKS] = HEADER + LINKS_SCRIPT
        texts[SERVICE] = HEADER + _SERVICE
        texts[TARGET] = _target(devices)
        texts[GUESTS] = HEADER + _GUESTS
        texts[BOOT] = HEADER + _BOOT
    if DHCPCD in managers and DHCPCD in found:
        texts[DHCPCD] = _dhcpcd(found[DHCPCD], entries)
    return texts


def _of_device(device: str, entries: Sequence[Entry], hosts: Sequence[HostEntry]) -> Iterator[tuple[str, str]]:
    mine = [entry for entry in entries if entry.device == device]
    of_host = [entry for entry in hosts if entry.device == device]
    yield batch_path(device, CREATE), HEADER + _create(mine)
    if any(entry.guard is not None for entry in mine):
        yield batch_path(device, GUARDS), HEADER + _guard_file(mine, entries)
    limits = "".join(_limit(entry) for entry in mine)
    if limits:
        yield batch_path(device, LIMIT), HEADER + limits
    yield batch_path(device, UP), HEADER + _up(mine)
    if of_host:
        yield batch_path(device, HOST), HEADER + host_link.text(of_host)
    yield f"{SYSCTL_DIR}/90-macvtap-{device}.conf", HEADER + _sysctl(mine)


def batch_path(device: str, suffix: str) -> str:
    """Path of a batch file of a lower device; ``suffix`` is CREATE, UP or HOST."""
    return f"{BATCH_DIR}/{device}{suffix}"


def _create(entries: Sequence[Entry]) -> str:
    """Down and silent, with the flags in the very message: not one frame leaves with the guest's MAC before."""
    lines = []
    for entry in entries:
        words = ["link add link", entry.device, "name", entry.ifname, "index", str(entry.ifindex), "address", entry.mac]
        words += [option.boot.write(entry.settings[option.name]) for option in _AT_CREATION]
        words += ["type macvtap mode", _KERNEL_MODES[entry.mode]]
        lines.append(" ".join(filter(None, words)))
        lines.append('%s alias "%s"' % (_set(entry), tag_text(entry.tag)))
    return "".join(line + "\n" for line in lines)


def _up(entries: Sequence[Entry]) -> str:
    lines = []
    for entry in entries:
        if entry.mode == "passthrough":
            # the kernel ignores the one given at creation
            lines.append(f"{_set(entry)} address {entry.mac}")
        words = [option.boot.write(entry.settings[option.name]) for option in _LATER]
        lines += [f"{_set(entry)} {word}" for word in words if word]
    return "".join(line + "\n" for line in lines)


def _guard_file(mine: Sequence[Entry], entries: Sequence[Entry]) -> str:
    """What nft(8) is given of the links that are created; a line that is about one link ends with its index.

    :arg mine: those of one lower device.
    """
    links = [Link(entry.ifindex, entry.ifname, mac=entry.mac, guard=entry.guard) for entry in mine if entry.guard]
    vlans = sorted({vlan for entry in entries if entry.guard for vlan in entry.guard.vlans})
    said = [f"# guard of {link.ifindex}: {guard_text(link.guard)}" for link in links]
    return "".join(line + "\n" for line in [*said, *boot_lines(links, vlans)])


def _limit(entry: Entry) -> str:
    """For ip and for tc, each line with the link that it is about; and first, in a comment, what it all means."""
    value = entry.settings[BANDWIDTH]
    bandwidth = wanted(value, entry.settings["mtu"] or MTUS[-1])
    if bandwidth is None:
        return ""
    link, ifb, lines = f"if{entry.ifindex}", tc.ifb_name(entry.ifindex), []
    if bandwidth.inbound is not None:
        lines += [
            f"link add name {ifb} mtu {tc.IFB_MTU} type ifb",
            f'link set dev {ifb} alias "{tc.ifb_alias(entry.ifname)}" up',
            f"qdisc replace dev {ifb} {_tbf(bandwidth.inbound)}",
            f"qdisc replace dev {link} clsact",
            f"filter replace dev {link} ingress prio {tc.PRIORITY} protocol all handle 800::800 u32 match u32 0 0"
            f" action mirred egress redirect dev {ifb}",
        ]
    if bandwidth.outbound is not None:
        lines.append(f"qdisc replace dev {link} {_tbf(bandwidth.outbound)}")
    meaning = f"# {link} {json.dumps(value, sort_keys=True)}\n"
    return meaning + "".join(f"link limit {link} {line}\n" for line in lines)


def _tbf(shape: Shape) -> str:
    peak = f" peakrate {shape.peak}bps mtu {tc.peak_burst(shape)}" if shape.peak else ""
    words = f"rate {shape.rate}bps burst {shape.burst} limit {queue_bytes(shape)}{peak}"
    return f"root handle {tc.HANDLE >> 16:x}: tbf {words}"


def _set(entry: Entry) -> str:
    """By index, never by name, which another link may have; :mod:`_boot.script` sees to the index."""
    return f"link set dev if{entry.ifindex}"


def _sysctl(entries: Sequence[Entry]) -> str:
    # slashes, since a dot is part of many a link's name; "-", since at the boot's own reading there is no such link
    silent = [entry for entry in entries if entry.settings["isolate_host"]]
    return "".join(f"-net/ipv6/conf/{entry.ifname}/disable_ipv6 = 1\n" for entry in silent)


def _udev_rules(entries: Sequence[Entry], devices: Sequence[str]) -> str:
    lines = ["# Owner of each tap's node, and a name for it that does not change."]
    for entry in entries:
        owner = ", ".join('%s="%s"' % (option.udev, entry.settings[option.key]) for option in NODE_OPTIONS)
        lines.append(
            'SUBSYSTEM=="macvtap", KERNEL=="tap%d", %s, SYMLINK+="macvtap/%s"' % (entry.ifindex, owner, entry.ifname)
        )
    lines.append("# A lower device that comes late gets its links then.")
    lines += [
        'SUBSYSTEM=="net", ACTION=="add|move", KERNEL=="%s", TAG+="systemd", ENV{SYSTEMD_WANTS}+="%s"'
        % (device, instance(device))
        for device in devices
    ]
    return HEADER + "".join(line + "\n" for line in lines)


def _link(entries: Sequence[Entry | HostEntry]) -> str:
    return (
        HEADER
        + "# udev leaves name and MAC of these links as they are.\n[Match]\n"
        + _names_as("OriginalName=%s\n", entries)
        + "\n[Link]\nNamePolicy=keep kernel\nMACAddressPolicy=none\n"
    )


def _network(entries: Sequence[Entry]) -> str:
    return (
        HEADER
        + "# systemd-networkd leaves the guests' links alone.\n[Match]\n"
        + _names_as("Name=%s\n", entries)
        + "\n[Link]\nUnmanaged=yes\n"
    )


def _network_manager(entries: Sequence[Entry]) -> str:
    return (
        HEADER
        + "# NetworkManager leaves the guests' links alone.\n[keyfile]\nunmanaged-devices+="
        + ";".join(_names_as("interface-name:=%s\n", entries).split())
        + "\n"
    )


def _dhcpcd(text: str, entries: Sequence[Entry]) -> str:
    """First in the file, since further down the line would belong to the ``interface`` block before it."""
    rest = _DHCPCD_BLOCK.sub("", text)
    block = _DHCPCD_BEGIN + _names_as("denyinterfaces %s\n", entries) + _DHCPCD_END if entries else ""
    return block + rest


def _names_as(line: str, entries: Iterable[Entry | HostEntry]) -> str:
    names = set()
    for entry in entries:
        names.add(entry.ifname)
        if isinstance(entry, Entry) and (entry.settings[BANDWIDTH] or {}).get("inbound"):
            names.add(tc.ifb_name(entry.ifindex))
    return "".join(line % name for name in sorted(names))


def instance(device: str) -> str:
    """The unit of a lower device."""
    return f"macvtap@{unit_escaped(device)}.service"


def devices_of(paths: Iterable[str]) -> list[str]:
    """The lower devices whose batch files are among these."""
    found = [path[len(BATCH_DIR) + 1 :] for path in paths if path.startswith(BATCH_DIR + "/")]
    return sorted(name[: -len(CREATE)] for name in found if name.endswith(CREATE))


def _target(devices: Sequence[str]) -> str:
    wants = "".join(f"Wants={instance(device)}\n" for device in devices)
    return HEADER + _TARGET % wants


_SERVICE = """\
[Unit]
Description=Macvtap links of guests on %I
ConditionPathExists=/etc/macvtap/boot/%I.create
# Wanted, not required: when the lower device never comes, this instance fails, names it, and the others go on.
Wants=sys-subsystem-net-devices-%i.device
After=sys-subsystem-net-devices-%i.device
# Its links go with the lower device. When that returns, udev starts this unit again, and so it must not be active then.
StopPropagatedFrom=sys-subsystem-net-devices-%i.device
# However often that is: a driver that is reloaded, a cable adapter, a flapping device.
StartLimitIntervalSec=0
# Where it starts, it removes all rules, guards among them.
After=nftables.service
# These set MTUs, which a link's own cannot exceed.
After=networking.service systemd-networkd.service NetworkManager.service

[Service]
Type=oneshot
RemainAfterExit=yes
# Links that could not be made are no failure here, but one below.
ExecStart=-/bin/sh /etc/macvtap/boot/links.sh create %I
ExecStart=/usr/lib/systemd/systemd-sysctl /etc/sysctl.d/90-macvtap-%I.conf
# The nodes have their owners before any program learns that they are there.
ExecStart=-udevadm settle --timeout=30
ExecStart=/bin/sh /etc/macvtap/boot/links.sh up %I
"""

_TARGET = """\
[Unit]
Description=Macvtap links of guests
%sBefore=libvirtd.service virtqemud.service libvirt-guests.service
"""

_GUESTS = """\
[Unit]
Wants=macvtap.target
After=macvtap.target
"""

_BOOT = """\
[Unit]
Wants=macvtap.target
"""


# -- reading -----------------------------------------------------------------------------------------------------------

_ADD = re.compile(
    r"link add link (?P<device>\S+) name (?P<ifname>\S+) index (?P<ifindex>\d+) address (?P<mac>\S+)"
    + "".join(f"(?P<{option.name}> {re.escape(option.boot.text)})?" for option in _AT_CREATION)
    + r" type macvtap mode (?P<mode>\w+)"
)
_GUARD = re.compile(r"# guard of (\d+): (\{.*\})")
_SETTING = re.compile(r"link set dev if(\d+) (.*)")
_WORDS = (
    ("alias", re.compile('alias "([^"]*)"')),
    ("address", re.compile(r"address (\S+)")),
    *((option.name, re.compile(re.escape(option.boot.text).replace("%d", r"(\d+)"))) for option in _LATER),
)
_RULE = re.compile(
    r'SUBSYSTEM=="macvtap", KERNEL=="tap(\d+)", '
    + ", ".join(f'{option.udev}="(?P<{option.key}>[^"]*)"' for option in NODE_OPTIONS)
    + r', SYMLINK\+="[^"]*"'
)
_LIMITED = re.compile(r"^# if(\d+) (\{.*\})$", re.MULTILINE)
_NODE = {option.key: option.default for option in NODE_OPTIONS}


def read(found: Mapping[str, str]) -> list[Entry]:
    """The entries in the files that exist; files that are not ours hold none.

    :raises Refused: naming file and line that we cannot have written.
    """
    links: dict[int, dict[str, str]] = {}
    for path, text in found.items():
        if path.startswith(BATCH_DIR) and path.endswith((CREATE, UP)) and is_ours(path, text):
            for line, place in _lines(path, text):
                index, words = _read_line(line, place)
                links.setdefault(index, {}).update(words)
        if path.startswith(BATCH_DIR) and path.endswith(LIMIT) and is_ours(path, text):
            for index, limit in _LIMITED.findall(text):
                links.setdefault(int(index), {})[BANDWIDTH] = limit
    guards = _guards(found)
    rules = filter(None, map(_RULE.fullmatch, found.get(UDEV_RULES, "").splitlines()))
    owners = {int(match[1]): match.groupdict() for match in rules}
    made = []
    for index, words in links.items():
        tag = read_tag(words.get("alias", ""))
        # a file cut off in the middle: the link's next attachment rewrites it
        if tag is not None and "device" in words:
            settings = {option.name: _value(option, words.get(option.name)) for option in OPTIONS}
            settings[GUARD] = guards.get(index)
            made.append(
                Entry(
                    tag,
                    words["ifname"],
                    index,
                    words["mac"],
                    _MODES[words["mode"]],
                    words["device"],
                    {**settings, **owners.get(index, _NODE)},
                )
            )
    return in_order(made)


def _guards(found: Mapping[str, str]) -> dict[int, dict[str, Any]]:
    """The guards in the files that exist, by interface index."""
    texts = [text for path, text in found.items() if path.startswith(BATCH_DIR) and path.endswith(GUARDS)]
    matches = (match for text in texts for match in map(_GUARD.fullmatch, text.splitlines()) if match)
    return {int(match[1]): as_row(parse(json.loads(match[2]))) or {} for match in matches}


def read_hosts(found: Mapping[str, str]) -> list[HostEntry]:
    """The host links in the files that exist.

    :raises Refused: as :func:`read`.
    """
    texts = [(path, text) for path, text in found.items() if path.startswith(BATCH_DIR) and path.endswith(HOST)]
    return host_link.read(line for path, text in texts if is_ours(path, text) for line in _lines(path, text))


def _lines(path: str, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield line, f"{path}, line {number}"


def _read_line(line: str, place: str) -> tuple[int, dict[str, str]]:
    """Interface index, and the words of the line with what they say."""
    added = _ADD.fullmatch(line)
    if added is not None and added["mode"] in _MODES:
        return int(added["ifindex"]), {name: word for name, word in added.groupdict().items() if word is not None}
    setting = _SETTING.fullmatch(line)
    if setting is not None:
        for name, pattern in _WORDS:
            word = pattern.fullmatch(setting[2])
            if word is not None:
                return int(setting[1]), {name: word[word.lastindex or 0]}
    raise Refused(
        f"{place} is not as this collection writes it: {line[:200]!r}; put it right, or remove the file and attach its"
        " guests again"
    )


def _value(option: Option, word: str | None) -> Any:
    """What a boot file says of an option.

    :arg word: the number in it for an option that has one; None = it is not there.
    """
    if word is None:
        return option.boot.absent
    if option.name == BANDWIDTH:
        return _limits(word)
    return int(word) if option.allowed else option.boot.present


def _limits(word: str) -> Any:
    try:
        value = json.loads(word)
        check(value, BANDWIDTH)
    except (ValueError, InvalidInput) as exc:
        raise Refused(f"the boot files have a bandwidth that is not as this collection writes it: {exc}") from exc
    return value
