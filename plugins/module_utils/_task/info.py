# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What macvtap_info lists: networks and attachments as they are, who holds the taps, and what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .._boot import lower, store
from .._boot.entry import Entry, as_row
from .._core import names
from .._core.errors import InvalidInput, MissingLibrary
from .._core.model import Network, NodePolicy
from .._guest import ask, rx_filter
from .._libvirt import definitions, state
from .._link.host import Host
from .._link.in_use import doubts
from .._link.select import Selection, select
from .._system import holders, rtnetlink, sriov, sysfs, tap_node
from .._system.look import look_at_host, look_at_taps
from . import warnings
from .problems import Survey, of_boot, of_path
from .report import found_row, holder_row, network_row


def work(module: AnsibleModule) -> dict[str, Any]:
    """List what the options select.

    :returns: the result of the module.
    """
    params = module.params
    selection = Selection(
        macs=None if params["mac"] is None else [names.check_mac(mac) for mac in params["mac"]],
        network=params["network"],
        guest=params["guest"],
        device=params["device"],
    )
    policy = NodePolicy(params["device_dir"])
    result, warned = survey(selection, params["all"], policy, params["definitions_dir"], params["runtime_dir"])
    for warning in warned:
        module.warn(warning)
    return result


def survey(
    selection: Selection, everything: bool, policy: NodePolicy, directory: str, runtime_dir: str
) -> tuple[dict[str, Any], list[str]]:
    """One look at the host.

    :arg everything: also links that this collection did not make.
    :arg runtime_dir: where the control sockets of guests are.
    :returns: the result of the module, and what to warn of.
    """
    with rtnetlink.Netlink() as netlink:
        host = look_at_host(netlink, policy)
    if selection.device is not None:
        selection = selection._replace(device=host.current_name(selection.device))
    networks, damaged = _definitions_here(directory)
    libvirt_links = state.made_links() if host.macvtaps else {}
    told = Survey(host, networks, libvirt_links, sysfs.wireless(_lower_devices(host, networks)))
    links = select(host, selection, everything)
    seen = look_at_taps(links, policy)
    found = holders.look((tap.number for tap in seen.values()), dead=tap_node.macvtap_major())
    counters: dict[int, dict[str, int]] = {}
    left_out: list[str] = []
    try:
        counters = rtnetlink.statistics(link.ifindex for link in links) if links else {}
    except MissingLibrary as exc:
        left_out = warnings.of_statistics(exc)
    boot, boot_problems = _known(host)
    attachments = []
    for link in links:
        tap = seen.get(link.ifindex)
        users = found.holders.get(tap.number, []) if tap is not None else []
        omitted = found.omitted.get(tap.number, 0) if tap is not None else 0
        row = found_row(link, host, tap, policy)
        entry = boot.get((row["guest"], row["nic"]))
        attachments.append(
            {
                **row,
                "managed": host.tag(link) is not None,
                "libvirt_domain": libvirt_links.get(link.name),
                "operstate": link.operstate,
                "holders": [holder_row(user) for user in users],
                "holders_omitted": omitted,
                "statistics": counters.get(link.ifindex, {}),
                "guard_dropped": dict(host.guards.dropped.get(link.ifindex, {})) if host.guards else {},
                "persistent": entry is not None,
                "problems": told.of_link(link, tap, policy.path(link.ifindex), users, omitted) + of_boot(entry, row),
            }
        )
    silent = _add_filters(attachments, runtime_dir)
    boot_only = [entry for entry in boot.values() if _is_boot_only(entry, host, selection)]
    boot_problems = boot_problems + [problem for entry in boot_only for problem in of_path(entry, host)]
    libvirt_networks = state.networks() if networks else []
    rows = [_network(network, told, host, directory, libvirt_networks) for network in networks.values()]
    rows += [_damaged(name, problem, host, directory) for name, problem in damaged.items()]
    wanted = selection.network
    result = {
        "networks": sorted((row for row in rows if wanted in (None, row["name"])), key=lambda row: row["name"]),
        "attachments": attachments,
        "boot_only": [as_row(entry) for entry in boot_only],
        "boot_problems": boot_problems,
    }
    there = _there(host, {**networks, **damaged}, boot.values())
    return result, [
        *warnings.of_filters(_asked(selection), there),
        *warnings.of_doubts(doubts(found) if seen else ()),
        *warnings.of_dead_taps(found.dead),
        *warnings.of_libvirt(state.hidden()),
        *warnings.of_silent_guests(silent),
        *left_out,
    ]


def _known(host: Host) -> tuple[dict[tuple[str, int], Entry], list[str]]:
    """What the next boot makes, by guest and NIC, on lower devices as they are called now; and what is wrong."""
    known = store.known()
    now = lower.current(known.devices, host)
    entries = {key: entry._replace(device=now.get(entry.device, entry.device)) for key, entry in known.entries.items()}
    return entries, known.problems + lower.problems(known.devices, host)


def _add_filters(attachments: Sequence[dict[str, Any]], runtime_dir: str) -> dict[str, str]:
    """Add to the problems what guests want to receive in vain; returns those that did not answer, with the reason."""
    held = {(row["guest"], row["nic"]): row for row in attachments if row["managed"] and row["holders"]}
    nics = [
        ask.HeldNic(*key, row["mac"], frozenset(holder["pid"] for holder in row["holders"]))
        for key, row in held.items()
    ]
    answers = ask.filters_of(nics, runtime_dir)
    for key, wanted in answers.filters.items():
        held[key]["problems"] += [f"the guest {text}" for text in rx_filter.undelivered(wanted, held[key])]
    return answers.silent


def _asked(selection: Selection) -> list[tuple[str, str]]:
    """The filters of a task, each value on its own."""
    single = (("guest", selection.guest), ("network", selection.network), ("device", selection.device))
    asked = [(what, value) for what, value in single if value is not None]
    return asked + [("mac", mac) for mac in selection.macs or ()]


def _there(host: Host, defined: Collection[str], boot: Collection[Entry]) -> dict[str, set[str]]:
    """What each filter can match on this host, also at its next boot."""
    tags = [owned.tag for owned in host.tagged()] + [entry.tag for entry in boot]
    return {
        "guest": {tag.guest for tag in tags},
        "network": {tag.network for tag in tags if tag.network is not None}.union(defined),
        "device": {*host.by_name, *map(host.device_name, host.macvtaps), *(entry.device for entry in boot)},
        "mac": {link.mac for link in host.macvtaps} | {entry.mac for entry in boot},
    }


def _lower_devices(host: Host, networks: Mapping[str, Network]) -> set[str]:
    """Names of those that are of interest; a device in another network namespace has none here."""
    used = {host.links[link.lower].name for link in host.macvtaps if link.lower in host.links}
    pools = [device for network in networks.values() for device in network.devices]
    return used.union(link.name for link in map(host.device, pools) if link is not None)


def _is_boot_only(entry: Entry, host: Host, selection: Selection) -> bool:
    """Whether no such link is live, and the filters mean it."""
    return (
        entry.key not in host.owned
        and selection.guest in (None, entry.tag.guest)
        and selection.network in (None, entry.tag.network)
        and selection.device in (None, entry.device)
        and (selection.macs is None or entry.mac in selection.macs)
    )


def _definitions_here(directory: str) -> tuple[dict[str, Network], dict[str, str]]:
    """The networks defined, and the files that define none, or cannot be read here, with the reason."""
    networks: dict[str, Network] = {}
    damaged: dict[str, str] = {}
    for name in definitions.names(directory):
        try:
            network = definitions.read(directory, name)
        except (definitions.Damaged, MissingLibrary) as exc:
            damaged[name] = str(exc)
            continue
        if network is not None:
            networks[name] = network
    return networks, damaged


def _network(
    network: Network, told: Survey, host: Host, directory: str, libvirt_networks: list[state.Definition]
) -> dict[str, Any]:
    path = definitions.path_of(directory, network.name)
    text = definitions.read_text(path)
    problems = state.conflicts(network.name, text, network, libvirt_networks)
    try:
        network = sriov.with_devices(network)
    except InvalidInput as exc:
        problems.append(str(exc))
    row = network_row(network.name, network, host, path, text)
    return {**row, "problems": problems + told.of_network(network)}


def _damaged(name: str, problem: str, host: Host, directory: str) -> dict[str, Any]:
    path = definitions.path_of(directory, name)
    return {**network_row(name, None, host, path, None), "problems": [problem]}
