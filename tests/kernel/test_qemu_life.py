# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""macvtap_qemu from the first start to the removal, and what it refuses.

QEMU is real, its processors are paused (``-S``): the guests neither boot nor cost anything.
"""

import subprocess

import pytest
from module_host import ModuleFailed, warnings
from qemu_lab import CONSOLES, QEMU, USER, Guest, guest_image, lone_host

RUN = "/run/qemu-guests"


@pytest.fixture(scope="module")
def shared():
    with lone_host() as host, guest_image() as boot:
        host.boot = boot
        yield host


@pytest.fixture
def host(shared):
    """The hypervisor, without guests and links."""
    yield shared
    for name in ("web", "mail"):
        shared.module(QEMU, name=name, state="absent", stop_timeout=0)
        shared.detach(guest=name)


@pytest.fixture
def web(host):
    """A guest with one NIC that was never started."""
    return paused(host, "web")


def paused(host, name, nics=({},)):
    return Guest(host, host.boot, name, nics=nics, extra_args=["-S"])


def processes(host):
    # with an argument: what waits to be buried has its name left, and no command line
    return host.run(["pgrep", "-f", "-c", "qemu-system.* -"], check=False).stdout.strip()


def refused(guest, **changes):
    """The message of a start that fails, in check mode and for real alike, and leaves nothing behind."""
    before = processes(guest.host), taps(guest.host)
    messages = []
    for check in (True, False):
        with pytest.raises(ModuleFailed) as caught:
            guest.started(check=check, **changes)
        messages.append(caught.value.message)
    assert messages[0] == messages[1]
    assert (processes(guest.host), taps(guest.host)) == before
    return messages[0]


def dies(guest, **changes):
    """The message of a start that fails only when QEMU runs."""
    before = processes(guest.host)
    with pytest.raises(ModuleFailed) as caught:
        guest.started(**changes)
    assert processes(guest.host) == before
    assert guest.host.run(["sh", "-c", f"ls {RUN}/web.pid {RUN}/web/qmp.sock"], check=False).stdout == ""
    return caught.value.message


def taps(host):
    return host.run(["sh", "-c", "ls -l /dev/tap*"], check=False).stdout


def test_start_stop_and_remove_are_foretold_done_and_then_unchanged(web):
    for run, action in (
        (web.started, "start guest web"),
        (lambda check: web.ended("stopped", check, stop_timeout=0), "stop guest web"),
        (lambda check: web.ended("absent", check), "remove the files of guest web"),
    ):
        foretold, done = run(check=True), run(check=False)
        assert foretold["actions"] == done["actions"] == [action]
        assert foretold["diff"] == done["diff"]
        for check in (True, False):
            assert run(check=check)["actions"] == []
    assert web.host.run(["find", RUN, CONSOLES, "-name", "web*"]).stdout == ""


def test_check_mode_starts_nothing(web):
    web.started(check=True)
    assert processes(web.host) == "0"


def test_a_changed_command_line_restarts(web):
    web.started()
    first = web.pid()
    done = web.started(memory=160, stop_timeout=0)
    assert done["actions"] == [
        "stop guest web to restart it: command line changes from 128M to 160M",
        "start guest web",
    ]
    assert web.pid() != first
    assert web.started(memory=160)["changed"] is False


def test_or_waits_for_the_next_start_and_is_reported_until_then(web):
    web.started()
    pid, later = web.pid(), {"memory": 160, "restart_on_change": False}
    words = "command line changes from 128M to 160M"
    for check in (True, False, True, False):
        done = web.started(check=check, **later)
        assert (done["changed"], done["actions"], done["diff"]["after"]) == (False, [], done["diff"]["before"])
        assert done["guest"]["at_next_start"] == words and "128M" in done["guest"]["command"]
        assert warnings(done) == [
            f"guest web was not restarted, and its next start changes this: {words}; set restart_on_change=true, or"
            " stop and start it"
        ]
    assert web.pid() == pid
    # its NICs follow at once, and what the next start needs must be there
    assert web.started(taps=[], check=True, **later)["actions"] == [
        f"unplug NIC 0 ({web.attachments[0]['mac']}) of guest web"
    ]
    assert "/nowhere does not exist" in refused(web, kernel="/nowhere", restart_on_change=False)
    web.ended("stopped", stop_timeout=0)
    done = web.started(**later)
    assert done["actions"] == ["start guest web"] and done["guest"]["at_next_start"] is None
    assert "160M" in done["guest"]["command"] and warnings(done) == []
    assert web.started(memory=160)["changed"] is False


def test_a_guest_that_was_killed_is_started_again(web):
    web.started()
    web.host.run(["kill", "-KILL", web.pid()])
    assert web.started()["actions"] == ["start guest web"]


def test_a_stale_pid_file_is_not_believed(web):
    web.host.run(["sh", "-c", f"mkdir -p {RUN}; echo 1 >{RUN}/web.pid"])
    assert web.started()["actions"] == ["start guest web"]


def test_a_changed_queue_count_replaces_the_nic(web):
    web.started()
    more = [dict(web.attachments[0], queues=2)]
    foretold = web.started(check=True, taps=more)["actions"]
    mac = web.attachments[0]["mac"]
    assert foretold == [f"unplug NIC 0 ({mac}) of guest web", f"plug NIC 0 ({mac}) into guest web"]


def test_a_nic_with_two_queues_is_plugged_with_both(host):
    web = paused(host, "web", nics=({}, {"queues": 2}))
    web.started(taps=web.attachments[:1])
    web.started()
    paths = [attachment["tap_path"] for attachment in web.attachments]
    assert web.open_taps() == sorted([paths[0], paths[1], paths[1]])
    assert web.started()["changed"] is False


def test_a_guest_that_does_not_let_go_of_a_nic_is_named(host):
    web = paused(host, "web", nics=({}, {}))
    web.started()
    with pytest.raises(ModuleFailed, match="the guest did not release nic 1 within 1 seconds"):
        web.started(taps=web.attachments[:1], stop_timeout=1)


def test_a_busy_control_socket_is_named(web):
    web.started()
    connect = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        " print(s.recv(1), flush=True); sys.stdin.read()"
    )
    client = web.host.spawn(
        ["python3", "-c", connect, f"{RUN}/web/qmp.sock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert client.stdout.readline()
    with pytest.raises(ModuleFailed, match="another QMP client holds the socket"):
        web.started()
    client.kill()
    client.communicate()


def test_a_restart_that_cannot_succeed_leaves_the_guest_running(web):
    web.started()
    pid = web.pid()
    assert "/nowhere does not exist" in refused(web, kernel="/nowhere")
    assert web.pid() == pid
    assert web.started()["changed"] is False


def test_a_failed_plug_leaves_the_guest_as_it_was(host):
    web = paused(host, "web", nics=({}, {}))
    web.started(taps=web.attachments[:1])
    with pytest.raises(ModuleFailed, match=r"QEMU refuses device_add: No 'usb-bus' bus found"):
        web.started(taps=[web.attachments[0], dict(web.attachments[1], driver="usb-net")])
    assert web.open_taps() == [web.attachments[0]["tap_path"]]
    assert web.started(taps=web.attachments[:1])["changed"] is False


# -- what is refused before anything is started ------------------------------------------------------------------------


def test_a_missing_tap_is_refused(web):
    assert "the tap /dev/tap99 is not there" in refused(web, taps=[dict(web.attachments[0], tap_path="/dev/tap99")])


def test_a_regular_file_in_place_of_a_tap_is_refused(web):
    web.host.run(["touch", "/dev/tap98"])
    said = refused(web, taps=[dict(web.attachments[0], tap_path="/dev/tap98")])
    web.host.run(["rm", "/dev/tap98"])
    assert "/dev/tap98 is a regular file and not a tap" in said


def test_the_tap_of_another_link_is_refused(host, web):
    mail = paused(host, "mail")
    said = refused(web, taps=[dict(web.attachments[0], tap_path=mail.attachments[0]["tap_path"])])
    assert "and not" in said
    assert "the tap of its link" in said


def test_a_tap_that_another_guest_holds_is_refused(host, web):
    mail = paused(host, "mail")
    mail.started()
    said = refused(web, taps=[dict(mail.attachments[0], guest="web")])
    assert f"is held open by pid {mail.pid()} (qemu-system-x86)" in said


def test_the_attachments_of_another_guest_are_refused(host, web):
    mail = paused(host, "mail")
    assert "taps[0] belongs to guest 'mail' and not to 'web'" in refused(web, taps=mail.attachments)


def test_a_missing_image_is_refused(web):
    assert refused(web, image="/srv/none.qcow2") == "image /srv/none.qcow2 does not exist"


def test_an_image_that_the_guests_user_may_not_use_is_refused(web):
    web.host.run(["sh", "-c", "umask 077; touch /run/secret.img"])
    assert "the guest's user may not read it" in refused(web, image="/run/secret.img")
    web.host.run(["chmod", "644", "/run/secret.img"])
    assert "the guest's user may not write it" in refused(web, image="/run/secret.img")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user": "root"}, "user root is root"),
        ({"kernel": None, "initrd": None, "append": None}, "neither image nor kernel"),
        ({"kernel": None, "image": "/srv/web.qcow2"}, "but no kernel"),
        ({"memory": 0}, "memory 0 is less than 1"),
        ({"taps": [{"mac": "02:00:00:00:00:01"}]}, "has no tap_path"),
        ({"driver": "a,b"}, "not the name of a QEMU device"),
        ({"supervisor": "systemd"}, "systemd does not manage this host"),
    ],
)
def test_what_cannot_be_is_refused_by_name(web, changes, words):
    assert words in refused(web, **changes)


@pytest.mark.parametrize("name", ["a/b", "..", "", "a\nb"])
def test_a_name_that_no_guest_can_have_is_refused(host, name):
    for state in ("started", "stopped", "absent"):
        with pytest.raises(ModuleFailed, match="guest name"):
            host.module(QEMU, name=name, state=state, kernel=host.boot[0], user=USER)


@pytest.mark.parametrize("name", ["a b,c=d'e\"f", "x" * 100])
def test_a_name_of_blanks_commas_and_quotes_and_a_long_one_work(host, name):
    attached = host.attach(guest=name, attachments=[{"device": "eth0"}])["attachments"]
    options = {"kernel": host.boot[0], "user": USER, "accelerator": "tcg", "extra_args": ["-S"], "taps": attached}
    host.module(QEMU, name=name, **options)
    assert host.module(QEMU, name=name, **options)["changed"] is False
    host.module(QEMU, name=name, state="absent", stop_timeout=0)
    host.detach(guest=name)
    assert processes(host) == "0"


# -- QEMU that dies at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"extra_args": ["-nonsense"]}, "-nonsense: invalid option"),
        ({"extra_args": ["-device", "nonsense"]}, "'nonsense' is not a valid device model name"),
        ({"machine": "nonsense"}, "unsupported machine type"),
        ({"binary": "/bin/false"}, "QEMU ended at once; QEMU says: nothing"),
    ],
)
def test_the_error_repeats_qemus_own_words(web, changes, words):
    assert words in dies(web, **changes)


def test_qemu_that_is_not_installed_is_named(web):
    assert "there is no qemu-system-none here; install QEMU" in dies(web, binary="qemu-system-none")
