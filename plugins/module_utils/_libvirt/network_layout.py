# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""How a network document is laid out, and when two of them are the same. PURE: trees in, text or truth out.

What libvirt itself does to a document (observed with 9.0): it makes a uuid, expands ``<forward dev>`` to an
``<interface>``, and loses comments, ``ipv6='no'``, ``managed`` and, in ``<metadata>``, elements without a namespace
and all but the first of each namespace. Elsewhere its schema knows no foreign namespace but dnsmasq's.
"""

from __future__ import annotations

from typing import Any

from .xml import children, elements, etree, is_foreign, text_of

_DNSMASQ_OPTIONS = "{http://libvirt.org/schemas/network/dnsmasq/1.0}options"
#: in the comment at the top of libvirt's own files
_LIBVIRTS_OWN = "THIS IS AN AUTO-GENERATED FILE"
#: elements whose text is their value
_VALUES = ("name", "uuid", "title", "description")
#: elements that libvirt makes up or, when it is old, does not know
_MAY_BE_ON_ONE_SIDE = ("uuid", "title", "description")
#: (element, attribute, value) that libvirt does not write again
_LOST_ATTRIBUTES = {
    ("network", "ipv6", "no"),
    ("forward", "managed", "yes"),
    ("forward", "managed", "no"),
    ("portgroup", "default", "no"),
}


def drop_live_attributes(root: Any) -> None:
    """Remove ``connections``, which only the dump of a running network has."""
    for node in (root, *(child for forward in children(root, "forward") for child in elements(forward))):
        node.attrib.pop("connections", None)


def write_network(root: Any) -> str:
    """:returns: the document as text, laid out the same way every time."""
    _gather_comments(root)
    _gather_metadata(root)
    _indent(root)
    return etree.tostring(root, encoding="unicode", with_tail=False) + "\n"


def same_network_document(a: Any, b: Any) -> bool:
    """Whether two network documents say the same, apart from what libvirt makes up or loses."""
    only_a: dict[str, list[Any]] = {}
    only_b: dict[str, list[Any]] = {}
    if _facts(a, only_a) != _facts(b, only_b):
        return False
    return all(only_a[kind] == only_b[kind] for kind in only_a.keys() & only_b.keys())


def _gather_comments(root: Any) -> None:
    """Move what stands around the root into it; libvirt's warning about its own file is not about ours."""
    for number, node in enumerate([*reversed([*root.itersiblings(preceding=True)]), *root.itersiblings()]):
        if _LIBVIRTS_OWN not in (node.text or ""):
            root.insert(number, node)


def _gather_metadata(root: Any) -> None:
    """Move foreign elements into <metadata>, the one place where libvirt accepts and keeps them."""
    foreign = [
        node
        for parent in (root, *(child for child in elements(root) if child.tag != "metadata"))
        for node in parent
        if is_foreign(node) and node.tag != _DNSMASQ_OPTIONS
    ]
    if not foreign:
        return
    metadata = metadata_of(root)
    for node in foreign:
        metadata.append(node)
        node.tail = None


def metadata_of(root: Any) -> Any:
    """The <metadata> of a document, created where it has none."""
    metadata = next(iter(children(root, "metadata")), None)
    if metadata is None:
        metadata = etree.Element("metadata")
        root.insert(1 + max(root.index(node) for node in elements(root) if node.tag in ("name", "uuid")), metadata)
    return metadata


def _indent(node: Any, level: int = 0) -> None:
    """Two blanks per level down to the elements in <metadata>; what is in those belongs to others."""
    nodes = list(node)
    if node.tag in _VALUES or text_of(node).strip():
        return
    inner = "\n" + "  " * (level + 1)
    node.text = inner if nodes else None
    for child in nodes:
        child.tail = inner
        if isinstance(child.tag, str) and not is_foreign(child) and node.tag != "metadata":
            _indent(child, level + 1)
    if nodes:
        nodes[-1].tail = inner[:-2]


def _facts(node: Any, optional: dict[str, list[Any]]) -> tuple[Any, ...]:
    """What one of libvirt's elements says, comparable.

    :arg optional: receives, by kind, what counts only when both documents have something of the kind.
    """
    attributes: list[Any] = []
    for key, value in sorted(node.items()):
        lost = key.startswith("{") or (node.tag, key, value) in _LOST_ATTRIBUTES
        (optional.setdefault("attributes", []) if lost else attributes).append((key, value))
    facts: list[Any] = []
    namespaces: set[str] = set()
    for child in node:
        if not isinstance(child.tag, str):
            optional.setdefault("comments", []).append(_words(child.text))
        elif child.tag in _MAY_BE_ON_ONE_SIDE and node.tag == "network":
            value = _words(text_of(child))
            optional.setdefault(child.tag, []).append(value.replace("-", "").lower() if child.tag == "uuid" else value)
        elif node.tag == "metadata" and (not is_foreign(child) or etree.QName(child).namespace in namespaces):
            optional.setdefault("metadata", []).append(_verbatim(child))
        elif is_foreign(child):
            namespaces.add(etree.QName(child).namespace)
            facts.append(_verbatim(child))
        else:
            facts.append(_facts(child, optional))
    # libvirt has an order of its own for different elements, and writes no empty <metadata>
    facts = sorted((fact for fact in facts if fact != ("metadata", (), "", ())), key=lambda fact: fact[0])
    return (node.tag, tuple(attributes), text_of(node) if node.tag == "name" else "", tuple(facts))


def _verbatim(node: Any) -> tuple[Any, ...]:
    """The content of an element that this collection does not know: everything but the layout."""
    tag = node.tag if isinstance(node.tag, str) else "!"
    return (
        tag,
        tuple(sorted(node.items())) if tag != "!" else (),
        _words(node.text),
        tuple((_verbatim(child), _words(child.tail)) for child in node),
    )


def _words(text: str | None) -> str:
    return " ".join((text or "").split())
