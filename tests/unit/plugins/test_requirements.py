# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages, modules, roles, README and guides name the same libraries, versions and packages."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest
import yaml

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import PACKAGES, missing_library

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
MODULES = sorted(CHECKOUT.glob("plugins/modules/*.py"))
#: library → the oldest that the tests are run with
OLDEST = {"lxml": "4.6.5", "pyroute2": "0.7.2"}
#: modules that import a library, seen in tests/kernel/test_without_libraries.py
NEEDED = {
    "lxml": {"macvtap_attach", "macvtap_info", "macvtap_network"},
    "pyroute2": {"macvtap_attach", "macvtap_info", "macvtap_network"},
}


def text_of(path):
    return (CHECKOUT / path).read_text(encoding="utf-8")


def requirements(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "DOCUMENTATION":
            return yaml.safe_load(node.value.value).get("requirements", [])
    raise AssertionError(path)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_each_module_says_what_it_requires(path):
    found = requirements(path)
    assert found[0] == "Python 3.9 or later"
    for library, modules in NEEDED.items():
        rows = [row for row in found if row.startswith("%s %s or later" % (library, OLDEST[library]))]
        assert len(rows) == (path.stem in modules), library
        for row in rows:
            # the packages as the message names them, in a sentence
            package = "python3-" + library
            systems = re.search(r"\((.*?)\)", PACKAGES[library])[1].rpartition(", ")
            assert row.endswith("%s on %s and %s, %s on PyPI" % (package, systems[0], systems[2], library))


@pytest.mark.parametrize("library", PACKAGES)
def test_every_place_names_the_same_package_and_version(library):
    package = "python3-" + library
    assert PACKAGES[library].startswith(package) and PACKAGES[library].endswith("or %s (PyPI)" % library)
    assert install_of(library) == PACKAGES[library]
    defaults = yaml.safe_load(text_of("roles/vepa_network/defaults/main.yml"))["vepa_network_packages"]
    specification = yaml.safe_load(text_of("roles/vepa_network/meta/argument_specs.yml"))
    assert defaults == specification["argument_specs"]["main"]["options"]["vepa_network_packages"]["default"]
    assert defaults[library] == package and defaults.keys() == PACKAGES.keys()
    for page in ("README.md", "roles/vepa_network/README.md", "docs/docsite/rst/guide_quickstart.rst"):
        assert package in text_of(page), page
    link = "[%s](https://pypi.org/project/%s/) %s or later" % (library, library, OLDEST[library])
    assert link in text_of("README.md")
    for page in ("meta/ee-requirements.txt", "tests/integration/requirements.txt", "tools/release.sh"):
        assert "%s>=%s" % (library, OLDEST[library]) in text_of(page), page
    assert "%s==%s" % (library, OLDEST[library]) in text_of("tools/matrix.sh")


def install_of(library):
    return str(missing_library("this", library, None)).rpartition("; install ")[2]
