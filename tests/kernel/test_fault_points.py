# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every message to the kernel, every file operation and every read of sysfs fails once.

Then the module says in one sentence what went wrong; what it had begun is undone, or the sentence says what is not; the
next run makes all right, and the one after it finds nothing to do. Nothing of somebody else's is touched at any time.

``make test`` tries a few points of each case, always the same. ``make torture`` (TORTURE_MINUTES, TORTURE_SEED) tries
all of them with all errors, in an order that the seed gives, as long as the time lasts.
"""

import collections
import errno
import itertools

import pytest
from fault_cases import ATTACH, ATTACHED, BOOT_ROOT, CASES, DEFINED, MOVED, Case
from fault_lab import FaultLab, Unhandled, says_what_is_left, says_why
from torture import LONG, SEED, Share, dice

#: of each case, where the time is short
FEW = 8

#: what the kernel may answer: the table of errors in plugins/module_utils/_core/explain.py
ANSWERS = "EEXIST ENODEV EBUSY EINVAL EADDRINUSE EADDRNOTAVAIL ERANGE EOPNOTSUPP EPERM ENOLINK ENOMEM".split()
#: what may befall each kind of point: errnos, or what a read gives
ERRORS = {
    **dict.fromkeys(("create", "change", "delete", "dump"), ANSWERS),
    "recv": ["ENOBUFS", "ENOMEM"],
    "open": ["EACCES", "EROFS", "ENOSPC", "EIO", "EPERM", "ENOENT", "EMFILE"],
    "read": ["EIO", "garbage", "empty"],
    **dict.fromkeys(("write", "flush", "fsync"), ("ENOSPC", "EIO", "EROFS")),
    **dict.fromkeys(("mknod", "makedirs"), ("EACCES", "EROFS", "ENOSPC", "EPERM", "ENOENT")),
    **dict.fromkeys(("chown", "chmod", "fchmod"), ("EPERM", "EROFS", "EIO", "ENOENT")),
    **dict.fromkeys(("unlink", "rename", "link", "rmdir"), ("EACCES", "EROFS", "ENOSPC", "EIO", "EPERM")),
    **dict.fromkeys(("listdir", "lstat", "stat", "fstat", "readlink"), ("EACCES", "EIO")),
    "flock": ["ENOLCK", "EIO"],
}
#: Faults that once broke a promise, tried every time: case → (kind of point, which of that kind after the first of
#: another kind, what goes wrong).
FOUND = {
    # a link set down only for the change stayed down
    "converge": [("change", 1, "recv", {"error": errno.ERANGE, "after": True})],
    # two links stayed in the group of those to delete
    # a kernel that renames only what is down says so
    "rename": [("change", 0, "dump", {"error": errno.EBUSY}), ("change", 3, "dump", {"error": errno.EBUSY})],
    "remove": [
        ("change", 1, "unlink", {"error": errno.EEXIST, "sticky": True}),
        ("recv", 0, "change", {"error": errno.ENOMEM, "sticky": True}),
    ],
    "recreate": [
        # a node of the first link was gone when the second could not be looked at
        ("lstat", 1, "unlink", {"error": errno.EIO, "sticky": True}),
        # nodes that the run had made stayed, since sysfs did not show their links any more: in the way of the next one
        ("open", 0, "mknod", {"error": errno.ENOENT, "sticky": True}),
        # links that were not deleted, although the kernel said that they were gone, stayed in the group for that
        ("delete", 0, "change", {"error": errno.ENODEV}),
    ],
    # the link was gone although the answer was lost
    "to passthrough": [("recv", 0, "delete", {"error": errno.ENOBUFS})],
    # a file beside the definition was left
    "define": [("rename", 0, "fsync", {"error": errno.EACCES, "sticky": True})],
    # a traceback
    "redefine": [("read", 1, "dump", {"error": "garbage"}), ("read", 2, "dump", {"error": "empty", "sticky": True})],
    "info": [("dump", 0, "stat", {"error": errno.EOPNOTSUPP})],
    # a node that nobody said was left
    "passthrough take": [("open", 0, "mknod", {"error": errno.ENOENT, "sticky": True})],
}


def found(name, points):
    """The faults of FOUND for a case, as a run is to be asked for them."""
    kinds = [kind for kind, _detail in points]
    for kind, which, first, wrong in FOUND.get(name, ()):
        begin = kinds.index(first)
        numbers = [number for number, other in enumerate(kinds, start=1) if number > begin and other == kind]
        yield {"at": numbers[which], **wrong}


def faults(points):
    """Every fault of every point: what a run is to be asked for."""
    for number, (kind, detail) in enumerate(points, start=1):
        for name in ERRORS[kind]:
            if name == "ENOENT" and kind == "open" and not detail.startswith(("/proc", "/dev")):
                # what is there cannot be missing: a run that believes it does what is right where nothing is
                continue
            if name in ("garbage", "empty") and detail.startswith(BOOT_ROOT):
                # dhcpcd.conf may hold anything
                continue
            error = getattr(errno, name, name)
            yield {"at": number, "error": error}
            if not is_contradiction(kind, name):
                yield {"at": number, "error": error, "sticky": True}
            if kind == "change" and "lower device" not in detail:
                yield {"at": number, "error": error, "after": True}


def is_contradiction(kind, name):
    """What no host says again and again: that there is no link or directory, while every look shows it."""
    return (name == "ENODEV" and kind in ("change", "delete")) or (name == "ENOENT" and kind == "mknod")


class Reference:
    """What a case looks like when nothing fails."""

    def __init__(self, lab, case):
        lab.prepare(case)
        self.before = lab.look()
        recorded = lab.run(case.module, case.options, record=True)
        assert recorded.message is None, recorded.message
        self.points = recorded.points
        self.after = lab.look()
        assert lab.run(case.module, case.options).result.get("actions", []) == []


@pytest.fixture(scope="module")
def fault_lab(module_host):
    module_host.reset()
    return FaultLab(module_host)


@pytest.fixture(scope="module")
def share():
    return Share(0.6)


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_fails_at_any_point_says_why_and_harms_nobody(fault_lab, share, name):
    case = CASES[name]
    reference = Reference(fault_lab, case)
    chosen = list(faults(reference.points))
    dice(name).shuffle(chosen)
    # what a case leaves of its time is the next one's
    part = (list(CASES).index(name) + 1) / len(CASES)
    wrong, seen = [], collections.Counter()
    tried = itertools.takewhile(lambda _fault: share.lasts(part), chosen) if LONG else chosen[:FEW]
    for fault in itertools.chain(found(name, reference.points), tried):
        point = reference.points[fault["at"] - 1]
        try:
            seen[survive(fault_lab, case, reference, fault)] += 1
        except (AssertionError, Unhandled) as exc:
            wrong.append(f"{fault} at {point}: …{str(exc)[-1500:]}")
    count = sum(seen.values())
    figures = f"{len(reference.points)} points, {len(chosen)} faults, {count + len(wrong)} tried (seed {SEED})"
    print(f"{name}: {figures}: {dict(seen)}")
    assert not wrong, f"{len(wrong)} broke a promise:\n" + "\n".join(wrong)
    assert count


def test_a_node_keeps_its_owner_when_another_tool_was_quicker(fault_lab, module_host):
    case = Case([DEFINED, ATTACHED], ATTACH, {"attachments": MOVED, "force": True})
    fault_lab.prepare(case)
    kinds = [kind for kind, _detail in fault_lab.run(case.module, case.options, record=True).points]
    fault_lab.prepare(case)
    fault = {"at": kinds.index("create") + 1, "error": errno.EEXIST}
    rows = fault_lab.run(case.module, case.options, fault=fault).result["attachments"]
    assert [(row["tap_group"], row["tap_mode"]) for row in rows] == [("daemon", "0660")] * 3


def survive(lab, case, reference, fault):
    """Try one fault; returns what became of it. Raises AssertionError where a promise was broken."""
    lab.prepare(case)
    run = lab.run(case.module, case.options, fault=fault)
    left = lab.look()
    assert_same(left[1], reference.before[1], "somebody else's", run.message)
    outcome = "no matter"
    if run.message is not None:
        if not says_why(run.message, fault["error"]):
            raise AssertionError(f"does not say why: {run.message}")
        outcome = "said" if says_what_is_left(run.message) else "undone"
        if outcome == "undone":
            assert_same(left[0], reference.before[0], "not undone and not said", run.message)
        for module, options in ((case.module, case.options), *case.then):
            again = lab.run(module, options)
            if again.message is not None:
                raise AssertionError(f"{run.message} -- and the next run: {again.message}")
    once_more = lab.run(case.module, case.options)
    if once_more.message is not None or once_more.result.get("actions"):
        raise AssertionError(f"{run.message} -- not at rest: {once_more}")
    end = lab.look()
    if outcome != "said":
        assert_same(end[0], reference.after[0], "not as without the fault", run.message)
    assert_same(end[1], reference.before[1], "somebody else's", run.message)
    return outcome


def assert_same(found, wanted, what, message):
    different = [
        f"{key}: {wanted.get(key)} -> {found.get(key)}"
        for key in sorted({*wanted, *found})
        if found.get(key) != wanted.get(key)
    ]
    # no comparison inside the assert: pytest would print both
    if different:
        raise AssertionError(f"{what}: {'; '.join(different)}; message: {message}")
