# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Options that several modules share: where definitions and tap nodes live."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  definitions_dir:
    description:
      - Directory of the network definitions on the managed host.
      - One libvirt network XML file per network, readable by C(virsh net-define).
    type: path
    default: /etc/macvtap/networks
"""

    DEVICE_DIR = r"""
options:
  device_dir:
    description:
      - Directory in which the tap device nodes live, as C(tap) followed by the interface index.
    type: path
    default: /dev
"""
