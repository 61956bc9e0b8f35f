# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The element that hands a ready macvtap to libvirt."""

from __future__ import annotations

import subprocess
import sys

import pytest
from lxml import etree

from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt import interface
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.interface import interface_xml


def test_libvirt_opens_our_link_and_leaves_it_alone():
    assert interface_xml("02:00:00:00:00:01", "macvtap0") == (
        "<interface type='ethernet'><mac address='02:00:00:00:00:01'/><target dev='macvtap0' managed='no'/>"
        "<model type='virtio'/></interface>"
    )


def test_several_queues_need_vhost():
    driver = etree.fromstring(interface_xml("02:00:00:00:00:01", "macvtap0", 4)).find("driver")
    assert dict(driver.attrib) == {"name": "vhost", "queues": "4"}


def test_the_guest_keeps_the_hardware_that_its_definition_gives_it():
    hardware = '<model type="e1000"/><driver name="qemu" queues="4"/><boot order="1"/>'
    text = interface_xml("02:00:00:00:00:01", "macvtap0", 4, hardware)
    assert text.endswith(f" managed='no'/>{hardware}</interface>")
    assert "<model type='virtio'/><boot" in interface_xml("02:00:00:00:00:01", "macvtap0", 1, "<boot order='1'/>")


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a<b>", "a&b", "ü", "&amp;"])
def test_any_name_survives(name):
    text = interface_xml("02:00:00:00:00:01", name)
    assert "\n" not in text
    assert etree.fromstring(text).find("target").get("dev") == name


def test_lxml_is_not_needed():
    code = "import sys; sys.modules['lxml'] = None; exec(open(sys.argv[1], encoding='utf-8').read())"
    subprocess.run([sys.executable, "-c", code, interface.__file__], check=True)
