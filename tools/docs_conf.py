# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Added by docs.sh to the end of the Sphinx configuration that antsibull-docs makes.

Links into Ansible's own documentation are resolved from the list below instead of from its site, so that a build needs
no network. A label that is missing here is a warning of the build.
"""

import pathlib
import zlib

ANSIBLE = "https://docs.ansible.com/projects/ansible/devel/"
#: label → page, and the title that a link shows
LABELS = {
    "ansible_configuration_settings": ("reference_appendices/config.html", "Ansible Configuration Settings"),
    "common_return_values": ("reference_appendices/common_return_values.html", "Return Values"),
}

_inventory = pathlib.Path(__file__).with_name("ansible.inv")
_inventory.write_bytes(
    b"# Sphinx inventory version 2\n# Project: Ansible\n# Version: devel\n"
    b"# The remainder of this file is compressed using zlib.\n"
    + zlib.compress(
        "".join(
            "%s std:label -1 %s#%s %s\n" % (label, page, label.replace("_", "-"), title)
            for label, (page, title) in sorted(LABELS.items())
        ).encode()
    )
)
intersphinx_mapping = {"ansible_devel": (ANSIBLE, str(_inventory))}
