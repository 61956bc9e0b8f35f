# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The worst names at the kernel, at ip and at QEMU: refused in one sentence, or read back as they were written.

The sinks that need none of these are in tests/unit/plugins/module_utils/test_hostilepy.
"""

import contextlib
import json
import re
import string
import subprocess
import sys

import pytest
from module_host import ATTACH, NETWORK

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import read_tag, tag_text
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import OwnerTag
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.names import (
    _FORBIDDEN,
    check_guest_name,
    check_ifname,
    check_network_name,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.paths import file_name
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qemu import option
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.hostile import NAMES


def accepted(check):
    """The worst names that ``check`` lets through."""
    names = []
    for name in NAMES.values():
        try:
            check(name)
        except InvalidInput:
            continue
        names.append(name)
    return names


GUESTS = accepted(check_guest_name)


def wanted(networks=None):
    """Attachments of all the worst guests, each on the worst network of the same place in the table, as far as one
    mark can hold both names."""
    entries = []
    for guest, network in zip([*GUESTS, "plain"], networks or [None] * 1000):
        with contextlib.suppress(InvalidInput):
            tag_text(OwnerTag(guest, 0, network))
            entries.append({"guest": guest, **({"network": network} if network else {"device": "eth0"})})
    return entries


def test_guests_come_back_from_the_kernel_to_the_letter(host):
    entries = wanted()
    names = [entry["guest"] for entry in entries]
    assert len(names) > 45
    assert [row["guest"] for row in host.converges(ATTACH, attachments=entries)["attachments"]] == names
    # each alias is one line of plain words to everybody else
    aliases = [link["ifalias"] for link in host.links().values()]
    assert sorted(read_tag(alias).guest for alias in aliases) == sorted(names)
    assert all(alias.isascii() and alias.isprintable() for alias in aliases)
    info = host.module("macvtap_info")["attachments"]
    assert sorted(row["guest"] for row in info) == sorted(names) and not any(row["problems"] for row in info)
    assert [row["guest"] for row in host.detach(guest=names[7])["attachments"]] == [names[7]]


@pytest.mark.parametrize("name", ["nothing", "a second line", "the end of a C string", "no character", "very long"])
def test_what_no_guest_can_be_called_is_refused(host, name):
    guest = NAMES[name]
    assert "the guest name" in host.refusal(ATTACH, attachments=[{"guest": guest, "device": "eth0"}])
    assert guest not in GUESTS


def test_a_boot_plays_the_worst_names_back(host):
    """``ip -batch`` reads the file that macvtap_persist wrote, on a host without links."""
    networks = accepted(check_network_name)
    given = [{"name": name, "mode": "vepa", "devices": ["eth0"]} for name in networks]
    rows = host.attach(attachments=wanted(networks), networks=given)["attachments"]
    assert len(rows) > 40 and any(row["network"] != row["guest"] for row in rows)
    host.module("macvtap_persist", attachments=rows)
    before = {name: (link["ifalias"], link["address"], link["ifindex"]) for name, link in host.links().items()}
    host.detach(ifname=list(before))
    assert host.links() == {}
    for step in ("create", "up"):
        host.run(["ip", "-force", "-batch", f"/etc/macvtap/boot/eth0.{step}"])
    after = {name: (link["ifalias"], link["address"], link["ifindex"]) for name, link in host.links().items()}
    assert after == before
    host.module("macvtap_persist", state="absent", attachments=[{"guest": row["guest"]} for row in rows])
    found = host.run(["sh", "-c", "find /etc -path '*macvtap*' -name '*macvtap*' -o -path '*macvtap/boot*'"]).stdout
    assert "boot" not in found and "90-macvtap" not in found


def define_networks(host):
    """The worst names of networks, defined."""
    names = accepted(check_network_name)
    for name in names:
        host.network(name=name, devices=["eth0"])
    return names


def test_definitions_of_the_worst_networks_lie_where_they_belong(host):
    names = define_networks(host)
    assert len(names) > 45
    everything = host.run(["find", "/etc/macvtap", "-type", "f", "-print0"]).stdout.split("\0")[:-1]
    assert sorted(everything) == sorted(f"/etc/macvtap/networks/{name}.xml" for name in names)
    assert sorted(row["name"] for row in host.module("macvtap_info")["networks"]) == sorted(names)
    for name in names:
        assert host.network(name=name, state="absent")["changed"]
    assert host.run(["find", "/etc/macvtap", "-type", "f"]).stdout == ""


@pytest.mark.parametrize("name", ["a comma", "a second line", "up", "out", "root", "a path", "nothing"])
def test_a_path_is_no_name_of_a_network(host, name):
    options = {"name": NAMES[name], "devices": ["eth0"]}
    if name == "a comma":
        assert host.network(**options)["network"]["path"] == f"/etc/macvtap/networks/{NAMES[name]}.xml"
    else:
        assert host.refusal(NETWORK, **options).startswith("the network name ")


#: Tries each name given as JSON on a link, by ioctl, which expands nothing; prints those that the kernel took.
RENAME = r"""
import fcntl, json, socket, struct, sys
SIOCSIFNAME = 0x8923
taken, now, control = [], b"dummy9", socket.socket()
for name in json.load(sys.stdin):
    raw = name.encode()
    if len(raw) > 15:
        continue
    try:
        fcntl.ioctl(control, SIOCSIFNAME, struct.pack("16s16s8x", now, raw))
    except OSError:
        continue
    now = raw
    taken.append(name)
print(json.dumps(taken))
"""


def test_link_names_are_what_the_kernel_takes_every_length_and_character(host):
    singles = [f"a{chr(number)}b" for number in range(1, 0x250)]
    others = ["ab" + character for character in "\u0300\u05d0\u0660\u1680\u2000\u2028\u202e\u3000\ufeff\uffff🙂"]
    lengths = ["x" * number for number in range(18)] + ["é" * number for number in range(10)]
    alone = list(string.printable)
    names = list(dict.fromkeys([*singles, *others, *lengths, *alone, ".", "..", "...", *NAMES.values()]))
    names = [name for name in names if not re.search("[\ud800-\udfff]", name)]
    host.ip("link add dummy9 type veth peer name dummy8")
    done = host.run([sys.executable, "-I", "-c", RENAME], input=json.dumps(names))
    taken = set(json.loads(done.stdout))
    ours = set(accepted_of(names))
    # C ends a text at a NUL, so the kernel sees another name there
    assert [name for name in ours if name not in taken] == []
    # and what the kernel takes and we do not would not be one line of text, or is expanded by it
    assert all("%" in name or not name.isprintable() or "\0" in name or _FORBIDDEN.search(name)
               for name in taken - ours)  # fmt: skip
    assert len(ours) > 400


def accepted_of(names):
    for name in names:
        try:
            yield check_ifname(name)
        except InvalidInput:
            continue


def test_qemu_reads_the_worst_guest_names_and_paths(host):
    """By its own parser of options, asked over QMP what it has understood."""
    names = accepted(file_name)
    assert len(names) > 40
    host.run(["mkdir", "-p", "/run/worst"])
    for name in names:
        title = option({"guest": name})
        chardev = option({"backend": "file", "id": "console", "path": "/run/worst/" + name[:120]}, first="backend")
        command = ["qemu-system-x86_64", "-M", "none", "-S", "-display", "none", "-nodefaults", "-no-user-config"]
        command += ["-name", title, "-chardev", chardev, "-qmp", "stdio"]
        asked = '{"execute":"qmp_capabilities"}{"execute":"query-name"}{"execute":"quit"}'
        done = host.run(command, input=asked, check=False)
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert {"return": {"name": name}} in answers, (name, done.stdout, done.stderr)
    made = host.run(["find", "/run/worst", "-type", "f", "-print0"]).stdout.split("\0")[:-1]
    assert set(made) == {"/run/worst/" + name[:120] for name in names}


def test_nobody_was_obeyed(host):
    """Several of the names ask a shell or a template to leave a file."""
    assert subprocess.run(["ls", "/tmp/owned"], capture_output=True, check=False).returncode != 0
    assert host.run(["ls", "/tmp/owned"], check=False).returncode != 0
