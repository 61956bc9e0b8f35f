# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What guides and documentation say of the kernel, QEMU, systemd, network managers, shells and YAML, shown by them.

``test_libvirt_habits`` does the same for libvirt.
"""

import errno
import os
import socket
import subprocess

import pytest
import yaml
from lab import CommandFailed
from persist_lab import NETWORKD, need, start_udev, wait_for
from test_persist_managers import start_bus

pytestmark = pytest.mark.usefixtures("clean_boot")


def said_by(*command, text=""):
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_kernel_puts_a_macvtap_beside_the_one_that_is_named_and_on_ethernet_devices_only(host):
    host.ip(
        "link add link eth0 name first type macvtap",
        "link add link first name second type macvtap",
        "tuntap add tun0 mode tun",
    )
    try:
        assert host.link("second")["link"] == "eth0"
        for device in ("tun0", "lo"):
            with pytest.raises(CommandFailed, match="Invalid argument"):
                host.ip(f"link add link {device} type macvtap")
    finally:
        host.ip("link delete tun0", "link delete first", "link delete second")


def test_the_kernel_logs_each_queue_length_that_it_refuses(host):
    names = {kind: f"{kind}{os.getpid()}" for kind in ("held", "loud", "calm")}
    nics = [{"guest": kind, "device": "eth0", "ifname": name} for kind, name in names.items()]
    rows = host.attach(attachments=nics)["attachments"]
    for kind, qdisc in (("held", "pfifo"), ("loud", "pfifo_fast"), ("calm", "pfifo")):
        host.run(["tc", "qdisc", "replace", "dev", names[kind], "root", qdisc])
    host.hold(rows[0]["tap_path"])
    host.refusal("macvtap_attach", state="absent", ifname=list(names.values()))
    log = said_by("dmesg")
    logged = [kind for kind, name in names.items() if f"{name}: refused to change device tx_queue_len" in log]
    assert logged == ["held", "loud"]


def test_lengths_that_the_kernel_allows(tmp_path):
    (tmp_path / ("x" * 255)).touch()
    with pytest.raises(OSError, match="too long"):
        (tmp_path / ("x" * 256)).touch()
    assert os.path.exists("/" * 4094 + ".")
    with pytest.raises(OSError, match="too long"):
        os.stat("/" * 4095 + ".")
    subprocess.run(["/bin/true", "x" * (128 * 1024 - 1)], check=True)
    with pytest.raises(OSError) as raised:
        subprocess.run(["/bin/true", "x" * (128 * 1024)], check=True)
    assert raised.value.errno == errno.E2BIG


def test_yaml_reads_what_has_no_quotes_as_something_else():
    written = ("0660", "no", "1234", "52:54:00:12:34:56", "02:00:00:00:00:0a")
    assert [type(yaml.safe_load(text)) for text in written] == [int, bool, int, int, str]


def test_dash_knows_no_descriptor_above_9():
    for number, works in ((9, True), (10, False)):
        assert (said_by("dash", "-c", f"exec {number}</dev/null") == "") == works
        assert said_by("bash", "-c", f"exec {number}</dev/null") == ""


QEMU = "qemu-system-x86_64"


def test_the_machine_that_qemu_takes_by_default_is_pc():
    (default,) = [line for line in said_by(QEMU, "-machine", "help").splitlines() if "(default)" in line]
    assert default.startswith("pc-i440fx-")
    assert f"(alias of {default.split()[0]})" in said_by(QEMU, "-machine", "help")


def test_what_qemu_says_without_kvm(host):
    host.run(["rm", "-f", "/dev/kvm"])
    said = host.run([QEMU, "-accel", "kvm", "-display", "none"], check=False).stderr
    assert "Could not access KVM kernel module" in said


def test_microvm_takes_virtio_net_device():
    for driver, works in (("virtio-net-device", True), ("virtio-net-pci", False)):
        options = ["-machine", "microvm", "-accel", "tcg", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio"]
        said = said_by(QEMU, *options, "-netdev", "user,id=a", "-device", f"{driver},netdev=a", text="quit\n")
        assert ("No 'PCI' bus found" not in said) == works


def test_systemd_passes_descriptors_from_3_on(tmp_path):
    path = tmp_path / "socket"
    script = "readlink /proc/$$/fd/3; echo $LISTEN_FDS"
    command = ["systemd-socket-activate", f"--listen={path}", "/bin/sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        wait_for(path.exists, "the socket")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            lines = process.communicate(timeout=30)[0].splitlines()
    assert lines[0].startswith("socket:") and lines[1] == "1"


def test_systemd_reads_no_line_of_more_than_1_mib(tmp_path):
    unit = tmp_path / "long.service"
    for length, works in ((1024 * 1024 - 100, True), (1024 * 1024 + 1, False)):
        unit.write_text("[Service]\nExecStart=/bin/true\nEnvironment=A=" + "x" * length + "\n", encoding="ascii")
        said = said_by("systemd-analyze", "verify", "--man=no", str(unit))
        assert ("long.service" not in said) == works, said[-300:]


def test_udev_sets_an_mtu_and_replaces_an_address_that_nobody_chose(host):
    policy = "[Match]\nOriginalName=macvtap*\n\n[Link]\nMACAddressPolicy=persistent\n"
    mtu = "[Match]\nOriginalName=eth1\n\n[Link]\nMTUBytes=1400\n"
    host.run(["mkdir", "-p", "/etc/systemd/network"])
    host.run(["tee", "/etc/systemd/network/50-mac.link"], input=policy)
    host.run(["tee", "/etc/systemd/network/50-mtu.link"], input=mtu)
    host.run(["tee", "/etc/machine-id"], input="0123456789abcdef0123456789abcdef\n")
    host.ip(
        "link add link eth0 name macvtap0 type macvtap",
        "link add link eth0 name macvtap1 address 02:00:00:00:00:11 type macvtap",
    )
    drawn = host.link("macvtap0")["address"]
    start_udev(host)
    host.run(["udevadm", "trigger", "--settle", "--action=add", "--subsystem-match=net"])
    assert host.link("eth1")["mtu"] == 1400
    assert host.link("macvtap0")["address"] != drawn
    assert host.link("macvtap1")["address"] == "02:00:00:00:00:11"


def test_networkd_keeps_a_bridge_port_reflecting(host):
    need("systemd-networkd")
    files = {
        "50-port.network": "[Match]\nName=port0\n\n[Network]\nBridge=br0\n\n[Bridge]\nHairPin=yes\n",
        "50-br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n",
    }
    host.run(["mkdir", "-p", "/etc/systemd/network"])
    for name, text in files.items():
        host.run(["tee", f"/etc/systemd/network/{name}"], input=text)
    start_udev(host)
    start_bus(host)
    host.ip("link add port0 type veth peer name port1")
    host.run(["sh", "-c", "mkdir -p /run/systemd/netif/links /run/systemd/netif/leases; chmod -R 777 /run/systemd"])
    host.run(["udevadm", "trigger", "--settle", "--action=add", "--subsystem-match=net"])
    host.spawn([NETWORKD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shown = ["bridge", "-d", "link", "show", "dev", "port0"]
    wait_for(lambda: "hairpin on" in host.run(shown, check=False).stdout, "a port that reflects")
    host.ip("link delete port0", "link delete br0")


def test_network_manager_has_a_property_for_it():
    port = ["type", "ethernet", "con-name", "a", "ifname", "port0", "master", "br0", "slave-type", "bridge"]
    said = said_by("nmcli", "--offline", "connection", "add", *port, "bridge-port.hairpin-mode", "yes")
    assert "[bridge-port]\nhairpin-mode=true" in said
