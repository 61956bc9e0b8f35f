# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab itself: isolated, reflecting or not as asked, and gone when its owner is."""

import ast
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import CommandFailed, Lab, frame_through, open_interface, open_tap
from lab.frames import BROADCAST, EXPERIMENTAL, ethernet

TESTS = Path(__file__).resolve().parent.parent

# A lab owner that tells what it made, leaves a daemon running inside, and waits to be killed.
OWNER = """
import sys
sys.path.insert(0, sys.argv[1])
from lab import Lab
lab = Lab(hypervisors=2)
lab.hypervisors[0].run(["setsid", "--fork", "sh", "-c", "exec sleep 1000 >/dev/null 2>&1"])
namespaces = [lab.switch] + lab.hypervisors
print({"pids": [namespace.pid for namespace in namespaces], "directory": lab.directory}, flush=True)
sys.stdin.read()
"""


def wait_until(condition, timeout=10.0):
    """Wait until ``condition()`` holds; return whether it did within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def namespace_of(pid):
    return os.readlink(f"/proc/{pid}/ns/net")


def processes_in(network_namespaces):
    """Return the PIDs of processes living in one of these network namespaces."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and namespace_of(entry) in network_namespaces:
                found.append(int(entry))
        except OSError:
            continue  # it ended meanwhile
    return found


def make_macvtap(hypervisor, name, mode="vepa", device="eth0"):
    """Make a macvtap with ``ip`` and its node by hand; return (tap path, MAC)."""
    hypervisor.ip(f"link add {name} link {device} type macvtap mode {mode}", f"link set {name} up")
    directory = f"/sys/class/net/{name}"
    ifindex, mac = hypervisor.run(["cat", f"{directory}/ifindex", f"{directory}/address"]).stdout.split()
    major, minor = hypervisor.run(["cat", f"{directory}/macvtap/tap{ifindex}/dev"]).stdout.strip().split(":")
    hypervisor.run(["mknod", f"/dev/tap{ifindex}", "c", major, minor])
    return f"/dev/tap{ifindex}", mac


def test_a_killed_owner_leaves_no_process_and_no_file():
    command = [sys.executable, "-c", OWNER, str(TESTS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        made = ast.literal_eval(owner.stdout.readline())
        namespaces = {namespace_of(pid) for pid in made["pids"]}
        assert len(processes_in(namespaces)) == 7  # unshare and its holder, three times, and the daemon
        assert os.path.isdir(made["directory"])
        owner.kill()
    assert wait_until(lambda: not processes_in(namespaces))
    assert wait_until(lambda: not os.path.exists(made["directory"]))


def test_closing_ends_daemons_and_removes_the_directory():
    with Lab() as lab:
        lab.hypervisors[0].run(["setsid", "--fork", "sh", "-c", "exec sleep 1000 >/dev/null 2>&1"])
        namespaces = {namespace_of(lab.switch.pid), namespace_of(lab.hypervisors[0].pid)}
        directory = lab.directory
    assert not processes_in(namespaces)
    assert not os.path.exists(directory)


def test_killing_a_spawned_process_kills_the_command(hypervisor):
    process = hypervisor.spawn(["sh", "-c", "echo started; exec sleep 1000"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert wait_until(lambda: hypervisor.run(["pgrep", "-x", "sleep"], check=False).returncode == 1)


@pytest.mark.parametrize("directory", ["/etc", "/var/lib", "/usr/local", "/dev", "/run"])
def test_a_hypervisor_writes_to_a_copy_of_the_machine(hypervisor, directory):
    path = os.path.join(directory, "linuxnet-lab-was-here")
    hypervisor.run(["touch", path])
    assert not os.path.exists(path)


def test_a_hypervisor_sees_its_own_links_in_sysfs_and_no_others(hypervisor):
    # with lo, and what drivers put into every namespace: bonding_masters, sit0 …
    script = "mount -t sysfs sysfs /sys && ls /sys/class/net"
    empty = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script], capture_output=True, check=True, text=True
    )
    assert set(hypervisor.run(["ls", "/sys/class/net"]).stdout.split()) == {"eth0", "eth1", *empty.stdout.split()}


def test_a_failed_command_shows_what_it_said(hypervisor):
    with pytest.raises(CommandFailed, match="does not exist"):
        hypervisor.run(["ip", "link", "show", "dev", "missing0"])


def test_frames_pass_between_vepa_taps_only_while_the_port_reflects(lab, hypervisor):
    first, second = make_macvtap(hypervisor, "macvtap0"), make_macvtap(hypervisor, "macvtap1")
    assert frame_through(hypervisor, *first, hypervisor, *second)
    lab.switch.set_hairpin(False)
    assert frame_through(hypervisor, *first, hypervisor, *second, timeout=0.3) is None
    lab.switch.set_hairpin("h0-eth0", True)
    assert frame_through(hypervisor, *first, hypervisor, *second)


def test_frames_pass_between_bridge_taps_without_the_switch(lab, hypervisor):
    lab.switch.set_hairpin(False)
    first, second = (make_macvtap(hypervisor, name, mode="bridge") for name in ("macvtap0", "macvtap1"))
    assert frame_through(hypervisor, *first, hypervisor, *second)


def test_frames_pass_between_hypervisors(two_hypervisors):
    first, second = (make_macvtap(hypervisor, "macvtap0") for hypervisor in two_hypervisors)
    assert frame_through(two_hypervisors[0], *first, two_hypervisors[1], *second)


def test_an_interface_of_the_switch_hears_the_guest(lab, hypervisor):
    tap, mac = make_macvtap(hypervisor, "macvtap0")
    with open_interface(lab.switch, "h0-eth0") as wire, open_tap(hypervisor, tap) as guest:
        frame = ethernet(BROADCAST, mac, EXPERIMENTAL, b"hello")
        guest.send(frame)
        assert wire.receive(ethertype=EXPERIMENTAL, source=mac) == frame


def test_what_is_not_a_tap_is_refused(hypervisor):
    hypervisor.run(["touch", "/dev/tap99"])
    for path in ("/dev/tap99", "/dev/null", "/dev/missing"):
        with pytest.raises(OSError, match=path):
            open_tap(hypervisor, path)


def test_addresses_are_reachable(lab, hypervisor):
    assert lab.switch.addresses == ["192.0.2.1/24", "2001:db8::1/64"]
    assert hypervisor.addresses == ["192.0.2.11/24", "2001:db8::b/64"]
    connect = "import socket, sys; socket.create_connection((sys.argv[1], 9), 2)"
    for address in ("192.0.2.11", "2001:db8::b"):
        refused = lab.switch.run([sys.executable, "-c", connect, address], check=False)
        assert "ConnectionRefusedError" in refused.stderr


def test_the_interpreter_runs_inside_also_when_started_from_inside(hypervisor):
    program = "import os; print(os.listdir('/sys/class/net').count('eth1'), os.environ['LINUXNET_LAB'])"
    from_outside = subprocess.run([hypervisor.python, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert from_outside.stdout == "1 hypervisor0\n"
    assert hypervisor.run([hypervisor.python, "-c", program]).stdout == "1 hypervisor0\n"


def test_the_inventory_names_every_hypervisor(lab):
    inventory = json.loads(Path(lab.write_inventory()).read_text(encoding="utf-8"))
    host = inventory["hypervisors"]["hosts"]["hypervisor0"]
    assert host["ansible_python_interpreter"] == lab.hypervisors[0].python
    assert host["lab_uplinks"] == ["eth0", "eth1"]


# Shows what the collection has on the hypervisor of a lab, after making something of each kind on the machine.
MACHINE_IN_USE = """
set -e
mount -t tmpfs scratch /run
mkdir /run/upper /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc
mkdir -p /etc/macvtap/networks /etc/systemd/system/multi-user.target.d /etc/udev/rules.d
touch /etc/macvtap/networks/n.xml /etc/udev/rules.d/90-macvtap.rules
touch /etc/systemd/system/multi-user.target.d/macvtap.conf
"$0" -c '
import sys
sys.path.insert(0, sys.argv[1])
from lab import Lab
with Lab() as lab:
    print(lab.hypervisors[0].run(["find", "/etc", "-name", "*macvtap*"]).stdout, end="")
' "$1"
ls /etc/macvtap/networks
"""


def test_a_hypervisor_has_nothing_of_what_the_collection_made_on_the_machine():
    command = ["unshare", "--mount", "sh", "-c", MACHINE_IN_USE, sys.executable, str(TESTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("n.xml\n", "")
