# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What macvtap_persist does: look at the files, plan, write. It touches no link, and looks at host links only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from .._boot import entry as boot
from .._boot import files, lower, readers, reading, store
from .._boot.host_link import HostEntry, host_entry
from .._boot.host_link import merged as merged_host_links
from .._boot.index import is_namespace_of_boot
from .._core import names
from .._core.errors import InvalidInput, MacvtapError, Refused
from .._core.revert import Revert
from .._link import host_link
from .._link.host import Host
from .._link.steps import WriteFile
from .._system import rtnetlink, text_file
from .._system.lock import namespace_lock
from .._system.selinux import relabel
from . import options

#: from the entries found: the wanted ones, and those that are removed
Decide = Callable[[list[boot.Entry]], "tuple[list[boot.Entry], list[boot.Entry]]"]


def _present(params: dict[str, Any]) -> Decide:
    rows = params["attachments"]
    if rows is None and params["networks"] is None:
        raise InvalidInput("state=present requires attachments or networks; an empty list adds nothing")
    if (rows or params["networks"]) and params["root"] == "/" and not is_namespace_of_boot():
        raise Refused(
            "this task runs in a network namespace of its own, but a boot creates links in that of process 1; have"
            " the service that creates the namespace attach its guests, or set root to the file system of its own boot"
        )
    if params["network"] is not None:
        raise InvalidInput("network requires state=absent: it selects the entries to remove")
    if params["guest"] is not None and not params["purge"]:
        raise InvalidInput("guest requires state=absent or purge=true")
    entries = boot.entries(rows or ())
    if params["root"] == "/":
        store.require_own_names(entry.ifname for entry in entries)
    return partial(boot.merged, wanted=entries, guests=params["guest"] or (), purge=params["purge"])


def _absent(params: dict[str, Any]) -> Decide:
    rows, guests, network = params["attachments"], params["guest"], params["network"]
    has_selector = (rows, guests, network) != (None, None, None)
    if not has_selector and params["networks"] is None:
        raise InvalidInput(
            "state=absent without a selector would remove every entry; set attachments, guest, network or networks"
        )
    if params["purge"]:
        raise InvalidInput("purge requires state=present")
    if not has_selector:
        return lambda found: (found, [])
    return partial(boot.without, keys=None if rows is None else boot.keys_of(rows), guests=guests, network=network)


def work(module: AnsibleModule) -> dict[str, Any]:
    """Write what the next boot reads.

    :returns: the result of the module.
    :raises MacvtapError: naming the option and its value, or the file.
    """
    params = module.params
    for guest in params["guest"] or ():
        names.check_guest_name(guest)
    root = options.directory(params["root"], "root")
    decide = (_present if params["state"] == "present" else _absent)(params)
    host = _look() if root == "/" else None
    hosts = _host_links(params, host)
    result = persist(decide, root, module.check_mode, hosts, _known_by(params, hosts[0], host))
    steps = result.pop("steps")
    if host is not None:
        if not module.check_mode:
            relabel(module, [step.path for step in steps if step.new is not None])
        if params["reload"]:
            result["actions"] += _reload(module, steps, result["entries"], host)
    _warn(module, result, params)
    return result


def _reload(module: AnsibleModule, steps: Sequence[WriteFile], entries: list[dict[str, Any]], host: Host) -> list[str]:
    """Reload the programs that read the files, and clear what they have of removed ones; returns it in words."""
    reloaded = []
    gone = {step.path: step.old or "" for step in steps if step.new is None}
    left = readers.leftovers(gone, lower.current(reading.read_known(gone), host))
    for reader in readers.due([step.path for step in steps]):
        vlans = {row["device"] for row in entries if row["vlan_parent"] is not None}
        cut = readers.would_bring_down(reader, [*vlans, *(row["ifname"] for row in entries)])
        if cut:
            module.warn(
                f"{reader.name} manages {', '.join(cut)} and would bring it down on reload, so it was not"
                f" reloaded; run '{reader.command}' when the guests"
                " can lose these links, then attach them again"
            )
        else:
            reloaded.append(reader)
    if not module.check_mode:
        for failure in readers.reload(reloaded):
            module.warn(f"the files are written, but a running program could not be reloaded: {failure}")
        if left is not None:
            readers.clear(left)
    return [*map(readers.describe, reloaded), *([f"stop {', '.join(left.units)}"] if left is not None else [])]


def _warn(module: AnsibleModule, result: dict[str, Any], params: dict[str, Any]) -> None:
    if params["state"] == "absent" or not (result["entries"] or result["host_links"]):
        return
    if params["root"] == "/" and not readers.is_systemd_running():
        module.warn(
            "systemd does not run on this host: the files are written, but nothing creates links from them; have"
            " your own boot scripts run 'ip -force -batch' on those in /etc/macvtap/boot"
        )
    elsewhere = sorted(
        {row["tap_path"] for row in params["attachments"] or () if not row.get("tap_path", "/dev/").startswith("/dev/")}
    )
    if elsewhere:
        module.warn(
            f"the kernel creates nodes in /dev only, so the next boot does not create {', '.join(elsewhere[:5])}"
        )


def _look() -> Host:
    with rtnetlink.Netlink() as netlink:
        host = Host(netlink.links())
        if host.host_links:
            host.addresses = netlink.addresses()
    return host


def _known_by(params: Mapping[str, Any], host_links: Sequence[HostEntry], host: Host | None) -> dict[str, str]:
    """What the lower devices that the task names are known by, as far as they are there."""
    if host is None or params["state"] == "absent":
        return {}
    rows = (row for row in params["attachments"] or () if isinstance(row.get("device"), str))
    devices = {*(row["device"] for row in rows), *(entry.device for entry in host_links)}
    parents = [row.get("vlan_parent") for row in params["attachments"] or ()]
    parents += [entry.vlan.parent for entry in host_links if entry.vlan is not None]
    devices.update(parent for parent in parents if isinstance(parent, str))
    words = {device: lower.known_by(device, host) for device in devices}
    return {device: each for device, each in words.items() if each is not None}


def _host_links(params: Mapping[str, Any], host: Host | None) -> tuple[list[HostEntry], set[str]]:
    """The host links that are to be in the files, and the names of all networks concerned."""
    given = params["networks"] or ()
    rows = {row["name"]: row.get("host_link") for row in given if isinstance(row, dict) and row.get("name")}
    asked = {str(name) for name in given if not isinstance(name, dict)}
    if params["state"] == "absent":
        return [], {*rows, *asked, *([params["network"]] if params["network"] is not None else ())}
    if host is None:
        if asked:
            raise InvalidInput(
                f"networks: with another root the host link of network {min(asked)!r} cannot be looked up; pass the"
                " network as macvtap_network returns it"
            )
    else:
        asked.update(row["network"] for row in params["attachments"] or () if row.get("network"))
        live = {name: host_link.as_it_is(name, host).row() for name in asked.intersection(host.host_links)}
        rows.update({name: live.get(name) for name in asked.difference(rows)})
    return [host_entry(name, row) for name, row in rows.items() if row], set(rows)


def persist(
    decide: Decide,
    root: str,
    check_mode: bool,
    hosts: tuple[Sequence[HostEntry], Collection[str]] = ((), ()),
    known: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Make the files so that they hold what ``decide`` says.

    :arg hosts: host links that the files are to hold, and the names of the networks of which no other stays.
    :arg known: what lower devices are known by now; of others it is what the files say.
    :returns: the result of the module, and under ``steps`` what was written, as the host itself calls it.
    :raises MacvtapError: with what became of the files written before the failure.
    """
    with contextlib.ExitStack() as stack:
        denied = None if check_mode else stack.enter_context(namespace_lock())
        found = store.look(root)
        entries, leaving = decide(reading.read(found.texts))
        host_links, forgotten = merged_host_links(reading.read_hosts(found.texts), *hosts)
        known = {**reading.read_known(found.texts), **known}
        wanted = files.files(entries, found.texts, found.managers, host_links, known)
        steps = boot.plan(found.texts, wanted, files.is_ours)
        if steps and denied is not None:
            raise denied
        if not check_mode:
            _apply(steps, root)
    return {
        "changed": bool(steps),
        "actions": [f"forget {entry.title}" for entry in leaving]
        + [f"forget host link {entry.ifname} of network {entry.network}" for entry in forgotten]
        + [step.describe() for step in steps],
        "diff": [step.texts() for step in steps],
        "entries": [boot.as_row(entry) for entry in entries],
        "host_links": [entry.row() for entry in host_links],
        "files": sorted(path for path in wanted if path != files.DHCPCD),
        "steps": steps,
    }


def _apply(steps: Sequence[WriteFile], root: str) -> None:
    revert = Revert()
    try:
        for step in steps:
            text_file.write(store.below(root, step.path), step.old, step.new, step.what, revert)
    except MacvtapError as exc:
        raise revert.run(exc) from exc
    finally:
        # also what an undone step had created
        for directory in files.OWN_DIRECTORIES:
            with contextlib.suppress(OSError):
                os.rmdir(store.below(root, directory))
