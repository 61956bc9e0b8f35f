# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an unsupported option belongs is read from the argument specification, at any depth."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.misplaced import hint

NICS = {"device": {"type": "str"}, "bandwidth": {"type": "dict", "options": {"average": {"type": "int"}}}}
SPEC = {
    "guest": {"type": "str"},
    "guests": {"type": "list", "options": {"nics": {"type": "list", "options": NICS}}},
    "attachments": {"type": "list", "options": NICS},
    "free": {"type": "dict"},
}


@pytest.mark.parametrize(
    ("unsupported", "words"),
    [
        ({"device"}, "device belongs in guests.nics or in attachments"),
        ({"average"}, "average belongs in guests.nics.bandwidth"),
        ({("attachments", "guest")}, "guest belongs beside attachments"),
        ({("attachments", "divice")}, "divice is not an option here: did you mean device?"),
        ({"gest"}, "gest is not an option here: did you mean guest or guests?"),
        ({"averages"}, "averages is not an option here: did you mean average in guests.nics.bandwidth or"),
        ({"quite_something_else"}, ""),
        ({"b", "a"}, ""),
        (set(), ""),
    ],
    ids=str,
)
def test_the_place_of_an_option_is_told(unsupported, words):
    told = hint(unsupported, SPEC)
    assert told.startswith(words) and bool(told) == bool(words)


def test_each_option_is_told_of_in_one_order():
    told = hint({("attachments", "guest"), "nics"}, SPEC)
    assert told == "guest belongs beside attachments; nics belongs in guests"
