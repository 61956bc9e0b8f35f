# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role that runs guests: the users that it makes and removes."""

import json
import re

from qemu_lab import guest_image

#: a plain name, and one that is no user name and too long for one
NAMES = ["web", "Web 1, a guest with a name of some length"]


def test_each_guest_has_a_user_of_its_own_that_comes_and_goes_with_it(host, ansible, tmp_path):
    with guest_image() as boot:

        def run(*states, check=False, per_guest=True):
            guests = [{"name": name, "state": state, "kernel": boot[0]} for name, state in zip(NAMES, states)]
            variables = {"qemu_guest_guests": guests, "qemu_guest_user_per_guest": per_guest, "qemu_guest_taps": {}}
            variables.update(qemu_guest_accelerator="tcg", qemu_guest_extra_args=["-S"], qemu_guest_stop_timeout=0)
            variables.update(qemu_guest_memory=64, qemu_guest_start_timeout=120)
            show = {
                "ansible.builtin.debug": {
                    "msg": "users={{ qemu_guest_running | dict2items | map(attribute='value.user') }}"
                }
            }
            play = {"hosts": "all", "gather_facts": False, "vars": variables}
            play.update(roles=["linuxnet.macvtap.qemu_guest"], post_tasks=[show])
            playbook = tmp_path / "play.yml"
            playbook.write_text(json.dumps([play]), encoding="utf-8")
            status, output = ansible("ansible-playbook", str(playbook), *(["--check"] if check else []))
            changed = re.search(r"changed=(\d+)", output)
            return status, int(changed.group(1)) if changed else None, output

        def users():
            lines = host.run(["grep", "-E", "^qemu-(vm|guest)", "/etc/passwd"], check=False).stdout.splitlines()
            return sorted(line.split(":")[0] for line in lines)

        assert run("started", "started", check=True)[:2] == (0, 2)
        assert users() == []
        status, changed, output = run("started", "started")
        assert (status, changed) == (0, 2), output
        made = users()
        assert made[0] == "qemu-vm-web" and len(made) == 2 and all(len(name) <= 31 for name in made)
        shells = host.run(["grep", "-c", "^qemu-vm-.*:/nonexistent:/usr/sbin/nologin$", "/etc/passwd"]).stdout
        assert shells.strip() == "2"
        running = host.run(["ps", "-C", "qemu-system-x86_64", "-o", "user:40="]).stdout.split()
        assert sorted(running) == made
        assert run("started", "started")[:2] == (0, 0)
        # also after the variable was taken back the user goes with its guest
        assert run("absent", "absent", check=True, per_guest=False)[:2] == (0, 2)
        assert run("absent", "absent", per_guest=False)[:2] == (0, 2)
        assert users() == []
        # one that was made for something else is neither used nor removed
        host.run(["useradd", "--system", "--comment", "mine", "qemu-vm-web"])
        status, _changed, output = run("started")
        assert status and "with the comment 'mine' instead of 'QEMU guest" in " ".join(output.split())
        assert run("absent")[:2] == (0, 0)
        assert users() == ["qemu-vm-web"]
