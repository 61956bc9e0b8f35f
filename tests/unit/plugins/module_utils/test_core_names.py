# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a name or a MAC address may be."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core import names
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput


@pytest.mark.parametrize(
    "name",
    ["vepanet", "a b", " ", 'o\'neil "x" & <y>', "网络 🙂", "naïve", "-rf", ".hidden", "...", "$(id)", "%s{{ x }}"]
    + ["n" * 247, "é" * 123],
)
def test_network_name_may_be_any_text_that_can_be_a_file_name(name):
    assert names.check_network_name(name) == name
    assert len((name + ".xml").encode()) <= 251


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        (".", "file name"),
        ("..", "file name"),
        ("../../x", "'../../x'"),
        ("a/b", "without '/'"),
        ("a\nb", "U+000A"),
        ("a\0b", "U+0000"),
        ("a\x7f", "U+007F"),
        ("a\x85", "U+0085"),
        ("\ud800", "U+D800"),
        ("a\uffff", "U+FFFF"),
        ("n" * 248, "248 bytes"),
        ("é" * 124, "248 bytes"),
        (None, "not text"),
        (7, "not text"),
        (["a"], "not text"),
    ],
)
def test_network_name_is_refused_with_its_value(name, said):
    with pytest.raises(InvalidInput, match="network name") as caught:
        names.check_network_name(name)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["web", "web 1", "a/b", "网络", "g" * 226])
def test_guest_name_may_be_any_text(name):
    assert names.check_guest_name(name) == name


@pytest.mark.parametrize("name", ["", "a\tb", "a\x1b[31m", "g" * 227, "é" * 114, None])
def test_guest_name_is_refused(name):
    with pytest.raises(InvalidInput, match="guest name"):
        names.check_guest_name(name)


@pytest.mark.parametrize("name", ["eth0", "eth0.100", "macvtap12", "a" * 15, "ü", "br-lan", "a'\"<&"])
def test_interface_name_is_what_the_kernel_takes(name):
    assert names.check_ifname(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "a" * 16, "ä" * 8, ".", "..", "a/b", "a:1", "tap%d", "a b", "a\t", "a\xa0b", "à", "a\0", "\ud800", None],
)
def test_interface_name_is_refused_as_the_kernel_would(name):
    with pytest.raises(InvalidInput, match="the target name"):
        names.check_ifname(name, "target name")


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("52:54:00:ab:cd:ef", "52:54:00:ab:cd:ef"),
        ("52:54:00:AB:CD:EF", "52:54:00:ab:cd:ef"),
        ("2:0:0:0:0:A", "02:00:00:00:00:0a"),
    ],
)
def test_mac_is_spelled_one_way(text, mac):
    assert names.check_mac(text) == mac
    assert names.normalize_mac(text) == mac


@pytest.mark.parametrize(
    "text",
    ["", "x", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:00", "52-54-00-ab-cd-ef", "525400abcdef", "52:54:00:ab:cd:0ef"]
    + [
        "52:54:00:ab:cd:",
        "52:54:00:ab:cd:ef\n",
        " 52:54:00:ab:cd:ef",
        "52:54:00:ab:cd:é",
        "٠٢:00:00:00:00:01",
        190440,
        None,
    ],
)
def test_mac_that_cannot_be_read_is_refused(text):
    with pytest.raises(InvalidInput, match="six hexadecimal octets"):
        names.normalize_mac(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("01:00:5e:00:00:01", "multicast"), ("ff:ff:ff:ff:ff:ff", "multicast"), ("0:0:0:0:0:0", "all zero")],
)
def test_mac_no_nic_can_have_is_refused(text, said):
    with pytest.raises(InvalidInput, match=said):
        names.check_mac(text)
    names.normalize_mac(text)


@pytest.mark.parametrize(
    ("text", "prefix"), [("02", "02"), ("2", "02"), ("52:54:0", "52:54:00"), ("0A:b:c:d:E", "0a:0b:0c:0d:0e")]
)
def test_mac_prefix_is_spelled_one_way(text, prefix):
    assert names.check_mac_prefix(text) == prefix


@pytest.mark.parametrize("text", ["", ":", "02:", "1:2:3:4:5:6", "xx", "03", "01:00", "525400", 2, None])
def test_mac_prefix_is_refused(text):
    with pytest.raises(InvalidInput, match="MAC prefix"):
        names.check_mac_prefix(text)


def test_long_value_is_cut_in_a_message():
    assert len(names.shown("x" * 1_000_000)) <= 80
    assert "\n" not in names.shown("a\nb")
