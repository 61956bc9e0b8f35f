# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab from the command line.

    python tests/lab run [--hypervisors 2] [--uplinks eth0,eth1] [--no-hairpin] -- COMMAND …
    python tests/lab up --state DIRECTORY [--lifetime SECONDS] …
    python tests/lab hairpin off [--port h0-eth0]
    python tests/lab frame hypervisor0 /dev/tap7 02:00:00:00:00:01 hypervisor0 /dev/tap8 02:00:00:00:00:02
    python tests/lab down --state DIRECTORY

``run`` sets LAB_INVENTORY (an inventory file) and LAB_STATE, which hairpin and frame use as their --state.
"""

import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import CommandFailed, Lab, LabError, Topology, detached, frame_through


def lab_of(arguments):
    """Return the Lab that the options ask for."""
    return Lab(
        hypervisors=arguments.hypervisors,
        uplinks=[uplink for uplink in arguments.uplinks.split(",") if uplink],
        hairpin=arguments.hairpin,
        subnets=[subnet for subnet in arguments.subnets.split(",") if subnet],
        python=arguments.python,
    )


def run(arguments):
    """Run a command while a lab is up; return its exit status."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    with lab_of(arguments) as lab:
        lab.write_description(detached.description_path(lab.directory))
        environment = dict(os.environ, LAB_STATE=lab.directory, LAB_INVENTORY=lab.write_inventory())
        return subprocess.run(command, env=environment, check=False).returncode


def up(arguments):
    """Leave a lab running in the background."""
    print(detached.up(arguments.state, arguments.lifetime, lambda: lab_of(arguments)))
    return 0


def down(arguments):
    """End what ``up`` left; no error when it is gone already."""
    detached.down(arguments.state)
    return 0


def hairpin(arguments):
    """Let switch ports reflect, or not."""
    topology = Topology.attach(detached.description_path(arguments.state))
    topology.switch.set_hairpin(arguments.port, arguments.reflect == "on")
    return 0


def frame(arguments):
    """Pass a frame there and back; return 0 when it arrived, 1 when not."""
    topology = Topology.attach(detached.description_path(arguments.state))
    hosts = {hypervisor.name: hypervisor for hypervisor in topology.hypervisors}
    first, second = arguments.guests[:3], arguments.guests[3:]
    first[0], second[0] = hosts[first[0]], hosts[second[0]]
    seconds = frame_through(*first, *second, timeout=arguments.timeout)
    print("no frame arrived" if seconds is None else f"arrived, there and back in {seconds * 1000:.1f} ms")
    return 1 if seconds is None else 0


def parse(words):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python tests/lab", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = argparse.ArgumentParser(add_help=False)
    build.add_argument("--hypervisors", type=int, default=1)
    build.add_argument("--uplinks", default="eth0", help="comma-separated; of each hypervisor")
    build.add_argument("--subnets", default="", help="comma-separated; for addresses of uplinks and switch")
    build.add_argument("--no-hairpin", dest="hairpin", action="store_false", help="switch ports do not reflect")
    build.add_argument("--python", default=sys.executable, help="interpreter of the inventory's hosts")
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument("--state", default=os.environ.get("LAB_STATE"), required="LAB_STATE" not in os.environ)

    command = commands.add_parser("run", parents=[build])
    command.add_argument("command", nargs=argparse.REMAINDER)
    command.set_defaults(call=run)
    command = commands.add_parser("up", parents=[build, state])
    command.add_argument("--lifetime", type=float, default=3600, help="seconds after which the lab ends by itself")
    command.set_defaults(call=up)
    command = commands.add_parser("down", parents=[state])
    command.set_defaults(call=down)
    command = commands.add_parser("hairpin", parents=[state])
    command.add_argument("reflect", choices=["on", "off"])
    command.add_argument("--port", default="all")
    command.set_defaults(call=hairpin)
    command = commands.add_parser("frame", parents=[state])
    command.add_argument("--timeout", type=float, default=2.0)
    command.add_argument("guests", nargs=6, metavar="HOST TAP MAC")
    command.set_defaults(call=frame)
    return parser.parse_args(words)


if __name__ == "__main__":
    try:
        chosen = parse(sys.argv[1:])
        sys.exit(chosen.call(chosen))
    except KeyboardInterrupt:
        sys.exit("lab: interrupted")
    except (CommandFailed, LabError, OSError) as exc:
        sys.exit(f"lab: {exc}")
