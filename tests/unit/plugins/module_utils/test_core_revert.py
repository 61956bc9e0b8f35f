# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a failed run has begun is undone, last first, and the error says so."""

from __future__ import annotations

from functools import partial

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.revert import Revert


def refuse():
    raise HostError("eth0 does not come up")


def test_deeds_are_undone_last_first_and_once():
    undone = []
    revert = Revert()
    revert.push(partial(undone.append, "first"), steps=3)
    revert.push(partial(undone.append, "second"))
    error = revert.run(HostError("no space left"))
    assert undone == ["second", "first"]
    assert str(error) == "no space left. The run was rolled back (steps: 4)."
    assert str(revert.run(HostError("again"))) == "again"


def test_a_failure_does_not_stop_the_rest_and_is_named():
    undone = []
    revert = Revert()
    revert.push(partial(undone.append, "first"))
    revert.push(refuse)
    error = revert.run(HostError("no space left"))
    assert undone == ["first"]
    assert str(error) == "no space left. Rollback was incomplete: eth0 does not come up"


def test_what_is_only_put_back_is_worth_no_sentence():
    revert = Revert()
    revert.push(lambda: None)
    assert str(revert.run(HostError("no space left"), silent=True)) == "no space left"


def test_nothing_done_is_nothing_to_say():
    assert not Revert()
    assert str(Revert().run(HostError("no space left"))) == "no space left"
