# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which NICs of libvirt's documents are macvtaps, and which guests are skipped."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError, InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Network, Nic
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt import state
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.domain import parse_domains
from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import is_macvtap_network, parse_network
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.unsupported import (
    Skipped,
    networks_of_other_kinds,
    objection,
    place_what_fits,
    sort_out,
)

OTHER_KINDS = {
    "nat": "<forward mode='nat'/><bridge name='virbr0'/>",
    "nat without mode": "<forward/>",
    "route": "<forward mode='route'/>",
    "open": "<forward mode='open'/>",
    "isolated": "<bridge name='virbr1'/>",
    "host bridge": "<forward mode='bridge'/><bridge name='br0'/>",
    "openvswitch": "<forward mode='bridge'/><bridge name='ovs'/><virtualport type='openvswitch'/>",
    "hostdev": "<forward mode='hostdev' managed='yes'><pf dev='eth0'/></forward>",
}
VEPANET = Network("vepanet", "vepa", ("eth0",))


def document(name, inside):
    return f"<network><name>{name}</name>{inside}</network>"


def network_nic(network, inside="", attributes=""):
    return f"<interface type='network'><source network='{network}'{attributes}/>{inside}</interface>"


def domain(name, *interfaces):
    return f"<domain><name>{name}</name><devices>{''.join(interfaces)}</devices></domain>"


@pytest.fixture
def libvirt(tmp_path, monkeypatch):
    """A directory in which libvirt keeps the networks that it defines."""
    monkeypatch.setattr(state, "NETWORK_DIRS", (str(tmp_path),))
    monkeypatch.setattr(state, "DOMAIN_DIR", str(tmp_path / "none"))
    for name, inside in {
        **OTHER_KINDS,
        "theirs": "<forward mode='vepa' dev='eth0'/><vlan><tag id='4'/></vlan>",
    }.items():
        (tmp_path / f"{name}.xml").write_text(f"<!-- libvirt -->\n{document(name, inside)}", encoding="utf-8")
    (tmp_path / "half.xml").write_text("<network><name>half</name><forward</network>", encoding="utf-8")
    return tmp_path


def chosen(documents, networks=None, other_networks=(), guest=None, skip_unsupported=False):
    networks = {"vepanet": VEPANET} if networks is None else networks
    nics = parse_domains(documents, guest)
    others = networks_of_other_kinds(nics, networks, other_networks)
    return sort_out(nics, others, lambda nic: objection(nic, networks), skip_unsupported)


# -- what a network is


@pytest.mark.parametrize("inside", OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
def test_a_network_of_another_kind_is_not_a_macvtap_network(inside):
    assert not is_macvtap_network(document("n", inside))


@pytest.mark.parametrize("mode", ["vepa", "bridge", "private", "passthrough"])
def test_a_macvtap_network_is_one_whatever_else_it_asks_for(mode):
    assert is_macvtap_network(document("n", f"<forward mode='{mode}'><interface dev='eth0'/></forward><vlan/>"))


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_nic_on_it_is_skipped_and_counted_whatever_elements_it_has(libvirt, kind):
    elements = (
        "<filterref filter='clean-traffic'/><vlan><tag id='3'/></vlan><virtualport type='openvswitch'/><bandwidth/>"
    )
    nics, skipped = chosen(domain("web", network_nic(kind, elements, " portgroup='p'"), network_nic("vepanet")))
    assert [(nic.guest, nic.nic, nic.network) for nic in nics] == [("web", 1, "vepanet")]
    assert skipped == []


def test_a_network_that_is_named_needs_no_libvirt():
    nics, skipped = chosen(domain("web", network_nic("far", "<nonsense/>")), other_networks=["far"])
    assert (nics, skipped) == ([], [])


def test_what_is_defined_here_goes_before_what_libvirt_defines(libvirt):
    (nic,), _skipped = chosen(domain("web", network_nic("nat")), {"nat": VEPANET})
    assert nic.network == "nat"


# -- what is refused


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (
            "nowhere",
            "'nowhere' is defined neither here (defined: 'vepanet') nor in libvirt on this host; define it with",
        ),
        ("nowhere", "or, if it is not a macvtap network, name it in other_networks"),
        ("vepane", "write 'vepanet' if you mean that, or define it"),
        (
            "theirs",
            "'theirs' is a macvtap network of libvirt's, but not defined here; define it with macvtap_network and",
        ),
        ("half", "'half' is defined neither here"),
    ],
)
def test_an_unknown_network_is_an_error_with_both_ways_out(libvirt, network, said):
    # the network first: an element only counts on a macvtap network
    with pytest.raises(InvalidInput) as caught:
        chosen(domain("web", network_nic(network, "<vlan/>")))
    assert said in str(caught.value) and "<vlan>" not in str(caught.value)


def test_files_that_only_root_may_read_are_named(libvirt, monkeypatch):
    monkeypatch.setattr(state, "hidden", lambda: ["/etc/libvirt/qemu/networks"])
    with pytest.raises(InvalidInput, match="/etc/libvirt/qemu/networks cannot be read; run as root"):
        chosen(domain("web", network_nic("nowhere")))


def test_an_element_counts_on_a_network_of_ours_and_on_a_lower_device(libvirt):
    direct = "<interface type='direct'><source dev='eth0'/><vlan/></interface>"
    for nic in (network_nic("vepanet", "<vlan/>"), direct):
        with pytest.raises(InvalidInput, match="interface 0 of domain 'web' has a <vlan> without"):
            chosen(domain("web", nic))


def test_a_port_group_that_the_network_does_not_have_is_an_objection(libvirt):
    network = parse_network(document("n", "<forward mode='vepa' dev='eth0'/><portgroup name='a'/>"))
    nic = network_nic("n", attributes=" portgroup='b'")
    with pytest.raises(InvalidInput, match="interface 0 of domain 'web': network 'n' has no port group 'b'"):
        chosen(domain("web", nic), {"n": network})
    assert [skip.guest for skip in chosen(domain("web", nic), {"n": network}, skip_unsupported=True).skipped] == ["web"]


def test_a_network_cannot_be_defined_here_and_another(libvirt):
    with pytest.raises(InvalidInput, match="other_networks names 'vepanet', which is defined here"):
        chosen(domain("web"), other_networks=["vepanet"])


def test_a_nic_of_the_options_is_not_looked_up_in_libvirt(libvirt):
    nics = [Nic("web", network="nat", origin="attachments[0]")]
    assert networks_of_other_kinds(nics, {}, ()) == set()
    assert sort_out(nics, {"nat"}, lambda nic: objection(nic, {}), True) == (nics, [])


# -- guests that are skipped


def test_one_bad_guest_does_not_stop_the_others(libvirt):
    documents = [
        domain("a", network_nic("vepanet")),
        domain("b", network_nic("vepanet"), network_nic("vepanet", "<virtualport/>"), network_nic("nowhere")),
        domain("c", network_nic("nat", "<bandwidth/>"), network_nic("vepanet")),
    ]
    nics, skipped = chosen(documents, skip_unsupported=True)
    assert [(nic.guest, nic.nic) for nic in nics] == [("a", 0), ("c", 1)]
    ((guest, reason, temporary),) = skipped
    assert (guest, temporary) == ("b", False)
    # all that is to be corrected, at once
    assert (
        "interface 1 of domain 'b' has <virtualport>" in reason and "interface 2 of domain 'b': network 'now" in reason
    )


def test_a_guest_that_only_the_option_names_is_skipped_by_that_name():
    document = "<interface type='direct'><source dev='eth0'/><vlan/></interface>"
    assert [skip.guest for skip in chosen(document, guest="web", skip_unsupported=True).skipped] == ["web"]
    with pytest.raises(InvalidInput, match="has a <vlan> without"):
        chosen(document, skip_unsupported=True)


def nics_of(*guests, from_xml=True):
    return [Nic(guest, 0, from_xml=from_xml) for guest in guests]


def placing(bad, error=InvalidInput):
    """Placing NICs fails when one of the guests ``bad`` is among them; counts how often it was tried."""

    def place(nics):
        place.tries += 1
        found = [nic.guest for nic in nics if nic.guest in bad]
        if found:
            raise error(f"{found[0]} cannot be placed")

    place.tries = 0
    return place


@pytest.mark.parametrize("bad", [(), ("g0",), ("g99",), ("g3", "g50", "g51"), tuple(f"g{n}" for n in range(100))])
def test_guests_that_cannot_be_placed_are_found(bad):
    nics = nics_of(*(f"g{n}" for n in range(100)))
    place = placing(bad)
    kept, skipped = place_what_fits(nics, place)
    assert kept == [nic for nic in nics if nic.guest not in bad]
    assert sorted(skipped) == sorted(Skipped(guest, f"{guest} cannot be placed") for guest in bad)
    assert place.tries <= 2 + len(bad) * 15


def test_what_the_host_has_in_the_way_may_be_gone_later():
    _kept, skipped = place_what_fits(nics_of("a", "b"), placing(("a",), Refused))
    assert skipped == [Skipped("a", "a cannot be placed", True)]


@pytest.mark.parametrize(("error", "from_xml"), [(InvalidInput, False), (HostError, True)])
def test_nothing_else_is_skipped(error, from_xml):
    with pytest.raises(error):
        place_what_fits(nics_of("a", from_xml=from_xml) + nics_of("b"), placing(("a",), error))
