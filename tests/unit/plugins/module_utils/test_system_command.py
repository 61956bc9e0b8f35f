# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where programs are looked for."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import command


class Module:
    """AnsibleModule.run_command, as far as it is used."""

    @staticmethod
    def run_command(words, environ_update, **_options):
        done = subprocess.run(words, env=environ_update, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("path", [None, "", "/usr/bin:/bin"])
def test_no_program_of_the_current_directory_is_run(tmp_path, monkeypatch, path):
    planted = tmp_path / "nft"
    planted.write_text("#!/bin/sh\necho planted\n")
    planted.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    if path is None:
        monkeypatch.delenv("PATH", raising=False)
    else:
        monkeypatch.setenv("PATH", path)
    command.use(Module())
    assert command.run(["/bin/sh", "-c", "command -v nft"]).output.strip() in {"", "/usr/sbin/nft", "/sbin/nft"}
