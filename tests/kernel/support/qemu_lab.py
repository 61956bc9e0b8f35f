# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests for the tests: real ones whose consoles are waited for, never slept for, and paused ones that cost nothing."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time

import fake_qemu
from guest import image
from lab import Lab
from module_host import ModuleHost

#: seconds for a guest to boot under software emulation beside others, on a busy machine
BOOT = 180
#: the guests' user; any that is not root will do, the role makes one of its own
USER = "nobody"
QEMU = "macvtap_qemu"
CONSOLES = "/var/log/qemu-guests"

#: where the second serial port of a guest is reached, in its hypervisor
_SHELL_AT = "127.0.0.1/2323"
#: options for a guest whose ``append`` has guest.shell
SHELL = ["-serial", f"tcp:{_SHELL_AT.replace('/', ':')},server=on,wait=off"]

_PING = re.compile(r"^GUEST \S+ ping (\S+) (ok|lost) ?(\S*)\n", re.MULTILINE)


@contextlib.contextmanager
def guest_image(*modules):
    """(kernel, initrd) of the test guest, where every user can read them; ``modules`` lie in /modules there."""
    with tempfile.TemporaryDirectory(prefix="linuxnet-guest-") as directory:
        os.chmod(directory, 0o755)
        yield image.build(directory, modules)


@contextlib.contextmanager
def lone_host():
    """A ModuleHost, the only hypervisor of a lab on a reflecting switch."""
    with Lab(subnets=("192.0.2.0/24", "2001:db8::/64")) as lab, ModuleHost(lab.hypervisors[0], lab.directory) as host:
        host.switch = lab.switch
        yield host


@contextlib.contextmanager
def host_with_fake_qemu():
    """A lone host that has the image of the test guest as ``boot``, and fake_qemu.py as the program ``fake``."""
    with lone_host() as host, guest_image() as boot:
        host.boot = boot
        host.fake = os.path.join(os.path.dirname(boot[0]), "fake_qemu")
        with open(host.fake, "w", encoding="utf-8") as file, open(fake_qemu.__file__, encoding="utf-8") as source:
            file.write("#!/usr/bin/python3\n" + source.read())
        os.chmod(host.fake, 0o755)
        yield host


class Guest:
    """A guest on a ModuleHost.

    ``nics``: wanted NICs, each a dict of changes to a VEPA NIC on eth0; ``addresses``: for each of them a list of
    ADDRESS/LENGTH; ``ping``: addresses that it pings for ever; ``options`` go to the module.
    """

    def __init__(self, host, boot, name, nics=({},), addresses=(), ping=(), **options):
        self.host = host
        self.name = name
        self.nics = nics
        self.attachments = self.attach()
        self.console = f"{CONSOLES}/{name}.console"
        self.options = {"kernel": boot[0], "initrd": boot[1], "append": self._append(addresses, ping)}
        self.options.update(memory=128, accelerator="tcg", user=USER, start_timeout=120, **options)

    def attach(self, **changes):
        """Attach it again, all NICs with ``changes``; returns the attachments."""
        nics = [{"device": "eth0", **nic, **changes} for nic in self.nics]
        return self.host.attach(guest=self.name, attachments=nics)["attachments"]

    def _append(self, addresses, ping):
        words = ["console=ttyS0", "quiet", "panic=-1", f"guest.name={self.name}", f"guest.ping={','.join(ping)}"]
        for attachment, of_nic in zip(self.attachments, addresses):
            words.append(f"guest.{attachment['mac'].replace(':', '-')}={','.join(of_nic)}")
        return " ".join(words)

    def started(self, check=False, **changes):
        """Run the module with state started; returns its result."""
        options = {"taps": self.attachments, **self.options, **changes}
        return self.host.module(QEMU, name=self.name, state="started", check=check, **options)

    def ended(self, state, check=False, stop_timeout=60):
        """Run the module with state stopped or absent."""
        return self.host.module(QEMU, name=self.name, state=state, check=check, stop_timeout=stop_timeout)

    def pid(self):
        """Number of its process in the hypervisor."""
        return self.host.read(f"/run/qemu-guests/{self.name}.pid")

    def open_taps(self):
        """Paths of the taps that its process has open, one per descriptor."""
        links = self.host.run(["sh", "-c", f"readlink /proc/{self.pid()}/fd/*"]).stdout.split("\n")
        return sorted(link for link in links if link.startswith("/dev/tap"))

    def read(self):
        """All that the console said so far."""
        return self.host.run(["cat", self.console]).stdout

    def mark(self):
        """A place on the console: what comes after it is new."""
        return len(self.read())

    def wait_for(self, pattern, since=0, timeout=BOOT):
        """Wait for a line that matches ``GUEST <stamp> <pattern>``; returns the match."""
        expression = re.compile(r"^GUEST \S+ " + pattern + r"\b.*\n", re.MULTILINE)
        deadline = time.monotonic() + timeout
        while True:
            said = self.read()
            match = expression.search(said, since)
            if match:
                return match
            assert time.monotonic() < deadline, f"{self.name} did not say {pattern!r} in {timeout} s:\n{said[since:]}"
            time.sleep(0.1)

    def pings(self, address, since=None, count=5, timeout=120):
        """The next ``count`` results of pinging ``address``: milliseconds, or None for a lost one."""
        since = self.mark() if since is None else since
        deadline = time.monotonic() + timeout
        while True:
            said = self.read()
            found = [match for match in _PING.finditer(said, since) if match.group(1) == address]
            # The first two may have been on their way when the mark was made.
            if len(found) >= count + 2:
                return [float(ping.group(3)) if ping.group(2) == "ok" else None for ping in found[2 : count + 2]]
            assert time.monotonic() < deadline, f"{self.name} did not ping {address} in {timeout} s:\n{said[since:]}"
            time.sleep(0.1)

    def does(self, script, timeout=60):
        """Carry out shell in a guest that was made with SHELL; returns what it leaves in the variable ``said``."""
        # what arrives before is lost
        self.wait_for("obeys")
        since = self.mark()
        # until it is done: QEMU forgets what it has not read when the other end hangs up
        talk = ["bash", "-c", f"exec 3<>/dev/tcp/{_SHELL_AT}; cat >&3"]
        peer = self.host.spawn(talk, stdin=subprocess.PIPE, text=True)
        peer.stdin.write(f"said=\n{script}\nsay did $said\n")
        peer.stdin.flush()
        said = self.wait_for("did", since, timeout).group(0).partition(" did")[2].strip()
        peer.stdin.close()
        peer.wait(10)
        return said

    def reaches(self, address):
        """Whether the next pings are answered, True or False; an error when only some are."""
        answered = {result is not None for result in self.pings(address, count=4)}
        assert len(answered) == 1, f"{self.name} reaches {address} at times"
        return answered.pop()


class Watch:
    """Pings an address from a namespace without a pause, until asked how many were lost."""

    def __init__(self, namespace, address):
        self.address = address
        options = {"stdout": -1, "text": True}
        # exec: the signal that makes it print its figures must reach it, not the nsenter around it
        self._pids = f"/run/watch-{address}"
        script = f"echo $$ >{self._pids}; exec busybox ping -W 5 {address}"
        self._namespace = namespace
        self._process = namespace.spawn(["sh", "-c", script], **options)

    def lost(self):
        """End it; returns (lost, sent)."""
        pid = self._namespace.run(["cat", self._pids]).stdout.strip()
        self._namespace.run(["kill", f"-{signal.SIGINT.value}", pid])
        said = self._process.communicate(timeout=30)[0]
        sent, received = (
            int(n) for n in re.search(r"(\d+) packets transmitted, (\d+) packets received", said).groups()
        )
        return sent - received, sent
