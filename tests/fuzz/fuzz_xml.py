# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Coverage-guided fuzzing of the XML readers, with atheris (not part of CI, which runs test_xml_properties.py).

    pip install atheris lxml
    PYTHONPATH=.collections nice -n 19 python tests/fuzz/fuzz_xml.py CORPUS_DIRECTORY -max_total_time=3600 -timeout=5

Whatever goes in, out comes a network or NICs that round-trip, or InvalidInput in one line; nothing else, and within the
time that ``-timeout`` (seconds) gives. libFuzzer itself prints executions, coverage and what broke a rule.
"""

import contextlib
import copy
import pathlib
import random
import re
import sys

import atheris
from lxml import etree

with atheris.instrument_imports(include=["ansible_collections"]):
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._core import names
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import read_tag, tag_text
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import MODES, Network, OwnerTag
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.domain import parse_domain
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._libvirt.network import (
        network_xml,
        parse_network,
        same_definition,
        update_network_xml,
    )

ROOMS = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "module_utils"
#: documents to begin with, beside those of the corpus directory
SEEDS = (
    "<network><name>n</name><forward mode='vepa' dev='eth0'><interface dev='eth0'/></forward></network>",
    "<network><name>n</name><extbridge mode='vepa' dev='eth0'/><port isolated='yes'/></network>",
    "<network><name>n</name><uuid>3f2c6a5e-6f0c-4c57-b1f5-1f5a5d7f0d11</uuid>"
    "<forward mode='private'><pf dev='eth0'/></forward><portgroup name='g' default='yes'/></network>",
    "<network xmlns:a='urn:a'><name>n</name><metadata><a:x>t</a:x></metadata>"
    "<forward mode='bridge'><interface dev='e'/></forward></network>",
    "<domain type='kvm'><name>g</name><devices><interface type='network'><source network='n' portgroup='p'/>"
    "<mac address='52:54:00:00:00:01'/><target dev='x'/><mtu size='1400'/><driver queues='2'/><link state='down'/>"
    "</interface></devices></domain>",
    "<interface type='direct' trustGuestRxFilters='yes'><source dev='eth0' mode='bridge'/></interface>",
)
#: what attributes and texts may be, beside words that the readers know
VALUES = (
    "", " ", "n", "g", "eth0", "vepa", "52:54:00:00:00:02", "ff:ff:ff:ff:ff:ff", "0", "-1", "256", "65536", "1e3",
    "\u0664", "macvtap0", "../x", "a/b", "\u202e", "x" * 300, "a\xa0b", "%d", "<&>'\"",
    "3f2c6a5e-6f0c-4c57-b1f5-1f5a5d7f0d11",
)  # fmt: skip
#: pieces of XML for libFuzzer's own changes
PIECES = ("<!--", "-->", "<![CDATA[", "]]>", "<?x ?>", "<!DOCTYPE a>", "&#10;", "&lt;", "encoding='utf-16'", "xmlns:")


def vocabulary():
    """Every word in quotes in the rooms that read XML."""
    words = set()
    for room in ("xml", "network", "network_layout", "domain"):
        words.update(re.findall(r"\"([A-Za-z]{2,20})\"", (ROOMS / (room + ".py")).read_text(encoding="utf-8")))
    return sorted(words)


def mutate_tree(root, dice, words):
    """Change one thing in a document that is well-formed: most changes of bytes are not, and end in libxml2."""
    nodes = [node for node in root.iter() if isinstance(node.tag, str)]
    node, other = dice.choice(nodes), dice.choice(nodes)
    values = (*VALUES, *words, *(value for each in nodes for value in each.attrib.values()))
    action = dice.randrange(7)
    if action == 0 and node.getparent() is not None:
        node.getparent().remove(node)
    elif action == 1:
        node.append(copy.deepcopy(other))
    elif action == 2:
        node.set(dice.choice(words), dice.choice(values))
    elif action == 3 and node.attrib:
        node.set(dice.choice(list(node.attrib)), dice.choice(values))
    elif action == 4:
        node.append(etree.Element(dice.choice(words)))
    elif action == 5:
        node.tag = dice.choice(words)
    else:
        node.text = dice.choice(values)


def mutator(words):
    """libFuzzer's own changes, and half of the time changes of the tree."""

    def mutate(data, max_size, seed):
        dice = random.Random(seed)
        try:
            root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
        except (etree.XMLSyntaxError, ValueError):
            return atheris.Mutate(data, max_size)
        if root is None or dice.random() < 0.5:
            return atheris.Mutate(data, max_size)
        for _change in range(dice.randrange(1, 4)):
            # libxml2 reads a name with a prefix that nothing declares, and lxml writes none
            with contextlib.suppress(ValueError):
                mutate_tree(root, dice, words)
        encoding = dice.choice(("unicode", "us-ascii", "utf-8", "utf-16"))
        text = etree.tostring(root, encoding=encoding)
        data = text.encode() if isinstance(text, str) else text
        return data[:max_size]

    return mutate


def check_network(document):
    """A network that was read is written and read again as the same one."""
    found = parse_network(document)
    assert parse_network(found.xml) == found
    assert network_xml(found) == found.xml
    assert same_definition(document, found.xml)
    assert names.check_network_name(found.name) == found.name
    assert all(names.check_ifname(device) == device for device in found.devices)
    changed = update_network_xml(document, Network(found.name, MODES[-1], ("other0",)))
    assert parse_network(changed)._replace(xml=None) == found._replace(
        mode=MODES[-1], devices=("other0",), pf=None, xml=None
    )


def check_domain(document):
    """What a NIC asks for is what the options may ask for, and its mark is read as it was written."""
    for nic in parse_domain(document):
        assert nic.mac is None or names.check_mac(nic.mac) == nic.mac
        assert nic.ifname is None or names.check_ifname(nic.ifname) == nic.ifname
        assert nic.device is None or names.check_ifname(nic.device) == nic.device
        assert nic.network is None or names.check_network_name(nic.network) == nic.network
        if nic.objection is not None:
            raise InvalidInput(nic.objection)
        tag = OwnerTag(nic.guest or "g", nic.nic, nic.network, nic.queues)
        try:
            assert read_tag(tag_text(tag)) == tag
        except InvalidInput as exc:
            assert "too long" in str(exc)


def one_input(document):
    """Called by libFuzzer."""
    for check in (check_network, check_domain):
        try:
            check(document)
        except InvalidInput as exc:
            said = str(exc)
            assert "\n" not in said and said.isprintable() and len(said) < 1000, said


def main():
    """Give libFuzzer its dictionary and seeds, and start."""
    corpus = pathlib.Path(next(word for word in sys.argv[1:] if not word.startswith("-")))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (corpus / f"seed{number}").write_text(seed, encoding="utf-8")
    dictionary = corpus.with_suffix(".dictionary")
    words = vocabulary()
    dictionary.write_text("".join(f'"{word}"\n' for word in (*PIECES, *words)), encoding="utf-8")
    options = [f"-dict={dictionary}", "-max_len=2000"]
    atheris.Setup([*sys.argv, *options], one_input, custom_mutator=mutator(words))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
