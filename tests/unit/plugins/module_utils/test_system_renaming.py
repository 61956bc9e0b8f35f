# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links that are up get new names, on kernels that rename them as they are and on those that want them down for it."""

from __future__ import annotations

import copy
import errno

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core import identity
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Nic, NodePolicy, OwnerTag
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.resolve import Defaults
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import attachments
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.converge import Task
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.kernel_model import (
    ALLMULTI,
    NOARP,
    UP,
    Device,
    KernelModel,
)

WISHES = Defaults(stable_index=True, mac_prefix="02")


class RecordingKernel(KernelModel):
    """Remembers which link went up or down, and what was not silent when it went up."""

    def __init__(self, live_rename: bool) -> None:
        super().__init__(live_rename=live_rename)
        self.went: list[tuple[str, str]] = []
        self.loud: list[str] = []
        self.add_device("eth0", 2, flags=UP)

    def set_up(self, device: Device, up: bool) -> None:
        super().set_up(device, up)
        tag = identity.read_tag(device.alias)
        self.went.append((tag.guest if tag else "", "up" if up else "down"))
        if up and not (device.flags & NOARP and device.ipv6_disabled):
            self.loud.append(device.name)

    def attach(self, *nics: Nic) -> dict:
        with self.installed():
            return attachments.attach(nics, {}, WISHES, None, Task(NodePolicy(), False, False))

    def names(self) -> dict[str, str]:
        """Guest → name of its link."""
        tags = {device.name: identity.read_tag(device.alias) for device in self.links.values()}
        return {tag.guest: name for name, tag in tags.items() if tag is not None}

    def by_guest(self, guest: str) -> Device:
        return self.by_name(self.names()[guest])


def nic(guest: str, ifname: str, **settings) -> Nic:
    return Nic(guest, 0, device="eth0", ifname=ifname, settings=settings)


@pytest.fixture(params=[True, False], ids=["renames while up", "renames while down"])
def kernel(request):
    """A kernel with guests a and b on links one and two, both up."""
    kernel = RecordingKernel(request.param)
    kernel.attach(nic("a", "one"), nic("b", "two"))
    kernel.went.clear()
    return kernel


SWAPPED = (nic("a", "two"), nic("b", "one"))


def test_two_links_swap_their_names_and_are_up_again(kernel):
    result = kernel.attach(*SWAPPED)
    assert kernel.names() == {"a": "two", "b": "one"}
    assert all(kernel.by_guest(guest).flags & UP for guest in "ab") and not kernel.loud
    # the plan says the same on both: what the user asked for
    assert result["actions"] == [
        "change one of guest a nic 0: ifname one -> two",
        "change two of guest b nic 0: ifname two -> one",
    ]
    assert kernel.attach(*SWAPPED)["changed"] is False


def test_no_link_goes_down_where_the_kernel_renames_it_as_it_is(kernel):
    kernel.attach(nic("a", "three"))
    assert kernel.went == ([] if kernel.live_rename else [("a", "down"), ("a", "up")])


def test_only_the_renamed_link_goes_down(kernel):
    kernel.attach(nic("a", "three", mtu=1400), nic("b", "two", mtu=1400))
    assert {guest for guest, _way in kernel.went} <= {"a"}
    assert (kernel.by_guest("a").mtu, kernel.by_guest("b").mtu) == (1400, 1400)


def test_a_link_that_was_down_and_one_that_shall_be_stay_down(kernel):
    kernel.set_up(kernel.by_guest("a"), False)
    kernel.went.clear()
    kernel.attach(nic("a", "two", link_state="down"), nic("b", "one", link_state="down"))
    assert ("a", "up") not in kernel.went and ("b", "up") not in kernel.went
    assert not any(kernel.by_guest(guest).flags & UP for guest in "ab")


def test_a_link_that_drifted_is_silent_before_it_is_up_again(kernel):
    link = kernel.by_guest("a")
    link.flags &= ~NOARP & ~ALLMULTI
    link.ipv6_disabled = False
    kernel.attach(nic("a", "three"))
    assert kernel.by_guest("a").flags & (UP | NOARP | ALLMULTI) == UP | NOARP | ALLMULTI and not kernel.loud


def test_a_link_without_mark_is_renamed_when_it_is_adopted(kernel):
    kernel.by_guest("a").alias = identity.tag_text(OwnerTag("a", 0)) + " lost"
    kernel.attach(nic("a", "three"))
    assert kernel.names()["a"] == "three" and kernel.by_guest("a").flags & UP


def test_a_run_that_fails_anywhere_gives_the_names_back_and_leaves_the_links_up(kernel):
    wanted = (*SWAPPED, nic("c", "three"))
    intact = copy.deepcopy(kernel)
    intact.attach(*wanted)
    before = kernel.snapshot()
    for number in range(intact.changes - kernel.changes):
        broken = copy.deepcopy(kernel)
        broken.faults = {kernel.changes + number: errno.EPERM}
        with pytest.raises(HostError):
            broken.attach(*wanted)
        assert broken.snapshot() == before, "change %d" % number


def test_a_rename_that_stays_refused_has_a_sentence_of_its_own(kernel):
    kernel.live_rename = False
    # another program brings every link up again at once
    kernel.before_change = lambda _number: [setattr(link, "flags", link.flags | UP) for link in kernel.links.values()]
    with pytest.raises(HostError) as caught:
        kernel.attach(nic("a", "three"))
    sentence = str(caught.value)
    assert "this kernel renames a link only while it is down" in sentence and "EBUSY" in sentence
    assert "bridge" not in sentence
    assert kernel.names() == {"a": "one", "b": "two"} and kernel.by_guest("a").flags & UP
