# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Networks: what macvtap_network does. A definition is a file; a change of it reaches the links that are live."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Callable, NamedTuple

from ansible.module_utils.basic import AnsibleModule

from .._core import names
from .._core.errors import InvalidInput, MissingLibrary, Refused
from .._core.model import BOOT_DIRECTORY, Attachment, Link, Network, Nic, NodePolicy
from .._libvirt import definitions, network_plain, state
from .._libvirt.network import network_xml, parse_network, same_definition, update_network_xml
from .._link import host_link
from .._link.host import Host, Owned
from .._link.inherit import vlans_of
from .._link.plan import predict
from .._link.resolve import Defaults, resolve
from .._link.steps import BringUp, WriteFile
from .._link.vlan import device_on
from .._system import rtnetlink, sriov, sysfs, vlan
from . import options, warnings
from .converge import Decision, Task, converge, report
from .report import network_row


def work(module: AnsibleModule) -> dict[str, Any]:
    """Define or undefine the network.

    :returns: the result of the module.
    :raises MacvtapError: naming the option and its value, or what the host refused.
    """
    params = module.params
    directory = params["definitions_dir"]
    task = Task(NodePolicy(params["device_dir"]), params["force"], module.check_mode)
    detached = options.detached(params["detached"])
    if params["state"] == "present":
        return defined(params, directory, task, module.warn, detached)
    if params["xml"] is not None:
        name = parse_network(params["xml"], params["name"]).name
    else:
        name = names.check_network_name(params["name"])
    result, unsure = undefine(name, directory, task, detached)
    for warning in unsure:
        module.warn(warning)
    return {**result, **_boot()}


def defined(
    params: Mapping[str, Any],
    directory: str,
    task: Task,
    warn: Callable[[str], None],
    detached: Collection[int] | None = None,
) -> dict[str, Any]:
    """Define the network that the options describe.

    :arg params: the options :data:`options.NETWORK`.
    :arg detached: as for :func:`undefine`.
    :returns: the result of the module.
    """
    if params["xml"] is not None:
        network = parse_network(params["xml"], params["name"])
    else:
        network = options.network(params["name"], params["mode"], params["devices"], params)
    result = define(network, directory, task, detached, params["portgroups"] is None, params["host_link"])
    devices = result["network"]["devices"]
    if result["changed"]:
        for problem in state.conflicts(network.name, result["network"]["xml"], network, state.networks()):
            warn(problem)
        for warning in warnings.of_devices(sysfs.wireless(device["name"] for device in devices)):
            warn(warning)
    for warning in warnings.of_gone({network.name: [row["name"] for row in devices if row["ifindex"] is None]}):
        warn(warning)
    return {**result, **_boot()}


def _boot() -> dict[str, bool]:
    return {"boot_files": os.path.isdir(BOOT_DIRECTORY)}


def define(
    wanted: Network,
    directory: str,
    task: Task,
    detached: Collection[int] | None = None,
    keeps_portgroups: bool = False,
    asked: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the definition, set its lower devices up, and bring live links of the network along.

    :arg detached: as for :func:`undefine`.
    :arg keeps_portgroups: plain options do not say which port groups it has: it has those that it had.
    :arg asked: the option ``host_link``; None = not given.
    :returns: the result of the module.
    """
    path = definitions.path_of(directory, wanted.name)
    pooled = sriov.with_devices(wanted)
    option = None if asked is None else host_link.host_link(asked)
    if vlans_of(wanted):
        with rtnetlink.Netlink() as netlink:
            vlan.require(netlink)

    def meeting(host: Host, lowers: Sequence[Link], moved: Sequence[Attachment]) -> host_link.Wanted:
        if asked is not None and option is None:
            return host_link.leaving(wanted.name, host)
        moving = [attachment.link.ifindex for attachment in moved]
        if option is not None or wanted.name in host.host_links:
            tag, where = wanted.settings.get("vlan"), f"network {wanted.name!r}"
            lowers = [device_on(lower, tag, host, where) for lower in lowers]
        return host_link.decide(wanted.name, wanted.mode, lowers, option, host, moving)

    def decide(host: Host, found: _Found) -> Decision:
        host = _without(host, detached, task)
        text = _new_text(wanted, found.network, found.text, keeps_portgroups)
        # one that is missing from the beginning is a slip of the pen
        network = pooled._replace(defined_with=found.network.devices if found.network is not None else ())
        lowers = _pool(network, host)
        moved = _moved(found.network, network, host) if found.network is not None else []
        together = meeting(host, lowers, moved)
        part, meet = host_link.plan(wanted.name, together, host)
        links = [attachment.link for attachment in moved] + ([together.link] if together.link is not None else [])
        used = dict.fromkeys([*(lower.ifindex for lower in lowers), *(link.lower for link in links)])
        return Decision(
            host,
            moved,
            files=[] if text == found.text else [_write(wanted.name, path, found.text, text)],
            bring_up=[BringUp(link) for link in host.to_bring_up(used)],
            # macvtap_attach owns the nodes
            owns_nodes=False,
            part=part,
            meet=meet,
        )

    steps, last = converge(decide, task, partial(_read, path, wanted.name))
    written = [step.new for step in steps if isinstance(step, WriteFile)]
    text = written[-1] if written else definitions.read_text(path)
    host = predict(last.host, last.plan) if task.check_mode else last.host
    if text is not None:
        pooled = pooled._replace(portgroups=definitions.parse(path, text, wanted.name).portgroups)
    row = network_row(wanted.name, pooled, host, path, text)
    # as decided at the last look, which found it so or, in check mode, would have made it so
    together = meeting(last.host, last.host.pool(pooled._replace(defined_with=pooled.devices)), last.attachments)
    return {**report(steps), "network": {**row, "host_link": together.row()}}


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
    knows_live = detached is not None or not task.check_mode

    def decide(host: Host, text: str | None) -> Decision:
        host = _without(host, detached, task)
        live = _live(host, name)
        if text is not None and live and knows_live and not task.force:
            raise Refused(
                f"network {name!r} has {len(live)} live attachments ({_first_of(live, host)}); detach them first,"
                " or set force=true to remove the"
                " definition and leave them"
            )
        part, _meet = host_link.plan(name, host_link.leaving(name, host), host)
        return Decision(host, files=[] if text is None else [_write(name, path, text, None)], part=part)

    steps, last = converge(decide, task, partial(definitions.read_text, path))
    live = [] if task.force or knows_live or not steps else _live(last.host, name)
    unsure = warnings.of_removal(name, len(live), _first_of(live, last.host)) if live else []
    host = predict(last.host, last.plan) if task.check_mode else last.host
    row = network_row(name, _defined(path, before, name), host, path, before)
    return {**report(steps), "network": row}, unsure


class _Found(NamedTuple):
    """The definition as it is: its text, and the network with the devices of its pool."""

    text: str | None
    network: Network | None


def _pool(network: Network, host: Host) -> list[Link]:
    """The lower devices.

    :raises InvalidInput: naming one that cannot be, or that is given by two of its names.
    """
    pool = host.pool(network)
    given: dict[int, str] = {}
    for name in network.devices:
        link = host.device(name)
        other = given.setdefault(link.ifindex, name) if link is not None else name
        if link is not None and other != name:
            raise InvalidInput(
                f"network {network.name!r} lists device {link.name} twice, as {other!r} and as {name!r}; list each once"
            )
    return pool


def _read(path: str, name: str) -> _Found:
    text = definitions.read_text(path)
    return _Found(text, None if text is None else sriov.with_devices(definitions.parse(path, text, name)))


def _write(name: str, path: str, old: str | None, new: str | None) -> WriteFile:
    return WriteFile(path, old, new, definitions.WHAT, f"definition of network {name}")


def _live(host: Host, network: str) -> list[Owned]:
    return [owned for owned in host.tagged() if owned.tag.network == network]


def _first_of(live: Sequence[Owned], host: Host) -> str:
    return ", ".join(host.describe(owned.link) for owned in live[:5]) + (" …" if len(live) > 5 else "")


def _without(host: Host, detached: Collection[int] | None, task: Task) -> Host:
    """The host as earlier tasks would have left it."""
    if not task.check_mode or not detached:
        return host
    return host.without(detached)


def _defined(path: str, text: str | None, name: str) -> Network | None:
    """What was defined, as far as it can be read: every file can be removed."""
    try:
        return None if text is None else definitions.parse(path, text, name)
    except (definitions.Damaged, MissingLibrary):
        return None


def _new_text(wanted: Network, old: Network | None, old_text: str | None, keeps_portgroups: bool) -> str:
    """The definition to write; the old one, to the letter, where it says the same."""
    if old is None or old_text is None:
        return network_xml(wanted)
    if wanted.xml is None:
        if keeps_portgroups:
            wanted = wanted._replace(portgroups=old.portgroups)
        if wanted._replace(pf=old.pf, xml=old.xml) == old:
            return old_text
        if network_plain.read(old_text) is not None:
            return network_xml(wanted)
        # what plain options cannot say stays: uuid, metadata
        return update_network_xml(old_text, wanted)
    text = network_xml(wanted)
    return old_text if same_definition(old_text, text) else text


def _moved(old: Network, new: Network, host: Host) -> list[Attachment]:
    """The live links of the network, as the new definition wants them; everything else about them stays."""
    if (old.mode, old.devices) == (new.mode, new.devices):
        return []
    old_devices = {link.ifindex for link in map(host.device, old.devices) if link is not None}
    affected = [
        owned
        for owned in host.owned.values()
        # one that is elsewhere was put there on purpose (a live domain XML says where it was)
        if owned.tag.network == new.name and not old_devices.isdisjoint(host.stands_on(owned.link))
    ]
    nics = [_as_it_is(owned, owned.link.lower in old_devices, host) for owned in affected]
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


def _as_it_is(owned: Owned, is_on_device: bool, host: Host) -> Nic:
    """:arg is_on_device: whether it is on a device of the pool itself, and not on a VLAN device on one."""
    tag, vlan = owned.tag, host.vlan_of(owned.link)
    # its next attachment decides which VLAN it is in
    settings = {} if is_on_device or vlan is None else {"vlan": vlan.tag}
    return Nic(tag.guest, tag.nic, network=tag.network, mac=owned.link.mac, queues=tag.queues, settings=settings)
