#!/usr/bin/python
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: macvtap_attach
short_description: Attach guests to the wire through macvtap links and their tap device nodes
author:
  - linuxnet.macvtap maintainers (@linuxnet)
version_added: 1.0.0
description:
  - Converges the NICs of one or of many virtual machines, each a macvtap link on a lower device and the tap device node
    C(/dev/tapN) that the VMM opens.
  - Creates a link with its MAC, mode and interface index, writes its owner tag into the alias, silences the host's own
    IP stack on it, and only then brings it up. Repairs drift in place. Recreates a link only if the kernel cannot
    change it.
  - Brings a lower device up if it is down. Never touches its addresses, its MAC or its MTU.
  - Never disconnects a process that holds a tap open, unless O(force=true).
  - Compares the wanted and the current state once. Check mode shows the resulting plan; a normal run carries out the
    same plan.
extends_documentation_fragment:
  - linuxnet.macvtap.attributes
  - linuxnet.macvtap.attributes.actiongroup_macvtap
  - linuxnet.macvtap.shared
attributes:
  check_mode:
    support: full
    details:
      - RV(attachments[].tap_major) and RV(attachments[].tap_minor) of a link that would be created are V(null),
        because the kernel assigns the numbers at creation.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  guest:
    description:
      - Name of the guest, for every entry of O(attachments) that does not name one and for O(xml) without a C(<name>).
      - With O(state=absent), selects the links of this guest.
    type: str
  xml:
    description:
      - libvirt domain XML, one document or a list of them, as C(virsh dumpxml) prints it, live or inactive. The root
        element is C(domain), C(devices) or C(interface).
      - Interfaces of type C(direct), and of type C(network) where the network is a macvtap network, are attached. Other
        interfaces are skipped, but count for the position of a NIC in its guest.
      - An interface of type C(network) is attached if its network is defined here. It is skipped, whatever its elements
        are, if libvirt on this host defines the network as another kind (NAT, routed, open, isolated, bridge of the
        host, Open vSwitch, C(hostdev)) or if O(other_networks) names it. An unknown network is an error.
    type: raw
  attachments:
    description:
      - The wanted NICs, of one guest or of many.
    type: list
    elements: dict
    suboptions:
      guest:
        description: Name of the guest, instead of O(guest).
        type: str
      # the options of a NIC wherever one is described
      <<: &nic
        nic:
          description:
            - Position of the NIC in its guest.
            - Default is the order of appearance within the guest, from V(0).
          type: int
        network:
          description:
            - Name of a network defined with M(linuxnet.macvtap.macvtap_network), which gives mode and lower device.
            - A new NIC is put on the least used device that is up and has a carrier. On one without it is put only if
              there is no other, with a warning.
            - Default is O(default_network), unless C(device) or C(mode) is given.
            - Mutually exclusive with C(device) and C(mode).
          type: str
        portgroup:
          description:
            - Port group of the network, whose settings apply to the NIC where it does not have its own.
            - Default is the default port group of the network, if it has one. An unknown name is an error.
          type: str
          version_added: 1.1.0
        device:
          description:
            - Lower device of the link, as its name, an alternative name, or C(mac:) and its permanent MAC, such as
              V(mac:52:54:00:12:34:56).
          type: str
        mode:
          description:
            - How frames travel between guests on the same lower device. Default is V(vepa).
            - V(vepa) sends all frames to the switch, which must reflect those for the same device.
            - V(bridge) delivers between guests on the host, V(private) never does.
            - V(passthrough) gives the whole lower device, its MAC included, to one guest.
          type: str
          choices: [vepa, bridge, private, passthrough]
        mac:
          description:
            - MAC of the NIC.
            - Default is derived from guest and position, see O(mac_prefix).
          type: str
        ifname:
          description:
            - Name of the link, at most 15 bytes.
            - Default is the first free C(macvtap%d). An existing link keeps its name, unless libvirt created it for a
              guest that still runs, because libvirt deletes the link of that name when the guest ends.
          type: str
        mtu:
          description:
            - MTU in bytes, from 68 to that of the lower device.
            - Default is what an earlier task requested, see RV(attachments[].requested), else to follow the lower
              device.
            - V(0) follows the lower device, whatever an earlier task requested.
          type: int
        queues:
          description: How often the VMM opens the tap, from 1 to 256.
          type: int
          default: 1
        allmulticast:
          description: Receive all multicast frames. IPv6 in the guest requires this.
          type: bool
          default: true
        promiscuous:
          description: Set the link promiscuous.
          type: bool
          default: false
        link_state:
          description: Whether the link is up. Default is that of O(link_state).
          type: str
          choices: [up, down]
          version_added: 1.1.0
        isolate_host:
          description: Keep the host's own IP stack silent on the link. Default is that of O(isolate_host).
          type: bool
          version_added: 1.1.0
        device_owner:
          description:
            - User that owns the tap device node, name or number. Default is that of O(device_owner).
            - Each guest can have a user of its own, in one task. A name is looked up once.
          type: str
          version_added: 1.1.0
        device_group:
          description: Group of the tap device node, name or number. Default is that of O(device_group).
          type: str
          version_added: 1.1.0
        device_mode:
          description:
            - Permissions of the tap device node as four octal digits in quotes. Default is that of O(device_mode).
          type: str
          version_added: 1.1.0
        vf:
          description:
            - What the physical function does for the SR-IOV virtual function that is the lower device, in mode
              V(passthrough) only. Refused on any other device.
            - What is not set here stays as it is. What was set is restored when the NIC is detached, or moved to
              another device.
          type: dict
          version_added: 1.1.0
          suboptions:
            vlan:
              description: VLAN tag that is added to the guest's frames and removed from those for it. V(0) means none.
              type: int
            trust:
              description: Whether the guest may change its MAC and receive all frames, as far as the driver allows it.
              type: bool
            spoof_check:
              description: Whether the NIC drops frames that do not have the guest's MAC as their source.
              type: bool
        broadcast_queue:
          description:
            - Number of broadcast and multicast frames that wait on the lower device until they are copied to its links.
              The kernel drops what comes while as many wait.
            - The queue is one for all links of a lower device, and as long as the longest that one of them asks for.
            - At least 1, at most 4294967295. Default is that of the network, else that of the kernel, V(1000).
              Frames that wait take memory.
            - Requires Linux 5.11 or later.
          type: int
          version_added: 1.1.0
        bandwidth:
          description:
            - Limits of the traffic of the NIC, as the guest sees it, in the words and units of libvirt.
            - Both directions are shaped. Frames wait in a queue, and are dropped only when it is full.
            - Default is that of the port group, else that of the network, else no limit. An empty dictionary means no
              limit.
            - A change applies while the guest runs.
            - Requires the kernel's C(tbf), and for C(inbound) also C(ifb), C(clsact), C(u32) and C(mirred).
            - For each NIC with a limit of C(inbound) there is an C(ifb), named C(mvtp) and the link's interface index
              in hexadecimal.
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
            - What the guest may send. The host drops all other frames before they reach the wire, another guest or the
              host, and counts them, see RV(linuxnet.macvtap.macvtap_info#module:attachments[].guard_dropped).
            - An empty dictionary means all defaults. Default is that of the port group, else that of the network, else
              no guard.
            - The guard is in place before the link is up. A change applies while the guest runs.
            - Requires C(nft), Linux 5.16 or later, and an O(attachments[].ifname) of letters, digits and C(. _ + -).
          type: dict
          version_added: 1.1.0
          suboptions: &guard
            mac:
              description:
                - Only frames with the MAC of the NIC as their source, and in ARP as the sender's hardware address.
              type: bool
              default: true
            addresses:
              description:
                - IPv4 and IPv6 addresses and prefixes that may be the source of IP packets, the sender's address in
                  ARP, and the target of neighbor advertisements. Default is any address. An empty list allows none.
                - A DHCP request, ARP probes, duplicate address detection, router solicitations and multicast listener
                  reports without an address, and the link-local address derived from the MAC, are always allowed.
              type: list
              elements: str
            vlans:
              description:
                - 802.1Q tags, from 1 to 4094, that frames may have. Frames with no tag, or with tag 0, are always
                  allowed.
              type: list
              elements: int
              default: []
            other_protocols:
              description: Whether EtherTypes other than IPv4, ARP and IPv6 are allowed.
              type: bool
              default: true
            stp:
              description:
                - Whether frames to C(01:80:c2:00:00:00) to C(01:80:c2:00:00:0f) are allowed, such as STP, LLDP and
                  LACP.
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
  guests:
    description:
      - The wanted guests, each with a list of its NICs or with its libvirt domain XML, in any mixture.
      - Mutually exclusive with O(guest), O(attachments) and O(xml).
      - With O(state=absent), selects the NICs that V(present) would attach. An entry with only a C(name) selects all
        NICs of that guest. V(present) refuses such an entry.
    type: list
    elements: dict
    version_added: 1.1.0
    suboptions:
      name:
        description:
          - Name of the guest.
          - Optional with O(guests[].xml) that has a C(<name>). If both are given, they must be the same.
        type: str
      xml:
        description: libvirt domain XML of the guest, as for O(xml). Mutually exclusive with NICs in O(guests[].nics).
        type: str
      nics:
        description:
          - The wanted NICs of the guest. An empty list means no NICs, so O(purge=true) removes all NICs of the guest.
        type: list
        elements: dict
        suboptions: *nic
  default_network:
    description:
      - Name of the network for NICs in O(guests) and O(attachments) that name neither a network nor a device.
      - Interfaces in XML always name one.
    type: str
    version_added: 1.1.0
  other_networks:
    description:
      - Names of networks that are not macvtap networks. Interfaces in O(xml) on these networks are skipped.
      - Networks that libvirt on this host defines need not be named.
    type: list
    elements: str
    version_added: 1.1.0
  skip_unsupported:
    description:
      - Skip a guest in O(xml) that asks for what cannot be, such as an element that a macvtap cannot carry out, an
        unknown network or a MAC address that is in use, and attach the other guests. Otherwise the task fails.
      - A guest that is skipped keeps the links that it has. It is reported under RV(skipped_guests), with a warning.
    type: bool
    default: false
    version_added: 1.1.0
  state:
    description:
      - V(present) makes links and nodes as asked for.
      - V(absent) removes the links selected by O(guest), O(guests), O(xml), O(attachments), O(mac), O(ifname) and
        O(network), of which at least one must be given. Several narrow the choice. An empty list selects nothing.
    type: str
    choices: [present, absent]
    default: present
  mac:
    description:
      - With O(state=absent), selects every macvtap link with one of these MACs, of any creator, and never another kind
        of device. All other selectors select only links that carry the owner tag of this collection.
    type: list
    elements: str
  ifname:
    description: With O(state=absent), selects the links of these names.
    type: list
    elements: str
  network:
    description: With O(state=absent), selects the links of this network.
    type: str
  purge:
    description:
      - With O(state=present), remove the attachments that the task does not list, within O(purge_scope).
      - A tap that a process holds open is refused without O(force=true), and check mode predicts this.
    type: bool
    default: false
  purge_scope:
    description:
      - For which attachments O(purge=true) makes the list of NICs exact. Never removes a link without the owner tag of
        this collection.
      - V(guests) are those of the guests named.
      - V(network) are those on the networks named, of every guest. These are O(default_network) and the networks of the
        NICs. All NICs of a guest with an empty list are removed from other networks too.
      - V(host) are all attachments of this collection on the host.
    type: str
    choices: [guests, network, host]
    default: guests
    version_added: 1.1.0
  force:
    description:
      - Also recreate or delete a link whose tap a process holds open. That process is disconnected permanently.
      - Also take over a link without an owner tag whose tap a process holds open, if only its name and MAC address
        identify the guest.
    type: bool
    default: false
  link_state:
    description:
      - Whether the links are up, for NICs without O(attachments[].link_state).
      - A NIC with C(<link state='down'/>) in O(xml) stays down.
      - Default is what an earlier task requested for the NIC, see RV(attachments[].requested), else V(up).
    type: str
    choices: [up, down]
  isolate_host:
    description:
      - Keep the host's own IP stack silent on the links (no ARP, no IPv6), for NICs without
        O(attachments[].isolate_host).
      - Without this, an idle link answers ARP for the host's addresses with the guest's MAC.
      - Default is what an earlier task requested for the NIC, see RV(attachments[].requested), else V(true).
    type: bool
  rebalance:
    description:
      - Move NICs of networks off a lower device that is down or has no carrier, if another one of the network has a
        carrier, or is down and may have one. Otherwise NICs stay where they are. Brings up all devices of the network.
      - Check mode assumes that a device which is down will have a carrier.
      - A link that moves is recreated, with the same name, MAC, tap path and owner. A tap that a process holds open is
        refused without O(force=true), and check mode predicts this.
    type: bool
    default: false
    version_added: 1.1.0
  stable_index:
    description:
      - Derive the interface index of a new link, and so the path of its tap, from guest and position, so that it is the
        same after a re-create or a reboot.
      - When another link or another device has that index or path, the next one is used, with a warning. A NIC that
        M(linuxnet.macvtap.macvtap_persist) has written down gets the index of the boot files and no other.
      - V(false) counts up from the highest index.
    type: bool
    default: true
  mac_prefix:
    description:
      - First octets, 1 to 5, of derived MACs. The rest is a hash of guest and position.
    type: str
    default: "02"
  device_owner:
    description:
      - User that owns the tap device node, name or number, for NICs without O(attachments[].device_owner).
      - Not managed by default. A node is made for C(root).
      - When the owner, group or mode of a node is managed, its POSIX ACL is removed.
      - A process that has the tap open keeps it when the owner changes. The module warns of each that could not open it
        again.
    type: str
  device_group:
    description:
      - Group of the tap device node, name or number, for NICs without O(attachments[].device_group).
      - Not managed by default. A node is made for C(root).
    type: str
  device_mode:
    description:
      - Permissions of the tap device node as four octal digits in quotes, such as V(0660), for NICs without
        O(attachments[].device_mode).
      - Not managed by default. A node is made with V(0600).
    type: str
  networks:
    description:
      - Definitions to use beside those in O(definitions_dir), and before them.
      - Check mode does not see a network that an earlier task has not defined yet. Pass what that task returned as
        RV(linuxnet.macvtap.macvtap_network#module:network), and the attachments are predicted before the first run too.
        Check mode then also knows of lower devices that the earlier task would have brought up.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the network.
        type: str
        required: true
      mode:
        description: Mode of its links.
        type: str
        choices: [vepa, bridge, private, passthrough]
        default: vepa
      devices:
        description:
          - Names of the lower devices, or what M(linuxnet.macvtap.macvtap_network) returns of each.
          - Required without O(networks[].xml).
        type: list
        elements: raw
      xml:
        description: The definition, which says mode and devices itself and has the port groups too.
        type: str
      vlan:
        description: As O(linuxnet.macvtap.macvtap_network#module:vlan). Not used with O(networks[].xml).
        type: int
        version_added: 1.1.0
      bandwidth:
        description: As O(linuxnet.macvtap.macvtap_network#module:bandwidth). Not used with O(networks[].xml).
        type: dict
        version_added: 1.1.0
        suboptions: *directions
      guard:
        description: As O(linuxnet.macvtap.macvtap_network#module:guard). Not used with O(networks[].xml).
        type: dict
        version_added: 1.1.0
        suboptions: *guard
      broadcast_queue:
        description: As O(linuxnet.macvtap.macvtap_network#module:broadcast_queue). Not used with O(networks[].xml).
        type: int
        version_added: 1.1.0
      portgroups:
        description: As O(linuxnet.macvtap.macvtap_network#module:portgroups). Not used with O(networks[].xml).
        type: list
        elements: dict
        version_added: 1.1.0
        suboptions: &portgroup
          name:
            description: Name of the port group.
            type: str
            required: true
          default:
            description: Whether NICs that do not name a port group get this one.
            type: bool
            default: false
          vlan:
            description: VLAN of its NICs.
            type: int
          bandwidth:
            description: Limits of its NICs.
            type: dict
            suboptions: *directions
          guard:
            description: What its NICs may send.
            type: dict
            suboptions: *guard
      path:
        description: Not used; there so that a network can be passed as it was returned.
        type: str
      host_link:
        description: Not used, as C(path).
        type: dict
        version_added: 1.1.0
  define:
    description:
      - A network to define before the guests are attached, as M(linuxnet.macvtap.macvtap_network) does. One task takes
        half the time of two. If it fails, the definition is rolled back too.
      - Its name is the default of O(default_network).
      - Requires O(state=present). Its options are those of M(linuxnet.macvtap.macvtap_network).
    type: dict
    version_added: 1.1.0
    suboptions:
      name:
        description: As O(linuxnet.macvtap.macvtap_network#module:name). Required without O(define.xml).
        type: str
      xml:
        description: As O(linuxnet.macvtap.macvtap_network#module:xml), instead of all others but O(define.host_link).
        type: str
      mode:
        description: As O(linuxnet.macvtap.macvtap_network#module:mode).
        type: str
        choices: [vepa, bridge, private, passthrough]
        default: vepa
      devices:
        description: As O(linuxnet.macvtap.macvtap_network#module:devices).
        type: list
        elements: str
      vlan:
        description: As O(linuxnet.macvtap.macvtap_network#module:vlan).
        type: int
      bandwidth:
        description: As O(linuxnet.macvtap.macvtap_network#module:bandwidth).
        type: dict
        suboptions: *directions
      guard:
        description: As O(linuxnet.macvtap.macvtap_network#module:guard).
        type: dict
        suboptions: *guard
      broadcast_queue:
        description: As O(linuxnet.macvtap.macvtap_network#module:broadcast_queue).
        type: int
      portgroups:
        description: As O(linuxnet.macvtap.macvtap_network#module:portgroups).
        type: list
        elements: dict
        suboptions: *portgroup
      host_link:
        description: As O(linuxnet.macvtap.macvtap_network#module:host_link).
        type: dict
        suboptions:
          addresses:
            description: Its addresses with prefix lengths.
            type: list
            elements: str
          mac:
            description: Its MAC.
            type: str
          ifname:
            description: Its name.
            type: str
requirements:
  - Python 3.9 or later
  - >-
    lxml 4.6.5 or later with xml, and for a network that was defined from XML;
    python3-lxml on Debian, Ubuntu, Fedora and EL, lxml on PyPI
  - >-
    pyroute2 0.7.2 or later to bring up a lower device that is down;
    python3-pyroute2 on Debian, Ubuntu and Fedora, pyroute2 on PyPI
  - nft (package nftables, 1.0.6 or later) and Linux 5.16 or later for O(attachments[].guard)
seealso:
  - module: linuxnet.macvtap.macvtap_network
  - module: linuxnet.macvtap.macvtap_info
"""

EXAMPLES = r"""
- name: Attach all guests of a network, and remove every other attachment on it
  linuxnet.macvtap.macvtap_attach:
    default_network: vepanet
    guests:
      - name: web
        nics:
          - {}
          - mac: "52:54:00:12:34:57"
            queues: 4
      - name: mail
        xml: "{{ lookup('ansible.builtin.file', 'mail.xml') }}"
    purge: true
    purge_scope: network
  register: attached

- name: Show the tap paths of guest web
  ansible.builtin.debug:
    var: attached.guest_tap_paths.web

- name: Define a network and attach a guest to it
  linuxnet.macvtap.macvtap_attach:
    define:
      name: vepanet
      devices: [eth0]
    guests:
      - name: web
        nics: [{}]

- name: Remove all NICs of two guests
  linuxnet.macvtap.macvtap_attach:
    state: absent
    guests:
      - name: web
      - name: mail

- name: Attach two guests to a network
  linuxnet.macvtap.macvtap_attach:
    attachments:
      - guest: web
        network: vepanet
      - guest: db
        network: vepanet
        mac: "52:54:00:12:34:56"
    device_group: kvm
    device_mode: "0660"
  register: taps

- name: Attach a guest so that check mode predicts it before the network is defined
  block:
    - name: Define the network
      linuxnet.macvtap.macvtap_network:
        name: vepanet
        devices: [eth0]
      register: vepanet

    - name: Attach the guest
      linuxnet.macvtap.macvtap_attach:
        guest: web
        attachments:
          - network: vepanet
        networks: ["{{ vepanet.network }}"]

- name: Give each guest's tap to a user of its own, and keep one link down until the guest is there
  linuxnet.macvtap.macvtap_attach:
    attachments:
      - guest: web
        network: vepanet
        device_owner: vm-web
      - guest: db
        network: vepanet
        device_owner: vm-db
        link_state: down
    device_mode: "0600"

- name: Show what to open
  ansible.builtin.debug:
    var: taps.tap_paths

- name: Attach what a libvirt domain asks for
  linuxnet.macvtap.macvtap_attach:
    xml: "{{ lookup('ansible.builtin.file', 'web.xml') }}"

- name: Let guest web have exactly one NIC
  linuxnet.macvtap.macvtap_attach:
    guest: web
    attachments:
      - device: eth0
        mode: bridge
    purge: true

- name: Remove whatever macvtap has the MAC of a guest that is gone
  linuxnet.macvtap.macvtap_attach:
    state: absent
    mac:
      - "52:54:00:12:34:56"
"""

RETURN = r"""
attachments:
  description:
    - The NICs asked for, in that order.
    - With O(state=absent), what was removed.
  returned: success
  type: list
  elements: dict
  contains:
    guest:
      description: Name of the guest, V(null) for a removed link that was not ours.
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
        - The C(mtu), C(isolate_host) and C(link_state) that this or an earlier task requested, unless it is the
          default. The owner tag of the link has them, as far as its 255 bytes suffice.
        - A task that does not mention such an option keeps it, with a warning. To change it, set the option.
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
      description: Major device number, V(null) in check mode for a link that would be made.
      type: int
      returned: success
      sample: 246
    tap_minor:
      description: Minor device number, V(null) in check mode for a link that would be made.
      type: int
      returned: success
      sample: 1
    tap_owner:
      description: Owner of the node, the number where it has no name.
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
      description:
        - The interface element with which libvirt uses this tap and leaves the link alone.
        - For a NIC from XML, it keeps what the guest sees (model, driver, boot order, address, link state, MTU, alias).
      type: str
      returned: success
      sample: >-
        <interface type='ethernet'><mac address='02:9c:1a:5e:40:77'/><target dev='macvtap0' managed='no'/><model
        type='virtio'/></interface>
tap_paths:
  description: The RV(attachments[].tap_path) of all, in the same order.
  returned: success
  type: list
  elements: str
  sample: [/dev/tap1602838528]
guests:
  description:
    - The RV(attachments) by guest. Each guest that the task names has an entry, also one without NICs.
    - With O(state=absent), what was removed, except links without an owner tag.
  returned: success
  type: dict
  version_added: 1.1.0
  sample:
    web:
      - guest: web
        nic: 0
        network: vepanet
        ifname: macvtap0
        ifindex: 1602838528
        mac: 02:9c:1a:5e:40:77
        mode: vepa
        device: eth0
        mtu: 1500
        queues: 1
        link_state: up
        allmulticast: true
        promiscuous: false
        isolate_host: true
        tap_path: /dev/tap1602838528
        tap_major: 246
        tap_minor: 1
        tap_owner: root
        tap_group: kvm
        tap_mode: "0660"
        libvirt_xml: >-
          <interface type='ethernet'><mac address='02:9c:1a:5e:40:77'/><target dev='macvtap0' managed='no'/><model
          type='virtio'/></interface>
    mail: []
guest_tap_paths:
  description: The RV(attachments[].tap_path) by guest, in the order of RV(guests).
  returned: success
  type: dict
  version_added: 1.1.0
  sample:
    web: [/dev/tap1602838528]
    mail: []
skipped_guests:
  description: Guests that were skipped, see O(skip_unsupported).
  returned: success
  type: list
  elements: dict
  version_added: 1.1.0
  contains:
    guest:
      description: Name of the guest.
      type: str
      returned: success
      sample: db
    reason:
      description: What it asks for that cannot be, or what is in the way, and what to do.
      type: str
      returned: success
      sample: >-
        interface 0 of domain 'db' has <virtualport>, which this collection does not carry out; configure the switch
        port by hand and remove it
    temporary:
      description:
        - Whether something on the host is in the way now, such as the link that libvirt made for the running guest, so
          that a later run may attach it.
      type: bool
      returned: success
      sample: false
network:
  description: The network, as RV(linuxnet.macvtap.macvtap_network#module:network).
  returned: success, with O(define)
  type: dict
  version_added: 1.1.0
boot_files:
  description: As RV(linuxnet.macvtap.macvtap_network#module:boot_files).
  returned: success, with O(define)
  type: bool
  version_added: 1.1.0
  sample: false
missing:
  description: What the host lacks, V(lxml), V(pyroute2) or V(nft).
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
  sample: ["create macvtap0 of guest web nic 0: vepa on eth0, MAC 02:9c:1a:5e:40:77, /dev/tap1602838528"]
"""

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import MODES
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import options
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.attach import work
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.run import run


def _nics(**more):
    """A list of NICs, each with ``more`` options."""
    exclusive = [("network", "device"), ("network", "mode")]
    return {"type": "list", "elements": "dict", "options": {**options.NIC, **more}, "mutually_exclusive": exclusive}


ARGUMENT_SPEC = {
    "guest": {"type": "str"},
    "xml": {"type": "raw"},
    "attachments": _nics(guest={"type": "str"}),
    "guests": {
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str"}, "xml": {"type": "str"}, "nics": _nics()},
    },
    "default_network": {"type": "str"},
    "define": {"type": "dict", "options": options.NETWORK, **options.NETWORK_RULES},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "mac": {"type": "list", "elements": "str"},
    "ifname": {"type": "list", "elements": "str"},
    "network": {"type": "str"},
    "purge": {"type": "bool", "default": False},
    "purge_scope": {"type": "str", "choices": ["guests", "network", "host"], "default": "guests"},
    "force": {"type": "bool", "default": False},
    "rebalance": {"type": "bool", "default": False},
    "stable_index": {"type": "bool", "default": True},
    "mac_prefix": {"type": "str", "default": "02"},
    **options.NIC_DEFAULTS,
    "other_networks": {"type": "list", "elements": "str"},
    "skip_unsupported": {"type": "bool", "default": False},
    "networks": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "mode": {**options.NIC["mode"], "default": MODES[0]},
            "devices": {"type": "list", "elements": "raw"},
            "xml": {"type": "str"},
            **options.NETWORK_DEFAULTS,
            "path": {"type": "str"},
            "host_link": {"type": "dict"},
        },
        "required_one_of": [("devices", "xml")],
    },
}


def main():
    exclusive = [("xml", "attachments", "guests"), ("guest", "guests")]
    run(work, argument_spec=ARGUMENT_SPEC, mutually_exclusive=exclusive)


if __name__ == "__main__":
    main()
