# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What libvirtd and the modules say of each document of libvirt_shapes.py, and the page that shows it."""

import collections
import pathlib
import re
import runpy
from typing import NamedTuple

import libvirt_shapes as shapes
from lxml import etree
from module_host import ATTACH, CHECKOUT, ModuleFailed

# makes the collection importable from a plain checkout
runpy.run_path(str(pathlib.Path(__file__).resolve().parents[2] / "unit" / "conftest.py"))

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import MacvtapError  # noqa: E402
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import parse_network  # noqa: E402

PAGE = CHECKOUT / "docs" / "docsite" / "rst" / "guide_libvirt_verdicts.rst"
SKIPPED = "Not a macvtap NIC, whatever it says."
HEAD = """\
..
  Copyright (c) 2026, linuxnet.macvtap maintainers
  GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later

.. Written by tools/verdicts.sh from tests/kernel/support/libvirt_shapes.py; edit that, and run the tool.

.. _ansible_collections.linuxnet.macvtap.docsite.guide_libvirt_verdicts:

Which XML libvirt accepts, and which this collection
====================================================

Each document here was given to libvirtd {version} and to the modules: {networks} network documents to ``virsh
net-define`` and :ansplugin:`linuxnet.macvtap.macvtap_network#module`, and {domains} documents of guests to ``virsh
define`` and :ansplugin:`linuxnet.macvtap.macvtap_attach#module`. For {same} of {all}, the verdict is the same. The last
column has the reason for each difference. What the elements mean is in
:ref:`ansible_collections.linuxnet.macvtap.docsite.guide_libvirt_xml`.

* *drops*: libvirt accepts the document, but a part of it is missing in what ``virsh net-dumpxml`` or ``virsh dumpxml``
  then prints.
* *does not start*: libvirt accepts the document, but does not start the guest.
* *skips*: the NIC is not a macvtap; it is counted, and left to libvirt.
* The column *valid* is for ``--validate``, with which libvirt compares the document with its schema.
"""
TABLE = """
.. list-table::
   :header-rows: 1
   :widths: 44 12 8 10 26

   * - Document
     - libvirt
     - valid
     - here
     - Reason for the difference
"""
NO_VLANS = "8021q), which this kernel does not have"
#: documents for one call of virsh: what it is to do is one argument
AT_ONCE = 50
VERBS = {
    "network": ("net-define", "net-dumpxml", "net-undefine"),
    "domain": ("define", "dumpxml --inactive", "undefine"),
}


class Document(NamedTuple):
    """One frame with one part in it."""

    group: shapes.Group
    part: shapes.Part
    frame: str
    text: str
    #: the name under which libvirt has it
    name: str


class Verdict(NamedTuple):
    """What is said of a document."""

    libvirt: str
    validated: str
    here: str

    def agrees(self):
        """Whether libvirt and the modules do the same."""
        takes = {"accepts": True, "refuses": False}.get(self.libvirt)
        return takes is not None and takes == (self.here != "refuses")


def parts():
    """All parts of all groups."""
    return [part for group in (*shapes.NETWORKS, *shapes.DOMAINS, shapes.DOCUMENTS) for part in group.parts]


def documents(groups, around="PART"):
    """The documents of these groups."""
    found = []
    for group in groups:
        for part in group.parts:
            for frame, inside in group.frames.items():
                text = around.replace("PART", inside).replace("PART", part.xml)
                found.append(Document(group, part, frame, text, name_in(text)))
    return found


def name_in(text):
    try:
        return etree.fromstring(text.encode()).findtext("name") or "n"
    except etree.XMLSyntaxError:
        return "n"


def parts_of(node, path=""):
    """Elements, attributes and comments of a document, each as often as it has them."""
    if not isinstance(node.tag, str):
        return collections.Counter([f"{path} comment"])
    here = f"{path}/{node.tag}"
    found = collections.Counter([here, *(f"{here} {name}=" for name in node.attrib)])
    for child in node:
        found += parts_of(child, here)
    return found


def dropped(document, dump):
    """Whether libvirt has lost something of a document that it took."""
    root, written = (etree.fromstring(text.encode()) for text in (document, dump))
    return bool(parts_of(root) - parts_of(written))


class Libvirt:
    """libvirtd, asked for many documents at once."""

    def __init__(self, libvirtd, directory):
        self.libvirtd = libvirtd
        self.directory = directory

    def ask(self, kind, texts):
        """:returns: for each document (dump when it was defined, whether it is defined when validated)."""
        define, dump, undefine = VERBS[kind]
        answers = []
        for begin in range(0, len(texts), AT_ONCE):
            steps = []
            for number, (text, name) in enumerate(texts[begin : begin + AT_ONCE]):
                path = self.directory / f"{number}.xml"
                path.write_text(text, encoding="utf-8")
                quoted = '"%s"' % re.sub(r'(["\\])', r"\\\1", name)
                for option in ("", " --validate"):
                    steps += ["echo @@@", f"{define}{option} {path}", f"{dump} -- {quoted}", f"{undefine} -- {quoted}"]
            said = self.libvirtd.virsh("; ".join(steps), check=False).stdout.split("@@@")[1:]
            answers += [(plain.strip(), bool(validated.strip())) for plain, validated in zip(said[::2], said[1::2])]
        return answers

    def starts(self, text):
        """Whether libvirt starts this domain."""
        path = self.directory / "start.xml"
        path.write_text(text, encoding="utf-8")
        done = self.libvirtd.virsh(f"create --paused {path}", check=False)
        if not done.returncode:
            self.libvirtd.virsh("destroy", name_in(text))
        return not done.returncode


def network_verdicts(libvirt):
    """:returns: (document, verdict) of the networks."""
    found = documents(shapes.NETWORKS)
    verdicts = []
    for document, answer in zip(found, libvirt.ask("network", [(each.text, each.name) for each in found])):
        try:
            parse_network(document.text)
            here = "accepts"
        except MacvtapError:
            here = "refuses"
        verdicts.append((document, verdict(document, answer, here)))
    return verdicts


def verdict(document, answer, here):
    dump, validated = answer
    says = "refuses" if not dump else "drops" if dropped(document.text, dump) else "accepts"
    return Verdict(says, "yes" if validated else "no", here)


def domain_verdicts(host, libvirt):
    """:returns: (document, verdict) of the domains. One that may differ at its start is started, too."""
    found = [*documents(shapes.DOMAINS, shapes.DOMAIN), *documents([shapes.DOCUMENTS])]
    verdicts = []
    for document, answer in zip(found, libvirt.ask("domain", [(each.text, each.name) for each in found])):
        guest = {} if "<domain" in document.text else {"guest": "g"}
        try:
            attached = host.module(ATTACH, xml=document.text, check=True, diff=False, **guest)["attachments"]
            here = "accepts" if attached or "<interface" not in document.text else "skips"
        except ModuleFailed as failed:
            # the page is for every kernel
            here = "accepts" if NO_VLANS in failed.message else "refuses"
        said = verdict(document, answer, here)
        tried = here == "refuses" or (here == "accepts" and document.part.reason)
        if said.libvirt == "accepts" and tried and not libvirt.starts(document.text):
            said = said._replace(libvirt="does not start")
        verdicts.append((document, said))
    return verdicts


def reason(document, said):
    """Why libvirt and the modules differ, nothing = they do not."""
    if said.agrees():
        return ""
    return document.part.reason or (SKIPPED if said.here == "skips" else "")


def idle_or_missing(verdicts):
    """Documents that differ without a reason, and reasons of parts that do not differ, for every libvirt."""
    verdicts = [(document, said) for document, said in verdicts if not document.part.newer]
    missing = [(each.text, *said) for each, said in verdicts if not said.agrees() and not reason(each, said)]
    differing = {each.part for each, said in verdicts if not said.agrees() and said != ("refuses", "no", "skips")}
    return missing + [each.part for each, _said in verdicts if each.part.reason and each.part not in differing]


def rows(verdicts, group):
    """(frames, verdict, reason) → the parts of this group for which they hold, in the order of the group."""
    found = {}
    for part in group.parts:
        of_part = {}
        for document, said in verdicts:
            if document.group is group and document.part is part:
                of_part.setdefault((said, reason(document, said)), []).append(document.frame)
        for (said, why), frames in of_part.items():
            named = "" if len(frames) == len(group.frames) else ", ".join(frames)
            found.setdefault((named, said, why), []).append(part.xml)
    return found


def facts(text):
    """(heading, document, libvirt, valid, here) of the rows of a page, one for each document of a row."""
    found, heading, cells = set(), "", []
    lines = text.split("\n")
    for line, below in zip(lines, [*lines[1:], ""]):
        if below and not below.strip("~"):
            heading = line
        if line.startswith(("   * -", "     -")):
            cells = [line[7:]] if line.startswith("   *") else [*cells, line[7:]]
        if len(cells) == 5:
            label = cells[0].partition("``")[0]
            found |= {(heading, label, xml, *cells[1:4]) for xml in re.findall("``(.*?)``", cells[0])}
            cells = []
    return found


def literal(xml):
    """A piece of XML in reStructuredText."""
    return f"``{xml.strip()}``" if xml.strip() else "(nothing)"


def page(networks, domains, version):
    """The text of the page."""
    verdicts = [*networks, *domains]
    same = sum(said.agrees() for _document, said in verdicts)
    counts = {"networks": len(networks), "domains": len(domains), "all": len(verdicts), "same": same}
    lines = [HEAD.format(version=version, **counts)]
    for title, found in (("Networks", networks), ("Guests", domains)):
        lines += ["", title, "-" * len(title)]
        for group in {document.group.title: document.group for document, _said in found}.values():
            lines += ["", group.title, "~" * len(group.title), *framing(group), TABLE.rstrip("\n")]
            for (frames, said, why), parts in rows(found, group).items():
                label = f"{frames}: " if frames else ""
                lines.append(f"   * - {label}{', '.join(map(literal, parts))}")
                lines += [f"     - {cell}".rstrip() for cell in (*said, why)]
    return "\n".join(lines) + "\n"


def framing(group):
    """What stands around the parts of a group, when it is more than nothing."""
    frames = {name: text for name, text in group.frames.items() if text != "PART"}
    for name, text in frames.items():
        yield from ["", f"{name or 'In'}: {literal(text.replace('PART', '…'))}".capitalize()]
