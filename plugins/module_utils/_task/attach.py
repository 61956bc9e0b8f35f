# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Module macvtap_attach from its options to its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from .._core import names
from .._core.errors import InvalidInput
from .._core.model import Network
from .._libvirt import definitions
from .._link.inherit import inherited
from .._link.resolve import Defaults, number_nics
from .._link.select import Selection
from .._system import sysfs
from .._system.selinux import relabel
from . import attachments, guests, options, unsupported, warnings
from .converge import Task, running


def work(module: AnsibleModule) -> dict[str, Any]:
    """Attach or detach what the options ask for.

    :returns: the result of the module.
    :raises MacvtapError: naming the option and its value, or what the host refused.
    """
    params = module.params
    if params["guest"] is not None:
        names.check_guest_name(params["guest"])
    if params["default_network"] is not None:
        names.check_network_name(params["default_network"])
    brought_up = _brought_up(params["networks"] or ()) if module.check_mode else frozenset()
    task = Task(options.node_policy(params), params["force"], module.check_mode, brought_up)
    if params["define"] is None:
        return _finished(module, _attached(params, task), task)
    return _finished(module, _defined_and_attached(params, task, module.warn), task)


def _defined_and_attached(params: dict[str, Any], task: Task, warn: Callable[[str], None]) -> dict[str, Any]:
    """Both or neither: the option ``define``, and then all others."""
    if params["state"] == "absent":
        raise InvalidInput("define requires state=present; to remove a network, use macvtap_network after this task")
    trial = task._replace(check_mode=True)
    if not task.check_mode and _defined(params, trial, _say_nothing)["changed"]:
        # what is refused is refused before the first change
        _in_turn(params, trial, _say_nothing)
    return _in_turn(params, task, warn)


def _say_nothing(_warning: str) -> None:
    """Of a trial: the run says it."""


def _defined(params: dict[str, Any], task: Task, warn: Callable[[str], None]) -> dict[str, Any]:
    # imported here: most tasks do not need it
    from . import network

    return network.defined(params["define"], params["definitions_dir"], task, warn)


def _in_turn(params: dict[str, Any], task: Task, warn: Callable[[str], None]) -> dict[str, Any]:
    with running(task) as run:
        task = task._replace(run=run)
        first = _defined(params, task, warn)
        row = first["network"]
        more: dict[str, Any] = {"default_network": params["default_network"] or row["name"]}
        if task.check_mode:
            # its definition is not on disk yet
            more["networks"] = [row, *(params["networks"] or ())]
            task = task._replace(brought_up=task.brought_up | _brought_up([row]))
        result = _attached({**params, **more}, task)
    sides = {side: {**first["diff"][side], **result["diff"][side]} for side in ("before", "after")}
    # in check mode, links that the network would have changed are still as they are
    actions = list(dict.fromkeys(first["actions"] + result["actions"]))
    return {**first, **result, "changed": bool(actions), "actions": actions, "diff": sides}


def _attached(params: dict[str, Any], task: Task) -> dict[str, Any]:
    named = guests.named(params)
    result = _present(params, named, task) if params["state"] == "present" else _absent(params, named, task)
    skipped = [row["guest"] for row in result["skipped_guests"]]
    return result | guests.by_guest(result["attachments"], [guest for guest in named.guests if guest not in skipped])


def _finished(module: AnsibleModule, result: dict[str, Any], task: Task) -> dict[str, Any]:
    """Warn of what is to be known, and set the contexts of the nodes."""
    for warning in result.pop("warnings") + warnings.of_skipped(result["skipped_guests"]):
        module.warn(warning)
    if module.params["state"] == "absent":
        return result
    for warning in warnings.of_moved(result.pop("moved"), task.policy):
        module.warn(warning)
    if result["changed"]:
        for warning in warnings.of_devices(sysfs.wireless({row["device"] for row in result["attachments"]})):
            module.warn(warning)
    relabelled = relabel(module, result["tap_paths"])
    return {
        **result,
        "changed": result["changed"] or bool(relabelled),
        "actions": result["actions"] + [f"set the SELinux context of {path}" for path in relabelled],
    }


def _given_network(row: dict[str, Any]) -> Network:
    """An entry of the option ``networks``, also as macvtap_network returns it."""
    devices = [device if isinstance(device, dict) else {"name": str(device)} for device in row["devices"] or ()]
    # macvtap_network accepts a device that is gone if the network was defined with it, and returns no facts of it
    gone = tuple(device["name"] for device in devices if device.get("ifindex", 0) is None)
    if row["xml"]:
        network = definitions.network_of(row["xml"], row["name"])
    else:
        network = options.network(row["name"], row["mode"], [device["name"] for device in devices], row)
    return network._replace(defined_with=gone)


def _brought_up(rows: Sequence[dict[str, Any]]) -> frozenset[int]:
    """Indexes of the lower devices that an earlier task of the same run has, or in check mode would have, brought up.

    :arg rows: the option ``networks``.
    """
    devices = [device for row in rows for device in row["devices"] or () if isinstance(device, dict)]
    return frozenset(device.get("ifindex", 0) or 0 for device in devices if device.get("link_state") == "up")


def _present(params: dict[str, Any], named: guests.Named, task: Task) -> dict[str, Any]:
    for selector in ("mac", "ifname", "network"):
        if params[selector] is not None:
            raise InvalidInput(
                f"{selector} requires state=absent, where it selects links; with state=present set it inside"
                " attachments"
                " or guests"
            )
    if named.nics is None:
        raise InvalidInput("state=present requires attachments, guests or xml; an empty list means no NICs")
    if named.bare:
        raise InvalidInput(
            f"state=present requires nics or xml of every guest, but guests names only these:"
            f" {', '.join(map(names.shown, named.bare))}; write nics: [] for a guest without NICs"
        )
    nics = options.with_defaults(named.nics, params)
    given = {row["name"]: _given_network(row) for row in params["networks"] or ()}
    networks = attachments.definitions_for(nics, params["definitions_dir"], given)
    others = unsupported.networks_of_other_kinds(nics, networks, params["other_networks"] or ())
    nics, skipped = unsupported.sort_out(
        nics, others, lambda nic: unsupported.objection(nic, networks), params["skip_unsupported"]
    )
    nics = [inherited(nic, networks.get(nic.network or "")) for nic in nics]
    defaults = Defaults(params["stable_index"], names.check_mac_prefix(params["mac_prefix"]), params["rebalance"])
    purge = guests.purge_of(params, named)
    result = attachments.attach(nics, networks, defaults, purge, task, skipped if params["skip_unsupported"] else None)
    if result["changed"]:
        result["warnings"] += warnings.of_trusted_filters(nics)
    return result


def _absent(params: dict[str, Any], named: guests.Named, task: Task) -> dict[str, Any]:
    nics = named.nics
    skipped: list[unsupported.Skipped] = []
    if nics is not None and any(nic.from_xml for nic in nics):
        given = [row["name"] for row in params["networks"] or ()]
        defined = {*given, *definitions.names(params["definitions_dir"])}
        others = unsupported.networks_of_other_kinds(nics, defined, params["other_networks"] or ())
        nics, skipped = unsupported.sort_out(nics, others, lambda nic: nic.objection, params["skip_unsupported"])
    for nic in nics or ():
        if (nic.guest, nic.mac, nic.ifname) == (None, None, None):
            raise InvalidInput(f"{nic.origin} selects nothing: set a guest, a mac or an ifname")
    selection = Selection(
        macs=None if params["mac"] is None else [names.check_mac(mac) for mac in params["mac"]],
        ifnames=None if params["ifname"] is None else [names.check_ifname(name, "ifname") for name in params["ifname"]],
        network=None if params["network"] is None else names.check_network_name(params["network"]),
        guest=params["guest"] if nics is None else None,
        nics=None if nics is None else number_nics(nics, None, required=False),
        whole_guests=frozenset(named.bare) or None,
    )
    if selection.is_empty():
        raise InvalidInput(
            "state=absent without a selector would remove everything; set guest, guests, xml, attachments, mac, ifname"
            " or network"
        )
    return {**attachments.detach(selection, task), "skipped_guests": unsupported.rows(skipped)}
