# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that draws what macvtap_info reports of one or many hosts."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.linuxnet.macvtap.plugins.plugin_utils._topology import printable, problems_of, topology
from ansible_collections.linuxnet.macvtap.plugins.plugin_utils._topology_mermaid import mermaid
from ansible_collections.linuxnet.macvtap.plugins.plugin_utils._topology_svg import MAX_WIDTH, MIN_WIDTH, svg

DOCUMENTATION = r"""
name: macvtap_topology
short_description: Draw hosts, lower devices, networks, guests and taps
version_added: 1.0.0
author:
  - linuxnet.macvtap maintainers (@linuxnet)
description:
  - Draws the results of M(linuxnet.macvtap.macvtap_info) for one or many hosts as a Mermaid diagram or as an SVG.
    Problems are shown as red text.
  - The same input gives exactly the same output. The filter does not access the hosts.
  - Names are escaped. Characters that cannot be shown in one line, such as a line feed, are shown as symbols.
positional: _input
options:
  _input:
    description:
      - The result of M(linuxnet.macvtap.macvtap_info), or a dictionary of host names and such results.
      - The result of a failed task or of an unreachable host is drawn as a host with that problem.
    type: dict
    required: true
  format:
    description:
      - V(mermaid) returns a flowchart. According to Mermaid's documentation (C(maxTextSize)), a diagram has at most
        50000 characters unless configured otherwise. Therefore, many healthy guests share a box, and at most about a
        thousand guests fit.
      - V(svg) returns a picture without scripts and external resources, which can be embedded in an HTML page. It
        follows the light or dark scheme of its page, or of the reader's system if it is opened alone. Guests fill as
        many columns as fit.
      - V(problems) returns a list of all problems instead of a picture. A problem that all taps on a lower device share
        is listed once.
    type: str
    choices: [mermaid, svg, problems]
    default: mermaid
  title:
    description: Title of the picture. An empty title is omitted, for a page that has its own title.
    type: str
    default: Macvtap topology
  width:
    description: Width of the SVG in pixels, from 320 to 4000. The height follows.
    type: int
    default: 1200
seealso:
  - module: linuxnet.macvtap.macvtap_info
  - name: Topology diagrams
    link: https://github.com/linuxnet/ansible-collection-macvtap/blob/main/docs/docsite/rst/guide_topology.rst
    description: An example of such a picture.
"""

EXAMPLES = r"""
- name: Look at the host
  linuxnet.macvtap.macvtap_info:
  register: macvtaps

- name: Draw it on the controller
  ansible.builtin.copy:
    content: "{{ {inventory_hostname: macvtaps} | linuxnet.macvtap.macvtap_topology(format='svg') }}"
    dest: "{{ inventory_hostname }}.svg"
    mode: "0644"
  delegate_to: localhost

- name: One Mermaid diagram of all hosts
  ansible.builtin.copy:
    content: "{{ dict(ansible_play_hosts | zip(results)) | linuxnet.macvtap.macvtap_topology }}"
    dest: fleet.mmd
    mode: "0644"
  vars:
    results: "{{ ansible_play_hosts | map('extract', hostvars, 'macvtaps') }}"
  delegate_to: localhost
  run_once: true

- name: Fail when something is wrong anywhere, with the whole list
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems }}"
  vars:
    problems: "{{ macvtaps | linuxnet.macvtap.macvtap_topology(format='problems') }}"
"""

RETURN = r"""
_value:
  description:
    - The diagram or picture as text.
    - With O(format=problems), a list of dictionaries with C(host), C(where) and C(problem).
  type: raw
"""

FORMATS = ("mermaid", "svg", "problems")


def macvtap_topology(
    told: Any,
    format: str = "mermaid",  # noqa: A002 - the name that a playbook author types
    title: str = "Macvtap topology",
    width: int = 1200,
) -> Any:
    """Result of macvtap_info, or such results by host → a picture as text, or the list of problems."""
    if format not in FORMATS:
        raise AnsibleFilterError(f"macvtap_topology: format must be one of {', '.join(FORMATS)}, not {format!r}")
    if not isinstance(width, int) or isinstance(width, bool) or not MIN_WIDTH <= width <= MAX_WIDTH:
        raise AnsibleFilterError(
            f"macvtap_topology: width must be a number from {MIN_WIDTH} to {MAX_WIDTH}, not {width!r}"
        )
    try:
        hosts = topology(told)
    except ValueError as exc:
        raise AnsibleFilterError(f"macvtap_topology: {exc}") from exc
    if format == "problems":
        return [
            {"host": printable(host.name), "where": printable(where), "problem": printable(problem)}
            for host in hosts
            for where, problem in problems_of(host)
        ]
    return svg(hosts, str(title), width) if format == "svg" else mermaid(hosts, str(title))


class FilterModule:
    """Where Ansible finds the filter."""

    def filters(self) -> dict[str, Any]:
        """Name → function."""
        return {"macvtap_topology": macvtap_topology}
