# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The ``<interface>`` that hands a ready macvtap to libvirt. PURE, and without lxml: every attachment returns it."""

from __future__ import annotations

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})


def interface_xml(mac: str, ifname: str, queues: int = 1, hardware: str = "") -> str:
    """The domain XML element, on one line, that makes libvirt open our tap and leave the link alone.

    ``type='direct'`` would make libvirt create a link of its own. ``name='vhost'`` is spelled out beside ``queues``
    because several queues without it are a different, slower thing.

    :arg queues: how often libvirt opens the tap.
    :arg hardware: elements that say what the guest sees, from its domain XML; with a driver of their own.
    """
    model = "" if "<model " in hardware else "<model type='virtio'/>"
    driver = f"<driver name='vhost' queues='{queues}'/>" if queues > 1 and not hardware else ""
    return (
        f"<interface type='ethernet'><mac address='{mac.translate(_ESCAPES)}'/>"
        f"<target dev='{ifname.translate(_ESCAPES)}' managed='no'/>{model}{driver}{hardware}</interface>"
    )
