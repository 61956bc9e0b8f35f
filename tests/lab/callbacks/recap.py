# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An Ansible callback: the counts of the play recap as JSON, for who would have to read them from the screen."""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recap
type: aggregate
short_description: Write the counts of the play recap as JSON
description:
  - Writes a dictionary from each host to its counts to the file that E(LINUXNET_RECAP) names.
  - What the screen shows depends on colors, width and the user's settings. This does not.
options: {}
"""


class CallbackModule(CallbackBase):
    """Writes the file when a playbook ends; never prints."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recap"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_stats(self, stats):
        """Called by Ansible with the counts of all hosts."""
        counts = {host: stats.summarize(host) for host in stats.processed}
        with open(os.environ["LINUXNET_RECAP"], "w", encoding="utf-8") as file:
            json.dump(counts, file)
