# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hostile, broken and odd documents: each is read, or refused in one sentence, quickly."""

from __future__ import annotations

import base64
import time

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError, InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt import xml
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.domain import parse_domain
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import parse_network

NETWORK = "<network><name>n</name><forward mode='vepa' dev='eth0'/>{}</network>"
PLAIN = NETWORK.format("")
DECLARED = "<?xml version='1.0' encoding='{}'?>" + PLAIN
LAUGHS = "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(20))
MIB = 1024 * 1024

HOSTILE = {
    "empty": ("", "is empty"),
    "blank": (" \n\t ", "is empty"),
    "nothing but a declaration": ("<?xml version='1.0'?>", "is empty"),
    "nothing but a comment": ("<!-- c -->", "not well-formed"),
    "not XML": ("vepanet", "not well-formed"),
    "YAML": ("name: vepanet\nmode: vepa\n", "not well-formed"),
    "a path": ("/etc/libvirt/qemu/networks/default.xml", "ansible.builtin.slurp"),
    "a path at home": ("~/vepanet\n", "lookup('ansible.builtin.file', PATH)"),
    "a path beside the playbook": ("files/vepanet.xml", "'files/vepanet.xml', the path of a file"),
    "what slurp returns": (base64.b64encode(PLAIN.encode()).decode(), "b64decode"),
    "what slurp returns, in lines": (base64.encodebytes(("\ufeff" + PLAIN).encode()).decode(), "b64decode"),
    "a word in capitals": ("PATH", "not well-formed"),
    "cut off": (PLAIN[:-5], "not well-formed"),
    "two roots": (PLAIN + PLAIN, "goes on after its root element"),
    "text behind": (PLAIN + "x", "goes on after its root element"),
    "attribute twice": ("<network a='' a=''/>", "not well-formed"),
    "unbound prefix": ("<x:network/>", "not well-formed"),
    "malformed declaration": ("<?xml " + "x" * MIB, "not well-formed"),
    "open comment": (" " * 3 * MIB + "<!-- ", "not well-formed"),
    "NUL": (PLAIN.replace("n<", "n\0<"), "not well-formed"),
    "NUL bytes": (b"\0\0\0\0", "not well-formed"),
    "control character": (PLAIN.replace("n<", "\x1b<"), "not well-formed"),
    "lone surrogate": (PLAIN.replace("n<", "\ud800<"), "half a character"),
    "reference to no character": (NETWORK.format("&#xffff;"), "not well-formed"),
    "unknown entity": (NETWORK.format("&x;"), "not well-formed"),
    "unknown entity in an attribute": (NETWORK.format("<port isolated='&x;'/>"), "not well-formed"),
    "DTD": ("<!DOCTYPE network>" + PLAIN, "DTD"),
    "DTD behind comments": ("<?xml version='1.0'?><!-- a --><?b?>\n<!DOCTYPE network>" + PLAIN, "DTD"),
    "DTD in UTF-16": (("<!DOCTYPE network>" + PLAIN).encode("utf-16"), "DTD"),
    "external DTD": ("<!DOCTYPE network SYSTEM 'http://localhost:1/x.dtd'>" + PLAIN, "DTD"),
    "external entity": ("<!DOCTYPE n [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + NETWORK.format("&x;"), "DTD"),
    "parameter entity": ("<!DOCTYPE n [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]>" + PLAIN, "DTD"),
    "entity bomb": (f"<!DOCTYPE n [<!ENTITY a0 'ha'>{LAUGHS}]>" + NETWORK.format("&a20;"), "DTD"),
    "quadratic entity": (f"<!DOCTYPE n [<!ENTITY a '{'x' * 9999}'>]>" + NETWORK.format("&a;" * 9999), "DTD"),
    "100 MB": ("x" * 100_000_000, "larger than 4 MiB"),
    "100 MB of bytes": (b"<" * 100_000_000, "larger than 4 MiB"),
    "deep": ("<a>" * 101 + "</a>" * 101, "more than 100 deep"),
    "deeper": ("<a>" * 100_000 + "</a>" * 100_000, "more than 50000 elements"),
    "deeper than libxml2 goes": ("<a>" * 5_000 + "</a>" * 5_000, "not well-formed"),
    "wide": (NETWORK.format("<a/>" * 60_000), "more than 50000 elements"),
    "many attributes": ("<a " + " ".join(f"a{n}=''" for n in range(6_000)) + "/>", "more than 5000 attributes"),
    "attributes everywhere": (("<a " + " ".join(f"a{n}=''" for n in range(4_000)) + ">") * 26, "100000 attributes"),
    "many namespaces": ("<a " + " ".join(f"xmlns:a{n}='u{n}'" for n in range(1_001)) + "/>", "1000 namespaces"),
    "long name": (f"<{'a' * 3 * MIB}/>", "not well-formed"),
    "long element name": (NETWORK.format(f"<{'a' * 40_000}/>"), "not an element that libvirt knows"),
    "invisible element name": (NETWORK.format("<i\u200dp/>"), "<i\\u200dp>"),
    "long text": (NETWORK.format("x" * 3 * MIB), "has the text"),
    "not UTF-8": (PLAIN.replace("n<", "é<").encode("latin-1"), "not valid utf-8"),
    "not what it declares": (DECLARED.format("utf-8").replace("n<", "é<").encode("latin-1"), "not valid utf-8"),
    "not ASCII": (DECLARED.format("us-ascii").replace("n<", "é<").encode(), "not valid ascii"),
    "half of UTF-16": (PLAIN.encode("utf-16")[:-1], "not valid utf-16"),
    "unknown encoding": (DECLARED.format("klingon").encode(), "'klingon', which is not supported"),
    "no encoding of text": (DECLARED.format("zlib_codec").encode(), "not supported"),
    "slow encoding": (DECLARED.format("punycode").encode(), "not supported"),
    "odd encoding": (DECLARED.format("unicode_escape").encode(), "not supported"),
    "UTF-7": (DECLARED.format("utf-7").encode("utf-7"), "not supported"),
    "EBCDIC": (DECLARED.format("cp037").encode("cp037"), "not valid utf-8"),
    "a list": ([PLAIN], "not text"),
    "a dict": ({"network": {}}, "not text"),
    "a number": (1, "not text"),
    "None": (None, "not text"),
}


@pytest.mark.parametrize(("document", "said"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_document_is_refused_in_one_short_sentence(document, said):
    start = time.monotonic()
    for parse in (
        (parse_network, parse_domain)
        if said.startswith(("not well-formed", "goes on")) or "DTD" in said
        else (parse_network,)
    ):
        with pytest.raises(InvalidInput) as caught:
            parse(document)
        message = str(caught.value)
        assert said in message
        assert "\n" not in message
        assert len(message) < 400
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "document",
    [
        PLAIN,
        PLAIN.encode(),
        "\n  " + PLAIN + "\n",
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        "<?pi?><!-- <!DOCTYPE no DTD --><?pi <!DOCTYPE?>" + PLAIN + "<!-- after --><?pi?>",
        NETWORK.format("<!-- c --><?pi?><metadata><![CDATA[<!DOCTYPE x]]></metadata>"),
        *(DECLARED.format(name) for name in ("utf-8", "UTF-8", "ISO-8859-1", "utf-16", "klingon")),
        *(DECLARED.format(name).encode(name) for name in ("utf-8", "UTF-8", "ISO-8859-1", "US-ASCII", "windows-1252")),
        *(
            DECLARED.format(name).encode(name)
            for name in ("utf-16", "utf-32", "koi8-r", "shift_jis", "gb18030", "euc-jp")
        ),
        "\n" + DECLARED.format("utf-8"),
        b"\n" + DECLARED.format("utf-8").encode(),
        DECLARED.format("utf-8").replace("?>", " standalone='yes'?>"),
        DECLARED.format("utf-8").replace("1.0", "1.1"),
    ],
)
def test_encodings_comments_and_instructions_do_no_harm(document):
    network = parse_network(document)
    assert (network.name, network.mode, network.devices) == ("n", "vepa", ("eth0",))


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "utf-8", "utf-16", "windows-1252"])
def test_declared_encoding_is_what_the_bytes_are_read_in(encoding):
    document = DECLARED.format(encoding).replace("n<", "vépanet<")
    assert parse_network(document.encode(encoding)).name == "vépanet"
    assert parse_network(document).name == "vépanet"


def test_without_lxml_the_message_names_the_package(monkeypatch):
    monkeypatch.setattr(xml, "etree", None)
    with pytest.raises(HostError, match="python3-lxml"):
        parse_network(PLAIN)
