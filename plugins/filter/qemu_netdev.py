# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that turns attachments into QEMU arguments and into ways to open their descriptors."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.linuxnet.macvtap.plugins.module_utils._errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._qemu_args import (
    FIRST_FD,
    nic_args,
    nics_of,
    open_files,
    redirections,
)

DOCUMENTATION = r"""
name: qemu_netdev
short_description: Turn macvtap attachments into QEMU arguments
version_added: 1.0.0
author:
  - linuxnet.macvtap maintainers (@linuxnet)
description:
  - Takes the attachments of one guest, as M(linuxnet.macvtap.macvtap_attach) returns them, and says how to hand them to
    QEMU as open file descriptors.
  - QEMU then needs no right on the tap device nodes, and cannot open those of other guests.
  - Every queue of a NIC is one descriptor, that is one opening of the tap. Descriptors are counted from O(first_fd) in
    the order of the attachments, and RV(_value.args), RV(_value.redirections) and RV(_value.open_files) agree on them.
positional: _input
options:
  _input:
    description:
      - The attachments of one guest.
      - Of each, the keys C(mac) and C(tap_path) are needed, and C(nic), C(mtu) and C(queues) are used.
    type: list
    elements: dict
    required: true
  first_fd:
    description:
      - Number of the first descriptor.
      - systemd always starts at V(3), so leave it for RV(_value.open_files).
    type: int
    default: 3
  vhost:
    description:
      - Let the kernel move the frames, C(/dev/vhost-net), which is faster.
      - Adds as many descriptors of C(/dev/vhost-net) to each NIC as it has queues, after those of its tap.
    type: bool
    default: false
  driver:
    description:
      - The QEMU device that the guest sees.
      - V(virtio-net-pci) suits all machine types but C(microvm), which takes V(virtio-net-device).
    type: str
    default: virtio-net-pci
notes:
  - A shell that finds no device node creates a regular file for C(3<>/dev/tap5). Test with C([ -c /dev/tap5 ]) first.
  - C(dash), which is C(/bin/sh) on Debian, knows no descriptor above 9. Use C(bash) for more than seven.
  - The MAC address of the device is the one of the link. Do not give the guest another one, nothing would arrive.
seealso:
  - module: linuxnet.macvtap.macvtap_attach
  - module: linuxnet.macvtap.macvtap_qemu
  - ref: Running guests on macvtap taps <ansible_collections.linuxnet.macvtap.docsite.guide_guests>
    description: The same for other machine monitors.
"""

EXAMPLES = r"""
- name: A script that starts guest web on its taps
  ansible.builtin.copy:
    dest: /usr/local/sbin/start-web
    mode: "0755"
    content: |
      #!/bin/bash
      [ -c {{ taps[0].tap_path }} ] || exit 1
      exec qemu-system-x86_64 -m 1024 -drive file=/srv/web.qcow2,if=virtio \
        {{ netdev.args | map('quote') | join(' ') }} {{ netdev.redirections | join(' ') }}
  vars:
    taps: "{{ vepa_network_taps.web }}"
    netdev: "{{ taps | linuxnet.macvtap.qemu_netdev }}"

- name: The same as a systemd service (systemd 253 or later)
  ansible.builtin.copy:
    dest: /etc/systemd/system/web.service
    mode: "0644"
    content: |
      [Service]
      User=qemu
      {% for file in netdev.open_files %}
      OpenFile={{ file }}
      {% endfor %}
      ExecStart=/usr/bin/qemu-system-x86_64 -m 1024 -drive file=/srv/web.qcow2,if=virtio {{ netdev.args | join(' ') }}
  vars:
    netdev: "{{ vepa_network_taps.web | linuxnet.macvtap.qemu_netdev }}"
"""

RETURN = r"""
_value:
  description: How to hand the taps to QEMU.
  type: dict
  contains:
    args:
      description: Arguments for QEMU, one list item each, not quoted for a shell.
      type: list
      elements: str
      sample:
        - "-netdev"
        - "tap,id=net0,fd=3"
        - "-device"
        - "virtio-net-pci,netdev=net0,id=nic0,mac=02:8f:11:22:33:44,host_mtu=1500"
    redirections:
      description: Shell redirections that open the descriptors, quoted for the shell.
      type: list
      elements: str
      sample: ["3<>/dev/tap1342177"]
    open_files:
      description: Values for C(OpenFile=) of a systemd service. systemd opens them for reading and writing.
      type: list
      elements: str
      sample: ["/dev/tap1342177:net0-0"]
"""


def qemu_netdev(
    attachments: Any, first_fd: int = FIRST_FD, vhost: bool = False, driver: str = "virtio-net-pci"
) -> dict[str, list[str]]:
    """Attachments of one guest → ``args``, ``redirections`` and ``open_files``."""
    if not isinstance(first_fd, int) or isinstance(first_fd, bool) or first_fd < FIRST_FD:
        raise AnsibleFilterError(f"qemu_netdev: first_fd must be a number from {FIRST_FD} on, not {first_fd!r}")
    try:
        nics = nics_of(attachments)
        return {
            "args": nic_args(nics, first_fd, vhost, driver),
            "redirections": redirections(nics, first_fd, vhost),
            "open_files": open_files(nics, vhost),
        }
    except InvalidInput as error:
        raise AnsibleFilterError(f"qemu_netdev: {error}") from error


class FilterModule:
    """Where Ansible finds the filter."""

    def filters(self) -> dict[str, Any]:
        """Name → function."""
        return {"qemu_netdev": qemu_netdev}
