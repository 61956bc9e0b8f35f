# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links in the definition of a libvirt domain: only the NICs change."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.linuxnet.macvtap.plugins.filter.libvirt_domain import FilterModule
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.interface import interface_xml

libvirt_domain = FilterModule().filters()["libvirt_domain"]

DOMAIN = """<?xml version='1.0' encoding='ISO-8859-1'?>
<domain type="kvm" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
  <name>R&amp;D ü</name>
  <description>two
 lines</description>
  <metadata><app:a xmlns:app="urn:app"><interface type="direct"/></app:a></metadata>
  <devices>
    <!-- <interface type="direct"/> -->
    <interface type='user>'/><interface type="bridge"/>
    <interface type="direct"><source dev="eth0"/></interface>
    <hostdev><interface type="direct"/></hostdev>
  </devices>
  <qemu:commandline><qemu:arg value="-S"/></qemu:commandline>
</domain>
"""
OLD = '<interface type="direct"><source dev="eth0"/></interface>'


def attachment(nic, ifname="macvtap0"):
    return {"guest": "web", "nic": nic, "libvirt_xml": interface_xml("02:00:00:00:00:01", ifname)}


@pytest.mark.parametrize("ifname", ["macvtap0", "a&b", "a<b", "\\1\\g<0>"])
def test_only_the_nic_changes(ifname):
    new = libvirt_domain(DOMAIN, [attachment(2, ifname)])
    before, after = DOMAIN.split(OLD)
    assert new.startswith(before) and new.endswith(after)
    escaped = ifname.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"<target dev='{escaped}' managed='no'/>" in new and "eth0" not in new


def test_several_nics_change_at_once():
    new = libvirt_domain(DOMAIN, [attachment(2, "second"), attachment(0, "first")])
    first, second = (attachment(0, name)["libvirt_xml"] for name in ("first", "second"))
    assert new == DOMAIN.replace(OLD, second).replace("<interface type='user>'/>", first)


def test_nics_come_back_from_the_original():
    new = libvirt_domain(DOMAIN, [attachment(2)]).replace("two", "three")
    assert libvirt_domain(new, [attachment(2)], original=DOMAIN) == DOMAIN.replace("two", "three")
    with pytest.raises(AnsibleFilterError, match="has no interface 2"):
        libvirt_domain(new, [attachment(2)], original=DOMAIN.replace(OLD, ""))


def test_nothing_to_replace_is_nothing_changed():
    assert libvirt_domain(DOMAIN, []) == DOMAIN


@pytest.mark.parametrize(
    ("text", "nic", "said"),
    [
        (DOMAIN, 3, "guest web has no interface 3, but 3 interfaces"),
        ("<network/>", 0, "the root element is <network>"),
        ("<domain", 0, "is not well-formed XML"),
        ("<!DOCTYPE domain><domain/>", 0, "has a DTD, which libvirt never writes"),
    ],
)
def test_what_cannot_be_is_refused(text, nic, said):
    with pytest.raises(AnsibleFilterError, match=said):
        libvirt_domain(text, [attachment(nic)])
