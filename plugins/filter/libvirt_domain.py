# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that puts links into the definition of a libvirt domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.parsers import expat

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: libvirt_domain
short_description: Have a libvirt domain use links of macvtap_attach
version_added: 1.1.0
author:
  - linuxnet.macvtap maintainers (@linuxnet)
description:
  - Takes the XML of a domain, and puts the C(libvirt_xml) of attachments in the place of its NICs. Everything else
    stays as it is, comments and elements of other namespaces included.
  - The position of an attachment in its guest, C(nic), says which C(<interface>) it replaces. The others stay.
positional: _input
options:
  _input:
    description: Domain XML, as C(virsh dumpxml --inactive) prints it.
    type: str
    required: true
  attachments:
    description:
      - What M(linuxnet.macvtap.macvtap_attach) returned for the NICs of this guest when it was given the same XML.
    type: list
    elements: dict
    required: true
  original:
    description:
      - Domain XML from before the guest moved here. With it, NICs come from there, instead of from C(libvirt_xml).
    type: str
seealso:
  - module: linuxnet.macvtap.macvtap_attach
"""

EXAMPLES = r"""
- name: Attach the guest
  linuxnet.macvtap.macvtap_attach:
    xml: "{{ dumped.stdout }}"
  register: web

- name: Have libvirt use the links from the next start on
  ansible.builtin.command:
    argv: [virsh, define, --validate, /dev/stdin]
    stdin: "{{ dumped.stdout | linuxnet.macvtap.libvirt_domain(web.attachments) }}"
  changed_when: true
"""

RETURN = r"""
_value:
  description: The XML of the domain.
  type: str
"""


def libvirt_domain(text: str, attachments: Sequence[Mapping[str, Any]], original: str | None = None) -> str:
    """The XML of a domain whose NICs use these attachments, or are those of ``original``; all else stays as it is."""
    data = text.encode("utf-8")
    nics = _Interfaces(data).spans
    before = (original or "").encode("utf-8")
    places = _Interfaces(before).spans if original is not None else None
    for attachment in sorted(attachments, key=lambda each: each["nic"], reverse=True):
        number = attachment["nic"]
        if not 0 <= number < min(len(nics), len(nics if places is None else places)):
            raise AnsibleFilterError(
                f"libvirt_domain: guest {attachment['guest']} has no interface {number}, but {len(nics)} interfaces;"
                " give the XML with which it was attached"
            )
        start, end = nics[number]
        new = before[slice(*places[number])] if places else attachment["libvirt_xml"].encode("utf-8")
        data = data[:start] + new + data[end:]
    return data.decode("utf-8")


class _Interfaces:
    """Where the <interface> elements directly below <devices> are, as offsets of bytes."""

    def __init__(self, data: bytes) -> None:
        self.spans: list[tuple[int, int]] = []
        self._path: list[str] = []
        self._start = 0
        self._has_ended = False
        # the text is UTF-8, whatever its declaration says; names get their namespace in front
        self._parser = parser = expat.ParserCreate("utf-8", "}")
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse_dtd
        parser.CharacterDataHandler = parser.CommentHandler = parser.ProcessingInstructionHandler = self._next
        try:
            parser.Parse(data, True)
        except expat.ExpatError as exc:
            raise AnsibleFilterError(f"libvirt_domain: this is not well-formed XML ({exc}); correct it") from exc

    def _begin(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._next()
        self._path.append(name)
        if self._path[0] != "domain":
            raise AnsibleFilterError(f"libvirt_domain: the root element is <{name}>; give a <domain>")
        if self._is_nic():
            self._start = self._parser.CurrentByteIndex

    def _end(self, _name: str) -> None:
        self._next()
        self._has_ended = self._is_nic()
        self._path.pop()

    def _next(self, *_facts: str) -> None:
        """An element ends where the next event begins."""
        if self._has_ended:
            self.spans.append((self._start, self._parser.CurrentByteIndex))
            self._has_ended = False

    def _is_nic(self) -> bool:
        return self._path == ["domain", "devices", "interface"]

    def _refuse_dtd(self, *_facts: Any) -> None:
        raise AnsibleFilterError("libvirt_domain: this has a DTD, which libvirt never writes; remove it")


class FilterModule:
    """Where Ansible finds the filter."""

    def filters(self) -> dict[str, Any]:
        """Name → function."""
        return {"libvirt_domain": libvirt_domain}
