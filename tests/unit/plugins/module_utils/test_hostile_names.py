# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The worst names at every place that a name gets to: refused in one sentence, or read back as it was written.

Where the reader is a program (a shell, systemd), that program reads it back. ip, the kernel and QEMU do so in
tests/kernel/test_hostile_names.py.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import entry as boot
from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import files as boot_files
from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import reading as boot_reading
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core import names
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput, MacvtapError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import read_tag, tag_text
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Network, OwnerTag
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.paths import file_name, paths_of
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qemu import (
    QemuNic,
    nics_of,
    open_files,
    option,
    redirections,
    tap_guard,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.unit import UnitSpec, unit_name, unit_text
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt import definitions
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.domain import parse_domain
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.interface import interface_xml
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import network_xml, parse_network
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import text_file
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.tap_guard import device_file
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import options
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.hostile import NAMES
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.test_boot_entry import MANAGERS, row

each_name = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
#: the same examples in every run, unless more are asked for
THOROUGH = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")),
    deadline=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
)
NIC = QemuNic(0, "02:00:00:00:00:01", 1500, 2, "/dev/tap7", (246, 3), "macvtap0")


def accepted(check, *values):
    """What ``check`` makes of the values; None when it refuses them, which it does in one printable line."""
    try:
        return check(*values)
    except MacvtapError as exc:
        said = str(exc)
        assert said.isprintable() and 10 < len(said) < 600, said
        return None


def checked_mark(tag):
    """The mark of what was checked as options are."""
    names.check_guest_name(tag.guest)
    if tag.network is not None:
        names.check_network_name(tag.network)
    return tag_text(tag)


# -- the mark ----------------------------------------------------------------------------------------------------------


@each_name
def test_a_mark_is_one_line_of_words_and_says_what_was_meant(name):
    for tag in (OwnerTag(name, 0), OwnerTag(name, 999, "net", 256), OwnerTag("web", 1, name)):
        text = accepted(checked_mark, tag)
        if text is None:
            continue
        assert read_tag(text) == tag
        assert text.isascii() and text.isprintable() and len(text) <= 255
        # what ip -batch, its quotes and its comments would stumble over
        assert not set(text) & set('"#\\')
        assert len(text.split()) == 3 + (tag.network is not None) + (tag.queues != 1)


@each_name
def test_an_alias_of_somebody_else_is_no_mark_unless_it_is_one_to_the_letter(name):
    tag = read_tag(name)
    assert tag is None or tag_text(tag) == name


# -- files of the boot -------------------------------------------------------------------------------------------------


@each_name
def test_guests_and_networks_in_the_boot_files_are_data_and_nothing_else(name):
    for values in ({"guest": name}, {"network": name}):
        entries = accepted(boot.entries, [{**row(), **values}])
        if entries is None:
            continue
        plain = boot_files.files(boot.entries([row()]), {}, MANAGERS)
        written = boot_files.files(entries, {}, MANAGERS)
        assert boot_reading.read(written) == entries
        for path, text in written.items():
            # it differs from the files of a plain guest in the quoted mark, and nowhere else
            words = re.sub(r'alias "[^"]*"', "alias", text)
            assert words == re.sub(r'alias "[^"]*"', "alias", plain[path]), path
            assert text.count('"') == plain[path].count('"') and len(text.splitlines()) == text.count("\n")


@pytest.mark.parametrize(
    "field", ["ifname", "device", "tap_owner", "tap_group", "tap_mode", "mac", "mode", "link_state"]
)
def test_everything_else_in_the_boot_files_is_plain_or_refused(field):
    for name in NAMES.values():
        entries = accepted(boot.entries, [{**row(), field: name}])
        if entries is not None and name:
            assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name)


@pytest.mark.parametrize("field", ["nic", "ifindex", "mtu", "queues"])
def test_a_number_in_the_boot_files_is_a_number(field):
    for name in NAMES.values():
        entries = accepted(boot.entries, [{**row(), field: name}])
        assert entries is None or name == ""


# -- definitions and XML -----------------------------------------------------------------------------------------------


@each_name
def test_a_network_lies_in_its_directory_and_is_read_as_it_was_written(tmp_path, name):
    network = accepted(lambda: Network(names.check_network_name(name), "vepa", ("eth0",)))
    if network is None:
        return
    path = definitions.path_of(str(tmp_path), name)
    text_file.replace(path, None, network_xml(network), definitions.WHAT)
    assert [entry.name for entry in tmp_path.iterdir()] == [name + ".xml"]
    assert definitions.read(str(tmp_path), name)._replace(xml=None) == network
    assert parse_network(network_xml(network)).name == name
    assert definitions.names(str(tmp_path)) == [name]


@each_name
def test_a_link_name_in_the_interface_for_libvirt(name):
    if accepted(names.check_ifname, name) is not None:
        root = etree.fromstring(interface_xml(NIC.mac, name))
        assert root.find("target").get("dev") == name and len(root) <= 4


@each_name
def test_a_domain_with_a_name_or_a_source_or_a_target_like_that(name):
    domain = etree.Element("domain")
    guest = etree.SubElement(domain, "name")
    interface = etree.SubElement(etree.SubElement(domain, "devices"), "interface", type="network")
    source, target = etree.SubElement(interface, "source"), etree.SubElement(interface, "target")
    try:
        guest.text = name
        source.set("network", name)
    except ValueError:
        # XML cannot even say it
        assert accepted(names.check_guest_name, name) is None
        return
    target.set("dev", "x")
    for nic in accepted(parse_domain, etree.tostring(domain)) or ():
        assert nic.guest == name and (nic.network == name or nic.objection)
    guest.text = "web"
    source.set("network", "n")
    target.set("dev", name)
    for nic in accepted(parse_domain, etree.tostring(domain)) or ():
        assert nic.ifname in (None, name) and (nic.ifname is None or names.check_ifname(name))


# -- guests: files, units, shell, QEMU ---------------------------------------------------------------------------------


def unit(name, log_dir="/var/log/qemu-guests", version=257, nic=NIC, command=("/bin/true",)):
    spec = UnitSpec(
        name=name,
        user="daemon",
        group="daemon",
        extra_group=None,
        systemd_version=version,
        udev=True,
        python="/bin/true",
        start_timeout=30,
        stop_timeout=60,
    )
    paths = paths_of(file_name(name), "/run/qemu-guests", log_dir)
    return unit_text(spec, [*command, name], [nic] if nic else [], paths)


@each_name
def test_files_sockets_and_units_of_a_guest_have_plain_names(name):
    stem = accepted(file_name, name)
    if stem is not None:
        assert PLAIN.fullmatch(stem) and len(stem) < 60 and stem not in (".", "..")
        assert unit_name(stem) == "qemu-guest-%s.service" % stem
        assert stem == name or stem not in NAMES.values()


def test_no_two_guests_share_files():
    stems = [stem for stem in (accepted(file_name, name) for name in NAMES.values()) if stem is not None]
    assert len(set(stems)) == len(stems) > 30


@pytest.mark.parametrize("version", [252, 257])
def test_systemd_reads_every_line_of_a_unit_as_the_one_it_is(tmp_path, version):
    """A name that continued a line would swallow the setting after it; one that began a line would add one."""
    plain = unit("plain", version=version)
    files, expected = [], {}
    for number, name in enumerate(NAMES.values()):
        text = accepted(unit, name, "/var/log/qemu-guests", version)
        if text is None:
            continue
        # as many lines with the same keys
        assert settings_in(text) == settings_in(plain)
        file = tmp_path / ("unit%d.service" % number)
        lines = [line for line in text.split("\n") if not line.startswith("#")]
        with_canaries = []
        for position, line in enumerate(lines):
            with_canaries.append(line)
            if line and not line.startswith("["):
                with_canaries.append("Canary%d=x" % position)
        file.write_text("\n".join(with_canaries) + "\n", encoding="utf-8")
        expected[file.name] = {line for line in with_canaries if line.startswith("Canary")}
        files.append(str(file))
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    for file, keys in expected.items():
        said = [line for line in done.stderr.splitlines() if file in line]
        seen = {key.split("=")[0] for key in keys if any("'%s'" % key.split("=")[0] in line for line in said)}
        assert seen == {key.split("=")[0] for key in keys}, file
        other = [line for line in said if "Canary" not in line and "OpenFile" not in line]
        assert other == [], file
    assert len(files) > 30


def test_systemd_reads_a_word_of_a_command_line_as_it_was_meant(tmp_path):
    """It complains of each program by the name that it has read; ``$$`` only becomes ``$`` when the command is run."""
    files, expected = [], []
    for number, name in enumerate(NAMES.values()):
        program = "/nowhere/%d/%s" % (number, name)
        text = accepted(unit, "web", "/var/log/qemu-guests", 257, None, (program,))
        if text is None or name.endswith(("/", ".")) or "//" in program or not name or len(name.encode()) > 200:
            # systemd tidies paths up
            continue
        file = tmp_path / ("unit%d.service" % number)
        file.write_text(text, encoding="utf-8")
        files.append(str(file))
        # what it says goes out line by line, and a carriage return ends one
        expected.append(program.replace("$", "$$").replace("\r", "\n"))
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, check=False)
    said = done.stderr.decode(errors="surrogateescape")
    for program in expected:
        assert (
            "Command %s is not executable" % program in said or "contains special characters: %s\n" % program in said
        ), program
    assert len(expected) > 40


@each_name
def test_a_directory_for_logs_adds_no_setting(name):
    text = accepted(unit, "web", "/var/log/" + name)
    if text is not None:
        plain = unit("web")
        assert settings_in(text) == settings_in(plain)
        assert not any(line.endswith("\\") for line in text.split("\n"))


@each_name
def test_a_shell_opens_the_file_that_a_path_names(tmp_path, name):
    """For the redirections of the filter qemu_netdev, which a user puts into a script of their own."""
    path = str(tmp_path) + "/" + name
    nics = accepted(nics_of, [{"mac": NIC.mac, "tap_path": path}])
    if nics is None or "/" in name or name in ("", ".", "..") or len(name.encode()) > 255:
        return
    (word,) = redirections(nics)
    assert shlex.split(word)[0] == "3<>" + path
    for shell in ("/bin/sh", "/bin/bash"):
        subprocess.run([shell, "-c", ": " + word], check=True, cwd=tmp_path)
        assert [entry.name for entry in tmp_path.iterdir()] == [name]


@each_name
def test_open_file_of_systemd_is_one_plain_word_with_two_colons_at_most(name):
    nics = accepted(nics_of, [{"mac": NIC.mac, "tap_path": "/dev/" + name}])
    files = accepted(open_files, nics) if nics is not None else None
    for file in files or ():
        assert re.fullmatch(r"[A-Za-z0-9/._\\-]+:net0-0", file)
        escaped = file.rpartition(":")[0]
        assert re.sub(r"\\x(..)", lambda match: chr(int(match[1], 16)), escaped).encode("latin-1").decode() == (
            "/dev/" + name
        )


PLAIN_VALUES = {"tap_path": "/dev/tap7", "mac": NIC.mac}


def settings_in(text):
    """The keys of a unit, line by line."""
    return [line.split("=")[0] for line in text.split("\n")]


@pytest.mark.parametrize("key", ["mac", "tap_path", "nic", "mtu", "queues", "tap_major", "tap_minor", "ifname"])
def test_an_attachment_with_a_value_like_that_is_refused_or_harmless(key):
    for name in NAMES.values():
        nics = accepted(nics_of, [{"mac": NIC.mac, "tap_path": "/dev/tap7", "ifname": "macvtap0", key: name}])
        for nic in nics or ():
            text = accepted(unit, "web", "/var/log", 257, nic)
            if text is not None:
                assert settings_in(text) == settings_in(unit("web", "/var/log", 257, nic._replace(**PLAIN_VALUES)))


@each_name
def test_a_value_in_a_qemu_option_stays_one_value(name):
    text = option({"guest": name, "x": "y"})
    # QEMU's own rule (get_opt_value): a comma ends a value, two are one
    value = re.match(r"guest=((?:[^,]|,,)*),x=y$", text, re.DOTALL)
    assert value is not None and value[1].replace(",,", ",") == name


@each_name
def test_a_value_in_qmp_stays_one_value(name):
    assert json.loads(json.dumps({"arguments": {"id": name}}))["arguments"]["id"] == name
    assert "\n" not in json.dumps({"id": name})


# -- options -----------------------------------------------------------------------------------------------------------

ENTRY = dict.fromkeys(["guest", *options.NIC])


@pytest.mark.parametrize("key", ["guest", "network", "device", "mac", "ifname"])
def test_an_option_is_kept_to_the_letter_or_refused_by_name(key):
    for name in NAMES.values():
        nics = accepted(options.nics, [{**ENTRY, key: name}])
        for nic in nics or ():
            assert getattr(nic, key) == name


@each_name
def test_owner_group_mode_and_prefix(name):
    policy = {"device_dir": "/dev", "device_owner": None, "device_group": None, "device_mode": None}
    for key in ("device_owner", "device_group", "device_mode"):
        assert accepted(options.node_policy, {**policy, key: name}) is None
    assert accepted(names.check_mac_prefix, name) is None


@THOROUGH
@given(st.text(max_size=300))
def test_a_name_that_is_accepted_comes_back(name):
    guest = accepted(names.check_guest_name, name)
    if guest is not None:
        assert guest == name
        text = accepted(tag_text, OwnerTag(name, 0))
        assert text is None or (read_tag(text) == OwnerTag(name, 0) and text.isascii())
    stem = accepted(file_name, name)
    assert stem is None or PLAIN.fullmatch(stem)
    network = accepted(names.check_network_name, name)
    assert network is None or parse_network(network_xml(Network(name, "vepa", ("eth0",)))).name == name


OCTET = st.integers(0, 255).flatmap(lambda n: st.sampled_from(["%x" % n, "%02x" % n, "%X" % n, "%02X" % n]))


@THOROUGH
@given(st.lists(OCTET, min_size=0, max_size=8).map(":".join) | st.text("0123456789abcdefABCDEF:-. gx", max_size=20))
def test_a_mac_that_is_accepted_is_six_octets_in_one_spelling(text):
    mac = accepted(names.check_mac, text)
    if mac is None:
        return
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", mac) and names.check_mac(mac) == mac
    assert [int(octet, 16) for octet in mac.split(":")] == [int(octet, 16) for octet in text.split(":")]
    assert not int(mac[:2], 16) & 1 and int(mac.replace(":", ""), 16)


def test_the_tables_refuse_and_accept_enough_to_mean_something():
    good = [name for name in NAMES.values() if accepted(names.check_guest_name, name) is not None]
    assert 40 < len(good) < len(NAMES) - 10
    with pytest.raises(InvalidInput):
        names.check_guest_name(NAMES["a second line"])


@each_name
def test_the_guard_of_a_tap_looks_where_the_name_of_the_link_says(tmp_path, name):
    """In the shells of Debian and Fedora, and in Python's glob, which the modules look with."""
    nics = accepted(nics_of, [{"mac": NIC.mac, "tap_path": "/dev/tap7", "ifname": name}])
    if nics is None or not nics[0].ifname:
        return
    number = tmp_path / "class" / "net" / name / "macvtap" / "tap7" / "dev"
    number.parent.mkdir(parents=True)
    number.write_text("1:3\n", encoding="ascii")
    pattern = str(tmp_path) + device_file(nics[0].ifname, nics[0].tap_path)
    assert glob.glob(pattern) == [str(number)]
    words = [word.replace("/sys/", f"{tmp_path}/", 1) for word in tap_guard(nics)]
    for shell in (["dash"], ["bash"]):
        command = [*shell, *words[1:], "printf", "%s", name]
        for file, status, said in (("/dev/null", 0, name), ("/dev/zero", 1, "")):
            done = subprocess.run(
                ["sh", "-c", f'exec "$@" 3<>{file}', "-", *command], capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stdout) == (status, said), done.stderr
