# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tests on kernels of Debian's mirrors, and the page that says on which they ran; see tools/kernels.sh."""

import argparse
import datetime
import json
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
RESULTS = HERE / "results.json"
PAGE = CHECKOUT / "docs/docsite/rst/guide_kernels.rst"
#: what runs unless a kernel is named: the kernels that Debian 12 and 13 install
DEFAULT = ("6.1", "6.12")
#: of the tests against the kernel, those whose subject kernels do differently: names, lower devices, a boot
SHARE = ("tests/kernel/test_attach_names.py", "tests/kernel/test_lower_devices.py")
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
INTRODUCTION = """\
..
  Copyright (c) 2026, linuxnet.macvtap maintainers
  GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later
  Written by tools/kernels.sh; changes will be overwritten.

.. _ansible_collections.linuxnet.macvtap.docsite.guide_kernels:

Tested kernels
==============

``make kernels`` runs the tests on kernels of Debian, in virtual machines under emulation:

- *Modules*: tests of the modules against the kernel, with links in network namespaces.
- *Machine*: scenarios on a whole Debian, with its systemd and udev and an SR-IOV card: reboots, lower devices of many
  kinds, lower devices that go and come back, virtual functions, VLANs.

*Share* means the scenarios and those tests of the modules whose subject differs most between kernels: names, and lower
devices.

"""


def suite_of(kernel):
    """The release whose root file system goes with a kernel: 6.1 is Debian 12's."""
    major, _dot, minor = kernel.partition(".")
    return "bookworm" if (int(major), int(minor.partition(".")[0] or 99)) < (6, 12) else "trixie"


def run(name, command):
    """Run tests, showing what they print; returns passed, failed, seconds."""
    print(f"\n===== {name}", flush=True)
    began, last = time.monotonic(), ""
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if re.search(r"\d+ (passed|failed|error)", line) else last
    passed, failed, errors = (
        int((re.search(rf"(\d+) {word}", last) or [0, 0])[1]) for word in ("passed", "failed", "error")
    )
    # without a closing line, all of it failed
    return {
        "passed": passed,
        "failed": failed + errors or int(process.returncode != 0),
        "seconds": round(time.monotonic() - began),
    }


def test(kernel, share, tests):
    """All tests on one kernel: what is known of it afterwards."""
    suite = suite_of(kernel)
    made = subprocess.run(
        ["tools/machine_parts.sh", "kernel", kernel], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True
    )
    path = pathlib.Path(made.stdout.splitlines()[-1])
    paths = tests or (SHARE if share else ())
    modules = ["tools/kernel_in_vm.sh", "--kernel", path / "tree", *paths]
    scenarios = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "tests/vm/scenarios",
        "--machine",
        f"{suite}/{kernel}",
    ]
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    result = {"suite": suite, "date": date, "tests": "share" if share else "all"}
    result["modules"] = run(f"Linux {path.name}: modules", modules)
    if not tests:
        result["machine"] = run(f"Linux {path.name}, {SUITES[suite]}: machine", scenarios)
    return path.name, result


def figures(part):
    return f"{part['passed']} passed, {part['failed']} failed, {part['seconds']} s" if part else "not run"


def table(results):
    """Lines for people."""
    for version, result in results.items():
        yield f"{version:28} modules: {figures(result['modules']):34} machine: {figures(result.get('machine'))}"


def page(results):
    """The page of the documentation."""
    if not results:
        return INTRODUCTION + "It writes the results of its last run on each kernel here.\n"
    text = INTRODUCTION + ".. list-table::\n   :header-rows: 1\n\n"
    rows = [("Kernel", "Distribution", "Date", "Tests", "Modules", "Machine")]
    for version in sorted(results, key=lambda each: [int(part) for part in re.findall(r"\d+", each)]):
        result = results[version]
        parts = figures(result["modules"]), figures(result.get("machine"))
        rows.append((version, SUITES[result["suite"]], result["date"], result["tests"], *parts))
    for row in rows:
        text += "".join(f"   {'*' if not column else ' '} - {word}\n" for column, word in enumerate(row))
    return text


def main():
    """Run what is asked for; exits with 1 when something failed."""
    parser = argparse.ArgumentParser(prog="tools/kernels.sh")
    parser.add_argument("--share", action="store_true", help="a part of the tests, on Debian 12's kernel")
    parser.add_argument("--test", action="append", default=[], help="only this file of tests/kernel")
    parser.add_argument("kernels", nargs="*", help="beginnings of versions, such as 6.1, 6.12.95 or 7")
    asked = parser.parse_args()
    results = {}
    for kernel in asked.kernels or (DEFAULT[:1] if asked.share else DEFAULT):
        version, result = test(kernel, asked.share, asked.test)
        results[version] = result
    print("", *table(results), sep="\n")
    if not asked.test:
        known = {**json.loads(RESULTS.read_text()), **results}
        RESULTS.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
        PAGE.write_text(page(known))
    parts = [part for result in results.values() for part in (result["modules"], result.get("machine")) if part]
    sys.exit(any(part["failed"] for part in parts))


if __name__ == "__main__":
    main()
