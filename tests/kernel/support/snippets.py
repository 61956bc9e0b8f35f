# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The code in README and guides, as readers see it: what it is, where it stands, and what cannot be run."""

import pathlib
import re
import textwrap
from typing import NamedTuple

import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
PAGES = ("README.md", "roles/*/README.md", "docs/docsite/rst/*.rst")

#: What is only shown: (page, beginning of the snippet) → why it is not run. An entry that fits nothing fails.
SHOWN = {
    ("README.md", "make demo"): "CI runs both on their own",
    ("README.md", "ansible-galaxy collection install"): "needs Galaxy",
    ("guide_quickstart.rst", "$ ansible-galaxy collection install"): "needs Galaxy",
    ("guide_quickstart.rst", "- name: Install what the modules import"): "installs packages",
    ("guide_design.rst", "options ──→"): "a picture",
    ("guide_playbooks.rst", "ansible-playbook -i inventory linuxnet.macvtap."): "test_playbooks.py runs them",
    ("guide_topology.rst", "ansible-playbook -i inventory linuxnet.macvtap."): "test_playbooks.py runs them",
    ("guide_vepa_switch.rst", "set interfaces"): "no such switch here",
    ("guide_coming_from_libvirt.rst", "$ virsh net-dumpxml"): "done with real libvirt in test_libvirt_migration.py",
    ("guide_coming_from_libvirt.rst", "$ virsh shutdown web"): "done with real libvirt in test_libvirt_migration.py",
    ("guide_guests.rst", "# cloud-hypervisor … --net fd="): "no such monitor in Debian",
    ("guide_guests.rst", "# cloud-hypervisor … --net 'fd="): "no such monitor in Debian",
    ("guide_guests.rst", "# crosvm"): "no such monitor in Debian",
    ("guide_guests.rst", "# lkvm"): "no such monitor in Debian",
}

_FENCE = re.compile(r"^( *)```([\w+-]+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_DIRECTIVE = re.compile(r"^( *)\.\. code-block:: ([\w+-]+)\n((?:\1 +:[^\n]*\n)*)\n((?:\1 +[^\n]*\n|\n)+)", re.MULTILINE)
_FILE_ROLE = re.compile(r":file:`(/[^`]+)`\s*$")


class Snippet(NamedTuple):
    """One piece of code of a page."""

    #: path below the checkout
    page: str
    line: int
    language: str
    text: str
    #: the file whose content it is, where the line above says so
    file: str

    @property
    def title(self):
        return f"{self.page}:{self.line}"

    @property
    def shown(self):
        """Its entry of SHOWN, None when it is to be run."""
        return next((key for key in SHOWN if self.page.endswith(key[0]) and self.text.startswith(key[1])), None)

    def parsed(self):
        return yaml.safe_load(self.text)


def of_page(path):
    """The snippets of one page, in order."""
    text = path.read_text(encoding="utf-8")
    expression, group = (_FENCE, 3) if path.suffix == ".md" else (_DIRECTIVE, 4)
    for match in expression.finditer(text):
        before = text[: match.start()].rstrip("\n")
        above = _FILE_ROLE.search(before.rsplit("\n", 1)[-1])
        # a path may be further up, with a sentence below it
        if above is None and path.suffix == ".rst" and match.group(1):
            heads = [line for line in before.split("\n") if line and not line.startswith(" ")]
            above = _FILE_ROLE.search(heads[-1])
        yield Snippet(
            str(path.relative_to(CHECKOUT)),
            text.count("\n", 0, match.start()) + 1,
            match.group(2),
            textwrap.dedent(match.group(group)).strip("\n") + "\n",
            above.group(1) if above else "",
        )


def all_snippets():
    """Those of all pages."""
    return [snippet for pattern in PAGES for path in sorted(CHECKOUT.glob(pattern)) for snippet in of_page(path)]
