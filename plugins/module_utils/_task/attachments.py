# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Attachments: what macvtap_attach does, in the order of effects; every decision is made in a pure room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._boot import index
from .._core.model import Attachment, Link, Network, Nic
from .._libvirt import definitions, state
from .._link.host import Host
from .._link.resolve import Defaults, moved, number_nics, requests, resolve
from .._link.select import Purge, Selection, select, to_purge
from .._link.steps import BringUp, CreateLink, DeleteLink, OwnNode, Step
from .._system import sriov
from .converge import Decision, Task, converge, report
from .report import deleted_row, wanted_row
from .unsupported import Skipped, place_what_fits, rows
from .warnings import of_dead, of_gone, of_kept_options, of_kept_taps


def attach(
    nics: Sequence[Nic],
    networks: Mapping[str, Network | None],
    defaults: Defaults,
    purge: Purge | None,
    task: Task,
    skipped: Sequence[Skipped] | None = None,
) -> dict[str, Any]:
    """Converge attachments to ``nics``, and remove what else ``purge`` covers.

    :arg skipped: guests that are skipped already, and further ones from XML may be; None = no guest may be skipped.
    :returns: the result of the module, and under ``moved`` the guest, NIC and reason of each new link whose path is not
        the one derived for it.
    """
    # read before the first change: a file that cannot be read later would leave a run neither done nor undone
    promised = index.promised()
    # libvirt deletes by name what it made, when the guest ends: also another link that has the name by then
    reserved = state.made_links()
    left = list(skipped or ())
    fitting = list(nics) if skipped is None else None
    earlier: dict[tuple[str, int], dict[str, Any]] | None = None

    def place(host: Host, some: Sequence[Nic]) -> tuple[list[Attachment], list[Link]]:
        numbered = number_nics(some, None)
        unplaced = {nic.guest or "" for nic in nics}.difference(nic.guest or "" for nic in some)
        kept = unplaced.union(each.guest for each in left)
        leaving = to_purge(host, numbered, purge._replace(except_guests=kept)) if purge else []
        return resolve(numbered, networks, host, defaults, leaving, promised, earlier, reserved), leaving

    def decide(host: Host, _read: None) -> Decision:
        nonlocal fitting, earlier
        earlier = requests(host) if earlier is None else earlier
        if fitting is None:
            # at the first look only: no guest is skipped whose links this run has begun to create
            fitting, more = place_what_fits(nics, lambda some: place(host, some))
            left.extend(more)
        wanted, leaving = place(host, fitting)
        used = {attachment.link.lower for attachment in wanted}
        if defaults.rebalance:
            # which of them have a carrier is seen only when they are up
            pools = [networks.get(name) for name in {attachment.network or "" for attachment in wanted}]
            used.update(link.ifindex for network in pools if network is not None for link in host.pool(network))
        return Decision(host, wanted, leaving, bring_up=[BringUp(lower) for lower in host.to_bring_up(sorted(used))])

    steps, last = converge(decide, task)
    result = _result(steps, [wanted_row(attachment, last.taps, task.policy) for attachment in last.attachments])
    created = {step.link.ifindex for step in steps if isinstance(step, CreateLink) and not step.because}
    new = [attachment for attachment in last.attachments if attachment.link.ifindex in created]
    pools = {attachment.network: networks.get(attachment.network or "") for attachment in last.attachments}
    gone = {network.name: last.host.gone(network) for network in pools.values() if network is not None}
    result["warnings"] += of_gone(gone) + of_dead(new, last.host) + of_kept_options(last.attachments)
    return {
        **result,
        "moved": moved(new, last.host, promised) if new and defaults.stable_index else [],
        "skipped_guests": rows(left),
    }


def detach(selection: Selection, task: Task) -> dict[str, Any]:
    """Remove the selected links, all or none.

    :returns: the result of the module.
    """
    steps, _last = converge(lambda host, _read: Decision(host, leaving=select(host, selection)), task)
    rows = [deleted_row(step, task.policy) for step in steps if isinstance(step, DeleteLink)]
    return _result(steps, sorted(rows, key=lambda row: (row["guest"] or "", row["nic"] or 0, row["ifname"])))


def _result(steps: list[Step], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **report(steps),
        "attachments": rows,
        "tap_paths": [row["tap_path"] for row in rows],
        "warnings": of_kept_taps((step.path, step.kept) for step in steps if isinstance(step, OwnNode)),
    }


def definitions_for(nics: Sequence[Nic], directory: str, given: Mapping[str, Network]) -> dict[str, Network | None]:
    """The definitions that the NICs name: those given with the task first, then those on disk.

    :returns: by name; when one that a NIC names is missing also all others that are defined, unread, as None.
    """
    networks: dict[str, Network | None] = dict(given)
    wanted = sorted({nic.network for nic in nics if nic.network is not None and nic.device is None})
    placed = {nic.network for nic in nics if nic.network is not None and nic.device is not None}
    for name in sorted(placed.union(wanted)):
        network = networks[name] if name in networks else definitions.read(directory, name)
        if network is not None:
            pooled = sriov.with_devices(network)
            networks[name] = pooled if name in given else pooled._replace(defined_with=pooled.devices)
    if not networks.keys() >= set(wanted):
        networks = {**dict.fromkeys(definitions.names(directory)), **networks}
    return networks
