# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The one way a module of this collection starts, fails and reports."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import has_respawned, respawn_module

from .._core import names
from .._core.errors import MacvtapError, as_error
from .._system import command
from . import misplaced, options


class _Module(AnsibleModule):  # type: ignore[misc]  # Ansible has no type hints
    """Its messages reach an operator's terminal as plain text, whatever processes, links and guests are called."""

    def log(self, msg: Any, log_args: Any = None) -> None:
        """Log as Ansible does; from Python 3.13 on, syslog refuses a NUL before the option is checked."""
        super().log(msg.replace("\0", "\\0") if isinstance(msg, str) else msg, log_args)

    def warn(self, warning: str, **more: Any) -> None:
        """Warn as Ansible does."""
        super().warn(names.printable(warning), **more)

    def fail_json(self, msg: str, **more: Any) -> Any:
        """Fail as Ansible does; where it refuses an option as unsupported, with where that option belongs."""
        checked = getattr(self, "validation_result", None)
        where = misplaced.hint(checked.unsupported_parameters, self.argument_spec) if checked else ""
        super().fail_json(names.printable(f"{where}. {msg}" if where else msg), **more)


def run(
    work: Callable[[AnsibleModule], dict[str, Any]], argument_spec: dict[str, Any], **module_arguments: Any
) -> None:
    """Start the module, do its work, and exit with the result or with one clear sentence.

    :arg work: module → result for exit_json; raises :class:`MacvtapError`.
    :arg argument_spec: the module's own options; those that all modules share are added here.
    :arg module_arguments: of AnsibleModule; check mode is always supported.
    """
    if sys.getfilesystemencoding() != "utf-8" and not has_respawned():
        # names of networks, guests and links are UTF-8, on every run the same bytes: whatever the locale of the task
        os.environ["PYTHONUTF8"] = "1"
        respawn_module(sys.executable)
    # a module lives for a second: walking its many thousand tuples again and again in search of cycles frees nothing
    gc.disable()
    spec = {**argument_spec, **options.SHARED}
    module = _Module(argument_spec=spec, supports_check_mode=True, **module_arguments)
    command.use(module)
    try:
        options.check_shared(module.params)
        result = work(module)
    except (MacvtapError, OSError) as exc:
        error = as_error(exc)
        module.fail_json(msg=str(error), **({"missing": list(error.missing)} if error.missing else {}))
    if module.check_mode and result.get("changed"):
        # imported here, since a real run needs none of it
        from . import warnings

        for warning in warnings.of_prediction(os.geteuid()):
            module.warn(warning)
    if not module._diff:
        # Ansible would move it from the host to the controller and throw it away
        result.pop("diff", None)
    module.exit_json(invocation={"module_args": _as_asked(module)}, **result)


#: from this verbosity on (-vvv), Ansible shows what a module was asked for
_SHOWS_INVOCATION = 3


def _as_asked(module: AnsibleModule) -> dict[str, Any]:
    """The options that were given; those of each of a thousand NICs only where they are shown."""
    return {
        key: value
        for key, value in module.params.items()
        if value is not None and (module._verbosity >= _SHOWS_INVOCATION or "options" not in module.argument_spec[key])
    }
