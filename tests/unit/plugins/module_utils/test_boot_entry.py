# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot entries: from rows to texts and back, merged and taken out."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import entry as boot
from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import files, reading
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import derived_indexes
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Guard
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.attributes import NODE_OPTIONS, OPTIONS
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.steps import WriteFile
from ansible_collections.linuxnet.macvtap.plugins.module_utils._traffic.guard import as_row

CREATE, UP = (files.batch_path("eth0", suffix) for suffix in (files.CREATE, files.UP))
MANAGERS = (files.NETWORK_MANAGER, files.DHCPCD)


def row(guest="web", nic=0, **values):
    """A row as macvtap_attach returns it."""
    return {
        "guest": guest,
        "nic": nic,
        "network": "vepanet",
        "ifname": "mv-%s%d" % (guest[:8], nic),
        "ifindex": next(derived_indexes(guest, nic)),
        "mac": "02:00:00:00:00:01",
        "mode": "vepa",
        "device": "eth0",
        "mtu": 1500,
        "queues": 1,
        "link_state": "up",
        "allmulticast": True,
        "promiscuous": False,
        "isolate_host": True,
        "broadcast_queue": 1000,
        "requested": {},
        "tap_path": "/dev/tap1",
        "tap_owner": "root",
        "tap_group": "kvm",
        "tap_mode": "0660",
        "libvirt_xml": "<interface/>",
        **values,
    }


def entries(*rows):
    return boot.entries(rows or [row()])


def texts(made, found=None, managers=MANAGERS):
    return files.files(boot.in_order(made), found or {}, managers)


def test_batch_files_create_silent_and_set_up_later():
    made = texts(entries(row(promiscuous=True, queues=2)))
    index = next(derived_indexes("web", 0))
    assert made[CREATE].splitlines()[1:] == [
        f"link add link eth0 name mv-web0 index {index} address 02:00:00:00:00:01 arp off allmulticast on promisc on"
        " type macvtap mode vepa",
        f'link set dev if{index} alias "linuxnet.macvtap guest=web nic=0 network=vepanet queues=2"',
    ]
    assert made[UP].splitlines()[1:] == [f"link set dev if{index} mtu 1500", f"link set dev if{index} up"]


def test_a_passthrough_link_gets_its_mac_again_and_one_that_is_down_is_not_set_up():
    up = texts(entries(row(mode="passthrough", link_state="down", isolate_host=False)))
    assert "address 02:00:00:00:00:01" in up[UP] and " up\n" not in up[UP]
    assert "mode passthru\n" in up[CREATE] and "arp off" not in up[CREATE]
    assert "disable_ipv6" not in up["/etc/sysctl.d/90-macvtap-eth0.conf"]


def test_every_file_says_who_wrote_it_and_ends_with_a_newline():
    for text in texts(entries()).values():
        assert text.startswith(files.HEADER) and text.endswith("\n")


NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), max_codepoint=0x2FF), min_size=1, max_size=24)
PLAIN = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,13}", fullmatch=True)


READABLE = "!$&'()*+,-./:;@[]^_`{|}~"


def mark_bytes(guest, network):
    """How long the alias of a guest's first NIC is, of which escaped names take most."""
    return sum(
        len(word)
        for word in ("linuxnet.macvtap guest= nic=0 network=", quote(guest, READABLE), quote(network, READABLE))
    )


@settings(deadline=None, max_examples=60)
@given(guest=NAMES, network=NAMES.filter(lambda name: "/" not in name and name not in (".", "..")), device=PLAIN)
@example(guest="0" + "\xa0" * 18, network="0" + "\xa0" * 18, device="eth0")
def test_what_is_written_is_read_again_whatever_the_names(guest, network, device):
    rows = [
        row(guest, number, network=name, device=device, ifname="link%d" % number, mode=mode, queues=number + 1, mtu=mtu)
        for number, (name, mode, mtu) in enumerate([(network, "vepa", 68), (None, "passthrough", 9000)])
    ]
    if mark_bytes(guest, network) > 255:
        event("too long for an alias")
        with pytest.raises(InvalidInput, match=r"attachments\[0\]: guest name .* is too long: the owner tag"):
            entries(*rows)
        return
    made = boot.in_order(entries(*rows))
    written = texts(made)
    assert reading.read(written) == made
    assert texts(reading.read(written)) == written
    for path, text in written.items():
        assert files.is_candidate(path) and files.is_ours(path, text)
        # one line is one statement, whatever a name holds
        assert len(text.splitlines()) == text.count("\n")
    for line in written[files.batch_path(device, files.CREATE)].splitlines()[1:]:
        assert "#" not in line and "\\" not in line and line.count('"') in (0, 2)


VLANS = st.lists(st.integers(1, 4094), unique=True, max_size=3).map(lambda vlans: tuple(sorted(vlans)))


def settings_of(option):
    """Values of every kind that an option can have."""
    if option.allowed:
        return st.integers(option.allowed[0], option.allowed[-1])
    if option.name == "guard":
        addresses, flags = st.sampled_from([None, (), ("192.0.2.1", "2001:db8::/64")]), [st.booleans()] * 4
        made = st.builds(Guard, st.booleans(), addresses, VLANS, *flags, st.none() | st.integers(1, 1_000_000))
        return st.none() | made.map(as_row)
    if option.name == "vf":
        function = st.fixed_dictionaries({}, optional={"vlan": st.integers(0, 4094), "trust": st.booleans()})
        return st.none() | function.filter(bool)
    if option.check:
        limit = st.builds(dict, average=st.integers(1, 1 << 20), peak=st.none(), burst=st.integers(1, 100))
        return st.one_of(st.none(), st.builds(dict, inbound=st.one_of(st.none(), limit), outbound=limit))
    return st.sampled_from(option.spec.get("choices", [False, True]))


@settings(deadline=None, max_examples=60)
@given(st.fixed_dictionaries({option.name: settings_of(option) for option in OPTIONS}))
def test_each_option_of_a_nic_that_is_written_is_read_again(asked):
    made = entries(row(**asked, tap_owner="107", tap_group="kvm", tap_mode="0640"))
    (found,) = reading.read(texts(made))
    assert found == made[0]
    assert {**asked, "tap_owner": "107", "tap_group": "kvm", "tap_mode": "0640"} == found.settings


def test_a_broadcast_queue_is_asked_for_before_the_link_is_up():
    made = texts(entries(row(broadcast_queue=5000)))
    index = next(derived_indexes("web", 0))
    assert made[UP].splitlines()[1:] == [
        f"link set dev if{index} {words}" for words in ("mtu 1500", "type macvtap bcqueuelen 5000", "up")
    ]


def test_what_a_virtual_function_gets_and_what_it_had_before_is_written():
    asked = {"vlan": 20, "trust": True, "spoof_check": False}
    made = entries(row(mode="passthrough", vf=asked, vf_before={"vlan": 0, "trust": False}))
    written = texts(made)
    index = next(derived_indexes("web", 0))
    assert written[files.batch_path("eth0", files.FUNCTION)].splitlines()[1:] == [
        f'# vf of {index}: {{"spoof_check": false, "trust": true, "vlan": 20}}',
        f"link vf if{index} vlan 20 trust on spoofchk off",
    ]
    assert " vf=v0t0sx" in written[CREATE]
    assert boot.as_row(made[0])["vf_before"] == {"vlan": 0, "trust": False, "spoof_check": None}


#: as 1.0 wrote them
OLD_BATCH = """\
link add link eth0 name macvtap0 index {0} address 02:00:00:00:00:01 arp off allmulticast on type macvtap mode vepa
link set dev if{0} alias "linuxnet.macvtap guest=web nic=0 network=vepanet"
link add link eth0 name macvtap1 index {1} address 02:00:00:00:00:02 promisc on type macvtap mode passthru
link set dev if{1} alias "linuxnet.macvtap guest=web nic=1"
"""
OLD_UP = """\
link set dev if{0} mtu 1500
link set dev if{0} up
link set dev if{1} address 02:00:00:00:00:02
link set dev if{1} mtu 1400
"""
OLD_RULE = (
    'SUBSYSTEM=="macvtap", KERNEL=="tap{0}", OWNER="qemu", GROUP="kvm", MODE="0660", SYMLINK+="macvtap/macvtap0"\n'
)


def test_files_of_1_0_are_read_and_written_again_to_the_letter():
    indexes = [next(derived_indexes("web", nic)) for nic in (0, 1)]
    old = {CREATE: OLD_BATCH, UP: OLD_UP, files.UDEV_RULES: OLD_RULE}
    old = {path: files.HEADER + text.format(*indexes) for path, text in old.items()}
    first, second = reading.read(old)
    assert first.settings == {
        "mtu": 1500, "isolate_host": True, "allmulticast": True, "promiscuous": False, "broadcast_queue": 1000,
        "bandwidth": None, "guard": None, "vf": None, "link_state": "up",
        "tap_owner": "qemu", "tap_group": "kvm", "tap_mode": "0660",
    }  # fmt: skip
    assert second.settings == {
        "mtu": 1400, "isolate_host": False, "allmulticast": False, "promiscuous": True, "broadcast_queue": 1000,
        "bandwidth": None, "guard": None, "vf": None, "link_state": "down",
        "tap_owner": "root", "tap_group": "root", "tap_mode": "0600",
    }  # fmt: skip
    new = texts([first, second])
    assert {path: new[path] for path in (CREATE, UP)} == {path: old[path] for path in (CREATE, UP)}
    assert OLD_RULE.format(*indexes) in new[files.UDEV_RULES]


def test_without_an_index_it_is_the_one_derived_for_the_nic():
    assert entries(row(ifindex=None)) == entries(row())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vf": {"vlan": 4095}}, "vf vlan 4095 is not possible; it must be 0 to 4094"),
        ({"vf_before": {"trust": 1}}, "vf_before trust 1 is not possible; it must be true or false"),
        ({"broadcast_queue": 0}, "broadcast_queue 0 is not a number from 1 to 4294967295"),
        ({"ifname": "a*"}, "the name 'a.' of the link has characters that mean something else"),
        ({"device": 'e"h'}, "of the lower device has characters that mean something else"),
        ({"tap_group": "domain users"}, "of the group of the tap has characters .* use its number"),
        ({"tap_owner": 'x", RUN+="/bin/sh'}, "of the owner of the tap has characters"),
        ({"tap_mode": "660"}, "tap_mode '660' is not an octal mode"),
        ({"ifindex": 12}, "ifindex 12 was chosen by the kernel.*stable_index=true"),
        ({"mac": "02:00:00:00:00:01 up"}, "MAC address"),
        ({"mode": "passthru"}, "mode 'passthru' is none of: vepa, bridge, private, passthrough"),
        ({"link_state": "up\nlink delete eth0"}, "link_state .* is none of"),
        ({"mtu": "1500 up"}, "mtu '1500 up' is not a number"),
        ({"guest": None}, "it has no guest; pass attachments as macvtap_attach returns them"),
        ({"guest": "a\nb"}, "contains the character"),
        ({"nic": True}, "nic True is not a number"),
        # what the mark is not read with again
        ({"nic": 1_000_000_000}, "nic 1000000000 is not a number from 0 to 999999999"),
        ({"queues": 257}, "queues 257 is not a number from 1 to 256"),
        ({"mtu": 67}, "mtu 67 is not a number from 68 to 65535"),
        ({"mtu": "\u0661\u0665\u0660\u0660"}, "is not a number from 68"),
        ({"ifindex": 1 << 31}, "ifindex 2147483648 is not a number from 1 to 2147483647"),
        ({"tap_owner": "x" * 256}, "the name 'x.* of the owner of the tap has more than 255 bytes; use its number"),
        ({"tap_group": "x" * 256}, "of the group of the tap has more than 255 bytes"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(values, message):
    with pytest.raises(InvalidInput, match=r"attachments\[1\]: .*" + message):
        entries(row("other"), {**row(), **values})


def test_a_name_an_index_or_a_nic_twice_is_refused():
    for values in ({"nic": 0, "ifname": "x"}, {"nic": 1, "ifname": "mv-web0"}):
        with pytest.raises(InvalidInput, match="have the same"):
            entries(row(), row(**values))


def test_rows_without_facts_of_a_node_take_the_kernels():
    made = entries(row(tap_owner=None, tap_group=None, tap_mode=None))
    assert [made[0].settings[option.key] for option in NODE_OPTIONS] == ["root", "root", "0600"]


def test_entries_of_other_tasks_stay():
    found = entries(row("a"), row("b"))
    merged, leaving = boot.merged(found, entries(row("b", mtu=1400), row("c")), (), False)
    assert [(entry.key, entry.settings["mtu"]) for entry in merged] == [
        (("a", 0), 1500),
        (("b", 0), 1400),
        (("c", 0), 1500),
    ]
    assert leaving == []


def test_an_entry_whose_name_another_link_has_now_leaves():
    found = entries(row("old", ifname="macvtap0"))
    merged, leaving = boot.merged(found, entries(row("new", ifname="macvtap0")), (), False)
    assert [entry.key for entry in merged] == [("new", 0)] and leaving == found


def test_purge_makes_guests_exact():
    found = entries(row("a"), row("a", 1), row("b"), row("c"))
    merged, leaving = boot.merged(found, entries(row("a")), ["b"], True)
    assert [entry.key for entry in merged] == [("a", 0), ("c", 0)]
    assert [entry.key for entry in leaving] == [("a", 1), ("b", 0)]


def test_selectors_narrow_the_choice_and_an_empty_one_selects_nothing():
    found = entries(row("a"), row("a", 1, network="other"), row("b"))

    def left(keys=None, guests=None, network=None):
        return [entry.key for entry in boot.without(found, keys, guests, network)[0]]

    assert left(guests=["a"]) == [("b", 0)]
    assert left(guests=["a"], network="other") == [("a", 0), ("b", 0)]
    assert left(keys=boot.keys_of([{"guest": "a"}, {"guest": "a"}, {"guest": None}])) == [("b", 0)]
    assert len(left(keys=set())) == len(left(guests=[])) == 3


def test_the_last_entry_takes_every_file_along_and_what_others_wrote_stays():
    found = texts(entries())
    foreign = {files.DHCPCD: "hostname\n"}
    steps = boot.plan({**found, **foreign}, texts([], foreign), files.is_ours)
    assert {step.path for step in steps} == set(found) and all(step.new is None for step in steps)
    # what pulls the others in goes first
    assert steps[0].path == files.BOOT


def test_a_foreign_file_is_refused_only_where_ours_would_be():
    mine = {files.UDEV_RULES: "# mine\n"}
    with pytest.raises(Refused, match="was not written by this collection"):
        boot.plan(mine, texts(entries()), files.is_ours)
    assert boot.plan(mine, {}, files.is_ours) == []


def test_a_changed_line_is_named():
    found = texts(entries())
    found[UP] += "link delete eth0\n"
    with pytest.raises(Refused, match=r"eth0\.up, line 4 is not as this collection writes it: 'link delete eth0'"):
        reading.read(found)


@pytest.mark.parametrize("suffix", [files.GUARDS, files.LIMIT])
@pytest.mark.parametrize("value", ["{", '{"a": 1}', '{"vlans": 7}', '{"outbound": {"average": -1}}', '{"mac":' * 20000])
def test_a_changed_meaning_is_named(suffix, value):
    name = {files.GUARDS: "guard", files.LIMIT: "bandwidth"}[suffix]
    path = files.batch_path("eth0", suffix)
    found = {**texts(entries()), path: f"{files.HEADER}# {name} of 7: {value}\n"}
    with pytest.raises(Refused, match=rf"{path}, line 2 is not as this collection writes it: '# {name} of 7: "):
        reading.read(found)
    assert reading.read({**found, path: "# somebody's own\n# guard of 7: {\n"}) == entries()


def test_a_file_cut_off_loses_its_links_and_nothing_else():
    found = texts(entries(row("a"), row("b", device="eth1")))
    found[CREATE] = files.HEADER
    assert [entry.key for entry in reading.read(found)] == [("b", 0)]


def test_managers_that_are_not_there_are_not_told():
    made = texts(entries(), managers=())
    assert files.NETWORK_MANAGER not in made and files.DHCPCD not in made


def test_the_block_in_dhcpcd_conf_comes_first_and_goes_without_a_trace():
    original = "hostname\ninterface eth0\nmetric 100\n"
    with_block = texts(entries(), {files.DHCPCD: original})[files.DHCPCD]
    assert with_block.splitlines()[1] == "denyinterfaces mv-web0" and with_block.endswith(original)
    again = texts(entries(), {files.DHCPCD: with_block})[files.DHCPCD]
    assert again == with_block
    assert texts([], {files.DHCPCD: with_block})[files.DHCPCD] == original


def test_what_differs_between_live_and_booted():
    (entry,) = entries()
    assert boot.differences(entry, row()) == []
    assert boot.differences(entry, row(mtu=1400, network=None, tap_mode=None)) == [
        "mtu 1400 -> 1500",
        "network None -> vepanet",
    ]
    # a kernel that has no such attribute
    assert boot.differences(entry, row(broadcast_queue=None)) == []


def test_the_diff_is_a_text_for_each_file():
    steps = [WriteFile("/a", None, "x\n", "boot file"), WriteFile("/b", "y\n", None, "boot file")]
    assert [step.texts() for step in steps] == [
        {"before_header": "/a (absent)", "after_header": "/a", "before": "", "after": "x\n"},
        {"before_header": "/b", "after_header": "/b (absent)", "before": "y\n", "after": ""},
    ]
    assert [step.describe() for step in steps] == ["write /a", "remove /b"]


def test_what_was_requested_is_in_the_boot_files_and_read_from_them():
    requested = {"mtu": 1400, "isolate_host": False}
    (entry,) = entries(row(mtu=1400, isolate_host=False, requested=requested))
    found = texts([entry])
    assert 'alias "linuxnet.macvtap guest=web nic=0 network=vepanet mtu=1400 isolate_host=false"' in found[CREATE]
    assert reading.read(found) == [entry]
    assert boot.as_row(entry)["requested"] == requested
    with pytest.raises(InvalidInput, match=r"attachments\[0\]: mtu 9 is not a number from 68"):
        entries(row(requested={"mtu": 9}))
