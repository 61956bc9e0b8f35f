# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Options of every module (SHARED in plugins/module_utils/_task/options.py): where definitions and tap nodes are."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  definitions_dir:
    description:
      - Directory of the network definitions on the managed host, an absolute path.
      - One libvirt network XML file per network, readable by C(virsh net-define).
    type: path
    default: /etc/macvtap/networks
  device_dir:
    description:
      - Directory of the tap device nodes, an absolute path. Each is named C(tap) followed by the interface index.
    type: path
    default: /dev
"""

    # For modules that read no definition and create no node.
    UNUSED = r"""
options:
  definitions_dir:
    description:
      - This module does not use it. It accepts an absolute path, so that the option can be a default for
        C(group/linuxnet.macvtap.macvtap) in C(module_defaults).
    type: path
    default: /etc/macvtap/networks
  device_dir:
    description:
      - This module does not use it. It accepts an absolute path, so that the option can be a default for
        C(group/linuxnet.macvtap.macvtap) in C(module_defaults).
    type: path
    default: /dev
"""
