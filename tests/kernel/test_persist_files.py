# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of macvtap_persist: what they are, whose they are, and that they go again."""

import json
import pathlib

import pytest
from module_host import ModuleFailed, second_namespace
from persist_lab import FIND, PERSIST, WORST, files_of, need

pytestmark = pytest.mark.usefixtures("clean_boot")


def test_units_pass_systemds_own_judgement(host):
    need("systemd-analyze")
    made = host.attach(attachments=[{"guest": WORST, "device": "eth0"}, {"guest": "b", "device": "eth1"}])
    host.module(PERSIST, attachments=made["attachments"])
    host.run(["sh", "-c", "printf '[Service]\\nExecStart=true\\n' >/etc/systemd/system/qemu-guest-b.service"])
    units = ["macvtap.target", "macvtap@eth0.service", "macvtap@eth1.service", "qemu-guest-b.service"]
    judged = host.run(["systemd-analyze", "verify", "--man=no", *units, "multi-user.target"], check=False)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, "")


def test_everything_is_gone_after_absent(host):
    host.network(name="vepanet", devices=["eth0"])
    host.run(["mkdir", "-p", "/etc/NetworkManager/conf.d"])
    before = files_of(host)
    made = host.attach(attachments=[{"guest": "a", "network": "vepanet"}, {"guest": "b", "device": "eth1"}])
    check = host.module(PERSIST, attachments=made["attachments"], check=True)
    assert files_of(host) == before
    done = host.module(PERSIST, attachments=made["attachments"])
    assert done == check and set(done["files"]) == set(files_of(host)) - set(before)
    again = host.module(PERSIST, attachments=made["attachments"])
    assert (again["changed"], again["actions"], again["diff"]) == (False, [], [])

    host.module(PERSIST, state="absent", network="vepanet")
    assert [row["guest"] for row in host.module("macvtap_info")["attachments"] if row["persistent"]] == ["b"]
    check = host.module(PERSIST, state="absent", attachments=[{"guest": "b"}], check=True)
    gone = host.module(PERSIST, state="absent", attachments=[{"guest": "b"}])
    assert check == gone and gone["files"] == [] and gone["entries"] == []
    assert files_of(host) == before
    left = host.run(["sh", "-c", "ls -d /etc/macvtap/boot /etc/systemd/system/*.d"], check=False).stdout
    assert left == ""
    assert not host.module(PERSIST, state="absent", network="vepanet")["changed"]


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_every_file_says_who_wrote_it_and_is_roots_to_write_and_everybodys_to_read(host, umask):
    host.run(["sh", "-c", "rm -rf /etc/systemd/network /etc/udev/rules.d; mkdir -p /etc/NetworkManager/conf.d"])
    made = host.attach(attachments=[{"guest": WORST, "device": "eth0"}, {"guest": "b", "device": "eth1"}])
    runner = host.start_runner("sh", "-c", f'umask {umask}; exec "$@"', "sh")
    done = host.module(PERSIST, attachments=made["attachments"], runner=runner)
    assert len(done["files"]) == 15
    for path in done["files"]:
        first = host.read(path).splitlines()[0]
        assert first.startswith("# Written by Ansible (module linuxnet.macvtap.macvtap_persist)"), path
        for above in (path, *map(str, pathlib.PurePath(path).parents)):
            mode, owner = host.run(["stat", "-c", "%A %u:%g", above]).stdout.split()
            assert (mode, owner) == ("-rw-r--r--" if above == path else "drwxr-xr-x", "0:0"), above
    left = host.run(["find", "/etc", "-name", ".*.new"]).stdout
    assert left == ""


def test_a_file_of_somebody_else_is_refused_and_nothing_is_written(host):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    rules = "/etc/udev/rules.d/90-macvtap.rules"
    host.run(["tee", rules], input="# mine\n")
    try:
        before = files_of(host)
        for check in (True, False):
            with pytest.raises(ModuleFailed, match=r"90-macvtap\.rules was not written by this collection"):
                host.module(PERSIST, attachments=made["attachments"], check=check)
        assert files_of(host) == before and host.read(rules) == "# mine"
    finally:
        host.run(["rm", rules])


@pytest.mark.parametrize("effect", [5, 12, 20, 30, 40])
def test_a_failure_takes_back_what_was_written(host, effect):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth1"}])
    host.module(PERSIST, attachments=made["attachments"][:1])
    contents = "cat $({ %s; } | sort)" % FIND
    before = host.run(["sh", "-c", contents]).stdout
    with pytest.raises(ModuleFailed, match=r"No space left on device\. The run was rolled back \(steps: "):
        host.module(PERSIST, attachments=made["attachments"], luck={"fail_at": [effect, 28]})
    assert host.run(["sh", "-c", contents]).stdout == before
    host.module(PERSIST, state="absent", guest=["a"])


def test_drift_between_what_is_live_and_what_the_next_boot_makes(host):
    made = host.attach(attachments=[{"guest": guest, "device": "eth0"} for guest in "abc"])
    host.module(PERSIST, attachments=made["attachments"][:2])
    host.attach(attachments=[{"guest": "a", "device": "eth0", "mode": "bridge", "queues": 2}])
    host.detach(guest="b")
    told = host.module("macvtap_info")
    assert {row["guest"]: (row["persistent"], row["problems"]) for row in told["attachments"]} == {
        "a": (True, ["the next boot creates it differently: mode bridge -> vepa, queues 2 -> 1"]),
        "c": (False, []),
    }
    assert [row["guest"] for row in told["boot_only"]] == ["b"]
    assert host.module("macvtap_info", guest="c")["boot_only"] == []
    # and check mode shows the same
    rows = told["attachments"]
    planned = host.module(PERSIST, attachments=rows, guest=["b"], purge=True, check=True)
    assert planned["changed"] and json.dumps(planned["diff"]).count("macvtap mode bridge") == 1
    host.module(PERSIST, attachments=rows, guest=["b"], purge=True)
    told = host.module("macvtap_info")
    assert told["boot_only"] == [] and not any(row["problems"] for row in told["attachments"])
    host.run(["sh", "-c", "echo 'link delete eth0' >>/etc/macvtap/boot/eth0.up"])
    assert "eth0.up, line" in host.module("macvtap_info")["boot_problems"][0]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("rm {0}/macvtap@.service", "{0}/macvtap@.service is missing"),
        ("echo Requires=x.service >>{0}/macvtap.target", "{0}/macvtap.target has been changed"),
        ("ln -sf /dev/null {0}/macvtap.target", "{0}/macvtap.target is not a regular file"),
        ("echo mine >{0}/multi-user.target.d/macvtap.conf", "multi-user.target.d/macvtap.conf was not written by this"),
        ("rm /etc/macvtap/boot/eth0.up", "/etc/macvtap/boot/eth0.up is missing"),
    ],
)
def test_what_keeps_the_next_boot_from_it_is_told(host, script, problem):
    units = "/etc/systemd/system"
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    host.module(PERSIST, attachments=made["attachments"])
    assert host.module("macvtap_info")["boot_problems"] == []
    host.run(["sh", "-c", script.format(units)])
    assert problem.format(units) in host.module("macvtap_info")["boot_problems"][0]


def test_any_run_writes_again_what_is_missing_or_changed(host):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    host.module(PERSIST, attachments=made["attachments"])
    host.run(["sh", "-c", "cd /etc/systemd/system; rm macvtap@.service; echo Requires=x.service >>macvtap.target"])
    done = host.module(PERSIST, attachments=[])
    assert [action.split("/")[0] for action in done["actions"]] == ["write ", "update "]
    assert host.module("macvtap_info")["boot_problems"] == []


def test_another_network_namespace_has_no_boot(host):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    host.module(PERSIST, attachments=made["attachments"])
    with second_namespace(host) as second:
        there = second.attach(attachments=[{"guest": "b", "device": "eth0"}])
        with pytest.raises(ModuleFailed, match="in a network namespace of its own"):
            second.module(PERSIST, attachments=there["attachments"])
        told = second.module("macvtap_info")
        assert (told["boot_only"], told["boot_problems"]) == ([], [])
        second.detach(guest="b")
    assert [row["guest"] for row in host.module("macvtap_info")["attachments"] if row["persistent"]] == ["a"]


def test_another_root(host, tmp_path):
    made = host.attach(attachments=[{"guest": "a", "device": "eth0"}])
    root = str(tmp_path / "image")
    done = host.module(PERSIST, attachments=made["attachments"], root=root)
    found = [str(path) for path in pathlib.Path(root).rglob("*") if path.is_file()]
    assert sorted(root + path for path in done["files"]) == sorted(found) and files_of(host) == []
    host.module(PERSIST, state="absent", guest=["a"], root=root)
    assert [path for path in pathlib.Path(root).rglob("*") if path.is_file()] == []
