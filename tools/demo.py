# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo: libvirt XML in, guests' taps out, frames through the switch, and nothing left at the end.

Run it with `make demo`, which gives it a temporary directory of its own and ends all that it leaves behind, however it
ends. It exits non-zero as soon as something is not as it says.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tests"))

from guest import image  # noqa: E402 - the path above makes it importable
from lab import CommandFailed, Lab, LabError, frame_through  # noqa: E402
from lab.controller import Controller  # noqa: E402

#: where the guests' image lies, on the hypervisor and nowhere else
IMAGE = "/run/demo-image"
COLUMNS = ("guest", "nic", "ifname", "ifindex", "mac", "mode", "device", "tap_path")


class Unexpected(Exception):
    """The demo did not show what it promises."""


def is_colored():
    """Whether the reader is a terminal that takes colors, and wants them (https://no-color.org)."""
    return os.isatty(1) and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


def headline(text):
    """Announce the next part."""
    print(f"\n\033[1m== {text}\033[0m" if is_colored() else f"\n== {text}", flush=True)


def expect(condition, text):
    """Print that ``text`` holds; raise Unexpected when it does not."""
    if not condition:
        raise Unexpected(text)
    print(f"   ok: {text}", flush=True)


def taps_file(lab):
    """Path at which the playbooks leave and find the taps."""
    return os.path.join(lab.directory, "taps.json")


def play(lab, playbook, *options):
    """Run a playbook of tests/demo with these options; return the number of changed tasks."""
    controller = Controller(lab.directory)
    command = [*controller.command("ansible-playbook"), "-i", lab.write_inventory(), playbook]
    command += ["-e", f"demo_taps_file={taps_file(lab)}", *options]
    environment = controller.environment(
        ANSIBLE_COLLECTIONS_PATH=str(CHECKOUT / ".collections"),
        ANSIBLE_CALLBACK_RESULT_FORMAT="yaml",
        ANSIBLE_NOCOWS="true",
        **{"ANSIBLE_FORCE_COLOR" if is_colored() else "ANSIBLE_NOCOLOR": "true"},
        # What remains to be read is what has changed.
        ANSIBLE_DISPLAY_OK_HOSTS="false",
        ANSIBLE_DISPLAY_SKIPPED_HOSTS="false",
    )
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    where = CHECKOUT / "tests" / "demo"
    process = subprocess.Popen(command, cwd=where, env=environment, text=True, encoding="utf-8", **streams)
    with process:
        for line in process.stdout:
            # which file of the role a task is in is nothing to show
            if "included: " not in line:
                print("   " + line, end="", flush=True)
    if process.returncode:
        raise Unexpected("the playbook succeeds")
    return controller.changed()


def attach(lab, *options):
    """Run the role; return (number of changed tasks, taps by guest)."""
    changed = play(lab, "playbook.yml", *options)
    return changed, json.loads(Path(taps_file(lab)).read_text(encoding="utf-8"))


def print_table(attachments):
    """Print one line for each attachment."""
    rows = [COLUMNS] + [tuple(str(attachment[column]) for column in COLUMNS) for attachment in attachments]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def leftovers(hypervisor):
    """Return what is left on the hypervisor of networks and attachments, as lines of text."""
    script = "ip -o link show type macvtap; ls -d /dev/tap* 2>/dev/null; ls /etc/macvtap/networks 2>/dev/null"
    return hypervisor.run(["sh", "-c", script], check=False).stdout.splitlines()


def show(lab):
    """Show the main job in ``lab``; raise Unexpected when it is not done."""
    hypervisor = lab.hypervisors[0]

    headline("Define the network and attach the guests, from libvirt XML (tests/demo/*.xml)")
    changed, taps = attach(lab)
    expect(changed > 0, "the first run changes the host")
    attachments = [attachment for guest in taps.values() for attachment in guest]
    print_table(attachments)
    expect(set(taps) == {"web", "database"} and len(attachments) == 2, "each of the two guests has one tap")

    first, second = ((hypervisor, attachment["tap_path"], attachment["mac"]) for attachment in attachments)
    headline("Pass a frame from one tap to the other and one back, by way of the switch")
    seconds = frame_through(*first, *second)
    expect(seconds, "the switch port reflects: both arrive")
    print(f"   there and back in {seconds * 1000:.1f} ms")
    lab.switch.set_hairpin(False)
    expect(frame_through(*first, *second, timeout=1) is None, "the switch port does not reflect: nothing arrives")
    lab.switch.set_hairpin(True)
    expect(frame_through(*first, *second), "the switch port reflects again: both arrive")

    headline("Run the playbook again")
    changed, again = attach(lab)
    expect(changed == 0, "the second run changes nothing")
    expect(again == taps, "the second run returns the same taps")

    show_guests(lab)

    headline("Take everything down")
    attach(lab, "-e", "vepa_network_state=absent")
    left = leftovers(hypervisor)
    expect(
        not left,
        "no macvtap link, no tap node and no network definition is left" + "".join(f"\n   {line}" for line in left),
    )


def show_guests(lab):
    """Boot two guests on the taps and let one ping the other, with the switch in both states."""
    hypervisor = lab.hypervisors[0]
    headline("Boot a QEMU guest on each tap (software emulation, a small kernel and busybox)")
    hypervisor.run(["mkdir", "-m", "755", IMAGE])
    image.build(f"/proc/{hypervisor.pid}/root{IMAGE}")
    play(lab, "guests.yml", "-e", f"demo_image={IMAGE}")
    print(hypervisor.run(["sh", "-c", "ps -ww -C qemu-system-x86_64 -o user:12,pid,args | cut -c1-110"]).stdout, end="")

    headline("Guest web pings guest database; what its console says")
    expect(console_says(hypervisor, "ok"), "the switch port reflects: the guests reach each other")
    lab.switch.set_hairpin(False)
    expect(console_says(hypervisor, "lost"), "the switch port does not reflect: they do not")
    lab.switch.set_hairpin(True)
    expect(console_says(hypervisor, "ok"), "the switch port reflects again: they do")

    headline("Remove the guests")
    play(lab, "guests.yml", "-e", f"demo_image={IMAGE}", "-e", "demo_guests_state=absent")


def console_says(hypervisor, word, times=3, seconds=90):
    """Wait until the last pings on web's console ended so; print them and return whether they did."""
    console = ["tail", "-n", str(times), "/var/log/qemu-guests/web.console"]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lines = hypervisor.run(console, check=False).stdout.splitlines()
        if len(lines) == times and all(f" {word}" in line and " ping " in line for line in lines):
            print("".join(f"   {line.strip()}\n" for line in lines), end="")
            return True
        time.sleep(0.2)
    return False


def main():
    """Build the lab, show, tell how long it took; return the exit status."""
    began = time.monotonic()
    # What is shown is the same everywhere, whatever the locale makes of it.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        headline("Build the lab: one hypervisor, its eth0 in a port of a switch that reflects")
        with Lab(hairpin=True) as lab:
            show(lab)
        print(f"\ndemo: all as expected, in {time.monotonic() - began:.1f} s", flush=True)
    except Unexpected as missed:
        return complain(f"FAILED, expected that {missed}")
    except BrokenPipeError:
        return complain("stopped, since nobody reads what it shows")
    except (CommandFailed, LabError, OSError, image.ImageError) as exc:
        return complain(f"cannot go on: {exc}")
    return 0


def complain(text):
    """Print why it ended, and drop what its reader has not taken; return the exit status."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    print(f"\ndemo: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
