# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible on the machine that the lab runs on: the same whatever the user has set, and with its counts as data."""

import contextlib
import json
import os
import sys

_CALLBACKS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "callbacks")


class Controller:
    """How to start Ansible so that neither the user's settings nor the terminal change what it does.

    Arguments: ``directory``, an existing one in which Ansible keeps its files.
    """

    def __init__(self, directory):
        self._home = os.path.join(directory, "ansible")
        self._recap = os.path.join(directory, "recap.json")
        self._configuration = os.path.join(directory, "ansible.cfg")
        with open(self._configuration, "w", encoding="utf-8"):
            pass  # an empty one: neither the user's nor the machine's counts

    @staticmethod
    def command(program):
        """Return the words that start ``ansible-playbook`` and so on with this interpreter.

        Not the scripts beside it: their first line cannot hold every path.
        """
        return [sys.executable, "-m", "ansible", program.partition("-")[2] or "adhoc"]

    def environment(self, **settings):
        """Return the environment for it, with ``settings`` in place of all ANSIBLE_ variables of the user.

        Forgets the counts of the playbook before: one that never begins has none.
        """
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._recap)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        # Ansible wants UTF-8, and a locale that is installed.
        kept.update(LC_ALL="C.UTF-8", LINUXNET_RECAP=self._recap)
        ours = {
            "ANSIBLE_CONFIG": self._configuration,
            "ANSIBLE_HOME": self._home,
            "ANSIBLE_CALLBACK_PLUGINS": _CALLBACKS,
            "ANSIBLE_CALLBACKS_ENABLED": "recap",
        }
        return {**kept, **ours, **settings}

    def recap(self):
        """Return the counts of the last playbook: {host: {"ok": 1, "changed": 0, "failures": 0 …}}."""
        with open(self._recap, encoding="utf-8") as file:
            return json.load(file)

    def changed(self):
        """Return the number of tasks that changed something in the last playbook, of all hosts together."""
        return sum(counts["changed"] for counts in self.recap().values())
