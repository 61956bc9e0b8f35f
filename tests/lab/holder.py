# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Process 1 of a lab namespace: gives it a file system view of its own, then keeps it alive until its owner goes.

Started by namespace.py under ``unshare``; not to be run by hand. Its arguments are directories that must stay the
machine's own although a private copy is laid over their parent. It prints one line of JSON when all is ready. It ends
when its standard input closes, and with it every process of its PID namespace.
"""

import glob
import json
import os
import shutil
import signal
import stat
import subprocess
import sys

# Modules may write here, and package managers may install: all of it must vanish with the lab.
PRIVATE_COPIES = ("/etc", "/usr", "/var")
SCRATCH = "/run/lab"
#: what the collection has made on this machine, and the hypervisors of a lab do not have
OWN = ("/etc/macvtap", "/etc/*/*macvtap*", "/etc/*/*/*macvtap*", "/etc/*/*/*/*macvtap*")

# path below /dev: mode. Numbers are copied from the machine's own nodes; those that it lacks are left out.
DEVICES = {
    "null": 0o666,
    "zero": 0o666,
    "full": 0o666,
    "random": 0o666,
    "urandom": 0o666,
    "tty": 0o666,
    "kvm": 0o660,
    "vhost-net": 0o660,
    "net/tun": 0o666,
}
SYMLINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def mount(*arguments):
    """Call mount(8); raise RuntimeError with its own words when it fails."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


def private_dev():
    """Replace /dev by a tmpfs with the usual nodes.

    The kernel makes tap nodes in devtmpfs only, which is one for the whole machine: here, as in a container, nobody
    makes them but the code under test.
    """
    numbers = {}
    for name in DEVICES:
        try:
            found = os.stat("/dev/" + name)
        except OSError:
            continue
        if stat.S_ISCHR(found.st_mode):
            numbers[name] = found.st_rdev
    mount("-t", "tmpfs", "-o", "mode=755,nosuid", "lab-dev", "/dev")
    for name, number in numbers.items():
        path = "/dev/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mknod(path, DEVICES[name] | stat.S_IFCHR, number)
        os.chmod(path, DEVICES[name])
    for name, target in SYMLINKS.items():
        os.symlink(target, "/dev/" + name)
    os.mkdir("/dev/pts")
    os.mkdir("/dev/shm")
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620,gid=5", "lab-pts", "/dev/pts")
    mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "lab-shm", "/dev/shm")


def private_copy(directory):
    """Lay a writable copy over ``directory`` whose changes live in memory only."""
    upper, work = (os.path.join(SCRATCH, kind, directory.strip("/")) for kind in ("upper", "work"))
    os.makedirs(upper)
    os.makedirs(work)
    layers = f"lowerdir={directory},upperdir={upper},workdir={work}"
    mount("-t", "overlay", "-o", layers, "lab-overlay", directory)


def plain_copy(directory):
    """Stand in where the kernel has no overlayfs: a real copy of the small /etc, an empty /var, /usr read-only."""
    if directory == "/usr":
        mount("--bind", "/usr", "/usr")
        mount("-o", "remount,bind,ro", "/usr")
        return
    if directory == "/var":
        packages = os.open("/var/lib/dpkg", os.O_PATH) if os.path.isdir("/var/lib/dpkg") else None
        mount("-t", "tmpfs", "-o", "mode=755", "lab-var", "/var")
        for name in ("cache", "lib", "lib/dpkg", "log", "spool", "tmp"):
            os.mkdir("/var/" + name)
        os.chmod("/var/tmp", 0o1777)
        os.symlink("/run", "/var/run")
        if packages is not None:
            mount("--bind", f"/proc/self/fd/{packages}", "/var/lib/dpkg")
        return
    copy = os.path.join(SCRATCH, "copy", directory.strip("/"))
    os.makedirs(copy)
    subprocess.run(["cp", "-a", directory + "/.", copy], check=True)
    mount("--bind", copy, directory)


def private_copies(kept):
    """Make PRIVATE_COPIES, and put the directories ``kept`` of the machine back in their places below them."""
    covered = tuple(top + "/" for top in PRIVATE_COPIES)
    originals = {path: os.open(path, os.O_PATH) for path in kept if path.startswith(covered)}
    with open("/proc/filesystems", encoding="ascii") as filesystems:
        known = {line.split()[-1] for line in filesystems}
    for directory in PRIVATE_COPIES:
        try:
            private_copy(directory)
        except RuntimeError:
            # The module may load on the first mount, so the attempt comes before the look at the list.
            if "overlay" in known and directory == "/usr":
                raise
            plain_copy(directory)
    for path, descriptor in originals.items():
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "--bind", f"/proc/self/fd/{descriptor}", path], check=True, pass_fds=[descriptor])
        os.close(descriptor)
    for path in (path for pattern in OWN for path in glob.glob(pattern)):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def main():
    """Set the views up, report, wait for the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The views are for every user inside, whatever our caller keeps to itself.
    os.umask(0o022)
    try:
        # /proc is still the owner's here, so this link names us as the owner knows us.
        pid = int(os.readlink("/proc/self"))
        mount("-t", "proc", "-o", "nosuid,nodev,noexec", "lab-proc", "/proc")
        mount("-t", "sysfs", "-o", "nosuid,nodev,noexec", "lab-sysfs", "/sys")
        mount("-t", "tmpfs", "-o", "mode=755,nosuid,nodev", "lab-run", "/run")
        os.makedirs("/run/lock", mode=0o1777)
        os.mkdir(SCRATCH, 0o700)
        private_dev()
        private_copies(sys.argv[1:])
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        report = {"pid": pid}
    except (OSError, RuntimeError, subprocess.CalledProcessError) as exc:
        report = {"error": str(exc)}
    # Orphans of the namespace become our children: the kernel buries them for us from here on.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print(json.dumps(report), flush=True)
    os.close(1)
    if "error" not in report:
        while os.read(0, 4096):
            pass


if __name__ == "__main__":
    main()
