#!/usr/bin/python
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: macvtap_qemu
short_description: Run a QEMU guest on macvtap taps
author:
  - linuxnet.macvtap maintainers (@linuxnet)
version_added: 1.0.0
description:
  - Starts, stops and removes one guest, and plugs and unplugs its NICs while it runs.
  - QEMU runs as an unprivileged user. It gets its taps as open file descriptors, at the start by inheritance and later
    over its QMP socket. Therefore, it needs no permission on the device nodes and cannot open those of other guests.
  - Compares the command line of the running process and the NICs that QEMU reports with the wanted state. A change of
    the command line restarts the guest, unless O(restart_on_change=false). A change of its NICs does not.
  - If systemd manages the host, the guest is a unit, which the next boot can start again. Otherwise, it is a process
    with a pid file.
  - Fails before any change if a tap is missing, is another kind of file, or is held open by another process. If QEMU
    ends at once, the error contains its message, and no process is left running.
extends_documentation_fragment:
  - linuxnet.macvtap.attributes
  - linuxnet.macvtap.attributes.actiongroup_macvtap
  - linuxnet.macvtap.shared.unused
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - Name of the guest.
      - It is also part of the names of the unit, the logs and the socket. Special characters in it are replaced and a
        digest is added, so that no two guests share a file.
    type: str
    required: true
  state:
    description:
      - V(started) runs the guest, restarts it if its command line changed (see O(restart_on_change)), and converges its
        NICs.
      - V(stopped) presses the guest's power button, waits for O(stop_timeout) and then ends QEMU.
      - V(absent) also removes the unit, the logs and the socket.
    type: str
    choices: [started, stopped, absent]
    default: started
  taps:
    description:
      - The NICs of the guest, as M(linuxnet.macvtap.macvtap_attach) returns them in
        RV(linuxnet.macvtap.macvtap_attach#module:attachments).
      - Plugs listed NICs that a running guest does not have, unplugs NICs that are not listed, and replaces a NIC if
        its tap, MAC, MTU, number of queues, O(driver) or O(vhost) changed.
      - A NIC with the link state V(down) has no carrier in the guest, also from its start on.
      - An item can also have C(driver), which overrides O(driver).
    type: list
    elements: dict
    default: []
  vhost:
    description:
      - Whether the kernel moves the frames (C(/dev/vhost-net)), which is faster. Only virtio-net drivers support it.
      - V(auto) uses it for a new NIC where it works. A running guest keeps what it has. V(true) and V(false) replace
        the NICs of a running guest that differ.
    type: raw
    default: auto
  driver:
    description:
      - The QEMU device of each NIC, for example V(virtio-net-pci), V(e1000e), V(rtl8139) or V(vmxnet3). See
        C(qemu-system-x86_64 -device help).
      - Only virtio-net drivers support several queues, and tell the guest the MTU.
      - A change replaces the NICs of a running guest.
    type: str
    default: virtio-net-pci
  follow_carrier:
    description:
      - Also take the carrier from a NIC in the guest whose lower device has no carrier, so that a bond in the guest
        uses another NIC. Each run of the module compares them.
    type: bool
    default: false
    version_added: 1.1.0
  image:
    description: Path of the disk image. The guest's user must be able to read and write it.
    type: path
  image_format:
    description: Format of O(image).
    type: str
    choices: [qcow2, raw]
    default: qcow2
  kernel:
    description: Path of a kernel to boot, instead of the one on O(image). The guest's user must be able to read it.
    type: path
  initrd:
    description: Path of the initial file system for O(kernel).
    type: path
  append:
    description: Command line for O(kernel).
    type: str
  memory:
    description: Memory in MiB.
    type: int
    default: 512
  cpus:
    description: Number of processors.
    type: int
    default: 1
  machine:
    description:
      - QEMU machine type, optionally with its own options.
      - Default is QEMU's own, C(pc) on x86.
      - The machine C(q35) gets 16 PCIe root ports, one for each NIC, because NICs can be plugged and unplugged only
        there. A guest that version 1.0 started with C(q35) keeps its PCI addresses, without these ports, until it is
        removed.
    type: str
  cpu:
    description: QEMU processor model. Default is V(host) with KVM and QEMU's own otherwise.
    type: str
  accelerator:
    description: V(auto) uses V(kvm) where it works, else V(tcg), which is software emulation.
    type: str
    choices: [auto, kvm, tcg]
    default: auto
  extra_args:
    description: More arguments for QEMU, one list item each.
    type: list
    elements: str
    default: []
  sandbox:
    description: Have QEMU block system calls that it does not need (C(-sandbox on)).
    type: bool
    default: true
  binary:
    description: QEMU to run, a path or a name. Default is the one for the machine's own architecture.
    type: str
  user:
    description:
      - The user to run QEMU as, with its primary group. It must exist, and cannot be root.
      - A guest that breaks out of its QEMU can access every other guest of the same user. Use one user for each guest.
      - A running guest keeps its user until it is started again. The module warns about it.
      - Required with O(state=started).
    type: str
    default: qemu-guest
  restart_on_change:
    description:
      - Whether a running guest is restarted if another option changed its command line, for example O(memory),
        O(machine) or O(image).
      - With V(false), the guest keeps running as it is. The module warns, returns the change in
        RV(guest.at_next_start), and has systemd use the new command line at the next start. Without systemd, the next
        start by this module uses it.
    type: bool
    default: true
    version_added: 1.1.0
  user_comment:
    description:
      - The comment that O(user) must have in the user database. A user with another comment is refused, for example one
        that another program created under the same name.
    type: str
    version_added: 1.1.0
  supervisor:
    description:
      - V(auto) means V(systemd) if systemd manages the host, else V(none).
      - With V(none) the guest is a process of its own session with a pid file, and the next boot does not start it.
    type: str
    choices: [auto, systemd, none]
    default: auto
  autostart:
    description: With systemd, whether the next boot starts the guest.
    type: bool
    default: true
  runtime_dir:
    description:
      - Directory for pid files and QMP sockets.
      - Only root may have permission to change it and its parents.
    type: path
    default: /run/qemu-guests
  log_dir:
    description:
      - Directory for the logs of the guests' serial consoles and of QEMU.
      - Only root may have permission to change it and its parents. A group may write there.
    type: path
    default: /var/log/qemu-guests
  unit_dir:
    description: Directory for systemd units.
    type: path
    default: /etc/systemd/system
  start_timeout:
    description: Seconds to wait until QEMU answers.
    type: int
    default: 30
  stop_timeout:
    description: Seconds to wait for the guest to shut down, or to release a NIC.
    type: int
    default: 60
requirements:
  - Python 3.9 or later
  - QEMU
  - setpriv (util-linux)
notes:
  - The module only communicates with the guest's own QEMU process, and with no other process that listens at its
    socket. The directory of the socket belongs to root as soon as QEMU listens. The next run changes this for a running
    guest of version 1.0, without a restart.
  - QEMU does not inherit environment, directory, umask, signals, keys or open files of the module, and writes no core
    files.
  - The console log grows without limit. Configure C(logrotate) to copy and truncate it.
  - Removing a guest keeps its links. Delete them afterward with M(linuxnet.macvtap.macvtap_attach), as the role
    P(linuxnet.macvtap.qemu_guest#role) does.
seealso:
  - module: linuxnet.macvtap.macvtap_attach
  - plugin: linuxnet.macvtap.qemu_netdev
    plugin_type: filter
  - name: Running guests on macvtap taps
    link: https://github.com/linuxnet/ansible-collection-macvtap/blob/main/docs/docsite/rst/guide_guests.rst
    description: How taps reach guests, also with other VMMs.
"""

EXAMPLES = r"""
- name: Attach the guest
  linuxnet.macvtap.macvtap_attach:
    guest: web
    attachments:
      - network: vepanet
  register: web

- name: Run it
  linuxnet.macvtap.macvtap_qemu:
    name: web
    image: /srv/guests/web.qcow2
    memory: 2048
    cpus: 2
    taps: "{{ web.attachments }}"

- name: Stop and remove it
  linuxnet.macvtap.macvtap_qemu:
    name: web
    state: absent

- name: Delete its links
  linuxnet.macvtap.macvtap_attach:
    guest: web
    state: absent
"""

RETURN = r"""
guest:
  description: Current state of the guest, in check mode the predicted state.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the guest.
      type: str
      sample: web
    state:
      description: V(started), V(stopped) or V(absent).
      type: str
      sample: started
    pid:
      description: QEMU's process, or V(null).
      type: int
      sample: 4711
    user:
      description: The requested user of the guest, or V(null) unless it is V(started).
      type: str
      sample: qemu-guest
      version_added: 1.1.0
    accelerator:
      description: V(kvm) or V(tcg).
      type: str
      sample: kvm
    command:
      description: QEMU's command line without NICs. For a guest with RV(guest.at_next_start), the current one.
      type: list
      elements: str
      sample: ["/usr/bin/qemu-system-x86_64", "-name", "guest=web"]
    at_next_start:
      description:
        - What the next start of the running guest changes, because of O(restart_on_change=false). V(null) if nothing.
      type: str
      sample: command line changes from 512M to 1024M
      version_added: 1.1.0
    nics:
      description: The NICs of the running guest.
      type: list
      elements: dict
      contains:
        nic:
          description: Position in the guest.
          type: int
          sample: 0
        mac:
          description: MAC.
          type: str
          sample: 02:8f:11:22:33:44
    qmp_socket:
      description: Path of QEMU's control socket.
      type: str
      sample: /run/qemu-guests/web/qmp.sock
    console:
      description: Path of the log of the serial console.
      type: str
      sample: /var/log/qemu-guests/web.console
    log:
      description: Path of the log of QEMU itself.
      type: str
      sample: /var/log/qemu-guests/web.log
    unit:
      description: Name of the systemd unit, or V(null).
      type: str
      sample: qemu-guest-web.service
released:
  description:
    - NICs that the running guest no longer has, so that their links can be deleted.
    - A guest that is only stopped keeps its NICs.
  returned: success
  type: list
  elements: dict
  contains:
    nic:
      description: Position in the guest.
      type: int
      sample: 1
    mac:
      description: MAC.
      type: str
      sample: 02:8f:11:22:33:55
missing:
  description: What the host lacks, V(qemu) or V(user). Check mode predicts as if it were there.
  returned: in check mode, and if the task fails because of it
  type: list
  elements: str
  version_added: 1.1.0
  sample: [qemu]
actions:
  description: The steps of the run, in check mode the predicted steps.
  returned: success
  type: list
  elements: str
  sample: ["start guest web"]
"""

from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.qemu import work
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.run import run

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
    "taps": {"type": "list", "elements": "dict", "default": []},
    "vhost": {"type": "raw", "default": "auto"},
    "driver": {"type": "str", "default": "virtio-net-pci"},
    "follow_carrier": {"type": "bool", "default": False},
    "image": {"type": "path"},
    "image_format": {"type": "str", "choices": ["qcow2", "raw"], "default": "qcow2"},
    "kernel": {"type": "path"},
    "initrd": {"type": "path"},
    "append": {"type": "str"},
    "memory": {"type": "int", "default": 512},
    "cpus": {"type": "int", "default": 1},
    "machine": {"type": "str"},
    "cpu": {"type": "str"},
    "accelerator": {"type": "str", "choices": ["auto", "kvm", "tcg"], "default": "auto"},
    "extra_args": {"type": "list", "elements": "str", "default": []},
    "sandbox": {"type": "bool", "default": True},
    "binary": {"type": "str"},
    "user": {"type": "str", "default": "qemu-guest"},
    "restart_on_change": {"type": "bool", "default": True},
    "user_comment": {"type": "str"},
    "supervisor": {"type": "str", "choices": ["auto", "systemd", "none"], "default": "auto"},
    "autostart": {"type": "bool", "default": True},
    "runtime_dir": {"type": "path", "default": "/run/qemu-guests"},
    "log_dir": {"type": "path", "default": "/var/log/qemu-guests"},
    "unit_dir": {"type": "path", "default": "/etc/systemd/system"},
    "start_timeout": {"type": "int", "default": 30},
    "stop_timeout": {"type": "int", "default": 60},
}


def main() -> None:
    """Run the module."""
    run(work, argument_spec=ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
