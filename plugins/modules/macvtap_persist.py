#!/usr/bin/python
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: macvtap_persist
short_description: Have the next boot create the same macvtap links, and keep network managers off them
author:
  - linuxnet.macvtap maintainers (@linuxnet)
version_added: 1.0.0
description:
  - Writes the files from which a boot creates the links that M(linuxnet.macvtap.macvtap_attach) created, before any
    guest starts, with the same names, MACs and interface indexes, and so the same C(/dev/tapN), owners and permissions.
    The boot needs no Ansible, no Python and no network.
  - These are batch files for C(ip), a sysctl.d file and an instance of the systemd unit C(macvtap@.service) for each
    lower device, the unit C(macvtap.target) after which guests start, and a udev rule for the owner of each tap and a
    name for it, C(/dev/macvtap/IFNAME).
  - Drop-ins keep udev from renaming the links or changing their MACs, and systemd-networkd, NetworkManager and dhcpcd
    from configuring them. Those of NetworkManager and dhcpcd are written where these programs are configured.
  - Does not touch any link. Neither the links nor their lower devices need to exist.
  - The files contain the name of each lower device, and its permanent MAC or, if it has none of its own, its
    alternative names. A boot finds a renamed device by them. If the name and these belong to different devices, the
    boot creates no link on either, and the journal of C(macvtap@.service) names both.
  - Each file names this collection as its author. The module never overwrites another file; it fails instead.
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
  attachments:
    description:
      - The attachments, as RV(linuxnet.macvtap.macvtap_attach#module:attachments) has them. Those that it returns in
        check mode do as well. Without C(ifindex), the next boot uses the one derived for guest and NIC.
      - The boot creates VLAN devices of this collection (C(vlan_parent)) too. Those of other programs are left to them.
      - With O(state=absent), selects these NICs. Then C(guest) and C(nic) of each do. Without C(nic) it is the order
        of appearance within the guest.
    type: list
    elements: dict
  state:
    description:
      - V(present) has the next boot create O(attachments), in addition to what earlier tasks wrote. Updates the
        entry of a NIC that already has one.
      - V(absent) removes the entries that O(attachments), O(guest) and O(network) select, of which at least one must be
        set. Several narrow the choice. An empty list selects nothing. When no entry remains, all files are removed.
    type: str
    choices: [present, absent]
    default: present
  guest:
    description:
      - With O(state=absent), selects the NICs of these guests.
      - With O(purge=true), guests whose NICs are to be exact, beside those that O(attachments) names.
    type: list
    elements: str
  network:
    description: With O(state=absent), selects the NICs on this network. Its host link leaves with them.
    type: str
  networks:
    description:
      - Networks whose host links (O(linuxnet.macvtap.macvtap_network#module:host_link)) the next boot is to create, in
        addition to those of the networks of O(attachments). Each is a name, for the host link that the network has now,
        or what RV(linuxnet.macvtap.macvtap_network#module:network) has, also in check mode.
      - The entry of a network without a host link is removed.
      - With O(state=absent), removes the entries of these networks' host links.
    type: list
    elements: raw
    version_added: 1.1.0
  purge:
    description: With O(state=present), remove the entries of other NICs of the guests named.
    type: bool
    default: false
  root:
    description: Mount point of the root file system to write to, for example that of an image.
    type: path
    default: /
  reload:
    description:
      - Reload systemd, udev, systemd-networkd and NetworkManager if they run and files of theirs changed. They read
        their configuration again, release the links, and leave everything else unchanged.
      - If NetworkManager manages a link, which only a profile on the host causes, a reload would bring that link down.
        In that case the module does not reload NetworkManager, and warns.
      - Has no meaning with another O(root).
    type: bool
    default: true
requirements:
  - Python 3.9 or later
  - ip (iproute2) and systemd on the host that boots, not for the module itself
notes:
  - Without systemd, the module writes the files and warns. Nothing needs to be enabled.
  - A running dhcpcd reads its file when it is started again. That is left to you.
  - A boot creates links in the network namespace of process 1. In another one the module refuses to write.
  - Links created with O(linuxnet.macvtap.macvtap_attach#module:stable_index=false) are refused, since another link can
    have their interface index after a boot.
seealso:
  - module: linuxnet.macvtap.macvtap_attach
  - module: linuxnet.macvtap.macvtap_info
"""

EXAMPLES = r"""
- name: Attach a guest
  linuxnet.macvtap.macvtap_attach:
    attachments:
      - guest: web
        network: vepanet
    device_group: kvm
    device_mode: "0660"
  register: taps

- name: Let the next boot do the same
  linuxnet.macvtap.macvtap_persist:
    attachments: "{{ taps.attachments }}"

- name: Let the next boot make exactly what this collection made on the host
  block:
    - name: See what there is
      linuxnet.macvtap.macvtap_info:
      register: macvtaps

    - name: Write it down
      linuxnet.macvtap.macvtap_persist:
        attachments: "{{ macvtaps.attachments }}"
        guest: "{{ macvtaps.boot_only | map(attribute='guest') | unique }}"
        purge: true

- name: Forget a guest
  linuxnet.macvtap.macvtap_persist:
    guest: [web]
    state: absent
"""

RETURN = r"""
entries:
  description: What the next boot makes, all of it, by guest and NIC.
  returned: success
  type: list
  elements: dict
  contains:
    guest:
      description: Name of the guest.
      type: str
      returned: success
      sample: web
    nic:
      description: Position of the NIC in its guest.
      type: int
      returned: success
      sample: 0
    network:
      description: Name of the network, or V(null).
      type: str
      returned: success
      sample: vepanet
    queues:
      description: How often the VMM is to open the tap.
      type: int
      returned: success
      sample: 1
    ifname:
      description: Name of the link.
      type: str
      returned: success
      sample: macvtap0
    ifindex:
      description: Interface index of the link, which gives C(/dev/tapN).
      type: int
      returned: success
      sample: 1602838528
    mac:
      description: MAC of link and guest NIC.
      type: str
      returned: success
      sample: 02:9c:1a:5e:40:77
    mode:
      description: Mode in libvirt's words.
      type: str
      returned: success
      sample: vepa
    device:
      description: Lower device.
      type: str
      returned: success
      sample: eth0
    vlan:
      description: Tag of the VLAN, if the boot creates the lower device as a VLAN device, else V(null).
      type: int
      returned: success
      version_added: 1.1.0
      sample: 20
    vlan_parent:
      description:
        - Name of what the boot creates that VLAN device on, else V(null).
      type: str
      returned: success
      version_added: 1.1.0
      sample: eth0
    mtu:
      description: MTU in bytes.
      type: int
      returned: success
      sample: 1500
    link_state:
      description: V(up) or V(down).
      type: str
      returned: success
      sample: up
    allmulticast:
      description: Whether all multicast frames reach the guest.
      type: bool
      returned: success
      sample: true
    promiscuous:
      description: Whether the link is promiscuous.
      type: bool
      returned: success
      sample: false
    bandwidth:
      description:
        - Limits that apply in each direction, V(null) where there is none.
        - The burst is given even if it is the default.
      type: dict
      returned: success
      version_added: 1.1.0
      sample: {inbound: {average: 1024, peak: null, burst: 10}, outbound: null}
    guard:
      description: What the guest may send, with all keys. V(null) means anything.
      type: dict
      returned: success
      version_added: 1.1.0
      sample: {mac: true, addresses: [192.0.2.10], vlans: [], other_protocols: true, stp: false, dhcp_server: false,
               router_advertisements: false, broadcast_rate: null}
    vf:
      description:
        - What the physical function does for the virtual function, as far as a task set it, V(null) where none did.
      type: dict
      returned: success
      version_added: 1.1.0
      sample: {vlan: 20, spoof_check: true}
    vf_before:
      description: What it did before, which is restored when the NIC is detached. V(null) means that this is not known.
      type: dict
      returned: success
      version_added: 1.1.0
      sample: {vlan: 0, spoof_check: false}
    broadcast_queue:
      description: Length of the broadcast queue that the link asks for, in frames.
      type: int
      returned: success
      sample: 1000
      version_added: 1.1.0
    isolate_host:
      description: Whether the host's own IP stack is silent on the link.
      type: bool
      returned: success
      sample: true
    requested:
      description: The RV(linuxnet.macvtap.macvtap_attach#module:attachments[].requested) of the NIC.
      type: dict
      returned: success
      sample: {mtu: 1400}
      version_added: 1.1.0
    tap_owner:
      description: Owner of the tap device node.
      type: str
      returned: success
      sample: root
    tap_group:
      description: Group of the tap device node.
      type: str
      returned: success
      sample: kvm
    tap_mode:
      description: Permissions of the tap device node.
      type: str
      returned: success
      sample: "0660"
host_links:
  description: The host links of networks that the next boot makes.
  returned: success
  type: list
  elements: dict
  version_added: 1.1.0
  contains:
    network:
      description: Name of the network.
      type: str
      returned: success
      sample: local
    ifname:
      description: Name of the link.
      type: str
      returned: success
      sample: mvh-local
    mac:
      description: Its MAC.
      type: str
      returned: success
      sample: 02:5c:1e:44:90:0b
    device:
      description: Name of its lower device.
      type: str
      returned: success
      sample: eth1
    vlan:
      description: As RV(entries[].vlan).
      type: int
      returned: success
      sample: 20
    vlan_parent:
      description: As RV(entries[].vlan_parent).
      type: str
      returned: success
      sample: eth0
    addresses:
      description: Its addresses with prefix lengths.
      type: list
      elements: str
      returned: success
      sample: [192.0.2.10/24]
files:
  description: The files that are there for it, below O(root), beside a block in C(/etc/dhcpcd.conf).
  returned: success
  type: list
  elements: str
  sample: [/etc/macvtap/boot/eth0.create, /etc/macvtap/boot/eth0.up]
actions:
  description: What was done, or would be done in check mode, step by step.
  returned: success
  type: list
  elements: str
  sample: ["write /etc/macvtap/boot/eth0.create"]
"""
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.persist import work
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.run import run

ARGUMENT_SPEC = {
    "attachments": {"type": "list", "elements": "dict"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "guest": {"type": "list", "elements": "str"},
    "network": {"type": "str"},
    "networks": {"type": "list", "elements": "raw"},
    "purge": {"type": "bool", "default": False},
    "root": {"type": "path", "default": "/"},
    "reload": {"type": "bool", "default": True},
}


def main():
    run(work, argument_spec=ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
