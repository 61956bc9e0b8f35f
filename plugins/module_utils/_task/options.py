# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Options that several modules share, and from option values to the model: every value is checked here, by name."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Callable

from .._core import names
from .._core.errors import InvalidInput
from .._core.model import MAX_NIC, MAX_QUEUES, MODES, Network, Nic, NodePolicy, PortGroup
from .._libvirt import network_plain
from .._link.attributes import NODE_OPTIONS, OPTIONS
from .._link.inherit import DEFAULTS, OF_PORTGROUP, checked

#: options of every module, so that defaults for the action group reach all of them: where things are, which two
#: modules on one host must not see differently. Documented in plugins/doc_fragments/shared.py.
SHARED: dict[str, dict[str, Any]] = {
    "definitions_dir": {"type": "path", "default": "/etc/macvtap/networks"},
    "device_dir": {"type": "path", "default": "/dev"},
}

#: options of a NIC, wherever one is described
NIC: dict[str, dict[str, Any]] = {
    "nic": {"type": "int"},
    "network": {"type": "str"},
    "portgroup": {"type": "str"},
    "device": {"type": "str"},
    "mode": {"type": "str", "choices": list(MODES)},
    "mac": {"type": "str"},
    "ifname": {"type": "str"},
    "queues": {"type": "int", "default": 1},
    **{option.name: dict(option.spec) for option in OPTIONS},
    **{option.name: {"type": "str"} for option in NODE_OPTIONS},
}
#: options of a task that hold for its NICs that do not ask for another value
NIC_DEFAULTS: dict[str, dict[str, Any]] = {
    **{option.name: dict(option.spec) for option in OPTIONS if option.is_of_task},
    **{option.name: {"type": "str"} for option in NODE_OPTIONS},
}

_OCTAL = re.compile(r"0[0-7]{3}")


def nics(
    entries: Sequence[Mapping[str, Any]], default_network: str | None = None, origin: str = "attachments"
) -> list[Nic]:
    """A list of NICs, as the options describe them.

    :arg default_network: of NICs that name neither a network nor a device.
    :arg origin: what to call the list in messages.
    :raises InvalidInput: naming the entry and the value.
    """
    return [_nic(entry, default_network, f"{origin}[{number}]") for number, entry in enumerate(entries)]


def _nic(entry: Mapping[str, Any], default_network: str | None, origin: str) -> Nic:
    is_placed = any(entry[key] is not None for key in ("network", "device", "mode"))
    try:
        network = _checked(entry, "network", names.check_network_name) if is_placed else default_network
        if entry["portgroup"] is not None and network is None:
            raise InvalidInput("portgroup requires network: port groups belong to a network")
        return Nic(
            guest=_checked(entry, "guest", names.check_guest_name),
            nic=_in_range(entry, "nic", 0, MAX_NIC),
            network=network,
            portgroup=entry["portgroup"],
            device=_checked(entry, "device", lambda name: names.check_device(name, "device")),
            mode=entry["mode"],
            mac=_checked(entry, "mac", names.check_mac),
            ifname=_checked(entry, "ifname", lambda name: names.check_ifname(name, "ifname")),
            queues=_in_range(entry, "queues", 1, MAX_QUEUES) or 1,
            settings=_settings(entry),
            origin=origin,
        )
    except InvalidInput as exc:
        raise InvalidInput(f"{origin}: {exc}") from exc


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    for option in OPTIONS:
        if option.allowed and entry[option.name] != option.none:
            _in_range(entry, option.name, option.allowed[0], option.allowed[-1])
        if option.check is not None and entry[option.name] is not None:
            option.check(entry[option.name], option.name)
    asked = [option.name for option in OPTIONS] + [option.name for option in NODE_OPTIONS]
    return {name: entry[name] for name in asked}


def with_defaults(nics: Sequence[Nic], params: Mapping[str, Any]) -> list[Nic]:
    """Every NIC with the task's value of each option that it does not have, and with the owner of its node.

    Names of users and groups are looked up once each: a thousand guests may have a thousand users.

    :raises InvalidInput: naming the NIC: an unknown user or group, or a mode that is not octal text.
    """
    defaults = {name: params[name] for name in NIC_DEFAULTS}
    task_policy = node_policy(params)
    parse = [functools.cache(functools.partial(_NODE_VALUES[option.name], option.name)) for option in NODE_OPTIONS]
    made = []
    for nic in nics:
        own = {name: value for name, value in nic.settings.items() if value is not None}
        try:
            values = [
                parsed(own[option.name]) if option.name in own else value
                for option, parsed, value in zip(NODE_OPTIONS, parse, task_policy[1:])
            ]
        except InvalidInput as exc:
            guest = "" if nic.guest is None else f" (guest {nic.guest})"
            raise InvalidInput(f"{nic.origin}{guest}: {exc}") from exc
        made.append(nic._replace(settings={**defaults, **own}, policy=NodePolicy(task_policy.directory, *values)))
    return made


def _checked(entry: Mapping[str, Any], key: str, check: Any) -> Any:
    return None if entry[key] is None else check(entry[key])


def _in_range(entry: Mapping[str, Any], key: str, least: int, most: int) -> int | None:
    value = entry[key]
    if value is not None and not least <= value <= most:
        raise InvalidInput(f"{key} {value} is not possible; it must be {least} to {most}")
    return value


#: options of a network that it sets for its NICs
NETWORK_DEFAULTS: dict[str, dict[str, Any]] = {
    **{default.name: dict(default.spec) for default in DEFAULTS},
    "portgroups": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "default": {"type": "bool", "default": False},
            **{default.name: dict(default.spec) for default in OF_PORTGROUP},
        },
    },
}
#: options that describe a network, wherever one is defined
NETWORK: dict[str, dict[str, Any]] = {
    "name": {"type": "str"},
    "xml": {"type": "str"},
    "mode": {"type": "str", "choices": list(MODES), "default": MODES[0]},
    "devices": {"type": "list", "elements": "str"},
    **NETWORK_DEFAULTS,
    "host_link": {
        "type": "dict",
        "options": {
            "ifname": {"type": "str"},
            "addresses": {"type": "list", "elements": "str"},
            "mac": {"type": "str"},
        },
    },
}
NETWORK_RULES: dict[str, list[tuple[str, str]]] = {
    "mutually_exclusive": [("xml", option) for option in ("mode", "devices", *NETWORK_DEFAULTS)],
    "required_one_of": [("name", "xml")],
}


def network(
    name: str, mode: str | None, devices: Sequence[str] | None, params: Mapping[str, Any] = MappingProxyType({})
) -> Network:
    """A network from plain options.

    :arg params: those of :data:`NETWORK_DEFAULTS`.
    :raises InvalidInput: bad name, no device, or one twice, or a bad value.
    """
    names.check_network_name(name)
    if not devices:
        raise InvalidInput(f"network {name!r} has no lower device; name at least one in devices")
    for number, device in enumerate(devices):
        names.check_device(device, f"device of network {name!r}")
        if device in devices[:number]:
            raise InvalidInput(f"network {name!r} lists device {device} twice; list each once")
    where = f"network {name!r}"
    groups = [_portgroup(row, where) for row in params.get("portgroups") or ()]
    network_plain.check_portgroups(groups, where)
    settings = checked({default.name: params.get(default.name) for default in DEFAULTS}, where)
    return Network(name, mode or MODES[0], tuple(devices), portgroups=tuple(groups), settings=settings)


def _portgroup(row: Mapping[str, Any], where: str) -> PortGroup:
    values = {default.name: row[default.name] for default in OF_PORTGROUP}
    settings = checked(values, f"{where}, port group {names.shown(row['name'])}", is_portgroup=True)
    return PortGroup(names.check_portgroup_name(row["name"]), row["default"], settings)


def detached(rows: Sequence[Mapping[str, Any]] | None) -> frozenset[int] | None:
    """Interface indexes of the option ``detached``, None when it was not given.

    :raises InvalidInput: naming the entry that is no attachment.
    """
    if rows is None:
        return None
    for number, row in enumerate(rows):
        if not str(row.get("ifindex")).isdecimal():
            raise InvalidInput(f"detached[{number}] has no ifindex; pass the attachments that macvtap_attach returned")
    return frozenset(int(row["ifindex"]) for row in rows)


def node_policy(params: Mapping[str, Any]) -> NodePolicy:
    """Where tap nodes live and what owner they get.

    :raises InvalidInput: unknown owner or group, or a mode that is no octal text.
    """
    values = [params.get(option.name) for option in NODE_OPTIONS]
    return NodePolicy(
        params["device_dir"],
        *(
            None if value is None else _NODE_VALUES[option.name](option.name, value)
            for option, value in zip(NODE_OPTIONS, values)
        ),
    )


def _user_id(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group_id(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _identifier(look_up: Callable[[str], int], option: str, name: str) -> int:
    if name.isascii() and name.isdigit() and int(name) < 2**32 - 1:
        return int(name)
    try:
        return look_up(name)
    except (KeyError, ValueError) as exc:
        kind = "user" if look_up is _user_id else "group"
        raise InvalidInput(f"{option}: there is no {kind} {names.shown(name)} on this host; create it first") from exc


def _mode(_option: str, text: str) -> int:
    if not _OCTAL.fullmatch(text):
        # an unquoted 0660 arrives here as "432": without the leading zero it cannot be told what was meant
        raise InvalidInput(
            f"device_mode {names.shown(text)} is not an octal mode of four digits; write it in quotes, like '0660'"
        )
    return int(text, 8)


_NODE_VALUES: dict[str, Callable[[str, str], int]] = {
    "device_owner": functools.partial(_identifier, _user_id),
    "device_group": functools.partial(_identifier, _group_id),
    "device_mode": _mode,
}


def check_shared(params: Mapping[str, Any]) -> None:
    """Check the values of the options that all modules have.

    :raises InvalidInput: a directory that is not an absolute path.
    """
    for option in SHARED:
        directory(params[option], option)


def directory(path: str, option: str) -> str:
    """An option of type path that must be absolute: a module's working directory means nothing to the user."""
    if not os.path.isabs(path):
        raise InvalidInput(f"{option} {names.shown(path)} is not an absolute path")
    return path
