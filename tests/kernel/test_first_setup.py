# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person meets first: a machine on which nothing is installed, and setup, interrupted, killed, in an odd place.

The tests of this file go on from each other, on one machine.
"""

import time

import pytest
from first_steps import KILL, Machine, is_one_sentence


@pytest.fixture(scope="module")
def machine():
    with Machine() as built:
        yield built


# -- nothing is installed ----------------------------------------------------------------------------------------------


def test_an_ordinary_user_is_told_that_the_demo_needs_root(machine):
    status, output = machine.run("make demo", ordinary=True)
    assert status and is_one_sentence(output, "demo needs root", "sudo make demo")
    machine.is_clean()


def test_a_container_that_may_do_little_is_told_so(machine):
    status, output = machine.run("setpriv --bounding-set=-sys_admin make demo")
    assert status and is_one_sentence(output, "CAP_SYS_ADMIN")
    machine.is_clean()


def test_nothing_installed_and_no_network_is_one_sentence(machine):
    status, output = machine.terminal("make demo").rest()
    assert status and is_one_sentence(output, "failed while filling .venv", "network")
    machine.is_clean()


def test_nothing_installed_and_a_checkout_that_cannot_be_written_is_one_sentence(machine):
    machine.root('mount -o remount,bind,ro "$PWD"')
    try:
        status, output = machine.run("make demo")
    finally:
        machine.root('mount -o remount,bind,rw "$PWD"')
    assert status and is_one_sentence(output, "cannot write to /mnt/it's a")


# -- setup, as an ordinary user, who needs neither libvirt nor QEMU ----------------------------------------------------


@pytest.fixture(scope="module")
def ordinary(machine):
    """Options for an ordinary user on a machine on which dpkg knows no libvirt, QEMU, NetworkManager and busybox."""
    machine.root("""
        find . -xdev -exec chown -h 65534:65534 {} +
        awk 'BEGIN { RS = ""; ORS = "\\n\\n" } !/^Package: (libvirt|qemu|network-manager|busybox|dhcpcd)/' \
            /var/lib/dpkg/status >.cache/status
        mount --bind .cache/status /var/lib/dpkg/status
    """)
    yield {"online": True, "ordinary": True}
    machine.root("umount /var/lib/dpkg/status")
    machine.is_clean()


@pytest.mark.parametrize("seconds", [0, 0.2])
@pytest.mark.parametrize("moment", ["making .venv", "filling .venv"])
def test_setup_interrupted_is_one_sentence(machine, ordinary, moment, seconds):
    terminal = machine.terminal("make setup-unit", **ordinary)
    terminal.until("setup: " + moment)
    # at its beginning, and in the middle of it
    time.sleep(seconds)
    terminal.press_interrupt()
    status, output = terminal.rest()
    assert status and is_one_sentence(output, "setup: interrupted")


def test_setup_killed_ends_by_itself(machine, ordinary):
    terminal = machine.terminal("make setup-unit", **ordinary)
    terminal.until("setup: filling .venv")
    assert machine.signal(KILL, "tools/setup.sh unit")
    assert terminal.rest()[0]


def test_unit_tests_need_neither_root_nor_libvirt_nor_qemu(machine, ordinary):
    command = "make setup-unit && tools/unit.sh -q tests/unit/plugins/module_utils/test_core_names.py"
    status, output = machine.run(command, **ordinary)
    assert status == 0 and " passed" in output, output


def test_what_is_installed_needs_neither_network_nor_a_writable_checkout(machine, ordinary):
    machine.root('mount -o remount,bind,ro "$PWD"')
    try:
        assert machine.run("make setup-unit", ordinary=True) == (0, "")
    finally:
        machine.root('mount -o remount,bind,rw "$PWD"')
