# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What QEMU answers, checked: a guest that broke out of its QEMU speaks for it. PURE."""

from __future__ import annotations

from typing import Any

from .._core.errors import HostError
from .._core.names import shown


def expected(value: Any, kind: type) -> Any:
    """The value, if it is of the type that QEMU gives it.

    :raises HostError: it is not.
    """
    # True is an int
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise nonsense(value)
    return value


def nonsense(value: object) -> HostError:
    """The error for an answer that no QEMU gives."""
    return HostError(f"QEMU reports {shown(value)}, which it never does; stop the guest")
