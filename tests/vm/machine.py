# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole Debian machine under emulation: its own kernel, systemd and udev, NICs, and a cable to a switch inside.

    with Machine("bookworm", "6.1") as machine:
        machine.run(["ip", "link"])
        machine.reboot()

What the tests changed is gone with the machine. One machine runs at a time on a host; others wait for it.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib

import ansible
import initrd

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
PARTS = pathlib.Path(os.environ.get("MACHINES", CHECKOUT / ".cache" / "machines"))
#: where the checkout lies in the machine
INSIDE = "/opt/macvtap/ansible_collections/linuxnet/macvtap"
FILES = (
    "plugins",
    "tests/kernel/support/module_runner.py",
    "tests/kernel/support/fault_points.py",
    "tests/vm/agent.py",
)
#: seconds; an emulated machine on a loaded host may take this long and be well
BOOT, COMMAND = 600, 300
#: QEMU writes the modules it loads next to no other build's
PRIVATE_QEMU = 'mount --bind "$0" /usr/lib/x86_64-linux-gnu/qemu && exec "$@"'
#: NICs with their MACs, each on a cable to another one that is the switch's: an SR-IOV card and a plain one
NICS = {"nic0": ("igb", "52:54:00:00:01:00"), "nic1": ("virtio-net-pci", "52:54:00:00:01:01")}
SWITCH = {"nic0": "52:54:00:00:02:00", "nic1": "52:54:00:00:02:01"}
#: what the modules of a whole machine without the tests' NICs would be; and all that is logged
KERNEL_WORDS = "module_blacklist=libata,ahci,iTCO_wdt,i2c_i801,lpc_ich systemd.journald.forward_to_console=1"
#: name of the state of a machine that has just booted; size of the disk with the tests' files, which must not change
BOOTED, FILES_SIZE = "booted", 32 << 20
#: what costs time at a boot and changes nothing for links, and what a machine of the tests starts
MASKED = """
dev-hugepages.mount dev-mqueue.mount getty@tty1.service modprobe@configfs.service modprobe@dm_mod.service
modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service
proc-sys-fs-binfmt_misc.automount serial-getty@ttyS0.service sys-fs-fuse-connections.mount
sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount systemd-binfmt.service
systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-logind.service
systemd-pcrphase-sysinit.service systemd-pcrphase.service systemd-pstore.service
systemd-update-utmp-runlevel.service systemd-update-utmp.service systemd-user-sessions.service
""".split()
STARTED = ("management.service", "agent.service")
#: runs one command; what it leaves running keeps no pipe of ours open
COMMAND_SCRIPT = """
import os, sys
os.environ["LANG"] = "C.UTF-8"
os.chdir("/")
os.execvp(sys.argv[1], sys.argv[1:])
"""


class MachineError(Exception):
    """The machine cannot be built or does not do what it should; the text says why."""


class CommandFailed(MachineError):
    """A command in the machine failed."""


class Machine:
    """A machine that runs; a context manager.

    Arguments: ``suite`` of Debian, and the beginning of the version of its ``kernel``.
    Attribute: ``version``, the kernel's.
    """

    def __init__(self, suite, kernel, memory=1024):
        self._memory = memory
        self._root, self._kernel = part("root", suite), pathlib.Path(part("kernel", kernel))
        self.suite, self.version = suite, self._kernel.name
        self._qemu_parts = pathlib.Path(part("qemu"))
        self._closing = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            turn = stack.enter_context(open(PARTS / "one-at-a-time", "w", encoding="utf-8"))
            fcntl.flock(turn, fcntl.LOCK_EX)
            self._directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir=PARTS)))
            stack.callback(self._stop)
            self._prepare()
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._closing.close()

    # -- life --------------------------------------------------------------------------------------------------------

    def _prepare(self):
        """Switch it on; a machine that was just booted is kept for the next time."""
        (self._directory / "initrd").write_bytes(initrd.build(str(self._kernel / "tree"), self.version))
        files, disk = self._directory / "files.tar", self._directory / "disk"
        with open(files, "wb") as file:
            pack(file)
        wanted = hashlib.sha256(files.read_bytes()).hexdigest()
        os.truncate(files, FILES_SIZE)
        kept = PARTS / "booted" / f"{self.suite}-{self.version}-{self._fingerprint()}"
        files_kept = kept.with_name(kept.name + ".files")
        if not kept.exists():
            image = self._qemu_parts / "usr/bin/qemu-img"
            maker = str(image) if image.exists() else "qemu-img"
            subprocess.run([maker, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self._root, disk], check=True)
            self.start()
            self.wait_for_boot()
            self.save(BOOTED)
            files_kept.parent.mkdir(exist_ok=True)
            files_kept.write_text(wanted)
            copy(disk, kept)
            return
        copy(kept, disk)
        self.start("-loadvm", BOOTED)
        if files_kept.read_text() != wanted:
            self.sh("blockdev --flushbufs /dev/vdc; tar -xf /dev/vdc -C /")
            self.run(["systemctl", "--no-block", "restart", "agent"])
            time.sleep(1)
            self._wait_for_agent()
            self.save(BOOTED)

    def _fingerprint(self):
        """What a kept machine depends on."""
        settings = [path.read_bytes() for path in sorted((HERE / "root").rglob("*")) if path.is_file()]
        self.port = self.ssh_port = 0
        words = " ".join(self._command()).replace(str(self._directory), "").encode()
        root = str(os.stat(self._root).st_mtime_ns).encode()
        told = (words, root, initrd.INIT, (HERE / "agent.py").read_bytes(), repr([*links()]).encode(), *settings)
        return hashlib.sha256(b"\0".join(told)).hexdigest()[:12]

    def start(self, *more):
        """Switch it on and wait until it answers; ``more``: words for QEMU."""
        self.port, self.ssh_port, self._plugged = free_port(), free_port(), False
        with open(self._directory / "qemu.log", "a+", encoding="utf-8") as log:
            self._qemu = subprocess.Popen([*self._command(), *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._monitor = Monitor(self._directory / "monitor", self._qemu)
        self._wait_for_agent()

    def _stop(self):
        if getattr(self, "_qemu", None) is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._monitor.close()

    def pull_the_plug(self):
        """Kill it, as a power cut does, and switch it on again."""
        self._stop()
        self.start()

    def reboot(self):
        """Restart it from inside, and wait until it answers again."""
        before = self.read("/proc/sys/kernel/random/boot_id")
        self.run(["systemctl", "reboot"], check=False)
        deadline = time.monotonic() + BOOT
        while True:
            with contextlib.suppress(OSError, ValueError):
                if self.ask({"script": "print(open('/proc/sys/kernel/random/boot_id').read())", "arguments": []}, 20)[
                    "stdout"
                ].strip() not in ("", before):
                    return self.wait_for_boot()
            self._check_alive(deadline)
            time.sleep(0.5)

    def wait_for_boot(self):
        """Wait until systemd has started everything; returns its word for how that went."""
        return self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=BOOT).stdout.strip()

    def save(self, name):
        """Keep the state of everything."""
        self._monitor.human(f"savevm {name}")

    def load(self, name):
        """Go back to a state that was kept."""
        if self._plugged:
            # QEMU finds the NICs of the state in their first places only
            self._stop()
            self.start("-loadvm", name)
        else:
            self._monitor.human(f"loadvm {name}")
            self._wait_for_agent()
        for nic in NICS:
            self.cable(nic, True)

    def plug(self, nic):
        """Plug in a NIC that was unplugged."""
        model, mac = NICS[nic]
        self._plugged = True
        self._monitor.ask("device_add", driver=model, id=nic, netdev=f"{nic}-cable", mac=mac, bus=f"{nic}-slot")

    def unplug(self, nic):
        """Take out a NIC, as a hot-plug controller does: it is gone when the machine has let it go."""
        self._monitor.ask("device_del", id=nic)
        self._monitor.wait_for("DEVICE_DELETED", nic, COMMAND)

    def cable(self, nic, plugged):
        """Plug or unplug the cable of a NIC."""
        self._monitor.ask("set_link", name=nic, up=plugged)

    def _command(self):
        def path(name):
            return str(self._directory / name)

        machine = "-M q35 -accel tcg,thread=multi,tb-size=512 -cpu Nehalem -smp 2".split()
        disks = (("disk", "qcow2", "off"), (self._kernel / "modules.ext4", "raw", "on"), ("files.tar", "raw", "on"))
        words = [
            *("-nodefaults", "-no-user-config", "-display", "none", *machine, "-m", str(self._memory)),
            *("-kernel", str(self._kernel / "tree/boot" / f"vmlinuz-{self.version}"), "-initrd", path("initrd")),
            *("-append", "console=ttyS0 quiet panic=-1 mitigations=off " + KERNEL_WORDS),
            *("-serial", f"file:{path('console')}", "-qmp", f"unix:{path('monitor')},server=on,wait=off"),
            *("-device", "virtio-rng-pci"),
        ]
        for number, (file, form, fixed) in enumerate(disks):
            words += ["-drive", f"if=none,id=disk{number},format={form},readonly={fixed},file={self._directory / file}"]
            words += ["-device", f"virtio-blk-pci,drive=disk{number}"]
        doors = f"hostfwd=tcp:127.0.0.1:{self.port}-:5000,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"
        words += ["-netdev", f"user,id=management,restrict=on,{doors}"]
        words += ["-device", "virtio-net-pci,netdev=management,mac=52:54:00:00:00:01"]
        for hub, (nic, (model, mac)) in enumerate(NICS.items(), start=1):
            words += ["-device", f"pcie-root-port,id={nic}-slot,chassis={hub}"]
            words += ["-netdev", f"hubport,hubid={hub},id={nic}-cable", "-netdev", f"hubport,hubid={hub},id={nic}-port"]
            words += ["-device", f"{model},id={nic},netdev={nic}-cable,mac={mac},bus={nic}-slot"]
            words += ["-device", f"virtio-net-pci,netdev={nic}-port,mac={SWITCH[nic]}"]
        return [*self._qemu_words(), *words]

    def _qemu_words(self):
        dying = ("nice", "-n", "10", "setpriv", "--pdeathsig", "KILL", "--")
        share = self._qemu_parts / "usr/share/qemu"
        if not share.is_dir():
            return [*dying, "qemu-system-x86_64"]
        modules = self._qemu_parts / "usr/lib/x86_64-linux-gnu/qemu"
        private = ["unshare", "-m", "--propagation", "private", "sh", "-ec", PRIVATE_QEMU, str(modules)]
        firmware = ["-L", str(share), "-L", "/usr/share/seabios", "-L", "/usr/lib/ipxe/qemu"]
        return [*dying, *private, str(self._qemu_parts / "usr/bin/qemu-system-x86_64"), *firmware]

    # -- inside ------------------------------------------------------------------------------------------------------

    def ask(self, request, timeout=COMMAND):
        """Hand a request to the machine's agent, see kernel/support/module_runner.py; returns its answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as answer:
                return json.loads(answer.readline())

    def run(self, command, check=True, timeout=COMMAND):
        """Run ``command`` (a list) in the machine as root; return the CompletedProcess with its output."""
        answer = self.ask({"script": COMMAND_SCRIPT, "arguments": list(command)}, timeout)
        done = subprocess.CompletedProcess(command, answer["status"], answer["stdout"], answer["stderr"])
        if check and done.returncode:
            raise CommandFailed(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def sh(self, script, check=True, timeout=COMMAND):
        """What a shell script prints."""
        return self.run(["sh", "-ec" if check else "-c", script], check, timeout).stdout

    def read(self, path):
        return self.run(["cat", path]).stdout.strip()

    def _wait_for_agent(self):
        deadline = time.monotonic() + BOOT
        while True:
            # the forwarded port answers before the machine does
            with contextlib.suppress(OSError, ValueError):
                if self.ask({"script": "", "arguments": []}, 20)["status"] == 0:
                    return
            self._check_alive(deadline)
            time.sleep(0.3)

    def _check_alive(self, deadline):
        if self._qemu.poll() is not None:
            log = (self._directory / "qemu.log").read_text()
            raise MachineError(f"QEMU ended: {log[-2000:]}\n{self.console()[-2000:]}")
        if time.monotonic() > deadline:
            raise MachineError("the machine does not answer; its console:\n" + self.console()[-3000:])

    def console(self):
        """What the kernel and systemd wrote on the console."""
        return (self._directory / "console").read_text(errors="replace")

    def ssh(self, *words):
        """The words of a command that leads into the machine."""
        known = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
        return ["ssh", "-q", "-i", str(PARTS / "key"), "-p", str(self.ssh_port), *known, *words, "root@127.0.0.1"]


class Monitor:
    """QEMU's monitor."""

    def __init__(self, path, qemu):
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 60
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if qemu.poll() is not None or time.monotonic() > deadline:
                    raise MachineError((path.parent / "qemu.log").read_text()[-2000:]) from None
                time.sleep(0.05)
        self._socket.settimeout(COMMAND)
        self._file = self._socket.makefile("r", encoding="utf-8")
        self._events = []
        self._file.readline()
        self.ask("qmp_capabilities")

    def close(self):
        self._file.close()
        self._socket.close()

    def ask(self, command, **arguments):
        """Run a command; returns what it returns."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self._file.readline())
            if "event" in answer:
                self._events.append(answer)
            elif "error" in answer:
                raise MachineError(f"QEMU refuses {command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def human(self, line):
        """Run a line of the monitor for people, which says nothing when all is well."""
        said = self.ask("human-monitor-command", **{"command-line": line})
        if said.strip():
            raise MachineError(f"QEMU, asked to {line}: {said.strip()}")

    def wait_for(self, event, device, seconds):
        """Wait until QEMU has told of an event of a device."""
        deadline = time.monotonic() + seconds
        while not any(
            (each.get("event"), each.get("data", {}).get("device")) == (event, device) for each in self._events
        ):
            if time.monotonic() > deadline:
                raise MachineError(f"never saw {event} of {device}")
            with contextlib.suppress(TimeoutError):
                self._events.append(json.loads(self._file.readline()))
        self._events.clear()


def part(kind, *words):
    """Path of something that machines are made of, built now where it is missing."""
    command = [str(CHECKOUT / "tools/machine_parts.sh"), kind, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise MachineError(f"cannot make the {kind} {' '.join(words)}, see above")
    return done.stdout.splitlines()[-1]


def free_port():
    """A TCP port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def copy(source, target):
    """Copy a disk; the copy has its name when it is complete."""
    new = target.with_name(target.name + ".new")
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", source, new], check=True)
    new.rename(target)


def pack(file):
    """Write the archive of what the tests want in the machine: the collection, what Ansible brings along, settings."""
    home = pathlib.Path(ansible.__file__).parent
    sources = {
        **{CHECKOUT / name: f".{INSIDE}/{name}" for name in FILES},
        **{
            home / name: f"./opt/macvtap/ansible/{name}"
            for name in ("__init__.py", "release.py", "_vendor", "module_utils")
        },
        HERE / "root": ".",
        PARTS / "key.pub": "./root/.ssh/authorized_keys",
    }
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for source, target in sources.items():
            for path in [source] if source.is_file() else sorted(source.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.addfile(*file_entry(path, os.path.normpath(f"{target}/{path.relative_to(source)}")))
        for name, target in links():
            entry = tarfile.TarInfo(f"./etc/systemd/system/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)


def file_entry(path, target):
    """A file for the archive, as root's. Its time is its content's: what did not change need not be compiled again."""
    data = path.read_bytes()
    entry = tarfile.TarInfo(f"./{target}")
    entry.size, entry.mtime = len(data), zlib.crc32(data) >> 1
    entry.mode = 0o755 if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else 0o644
    return entry, io.BytesIO(data)


def links():
    """Symbolic links in the directory of units, and where they lead."""
    yield from ((name, "/dev/null") for name in MASKED)
    yield from ((f"multi-user.target.wants/{name}", f"../{name}") for name in STARTED)


def main():
    """machine.py SUITE KERNEL [COMMAND...]: a shell in a machine, or one command; the machine ends with it."""
    suite, kernel, *command = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit(143))
    with Machine(suite, kernel) as machine:
        if not command:
            sys.exit(subprocess.call(machine.ssh("-t")))
        done = machine.run(command, check=False, timeout=3600)
        print(done.stdout, end="")
        print(done.stderr, end="", file=sys.stderr)
        sys.exit(done.returncode)


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.exit(f"machine: {error}")
