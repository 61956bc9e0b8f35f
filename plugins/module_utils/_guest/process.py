# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""QEMU as a process: descriptors for it, what /proc tells of it, and its end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterable, Sequence

from .._core.errors import HostError, InvalidInput, Refused
from .._core.names import printable
from .._link.in_use import first_of, require_certainty
from .._system import command, holders, rtnetlink, tap_node, tap_use
from .._system.descriptors import OutOfTime
from .plan import Process
from .qemu import VHOST_PATH, QemuNic, fd_paths

_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
_KVM_API_VERSION = 12
#: linux/vhost.h
_VHOST_GET_FEATURES = 0x8008AF00
#: what RHEL calls the QEMU of its own architecture
_RHEL_BINARY = "/usr/libexec/qemu-kvm"
#: how much of QEMU's last words an error repeats, bytes
_LAST_WORDS = 2000
#: exit status of test(1); setpriv and whatever else fails before it have others
_TEST_SAYS_NO = 1
#: bytes; Linux takes no longer command line
_LONGEST_COMMAND_LINE = 8 << 20


def kvm_works() -> bool:
    """Whether guests can run on KVM here.

    A /dev/kvm that makes machines is not enough: where a virtual machine's own processor has no virtualisation, some
    hosts offer one on which no guest ever boots.
    """
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line.split() for line in file if line.startswith("flags")), None)
        if flags is not None and not {"vmx", "svm"} & set(flags):
            return False
        kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if fcntl.ioctl(kvm, _KVM_GET_API_VERSION) != _KVM_API_VERSION:
            return False
        os.close(fcntl.ioctl(kvm, _KVM_CREATE_VM, 0))
    except OSError:
        return False
    finally:
        os.close(kvm)
    return True


def vhost_works() -> bool:
    """Whether the kernel can move the frames of guests here."""
    try:
        vhost = os.open(VHOST_PATH, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.ioctl(vhost, _VHOST_GET_FEATURES, bytes(8))
    except OSError:
        return False
    finally:
        os.close(vhost)
    return True


def find_binary(name: str) -> str:
    """Path of QEMU.

    :raises HostError: it is not installed.
    """
    path = shutil.which(name) or shutil.which(_RHEL_BINARY if name.startswith("qemu-system-") else name)
    if path is None:
        error = HostError(
            f"there is no {name} here; install QEMU (Debian, Ubuntu: qemu-system-x86 or the like, Fedora, EL:"
            " qemu-kvm) or set binary to its path"
        )
        error.missing = ("qemu",)
        raise error
    return path


def check_taps(nics: Sequence[QemuNic], own_pid: int | None) -> None:
    """Refuse taps that are missing, are something else, or serve another process; opens nothing.

    :arg own_pid: the guest itself, which may hold them.
    """
    taps = {_checked_number(nic): nic for nic in nics}
    if not taps:
        return
    with rtnetlink.Netlink() as netlink:
        macvtaps = [link for link in netlink.links().values() if link.is_macvtap]
        numbers = {link.ifindex: number for link in macvtaps if (number := tap_node.device_number(link)) in taps}
        use = tap_use.use_of(netlink, [link for link in macvtaps if link.ifindex in numbers], numbers)
    indexes = {number: index for index, number in numbers.items()}
    for number, nic in taps.items():
        if number not in indexes:
            raise _stranger(nic, number)
        users = use.holders.get(indexes[number])
        others = [user for user in users or () if user.pid != own_pid]
        # one that is open, and by nobody that can be seen, is not the guest's either
        if others or users == []:
            raise Refused(
                f"NIC {nic.nic}: tap {nic.tap_path} is held open by {first_of(others)}; two guests on one tap take each"
                " other's frames: stop that process first"
            )
    require_certainty(use.doubts, can_force=False)


def _checked_number(nic: QemuNic) -> tuple[int, int]:
    """Device number of a NIC's tap, which is one of this network namespace."""
    node = tap_node.look(nic.tap_path)
    if node is None:
        raise HostError(f"NIC {nic.nic}: the tap {nic.tap_path} is not there; attach the guest (macvtap_attach) first")
    if node.kind != "character device":
        raise Refused(f"NIC {nic.nic}: {nic.tap_path} is a {node.kind} and not a tap; remove it and attach again")
    number = (node.major, node.minor)
    if nic.tap_number not in (None, number):
        raise Refused(
            f"NIC {nic.nic}: {nic.tap_path} is device {node.major}:{node.minor} and not {_number(nic)}, the tap of its"
            " link: the link was recreated or belongs to another namespace; attach again"
        )
    if number not in tap_node.numbers_here(nic.ifname, nic.tap_path):
        raise _stranger(nic, number)
    return number


def _stranger(nic: QemuNic, number: tuple[int, int]) -> Refused:
    return Refused(
        f"NIC {nic.nic}: {nic.tap_path} is device {number[0]}:{number[1]}, and that is not the tap of"
        f" {nic.ifname or 'any link'} in this network namespace; attach the guest (macvtap_attach) first"
    )


def open_descriptors(nic: QemuNic) -> list[int]:
    """Open a NIC's tap once per queue (and vhost-net as often), never creating anything.

    :returns: descriptors, to be closed by the caller.
    """
    opened: list[int] = []
    try:
        for path in fd_paths(nic):
            if path == nic.tap_path:
                opened.append(_open_tap(path, nic))
            else:
                opened.append(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW))
    except OSError as exc:
        close_all(opened)
        raise HostError(f"NIC {nic.nic}: cannot open {path}: {exc.strerror}", exc.errno or 0) from exc
    except BaseException:
        close_all(opened)
        raise
    return opened


def _open_tap(path: str, nic: QemuNic) -> int:
    """Open what was looked at, and not what lies there a moment later.

    Every opening of a tap is one more queue, and to open some other device may do anything. A device number can pass to
    another link before it is opened, so that sysfs is asked once more after that.
    """
    looked_at = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(looked_at)
        number = (os.major(found.st_rdev), os.minor(found.st_rdev))
        is_ours = stat.S_ISCHR(found.st_mode) and number == (nic.tap_number or number)
        if is_ours and number in tap_node.numbers_here(nic.ifname, nic.tap_path):
            opened = os.open(f"/proc/self/fd/{looked_at}", os.O_RDWR | os.O_CLOEXEC)
            if number in tap_node.numbers_here(nic.ifname, nic.tap_path):
                return opened
            os.close(opened)
        raise Refused(f"NIC {nic.nic}: {nic.tap_path} was replaced by something else a moment ago; attach again")
    finally:
        os.close(looked_at)


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def check_readable(paths: Sequence[tuple[str, str, str]], become: Sequence[str]) -> None:
    """Refuse files that are not there or that the guest's user may not use.

    :arg paths: (option, path, ``r`` or ``rw``).
    :arg become: command that becomes the user.
    :raises InvalidInput, HostError: naming the option; the latter when becoming the user does not work.
    """
    for option, path, access in paths:
        if not os.path.exists(path):
            raise InvalidInput(f"{option} {path} does not exist")
        for letter in access:
            # the user may read the environment of what runs as the user
            done = command.run(["/usr/bin/env", "-i", *become, "/usr/bin/test", f"-{letter}", path])
            verb = {"r": "read", "w": "write"}[letter]
            if done.status not in (0, _TEST_SAYS_NO):
                raise HostError(
                    f"cannot see whether the guest's user may {verb} {option} {path}: {done.errors.strip()};"
                    " this takes setpriv (util-linux) and root with CAP_SETUID and CAP_SETGID"
                )
            if done.status:
                raise InvalidInput(
                    f"{option} {path} exists, but the guest's user may not {verb} it (or reach its directory)"
                )


def look(pid: int) -> Process | None:
    """A process, None when it ended, also when it waits to be buried."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            # the name, in parentheses, may hold anything
            words = file.read().rpartition(")")[2].split()
        # the state is that of its first thread, which other threads outlive
        return Process(pid, int(words[19])) if words[0] not in "ZX" or int(words[17]) > 1 else None
    except (OSError, IndexError):
        return None


def note(process: Process) -> str:
    """What tells a process from all others, also those after the next boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{process.pid} {process.started} {file.read().strip()}"


def is_alive(process: Process) -> bool:
    """Whether a process runs, and not another one of its number."""
    alive = look(process.pid) == process
    if not alive:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    return alive


def user_of(process: Process) -> int | None:
    """The real user of a process, None when it is gone."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="utf-8", errors="replace") as file:
            uid = next(int(line.split()[1]) for line in file if line.startswith("Uid:"))
    except OSError:
        return None
    return uid if is_alive(process) else None


def command_line(pid: int) -> list[str]:
    """Arguments of a process; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsdecode(file.read(_LONGEST_COMMAND_LINE)).split("\0")[:-1]
    except OSError:
        return []


def device_number(path: str) -> tuple[int, int] | None:
    """The number of the device at a path, None when there is none."""
    node = tap_node.look(path)
    return (node.major, node.minor) if node is not None and node.kind == "character device" else None


def held_taps(
    pid: int, numbers: Iterable[tuple[int, int]], patience: float = holders.PATIENCE
) -> dict[tuple[int, int], int]:
    """How often a guest's process has each of these taps open.

    :raises HostError: that cannot be seen.
    """
    try:
        return holders.queues(pid, numbers, patience)
    except PermissionError as exc:
        reason = f"{exc.strerror}; run as root (become: true) with CAP_SYS_PTRACE"
    except OutOfTime:
        reason = f"it has more open files than can be examined in {patience:g} s, as no QEMU has; stop the guest"
    raise HostError(f"cannot see which taps the guest's process {pid} ({holders.command_of(pid)}) has open: {reason}")


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition, looking often; returns whether it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def end(process: Process, seconds: float) -> None:
    """End a process, by request and then by force; harmless when it is gone."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            # The descriptor stays with its process: when that is ours now, no other one gets the signal.
            if not is_alive(process):
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if wait_until(lambda: not is_alive(process), seconds):
                return
    finally:
        os.close(descriptor)
    raise HostError(f"process {process.pid} does not end, not even by SIGKILL")


def last_words(path: str, offset: int) -> str:
    """What QEMU said in its log from ``offset`` on, in one line that no terminal takes for a command."""
    try:
        with open(path, "rb") as file:
            file.seek(max(offset, os.fstat(file.fileno()).st_size - _LAST_WORDS))
            said = file.read(_LAST_WORDS)
    except OSError:
        return ""
    return printable("; ".join(line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()))


def _number(nic: QemuNic) -> str:
    return "%d:%d" % nic.tap_number if nic.tap_number else "?"
