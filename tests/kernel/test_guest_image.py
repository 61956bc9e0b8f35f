# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image of the test guest, from kernels as distributions pack them."""

import lzma
import os
import shutil
import subprocess

import pytest
from guest import image

PACK = {".ko": bytes, ".ko.xz": lzma.compress}


def kernel_tree(root, pack, modules="lib/modules"):
    """Lay a kernel out below ``root`` as a package does: this machine's modules, packed; return its version."""
    kernel, version, origin = image.newest_kernel()
    (root / "boot").mkdir(parents=True)
    shutil.copy(kernel, root / "boot")
    directory = root / modules / version
    directory.mkdir(parents=True)
    for name, path in image.modules(version, origin).items():
        plain = image.read_module(path)
        (directory / name).with_suffix(pack).write_bytes(PACK[pack](plain))
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(os.path.join(origin, "lib/modules", version, name), directory)
    return version


def depmod(root, version):
    """Do what an installation does last."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    subprocess.run(["depmod", "--basedir", str(root), version], check=True, env={"PATH": path})


@pytest.fixture
def both_places(tmp_path):
    """A root in which either age of modprobe finds the modules, as tools/setup.sh leaves it."""
    (tmp_path / "usr/lib/modules").mkdir(parents=True)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/modules").symlink_to("../usr/lib/modules")
    return tmp_path


@pytest.mark.parametrize("pack", PACK)
def test_the_guest_gets_plain_modules_however_they_are_packed(monkeypatch, both_places, pack):
    kernel, version, origin = image.newest_kernel()
    expected = image._archive(version, origin)
    version = kernel_tree(both_places, pack, "usr/lib/modules")
    depmod(both_places, version)
    monkeypatch.setattr(image, "ROOTS", (str(both_places),))

    assert image.newest_kernel() == (str(both_places / "boot" / os.path.basename(kernel)), version, str(both_places))
    assert image._archive(version, str(both_places)) == expected


def test_a_module_packed_in_a_way_that_is_not_known_is_named(monkeypatch, both_places):
    version = kernel_tree(both_places, ".ko.xz", "usr/lib/modules")
    depmod(both_places, version)
    monkeypatch.setattr(image, "UNPACK", {".ko": bytes})

    with pytest.raises(image.ImageError, match=r"cannot unpack /.*\.ko\.xz: it ends in none of \.ko$"):
        image.modules(version, str(both_places))


def test_a_kernel_that_was_not_unpacked_to_the_end_is_none(monkeypatch, both_places):
    version = kernel_tree(both_places, ".ko.xz", "usr/lib/modules")
    monkeypatch.setattr(image, "ROOTS", (str(both_places),))

    with pytest.raises(image.ImageError, match="no kernel with modules in "):
        image.newest_kernel()
    depmod(both_places, version)
    assert image.newest_kernel()[1] == version
