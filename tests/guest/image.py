# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image of the test guest: the distribution's own kernel and an initramfs of busybox, a few modules and ``init``.

From a shell: ``python3 tests/guest/image.py DIRECTORY`` writes ``kernel`` and ``initrd`` there.
"""

import glob
import gzip
import os
import re
import shutil
import stat
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
#: where kernels are looked for: what is installed, and what tools/setup.sh unpacked without installing it
ROOTS = ("/", os.path.join(os.path.dirname(os.path.dirname(HERE)), ".cache", "guest-kernel"))
PACKAGES = ("busybox-static", "linux-image-cloud-amd64")
#: what the guest must be able to do beyond what the kernel has built in
MODULES = ("virtio_pci", "virtio_net", "evdev", "button")


class ImageError(Exception):
    """The image cannot be built here; the text says why."""


def build(directory):
    """Write ``kernel`` and ``initrd`` into ``directory`` and return their paths; raises ImageError."""
    kernel, version, root = newest_kernel()
    paths = os.path.join(directory, "kernel"), os.path.join(directory, "initrd")
    # A copy: distributions may keep their kernels readable for root alone, and a guest runs without root.
    shutil.copyfile(kernel, paths[0])
    with open(paths[1], "wb") as file:
        file.write(gzip.compress(_archive(version, root), compresslevel=1, mtime=0))
    for path in paths:
        os.chmod(path, 0o644)
    return paths


def newest_kernel(roots=ROOTS):
    """(path, version, root) of the kernel to boot; raises ImageError where there is none."""
    found = []
    for root in roots:
        for path in glob.glob(os.path.join(root, "boot/vmlinuz-*")):
            version = path.partition("vmlinuz-")[2]
            if os.path.isdir(os.path.join(root, "lib/modules", version, "kernel")):
                # The cloud kernel has no drivers of real hardware: it boots faster.
                newness = [int(part) for part in re.findall(r"\d+", version)]
                found.append(("cloud" in version, newness, path, version, root))
    if not found:
        raise ImageError(f"no kernel with modules in {' or '.join(roots)} (Debian: {PACKAGES[1]})")
    return max(found)[2:]


def _archive(version, root):
    busybox = shutil.which("busybox")
    if not busybox:
        raise ImageError(f"no busybox here (Debian: {PACKAGES[0]})")
    entries = [
        (name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "dev", "etc", "etc/acpi", "modules", "proc", "sys")
    ]
    # The name of a fixed event of busybox' acpid; it runs what lies there.
    power = b"#!/bin/sh\nexec /init button\n"
    entries += [("etc/acpi/PWRF", stat.S_IFDIR | 0o755, b""), ("etc/acpi/PWRF/00000080", stat.S_IFREG | 0o755, power)]
    entries += [("bin/busybox", stat.S_IFREG | 0o755, read(busybox)), ("bin/sh", stat.S_IFLNK | 0o777, b"busybox")]
    entries += [("init", stat.S_IFREG | 0o755, read(os.path.join(HERE, "init")))]
    paths = modules(version, root)
    for path in paths:
        entries.append((f"modules/{os.path.basename(path)}", stat.S_IFREG | 0o644, read(path)))
    order = "".join(os.path.basename(path) + "\n" for path in paths)
    entries.append(("modules/order", stat.S_IFREG | 0o644, order.encode()))
    return b"".join(cpio(*entry) for entry in entries) + cpio("TRAILER!!!", 0, b"")


def modules(version, root, names=MODULES):
    """Paths of the modules and of what they need, in the order to load them; built-in ones have none."""
    command = ["modprobe", "--dirname", root, "--set-version", version]
    command += ["--show-depends", "--ignore-install", "--all", *names]
    # modprobe lives in /usr/sbin, which is not on everybody's path
    environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise ImageError(f"modprobe does not know what {', '.join(names)} need: {done.stderr.strip()}")
    paths = []
    for line in done.stdout.splitlines():
        kind, _blank, path = line.strip().partition(" ")
        path = path.strip()
        if kind == "insmod" and path not in paths:
            if not path.endswith(".ko"):
                raise ImageError(f"{path} is compressed, and busybox' insmod takes plain modules only")
            paths.append(path)
    return paths


def read(path):
    with open(path, "rb") as file:
        return file.read()


def cpio(name, mode, data):
    """One entry of a cpio archive in the form ``newc``, the one that kernels unpack."""
    encoded = name.encode() + b"\0"
    inode = zlib.crc32(name.encode())
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return _padded(header) + _padded(data)


def _padded(data):
    return data + b"\0" * (-len(data) % 4)


if __name__ == "__main__":
    try:
        print(*build(sys.argv[1]), sep="\n")
    except (ImageError, IndexError) as error:
        sys.exit(f"image.py: {error}" if isinstance(error, ImageError) else "usage: image.py DIRECTORY")
