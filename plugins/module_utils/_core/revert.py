# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The revert stack: what undoes a run. PURE: it calls what is pushed, and knows nothing of it.

As in incus (shared/revert): each deed pushes its own undo where it is done; a run that fails calls them, last first.
"""

from __future__ import annotations

from typing import Callable

from .errors import UNDOING_MET, MacvtapError


class Revert:
    """The undo of everything that a run has done so far."""

    def __init__(self) -> None:
        self._undo: list[tuple[Callable[[], object], int]] = []

    def push(self, undo: Callable[[], object], steps: int = 1) -> None:
        """Remember how to undo what is done now, or is about to be done.

        :arg undo: raises MacvtapError or OSError for what it cannot undo; finds out itself what took effect.
        :arg steps: how many steps of the plan it undoes.
        """
        self._undo.append((undo, steps))

    def run(self, error: MacvtapError, silent: bool = False) -> MacvtapError:
        """Undo everything, last first; a failure does not stop the rest.

        :arg error: why; it says then what became of the steps.
        :arg silent: say only what could not be undone.
        :returns: ``error``.
        """
        undo, self._undo = self._undo, []
        failures: list[str] = []
        for action, _steps in reversed(undo):
            try:
                action()
            except (MacvtapError, OSError) as exc:
                failures.append(str(exc))
        if failures:
            error.undone += (UNDOING_MET + "; ".join(failures),)
        elif undo and not silent:
            error.undone += (f"The run was rolled back (steps: {sum(steps for _action, steps in undo)}).",)
        return error

    def __bool__(self) -> bool:
        return bool(self._undo)
