# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Other programs, run as Ansible runs them (AnsibleModule.run_command): no shell, nothing expanded, C locale."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from ansible.module_utils.basic import AnsibleModule

#: exit status of a program that is not there, as in a shell
NOT_FOUND = 127
#: the module of this process
_MODULE: list[AnsibleModule] = []


class Done(NamedTuple):
    """A program that ended."""

    status: int
    output: str
    errors: str


def use(module: AnsibleModule) -> None:
    """Let this module run the programs of its process."""
    _MODULE[:] = [module]


def run(words: Sequence[str], seconds: int | None = None, data: str | None = None) -> Done:
    """Run a program to its end.

    :arg seconds: after so many it is ended (timeout(1)); the status is 124 then.
    :arg data: for its standard input.
    :returns: with status :data:`NOT_FOUND` where there is no such program.
    """
    bounded = [*(["timeout", str(seconds)] if seconds is not None else []), *words]
    try:
        # words come from options: neither ~ nor $ in them is for anybody to expand
        return Done(
            *_MODULE[0].run_command(
                bounded,
                data=data,
                handle_exceptions=False,
                expand_user_and_vars=False,
                # nft and ip may be in directories that only root's PATH has
                environ_update={"LC_ALL": "C", "PATH": f"{os.environ.get('PATH') or os.defpath}:/usr/sbin:/sbin"},
            )
        )
    except OSError as exc:
        return Done(NOT_FOUND, "", f"{words[0]}: {exc.strerror}")
