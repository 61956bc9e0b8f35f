# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This machine's file system under another kernel: a virtual machine that runs one command and ends.

    python3 tests/vm [--kernel DIRECTORY] [--memory MIB] COMMAND [WORD...]

Its root is this machine's, read through virtiofs; whatever the command writes stays in memory. The command runs as root
in the directory where this was called; what it prints is printed here, and its exit status is returned.
The kernel is the newest below DIRECTORY (``boot/vmlinuz-*`` and ``lib/modules``, as ``dpkg -x`` unpacks a package of
Debian), or else the one that the guests of the tests boot. No network, two CPUs.
"""

import argparse
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from guest import image  # noqa: E402

DIRECTORIES = ("bin", "dev", "lower", "modules", "over", "proc", "root", "sys")
MODULES = ("virtio_pci", "virtiofs", "overlay")
VIRTIOFSD = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd")
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
QEMU = "qemu-system-x86_64"

JOB = """\
stty -onlcr
cd {directory}
PATH={path} HOME=/root LANG=C.UTF-8 {environment} {command}
echo $? >/dev/ttyS2
exec /run/busybox poweroff -f
"""


def main():
    """Run the command; exits with its status, or with a sentence."""
    parser = argparse.ArgumentParser(description="run a command under another kernel")
    parser.add_argument("--kernel", help="directory with boot/ and lib/modules/, instead of the guests' kernel")
    parser.add_argument("--memory", type=int, default=2048, help="MiB (default: %(default)s)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as directory:
            sys.exit(run(asked.command, directory, asked.kernel, asked.memory))
    except (image.ImageError, OSError) as exc:
        sys.exit(f"machine: {exc}")


def run(command, directory, kernel, memory):
    """Boot, print what ``command`` prints, return its exit status; ``directory`` is for scratch files."""
    path, version, root = image.newest_kernel([kernel] if kernel else None)
    initrd = os.path.join(directory, "initrd")
    with open(initrd, "wb") as file:
        file.write(archive(command, version, os.path.abspath(root)))
    sock, status, console = (os.path.join(directory, name) for name in ("virtiofs", "status", "console"))
    daemon = next((each for each in VIRTIOFSD if os.path.exists(each)), None)
    if daemon is None:
        raise image.ImageError("no virtiofsd here (Debian 12: qemu-system-common, Debian 13: virtiofsd)")
    with open(os.path.join(directory, "log"), "a+", encoding="utf-8") as log, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sock)
        listener.listen()
        # "chroot": the other sandbox cannot have / itself as its root
        words = (*DIE_WITH_PARENT, daemon, f"--fd={listener.fileno()}", "-o", "source=/,cache=always,sandbox=chroot")
        files = subprocess.Popen(words, stdout=log, stderr=log, pass_fds=[listener.fileno()])
        qemu = (*DIE_WITH_PARENT, *machine(path, initrd, sock, memory), *serial_ports(console, status))
        try:
            subprocess.run(qemu, stdin=subprocess.DEVNULL, stderr=log, check=False)
        finally:
            files.kill()
            files.wait()
        answer = read(status)
        if not answer:
            raise image.ImageError("it ended before the command did:\n" + read(log.name) + read(console)[-2000:])
        return int(answer)


def machine(kernel, initrd, sock, memory):
    """QEMU's command line but for the serial ports."""
    return (
        *(QEMU, "-M", "q35,accel=tcg,memory-backend=ram", "-cpu", "max", "-smp", "2", "-m", str(memory)),
        *("-object", f"memory-backend-memfd,id=ram,size={memory}M,share=on"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"),
        *("-device", "virtio-rng-pci"),
        *("-chardev", f"socket,id=files,path={sock}", "-device", "vhost-user-fs-pci,chardev=files,tag=root"),
        *("-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 mitigations=off"),
    )


def serial_ports(console, status):
    """The kernel's console, what the command prints, and how it ended."""
    ports = (f"file,path={console}", "stdio,signal=off", f"file,path={status}")
    for number, port in enumerate(ports):
        kind, _comma, options = port.partition(",")
        yield from ("-chardev", f"{kind},id=port{number},{options}", "-serial", f"chardev:port{number}")


def read(path):
    """The text of a file; "" when nobody made it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def archive(command, version, root):
    """The initramfs: busybox, the modules that reach the root, and what to run there."""
    paths = image.modules(version, root, MODULES)
    names = {f"modules/{name}": image.read_module(path) for name, path in paths.items()}
    job = JOB.format(
        directory=shlex.quote(os.getcwd()),
        path=shlex.quote(os.environ["PATH"]),
        environment=" ".join(f"{key}={shlex.quote(os.environ[key])}" for key in ("VENV",) if key in os.environ),
        command=shlex.join(command),
    )
    programs = {"init": os.path.join(HERE, "init"), "bin/busybox": shutil.which("busybox")}
    names.update(
        {
            "modules/order": "".join(name + "\n" for name in paths).encode(),
            "release": os.path.join(root, "lib/modules", version).encode(),
            "job": job.encode(),
        }
    )
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in DIRECTORIES]
    entries += [(name, stat.S_IFREG | 0o644, data) for name, data in names.items()]
    entries += [(name, stat.S_IFREG | 0o755, image.read(path)) for name, path in programs.items()]
    entries.append(("bin/sh", stat.S_IFLNK | 0o777, b"busybox"))
    return b"".join(image.cpio(*entry) for entry in [*entries, ("TRAILER!!!", 0, b"")])


if __name__ == "__main__":
    main()
