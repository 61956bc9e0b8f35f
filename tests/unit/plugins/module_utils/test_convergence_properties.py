# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for whatever is wanted and whatever is found, on the model of the kernel.

``HYPOTHESIS_PROFILE=long`` tries many more.
"""

from __future__ import annotations

import copy
import errno
import os

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core import identity
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import (
    HostError,
    InvalidInput,
    MacvtapError,
    Refused,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import (
    MAKING_GROUP,
    Holder,
    Network,
    Nic,
    NodePolicy,
    OwnerTag,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link import attributes
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.resolve import Defaults, number_nics
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.select import Purge, Selection
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import attachments
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.converge import Task
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.kernel_model import (
    ALLMULTI,
    MAJOR,
    NOARP,
    PROMISC,
    UP,
    File,
    KernelModel,
)

#: "long" tries many examples, other ones each time; without it, the same few in every run
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
EXAMPLES = 4000 if LONG else 150
PROPERTY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

NETWORKS = {
    network.name: network
    for network in (
        Network("vepanet", "vepa", ("eth0", "eth1")),
        Network("lan", "bridge", ("eth1", "eth2")),
        Network("exclusive", "passthrough", ("eth2", "eth3")),
    )
}
GUESTS = ["web", "db", "a b%ü"]
NAMES = ["macvtap0", "macvtap1", "web0"]
MACS = ["02:00:00:00:00:%02x" % number for number in range(3)]
MODES = ["vepa", "bridge", "private", "passthrough"]
LIVE_MODES = ["vepa", "bridge", "private", "source"]
KEYS = [(guest, nic) for guest in GUESTS for nic in range(3)]
INDEXES = [next(identity.derived_indexes(*key)) for key in KEYS]
DERIVED_MACS = [next(identity.derived_macs("02", *key)) for key in KEYS]


# -- scenes: what is found ---------------------------------------------------------------------------------------------


def empty_host() -> KernelModel:
    kernel = KernelModel()
    for number in range(4):
        kernel.add_device("eth%d" % number, 2 + number, flags=UP, mtu=1400 if number == 3 else 1500)
    kernel.add_device("br0", 6, kind="bridge", flags=UP)
    kernel.add_device("port0", 7, flags=UP, master=6)
    # another network namespace has a tap
    kernel.other_taps[(MAJOR, 1)] = "tap%d" % INDEXES[0]
    return kernel


#: (network, device, mode); now and then what cannot be
PLACES = (
    [("vepanet", None, None), ("lan", None, None), ("exclusive", None, None)] * 8
    + [(None, device, mode) for device in ("eth0", "eth1", "eth2", "br0") for mode in ("vepa", None, "bridge")] * 2
    + [(None, device, "private") for device in ("eth0", "eth3")]
    + [(None, device, "passthrough") for device in ("eth1", "eth3")]
    + [(None, device, None) for device in ("lo", "port0", "absent")]
)


def a_nic(guest, number, place, mac, ifname, queues, policy, **settings):
    network, device, mode = place
    place = {"network": network, "device": device, "mode": mode}
    return Nic(guest, number, mac=mac, ifname=ifname, queues=queues, policy=policy, settings=settings, **place)


policies = st.builds(
    NodePolicy,
    directory=st.just("/dev"),
    uid=st.sampled_from([None, 0, 107]),
    gid=st.sampled_from([None, 108]),
    mode=st.sampled_from([None, 0o660]),
)


nic = st.builds(
    a_nic,
    st.sampled_from(GUESTS),
    st.sampled_from([None, None, None, 0, 1, 2]),
    st.sampled_from(PLACES),
    mac=st.sampled_from([None] * 12 + MACS + ["52:54:00:00:00:02"]),
    ifname=st.sampled_from([None] * 8 + NAMES),
    mtu=st.sampled_from([None] * 16 + [68, 1000, 1279, 1280, 1280, 1400, 1400, 1500, 1501]),
    queues=st.sampled_from([1, 2]),
    allmulticast=st.booleans(),
    promiscuous=st.booleans(),
    policy=st.none() | policies,
    link_state=st.sampled_from([None, None, "up", "down"]),
    isolate_host=st.sampled_from([None, True, False]),
    broadcast_queue=st.sampled_from([None] * 4 + [1, 1000, 5000]),
)


def nics(most=4):
    return st.lists(nic, min_size=1, max_size=most)


defaults = st.builds(
    Defaults,
    stable_index=st.sampled_from([True, True, False]),
    mac_prefix=st.sampled_from(["02", "52:54:00", "02:00:00:00:00"]),
)

_drifts = st.tuples(
    st.just("drift"),
    st.integers(0, 5),
    st.one_of(
        st.tuples(st.just("mode"), st.sampled_from(LIVE_MODES)),
        st.tuples(st.just("mtu"), st.sampled_from([68, 1000, 1279, 1280, 1400])),
        st.tuples(st.just("mac"), st.sampled_from(MACS + DERIVED_MACS[:3])),
        st.tuples(st.just("flags"), st.sampled_from([UP, NOARP, ALLMULTI, PROMISC, NOARP | ALLMULTI])),
        st.tuples(st.just("alias"), st.sampled_from(["", "my own words", identity.tag_text(OwnerTag("web", 0))])),
        st.tuples(st.just("name"), st.sampled_from([*NAMES, "other0"])),
        st.tuples(st.just("ipv6"), st.booleans()),
        st.tuples(st.just("group"), st.just(7)),
        st.tuples(st.just("broadcast_queue"), st.sampled_from([0, 1, 1000])),
        st.tuples(st.just("delete"), st.none()),
        st.tuples(st.just("no node"), st.none()),
        st.tuples(st.just("node owner"), st.sampled_from([(0, 0, 0o666), (1, 2, 0o600)])),
        st.tuples(st.just("node"), st.sampled_from(["regular file", "stale", "of another", "directory"])),
        st.tuples(st.just("held"), st.none()),
    ),
)
_strangers = st.tuples(
    st.just("stranger"),
    st.sampled_from(["macvtap", "macvtap", "macvlan", ""]),
    st.sampled_from(["eth0", "eth1", "eth2", "eth3"]),
    st.sampled_from([*NAMES, "x0", "x1"]),
    st.sampled_from(MODES),
    st.sampled_from(MACS + DERIVED_MACS),
    st.sampled_from([None, None, *INDEXES[:4]]),
)
_nodes = st.tuples(
    st.just("node"),
    st.sampled_from(INDEXES[:4] + [8, 9]),
    st.sampled_from(["regular file", "stale", "of another", "symbolic link"]),
)
_attached = st.tuples(st.just("attach"), nics(most=3), defaults, policies)
_lower_drifts = st.tuples(
    st.just("lower"), st.sampled_from(["eth0", "eth1"]), st.sampled_from([("mtu", 1400), ("mtu", 1200), ("down", None)])
)
_old_kernels = st.tuples(st.just("old kernel"))
#: what happened on the host before
histories = st.lists(
    st.one_of(_attached, _attached, _drifts, _drifts, _strangers, _nodes, _lower_drifts, _old_kernels), max_size=6
)


def host_with(history) -> KernelModel:
    """A host on which all this has happened; what cannot have happened has not."""
    kernel = empty_host()
    with kernel.installed():
        for what, *details in history:
            try:
                HAPPENINGS[what](kernel, *details)
            except (MacvtapError, OSError):
                continue
    kernel.changes = 0
    return kernel


def _attach_before(kernel, wanted, how, policy):
    attachments.attach(wanted, NETWORKS, how, None, Task(policy, True, False))


def _drift(kernel, number, change):
    what, value = change
    taps = [device for device in kernel.links.values() if device.kind == "macvtap"]
    if not taps:
        return
    device = taps[number % len(taps)]
    path = "/dev/tap%d" % device.ifindex
    if what == "mode" and device.mode != "passthrough":
        device.mode = value
    elif what == "mtu":
        kernel.set_mtu(device, value)
    elif what == "mac":
        kernel.set_mac(device, value)
    elif what == "flags" and value != UP:
        device.flags ^= value
    elif what == "flags":
        kernel.set_up(device, not device.flags & UP)
    elif what == "alias":
        device.alias = value
    elif what == "name" and all(value != other.name for other in kernel.links.values()):
        device.name = value
    elif what == "ipv6" and device.ipv6_disabled is not None:
        device.ipv6_disabled = value
    elif what in ("group", "broadcast_queue"):
        setattr(device, what, value)
    elif what == "delete":
        kernel.remove(device.name)
    elif what == "no node":
        kernel.files.pop(path, None)
    elif what == "node owner" and path in kernel.files:
        kernel.files[path].uid, kernel.files[path].gid, kernel.files[path].mode = value
    elif what == "node":
        kernel.files[path] = a_file(value)
    elif what == "held":
        kernel.holders[(MAJOR, device.minor or 0)] = [Holder(4711, "qemu")]


def _stranger(kernel, kind, lower, name, mode, mac, index):
    if any(device.name == name for device in kernel.links.values()):
        return
    if kind:
        kernel.add_child(name, lower, kind, mode, mac=mac, ifindex=index)
    else:
        kernel.add_device(name, max(kernel.links) + 1, mac=mac)


def _lower_drift(kernel, name, change):
    device = kernel.by_name(name)
    if change[0] == "mtu":
        kernel.set_mtu(device, change[1])
    else:
        kernel.set_up(device, False)


def _old_kernel(kernel):
    kernel.live_rename = False


def _node(kernel, index, kind):
    kernel.files.setdefault("/dev/tap%d" % index, a_file(kind))


def a_file(kind):
    if kind == "stale":
        return File(number=(MAJOR, 999))
    if kind == "of another":
        return File(number=(MAJOR, 1), gid=5)
    return File(kind=kind, mode=0o644)


HAPPENINGS = {
    "attach": _attach_before,
    "drift": _drift,
    "stranger": _stranger,
    "node": _node,
    "lower": _lower_drift,
    "old kernel": _old_kernel,
}


# -- what is asked of it -----------------------------------------------------------------------------------------------


class Ask:
    """One task: attach these NICs."""

    def __init__(self, wanted, how, policy, purge, force):
        self.wanted, self.how, self.policy, self.purge, self.force = wanted, how, policy, purge, force

    def __repr__(self):
        return "Ask(%r, %r, %r, purge=%r, force=%r)" % (self.wanted, self.how, self.policy, self.purge, self.force)

    def run(self, kernel, check=False):
        """The result, or the error."""
        task = Task(self.policy, self.force, check)
        try:
            with kernel.installed():
                purge = Purge(guests={nic.guest for nic in self.wanted}) if self.purge else None
                return attachments.attach(self.wanted, NETWORKS, self.how, purge, task)
        except MacvtapError as exc:
            return exc

    def wants_a_hidden_mac(self, kernel):
        """Whether a NIC asks for the MAC that its lower device gets back when a passthrough link goes.

        No look shows that one (port->perm_addr in drivers/net/macvlan.c), so check mode cannot know that it is taken.
        """
        return {nic.mac for nic in self.wanted} & {device.own_mac for device in kernel.links.values() if device.own_mac}


asks = st.builds(Ask, nics(), defaults, policies, st.booleans(), st.booleans())


def run_if_possible(ask, kernel):
    """Carry it out; an example in which that is refused shows nothing."""
    assume(not ask.wants_a_hidden_mac(kernel))
    result = ask.run(kernel)
    assume(not isinstance(result, (InvalidInput, Refused)))
    assert not isinstance(result, MacvtapError), result
    return result


def requested_before(before, nic, index):
    """What an earlier task asked of the link that is a NIC's still."""
    found = before.links.get(index)
    tag = identity.read_tag(found.alias) if found is not None else None
    is_its_own = tag is not None and (tag.guest, tag.nic) == (nic.guest, nic.nic)
    return attributes.requested(tag) if is_its_own else {}


def require_wanted(before, kernel, ask, result):
    """All that was asked for is there, and what an earlier task asked for, where this one does not mention it."""
    asked = number_nics(ask.wanted, None)
    assert len({row["ifindex"] for row in result["attachments"]}) == len(asked)
    for nic, row in zip(asked, result["attachments"]):
        device = kernel.links[row["ifindex"]]
        network = NETWORKS[nic.network] if nic.network else Network("", nic.mode or "vepa", (nic.device,))
        lower = kernel.links[device.lower]
        asked = {name: value for name, value in nic.settings.items() if value is not None}
        asked = {**requested_before(before, nic, row["ifindex"]), **asked}
        tag = OwnerTag(nic.guest, nic.nic, nic.network, nic.queues, attributes.to_request(asked))
        up = asked.get("link_state") != "down"
        silent = asked.get("isolate_host", True)
        assert (device.kind, device.mode, lower.name in network.devices) == ("macvtap", network.mode, True)
        assert identity.read_tag(device.alias) == tag
        assert device.mac == nic.mac if nic.mac else device.mac.startswith(ask.how.mac_prefix)
        assert nic.ifname in (None, device.name)
        assert device.mtu == min(asked.get("mtu", lower.mtu), lower.mtu)
        assert bool(device.flags & UP) == up
        assert bool(device.flags & NOARP) == silent
        assert bool(device.flags & ALLMULTI) == asked["allmulticast"]
        assert bool(device.flags & PROMISC) == asked["promiscuous"]
        assert device.ipv6_disabled in (None, silent)
        assert device.broadcast_queue == asked.get("broadcast_queue", 1000)
        node = kernel.files[row["tap_path"]]
        assert (node.kind, node.number) == ("character device", device.number)
        for wish, value in zip((nic.policy or ask.policy)[1:], (node.uid, node.gid, node.mode)):
            assert wish in (None, value)
        told = [row[key] for key in ("ifname", "mac", "mode", "device", "mtu", "link_state", "tap_major", "tap_minor")]
        facts = [device.name, device.mac, device.mode, lower.name, device.mtu, "up" if up else "down", *device.number]
        assert told == facts


def require_untouched(before, after, touched, done):
    """Everything but these links, and their nodes, is to the bit what it was; lower devices that are used are up."""
    used = {f"bring up lower device {row['device']}" for row in done["attachments"]}.intersection(done["actions"])
    lent = {
        device.lower for kernel in (before, after) for device in kernel.links.values() if device.mode == "passthrough"
    }
    for index, device in before.links.items():
        if index in touched:
            continue
        expected, found = copy.copy(device), after.links.get(index)
        if found is not None:
            expected.own_mac = found.own_mac
            if index in lent:
                expected.mac = found.mac
        expected.flags |= UP if f"bring up lower device {device.name}" in used else 0
        assert found == expected
    assert set(after.links) <= set(before.links) | touched
    own = {"/dev/tap%d" % index for index in touched}
    assert {p: f for p, f in before.files.items() if p not in own} == {
        p: f for p, f in after.files.items() if p not in own
    }


def purged(kernel, ask):
    """Links that the task removes because the list is exact."""
    guests = {nic.guest for nic in ask.wanted} if ask.purge else set()
    tags = {index: identity.read_tag(device.alias) for index, device in kernel.links.items()}
    return {index for index, tag in tags.items() if tag is not None and tag.guest in guests}


def require_same(before, after):
    """Not one change was made."""
    assert (after.links, after.files, after.changes) == (before.links, before.files, before.changes)


def require_predicted(predicted, done):
    """Check mode told all, but for the device numbers of taps, which the kernel gives when it makes them."""
    for key in ("changed", "actions", "diff", "tap_paths"):
        assert done[key] == predicted[key]
    told, found = ([{**row, "tap_major": 0, "tap_minor": 0} for row in r["attachments"]] for r in (predicted, done))
    assert told == found


def require_adopted_with_reason(before, ask, result):
    """A link without our mark was taken for the NIC's only when it is the NIC's to all appearances."""
    for nic, row in zip(number_nics(ask.wanted, None), result["attachments"]):
        found = before.links.get(row["ifindex"])
        if found is None or identity.read_tag(found.alias) is not None:
            continue
        event("adopted")
        derived = [index for index, _try in zip(identity.derived_indexes(nic.guest, nic.nic), range(16))]
        macs = [nic.mac] if nic.mac else list(identity.derived_macs(ask.how.mac_prefix, nic.guest, nic.nic))
        assert found.kind == "macvtap"
        assert found.ifindex in derived or found.name == nic.ifname or found.group == MAKING_GROUP
        # a passthrough link gets its MAC only after it was made
        assert found.mac in macs or (found.mode == "passthrough" and found.group == MAKING_GROUP)


def require_groups_kept(before, after, mine):
    """The group of a link is its owner's to choose, once the link is made."""
    for index in mine & set(before.links):
        if before.links[index].group != MAKING_GROUP:
            assert after.links[index].group == before.links[index].group


def changes_of(ask, kernel):
    """How many changes it takes; an example in which it takes none, or is refused, shows nothing."""
    intact = copy.deepcopy(kernel)
    run_if_possible(ask, intact)
    assume(intact.changes)
    return intact.changes


def but_nodes_of_no_use(kernel, snapshot):
    """The host but for paths where a tap node lay that opens nothing, or where a link had none.

    The first goes, and is nobody's loss; the second comes with devtmpfs when a link is made again.
    """
    links, files = snapshot
    paths = {path for path, file in kernel.files.items() if file.number == (MAJOR, 999)}
    paths |= {path for path in map("/dev/tap%d".__mod__, kernel.links) if path not in kernel.files}
    return links, {path: file for path, file in files.items() if path not in paths}


# -- properties --------------------------------------------------------------------------------------------------------


@PROPERTY
@given(histories, asks)
def test_one_plan_predicts_and_reaches_what_is_wanted_once_and_for_all(history, ask):
    kernel = host_with(history)
    assume(not ask.wants_a_hidden_mac(kernel))
    before = copy.deepcopy(kernel)
    predicted = ask.run(kernel, check=True)
    require_same(before, kernel)
    done = ask.run(kernel)
    if isinstance(predicted, MacvtapError) or isinstance(done, MacvtapError):
        event("refused")
        assert isinstance(done, (InvalidInput, Refused)), done
        assert (type(done), str(done)) == (type(predicted), str(predicted))
        require_same(before, kernel)
        return
    event("steps: %d" % len(done["actions"]))
    require_wanted(before, kernel, ask, done)
    require_predicted(predicted, done)
    mine = {row["ifindex"] for row in done["attachments"]}
    gone = purged(before, ask) - mine
    assert not gone & set(kernel.links)
    require_untouched(before, kernel, mine | gone, done)
    require_groups_kept(before, kernel, mine)
    require_adopted_with_reason(before, ask, done)
    after = copy.deepcopy(kernel)
    again = ask.run(kernel)
    assert not isinstance(again, MacvtapError), again
    assert (again["changed"], again["actions"]) == (False, [])
    assert again["attachments"] == done["attachments"]
    require_same(after, kernel)


@PROPERTY
@given(histories, asks, st.integers(0, 99), st.sampled_from([errno.EPERM, errno.ENOMEM, errno.EBUSY]))
def test_a_failed_run_leaves_the_host_as_it_was(history, ask, number, fault):
    kernel = host_with(history)
    before = copy.deepcopy(kernel)
    kernel.faults = {number % changes_of(ask, kernel): fault}
    result = ask.run(kernel)
    if fault == errno.EBUSY and not isinstance(result, MacvtapError):
        event("renamed while down")
        require_wanted(before, kernel, ask, result)
        return
    assert isinstance(result, HostError)
    assert but_nodes_of_no_use(before, kernel.snapshot()) == but_nodes_of_no_use(before, before.snapshot()), result


class Killed(BaseException):
    """kill -9: not one line of the module runs after it."""


@PROPERTY
@given(histories, asks, st.integers(0, 99))
def test_what_a_killed_run_leaves_is_taken_up_by_the_next(history, ask, number):
    kernel = host_with(history)
    last = number % changes_of(ask, kernel)

    def kill(change):
        if change == last:
            raise Killed

    kernel.before_change = kill
    with pytest.raises(Killed):
        ask.run(kernel)
    kernel.before_change = lambda change: None
    before = copy.deepcopy(kernel)
    result = ask.run(kernel)
    # killed between the two halves of making a link again: it goes where it belongs now, and there lies a file
    assume(not (isinstance(result, Refused) and "lies at" in str(result)))
    assert not isinstance(result, MacvtapError), result
    require_wanted(before, kernel, ask, result)
    assert ask.run(kernel)["changed"] is False


@PROPERTY
@given(histories, asks, st.integers(0, 99))
def test_a_name_taken_by_somebody_else_meanwhile_is_no_failure(history, ask, number):
    ask.wanted = [nic._replace(ifname=None) for nic in ask.wanted]
    kernel = host_with(history)
    moment = number % changes_of(ask, kernel)

    def race(change):
        if change == moment:
            free = next(n for n in range(100) if all(d.name != "macvtap%d" % n for d in kernel.links.values()))
            kernel.add_device("macvtap%d" % free, max(kernel.links) + 1, mac="52:54:00:aa:aa:aa")

    kernel.before_change = race
    before = copy.deepcopy(kernel)
    result = run_if_possible(ask, kernel)
    require_wanted(before, kernel, ask, result)


selections = st.builds(
    Selection,
    macs=st.none() | st.lists(st.sampled_from(MACS + DERIVED_MACS[:4]), max_size=3),
    ifnames=st.none() | st.lists(st.sampled_from(NAMES), max_size=2),
    network=st.none() | st.sampled_from(sorted(NETWORKS)),
    guest=st.none() | st.sampled_from(GUESTS),
    nics=st.none(),
    device=st.none() | st.sampled_from(["eth0", "eth1"]),
).filter(lambda selection: not selection.is_empty())


def selected(kernel, selection):
    """What the interface says a removal means."""
    chosen = set()
    for device in kernel.links.values():
        tag = identity.read_tag(device.alias)
        if (
            device.kind == "macvtap"
            and (tag is not None or selection.macs is not None)
            and (selection.macs is None or device.mac in selection.macs)
            and (selection.ifnames is None or device.name in selection.ifnames)
            and (selection.network is None or (tag is not None and tag.network == selection.network))
            and (selection.guest is None or (tag is not None and tag.guest == selection.guest))
            and selection.device in (None, kernel.links[device.lower].name)
        ):
            chosen.add(device.ifindex)
    return chosen


def detach(kernel, selection, force, check=False):
    try:
        with kernel.installed():
            return attachments.detach(selection, Task(NodePolicy(), force, check))
    except MacvtapError as exc:
        return exc


@PROPERTY
@given(histories, selections, st.booleans())
def test_removing_takes_exactly_what_is_selected(history, selection, force):
    kernel = host_with(history)
    before = copy.deepcopy(kernel)
    chosen = selected(kernel, selection)
    held = {kernel.links[index].number for index in chosen} & set(kernel.holders)
    event("selected: %d, held: %s" % (len(chosen), bool(held)))
    predicted = detach(kernel, selection, force, check=True)
    require_same(before, kernel)
    done = detach(kernel, selection, force)
    if held and not force:
        assert isinstance(done, Refused)
        assert str(done) == str(predicted)
        require_same(before, kernel)
        return
    assert not isinstance(done, MacvtapError), done
    assert done == predicted
    assert {row["ifindex"] for row in done["attachments"]} == chosen
    assert not chosen & set(kernel.links)
    require_untouched(before, kernel, chosen, done)
    own = {before.links[index].number for index in chosen}
    assert not [path for path, file in kernel.files.items() if file.number in own]
    assert detach(kernel, selection, force)["changed"] is False


@PROPERTY
@given(_attached, histories, st.integers(0, 99))
def test_a_failed_removal_leaves_the_host_as_it_was(first, history, number):
    selection = Selection(guest=first[1][0].guest)
    kernel = host_with([first, *history])
    before = kernel.snapshot()
    intact = copy.deepcopy(kernel)
    detach(intact, selection, force=True)
    assume(intact.changes)
    kernel.faults = {number % intact.changes: errno.EPERM}
    done = detach(kernel, selection, force=True)
    assert isinstance(done, HostError)
    assert kernel.snapshot() == before, done


def test_the_examples_are_not_all_refused():
    """The properties above would hold of a module that refuses everything."""
    tried, carried_out = [], []

    @settings(PROPERTY, max_examples=150, derandomize=True, database=None)
    @given(histories, asks)
    def count(history, ask):
        tried.append(ask)
        if not isinstance(ask.run(host_with(history)), MacvtapError):
            carried_out.append(ask)

    count()
    if len(carried_out) < len(tried) / 4:
        pytest.fail("only %d of %d examples were carried out" % (len(carried_out), len(tried)))
