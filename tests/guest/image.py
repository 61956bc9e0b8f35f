# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image of the test guest: the distribution's own kernel and an initramfs of busybox, a few modules and ``init``.

From a shell: ``python3 tests/guest/image.py DIRECTORY`` writes ``kernel`` and ``initrd`` there; without an argument it
prints which kernel that would be.
"""

import glob
import gzip
import lzma
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
#: how distributions store modules: end of the name, and what makes a plain one of it, as busybox' insmod wants it
UNPACK = {".ko": bytes, ".ko.xz": lzma.decompress}


class ImageError(Exception):
    """The image cannot be built here; the text says why."""


def build(directory, modules_at_hand=()):
    """Write ``kernel`` and ``initrd`` into ``directory`` and return their paths; raises ImageError.

    ``modules_at_hand``: names of further modules, which are not loaded; /modules/at-hand lists them and what they need.
    """
    kernel, version, root = newest_kernel()
    paths = os.path.join(directory, "kernel"), os.path.join(directory, "initrd")
    # A copy: distributions may keep their kernels readable for root alone, and a guest runs without root.
    shutil.copyfile(kernel, paths[0])
    with open(paths[1], "wb") as file:
        file.write(gzip.compress(_archive(version, root, modules_at_hand), compresslevel=1, mtime=0))
    for path in paths:
        os.chmod(path, 0o644)
    return paths


def newest_kernel(roots=None):
    """(path, version, root of its modules) of the best kernel with modules; raises ImageError where there is none."""
    roots, found = roots or ROOTS, []
    for root in roots:
        for path in glob.glob(os.path.join(root, "boot/vmlinuz-*")):
            version = path.partition("vmlinuz-")[2]
            # depmod writes this file, last of all that an installation does.
            if os.path.isfile(os.path.join(root, "lib/modules", version, "modules.dep")):
                # The cloud kernel has no drivers of real hardware: it boots faster.
                newness = [int(part) for part in re.findall(r"\d+", version)]
                found.append(("cloud" in version, newness, path, version, root))
    if not found:
        raise ImageError(f"no kernel with modules in {' or '.join(roots)} (Debian: {PACKAGES[1]})")
    return max(found)[2:]


def _archive(version, root, modules_at_hand=()):
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
    at_hand = modules(version, root, modules_at_hand) if modules_at_hand else {}
    for name, path in {**paths, **at_hand}.items():
        entries.append((f"modules/{name}", stat.S_IFREG | 0o644, read_module(path)))
    for name, listed in (("order", paths), ("at-hand", at_hand)):
        entries.append((f"modules/{name}", stat.S_IFREG | 0o644, "".join(f"{each}\n" for each in listed).encode()))
    return b"".join(cpio(*entry) for entry in entries) + cpio("TRAILER!!!", 0, b"")


def modules(version, root, names=MODULES):
    """Paths by name of the modules and of what they need, in the order to load them; built-in ones have none."""
    command = ["modprobe", "--dirname", root, "--set-version", version]
    # without this machine's own settings, whose options would follow the paths
    command += ["--config", os.devnull, "--show-depends", "--ignore-install", "--all", *names]
    # modprobe lives in /usr/sbin, which is not on everybody's path
    environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise ImageError(f"modprobe does not know what {', '.join(names)} need: {done.stderr.strip()}")
    paths = {}
    for line in done.stdout.splitlines():
        kind, _blank, path = line.strip().partition(" ")
        path = path.strip()
        if kind == "insmod":
            if _suffix(path) not in UNPACK:
                raise ImageError(f"cannot unpack {path}: it ends in none of {', '.join(UNPACK)}")
            paths[os.path.basename(path).removesuffix(_suffix(path)) + ".ko"] = path
    return paths


def _suffix(path):
    return path[path.rfind(".ko") :]


def read_module(path):
    """The plain module that lies compressed or not at ``path``."""
    return UNPACK[_suffix(path)](read(path))


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
        print(*(build(sys.argv[1]) if sys.argv[1:] else newest_kernel()[:1]), sep="\n")
    except ImageError as exc:
        sys.exit(f"image.py: {exc}")
