# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hypervisor of the lab as the tests of the modules see it: run modules, look at links, nodes and definitions.

The fixture ``host`` gives one lab to all tests of a file, made as good as new before each.

    def test_…(host):
        result = host.attach(attachments=[{"guest": "web", "device": "eth0"}])
        host.converges("macvtap_attach", attachments=[…])
        sentence = host.refusal("macvtap_attach", attachments=[…])
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import select
import subprocess
import sys

import pytest
from lab import Lab, open_tap
from lab.controller import Controller
from lab.namespace import Namespace

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
RUNNER = pathlib.Path(__file__).with_name("module_runner.py")
ATTACH, NETWORK = "macvtap_attach", "macvtap_network"
DEFINITIONS = "/etc/macvtap/networks"

#: seconds after which a module counts as hanging
PATIENCE = 60


def remove_links(*kept):
    """A script that removes all links of a namespace but lo, its uplinks and those called like the patterns ``kept``.

    By index, since a name may be anything. What is no link (bonding_masters) is no directory there, and what a driver
    does not let go (gre0, sit0) keeps no other link.
    """
    patterns = "|".join(f"*/{name}/" for name in ("lo", "eth0", "eth1", *kept))
    return f"""
for link in /sys/class/net/*/; do
    case $link in {patterns}) continue;; esac
    read -r index <"$link/ifindex" && echo "link set dev if$index group 4711"
done | ip -force -batch - 2>/dev/null
ip link delete group 4711 2>/dev/null || true
"""


#: Makes a used hypervisor as good as new.
RESET = f"""
{remove_links()}
for uplink in eth0 eth1; do ip link set $uplink mtu 1500 up; done
rm -rf /dev/tap* /run/lock/tap* /etc/macvtap
nft delete table netdev linuxnet_macvtap 2>/dev/null || true
"""

#: Prints everything about the host that a module could change: links, addresses, tap nodes, definitions.
SNAPSHOT = r"""
import json, os, stat, subprocess, sys
def ip(*words):
    rows = json.loads(subprocess.run(["ip", "-json", "-details", *words], capture_output=True, check=True).stdout)
    for row in rows:
        row.pop("stats64", None)
        row.pop("operstate", None)
        # those of a bridge run all the time
        facts = row.get("linkinfo", {}).get("info_data", {})
        for key in [key for key in facts if key.endswith("_timer")]:
            del facts[key]
        for address in row.get("addr_info", ()):
            # a duplicate address check that ends is not the module's doing
            for key in ("tentative", "valid_life_time", "preferred_life_time"):
                address.pop(key, None)
    return rows
def files(directory):
    for top, _directories, names in os.walk(directory):
        for name in names:
            found = os.lstat(os.path.join(top, name))
            text = ""
            if stat.S_ISREG(found.st_mode):
                with open(os.path.join(top, name), "rb") as file:
                    text = file.read().decode(errors="replace")
            facts = [found.st_mode, found.st_uid, found.st_gid, found.st_rdev, found.st_ino, text]
            yield os.path.join(top, name), facts
def ipv6(link):
    try:
        with open("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % link) as file:
            return file.read().strip()
    except FileNotFoundError:
        return "no IPv6"
taps = {path: facts for path, facts in files("/dev") if os.path.basename(path).startswith("tap")}
print(json.dumps({
    "links": ip("address"),
    "ipv6": {link: ipv6(link) for link in sorted(os.listdir("/sys/class/net"))},
    "taps": taps,
    "definitions": dict(files(sys.argv[1])),
    "directory": os.path.isdir(sys.argv[1]),
    "qdiscs": subprocess.run(["tc", "qdisc", "show"], capture_output=True, check=True, text=True).stdout,
    # without counters; where there is no nft, there are no rules of ours
    "nftables": subprocess.run("nft -s list ruleset", shell=True, capture_output=True, text=True).stdout,
}, sort_keys=True))
"""


class ModuleFailed(AssertionError):
    """A module failed; ``message`` is what it said."""

    def __init__(self, message):
        super().__init__(message)
        self.message = message


class Killed(AssertionError):
    """The module's process was killed, as asked."""


class ModuleHost:
    """One hypervisor, with a process inside that runs modules; a context manager."""

    #: the interpreter there
    python = sys.executable

    def __init__(self, hypervisor, directory):
        self.hypervisor = hypervisor
        self.directory = directory
        self.run = hypervisor.run
        self.ip = hypervisor.ip
        root = pathlib.Path(directory, "collections")
        namespace = root / "ansible_collections" / "linuxnet"
        namespace.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (namespace / "macvtap").symlink_to(CHECKOUT, target_is_directory=True)
        self.collections = str(root)
        self._holders = []
        self._runner = self.start_runner()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for process in self._holders:
            end(process)

    def reset(self):
        """End what tests left open and remove what they made."""
        for process in self._holders:
            if process is not self._runner:
                end(process)
        self._holders = [self._runner]
        self.run(["sh", "-c", RESET])

    # -- modules ---------------------------------------------------------------------------------------------------

    def start_runner(self, *prefix):
        """Start a process that runs modules; several can work at once. ``prefix``: words before its command."""
        command = [*prefix, sys.executable, str(RUNNER)]
        environment = dict(os.environ, PYTHONPATH=self.collections)
        return self.spawn(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start_runner_without(self, *libraries):
        """As :meth:`start_runner`, with a Python that has Ansible and, but for those named, what our modules import."""
        directory = pathlib.Path(self.directory, "without", *libraries)
        directory.mkdir(parents=True, exist_ok=True)
        for name in {"ansible", "lxml", "pyroute2"}.difference(libraries):
            with contextlib.suppress(FileExistsError):
                (directory / name).symlink_to(pathlib.Path(importlib.util.find_spec(name).origin).parent)
        environment = dict(os.environ, PYTHONPATH="%s:%s" % (self.collections, directory))
        # without site: nothing of what is installed beside it
        command = [sys.executable, "-S", str(RUNNER)]
        return self.spawn(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start_unprivileged_runner(self):
        """As :meth:`start_runner`, for a user who may read all files (the checkout may lie anywhere) and no more."""
        reading = "+dac_read_search"
        return self.start_runner(
            *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
            *(f"--inh-caps=-all,{reading}", f"--ambient-caps=-all,{reading}", f"--bounding-set=-all,{reading}", "--"),
        )

    def module(self, name, /, *, check=False, diff=True, runner=None, luck=None, **options):
        """Run a module; return its result.

        Raises ModuleFailed with its message, AssertionError when it says anything but its result, and Killed.
        """
        runner = runner or self._runner
        self.send(runner, name, check=check, diff=diff, luck=luck, **options)
        return self.receive(runner)

    @staticmethod
    def send(runner, name, /, *, check=False, diff=True, luck=None, **options):
        """Let a runner begin; :meth:`receive` gives the result."""
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
        runner.stdin.write(json.dumps({"module": name, "arguments": arguments, **(luck or {})}) + "\n")
        runner.stdin.flush()

    @staticmethod
    def receive(runner):
        """Wait for the runner's module; returns and raises as :meth:`module`."""
        assert select.select([runner.stdout], [], [], PATIENCE)[0], "the module hangs"
        return result_of(json.loads(runner.stdout.readline()))

    def attach(self, **options):
        return self.module(ATTACH, **options)

    def detach(self, **options):
        return self.module(ATTACH, state="absent", **options)

    def network(self, **options):
        return self.module(NETWORK, **options)

    def refusal(self, name, /, **options):
        """The message with which a module fails, in check mode and for real alike, having changed nothing."""
        before = self.snapshot(options.get("definitions_dir", DEFINITIONS))
        messages = []
        for check in (True, False):
            try:
                result = self.module(name, check=check, **options)
            except ModuleFailed as failed:
                messages.append(failed.message)
            else:
                raise AssertionError("expected a refusal (check mode %s), got %s" % (check, result))
        assert self.snapshot(options.get("definitions_dir", DEFINITIONS)) == before
        assert messages[0] == messages[1]
        assert "Traceback" not in messages[0] and "\n" not in messages[0]
        return messages[0]

    def converges(self, name, /, **options):
        """Check, apply, check, apply: check mode foretells all and changes nothing; the second time nothing is to do.

        Returns the result of the first application.
        """
        directory = options.get("definitions_dir", DEFINITIONS)
        before = self.snapshot(directory)
        foretold = self.module(name, check=True, **options)
        assert self.snapshot(directory) == before
        done = self.module(name, **options)
        assert without_numbers(foretold) == without_numbers(done)
        after = self.snapshot(directory)
        assert (after != before) == done["changed"]
        for check in (True, False):
            again = self.module(name, check=check, **options)
            assert (again["changed"], again["actions"]) == (False, [])
            assert again["diff"] == {"before": {}, "after": {}}
            if options.get("state") != "absent":
                shown = ("attachments", "tap_paths", "guests", "guest_tap_paths") if name == ATTACH else ("network",)
                first, second = without_operstate(done), without_operstate(again)
                assert [second[key] for key in shown] == [first[key] for key in shown]
        assert self.snapshot(directory) == after
        return done

    # -- looking ---------------------------------------------------------------------------------------------------

    def snapshot(self, definitions=DEFINITIONS):
        """Everything a module could change, as one comparable value."""
        return json.loads(self.run([self.python, "-I", "-c", SNAPSHOT, definitions]).stdout)

    def links(self, kind="macvtap"):
        """Links of a kind by name, as ``ip -d -j link`` shows them."""
        rows = json.loads(self.run(["ip", "-json", "-details", "link", "show", "type", kind]).stdout or "[]")
        return {row["ifname"]: row for row in rows if row}

    def link(self, name):
        """One link of any kind."""
        return json.loads(self.run(["ip", "-json", "-details", "link", "show", "dev", name]).stdout)[0]

    def read(self, path):
        return self.run(["cat", path]).stdout.strip()

    def ipv6_disabled(self, name):
        return self.read("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % name) == "1"

    def number_in_sysfs(self, row):
        """``major:minor`` of the tap of an attachment, as the kernel tells."""
        return self.read("/sys/class/net/%s/macvtap/tap%d/dev" % (row["ifname"], row["ifindex"]))

    def node(self, path):
        """(kind, ``major:minor``, permissions, user and group) of what lies at ``path``, in words; None = nothing."""
        found = self.run(["stat", "-c", "%F|%Hr:%Lr|%a|%u:%g", path], check=False)
        return tuple(found.stdout.strip().split("|")) if found.returncode == 0 else None

    def opens(self, row):
        """Whether the path of an attachment is the device node of its own tap."""
        number = "%s:%s" % (row["tap_major"], row["tap_minor"])
        node = self.node(row["tap_path"])
        return (
            node is not None and node[:2] == ("character special file", number) and number == self.number_in_sysfs(row)
        )

    def taps(self):
        """What is called like a tap in /dev."""
        return self.run(["sh", "-c", "ls -d /dev/tap* 2>/dev/null"], check=False).stdout.split()

    def hold(self, path):
        """Open a tap as a guest would, until the host is closed or the result is."""
        port = open_tap(self.hypervisor, path)
        self._holders.append(port)
        return port

    def spawn(self, command, **options):
        """Start a command inside that ends with the test at the latest."""
        process = self.hypervisor.spawn(command, **options)
        self._holders.append(process)
        return process


def result_of(answer):
    """The result of a module from the answer of its runner; raises as :meth:`ModuleHost.module`."""
    if answer["status"] < 0:
        raise Killed("killed by signal %d" % -answer["status"])
    assert answer["stderr"] == "", answer["stderr"]
    result = json.loads(answer["stdout"])
    result.pop("invocation", None)
    if result.get("failed"):
        assert "exception" not in result, result["exception"]
        raise ModuleFailed(result["msg"])
    assert answer["status"] == 0, answer
    return result


def end(process):
    """End what was started here; harmless when it is over."""
    if not isinstance(process, subprocess.Popen):
        process.close()
        return
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def warnings(result):
    """What a module warned of; ansible-core 2.19 and newer wrap the words."""
    return [each if isinstance(each, str) else each["event"]["msg"] for each in result.get("warnings", ())]


def without_numbers(result):
    """A result without what check mode cannot know: device numbers, and what a lower device says once it is up."""

    def without(rows):
        return [{**row, "tap_major": None, "tap_minor": None} for row in rows]

    guests = {guest: without(rows) for guest, rows in result.get("guests", {}).items()}
    return without_operstate({**result, "attachments": without(result.get("attachments", ())), "guests": guests})


def without_operstate(result):
    """A result without what a lower device that was just brought up says only some time later."""
    if "network" not in result:
        return result
    devices = [{**device, "operstate": None} for device in result["network"]["devices"]]
    return {**result, "network": {**result["network"], "devices": devices}}


def second_namespace(host, sysfs=True):
    """A ModuleHost in a network namespace of its own that shares everything else, /dev included, with ``host``.

    Its lower device is called eth0 as well. Without ``sysfs`` it sees the host's links there.
    """
    script = "ip link add name eth0 type veth peer name peer0 && ip link set eth0 up && ip link set peer0 up"
    if sysfs:
        script = "mount -t sysfs sysfs /sys && " + script
    command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c"]
    process = host.spawn([*command, script + " && echo $$ && exec sleep infinity"], stdout=subprocess.PIPE, text=True)
    pid = process.stdout.readline().strip()
    namespace = Namespace("second", int(pid))
    namespace.enter = [*host.hypervisor.enter, "nsenter", "--target", pid, "--net", "--mount", "--"]
    return ModuleHost(namespace, host.directory)


@pytest.fixture(scope="module")
def module_host():
    """A hypervisor with uplinks eth0 and eth1 and addresses on a reflecting switch, for all tests of a file."""
    with Lab(uplinks=("eth0", "eth1"), subnets=("192.0.2.0/24", "2001:db8::/64")) as lab:
        with ModuleHost(lab.hypervisors[0], lab.directory) as host:
            host.switch = lab.switch
            host.inventory = lab.write_inventory()
            yield host


@pytest.fixture
def host(module_host):
    """The file's hypervisor, without macvtaps, tap nodes, definitions and holders."""
    module_host.reset()
    return module_host


@pytest.fixture
def ansible(host, tmp_path):
    """Run an Ansible command against the lab; return (status, output).

    Its attribute ``changed()`` gives the number of tasks that changed something in the last playbook.
    """
    controller = Controller(host.directory)

    def run(command, *words, config=None, **more):
        settings = {"ANSIBLE_COLLECTIONS_PATH": host.collections, "ANSIBLE_NOCOLOR": "1", **more}
        if config:
            settings["ANSIBLE_CONFIG"] = str(config)
        done = subprocess.run(
            [*controller.command(command), "-i", host.inventory, *words], stdin=subprocess.DEVNULL,
            env=controller.environment(**settings), cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    run.changed = controller.changed
    return run


@pytest.fixture
def play(host, ansible):
    """Run a playbook of the collection with these variables; return (number of changed tasks, output).

    A task that fails fails the test, unless ``fails`` is true.
    """

    def run(name, *words, fails=False, **variables):
        command = ("ansible-playbook", f"linuxnet.macvtap.{name}", "--extra-vars", json.dumps(variables), *words)
        status, output = ansible(*command, ANSIBLE_PIPELINING="true")
        assert (status != 0) == fails, output
        return ansible.changed(), output

    return run
