# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SELinux contexts are set where SELinux is enabled, and only there."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.selinux import relabel

RIGHT = ["system_u", "object_r", "tun_tap_device_t", "s0"]


class Module:
    """An AnsibleModule's file handling; ``wrong`` are the paths that have another context than the policy's."""

    def __init__(self, enabled: bool, wrong: set[str]) -> None:
        self.enabled = enabled
        self.wrong = wrong

    def selinux_enabled(self):
        return self.enabled

    def selinux_default_context(self, path):
        assert self.enabled
        return RIGHT

    def set_context_if_different(self, path, context, changed):
        assert context == RIGHT
        return changed or path in self.wrong


@pytest.mark.parametrize(("enabled", "expected"), [(True, ["tap1"]), (False, [])])
def test_what_is_there_and_labelled_otherwise_is_relabelled(tmp_path, enabled, expected):
    paths = [str(tmp_path / name) for name in ("tap1", "tap2", "gone")]
    for path in paths[:2]:
        (tmp_path / path).touch()
    done = relabel(Module(enabled, {paths[0], paths[2]}), paths)
    assert done == [str(tmp_path / name) for name in expected]
