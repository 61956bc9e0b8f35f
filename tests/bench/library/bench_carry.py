# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that does nothing: it checks the options of another one and hands back that one's result, from a file."""

import json

from ansible.module_utils.basic import AnsibleModule

CARRIED = "/run/bench/carried.json"


def main():
    with open(CARRIED, encoding="utf-8") as file:
        carried = json.load(file)
    module = AnsibleModule(argument_spec=carried["argument_spec"], supports_check_mode=True)
    module.exit_json(invocation={}, **carried["result"])


if __name__ == "__main__":
    main()
