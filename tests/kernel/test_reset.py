# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests leave behind goes before the next one, whatever it is called and whatever drivers are loaded."""

from test_attach_names import ODD_LINK_NAMES


def test_a_reset_removes_every_link_that_a_test_made(host):
    before = set(host.run(["ls", "/sys/class/net"]).stdout.split())
    for name in ODD_LINK_NAMES:
        host.run(["ip", "link", "add", "name", name, "type", "bridge"])
    host.attach(attachments=[{"guest": name, "device": "eth0"} for name in ("a", "b")])
    host.reset()
    assert set(host.run(["ls", "/sys/class/net"]).stdout.split()) == before
