# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The files that a boot makes links from, as text. PURE. :mod:`_boot.reading` reads them again.

Names in them are plain (:func:`_boot.entry.entries` refuses others) but for those of guests and networks, which the
mark percent-encodes: it has no blank but its own, no ``"``, no ``#`` and no backslash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from .._core.identity import tag_text
from .._core.model import BOOT_DIRECTORY, MTUS, Link, Shape
from .._core.names import unit_escaped
from .._link import tc
from .._link.attributes import BANDWIDTH, GUARD, NODE_OPTIONS, OPTIONS, VF
from .._traffic import virtual_function
from .._traffic.bandwidth import queue_bytes, wanted
from .._traffic.table import boot_lines
from . import host_link, lower, vlan
from .entry import Entry
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
VLANS, FUNCTION = ".vlan", ".vf"
SUFFIXES = (CREATE, GUARDS, UP, HOST, LIMIT, VLANS, FUNCTION)
_SYSCTL = re.compile(re.escape(SYSCTL_DIR) + r"/90-macvtap-.+\.conf")
FIXED = (UDEV_RULES, LINK, NETWORK, NETWORK_MANAGER, LINKS, SERVICE, TARGET, GUESTS, BOOT)
#: directories of this collection alone: removed when empty
OWN_DIRECTORIES = (BATCH_DIR, BOOT.rpartition("/")[0], GUESTS.rpartition("/")[0])

#: the kernel's word for libvirt's
KERNEL_MODES = {"vepa": "vepa", "bridge": "bridge", "private": "private", "passthrough": "passthru"}

#: options that are words of the line that creates a link, and those that are lines of their own, carried out later
AT_CREATION = [option for option in OPTIONS if option.boot.at_creation]
LATER = [option for option in OPTIONS if not option.boot.at_creation and option.boot.text]

_DHCPCD_BEGIN = "# linuxnet.macvtap: begin. Written by Ansible (module macvtap_persist); changes will be overwritten.\n"
_DHCPCD_END = "# linuxnet.macvtap: end\n"
_DHCPCD_BLOCK = re.compile(re.escape(_DHCPCD_BEGIN) + r"(?:.*\n)*?" + re.escape(_DHCPCD_END))


def is_candidate(path: str) -> bool:
    """Whether a file at this path may be one of ours."""
    return (
        path in FIXED
        or path == DHCPCD
        or (path.startswith(BATCH_DIR + "/") and path.endswith(SUFFIXES))
        or _SYSCTL.fullmatch(path) is not None
    )


def is_ours(path: str, text: str) -> bool:
    """Whether we may change this file."""
    return path == DHCPCD or text.startswith(HEADER)


# -- writing -----------------------------------------------------------------------------------------------------------


def files(
    entries: Sequence[Entry],
    found: Mapping[str, str],
    managers: Iterable[str],
    hosts: Sequence[HostEntry] = (),
    known: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Every file that the entries need, by path, in the order in which they are to be written.

    :arg found: the files that exist.
    :arg managers: those of NETWORK_MANAGER and DHCPCD whose program is on the host.
    :arg hosts: the host links of networks.
    :arg known: what lower devices are known by, see :mod:`_boot.lower`.
    """
    texts: dict[str, str] = {}
    if entries or hosts:
        vlans = vlan.of_entries(entries, hosts)
        parents = {each.parent for each in vlans.values() if each.parent}
        devices = sorted(parents.union({entry.device for entry in entries}, {entry.device for entry in hosts}))
        for device in devices:
            texts.update(_of_device(device, entries, hosts, known.get(device, "")))
        texts[UDEV_RULES] = _udev_rules(entries, devices, known)
        names = _names(entries, vlans)
        texts[LINK] = _link({*names, *(host.ifname for host in hosts)})
        # a section without names would match every link
        if names:
            texts[NETWORK] = _network(names)
            if NETWORK_MANAGER in managers:
                texts[NETWORK_MANAGER] = _network_manager(names)
        texts[LINKS] = HEADER + LINKS_SCRIPT
        texts[SERVICE] = HEADER + _SERVICE
        texts[TARGET] = _target(devices)
        texts[GUESTS] = HEADER + _GUESTS
        texts[BOOT] = HEADER + _BOOT
    if DHCPCD in managers and DHCPCD in found:
        texts[DHCPCD] = _dhcpcd(found[DHCPCD], _names(entries, vlan.of_entries(entries, hosts)))
    return texts


def _of_device(
    device: str, entries: Sequence[Entry], hosts: Sequence[HostEntry], words: str
) -> Iterator[tuple[str, str]]:
    mine = [entry for entry in entries if entry.device == device]
    of_host = [entry for entry in hosts if entry.device == device]
    vlans = vlan.text(vlan.of_entries(entries, hosts), device)
    if vlans:
        yield batch_path(device, VLANS), HEADER + vlans
    yield batch_path(device, CREATE), HEADER + lower.line(words) + _create(mine)
    if any(entry.guard is not None for entry in mine):
        yield batch_path(device, GUARDS), HEADER + _guard_file(mine, entries)
    limits = "".join(_limit(entry) for entry in mine)
    if limits:
        yield batch_path(device, LIMIT), HEADER + limits
    functions = "".join(_function(entry) for entry in mine if entry.settings[VF])
    if functions:
        yield batch_path(device, FUNCTION), HEADER + functions
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
        words += [option.boot.write(entry.settings[option.name]) for option in AT_CREATION]
        words += ["type macvtap mode", KERNEL_MODES[entry.mode]]
        lines.append(" ".join(filter(None, words)))
        lines.append('%s alias "%s"' % (_set(entry), tag_text(entry.tag)))
    return "".join(line + "\n" for line in lines)


def _up(entries: Sequence[Entry]) -> str:
    lines = []
    for entry in entries:
        if entry.mode == "passthrough":
            # the kernel ignores the one given at creation
            lines.append(f"{_set(entry)} address {entry.mac}")
        words = [option.boot.write(entry.settings[option.name]) for option in LATER]
        lines += [f"{_set(entry)} {word}" for word in words if word]
    return "".join(line + "\n" for line in lines)


def _guard_file(mine: Sequence[Entry], entries: Sequence[Entry]) -> str:
    """What nft(8) is given of the links that are created; a line that is about one link ends with its index.

    :arg mine: those of one lower device.
    """
    links = [Link(entry.ifindex, entry.ifname, mac=entry.mac, guard=entry.guard) for entry in mine if entry.guard]
    vlans = sorted({vlan for entry in entries if entry.guard for vlan in entry.guard.vlans})
    meanings = [_meaning(GUARD, entry) for entry in mine if entry.guard]
    return "".join(line + "\n" for line in [*meanings, *boot_lines(links, vlans)])


def _meaning(name: str, entry: Entry) -> str:
    """What the lines of an option mean, from which :mod:`_boot.reading` knows its value."""
    return f"# {name} of {entry.ifindex}: {json.dumps(entry.settings[name], sort_keys=True)}"


def _limit(entry: Entry) -> str:
    """For ip and for tc, each line with the link that it is about; and first, in a comment, what it all means."""
    bandwidth = wanted(entry.settings[BANDWIDTH], entry.settings["mtu"] or MTUS[-1])
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
    lines = [_meaning(BANDWIDTH, entry), *(f"link limit {link} {line}" for line in lines)]
    return "".join(line + "\n" for line in lines)


def _function(entry: Entry) -> str:
    """For ip, of the physical function: which one that is, and which of its virtual functions, the boot finds out."""
    words = virtual_function.text(virtual_function.wanted(entry.settings[VF]))
    return f"{_meaning(VF, entry)}\nlink vf if{entry.ifindex} {words}\n"


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


def _udev_rules(entries: Sequence[Entry], devices: Sequence[str], known: Mapping[str, str]) -> str:
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
    for device in devices:
        lines += lower.udev_lines(device, known.get(device, ""), instance(device))
    return HEADER + "".join(line + "\n" for line in lines)


def _link(names: Collection[str]) -> str:
    return (
        HEADER
        + "# udev leaves name and MAC of these links as they are.\n[Match]\n"
        + _names_as("OriginalName=%s\n", names)
        + "\n[Link]\nNamePolicy=keep kernel\nMACAddressPolicy=none\n"
    )


def _network(names: Collection[str]) -> str:
    return (
        HEADER
        + "# systemd-networkd leaves the guests' links alone.\n[Match]\n"
        + _names_as("Name=%s\n", names)
        + "\n[Link]\nUnmanaged=yes\n"
    )


def _network_manager(names: Collection[str]) -> str:
    return (
        HEADER
        + "# NetworkManager leaves the guests' links alone.\n[keyfile]\nunmanaged-devices+="
        + ";".join(_names_as("interface-name:=%s\n", names).split())
        + "\n"
    )


def _dhcpcd(text: str, names: Collection[str]) -> str:
    """First in the file, since further down the line would belong to the ``interface`` block before it."""
    rest = _DHCPCD_BLOCK.sub("", text)
    block = _DHCPCD_BEGIN + _names_as("denyinterfaces %s\n", names) + _DHCPCD_END if names else ""
    return block + rest


def _names(entries: Iterable[Entry], vlans: Iterable[str]) -> set[str]:
    """The links with which no program of the host is to do anything: those of guests, and what they need."""
    names = set(vlans)
    for entry in entries:
        names.add(entry.ifname)
        if (entry.settings[BANDWIDTH] or {}).get("inbound"):
            names.add(tc.ifb_name(entry.ifindex))
    return names


def _names_as(line: str, names: Iterable[str]) -> str:
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
