# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long and with which seed the tests run that could go on for ever; tools/torture.sh sets the variables.

Without TORTURE_MINUTES they try a little, the same every time.
"""

from __future__ import annotations

import os
import random
import time

SEED = int(os.environ.get("TORTURE_SEED", "1"))
MINUTES = float(os.environ.get("TORTURE_MINUTES", "0"))
LONG = MINUTES > 0


def dice(*names: object) -> random.Random:
    """Random numbers of one test, from the seed and what the test calls itself."""
    return random.Random(f"{SEED} {names}")


class Share:
    """A share of the minutes."""

    def __init__(self, share: float) -> None:
        self.seconds = MINUTES * 60 * share
        self._began = time.monotonic()

    def lasts(self, part: float = 1.0) -> bool:
        """Until they are over, or the first ``part`` of them."""
        return time.monotonic() < self._began + self.seconds * part
