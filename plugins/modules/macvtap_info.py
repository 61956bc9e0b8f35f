#!/usr/bin/python
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: macvtap_info
short_description: List macvtap networks and attachments, the processes that hold their taps, and problems
author:
  - linuxnet.macvtap maintainers (@linuxnet)
version_added: 1.0.0
description:
  - Lists the networks defined on a host and the live macvtap links, with the processes that hold their taps,
    statistics, and problems in words.
extends_documentation_fragment:
  - linuxnet.macvtap.attributes
  - linuxnet.macvtap.attributes.info_module
  - linuxnet.macvtap.attributes.actiongroup_macvtap
  - linuxnet.macvtap.shared
options:
  guest:
    description: Only attachments of this guest.
    type: str
  network:
    description: Only this network and its attachments.
    type: str
  mac:
    description: Only attachments with one of these MACs, of any creator.
    type: list
    elements: str
  device:
    description:
      - Only attachments on this lower device, given as its name, an alternative name, or C(mac:) and its permanent MAC.
    type: str
  all:
    description: Also macvtap links that this collection did not create.
    type: bool
    default: false
  runtime_dir:
    description:
      - Directory of the QMP sockets of the guests that M(linuxnet.macvtap.macvtap_qemu) runs.
      - The module asks these guests which frames they want to receive, and reports among the problems what their links
        do not deliver. It communicates only with processes that hold a tap of the guest.
    type: path
    default: /run/qemu-guests
    version_added: 1.1.0
requirements:
  - Python 3.9 or later
  - >-
    lxml 4.6.5 or later for networks that were defined from XML, which are reported with a problem without it;
    python3-lxml on Debian, Ubuntu, Fedora and EL, lxml on PyPI
  - >-
    pyroute2 0.7.2 or later for statistics, which are omitted with a warning without it;
    python3-pyroute2 on Debian, Ubuntu and Fedora, pyroute2 on PyPI
notes:
  - Warns when a filter names a guest, network, device or MAC that does not exist on the host.
  - Warns when it does not run as root and so cannot see which processes hold taps or read libvirt's files.
seealso:
  - module: linuxnet.macvtap.macvtap_network
  - module: linuxnet.macvtap.macvtap_attach
"""

EXAMPLES = r"""
- name: Look at all macvtaps of the host
  linuxnet.macvtap.macvtap_info:
    all: true
  register: macvtaps

- name: Fail when something is wrong
  ansible.builtin.assert:
    that: macvtaps.attachments | map(attribute='problems') | flatten | length == 0
"""

RETURN = r"""
networks:
  description: The networks defined, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      returned: success
      sample: vepanet
    mode:
      description: Mode of its links in libvirt's words.
      type: str
      returned: success
      sample: vepa
    devices:
      description: The pool, in order. Facts of a device that the host does not have are V(null).
      type: list
      elements: dict
      returned: success
      contains:
        name:
          description: Name of the lower device. If the host does not have it, as C(given).
          type: str
          returned: success
          sample: eth0
        given:
          description: The device as the definition has it, which is a name, an alternative name or a permanent MAC.
          type: str
          returned: success
          sample: mac:3c:ec:ef:12:34:56
        ifindex:
          description: Its interface index.
          type: int
          returned: success
          sample: 2
        mac:
          description: Its MAC.
          type: str
          returned: success
          sample: 3c:ec:ef:12:34:56
        mtu:
          description: Its MTU in bytes.
          type: int
          returned: success
          sample: 1500
        link_state:
          description: V(up) or V(down), as set by an administrator.
          type: str
          returned: success
          sample: up
          version_added: 1.1.0
        operstate:
          description: Its operational state (RFC 2863) in the kernel's words.
          type: str
          returned: success
          sample: up
        attachments:
          description:
            - Number of live macvtaps on it, and on its VLAN devices for the VLANs of the network, from whatever source.
          type: int
          returned: success
          sample: 2
    vlan:
      description: VLAN of its NICs, V(null) where it sets none.
      type: int
      returned: success
      version_added: 1.1.0
      sample: 20
    bandwidth:
      description:
        - Default of its NICs, V(null) where it sets none.
      type: dict
      returned: success
      version_added: 1.1.0
      sample: {inbound: {average: 1024}}
    guard:
      description:
        - What its NICs may send by default, V(null) where it sets none.
      type: dict
      returned: success
      version_added: 1.1.0
      sample: {addresses: ["192.0.2.0/24"]}
    broadcast_queue:
      description: Default of its NICs, V(null) where it sets none.
      type: int
      returned: success
      sample: 5000
      version_added: 1.1.0
    portgroups:
      description: Its port groups, in order.
      type: list
      elements: dict
      returned: success
      version_added: 1.1.0
      contains:
        name:
          description: Name of the port group.
          type: str
          returned: success
          sample: gold
        default:
          description: Whether NICs that do not name a port group get this one.
          type: bool
          returned: success
          sample: false
        vlan:
          description: VLAN of its NICs, V(null) where it sets none.
          type: int
          returned: success
          sample: 30
        bandwidth:
          description:
            - Limits of its NICs, V(null) where it sets none.
          type: dict
          returned: success
          sample: {inbound: {average: 1024}}
        guard:
          description:
            - What its NICs may send, V(null) where it sets none.
          type: dict
          returned: success
          sample: {addresses: ["192.0.2.0/24"]}
    path:
      description: Path of the definition file.
      type: str
      returned: success
      sample: /etc/macvtap/networks/vepanet.xml
    xml:
      description: The definition.
      type: str
      returned: success
      sample: |
        <network>
          <name>vepanet</name>
          <forward mode="vepa">
            <interface dev="eth0"/>
          </forward>
        </network>
    host_link:
      description: The link of the host beside its guests, V(null) where there is none.
      type: dict
      returned: success
      version_added: 1.1.0
      contains:
        ifname:
          description: Its name.
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
          description: Tag of the VLAN, if the lower device is a VLAN device, else V(null).
          type: int
          returned: success
          sample: 20
        vlan_parent:
          description:
            - Name of what that VLAN device is on, if this collection created it, else V(null).
          type: str
          returned: success
          sample: eth0
        addresses:
          description: Its addresses with prefix lengths.
          type: list
          elements: str
          returned: success
          sample: [192.0.2.10/24]
    problems:
      description: What is wrong with the network or its lower devices, and what libvirt has of the same name or UUID.
      type: list
      elements: str
      returned: success
      sample: ["lower device eth1 is down"]
attachments:
  description: The links, by interface index.
  returned: success
  type: list
  elements: dict
  contains:
    guest:
      description: Name of the guest, V(null) for a link that is not ours.
      type: str
      returned: success
      sample: web
    nic:
      description: Position of the NIC in its guest, or V(null).
      type: int
      returned: success
      sample: 0
    network:
      description: Name of the network, or V(null).
      type: str
      returned: success
      sample: vepanet
    ifname:
      description: Name of the link.
      type: str
      returned: success
      sample: macvtap0
    ifindex:
      description: Interface index of the link.
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
      description: Name of the lower device.
      type: str
      returned: success
      sample: eth0
    vlan:
      description: Tag of the VLAN, if the lower device is a VLAN device, else V(null).
      type: int
      returned: success
      version_added: 1.1.0
      sample: 20
    vlan_parent:
      description:
        - Name of what that VLAN device is on, if this collection created it, else V(null).
      type: str
      returned: success
      version_added: 1.1.0
      sample: eth0
    mtu:
      description: MTU in bytes.
      type: int
      returned: success
      sample: 1500
    queues:
      description: How often the VMM is to open the tap.
      type: int
      returned: success
      sample: 1
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
      description: What the guest may send, with all keys. V(null) means anything, or a guard that is not whole.
      type: dict
      returned: success
      version_added: 1.1.0
      sample: {mac: true, addresses: [192.0.2.10], vlans: [], other_protocols: true, stp: false, dhcp_server: false,
               router_advertisements: false, broadcast_rate: null}
    guard_dropped:
      description:
        - Number of frames that the guard dropped, by the key of RV(attachments[].guard) that forbids them. Empty
          without a guard.
        - They count from when the guard was first set, and stay when it changes.
      type: dict
      returned: success
      version_added: 1.1.0
      sample: {mac: 0, addresses: 12, vlans: 0, stp: 3, dhcp_server: 0, router_advertisements: 0}
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
      description:
        - Length of the broadcast queue that the link asks for, in frames.
        - V(null) where the kernel does not report it, before Linux 5.11.
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
      description:
        - The C(mtu), C(isolate_host) and C(link_state) that a task requested, unless it is the default. See
          RV(linuxnet.macvtap.macvtap_attach#module:attachments[].requested).
      type: dict
      returned: success
      sample: {mtu: 1400}
      version_added: 1.1.0
    tap_path:
      description: Path of the tap device node.
      type: str
      returned: success
      sample: /dev/tap1602838528
    tap_major:
      description: Major device number.
      type: int
      returned: success
      sample: 246
    tap_minor:
      description: Minor device number.
      type: int
      returned: success
      sample: 1
    tap_owner:
      description: Owner of the node, the number where it has no name, V(null) where there is no such node.
      type: str
      returned: success
      sample: root
    tap_group:
      description: Group of the node, the number where it has no name.
      type: str
      returned: success
      sample: kvm
    tap_mode:
      description: Permissions of the node.
      type: str
      returned: success
      sample: "0660"
    libvirt_xml:
      description: The interface element with which libvirt uses this tap and leaves the link alone.
      type: str
      returned: success
      sample: >-
        <interface type='ethernet'><mac address='02:9c:1a:5e:40:77'/><target dev='macvtap0' managed='no'/><model
        type='virtio'/></interface>
    managed:
      description: Whether the link carries the owner tag of this collection.
      type: bool
      returned: success
      sample: true
    libvirt_domain:
      description:
        - The running libvirt domain for which libvirt made this link, as libvirt's own files tell, or V(null). Such a
          link is left alone.
        - A domain that uses a link of ours, with C(managed='no'), is not meant.
      type: str
      returned: success
      sample: db
    operstate:
      description: Its operational state (RFC 2863) in the kernel's words.
      type: str
      returned: success
      sample: up
    holders:
      description:
        - The processes that have the tap open, at most 20.
        - The module warns when it may have missed some. It cannot look at the open files of all processes without root
          and C(CAP_SYS_PTRACE), in a container that shares the network of the host, or within ten seconds when there
          are millions of them. Descriptors that are in flight in a socket or registered with io_uring are in no list.
      type: list
      elements: dict
      returned: success
      contains:
        pid:
          description: Process ID.
          type: int
          returned: success
          sample: 4711
        command:
          description: Name of the command.
          type: str
          returned: success
          sample: qemu-system-x86
        user:
          description: User whose rights it has.
          type: str
          returned: success
          sample: libvirt-qemu
    holders_omitted:
      description: Number of further processes that have the tap open.
      type: int
      returned: success
      sample: 0
    statistics:
      description:
        - The link's counters as the guest sees them, C(rx_bytes), C(rx_packets), C(rx_errors), C(rx_dropped) and the
          same with C(tx_).
      type: dict
      returned: success
      sample:
        rx_bytes: 5230
        rx_packets: 41
        rx_errors: 0
        rx_dropped: 0
        tx_bytes: 2100
        tx_packets: 20
        tx_errors: 0
        tx_dropped: 0
    persistent:
      description: Whether the next boot makes this NIC, see M(linuxnet.macvtap.macvtap_persist).
      type: bool
      returned: success
      sample: true
    problems:
      description:
        - What is wrong with the attachment, what the next boot makes otherwise, and which frames the guest wants to
          receive that its link does not deliver.
      type: list
      elements: str
      returned: success
      sample: ["node missing: nothing lies at /dev/tap1602838528"]
boot_only:
  description:
    - NICs that the next boot makes and that are not live, as RV(linuxnet.macvtap.macvtap_persist#module:entries) has
      them.
  returned: success
  type: list
  elements: dict
  sample: []
boot_problems:
  description: What is wrong with the files from which the next boot makes links.
  returned: success
  type: list
  elements: str
  sample: []
"""
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.info import work
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.run import run

ARGUMENT_SPEC = {
    "guest": {"type": "str"},
    "network": {"type": "str"},
    "mac": {"type": "list", "elements": "str"},
    "device": {"type": "str"},
    "all": {"type": "bool", "default": False},
    "runtime_dir": {"type": "path", "default": "/run/qemu-guests"},
}


def main():
    run(work, argument_spec=ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
