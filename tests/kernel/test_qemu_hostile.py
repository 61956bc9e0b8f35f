# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""macvtap_qemu against the user that a guest runs as, against a QEMU that its guest broke out of, and other users.

What an attacker does here, it does as that user.
"""

import shlex
import subprocess
import time

import fake_qemu
import pytest
from module_host import ModuleFailed, warnings
from qemu_lab import CONSOLES, QEMU, USER, Guest, host_with_fake_qemu

from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.command_line import GuestSpec, base_command
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.paths import file_name_1_0, paths_of

RUN = "/run/qemu-guests"
#: a user that is neither root nor the guest's
OTHER = "daemon"
SECURED = "take the directory of the control socket of guest {} from its user"
NAMES = ("web", "mail", "a", "a.pid", "a b", "a_b-c8687a08aa5d")


@pytest.fixture(scope="module")
def shared():
    with host_with_fake_qemu() as host:
        yield host


@pytest.fixture
def host(shared):
    """The hypervisor, without guests and links."""
    yield shared
    for name in NAMES:
        shared.module(QEMU, name=name, state="absent", stop_timeout=0)
        shared.detach(guest=name)


def paused(host, name="web", nics=({},), **options):
    return Guest(host, host.boot, name, nics=nics, extra_args=["-S"], **options)


@pytest.fixture
def web(host):
    guest = paused(host)
    guest.started()
    return guest


def as_user(host, script, user=USER):
    """Run a script as a user that has no other rights."""
    command = [
        "setpriv",
        "--reuid",
        user,
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "sh",
        "-ec",
        script,
    ]
    return host.run(command).stdout


def as_1_0_left_it(guest):
    """Give a running guest's directory back to its user."""
    guest.host.run(["chown", USER, f"{RUN}/{guest.name}"])


def alive(host, pid):
    return host.run(["test", "-d", f"/proc/{pid}"], check=False).returncode == 0


def state(host, name):
    """What the hypervisor has of a guest."""
    return host.run(["find", RUN, CONSOLES, "/etc/systemd/system", "-name", f"{name}*"], check=False).stdout.split()


# -- who is at the other end -------------------------------------------------------------------------------------------

#: what a guest's user can put at the place of its socket to have root speak to another guest of its user
DISGUISES = {
    "link": f"mv {RUN}/web/qmp.sock {RUN}/web/old; ln -s {RUN}/mail/qmp.sock {RUN}/web/qmp.sock",
    "second name": f"ln -f {RUN}/mail/qmp.sock {RUN}/web/qmp.sock",
    "file": f"mv {RUN}/web/qmp.sock {RUN}/web/old; echo >{RUN}/web/qmp.sock",
    "FIFO": f"mv {RUN}/web/qmp.sock {RUN}/web/old; mkfifo {RUN}/web/qmp.sock",
    "directory": f"mv {RUN}/web/qmp.sock {RUN}/web/old; mkdir -p {RUN}/web/qmp.sock/a/b; touch {RUN}/web/qmp.sock/a/c",
}


@pytest.fixture
def disguised(host, web, request):
    """(web, mail), both running as 1.0 left them, with web's socket exchanged by its user."""
    mail = paused(host, "mail", nics=({}, {}))
    mail.started()
    for guest in (web, mail):
        as_1_0_left_it(guest)
    as_user(host, DISGUISES[request.param])
    return web, mail


@pytest.mark.parametrize("disguised", ["link", "second name"], indirect=True)
def test_an_exchanged_socket_is_not_spoken_to_and_the_guest_behind_it_keeps_its_nics(disguised):
    web, mail = disguised
    for check in (True, False):
        with pytest.raises(ModuleFailed, match=r"in place of the guest's QEMU|qmp\.sock is not a socket"):
            web.started(check=check)
    assert mail.started(check=True)["actions"] == [SECURED.format("mail")]
    (unasked,) = warnings(web.host.module("macvtap_info"))
    assert "their QEMU did not answer: web (" in unasked and "mail" not in unasked


@pytest.mark.parametrize(
    ("disguised", "wanted"),
    [("link", "stopped"), ("second name", "absent"), ("file", "stopped"), ("FIFO", "absent"), ("directory", "stopped")],
    indirect=["disguised"],
)
def test_a_guest_whose_socket_was_exchanged_is_ended_and_no_other(disguised, wanted):
    web, mail = disguised
    pid, others = web.pid(), mail.pid()
    assert web.ended(wanted, stop_timeout=1)["changed"]
    assert not alive(web.host, pid)
    assert alive(web.host, others)
    assert mail.started(check=True)["actions"] == [SECURED.format("mail")]
    assert web.ended(wanted)["changed"] is False
    assert web.started()["actions"] == ["start guest web"]


def test_once_qemu_listens_its_user_can_neither_replace_nor_reach_the_socket(web):
    assert web.host.run(["stat", "-c", "%a %u:%g", f"{RUN}/web"]).stdout == "700 0:0\n"
    for script in (
        f"ls {RUN}/web",
        f"mv {RUN}/web/qmp.sock {RUN}/x",
        f"rm {RUN}/web/qmp.sock",
        f"mv {RUN}/web {RUN}/x",
    ):
        with pytest.raises(subprocess.CalledProcessError):
            as_user(web.host, script)


def test_a_guest_that_1_0_started_is_secured_without_a_restart(web):
    as_1_0_left_it(web)
    pid = web.pid()
    foretold, done = web.started(check=True), web.started()
    assert foretold["actions"] == done["actions"] == [SECURED.format("web")]
    assert web.started()["changed"] is False
    assert web.pid() == pid


# -- a QEMU that is no longer one --------------------------------------------------------------------------------------


def broken_out(host, behaviour):
    guest = paused(host)
    guest.options.update(append=behaviour, binary=host.fake)
    guest.started()
    return guest


@pytest.mark.parametrize("behaviour", fake_qemu.BEHAVIOURS)
def test_whatever_qemu_says_the_error_is_a_sentence_and_the_guest_can_be_removed(host, behaviour):
    guest = broken_out(host, behaviour)
    with pytest.raises(ModuleFailed) as caught:
        guest.started()
    assert "the guest runs as process" in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1000
    begun = time.monotonic()
    (unasked,) = warnings(host.module("macvtap_info"))
    assert "their QEMU did not answer: web (" in unasked and unasked.isprintable() and len(unasked) < 1000
    # beside the time for one guest, that of a busy machine
    assert time.monotonic() - begun < 20
    assert guest.ended("absent", stop_timeout=1)["changed"]
    assert state(host, "web") == []


# -- what its user leaves in the way -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [f"{RUN}/web.pid", f"{RUN}/web.start", f"{CONSOLES}/web.console", f"{CONSOLES}/web.log"]
)
def test_what_lies_in_the_place_of_a_file_is_refused_by_name_and_never_waited_for(host, path):
    web = paused(host)
    for plant in ("mkfifo", "ln -s /etc/passwd", "mkdir"):
        # a start file is not looked at without a pid of some process
        host.run(["sh", "-ec", f"mkdir -p {RUN} {CONSOLES}; echo 1 >{RUN}/web.pid; rm -rf {path}; {plant} {path}"])
        before = host.run(["stat", "-c", "%F %i %U %a", path, "/etc/passwd"]).stdout
        with pytest.raises(ModuleFailed, match=f"{path}.*remove it"):
            web.started()
        assert host.run(["stat", "-c", "%F %i %U %a", path, "/etc/passwd"]).stdout == before
        host.run(["rm", "-rf", path])


@pytest.mark.parametrize("option", ["runtime_dir", "log_dir"])
@pytest.mark.parametrize(
    "unsafe", ["chmod 1777 {0}", f"chown {USER} {{0}}", f"chown {USER} {{0}}/..", "chmod 777 {0}/.."]
)
def test_a_directory_that_others_can_change_is_refused(host, option, unsafe):
    path = "/run/unsafe/guests"
    host.run(["sh", "-ec", f"rm -rf /run/unsafe; mkdir -p {path}; {unsafe.format(path)}"])
    for check in (True, False):
        with pytest.raises(ModuleFailed, match=f"{option} {path} is not safe"):
            host.module(QEMU, name="web", state="absent", check=check, **{option: path})


# -- which process it is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "start_file"), [(USER, True), (OTHER, True), (OTHER, False)])
def test_a_process_that_got_the_number_of_the_guests_is_left_alone(web, user, start_file):
    """Anybody can have any arguments. Without a start file (1.0), the guest's user can have its own processes ended."""
    host = web.host
    arguments = host.read(f"/proc/{web.pid()}/cmdline").split("\0")
    host.run(["kill", "-KILL", web.pid()])
    command = ["setpriv", "--reuid", user, "--clear-groups", "sh", "-c", "echo $$; read line", *arguments]
    stranger = host.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid = stranger.stdout.readline().strip()
    host.run(["sh", "-c", f"echo {pid} >{RUN}/web.pid"])
    if not start_file:
        host.run(["rm", f"{RUN}/web.start"])
    assert web.ended("stopped", stop_timeout=0)["changed"] is False
    assert web.ended("absent")["actions"] == ["remove the files of guest web"]
    assert stranger.poll() is None


@pytest.mark.parametrize("content", ["", "0", "-1", "7" * 5000, "1 2", "x", "\uff11"])
def test_a_pid_file_that_holds_no_pid_is_not_believed(host, content):
    web = paused(host)
    host.run(["sh", "-c", f"mkdir -p {RUN}; printf %s {shlex.quote(content)} >{RUN}/web.pid"])
    assert web.started()["actions"] == ["start guest web"]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "two"), [("a b", "a_b-c8687a08aa5d"), ("a", "a.pid"), ("a.pid", "a")])
def test_guests_whose_names_look_alike_share_nothing(host, one, two):
    guests = [paused(host, name) for name in (one, two)]
    results = [guest.started()["guest"] for guest in guests]
    assert results[0]["qmp_socket"] != results[1]["qmp_socket"]
    for guest in guests:
        assert guest.started()["changed"] is False
    guests[0].ended("absent", stop_timeout=0)
    assert alive(host, results[1]["pid"])
    assert guests[1].started()["changed"] is False


def test_a_guest_that_1_0_runs_under_another_file_name_is_found(host):
    guest = paused(host, "a b")
    paths = paths_of(file_name_1_0("a b"), RUN, CONSOLES)
    spec = GuestSpec(
        name="a b", binary="/usr/bin/qemu-system-x86_64", accelerator="tcg", memory=128, extra_args=("-S",)
    )
    spec = spec._replace(kernel=guest.options["kernel"], initrd=guest.options["initrd"], append=guest.options["append"])
    make = f"mkdir -p {RUN} {CONSOLES}; install -d -m 700 -o {USER} {paths.directory}"
    make += f"; install -o {USER} /dev/null {paths.console}"
    host.run(["sh", "-ec", make])
    become = ["setpriv", "--reuid", USER, "--clear-groups", "sh", "-c", 'echo $$; exec "$@"', "sh"]
    qemu = host.spawn([*become, *base_command(spec, paths)], stdout=subprocess.PIPE, text=True)
    pid = qemu.stdout.readline().strip()
    host.run(["sh", "-c", f"echo {pid} >{paths.pid_file}; until [ -S {paths.socket} ]; do sleep 0.1; done"])
    # another guest, whose name was that of its files, is not taken for it
    for wanted in ("stopped", "absent"):
        with pytest.raises(ModuleFailed, match=f"process {pid} runs another guest"):
            host.module(QEMU, name="a_b-c8687a08aa5d", state=wanted)
    assert guest.started(taps=[])["actions"] == [SECURED.format("a b")]
    assert guest.started(taps=[])["changed"] is False
    assert guest.ended("absent", stop_timeout=0)["changed"]
    qemu.wait(30)
    assert state(host, "a_b") == []


# -- what QEMU inherits ------------------------------------------------------------------------------------------------


def test_qemu_inherits_nothing_of_the_module(host):
    """Not its environment (where a play keeps passwords), nor directory, umask, signals, core files, keys, files."""
    shell = """trap "" HUP USR1 TERM; umask 0; cd /tmp; exec 9</etc/shadow; ulimit -c unlimited; exec "$@" """
    runner = host.start_runner("env", "VAULT_TOKEN=s3cret", "sh", "-c", shell, "sh")
    guest = paused(host)
    host.module(QEMU, runner=runner, name="web", taps=guest.attachments, **guest.options)
    proc = f"/proc/{guest.pid()}"
    environment = host.read(f"{proc}/environ").split("\0")
    assert sorted(word.partition("=")[0] for word in environment if word) == ["LC_ALL", "PATH"]
    status = dict(line.split(":\t", 1) for line in host.read(f"{proc}/status").split("\n") if ":\t" in line)
    assert status["Umask"] == "0077"
    # QEMU ignores SIGPIPE by itself
    # not counting SIGPIPE, and 32 and 33, which are the C library's own and cannot be reset
    assert int(status["SigIgn"], 16) & ~(1 << 12 | 3 << 31) == 0
    assert host.run(["readlink", f"{proc}/cwd"]).stdout == "/\n"
    assert host.run(["awk", "/core file size/ { print $5, $6 }", f"{proc}/limits"]).stdout == "0 0\n"
    assert "/etc/shadow" not in host.run(["sh", "-c", f"readlink {proc}/fd/*"]).stdout
    assert {status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Groups"].strip()) == ("1", "")


def test_a_running_guest_keeps_its_user_and_the_module_says_so(web):
    result = web.started(user=OTHER)
    assert result["changed"] is False
    assert any(f"as user {OTHER} from its next start on" in text for text in warnings(result))
    assert warnings(web.started()) == []
