#!/usr/bin/python
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: macvtap_network
short_description: Define macvtap networks on hypervisors
author:
  - linuxnet.macvtap maintainers (@linuxnet)
version_added: 1.0.0
description:
  - Defines a named macvtap network, that is a mode and a pool of lower devices, from libvirt network XML or from plain
    options, and keeps it as a libvirt network XML file that C(virsh net-define) reads.
  - Brings each lower device up if it is down. Never touches its addresses, its MAC or its MTU.
  - A change of the definition reaches the links that are live. Modes other than V(passthrough) are switched in place,
    also under a running guest. To and from V(passthrough), and away from a lower device that left the pool, a link is
    recreated.
extends_documentation_fragment:
  - linuxnet.macvtap.attributes
  - linuxnet.macvtap.attributes.actiongroup_macvtap
  - linuxnet.macvtap.shared
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
      - Name of the network, any text libvirt allows (no C(/), no control character, not C(.) or C(..)).
      - Taken from O(xml) where that is given; a different one is an error then.
    type: str
  xml:
    description:
      - libvirt network XML, either with C(<forward mode= dev=><interface dev=/></forward>) or with the C(<extbridge
        mode= dev=/>) proposed in 2010, beside which everything else is ignored.
    type: str
  mode:
    description:
      - How frames travel between guests on the same lower device.
      - V(vepa) sends all frames to the switch, which must reflect those for the same device.
      - V(bridge) delivers between guests on the host, V(private) never does.
      - V(passthrough) gives a whole lower device, its MAC included, to one guest.
    type: str
    choices: [vepa, bridge, private, passthrough]
    default: vepa
  devices:
    description:
      - The pool of lower devices. A new attachment takes the least used one, ties in this order. It takes one that is
        down or has no carrier only if there is no other.
      - Each is given as its name, as an alternative name, or as C(mac:) and its permanent MAC, such as
        V(mac:52:54:00:12:34:56). The definition keeps it as it is given, and each use looks for the device again, so a
        NIC may get another name. Virtual devices do not have a permanent MAC.
      - A device must exist when it is added to the network. If it is gone later, the module warns and the other devices
        serve. If all are gone, the task fails.
    type: list
    elements: str
  vlan:
    description:
      - Tag of the VLAN, 1 to 4094, that the NICs of the network are in. Their guests send and receive frames without
        a tag, and on the wire the frames have this one.
      - The links are on a VLAN device of the lower device, which is called C(eth0.20), or C(mvv-20-) and a hash of the
        lower device's name where that is too long. It is created with the first link on it, has the MTU of the lower
        device, and is shared by all networks and port groups with this tag. It is deleted with the last link on it,
        but not while it has an address or is a port of a bridge or bond. Its alias is C(linuxnet.macvtap vlan).
      - If another program has created a VLAN device with this tag on the lower device, that one is used, whatever its
        name. It is brought up if it is down, and never changed or deleted.
      - Takes effect on a link when its guest is attached the next time. That creates the link again. It takes effect
        on O(host_link) at once.
      - Requires a kernel with 802.1Q (C(8021q)).
    type: int
    version_added: 1.1.0
  bandwidth:
    description:
      - Default of O(linuxnet.macvtap.macvtap_attach#module:attachments[].bandwidth) for the NICs of the network.
        Each NIC has this limit for itself.
      - Takes effect on a link when its guest is attached the next time.
    type: dict
    version_added: 1.1.0
    suboptions: &directions
      inbound:
        description: What the guest receives.
        type: dict
        suboptions: &limit
          average:
            description: Rate in KiB/s.
            type: int
            required: true
          peak:
            description: Highest rate in KiB/s while a burst lasts. Default is that of the wire.
            type: int
          burst:
            description:
              - Amount in KiB that may pass faster, after a time with less traffic.
              - Default is what passes in 10 ms at that rate, and at least two frames.
            type: int
      outbound:
        description: What the guest sends.
        type: dict
        suboptions: *limit
  guard:
    description:
      - Default of O(linuxnet.macvtap.macvtap_attach#module:attachments[].guard) for the NICs of the network.
      - Takes effect on a link when its guest is attached the next time.
    type: dict
    version_added: 1.1.0
    suboptions: &guard
      mac:
        description: Only frames with the MAC of the NIC as their source, and in ARP as the sender's hardware address.
        type: bool
        default: true
      addresses:
        description:
          - IPv4 and IPv6 addresses and prefixes that may be the source of IP packets, the sender's address in ARP,
            and the target of neighbor advertisements. Default is any address. An empty list allows none.
          - A DHCP request, ARP probes, duplicate address detection, router solicitations and multicast listener
            reports without an address, and the link-local address derived from the MAC, are always allowed.
        type: list
        elements: str
      vlans:
        description:
          - 802.1Q tags, from 1 to 4094, that frames may have. Frames with no tag, or with tag 0, are always allowed.
        type: list
        elements: int
        default: []
      other_protocols:
        description: Whether EtherTypes other than IPv4, ARP and IPv6 are allowed.
        type: bool
        default: true
      stp:
        description:
          - Whether frames to C(01:80:c2:00:00:00) to C(01:80:c2:00:00:0f) are allowed, such as STP, LLDP and LACP.
        type: bool
        default: false
      dhcp_server:
        description: Whether UDP to the ports of DHCP clients, 68 in IPv4 and 546 in IPv6, is allowed.
        type: bool
        default: false
      router_advertisements:
        description: Whether IPv6 router advertisements and redirects are allowed.
        type: bool
        default: false
      broadcast_rate:
        description: Broadcast and multicast frames per second that may pass. Default is no limit.
        type: int
  broadcast_queue:
    description:
      - Default of O(linuxnet.macvtap.macvtap_attach#module:attachments[].broadcast_queue) for the NICs of the network.
      - Takes effect on a link when its guest is attached the next time.
    type: int
    version_added: 1.1.0
  portgroups:
    description:
      - Port groups, which a NIC selects by name with O(linuxnet.macvtap.macvtap_attach#module:attachments[].portgroup).
        What a port group sets applies to its NICs instead of what the network sets.
      - If omitted, the network keeps the port groups that it has. An empty list removes them.
    type: list
    elements: dict
    version_added: 1.1.0
    suboptions:
      name:
        description:
          - Name of the port group.
        type: str
        required: true
      default:
        description:
          - Whether the NICs of the network that do not name a port group get this one. At most one can be the default.
        type: bool
        default: false
      vlan:
        description: VLAN of its NICs, as O(vlan).
        type: int
      bandwidth:
        description:
          - Limits of each of its NICs, as O(bandwidth).
        type: dict
        suboptions: *directions
      guard:
        description: What each of its NICs may send, as O(guard).
        type: dict
        suboptions: *guard
  state:
    description:
      - V(present) writes the definition.
      - V(absent) removes it, and is refused while the network has live attachments. Links are never removed with it.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - Remove the definition with O(state=absent) although attachments are live.
      - Also recreate links whose taps a process holds open. That process is disconnected permanently.
    type: bool
    default: false
  detached:
    description:
      - The attachments that earlier tasks of the same run detached, as
        RV(linuxnet.macvtap.macvtap_attach#module:attachments) of O(linuxnet.macvtap.macvtap_attach#module:state=absent)
        has them. Only check mode uses it. These links are still there then, and it predicts as if they were gone.
      - Without it, check mode does not know whether live attachments will be gone. With O(state=absent) it predicts
        then that the definition is removed, and warns that a real run refuses to while attachments are live. With it,
        also with an empty list, the refusal is predicted.
    type: list
    elements: dict
    version_added: 1.1.0
  host_link:
    description:
      - A link of the host itself beside its guests, so that the host and the guests reach each other, which they do not
        through the lower device. Requires mode V(bridge); in all other modes frames do not go from link to link.
      - A macvlan on the first device of the pool that has a carrier, or where it is while that device stays in the
        pool. Guests on the other devices of the pool are reached through the switch. With O(vlan), it is in that VLAN.
      - An empty dictionary removes it. If this option is omitted, a host link that exists stays as it is, and follows
        the pool. It is removed with the network.
      - Each run repairs it, if it was brought down or has lost an address. A change of O(host_link.ifname) or of the
        device creates it again.
      - M(linuxnet.macvtap.macvtap_persist) has the next boot create it.
    type: dict
    version_added: 1.1.0
    suboptions:
      addresses:
        description:
          - Its addresses, IPv4 and IPv6, with prefix lengths, such as V(192.0.2.10/24). Others are removed, but for
            link-local ones and those that a router or DHCP server gives for a time.
          - An empty list is a host link without addresses, for example for a DHCP client. If omitted, the addresses
            are not managed.
        type: list
        elements: str
      mac:
        description: Its MAC. Default is derived from the name of the network.
        type: str
      ifname:
        description:
          - Its name. Default is C(mvh-) and the name of the network, or a hash of it where that is too long or has
            other characters than letters, digits and C(.), C(_), C(-).
        type: str
requirements:
  - Python 3.9 or later
  - >-
    lxml 4.6.5 or later with xml, and to change a network that was defined from XML;
    python3-lxml on Debian, Ubuntu, Fedora and EL, lxml on PyPI
  - >-
    pyroute2 0.7.2 or later to bring up a lower device that is down, and to change a host link;
    python3-pyroute2 on Debian, Ubuntu and Fedora, pyroute2 on PyPI
notes:
  - Warns when it defines a network that libvirt also has, by name or UUID. libvirt's own network stays unchanged.
seealso:
  - module: linuxnet.macvtap.macvtap_attach
  - module: linuxnet.macvtap.macvtap_info
"""

EXAMPLES = r"""
- name: A VEPA network on one uplink
  linuxnet.macvtap.macvtap_network:
    name: vepanet
    devices:
      - eth0

- name: The same from the libvirt network XML of 2010
  linuxnet.macvtap.macvtap_network:
    xml: <network><name>vepanet</name><extbridge mode='vepa' dev='eth0'/></network>

- name: A pool of two uplinks in bridge mode
  linuxnet.macvtap.macvtap_network:
    name: storage
    mode: bridge
    devices:
      - eth1
      - eth2

- name: A network in VLAN 20, with a port group for guests in VLAN 30
  linuxnet.macvtap.macvtap_network:
    name: office
    devices:
      - bond0
    vlan: 20
    portgroups:
      - name: phones
        vlan: 30

- name: A network whose guests the host can reach
  linuxnet.macvtap.macvtap_network:
    name: local
    mode: bridge
    devices:
      - eth1
    host_link:
      addresses:
        - 192.0.2.10/24
        - 2001:db8::10/64

- name: Remove a network and everything on it, as check mode predicts it
  block:
    - name: Detach its guests
      linuxnet.macvtap.macvtap_attach:
        network: vepanet
        state: absent
      register: gone

    - name: Remove the definition
      linuxnet.macvtap.macvtap_network:
        name: vepanet
        state: absent
        detached: "{{ gone.attachments }}"
"""

RETURN = r"""
network:
  description:
    - The network as defined.
    - With O(state=absent), what was defined; mode and XML are V(null) where nothing was.
  returned: success
  type: dict
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
          description: V(up) or V(down), as set by an administrator. With O(state=present), always V(up).
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
boot_files:
  description: Whether M(linuxnet.macvtap.macvtap_persist) has let the next boot make any links on this host.
  returned: success
  type: bool
  sample: false
missing:
  description: What the host lacks, V(lxml) or V(pyroute2).
  returned: if the task fails because of it
  type: list
  elements: str
  version_added: 1.1.0
  sample: [lxml]
actions:
  description: What was done, or would be done in check mode, step by step.
  returned: success
  type: list
  elements: str
  sample: ["write definition of network vepanet (/etc/macvtap/networks/vepanet.xml)"]
"""
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import options
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.network import work
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.run import run

ARGUMENT_SPEC = {
    **options.NETWORK,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "force": {"type": "bool", "default": False},
    "detached": {"type": "list", "elements": "dict"},
}


def main():
    run(work, argument_spec=ARGUMENT_SPEC, **options.NETWORK_RULES)


if __name__ == "__main__":
    main()
