# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The initrd of a whole machine: it mounts the disks and starts systemd.

The first disk is the root file system, the second one has the kernel's modules, the third one is a tar archive of what
the tests want there, unpacked when the machine boots for the first time.
"""

import gzip
import os
import shutil
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from guest import image

MODULES = ("virtio_pci", "virtio_blk", "ext4")
INIT = b"""\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
while read -r module; do insmod "/modules/$module"; done </modules/order
until [ -b /dev/vda ] && [ -b /dev/vdb ] && [ -b /dev/vdc ]; do sleep 0.1; done
mount -t ext4 -o noatime /dev/vda /root || poweroff -f
mkdir -p /root/usr/lib/modules && mount -t ext4 -o ro /dev/vdb /root/usr/lib/modules || poweroff -f
[ -e /root/opt/unpacked ] || { tar -xf /dev/vdc -C /root && : >/root/opt/unpacked; } || poweroff -f
umount /proc
mount -o move /dev /root/dev
exec switch_root /root /sbin/init
"""


def build(tree, version):
    """The archive for the kernel ``version`` whose package is unpacked in ``tree``."""
    paths = image.modules(version, tree, MODULES)
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "dev", "modules", "proc", "root")]
    entries += [(f"modules/{name}", stat.S_IFREG | 0o644, image.read_module(path)) for name, path in paths.items()]
    entries += [
        ("modules/order", stat.S_IFREG | 0o644, "".join(name + "\n" for name in paths).encode()),
        ("bin/busybox", stat.S_IFREG | 0o755, image.read(shutil.which("busybox"))),
        ("bin/sh", stat.S_IFLNK | 0o777, b"busybox"),
        ("init", stat.S_IFREG | 0o755, INIT),
        ("TRAILER!!!", 0, b""),
    ]
    return gzip.compress(b"".join(image.cpio(*entry) for entry in entries), compresslevel=1, mtime=0)
