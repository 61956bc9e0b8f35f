#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# claims.sh: how many statements about libvirt have a test with libvirt.
set -euo pipefail

cd "$(dirname "$0")/.."
PYTHONPATH=tests/unit/plugins exec "${VENV:-.venv}/bin/python" -c 'import test_sentences; print(test_sentences.summary())'
