# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Networks: what macvtap_network does. A definition is a file; a change of it reaches the links that are live."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .._core.errors import MissingLibrary, Refused
from .._core.model import Attachment, Network, Nic
from .._libvirt import definitions, network_plain
from .._libvirt.network import network_xml, same_definition, update_network_xml
from .._link.host import Host, Owned
from .._link.plan import BringUp, Plan, WriteDefinition, plan_attachments, predict
from .._link.resolve import Defaults, resolve
from .._system import sriov
from .._system.look import look_at_taps
from . import warnings
from .converge import Task, View, converge, report
from .report import network_row


def define(wanted: Network, directory: str, task: Task, detached: Collection[int] | None = None) -> dict[str, Any]:
    """Write the definition, set its lower devices up, and bring live links of the network along.

    :arg detached: as for :func:`undefine`.
    :returns: the result of the module.
    """
    path = definitions.path_of(directory, wanted.name)
    pooled = sriov.with_devices(wanted)

    def plan(host: Host) -> View:
        host = _without(host, detached, task)
        old_text = definitions.read_text(path)
        old = None if old_text is None else sriov.with_devices(definitions.parse(path, old_text, wanted.name))
        new_text = _new_text(wanted, old, old_text)
        wanted_by = "network %r" % wanted.name
        lowers = [host.lower_device(name, wanted_by) for name in pooled.devices]
        moved = _moved(old, pooled, host) if old is not None else []
        seen = look_at_taps([attachment.found for attachment in moved if attachment.found], task.policy, required=True)
        steps = plan_attachments(moved, [], seen, host, task.policy)
        return View(
            host,
            steps._replace(
                definitions=[] if new_text == old_text else [WriteDefinition(wanted.name, path, old_text, new_text)],
                bring_up=[BringUp(link) for link in lowers if not link.is_up],
                # the owner of nodes is macvtap_attach's business
                nodes=[],
            ),
        )

    steps, last = converge(plan, task)
    written = [step.new for step in steps if isinstance(step, WriteDefinition)]
    text = written[-1] if written else definitions.read_text(path)
    host = predict(last.host, last.plan) if task.check_mode else last.host
    return {**report(steps), "network": network_row(wanted.name, pooled, host, path, text)}


def undefine(
    name: str, directory: str, task: Task, detached: Collection[int] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Remove the definition. Links are never removed with it: without ``force`` live ones keep it from going.

    :arg detached: ifindexes of links that earlier tasks removed, or in check mode would have removed, which does not
        see them gone. None = unknown: then check mode cannot tell whether live links would keep the definition.
    :returns: the result of the module, and what to warn of.
    """
    path = definitions.path_of(directory, name)
    before = definitions.read_text(path)
    unsure: list[str] = []

    def plan(host: Host) -> View:
        host = _without(host, detached, task)
        text = definitions.read_text(path)
        live = [owned for owned in host.tagged() if owned.tag.network == name]
        if text is not None and live and not task.force:
            links = ", ".join(host.describe(owned.link) for owned in live[:5]) + (" …" if len(live) > 5 else "")
            if not task.check_mode or detached is not None:
                raise Refused(
                    "network %r has %d live attachments (%s); detach them first, or set force=true to remove the"
                    " definition and leave them" % (name, len(live), links)
                )
            unsure[:] = warnings.of_removal(name, len(live), links)
        return View(host, Plan(definitions=[] if text is None else [WriteDefinition(name, path, text, None)]))

    steps, last = converge(plan, task)
    row = network_row(name, _defined(path, before, name), last.host, path, before)
    return {**report(steps), "network": row}, unsure


def _without(host: Host, detached: Collection[int] | None, task: Task) -> Host:
    """The host as earlier tasks would have left it."""
    if not task.check_mode or not detached:
        return host
    return Host({index: link for index, link in host.links.items() if index not in detached}, host.foreign_nodes)


def _defined(path: str, text: str | None, name: str) -> Network | None:
    """What was defined, as far as it can be read: every file can be removed."""
    try:
        return None if text is None else definitions.parse(path, text, name)
    except (definitions.Damaged, MissingLibrary):
        return None


def _new_text(wanted: Network, old: Network | None, old_text: str | None) -> str:
    """The definition to write; the old one, to the letter, where it says the same."""
    if old is None or old_text is None:
        return network_xml(wanted)
    if wanted.xml is None:
        if (wanted.mode, wanted.devices) == (old.mode, old.devices):
            return old_text
        if network_plain.read(old_text) is not None:
            return network_xml(wanted)
        # plain options know mode and devices only: uuid, metadata and portgroups stay
        return update_network_xml(old_text, wanted)
    text = network_xml(wanted)
    return old_text if same_definition(old_text, text) else text


def _moved(old: Network, new: Network, host: Host) -> list[Attachment]:
    """The live links of the network, as the new definition wants them; everything else about them stays."""
    if (old.mode, old.devices) == (new.mode, new.devices):
        return []
    old_devices = {host.by_name[name].ifindex for name in old.devices if name in host.by_name}
    affected = [
        owned
        for owned in host.owned.values()
        # one that is elsewhere was put there on purpose (a live domain XML says where it was)
        if owned.tag.network == new.name and owned.link.lower in old_devices
    ]
    nics = [_as_it_is(owned) for owned in affected]
    attachments = resolve(nics, {new.name: new}, host, Defaults())
    return [
        attachment._replace(
            link=owned.link._replace(
                mode=attachment.link.mode,
                lower=attachment.link.lower,
                mtu=min(owned.link.mtu, attachment.link.mtu),
            )
        )
        for attachment, owned in zip(attachments, affected)
    ]


def _as_it_is(owned: Owned) -> Nic:
    tag = owned.tag
    return Nic(tag.guest, tag.nic, network=tag.network, mac=owned.link.mac, queues=tag.queues)
