# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""SELinux contexts, through Ansible's own file handling."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any


def relabel(module: Any, paths: Iterable[str]) -> list[str]:
    """Give what lies at ``paths`` the context that the host's policy has for it; without SELinux nothing happens.

    A node made by mknod has the context of its directory, with which no confined guest may open it.

    :arg module: the AnsibleModule; in check mode it only tells.
    :returns: the paths that were given another context.
    """
    if not module.selinux_enabled():
        return []
    return [
        path
        for path in paths
        if os.path.lexists(path) and module.set_context_if_different(path, module.selinux_default_context(path), False)
    ]
