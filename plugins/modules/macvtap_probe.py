#!/usr/bin/python
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: macvtap_probe
short_description: Ask the adjacent switch port whether it reflects frames (802.1Qbg reflective relay)
author:
  - linuxnet.macvtap maintainers (@linuxnet)
version_added: 1.0.0
description:
  - Guests in mode V(vepa) on the same lower device reach each other only when the switch sends their frames back to the
    port they came from, which is known as reflective relay or hairpin.
  - Creates two VEPA taps in a network namespace of its own, sends a frame of the local experimental EtherType 0x88B5
    from one to the other, and waits for it. The kernel removes both with the process, however that ends.
  - Before each frame the receiver sends one to the lower device, so that the switch learns the receiver's address on
    this port. The frame itself then leaves the switch by no other port, and a host that echoes what it receives is not
    taken for a switch that reflects.
  - Behind a device that does not learn addresses (a hub, a switch port with learning turned off, a switch whose address
    table is full) other hosts do get the frame. There the module cannot distinguish a reflection from an echo.
  - Then sends a frame as large as the MTU of the device.
  - Warns when NICs in mode V(vepa) share the device and the switch does not reflect, and when large frames are lost.
  - Runs in check mode too, since nothing of it stays.
extends_documentation_fragment:
  - linuxnet.macvtap.attributes
  - linuxnet.macvtap.attributes.info_module
  - linuxnet.macvtap.attributes.actiongroup_macvtap
  - linuxnet.macvtap.shared.unused
options:
  device:
    description:
      - Lower device whose switch port is asked, given as its name, an alternative name, or C(mac:) and its permanent
        MAC. It must be up.
    type: str
    required: true
  timeout:
    description: Seconds to wait for a frame to come back, up to 60.
    type: float
    default: 1.0
requirements:
  - Python 3.9 or later
seealso:
  - module: linuxnet.macvtap.macvtap_network
"""

EXAMPLES = r"""
- name: Ask the switch behind eth0
  linuxnet.macvtap.macvtap_probe:
    device: eth0
  register: switch

- name: Insist that it reflects
  ansible.builtin.assert:
    that: switch.reflective_relay
"""

RETURN = r"""
reflective_relay:
  description: Whether the switch port sent a frame back.
  returned: success
  type: bool
  sample: true
round_trip_us:
  description: Microseconds between sending and receiving, V(null) when nothing came back.
  returned: success
  type: int
  sample: 84
sent:
  description: Number of frames sent, two in each round.
  returned: success
  type: int
  sample: 2
received:
  description: Number of frames received before the answer was clear.
  returned: success
  type: int
  sample: 1
full_mtu:
  description:
    - Whether a frame as large as the MTU of the device came back as well, V(null) when not even a small one did. When
      it did not, the switch has a smaller MTU, and the module warns.
  returned: success
  type: bool
  sample: true
"""
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.probe import work
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.run import run

ARGUMENT_SPEC = {
    "device": {"type": "str", "required": True},
    "timeout": {"type": "float", "default": 1.0},
}


def main():
    run(work, argument_spec=ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
