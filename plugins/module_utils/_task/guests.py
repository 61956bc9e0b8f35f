# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Guests and NICs that a task names, in whichever of the options ``attachments``, ``xml`` and ``guests``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core import names
from .._core.errors import InvalidInput
from .._core.model import Nic
from .._link.select import Purge
from . import options


class Named(NamedTuple):
    """What a task names."""

    #: not numbered; None = no option lists NICs
    nics: list[Nic] | None
    #: every guest, in order, also those without a NIC
    guests: list[str]
    #: guests of which the task says the name and nothing else
    bare: list[str]


def named(params: Mapping[str, Any]) -> Named:
    """What the options of macvtap_attach name.

    :raises InvalidInput: naming the entry and the value.
    """
    # guest → number of its interfaces in XML; the keys are the guests in order
    counts: dict[str | None, int] = {}
    bare: list[str] = []
    nics = None
    if params["guests"] is not None:
        nics = _of_guests(params["guests"], params["default_network"], counts, bare)
    elif params["xml"] is not None:
        nics = _of_documents(params["xml"], params["guest"], "xml", counts)
    elif params["attachments"] is not None:
        nics = options.nics(params["attachments"], params["default_network"])
    if nics is not None and params["guest"] is not None:
        nics = [nic if nic.guest is not None else nic._replace(guest=params["guest"]) for nic in nics]
    guests = dict.fromkeys([*counts, *(nic.guest for nic in nics or ()), params["guest"]])
    return Named(nics, [guest for guest in guests if guest is not None], bare)


def _of_guests(
    entries: Sequence[Mapping[str, Any]], default_network: str | None, counts: dict[str | None, int], bare: list[str]
) -> list[Nic]:
    nics: list[Nic] = []
    for number, entry in enumerate(entries):
        name, listed, xml, origin = entry["name"], entry["nics"], entry["xml"], f"guests[{number}]"
        if listed and xml:
            raise InvalidInput(f"{origin} (guest {names.shown(name)}) has both nics and xml; give one of them")
        if xml:
            nics += _of_documents(xml, name, f"{origin}.xml", counts)
            continue
        if name is None:
            raise InvalidInput(f"{origin} has no name, which only a <domain> in xml can give instead; add it")
        counts.setdefault(names.check_guest_name(name), 0)
        if listed is None:
            bare.append(name)
        of_guest = [{**nic, "guest": name} for nic in listed or ()]
        nics += options.nics(of_guest, default_network, f"{origin}.nics")
    return nics


def _of_documents(documents: Any, guest: str | None, origin: str, counts: dict[str | None, int]) -> list[Nic]:
    # imported here: lxml takes its time
    from .._libvirt.domain import parse_domains

    return parse_domains(documents, guest, origin, counts)


def purge_of(params: Mapping[str, Any], wanted: Named) -> Purge | None:
    """What the options ``purge`` and ``purge_scope`` make exact."""
    scope = params["purge_scope"]
    if not params["purge"]:
        return None
    if scope == "host":
        return Purge(everything=True)
    if scope == "guests":
        return Purge(guests=frozenset(wanted.guests))
    nics = wanted.nics or ()
    networks = [params["default_network"], *(nic.network for nic in nics)]
    # of a guest with an empty list nothing stays, whatever network it is on
    without_nics = frozenset(wanted.guests).difference(nic.guest or "" for nic in nics)
    return Purge(without_nics, frozenset(network for network in networks if network is not None))


def by_guest(rows: Iterable[Mapping[str, Any]], guests: Iterable[str]) -> dict[str, Any]:
    """``guests`` and ``guest_tap_paths`` of a result.

    :arg rows: its attachments.
    :arg guests: those that have an entry in any case.
    """
    found: dict[str, list[Mapping[str, Any]]] = {guest: [] for guest in guests}
    for row in rows:
        if row["guest"] is not None:
            found.setdefault(row["guest"], []).append(row)
    paths = {guest: [row["tap_path"] for row in own] for guest, own in found.items()}
    return {"guests": found, "guest_tap_paths": paths}
