# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""libvirt network XML ↔ Network. PURE: knows nothing of hosts, files or what else is defined.

What is accepted is kept and written again; what cannot come true is refused by name; nothing is dropped in silence.
The guide ``docs/docsite/rst/guide_libvirt_xml.rst`` shows the same tables to the user.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .._core.errors import InvalidInput
from .._core.model import MODES, Network, PortGroup
from .._core.names import check_device, check_ifname, check_network_name, shown
from . import network_defaults, network_plain
from .bandwidth import read_bandwidth
from .network_layout import drop_live_attributes, metadata_of, same_network_document, write_network
from .vlan import read_vlan
from .xml import attribute_one_of, children, elements, etree, only_child, parse_xml, start_tag, text_of

#: how libvirt spells a UUID: hyphens or none
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")
_YES_NO_ATTRIBUTES = ("ipv6", "trustGuestRxFilters", "managed", "default", "isolated")

#: who the network is: all that <extbridge> leaves of what stands beside it
_IDENTITY = ("name", "uuid", "title", "description", "metadata")
#: element → (attributes, elements in it) that libvirt knows for a macvtap network
_KNOWN: dict[str, tuple[set[str], set[str]]] = {
    "network": (
        {"connections", "ipv6", "trustGuestRxFilters"},
        {*_IDENTITY, "extbridge", "forward", "portgroup", "port", "bandwidth", "vlan"},
    ),
    "extbridge": ({"mode", "dev"}, set()),
    "forward": ({"mode", "dev", "managed"}, {"interface", "pf", "driver"}),
    "interface": ({"dev", "connections"}, set()),
    "pf": ({"dev"}, set()),
    "driver": ({"name"}, set()),
    "portgroup": ({"name", "default", "trustGuestRxFilters"}, {"bandwidth", "vlan"}),
    "vlan": ({"trunk"}, {"tag"}),
    "tag": ({"id", "nativeMode"}, set()),
    "bandwidth": (set(), {"inbound", "outbound"}),
    **{tag: ({"average", "peak", "burst", "floor"}, set()) for tag in ("inbound", "outbound")},
    "port": ({"isolated"}, set()),
    **{tag: (set(), set()) for tag in ("name", "uuid", "title", "description")},
}

#: an address, a name service, a limit: done by the bridge that libvirt makes, and a macvtap has none
_NEEDS_A_BRIDGE = "belongs to a bridge that libvirt makes, and a macvtap network has none; remove it"
_VIRTUALPORT = "is not carried out by this collection; configure the switch port by hand and remove it"

#: (parent, element) → why it is refused and what to do
_REFUSED = {
    **{("network", tag): _NEEDS_A_BRIDGE for tag in ("bridge", "ip", "mac", "dns", "domain", "mtu", "route")},
    ("network", "virtualport"): _VIRTUALPORT,
    ("portgroup", "virtualport"): _VIRTUALPORT,
    ("forward", "nat"): "is for mode='nat', which is not a macvtap network; remove it",
    ("forward", "address"): (
        "lists PCI devices, which only mode='hostdev' takes; name the network interfaces: <interface dev='eth0'/>"
    ),
}

#: modes of <forward> that are no macvtap network → what they are
_OTHER_FORWARD_MODES = {
    "nat": "a bridge with address translation",
    "route": "a routed bridge",
    "open": "a bridge without firewall rules",
    "hostdev": "a pool of PCI devices given to guests whole",
}


def parse_network(text: str | bytes, name: str | None = None) -> Network:
    """Read one network document, of today or of 2010 (``<extbridge>``).

    :arg name: the name asked for; the document may leave it out, but not say another one.
    :returns: the network; ``xml`` is the document for today's libvirt with everything that is to be kept.
    :raises InvalidInput: the document is not a macvtap network, or says something that cannot come true.
    """
    root = parse_xml(text, "the network XML")
    if root.tag != "network":
        way_out = "give it to macvtap_attach" if root.tag in ("domain", "devices", "interface") else "give a <network>"
        raise InvalidInput(f"the network XML has the root element {shown(root.tag)}; {way_out}")
    name = _settle_name(root, name)
    where = f"network {shown(name)}"
    extbridge = only_child(root, "extbridge", where)
    if extbridge is not None:
        mode, devices, pf = _read_extbridge(extbridge, where)
        _keep_identity_only(root)
        _check(root, where)
    else:
        mode = _forward_mode(root, where)
        _check(root, where)
        devices, pf = _pool(children(root, "forward")[0], where)
    _check_identity(root, where)
    settings, portgroups = network_defaults.read(_take_defaults(root), _portgroups(root, where), where)
    settings = {**settings, **_take_settings(root, where)}
    portgroups = tuple(
        group._replace(settings={**group.settings, **_take_settings(node, f"{where}, port group {shown(group.name)}")})
        for group, node in zip(portgroups, children(root, "portgroup"))
    )
    network = Network(name, mode, devices, pf, portgroups, settings)
    _write_pool(root, mode, devices, pf)
    drop_live_attributes(root)
    return network._replace(xml=_text(root, network))


def is_macvtap_network(text: str | bytes) -> bool:
    """Whether libvirt gives the guests of this network macvtaps, whatever else the document says.

    :raises InvalidInput: the document is not XML.
    """
    root = parse_xml(text, "the network XML")
    forward = children(root, "forward")
    mode = forward[0].get("mode", "nat") if forward else None
    return mode in MODES and not (mode == "bridge" and children(root, "bridge"))


def network_xml(network: Network) -> str:
    """:returns: the document for a definition file: the one the network came with, or a new one."""
    if network.xml is not None:
        return network.xml
    if network.pf is None:
        return network_plain.write(network)
    root = etree.Element("network")
    etree.SubElement(root, "name").text = network.name
    _write_pool(root, network.mode, network.devices, network.pf)
    _write_portgroups(root, network.portgroups)
    return _text(root, network)


def update_network_xml(existing_xml: str | bytes, network: Network) -> str:
    """Mode and pool of ``network`` in the document that exists: uuid, metadata, port groups, comments stay.

    :raises InvalidInput: the existing document is no macvtap network, or has another name.
    """
    existing = parse_network(existing_xml, network.name)
    root = parse_xml(existing.xml or "", "the network XML")
    _write_pool(root, network.mode, network.devices, network.pf)
    _write_portgroups(root, network.portgroups)
    _take_defaults(root)
    return _text(root, network)


def same_definition(a: str | bytes, b: str | bytes) -> bool:
    """Whether two documents define the same network, so that nothing is to be written.

    Indentation, order where libvirt has none, and what only one of them says because libvirt makes it up (uuid) or
    loses it (comments) are no difference: libvirt's own dump of a definition is the same definition.

    :raises InvalidInput: one of them is no macvtap network.
    """
    first, second = (parse_xml(parse_network(text).xml or "", "the network XML") for text in (a, b))
    return same_network_document(first, second)


def _settle_name(root: Any, wanted: str | None) -> str:
    """The one name that option and document agree on, also written into the document."""
    node = only_child(root, "name", "the network XML")
    written = text_of(node) if node is not None else ""
    if node is None:
        node = etree.Element("name")
        root.insert(0, node)
    if not written and wanted is None:
        raise InvalidInput("the network XML has no <name> and no name was given; give one of them")
    name = check_network_name(network_plain.agreed_name(written, wanted) if written else str(wanted))
    for comment in [child for child in node if not isinstance(child.tag, str)]:
        node.remove(comment)
    node.text = name
    return name


def _read_extbridge(extbridge: Any, where: str) -> tuple[str, tuple[str, ...], None]:
    """The 2010 form: mode, the one lower device, no physical function."""
    _check(extbridge, where)
    mode = _check_mode(extbridge.get("mode", "vepa"), "extbridge", where)
    return mode, (_device(extbridge, where),), None


def _keep_identity_only(root: Any) -> None:
    """Drop what <extbridge> overrules."""
    for node in list(elements(root)):
        if node.tag not in _IDENTITY:
            root.remove(node)
    root.attrib.pop("ipv6", None)


def _forward_mode(root: Any, where: str) -> str:
    """The mode of a macvtap network; every other kind of network is refused as what it is."""
    forward = only_child(root, "forward", where)
    if forward is None:
        raise InvalidInput(
            f"{where} has no <forward>, that is an isolated bridge and not a macvtap network;"
            " add <forward mode='vepa' dev='eth0'/>"
        )
    mode = forward.get("mode", "nat")
    if mode in _OTHER_FORWARD_MODES:
        spelled = f"<forward mode='{mode}'>" if "mode" in forward.attrib else "a <forward> without mode, that is 'nat'"
        raise InvalidInput(
            f"{where} has {spelled}: {_OTHER_FORWARD_MODES[mode]} and not a macvtap network;"
            f" write one of the modes {', '.join(MODES)}"
        )
    bridges = children(root, "bridge")
    if mode == "bridge" and bridges:
        bridge = shown(bridges[0].get("name", ""))
        raise InvalidInput(
            f"{where} with <forward mode='bridge'> and <bridge name={bridge}/> is a bridge of the host and not a"
            " macvtap network; replace <bridge> by the lower device: <forward mode='bridge' dev='eth0'/>"
        )
    return _check_mode(mode, "forward", where)


def _check_mode(mode: str, tag: str, where: str) -> str:
    if mode not in MODES:
        spelling = "the XML spells it 'passthrough'" if mode == "passthru" else f"write one of {', '.join(MODES)}"
        raise InvalidInput(f"{where} has mode={shown(mode)} on <{tag}>, which is no macvtap mode; {spelling}")
    return mode


def _device(node: Any, where: str) -> str:
    if not node.get("dev"):
        raise InvalidInput(f"{where} has <{node.tag}> without a dev; name the lower device: <{node.tag} dev='eth0'/>")
    # a physical function is looked for in sysfs
    check = check_ifname if node.tag == "pf" else check_device
    return check(node.get("dev"), f"lower device of {where}")


def _pool(forward: Any, where: str) -> tuple[tuple[str, ...], str | None]:
    """The lower devices in order, or the physical function whose virtual functions are the pool."""
    pf = only_child(forward, "pf", where)
    if pf is not None:
        if "dev" in forward.attrib:
            raise InvalidInput(f"{where} has both <pf> and dev= on <forward>; remove one of them")
        # a live dump lists the virtual functions beside it; they are found again
        return (), _device(pf, where)
    devices = tuple(_device(node, where) for node in children(forward, "interface"))
    twice = _first_repeated(devices)
    if twice is not None:
        raise InvalidInput(f"{where} lists the lower device {shown(twice)} more than once; remove the others")
    if "dev" not in forward.attrib:
        if not devices:
            raise InvalidInput(f"{where} has no lower device; add <interface dev='eth0'/> to <forward>")
        return devices, None
    first = _device(forward, where)
    if devices and devices[0] != first:
        raise InvalidInput(
            f"{where} has dev={shown(first)} on <forward>, but {shown(devices[0])} as its first <interface>;"
            " make them the same or remove dev="
        )
    return devices or (first,), None


def _write_pool(root: Any, mode: str, devices: tuple[str, ...], pf: str | None) -> None:
    """Make <forward> say mode and pool as libvirt's own dump does; comments and <driver> in it stay."""
    found = children(root, "forward")
    forward = found[0] if found else etree.SubElement(root, "forward")
    for node in [node for node in elements(forward) if node.tag in ("interface", "pf", "address")]:
        forward.remove(node)
    forward.attrib.pop("dev", None)
    forward.set("mode", mode)
    if pf is not None:
        etree.SubElement(forward, "pf").set("dev", pf)
        return
    forward.set("dev", devices[0])
    for device in devices:
        etree.SubElement(forward, "interface").set("dev", device)


def _portgroups(root: Any, where: str) -> tuple[PortGroup, ...]:
    nodes = children(root, "portgroup")
    groups = tuple(PortGroup(node.get("name", ""), node.get("default") == "yes") for node in nodes)
    if any(not group.name for group in groups):
        raise InvalidInput(f"{where} has a <portgroup> without a name; name it or remove it")
    network_plain.check_portgroups(groups, where)
    return groups


def _write_portgroups(root: Any, groups: Sequence[PortGroup]) -> None:
    """Make the <portgroup> elements those of ``groups``; what else libvirt knows of one stays."""
    nodes = {node.get("name"): node for node in children(root, "portgroup")}
    for node in nodes.values():
        root.remove(node)
    for group in groups:
        node = nodes.get(group.name)
        node = etree.Element("portgroup", {"name": group.name}) if node is None else node
        root.append(node)
        if group.default:
            node.set("default", "yes")
        else:
            node.attrib.pop("default", None)


def _take_settings(parent: Any, where: str) -> dict[str, Any]:
    """Remove the elements that say what a network or port group sets for its NICs; returns what they say."""
    found = {"vlan": read_vlan(parent, where), "bandwidth": read_bandwidth(parent, where)}
    for node in [*children(parent, "vlan"), *children(parent, "bandwidth")]:
        parent.remove(node)
    return {name: value for name, value in found.items() if value is not None}


def _take_defaults(root: Any) -> str:
    """Remove what the network sets for its NICs from <metadata>; returns its text."""
    texts = []
    for node in root.findall(f"metadata/{{{network_defaults.NAMESPACE}}}defaults"):
        texts.append(text_of(node))
        metadata = node.getparent()
        metadata.remove(node)
        if not len(metadata):
            root.remove(metadata)
    return texts[0] if texts else ""


def _text(root: Any, network: Network) -> str:
    """The document, with what the network sets for its NICs in <metadata>."""
    defaults = network_defaults.write(network)
    if defaults:
        namespaces = {network_defaults.TAG.partition(":")[0]: network_defaults.NAMESPACE}
        node = etree.SubElement(metadata_of(root), f"{{{network_defaults.NAMESPACE}}}defaults", nsmap=namespaces)
        node.text = defaults
    return write_network(root)


def _first_repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _check_identity(root: Any, where: str) -> None:
    for tag in ("uuid", "title", "description", "metadata", "port"):
        only_child(root, tag, where)
    for node in children(root, "uuid"):
        if not _UUID.fullmatch(text_of(node)):
            raise InvalidInput(
                f"{where} has the uuid {shown(text_of(node))}, which is not a UUID; correct or remove it"
            )


def _check(node: Any, where: str) -> None:
    """Refuse what cannot come true, and what nobody knows, by name."""
    attributes, inside = _KNOWN[node.tag]
    unknown = next((key for key in node.attrib if key not in attributes and not key.startswith("{")), None)
    if unknown == "model" and node.tag == "driver":
        # libvirt 11 knows it, 9 does not
        raise InvalidInput(f"{where} has model= on <driver>, which is for PCI devices and not for a macvtap; remove it")
    if unknown is not None:
        raise InvalidInput(
            f"{where} has the attribute {shown(unknown)} on <{node.tag}>, which libvirt does not know there;"
            " correct the spelling or remove it"
        )
    for name in attributes.intersection(_YES_NO_ATTRIBUTES):
        attribute_one_of(node, name, ("yes", "no"), where)
    if node.get("isolated") == "yes":
        raise InvalidInput(
            f"{where} has <port isolated='yes'/>, which only a bridge carries out; remove it and write mode='private'"
            " to keep guests apart"
        )
    stray = "" if node.tag in _IDENTITY else text_of(node).strip()
    if stray:
        raise InvalidInput(f"{where} has the text {shown(stray)} in <{node.tag}>; remove it")
    for child in elements(node):
        _check_child(node, child, inside, where)


def _check_child(node: Any, child: Any, inside: set[str], where: str) -> None:
    if node.tag == "forward" and child.tag == "address" and children(node, "pf"):
        return  # a live dump lists the virtual functions of <pf>
    if child.tag not in inside:
        reason = _REFUSED.get(
            (node.tag, child.tag), "is not an element that libvirt knows there; correct the spelling or remove it"
        )
        raise InvalidInput(f"{where} has {start_tag(child)} in <{node.tag}>: it {reason}")
    if child.tag != "metadata":
        _check(child, where)
