# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What every module says about itself: the attribute section of its documentation."""

from __future__ import annotations


class ModuleDocFragment:
    # Standard texts; each module states its support for the first three.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same options, the second run reports no change.
      - This assumes that nothing else changed the host in between.
  platform:
    description: Target operating systems that can be operated against.
    support: full
    platforms: linux
"""

    # For modules that only read: they change nothing, in check mode or outside it.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not change the host.
  diff_mode:
    support: N/A
    details:
      - This module does not change the host.
  idempotent:
    support: full
    details:
      - This module does not change the host.
"""

    ACTIONGROUP_MACVTAP = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/linuxnet.macvtap.macvtap) in C(module_defaults) to set defaults for all modules of this collection.
    support: full
    membership:
      - linuxnet.macvtap.macvtap
"""
