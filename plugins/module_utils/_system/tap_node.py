# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Tap device nodes: what lies at their paths, and whose they are.

A node is told by its device number, never by its name: ``/dev/tapN`` carries an ifindex, ifindexes are per network
namespace and /dev is one, so the node of that name may be another guest's NIC.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import stat
import struct
from collections.abc import Iterable

from .._core.errors import HostError, RaceLost, Refused, host_error
from .._core.model import Link, Node
from . import command, sysfs
from .tap_guard import device_file

_TAP_NAME = re.compile(r"tap(\d{1,10})")
_KINDS = {
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFREG: "regular file",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
}
#: extended attribute of the ACL, as numbers (linux/posix_acl_xattr.h): version; tag, permissions and id of each entry
_ACL = "system.posix_acl_access"
_ACL_HEADER, _ACL_ENTRY, _ACL_GROUP_OBJ = struct.Struct("<I"), struct.Struct("<HHI"), 0x4
#: seconds to wait for udev to be done with the nodes; the same bound as udevadm settle in boot scripts
_SETTLE_SECONDS = 10


def device_number(link: Link) -> tuple[int, int] | None:
    """(major, minor) of a macvtap's tap from sysfs, None when sysfs does not show the link.

    :raises HostError: when sysfs cannot be read, or holds no device number there.
    """
    path = f"{sysfs.root()}/class/net/{link.name}/macvtap/tap{link.ifindex}/dev"
    # os.open: a third of the time of open(), and there may be thousands
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(descriptor, 32)
        finally:
            os.close(descriptor)
    except OSError as exc:
        # ENODEV: the link went between opening and reading
        if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV):
            return None
        raise host_error(f"cannot read the device number of link {link.name} in /sys", exc) from exc
    major, _colon, minor = text.partition(b":")
    try:
        return int(major), int(minor)
    except ValueError as exc:
        raise HostError(f"/sys shows {text!r} instead of a device number for the tap of link {link.name}") from exc


def require_device_number(link: Link) -> tuple[int, int]:
    """As :func:`device_number`.

    :raises RaceLost: when sysfs does not show the link: it went a moment ago, or it is a sysfs that was mounted for
        another network namespace.
    """
    number = device_number(link)
    if number is None:
        raise RaceLost(
            f"/sys does not show the tap of link {link.name} (ifindex {link.ifindex}): /sys is missing or was"
            " mounted for another network"
            " namespace; mount a fresh sysfs where the module runs"
        )
    return number


def numbers_here(ifname: str | None, path: str) -> set[tuple[int, int]]:
    """(major, minor) of the taps in this network namespace whose node may be called ``path``: one, or none.

    :arg ifname: name of that link, None where it is not known.
    """
    numbers = set()
    for file in glob.glob(sysfs.root() + device_file(ifname, path)):
        with contextlib.suppress(OSError, ValueError), open(file, encoding="ascii") as opened:
            major, _colon, minor = opened.read().partition(":")
            numbers.add((int(major), int(minor)))
    return numbers


def number_by_name(name: str) -> tuple[int, int] | None:
    """(major, minor) of the tap that the kernel calls ``name``, in whatever namespace it is; None = there is none."""
    prefix = f"{macvtap_major()}:"
    for number in os.listdir("/sys/dev/char"):
        if number.startswith(prefix) and os.path.basename(os.readlink("/sys/dev/char/" + number)) == name:
            major, _colon, minor = number.partition(":")
            return int(major), int(minor)
    return None


def look(path: str) -> Node | None:
    """What lies at ``path``, without following or opening it; None = nothing.

    :raises HostError: when that cannot be seen.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError as exc:
        raise HostError(f"{path} cannot be: {os.path.dirname(path)} is not a directory", exc.errno or 0) from exc
    except OSError as exc:
        raise host_error(f"cannot look at {path}", exc) from exc
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "file of unknown type")
    rdev = found.st_rdev if stat.S_ISCHR(found.st_mode) else 0
    mode, acl = stat.S_IMODE(found.st_mode), _acl(path, follow_symlinks=False) if rdev else b""
    if acl:
        mode = mode & ~0o070 | _group_bits(acl)
    return Node(path, kind, os.major(rdev), os.minor(rdev), found.st_uid, found.st_gid, mode, acl)


def _acl(path: str, follow_symlinks: bool = True) -> bytes:
    """The POSIX access ACL of a file; empty = none, or a file system that has none."""
    try:
        if _ACL in os.listxattr(path, follow_symlinks=follow_symlinks):
            return os.getxattr(path, _ACL, follow_symlinks=follow_symlinks)
    except OSError as exc:
        if exc.errno not in (errno.ENOTSUP, errno.ENODATA, errno.ENOENT):
            raise host_error(f"cannot read the ACL of {path}", exc) from exc
    return b""


def _group_bits(acl: bytes) -> int:
    """The permissions of the owning group, in whose place stat() shows the mask of the ACL."""
    for tag, permissions, _id in _ACL_ENTRY.iter_unpack(acl[_ACL_HEADER.size :]):
        if tag == _ACL_GROUP_OBJ:
            return (permissions & 0o7) << 3
    return 0


def look_at(path: str, number: tuple[int, int]) -> Node | None:
    """As :func:`look`; a node that is not the device ``number`` comes with what the kernel knows of it."""
    node = look(path)
    return node if node is None or (node.major, node.minor) == number else identify(node)


def identify(node: Node) -> Node:
    """``node`` with what the kernel says of its device number."""
    if node.kind != "character device":
        return node
    try:
        target = os.readlink(f"/sys/dev/char/{node.major}:{node.minor}")
    except OSError:
        target = ""
    tap = os.path.basename(target)
    return node._replace(
        tap=tap if _TAP_NAME.fullmatch(tap) else None,
        is_tap=bool(_TAP_NAME.fullmatch(tap)) or (not target and node.major == macvtap_major()),
    )


def foreign_nodes(directory: str, own: Iterable[int]) -> dict[int, Node]:
    """What lies at ``directory``/tapN for every N that is not in ``own`` (the ifindexes of this namespace)."""
    known = set(own)
    found = {}
    try:
        names = os.listdir(directory)
    except OSError as exc:
        raise HostError(
            f"cannot list device_dir {directory}: {exc.strerror}; name an existing directory", exc.errno or 0
        ) from exc
    for name in names:
        match = _TAP_NAME.fullmatch(name)
        if match and int(match.group(1)) not in known:
            node = look(os.path.join(directory, name))
            if node is not None:
                found[int(match.group(1))] = identify(node)
    return found


def make(path: str, number: tuple[int, int]) -> None:
    """Make the node, root:root 0600 as the kernel's devtmpfs does; nothing may lie there yet."""
    _clear(_aside(path))
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(*number))
    except OSError as exc:
        raise host_error(f"cannot make node {path}", exc) from exc
    # a default ACL of the directory
    if _acl(path, follow_symlinks=False):
        own(path, number, 0, 0, 0o600)


def remove(path: str, number: tuple[int, int]) -> bool:
    """Remove the node at ``path`` if it still is that device; returns whether it did.

    Linux removes no name on a condition. So what lies there is taken aside first, which shows what it is under a name
    that nobody else uses, and is put back when it is something else.
    """
    aside = _aside(path)
    _clear(aside)
    if not _is_device(look(path), number):
        return False
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise host_error(f"cannot remove node {path}", exc) from exc
    try:
        if _is_device(look(aside), number):
            os.unlink(aside)
            return True
    except (HostError, OSError) as exc:
        _put_back(aside, path)
        raise exc if isinstance(exc, HostError) else host_error(f"cannot remove node {path}", exc) from exc
    _put_back(aside, path)
    return False


def _is_device(node: Node | None, number: tuple[int, int]) -> bool:
    return node is not None and node.kind == "character device" and (node.major, node.minor) == number


def _aside(path: str) -> str:
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.leaving")


def _clear(aside: str) -> None:
    """Remove the node that a killed run left there.

    :raises Refused: something else lies there.
    """
    node = look(aside)
    if node is None:
        return
    if not identify(node).is_tap:
        raise Refused(f"a {node.kind} lies at {aside}, where nodes go that are removed; move it away")
    try:
        os.unlink(aside)
    except OSError as exc:
        raise host_error(f"cannot remove node {aside}", exc) from exc


def _put_back(aside: str, path: str) -> None:
    """What was taken aside and is not ours gets its name back, unless that is taken again."""
    try:
        # unlike a rename, a link never replaces what lies there
        os.link(aside, path, follow_symlinks=False)
        os.unlink(aside)
    except FileExistsError as exc:
        raise Refused(f"{path} was replaced twice while it was removed: what lay there is {aside} now") from exc
    except PermissionError:
        # a directory has one name only
        try:
            os.rename(aside, path)
        except OSError as exc:
            raise host_error(f"cannot put {aside} back to {path}", exc) from exc
    except OSError as exc:
        raise host_error(f"cannot put {aside} back to {path}", exc) from exc


def own(path: str, number: tuple[int, int], uid: int, gid: int, mode: int, acl: bytes = b"") -> None:
    """Give the node an owner and permission bits, after a look through the same descriptor that it is that device.

    An ACL of it is removed, or becomes ``acl``: a former owner may have set it to keep a way in.

    O_PATH does not open the device (each open is one more queue of the NIC) and follows no symbolic link.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise host_error(f"cannot reach node {path}", exc) from exc
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(*number):
            raise Refused(f"{path} was replaced by something else a moment ago: left as it is")
        before = (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), _acl(_same(descriptor)))
        try:
            _set_access(descriptor, uid, gid, mode, acl)
        except OSError:
            with contextlib.suppress(OSError):
                _set_access(descriptor, *before)
            raise
    except OSError as exc:
        raise host_error(f"cannot set owner and mode of {path}", exc) from exc
    finally:
        os.close(descriptor)


def _same(descriptor: int) -> str:
    """A path to what is open as ``descriptor``, even with O_PATH."""
    return f"/proc/self/fd/{descriptor}"


def _set_access(descriptor: int, uid: int, gid: int, mode: int, acl: bytes) -> None:
    same, found = _same(descriptor), os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (uid, gid):
        os.chown(same, uid, gid)
    # after the owner, who could set another one
    if _acl(same):
        os.removexattr(same, _ACL)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.chmod(same, mode)
    if acl:
        os.setxattr(same, _ACL, acl)


def settle() -> None:
    """Wait, with a bound, until udev has handled the events so far: it sets owner and mode of nodes some time later.

    That /run/udev/queue is not there says nothing: udevd makes it when it has read an event, and on a busy host that is
    later than we look. ``udevadm settle`` asks the daemon itself first (udev_ctrl_send_ping), over a protocol of
    systemd's own.
    """
    if not os.path.exists("/run/udev/control"):
        return
    # a time-out is no failure: what is waited for may be some other device's event, and we did what we could
    command.run(["udevadm", "settle", f"--timeout={_SETTLE_SECONDS}"], 2 * _SETTLE_SECONDS)


def macvtap_major() -> int:
    """The dynamic major of macvtap, -1 when the kernel has none."""
    with open("/proc/devices", encoding="ascii") as file:
        for line in file:
            number, _blank, name = line.strip().partition(" ")
            if name == "macvtap":
                return int(number)
    return -1
