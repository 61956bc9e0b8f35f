# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the links of its network namespace twice out of the same bytes, with our decoder and with pyroute2's.

Prints, as JSON, how many links of which kinds there were, and every pair that differs.
"""

import collections
import json
import sys

import pyroute2

from ansible_collections.linuxnet.macvtap.plugins.module_utils._link import message
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import rtnetlink
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.pyroute2_link import decoded, link_of


def main():
    with rtnetlink.Netlink() as netlink:
        bodies = netlink.listed(rtnetlink._RTM_GETLINK, rtnetlink._LINKS, lambda data, *part: bytes(data[slice(*part)]))
    # pyroute2 knows no broadcast queue
    ours = [message.decode_link(body, 0, len(body))._replace(broadcast_queue=None) for body in bodies]
    theirs = [link_of(decoded(body)) for body in bodies]
    kinds = collections.Counter(link.kind or "plain" for link in ours)
    different = [pair for pair in zip(ours, theirs) if pair[0] != pair[1]]
    json.dump({"pyroute2": pyroute2.__version__, "kinds": kinds, "different": different}, sys.stdout)


if __name__ == "__main__":
    main()
