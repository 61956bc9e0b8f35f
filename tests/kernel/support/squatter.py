# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An ordinary user of the hypervisor who takes the tap paths of guests: links of their indexes in a user namespace."""

import contextlib

from lab import Lab
from lab.frames import AGENT, Port
from lab.namespace import CommandFailed
from module_host import DEFINITIONS, ModuleHost

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
#: A /dev as on a machine: nodes that the kernel makes are in devtmpfs.
KERNEL_NODES = """\
mount -t devtmpfs lab-devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 lab-pts /dev/pts
mount -t tmpfs lab-shm /dev/shm
"""
#: Makes a wire and macvtaps with the indexes on it, named as ours are, and listens at the other end of the wire.
SQUAT = """
{
    echo "link add name v0 type veth peer name v1"
    echo "link set v0 up"
    echo "link set v1 up"
    number=0
    for index in $1; do
        echo "link add link v0 name macvtap$number index $index type macvtap mode bridge"
        echo "link set macvtap$number up"
        number=$((number + 1))
    done
} | ip -batch - || exit 1
exec /usr/bin/python3 -I -c "$2" interface v1
"""


class _AsNobody:
    """The user's namespaces, as far as a Port has to know them."""

    def __init__(self, host, indexes):
        self._host = host
        self._indexes = indexes

    def spawn(self, _command, **options):
        # as text: the user may not be able to read the checkout
        with open(AGENT, encoding="utf-8") as file:
            agent = file.read()
        indexes = " ".join(map(str, self._indexes))
        command = [*NOBODY, "unshare", "-Urn", "sh", "-c", SQUAT, "squat", indexes, agent]
        return self._host.hypervisor.spawn(command, **options)


def squatter(host, *indexes):
    """Be that user, with links of these indexes; the Port hears what anybody sends through their taps."""
    return Port(_AsNobody(host, indexes), "interface", "v1")


class _SharedDev(ModuleHost):
    """In whose /dev the taps of all that runs on the machine come and go."""

    def snapshot(self, definitions=DEFINITIONS):
        while True:
            with contextlib.suppress(CommandFailed):
                taken = super().snapshot(definitions)
                break
        # small indexes are those of other labs as well
        own = {"/dev/tap%d" % row["ifindex"] for row in taken["links"] if row["ifindex"] >= 1 << 30}
        return {**taken, "taps": {path: facts for path, facts in taken["taps"].items() if path in own}}


@contextlib.contextmanager
def devtmpfs_host(uplinks=("eth0", "eth1")):
    """A ModuleHost whose /dev has the nodes that the kernel makes, those of all namespaces of the machine."""
    with Lab(uplinks=uplinks) as lab, _SharedDev(lab.hypervisors[0], lab.directory) as host:
        host.run(["sh", "-c", KERNEL_NODES])
        host.switch = lab.switch
        yield host
