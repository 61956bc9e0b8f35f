# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""libvirt domain XML → the NICs it asks for. PURE: resolves no network, derives no MAC, knows no host.

An ``<interface>`` is described by the link it needs (read here) and by the device the guest sees (left to the VMM).
What would change the link but cannot be done is noted on the NIC, by name: only its network decides whether it matters.
The guide ``docs/docsite/rst/guide_libvirt_xml.rst`` shows the same tables to the user.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Optional

from .._core.errors import InvalidInput
from .._core.model import MAX_QUEUES, MODES, Nic
from .._core.names import check_device, check_guest_name, check_ifname, check_mac, check_network_name, shown
from .bandwidth import read_bandwidth
from .filterref import read_guard
from .vlan import read_vlan
from .xml import attribute_one_of, children, elements, etree, only_child, parse_xml, start_tag, text_of

#: types that never are a macvtap; the NIC is skipped and still counts for the position of the next one
_OTHER_TYPES = (
    "bridge", "client", "ethernet", "hostdev", "internal", "mcast", "null", "server", "udp", "user", "vdpa", "vds",
    "vhostuser",
)  # fmt: skip
#: target names that libvirt made up itself, so nobody wants them (virNetDevReserveName())
_RESERVED_TARGETS = ("macvtap", "macvlan", "vnet")
#: smallest IPv4 MTU (RFC 791) and largest length of an IP packet
MTU_RANGE = (68, 65535)

#: elements that describe the link: read here
_LINK_ELEMENTS = {"source", "mac", "target", "driver", "mtu", "link", "bandwidth", "filterref", "vlan"}
#: elements that describe the guest's device or its emulator: for the program that runs the guest
_GUEST_ELEMENTS = {"acpi", "address", "alias", "backend", "boot", "guest", "model", "rom", "teaming", "tune"}

#: elements that libvirt's definition of the guest keeps when it uses a link of ours
_HARDWARE = {*_GUEST_ELEMENTS, "driver", "link", "mtu"}
#: element → attributes that libvirt knows there, of <interface> itself and of what describes the link
#: (domaincommon.rng of libvirt 9.0 and 11.3); those of the guest's device are left to the VMM
_KNOWN_ATTRIBUTES = {
    "interface": {"type", "trustGuestRxFilters"},
    "source": {"network", "portgroup", "portid", "bridge", "dev", "mode"},
    "mac": {"address", "type", "check", "currentAddress"},
    "target": {"dev", "managed"},
    "driver": {
        "name", "model", "queues", "rx_queue_size", "tx_queue_size", "txmode", "ioeventfd", "event_idx", "iommu", "ats",
        "packed", "page_per_vq", "rss", "rss_hash_report",
    },
    "mtu": {"size"},
    "link": {"state"},
    "port": {"isolated"},
    "vlan": {"trunk"},
}  # fmt: skip
#: types of domain whose guests open no tap
_TAPLESS = ("bhyve", "hyperv", "lxc", "openvz", "parallels", "uml", "vmware", "vz", "xen")

_BRIDGE_ONLY = "which libvirt does for bridged interfaces only; remove it"
_NOT_DONE = "which this collection does not do on a macvtap; remove it"
#: elements that would change the link, and cannot on a macvtap → why, and what to do
_REFUSED = {
    "virtualport": "which this collection does not carry out; configure the switch port by hand and remove it",
    "coalesce": f"interrupt coalescing, {_NOT_DONE}",
    "script": f"a script, {_NOT_DONE}",
    "downscript": f"a script, {_NOT_DONE}",
    "ip": f"an address for the guest, {_NOT_DONE}",
    "route": f"a route for the guest, {_NOT_DONE}",
    "portForward": f"port forwarding, {_NOT_DONE}",
    "backenddomain": f"a Xen driver domain, {_NOT_DONE}",
}


def parse_domain(text: str | bytes, guest: str | None = None, origin: str = "xml") -> list[Nic]:
    """The macvtap NICs of one document with the root ``domain``, ``devices`` or ``interface``.

    :arg guest: name of the guest, when the document does not say; not another one than it says.
    :arg origin: what to call the document in messages.
    :returns: the NICs of type direct and network, in document order; one that asks for what a macvtap cannot do has an
        ``objection``.
    :raises InvalidInput: the document has another root, or does not name its guest.
    """
    return _parse(text, guest, origin, {})


def parse_domains(
    documents: str | bytes | Sequence[str | bytes],
    guest: str | None = None,
    origin: str = "xml",
    counts: dict[str | None, int] | None = None,
) -> list[Nic]:
    """The NICs of one or several documents; positions go on counting over the documents of a guest.

    :arg counts: how many interfaces of each guest were seen before; kept up to date, guests without one too.
    :raises InvalidInput: as :func:`parse_domain`.
    """
    counts = {} if counts is None else counts
    if isinstance(documents, (str, bytes)):
        return _parse(documents, guest, origin, counts)
    if not isinstance(documents, (list, tuple)):
        raise InvalidInput(f"{origin} is {shown(documents)}; give one XML document or a list of them")
    nics: list[Nic] = []
    for index, document in enumerate(documents):
        nics += _parse(document, guest, f"{origin}[{index}]", counts)
    return nics


def _parse(text: str | bytes, guest: str | None, origin: str, counts: dict[str | None, int]) -> list[Nic]:
    """:arg counts: as for :func:`parse_domains`."""
    root = parse_xml(text, origin)
    guest = _settle_guest(root, guest, origin)
    counts.setdefault(guest, 0)
    tapless = _tapless_type(root, guest)
    nics = []
    for interface in _interfaces(root, origin):
        position = counts[guest]
        counts[guest] = position + 1
        of = f"domain {shown(guest)}" if guest is not None else origin
        nic = _read_interface(interface, guest, position, f"interface {position} of {of}")
        if nic is not None:
            nics.append(nic._replace(objection=f"{nic.origin}: {tapless}") if tapless else nic)
    return nics


def _tapless_type(root: Any, guest: str | None) -> str | None:
    """Why no NIC of this domain can be attached, None = they can."""
    if root.tag != "domain" or root.get("type") not in _TAPLESS:
        return None
    return (
        f"guest {shown(guest)} is of type {shown(root.get('type'))}, but only guests of type 'kvm' or 'qemu' open a"
        " tap; leave the guest to libvirt"
    )


def _settle_guest(root: Any, wanted: str | None, origin: str) -> str | None:
    """The one name that option and document agree on."""
    if wanted is not None:
        check_guest_name(wanted)
    if root.tag != "domain":
        return wanted
    node = only_child(root, "name", origin)
    written = text_of(node) if node is not None else ""
    if not written and wanted is None:
        raise InvalidInput(f"{origin} has a <domain> without a <name> and no guest was named; give one of them")
    if written and wanted is not None and written != wanted:
        raise InvalidInput(
            f"{origin} is the domain {shown(written)}, but the guest asked for is {shown(wanted)};"
            " leave one of them out or make them the same"
        )
    return check_guest_name(written or str(wanted))


def _interfaces(root: Any, origin: str) -> list[Any]:
    """The <interface> elements that are NICs: directly under <devices>, or the root itself."""
    if root.tag == "interface" and "name" in root.attrib:
        raise InvalidInput(
            f"{origin} is the interface {shown(root.get('name'))} of a host, as 'virsh iface-dumpxml' prints it, and"
            " not the NIC of a guest; give what 'virsh dumpxml' prints of the guest"
        )
    if root.tag == "interface":
        return [root]
    if root.tag == "devices":
        return children(root, "interface")
    if root.tag == "domain":
        return [node for devices in children(root, "devices") for node in children(devices, "interface")]
    if root.tag in ("domstatus", "networkstatus"):
        raise InvalidInput(
            f"{origin} is a file in which libvirt keeps the state of what runs (<{root.tag}>); give what"
            " 'virsh dumpxml' prints of the guest, or 'virsh net-dumpxml' of the network"
        )
    way_out = "give it to macvtap_network" if root.tag == "network" else "give a <domain>, <devices> or <interface>"
    raise InvalidInput(f"{origin} has the root element {shown(root.tag)}; {way_out}")


def _read_interface(interface: Any, guest: str | None, position: int, where: str) -> Nic | None:
    """One NIC; None when it is of another kind.

    Only the network decides whether ``type='network'`` means a macvtap. So what a macvtap cannot do is noted here, and
    judged when the network is known.
    """
    kind = interface.get("type")
    if kind in _OTHER_TYPES:
        return None
    nic = Nic(guest=guest, nic=position, origin=where, from_xml=True)
    try:
        if kind not in ("direct", "network"):
            said = f"of the unknown type {shown(kind)}" if kind is not None else "without a type"
            raise InvalidInput(
                f"{where} is {said}; write 'direct' or 'network' for a macvtap, or one of {', '.join(_OTHER_TYPES)}"
            )
        source = only_child(interface, "source", where)
        if kind == "network" and source is not None and "bridge" in source.attrib:
            return None  # how a running domain shows a NIC whose network is a bridge
        read_source = _read_direct_source if kind == "direct" else _read_network_source
        network, portgroup, device, mode = read_source(source, where)
        nic = nic._replace(network=network, portgroup=portgroup, device=device, mode=mode)
        return _read_elements(interface, nic, where)
    except InvalidInput as exc:
        return nic._replace(objection=str(exc))


def _read_elements(interface: Any, nic: Nic, where: str) -> Nic:
    """The NIC with what its elements say of the link.

    :raises InvalidInput: a macvtap cannot do what one of them asks for.
    """
    _check_elements(interface, where)
    trust = attribute_one_of(interface, "trustGuestRxFilters", ("yes", "no"), where)
    settings = {
        "mtu": _read_number(interface, "mtu", "size", MTU_RANGE, where),
        "link_state": _read_link_state(interface, where),
        "bandwidth": read_bandwidth(interface, where),
        "guard": read_guard(interface, where),
        "vlan": read_vlan(interface, where),
    }
    return nic._replace(
        hardware=_hardware(interface),
        trusts_filters=trust == "yes",
        mac=_read_mac(interface, where),
        ifname=_read_target(interface, where),
        queues=_read_number(interface, "driver", "queues", (1, MAX_QUEUES), where) or 1,
        settings={name: value for name, value in settings.items() if value is not None},
    )


def _check_elements(interface: Any, where: str) -> None:
    for node in (interface, *elements(interface)):
        _check_attributes(node, where)
    for node in elements(interface):
        if node.tag == "actual":
            raise InvalidInput(
                f"{where} has <actual>, which only libvirt's own state files have; give what 'virsh dumpxml' prints"
            )
        if node.tag in _REFUSED:
            raise InvalidInput(f"{where} has <{node.tag}>, {_REFUSED[node.tag]}")
        if node.tag == "port" and attribute_one_of(node, "isolated", ("yes", "no"), where) == "yes":
            raise InvalidInput(f"{where} has <port isolated='yes'/>, {_BRIDGE_ONLY} and use mode='private'")
        if node.tag not in _LINK_ELEMENTS and node.tag not in _GUEST_ELEMENTS and node.tag != "port":
            raise InvalidInput(
                f"{where} has {start_tag(node)}, which is not an element of libvirt's <interface>;"
                " correct the spelling or remove it"
            )


def _check_attributes(node: Any, where: str) -> None:
    known = _KNOWN_ATTRIBUTES.get(node.tag, node.attrib)
    unknown = next((key for key in node.attrib if key not in known and not key.startswith("{")), None)
    if unknown is not None:
        raise InvalidInput(
            f"{where} has the attribute {shown(unknown)} on <{node.tag}>, which libvirt does not know there; correct"
            " the spelling or remove it"
        )


def _hardware(interface: Any) -> str:
    """What the guest sees of its NIC, on one line."""
    kept = [copy.deepcopy(node) for node in elements(interface) if node.tag in _HARDWARE]
    for node in kept:
        etree.strip_tags(node, etree.Comment, etree.PI)
        etree.cleanup_namespaces(node)
        for part in node.iter():
            part.text, part.tail = (" ".join((text or "").split()) or None for text in (part.text, part.tail))
    return "".join(etree.tostring(node, encoding="unicode", with_tail=False) for node in kept)


#: network, portgroup, device, mode
_Source = tuple[Optional[str], Optional[str], Optional[str], Optional[str]]


def _read_direct_source(source: Any | None, where: str) -> _Source:
    """Lower device and mode; a running domain adds the network they were chosen from."""
    if source is None or not source.get("dev"):
        raise InvalidInput(f"{where} is of type 'direct' without a lower device; add <source dev='eth0' mode='vepa'/>")
    mode = source.get("mode", "vepa")
    if mode not in MODES:
        spelling = "the XML spells it 'passthrough'" if mode == "passthru" else f"write one of {', '.join(MODES)}"
        raise InvalidInput(f"{where} has mode={shown(mode)} on <source>, which is no macvtap mode; {spelling}")
    network = source.get("network")
    return (
        check_network_name(network) if network else None,
        source.get("portgroup") or None,
        check_device(source.get("dev"), f"lower device of {where}"),
        mode,
    )


def _read_network_source(source: Any | None, where: str) -> _Source:
    if source is None or not source.get("network"):
        raise InvalidInput(f"{where} is of type 'network' without a network; add <source network='vepanet'/>")
    return check_network_name(source.get("network")), source.get("portgroup"), None, None


def _read_mac(interface: Any, where: str) -> str | None:
    node = only_child(interface, "mac", where)
    if node is None:
        return None
    try:
        return check_mac(node.get("address", ""))
    except InvalidInput as exc:
        raise InvalidInput(f"{where}: {exc}") from None


def _read_target(interface: Any, where: str) -> str | None:
    """The wanted name of the link; None for names that libvirt makes up."""
    node = only_child(interface, "target", where)
    if node is None:
        return None
    if attribute_one_of(node, "managed", ("yes", "no"), where) == "no":
        raise InvalidInput(
            f"{where} has managed='no' on <target>, which is for type='ethernet' and a link made elsewhere; remove it"
        )
    if "dev" not in node.attrib or node.get("dev").startswith(_RESERVED_TARGETS):
        return None
    return check_ifname(node.get("dev"), f"target name of {where}")


def _read_number(interface: Any, tag: str, attribute: str, limits: tuple[int, int], where: str) -> int | None:
    node = only_child(interface, tag, where)
    if node is None or (attribute not in node.attrib and tag == "driver"):
        return None
    text = node.get(attribute, "").strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not limits[0] <= number <= limits[1]:
        raise InvalidInput(
            f"{where} has {attribute}={shown(text)} on <{tag}>; write a number from {limits[0]} to {limits[1]}"
        )
    return number


def _read_link_state(interface: Any, where: str) -> str | None:
    node = only_child(interface, "link", where)
    return None if node is None else attribute_one_of(node, "state", ("up", "down"), where)
