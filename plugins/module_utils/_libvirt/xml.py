# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""XML from anybody, read without harm. PURE: no file, no network, no entity, no DTD, bounded work.

Everything that is wrong with a document is one InvalidInput; what an element means is for the rooms above.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

from .._core.errors import InvalidInput, missing_library
from .._core.names import shown

try:
    from lxml import etree

    LXML_IMPORT_ERROR: ImportError | None = None
except ImportError as exc:
    etree = None
    LXML_IMPORT_ERROR = exc

#: bytes (or characters) of one document
MAX_SIZE = 4 * 1024 * 1024
#: elements inside elements; libxml2 itself stops at 256
MAX_DEPTH = 100
#: how often a piece of text may occur, checked before parsing
_MAX_COUNTS = (
    ("elements", "<", 50_000),
    ("attributes", "=", 100_000),
    ("namespaces", "xmlns", 1_000),
)
#: libxml2 before 2.12 compares all attributes of an element with each other
_MAX_ATTRIBUTES_OF_ONE = 5_000

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    # without an owner tag, the first "<" tells
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED_ENCODING = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]{0,39})["']""")
#: encodings of text; Python also knows slow and odd ones such as punycode or unicode_escape
_TEXT_ENCODING = re.compile(
    r"(utf-(8|16|32)(-[bl]e)?|ascii|iso8859-\d+|cp\d+|koi8-\w|gb\w+|big5\w*|euc_\w+|shift_jis\w*|mac-roman)"
)
_DECLARATION = re.compile(r"<\?xml\s.*?\?>", re.DOTALL)
#: what somebody may give in the place of a document: a path, and what slurp returns of one that begins with "<"
_PATH = re.compile(r"[~.]{0,2}/[^\n]*|[^\n]*\.xml")
_BASE64 = re.compile(r"(77u/)?P[A-P][A-Za-z0-9+/]{14,}=*")
#: how libxml2 begins its message when something follows the root element
_SECOND_ROOT = "Extra content at the end of the document"
#: what may stand before the root element or the DTD
_PROLOG = re.compile(r"(?:\s+|<!--.*?-->|<\?.*?\?>)*", re.DOTALL)


def parse_xml(text: str | bytes, where: str) -> Any:
    """Parse one document.

    :arg where: what to call the document in messages, such as "the network XML".
    :returns: the root element (lxml); comments and processing instructions inside it are kept.
    :raises InvalidInput: not XML, too large, too deep, with a DTD, in an unknown encoding.
    :raises MissingLibrary: without lxml.
    """
    text = _decode(text, where)
    _require_no_path(text, where)
    if etree is None:
        raise missing_library(f"reading {where}", "lxml", LXML_IMPORT_ERROR)
    text = _DECLARATION.sub("", text.lstrip(), count=1) if text.lstrip().startswith("<?xml") else text.strip()
    _check_counts(text, where)
    prolog = _PROLOG.match(text)
    if prolog and text.startswith("<!DOCTYPE", prolog.end()):
        raise InvalidInput(f"{where} has a DTD (<!DOCTYPE …>), which is never read; remove it")
    root = _parse(text, where)
    _check_depth(root, where)
    return root


def _decode(text: object, where: str) -> str:
    if not isinstance(text, (str, bytes)):
        raise InvalidInput(f"{where} is {shown(text)}, not text; give the document itself")
    if len(text) > MAX_SIZE:
        raise InvalidInput(
            f"{where} is larger than {MAX_SIZE // 1024 // 1024} MiB; give the one document that is meant"
        )
    if isinstance(text, bytes):
        encoding = _encoding(text, where)
        try:
            text = text.decode(encoding)
        except UnicodeDecodeError as exc:
            raise InvalidInput(
                f"{where} is not valid {encoding}: byte {exc.start} is wrong; save it in the encoding it declares"
            ) from None
    return text.lstrip("\ufeff")


def _require_no_path(text: str, where: str) -> None:
    """Without a "<" it is no XML; what it is instead is often clear."""
    if "<" in text:
        return
    if _PATH.fullmatch(text.strip()):
        raise InvalidInput(
            f"{where} is {shown(text.strip())}, the path of a file and not XML; give the text of the file:"
            " lookup('ansible.builtin.file', PATH) for one on the controller, ansible.builtin.slurp (and b64decode) for"
            " one on this host"
        )
    if _BASE64.fullmatch("".join(text.split())):
        raise InvalidInput(
            f"{where} is {shown(text.strip(), 40)}, base64 and not XML; decode it: {{{{ … | b64decode }}}}, as what"
            " ansible.builtin.slurp returns"
        )


def _encoding(text: bytes, where: str) -> str:
    for tag, encoding in _BYTE_ORDER_MARKS:
        if text.startswith(tag):
            return encoding
    declared = _DECLARED_ENCODING.match(text.lstrip()[:256])
    if not declared:
        return "utf-8"
    name = declared.group(1).decode("ascii")
    try:
        known = codecs.lookup(name).name
    except LookupError:
        known = ""
    if not _TEXT_ENCODING.fullmatch(known):
        raise InvalidInput(f"{where} declares the encoding {shown(name)}, which is not supported; save it as UTF-8")
    return known


def _check_counts(text: str, where: str) -> None:
    for what, token, limit in _MAX_COUNTS:
        if text.count(token) > limit:
            raise InvalidInput(f"{where} has more than {limit} {what}; give the one document that is meant")
    if max(part.count("=") for part in text.split("<")) > _MAX_ATTRIBUTES_OF_ONE:
        raise InvalidInput(
            f"{where} has an element with more than {_MAX_ATTRIBUTES_OF_ONE} attributes; give a plain document"
        )


def _parse(text: str, where: str) -> Any:
    if not text.strip():
        raise InvalidInput(f"{where} is empty; give the document itself, not the name of a file")
    # one parser per document: a parser keeps the errors of the last one. The text is decoded already, so the
    # declaration is gone and UTF-8 is what it is.
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, strip_cdata=True
    )
    try:
        root = etree.fromstring(text.encode("utf-8"), parser)
    except UnicodeEncodeError as exc:
        raise InvalidInput(f"{where} contains {shown(text[exc.start])}, half a character; save it as UTF-8") from None
    except (etree.XMLSyntaxError, ValueError) as exc:
        reason = " ".join(str(getattr(exc, "msg", None) or exc).split())
        if reason.startswith(_SECOND_ROOT):
            raise InvalidInput(
                f"{where} goes on after its root element; give one document, with several <interface> elements inside"
                " one <devices>"
            ) from None
        raise InvalidInput(f"{where} is not well-formed XML ({shown(reason, 200)}); correct it") from None
    if root is None or root.getroottree().docinfo.internalDTD is not None:
        raise InvalidInput(f"{where} has no root element or has a DTD; give a plain document")
    return root


def _check_depth(root: Any, where: str) -> None:
    depth = 0
    for event, _element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise InvalidInput(f"{where} nests elements more than {MAX_DEPTH} deep; give a plain document")


def is_foreign(node: Any) -> bool:
    """Whether an element is in a namespace (libvirt's own elements are in none)."""
    return isinstance(node.tag, str) and node.tag.startswith("{")


def elements(parent: Any) -> Iterator[Any]:
    """The child elements that are in no namespace: no comments, no processing instructions."""
    return (node for node in parent if isinstance(node.tag, str) and not is_foreign(node))


def children(parent: Any, tag: str) -> list[Any]:
    """The child elements named ``tag``."""
    return [node for node in elements(parent) if node.tag == tag]


def only_child(parent: Any, tag: str, where: str) -> Any | None:
    """The one child element named ``tag``, or None.

    :raises InvalidInput: there are several.
    """
    found = children(parent, tag)
    if len(found) > 1:
        raise InvalidInput(f"{where} has {len(found)} <{tag}> elements where one is meant; remove the others")
    return found[0] if found else None


def start_tag(node: Any) -> str:
    """An element as it appears in a message: ``<name>``, cut when it is long."""
    # names may have characters that a terminal does not show, or shows as something else
    tag = node.tag if node.tag.isprintable() else repr(node.tag)[1:-1]
    return f"<{tag}>" if len(tag) <= 80 else f"<{tag[:80]}…"


def text_of(node: Any) -> str:
    """The text directly in an element, without the comments in it."""
    return (node.text or "") + "".join(child.tail or "" for child in node)


def attribute_one_of(node: Any, name: str, words: tuple[str, ...], where: str) -> str | None:
    """An attribute that knows only ``words``; None when it is absent."""
    value = node.get(name)
    if value is not None and value not in words:
        raise InvalidInput(
            f"{where} has {name}={shown(value)} on <{node.tag}>; write one of {', '.join(words)} or leave it out"
        )
    return value
