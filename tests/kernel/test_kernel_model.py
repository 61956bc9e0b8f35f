# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The model of the kernel against the kernel: the property-based tests are worth what the model is."""

import json
import os
import pathlib
import random
import sys
import time

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SUPPORT = pathlib.Path(__file__).with_name("support")
#: how many random sequences are tried, and from which seed
SEQUENCES = int(os.environ.get("LINUXNET_SEQUENCES", "100"))
SEED = int(os.environ.get("LINUXNET_SEED", "1"))
LENGTH = 25

ETH0, ETH1, SPARE, BRIDGE, PORT = "eth0", "eth1", "spare0", "br9", "port0"
INDEXES = range(1001, 1005)
NAMES = [f"m{number}" for number in range(6)]
MACS = [f"02:00:00:00:00:0{number}" for number in range(3)]
BAD_MACS = ["00:00:00:00:00:00", "01:00:5e:00:00:01"]
MTUS = [60, 68, 1000, 1279, 1280, 1400, 1500, 1501, 9000]
MODES = ["vepa", "vepa", "bridge", "private", "source"]
ALL_MODES = [*MODES, "passthrough", "passthrough"]
QUEUES = [None, 0, 1, 1000, 5000]
CALM_NAMES = ["mode", "ifname", "mac", "mtu", "mark", "link_state", "arp", "promiscuous", "broadcast_queue"]
FLAGS = {"link_state": 0x1, "arp": 0x80, "promiscuous": 0x100, "allmulticast": 0x200}


@pytest.fixture(scope="module", autouse=True)
def collection(tmp_path_factory):
    """A place from which ``import ansible_collections.linuxnet.macvtap`` finds this checkout."""
    root = tmp_path_factory.mktemp("collections")
    (root / "ansible_collections" / "linuxnet").mkdir(parents=True)
    (root / "ansible_collections" / "linuxnet" / "macvtap").symlink_to(CHECKOUT, target_is_directory=True)
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))


@pytest.fixture
def run_inside(hypervisor, collection):
    """Run a script of this directory in the hypervisor, JSON in and out."""

    def run(script, question):
        paths = [str(collection), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
        command = [sys.executable, str(SUPPORT / script)]
        return json.loads(hypervisor.run(command, input=json.dumps(question), env=environment, timeout=900).stdout)

    return run


def random_link(rng, devices, modes):
    macs = MACS + BAD_MACS + [device["mac"] for device in devices.values()]
    return {
        "ifindex": rng.choice(INDEXES),
        "name": rng.choice(NAMES),
        "mode": rng.choice(modes),
        "lower": rng.choice(
            [*[devices[name]["ifindex"] for name in (ETH0, ETH0, ETH1, BRIDGE, PORT, "lo")], 1001, 4242]
        ),
        "mac": rng.choice(macs + MACS * 3),
        "mtu": rng.choice(MTUS + [1500] * 6),
        "flags": sum(flag for flag in FLAGS.values() if rng.random() < 0.4),
        "alias": rng.choice(["", "linuxnet.macvtap guest=web nic=0", "ü", "x" * 254, "x" * 255, "x" * 256]),
        "group": 0,
        "broadcast_queue": rng.choice(QUEUES),
    }


def random_sequence(rng, devices):
    """Operations that begin with links to work on."""
    # The kernel counts a passthrough link's allmulticast on the lower device when it is switched, but not when the link
    # goes up or down: one underflow, and the lower device answers EOVERFLOW ever after. So never both in a sequence.
    modes, names = rng.choice([(MODES, [*CALM_NAMES, "allmulticast"]), (ALL_MODES, CALM_NAMES)])
    start = []
    for index, name in zip(INDEXES, NAMES):
        link = random_link(rng, devices, modes)
        lower = devices[rng.choice([ETH0, ETH0, ETH1, BRIDGE])]["ifindex"]
        start.append(["create", dict(link, ifindex=index, name=name, lower=lower, mac=rng.choice(MACS))])
    rest = [random_operation(rng, devices, modes, names) for _step in range(LENGTH - len(start) + 1)]
    return start[:-1] + rest


def random_operation(rng, devices, modes, names):
    link = random_link(rng, devices, modes)
    kind = rng.choices(
        ["create", "up", "change", "lower", "delete", "macvlan", "master", "ipv6"], [30, 20, 30, 10, 6, 5, 5, 4]
    )[0]
    if kind == "create":
        return ["create", link]
    if kind == "macvlan":
        return ["macvlan", link]
    if kind == "up":
        return ["change", link, ["link_state"]]
    if kind == "change":
        return ["change", link, rng.sample(names, rng.choice([1, 1, 1, 2, 3]))]
    if kind == "lower":
        lower = dict(link, ifindex=devices[rng.choice([ETH0, ETH0, ETH1, SPARE])]["ifindex"], mtu=rng.choice(MTUS[1:]))
        return ["change", lower, [rng.choice(["mac", "mtu", "link_state", "mark", "mode"])]]
    if kind == "delete":
        return ["delete", rng.sample(list(INDEXES), rng.choice([1, 1, 2, 4]))]
    if kind == "master":
        port = devices[rng.choice([ETH0, ETH1, SPARE, PORT])]["ifindex"]
        return ["master", port, rng.choice([0, devices[BRIDGE]["ifindex"]])]
    return ["ipv6", rng.choice([*NAMES, ETH0]), rng.random() < 0.5]


def model_of(links):
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Link
    from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.kernel_model import Device, KernelModel

    kernel = KernelModel()
    kernel.links.clear()
    for row in links:
        link = Link(*row)
        known = Device.__dataclass_fields__.keys() - {"ifindex", "name"}
        facts = {field: value for field, value in link._asdict().items() if field in known}
        kernel.add_device(link.name, link.ifindex, netnsid=link.lower_netnsid, **facts)
    return kernel


def test_the_model_does_what_the_kernel_does(hypervisor, run_inside):
    sys.path.insert(0, str(SUPPORT))
    import sequence_player

    from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.rtnetlink import Netlink

    hypervisor.ip(
        f"link add {SPARE} type veth peer name peer0",
        f"link add {PORT} type veth peer name peer1",
        # a bridge that was given an address and an MTU does not take them from its ports
        f"link add {BRIDGE} address 02:00:00:00:0b:01 type bridge",
        f"link set {BRIDGE} mtu 1400",
        f"link set {BRIDGE} mtu 1500 up",
        f"link set {PORT} master {BRIDGE} up",
        f"link set {SPARE} up",
    )
    devices = {row[1]: {"ifindex": row[0], "mac": row[6]} for row in run_inside("sequence_player.py", [])["links"]}
    rng = random.Random(SEED)
    sequences = [random_sequence(rng, devices) for _sequence in range(SEQUENCES)]
    started = time.monotonic()
    real = run_inside("sequence_player.py", sequences)
    seconds = time.monotonic() - started
    refusals = {}
    for number, (sequence, outcome) in enumerate(zip(sequences, real["outcomes"])):
        kernel = model_of(real["links"])
        with kernel.installed(), Netlink() as netlink:
            modelled = json.loads(json.dumps(sequence_player.play(netlink, sequence)))
        for step, (operation, wanted, got) in enumerate(zip(sequence, outcome, modelled)):
            refusals[wanted[0]] = refusals.get(wanted[0], 0) + 1
            history = "\n".join(map(str, sequence[: step + 1]))
            where = f"seed {SEED}, sequence {number}, step {step}: {operation}\nafter\n{history}"
            assert got[0] == wanted[0], f"errno of the model {got[0]}, of the kernel {wanted[0]}: {where}"
            different = [pair for pair in zip(got[1], wanted[1]) if pair[0] != pair[1]]
            assert got[1] == wanted[1], f"model and kernel: {different}: {where}"
    print(
        f"\n{SEQUENCES} sequences of {LENGTH} operations from seed {SEED}, {seconds:.1f} s in the kernel;"
        f" by errno: {dict(sorted(refusals.items()))}"
    )


def many_links():
    """Commands that make hundreds of links of every kind that the kernel is likely to have."""
    lines = []
    for number in range(40):
        lines += [
            f"link add va{number} type veth peer name vb{number}",
            f"link add bridge{number} type bridge",
            f"link set vb{number} master bridge{number}",
            f"link set bridge{number} alias {'ü' * (number + 1)}",
        ]
        for mode in ("vepa", "bridge", "private", "source"):
            lines.append(f"link add t{mode}{number} link va{number} type macvtap mode {mode}")
            lines.append(f"link add v{mode}{number} link va{number} type macvlan mode {mode}")
        lines += [
            f"link set tvepa{number} up allmulticast on arp off",
            f"link set tbridge{number} group {number} mtu {68 + 20 * number} promisc on",
            f"link set va{number} up",
        ]
    return [*lines, "link add passthru0 link eth1 type macvtap mode passthru"]


#: kinds that this or that kernel does not have, made one by one
OPTIONAL = [
    "link add dummy9 type dummy",
    "link add ifb9 type ifb",
    "link add vxlan9 type vxlan id 9 dstport 4789",
    "link add vlan9 link eth0 type vlan id 9",
    "link add ipvlan9 link eth1 type ipvlan",
    "link add bond9 type bond",
    "link add vrf9 type vrf table 9",
    "link add gre9 type gretap local 192.0.2.11 remote 192.0.2.12",
    "link add sit9 type sit local 192.0.2.11 remote 192.0.2.12",
    "link add wg9 type wireguard",
    "tuntap add tap9 mode tap",
    "tuntap add tun9 mode tun",
]


def test_a_dump_with_links_of_many_kinds_is_decoded_as_by_pyroute2(hypervisor, run_inside):
    from lab import CommandFailed

    hypervisor.ip(*many_links())
    for line in OPTIONAL:
        try:
            hypervisor.ip(line)
        except CommandFailed:
            continue
    answer = run_inside("dump_comparer.py", None)
    print(f"\npyroute2 {answer['pyroute2']}, links of kinds {answer['kinds']}")
    assert answer["different"] == []
    assert sum(answer["kinds"].values()) > 400
