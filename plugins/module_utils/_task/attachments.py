# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Attachments: what macvtap_attach does, in the order of effects; every decision is made in a pure room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._boot import index
from .._core.model import Network, Nic
from .._libvirt import definitions
from .._link.host import Host
from .._link.resolve import Defaults, moved, number_nics, resolve
from .._link.select import Purge, Selection, select, to_purge
from .._link.steps import BringUp, CreateLink, DeleteLink, OwnNode, Step
from .._system import sriov
from .converge import Decision, Task, converge, report
from .report import deleted_row, wanted_row
from .warnings import of_kept_taps


def attach(
    nics: Sequence[Nic],
    networks: Mapping[str, Network | None],
    defaults: Defaults,
    purge: Purge | None,
    task: Task,
) -> dict[str, Any]:
    """Converge attachments to ``nics``, and remove what else ``purge`` covers.

    :returns: the result of the module, and under ``moved`` the guest, NIC and reason of each new link whose path is not
        the one derived for it.
    """
    nics = number_nics(nics, None)
    # read before the first change: a file that cannot be read later would leave a run neither done nor undone
    promised = index.promised()

    def decide(host: Host, _read: None) -> Decision:
        leaving = to_purge(host, nics, purge) if purge else []
        wanted = resolve(nics, networks, host, defaults, leaving, promised)
        lowers = [host.links[number] for number in sorted({attachment.link.lower for attachment in wanted})]
        return Decision(host, wanted, leaving, bring_up=[BringUp(lower) for lower in lowers if not lower.is_up])

    steps, last = converge(decide, task)
    result = _result(steps, [wanted_row(attachment, last.taps, task.policy) for attachment in last.attachments])
    created = {step.link.ifindex for step in steps if isinstance(step, CreateLink) and not step.because}
    new = [attachment for attachment in last.attachments if attachment.link.ifindex in created]
    return {**result, "moved": moved(new, last.host, promised) if new and defaults.stable_index else []}


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
    for name in wanted:
        network = networks[name] if name in networks else definitions.read(directory, name)
        if network is not None:
            networks[name] = sriov.with_devices(network)
    if not networks.keys() >= set(wanted):
        networks = {**dict.fromkeys(definitions.names(directory)), **networks}
    _require_portgroups(nics, networks)
    return networks


def _require_portgroups(nics: Sequence[Nic], networks: Mapping[str, Network | None]) -> None:
    for nic in nics:
        network = networks.get(nic.network or "")
        # a definition from plain options has no port groups, nor can it tell that the real one has none
        if nic.portgroup is not None and network is not None and network.xml is not None:
            from .._libvirt.network import choose_portgroup

            choose_portgroup(network, nic.portgroup)
