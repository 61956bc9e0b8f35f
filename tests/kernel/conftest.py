# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests against the real kernel: a lab for each test, gone after it."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))

from lab import Lab

pytest_plugins = ["module_host", "persist_lab"]


def pytest_configure():
    """Without root there is no lab: say so once instead of failing each test."""
    if os.geteuid() != 0:
        raise pytest.UsageError("these tests need root, for network namespaces")


@pytest.fixture
def lab():
    """A lab of one hypervisor with uplinks eth0 and eth1 and addresses, on a reflecting switch."""
    with Lab(uplinks=("eth0", "eth1"), subnets=("192.0.2.0/24", "2001:db8::/64")) as built:
        yield built


@pytest.fixture
def hypervisor(lab):
    """The only hypervisor of ``lab``."""
    return lab.hypervisors[0]


@pytest.fixture
def two_hypervisors():
    """Two hypervisors with one uplink each on a reflecting switch."""
    with Lab(hypervisors=2, subnets=("192.0.2.0/24", "2001:db8::/64")) as built:
        yield built.hypervisors
