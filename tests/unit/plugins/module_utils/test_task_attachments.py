# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What macvtap_attach does on a kernel that does not know a new attribute, which the real one does."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Nic, NodePolicy
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.resolve import Defaults
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import attachments
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.converge import Task
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.kernel_model import UP, KernelModel


@pytest.fixture
def old_kernel():
    kernel = KernelModel(broadcast_queues=False)
    kernel.add_device("eth0", 2, flags=UP)
    return kernel


def attach(kernel, check=False, **settings):
    nic = Nic("web", 0, device="eth0", settings=settings)
    with kernel.installed():
        return attachments.attach([nic], {}, Defaults(), None, Task(NodePolicy(), False, check))


def test_what_is_not_asked_for_is_left_out_and_converges(old_kernel):
    assert attach(old_kernel)["changed"]
    again = attach(old_kernel)
    assert (again["changed"], again["attachments"][0]["broadcast_queue"]) == (False, None)


@pytest.mark.parametrize("check", [True, False])
def test_a_link_that_is_there_shows_it_before_anything_is_changed(old_kernel, check):
    attach(old_kernel)
    before, old_kernel.changes = old_kernel.snapshot(), 0
    with pytest.raises(Refused, match=r"guest web nic 0: broadcast_queue needs Linux 5\.11 or later"):
        attach(old_kernel, check, broadcast_queue=5000)
    assert (old_kernel.snapshot(), old_kernel.changes) == (before, 0)


def test_without_a_link_the_first_one_shows_it_and_is_removed_again(old_kernel):
    before = old_kernel.snapshot()
    with pytest.raises(Refused, match=r"broadcast_queue needs Linux 5\.11 .* The run was rolled back"):
        attach(old_kernel, broadcast_queue=5000)
    assert old_kernel.snapshot() == before
