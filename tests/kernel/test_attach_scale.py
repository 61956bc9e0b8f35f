# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A thousand attachments in one task."""

from module_host import without_numbers

GUESTS = {"attachments": [{"guest": f"guest{number}", "device": "eth0"} for number in range(1000)]}


def test_a_thousand_attachments_in_one_task(host):
    foretold = host.attach(check=True, **GUESTS)
    done = host.attach(**GUESTS)
    assert without_numbers(foretold) == without_numbers(done)
    assert len({row["tap_path"] for row in done["attachments"]}) == 1000
    assert len(host.taps()) == len(host.links()) == 1000
    assert all(host.opens(row) for row in done["attachments"][::250])
    again = host.attach(**GUESTS)
    assert (again["changed"], again["attachments"]) == (False, done["attachments"])
    gone = host.detach(**GUESTS)
    assert len(gone["attachments"]) == 1000
    assert host.links() == {} and host.taps() == []
