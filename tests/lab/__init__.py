# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtualisation lab out of Linux namespaces: hypervisors, and a switch that reflects frames or does not.

    with Lab(hypervisors=2) as lab:
        lab.hypervisors[0].run(["ip", "link"])
        lab.switch.set_hairpin(False)

Nothing of it has a name on the machine it runs on, and nothing of it outlives the process that made it, even one
killed with SIGKILL.
"""

from .frames import Port, frame_through, open_interface, open_tap
from .namespace import CommandFailed, LabError
from .topology import Hypervisor, Lab, Switch, Topology

__all__ = [
    "CommandFailed",
    "Hypervisor",
    "Lab",
    "LabError",
    "Port",
    "Switch",
    "Topology",
    "frame_through",
    "open_interface",
    "open_tap",
]
