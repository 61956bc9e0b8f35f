# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""macvtap_qemu where systemd manages the host: the units that it writes, and those that it did not write."""

import pytest
from module_host import ModuleFailed
from qemu_lab import QEMU, USER, guest_image, lone_host
from test_persist_reboot import booted_systemd

RUN = "/run/qemu-guests"
UNITS = "/etc/systemd/system"


@pytest.fixture(scope="module")
def site():
    """(host, run a command beside systemd, run macvtap_qemu among its processes)."""
    with lone_host() as host, guest_image() as boot:
        # systemd has another /tmp; the directory is one that the files of the boot bring
        host.run(["sh", "-ec", f"install -m 644 {boot[0]} /run/kernel; mkdir -p {UNITS}/multi-user.target.d"])
        with booted_systemd(host) as (beside, _runner):
            # with the /proc of systemd's processes, which the module looks at
            pid = host.run(["pgrep", "-x", "systemd"]).stdout.split()[-1]
            runner = host.start_runner("nsenter", "--target", pid, "--pid", "--", "unshare", "--mount-proc", "--")
            options = {"kernel": "/run/kernel", "user": USER, "accelerator": "tcg", "extra_args": ["-S"], "memory": 64}
            options.update(supervisor="systemd", start_timeout=120, stop_timeout=1)

            def module(name, wanted="started", check=False, **changes):
                arguments = {"name": name, "state": wanted, **options, **changes}
                return host.module(QEMU, runner=runner, check=check, **arguments)

            yield host, beside, module


def test_the_socket_is_roots_from_the_start_on_and_the_unit_ends_its_own_qemu_only(site):
    host, beside, module = site
    taps = host.attach(guest="web", attachments=[{"device": "eth0"}])["attachments"]
    foretold, done = module("web", check=True, taps=taps), module("web", taps=taps)
    assert (
        foretold["actions"]
        == done["actions"]
        == [
            "write the unit of guest web",
            "enable the unit of guest web at boot",
            "start guest web",
        ]
    )
    assert beside("stat", "-c", "%a %u:%g", f"{RUN}/web") == "700 0:0"
    assert module("web", taps=taps)["changed"] is False
    pid = str(done["guest"]["pid"])
    names = beside("sh", "-c", f"tr '\\0' '\\n' </proc/{pid}/environ | sed 's/=.*//'").split()
    assert "PATH" in names and "PYTHONPATH" not in names
    status = dict(line.split(":", 1) for line in beside("cat", f"/proc/{pid}/status").splitlines())
    assert [status[key].strip() for key in ("Umask", "CapBnd", "NoNewPrivs")] == ["0077", "0" * 16, "1"]
    # systemd 257 lists the user's own group here as well
    assert set(status["Groups"].split()) <= set(status["Gid"].split())
    assert module("mail")["changed"]
    # as 1.0 left the directory, its user has exchanged the socket for another guest's
    beside("chown", USER, f"{RUN}/web")
    beside("setpriv", "--reuid", USER, "--clear-groups", "mv", f"{RUN}/web/qmp.sock", f"{RUN}/web/old")
    beside("setpriv", "--reuid", USER, "--clear-groups", "ln", "-s", f"{RUN}/mail/qmp.sock", f"{RUN}/web/qmp.sock")
    with pytest.raises(ModuleFailed, match="its QMP socket does not respond"):
        module("web", taps=taps)
    assert module("web", "absent")["actions"] == ["stop guest web", "remove the files of guest web"]
    assert beside("systemctl", "is-active", "qemu-guest-mail.service") == "active"
    assert module("mail")["changed"] is False
    assert module("mail", "absent")["changed"]
    assert beside("find", RUN, UNITS, "-name", "*web*", "-o", "-name", "*mail*") == ""


def test_a_change_that_waits_for_the_next_start_is_in_the_unit(site):
    _host, beside, module = site
    pid = module("web")["guest"]["pid"]
    later = {"memory": 96, "restart_on_change": False}
    assert module("web", check=True, **later)["actions"] == ["rewrite the unit of guest web"]
    done = module("web", **later)
    assert done["actions"] == ["rewrite the unit of guest web"] and done["guest"]["pid"] == pid
    again = module("web", **later)
    assert again["changed"] is False
    assert again["guest"]["at_next_start"] == done["guest"]["at_next_start"] == "command line changes from 64M to 96M"
    beside("systemctl", "restart", "qemu-guest-web.service")
    done = module("web", **later)
    assert done["changed"] is False and done["guest"]["at_next_start"] is None and done["guest"]["pid"] != pid
    assert module("web", "absent")["changed"]


@pytest.mark.parametrize("directory", [UNITS, "/run/systemd/system"])
@pytest.mark.parametrize("wanted", ["started", "stopped", "absent"])
def test_a_unit_of_that_name_that_is_not_ours_stays(site, wanted, directory):
    host, beside, module = site
    unit = f"{directory}/qemu-guest-db.service"
    text = "[Service]\nExecStart=/bin/sleep infinity\n"
    host.run(["sh", "-c", f"mkdir -p {directory}; cat >{unit}"], input=text)
    beside("systemctl", "daemon-reload")
    beside("systemctl", "start", "qemu-guest-db.service")
    for check in (True, False):
        with pytest.raises(ModuleFailed, match=f"unit {unit} was not written by this collection for guest db"):
            module("db", wanted, check=check)
    assert host.run(["cat", unit]).stdout == text
    assert beside("systemctl", "is-active", "qemu-guest-db.service") == "active"
    beside("systemctl", "stop", "qemu-guest-db.service")
    host.run(["rm", unit])
    beside("systemctl", "daemon-reload")


def test_units_of_names_that_look_alike_are_two(site):
    _host, beside, module = site
    names = ["a b", "a_b-c8687a08aa5d"]
    units = [module(name)["guest"]["unit"] for name in names]
    assert len(set(units)) == 2
    assert module(names[0], "absent")["changed"]
    assert beside("systemctl", "is-active", units[1]) == "active"
    assert module(names[1])["changed"] is False
    assert module(names[1], "absent")["changed"]
