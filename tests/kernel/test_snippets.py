# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every snippet in README and guides is run as a reader would run it, but for those that snippets.SHOWN names.

The YAML of a page goes into one playbook, in the order of the page, on a host without networks and attachments.
Commands run inside the hypervisor, so that localhost is the lab's.
"""

import concurrent.futures
import configparser
import os
import pathlib
import queue
import re
import shlex
import subprocess
import sys

import pytest
import snippets
import yaml
from ansible.config.manager import ConfigManager
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from lab import Lab
from module_host import CHECKOUT, RESET, ModuleHost

from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.interface import interface_xml

BIN = pathlib.Path(sys.executable).parent
#: playbooks at the same time, each on a hypervisor of its own
AT_ONCE = 2
#: guests without anything to boot need no more than this
IMAGES = ("web", "database")
#: files that playbooks of the pages look up, by name
LOOKED_UP = {
    "vepanet.xml": "<network><name>vepanet</name><forward mode='vepa' dev='eth0'/></network>",
    "web.xml": "<domain type='kvm'><name>web</name><devices><interface type='network'><source network='vepanet'/>"
    "<model type='virtio'/></interface></devices></domain>",
    "database.xml": "<domain type='kvm'><name>database</name><devices><interface type='network'>"
    "<source network='vepanet'/><model type='virtio'/></interface></devices></domain>",
}
DEFINE = {"linuxnet.macvtap.macvtap_network": {"name": "vepanet", "devices": ["eth0"]}}
#: what a page takes for granted, as tasks
BEFORE = {f"docs/docsite/rst/guide_{name}.rst": [DEFINE] for name in ("persistence", "playbooks")}
#: in commands: what to put in the place of a placeholder
PLACEHOLDERS = {"PORT": "h0-eth0"}

PAGES = {}
for _snippet in snippets.all_snippets():
    PAGES.setdefault(_snippet.page, []).append(_snippet)
RUN = [snippet for page in PAGES.values() for snippet in page if snippet.shown is None]


def of_language(*languages):
    return [snippet for snippet in RUN if snippet.language in languages]


def ids(snippet):
    return snippet.title


def qcow2():
    """The smallest disk image: a megabyte of nothing (version 2: header, reference counts, one table)."""
    cluster = 1 << 16
    # version, no backing file, cluster bits, size, no encryption, first table, reference counts, no snapshots
    fields = ((2, 4), (0, 12), (16, 4), (1 << 20, 8), (0, 4), (1, 4), (3 * cluster, 8), (cluster, 8), (1, 4), (0, 12))
    header = b"QFI\xfb" + b"".join(number.to_bytes(size, "big") for number, size in fields)
    clusters = (header, (2 * cluster).to_bytes(8, "big"), b"\0\1" * 4, b"")
    return b"".join(content.ljust(cluster, b"\0") for content in clusters)


@pytest.fixture(scope="module")
def lab():
    with Lab(hypervisors=AT_ONCE, uplinks=("eth0", "eth1"), subnets=("192.0.2.0/24",)) as built:
        for hypervisor in built.hypervisors:
            hypervisor.run(["sh", "-c", "mount -t tmpfs lab-srv /srv && mkdir -m 755 /srv/guests"])
            hypervisor.run(["sh", "-c", "touch /etc/dhcpcd.conf && mkdir -p /etc/NetworkManager"])
            for name in IMAGES:
                hypervisor.run(["tee", f"/srv/guests/{name}.qcow2"], input=qcow2(), text=False)
                hypervisor.run(["chmod", "666", f"/srv/guests/{name}.qcow2"])
        yield built


@pytest.fixture(scope="module")
def host(lab):
    with ModuleHost(lab.hypervisors[0], lab.directory) as made:
        yield made


@pytest.fixture(scope="module")
def directory(lab, tmp_path_factory):
    """Where the reader sits: an inventory, and the files that the pages name."""
    path = tmp_path_factory.mktemp("reader")
    inventory = lab.inventory()
    for variables in inventory["hypervisors"]["hosts"].values():
        # root already
        variables["ansible_become"] = False
    (path / "lab.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    # commands run inside the first hypervisor, from which there is no way into the others
    hosts = inventory["hypervisors"]["hosts"]
    first = {"hypervisors": {"hosts": {lab.hypervisors[0].name: hosts[lab.hypervisors[0].name]}}}
    for name in ("inventory", "inventory.yml"):
        (path / name).write_text(yaml.safe_dump(first), encoding="utf-8")
    for name, text in LOOKED_UP.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def environment(lab, host):
    found = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return dict(
        found,
        PATH=f"{BIN}:{os.environ['PATH']}",
        ANSIBLE_COLLECTIONS_PATH=host.collections,
        ANSIBLE_HOME=os.path.join(lab.directory, "ansible-home"),
        ANSIBLE_GATHERING="explicit",
        ANSIBLE_NOCOLOR="1",
        ANSIBLE_PIPELINING="true",
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_PYTHON_INTERPRETER=sys.executable,
    )


def kind_of(document):
    """What a YAML snippet is."""
    if isinstance(document, dict):
        return next((kind for kind in ("collections", "hypervisors") if kind in document), "variables")
    return "plays" if "hosts" in document[0] else "tasks"


def plays_of(snippet):
    """The snippet as plays of one playbook."""
    if snippet.file:
        # what a file holds: each line of the page is a line of the file
        slurp = {"ansible.builtin.slurp": {"src": snippet.file}, "register": "found"}
        lines = [line for line in snippet.text.splitlines() if line]
        require = {"that": "lines | difference((found.content | b64decode).splitlines()) == []"}
        check = {
            "ansible.builtin.assert": {**require, "fail_msg": "{{ found.content | b64decode }}"},
            "vars": {"lines": lines},
        }
        return [{"name": snippet.title, "hosts": "hypervisors", "tasks": [slurp, check]}]
    if snippet.language == "jinja":
        # templates of the pages speak of the first guest's taps
        tasks = [{"ansible.builtin.copy": {"content": snippet.text, "dest": "/srv/rendered"}, "vars": TAPS}]
        return [{"name": snippet.title, "hosts": "hypervisors", "tasks": tasks}]
    document = snippet.parsed()
    plays = document if kind_of(document) == "plays" else [{"hosts": "hypervisors", "tasks": document}]
    given = {"vars": variables} if (variables := variables_of(snippet.page)) else {}
    return [{**given, **play, "name": snippet.title} for play in plays]


def variables_of(page):
    """The variables that a page puts into files of the inventory."""
    data = [snippet.parsed() for snippet in PAGES[page] if snippet.language == "yaml"]
    return {key: value for document in data if kind_of(document) == "variables" for key, value in document.items()}


TAPS = {"taps": "{{ vepa_network_taps.web }}", "netdev": "{{ taps | linuxnet.macvtap.qemu_netdev }}"}
#: guests, boot files, links and networks of the page before
CLEANER = "pkill -KILL qemu-system; : >/etc/dhcpcd.conf; rm -rf $(find /etc -name '*macvtap*')" + RESET
CLEAN = {
    "hosts": "hypervisors",
    "tasks": [{"ansible.builtin.command": {"argv": ["sh", "-c", CLEANER]}}],
}


def test_everything_that_is_only_shown_is_still_there():
    used = {snippet.shown for page in PAGES.values() for snippet in page}
    assert set(snippets.SHOWN) - used == set()


def test_every_language_is_one_that_is_run():
    known = {"yaml", "yaml+jinja", "jinja", "console", "xml", "text", "ini"}
    assert {snippet.language for snippet in RUN} - known == set()


def is_play(snippet):
    """Whether it is for the one playbook."""
    if snippet.shown is not None:
        return False
    if "yaml" in snippet.language:
        return kind_of(snippet.parsed()) in ("plays", "tasks")
    return snippet.language == "jinja" or bool(snippet.file)


PLAYED = [page for page in PAGES if any(map(is_play, PAGES[page]))]


@pytest.fixture(scope="module")
def played(lab, directory, environment):
    """page → what will come of its playbook. All begin at once, as many at a time as there are hypervisors."""
    idle = queue.SimpleQueue()
    for hypervisor in lab.hypervisors:
        idle.put(hypervisor.name)

    def play(page):
        plays = [play for snippet in PAGES[page] if is_play(snippet) for play in plays_of(snippet)]
        clean = {**CLEAN, "name": "a host without networks", "tasks": CLEAN["tasks"] + BEFORE.get(page, [])}
        playbook = directory / f"page{PLAYED.index(page)}.yml"
        playbook.write_text(yaml.safe_dump([clean, *plays], sort_keys=False), encoding="utf-8")
        name = idle.get()
        try:
            return subprocess.run(
                [str(BIN / "ansible-playbook"), "-i", "lab.yml", "--limit", name, playbook.name],
                cwd=directory, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
        finally:
            idle.put(name)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        yield {page: pool.submit(play, page) for page in PLAYED}


@pytest.mark.parametrize("page", PLAYED)
def test_every_playbook_and_template_runs(played, page):
    done = played[page].result()
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr


@pytest.mark.parametrize("snippet", [snippet for snippet in RUN if not is_play(snippet)], ids=ids)
def test_the_rest_runs_in_its_own_way(host, lab, directory, environment, snippet):
    if "yaml" in snippet.language:
        check_data(snippet, directory)
    elif snippet.language == "ini":
        check_settings(snippet)
    elif snippet.language == "xml":
        feed(host, snippet.text)
    elif snippet.language == "console":
        host.reset()
        host.network(name="vepanet", devices=["eth0"])
        write_playbooks(directory, snippet)
        for command in commands(snippet):
            place = lab.switch if command.startswith("bridge ") else host.hypervisor
            where = CHECKOUT if snippet.page == "README.md" else directory
            # what the play does, the page's playbook has shown
            end = " --list-tasks" if command.startswith("ansible-playbook ") else ""
            place.run(["sh", "-c", f"cd {shlex.quote(str(where))} && {command}{end}"], env=environment)
    else:
        pytest.fail("nothing is known of what this is: name the file that holds it, or list it in SHOWN")


def check_data(snippet, directory):
    """YAML that is no playbook: an inventory, variables of the roles, a list of requirements."""
    document = snippet.parsed()
    kind = kind_of(document)
    if kind == "collections":
        galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
        assert document == {"collections": [{"name": f"{galaxy['namespace']}.{galaxy['name']}"}]}
    elif kind == "hypervisors":
        path = directory / "read.yml"
        path.write_text(snippet.text, encoding="utf-8")
        assert InventoryManager(loader=DataLoader(), sources=[str(path)]).get_hosts("hypervisors")
    else:
        assert set(document) <= ROLE_OPTIONS, document


def check_settings(snippet):
    """Lines for ansible.cfg are settings that Ansible has."""
    known = {
        (entry["section"], entry["key"])
        for setting in ConfigManager().get_configuration_definitions().values()
        for entry in setting.get("ini", ())
    }
    settings = configparser.ConfigParser()
    settings.read_string(snippet.text)
    asked = {(section, key) for section in settings.sections() for key in settings[section]}
    # of plugins, which declare theirs when they are loaded
    asked -= {("defaults", "callback_result_format"), ("ssh_connection", "ssh_args")}
    assert asked <= known, asked - known


ROLE_OPTIONS = {
    option
    for path in CHECKOUT.glob("roles/*/meta/argument_specs.yml")
    for option in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
}


def feed(host, text):
    """XML goes to the module that reads it; what we return is compared with what we return."""
    host.reset()
    if text.startswith("<network"):
        host.network(xml=text)
        return
    if "type='ethernet'" not in text:
        host.network(name="vepanet", devices=["eth0"])
        host.attach(xml=text, guest=None if text.startswith("<domain") else "web")
        return
    mac, ifname = re.search(r"address='([^']+)'.*?dev='([^']+)'", text, re.DOTALL).groups()
    assert re.sub(r">\s+<", "><", text.strip()) == interface_xml(mac, ifname, 1)


def commands(snippet):
    """The commands of a console snippet, without prompts and comments."""
    for line in snippet.text.replace("\\\n", " ").splitlines():
        command = re.sub(r"^[$#] ", "", line)
        for placeholder, value in PLACEHOLDERS.items():
            command = re.sub(rf"\b{placeholder}\b", value, command)
        yield command


def write_playbooks(directory, snippet):
    """The playbook that a command names is the last play of the page before it."""
    for name in re.findall(r"\b\w+\.yml\b", snippet.text):
        before = [
            other
            for other in PAGES[snippet.page]
            if other.line < snippet.line and "yaml" in other.language and kind_of(other.parsed()) == "plays"
        ]
        (directory / name).write_text(yaml.safe_dump(plays_of(before[-1]), sort_keys=False), encoding="utf-8")
