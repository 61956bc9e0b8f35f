# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that turns attachments into QEMU arguments and into ways to open their descriptors."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qemu import (
    FIRST_FD,
    nic_args,
    nics_of,
    open_files,
    redirections,
    tap_guard,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.unit import unit_words

DOCUMENTATION = r"""
name: qemu_netdev
short_description: Turn macvtap attachments into QEMU arguments
version_added: 1.0.0
author:
  - linuxnet.macvtap maintainers (@linuxnet)
description:
  - Turns the attachments of one guest, as M(linuxnet.macvtap.macvtap_attach) returns them, into QEMU arguments and ways
    to open their file descriptors.
  - QEMU then needs no permission on the tap device nodes, and cannot open those of other guests.
  - While the link of a guest is absent, any user of the host can take its path, C(/dev/tapN), with a link of the same
    index in a user namespace. Put RV(_value.guard) or RV(_value.unit_guard) in front of the command, so that it starts
    only if the descriptors are the taps of the guest's links.
  - Every queue of a NIC is one descriptor, which is one open of the tap. Descriptors are numbered from O(first_fd) in
    the order of the attachments. RV(_value.args), RV(_value.redirections), RV(_value.open_files) and RV(_value.guard)
    use the same numbers.
positional: _input
options:
  _input:
    description:
      - The attachments of one guest.
      - The keys C(mac) and C(tap_path) of each are required; C(nic), C(mtu) and C(queues) are optional.
    type: list
    elements: dict
    required: true
  first_fd:
    description:
      - Number of the first descriptor.
      - systemd always starts at V(3), so keep the default for RV(_value.open_files) and RV(_value.unit_guard).
    type: int
    default: 3
  vhost:
    description:
      - Move the frames in the kernel (C(/dev/vhost-net)), which is faster.
      - Adds as many descriptors of C(/dev/vhost-net) to each NIC as it has queues, after those of its tap.
    type: bool
    default: false
  driver:
    description:
      - The QEMU device that the guest sees.
      - V(virtio-net-pci) requires a machine type with a PCI bus. C(microvm) supports V(virtio-net-device).
    type: str
    default: virtio-net-pci
notes:
  - If the device node does not exist, a shell creates a regular file for C(3<>/dev/tap5), which later prevents the
    creation of the node. Test with C([ -c /dev/tap5 ]) first. RV(_value.guard) rejects such a file.
  - C(dash), which is C(/bin/sh) on Debian, does not support descriptors above 9. Use C(bash) for more than seven
    descriptors.
  - The device has the MAC address of the link. With another address, the guest would receive nothing.
seealso:
  - module: linuxnet.macvtap.macvtap_attach
  - module: linuxnet.macvtap.macvtap_qemu
  - name: Running guests on macvtap taps
    link: https://github.com/linuxnet/ansible-collection-macvtap/blob/main/docs/docsite/rst/guide_guests.rst
    description: The same for other VMMs.
"""

EXAMPLES = r"""
- name: A script that starts guest web on its taps
  ansible.builtin.copy:
    dest: /usr/local/sbin/start-web
    mode: "0755"
    content: |
      #!/bin/bash
      [ -c {{ taps[0].tap_path }} ] || exit 1
      exec {{ netdev.guard | map('quote') | join(' ') }} \
        qemu-system-x86_64 -m 1024 -drive file=/srv/web.qcow2,if=virtio \
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
      ExecStart={{ netdev.unit_guard }} \
        /usr/bin/qemu-system-x86_64 -m 1024 -drive file=/srv/web.qcow2,if=virtio {{ netdev.args | join(' ') }}
  vars:
    netdev: "{{ vepa_network_taps.web | linuxnet.macvtap.qemu_netdev }}"
"""

RETURN = r"""
_value:
  description: How to pass the taps to QEMU.
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
    guard:
      description:
        - Words to put in front of the command that inherits the descriptors, one list item each, not quoted for a
          shell.
        - They compare each descriptor with the device number of the link's tap in C(/sys), and then execute the
          command. On a mismatch, they report it and fail. They require no privilege, only C(/bin/sh) and C(stat).
        - Empty without attachments.
      type: list
      elements: str
      version_added: 1.1.0
      sample: ["/bin/sh", "-c", "…", "macvtap-guard", "3", "/sys/class/net/macvtap0/macvtap/tap1342177/dev", "--"]
    unit_guard:
      description: The same as one text, quoted for the beginning of C(ExecStart=) of a systemd service.
      type: str
      version_added: 1.1.0
      sample: '/bin/sh -c "…" macvtap-guard 3 /sys/class/net/macvtap0/macvtap/tap1342177/dev --'
"""


def qemu_netdev(
    attachments: Any, first_fd: int = FIRST_FD, vhost: bool = False, driver: str = "virtio-net-pci"
) -> dict[str, list[str] | str]:
    """Attachments of one guest → ``args``, ``redirections``, ``open_files``, ``guard`` and ``unit_guard``."""
    if not isinstance(first_fd, int) or isinstance(first_fd, bool) or first_fd < FIRST_FD:
        raise AnsibleFilterError(f"qemu_netdev: first_fd must be a number from {FIRST_FD} on, not {first_fd!r}")
    try:
        nics = nics_of(attachments, driver, vhost)
        return {
            "args": nic_args(nics, first_fd),
            "redirections": redirections(nics, first_fd),
            "open_files": open_files(nics),
            "guard": tap_guard(nics, first_fd),
            "unit_guard": unit_words(tap_guard(nics)),
        }
    except InvalidInput as exc:
        raise AnsibleFilterError(f"qemu_netdev: {exc}") from exc


class FilterModule:
    """Where Ansible finds the filter."""

    def filters(self) -> dict[str, Any]:
        """Name → function."""
        return {"qemu_netdev": qemu_netdev}
