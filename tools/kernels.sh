#!/usr/bin/env bash
# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# kernels.sh [--share] [--test FILE]... [KERNEL...]: the tests on other kernels, in virtual machines: those of tests/kernel
# with this machine's files, and the scenarios of tests/vm on a whole Debian. KERNEL: the beginning of a version that
# Debian 12, Debian 13 or their backports have; default: 6.1 and 6.12. The first run downloads and builds these machines.
# --share: the scenarios, and those files of tests/kernel whose subject differs most between kernels. --test: only these
# files of tests/kernel.
set -euo pipefail

# shellcheck source=tools/surroundings.sh
. "$(dirname "$0")/surroundings.sh"
tools/need_root.sh kernels
bounded "${VENV:-.venv}/bin/python" tests/vm/kernels.py "$@"
