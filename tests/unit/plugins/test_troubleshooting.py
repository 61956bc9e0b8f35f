# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide to troubleshooting has an entry for every message that plugins and roles end or warn with, and no other.

Messages are read from the source: whatever is given to one of our errors, to fail_json, to warn, and the functions and
tables that such messages are put together from. What stands for a value is "…", in messages as in the guide.
"""

from __future__ import annotations

import ast
import pathlib
import re

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
PAGE = CHECKOUT / "docs" / "docsite" / "rst" / "guide_troubleshooting.rst"
PLUGINS = sorted(path for path in (CHECKOUT / "plugins").rglob("*.py") if path.parent.name != "doc_fragments")
#: what takes a message, beside the classes below
TAKERS = {"AnsibleFilterError", "fail_json", "host_error", "warn"}
#: functions and tables whose texts become part of messages: what an errno means, what is wrong with a device, …
PARTS = {
    "_core/explain.py": {"explain", "_MEANINGS", "_MEANINGS_OF_ATTRIBUTES"},
    "_link/host.py": {"in_the_way", "obstacle"},
    "_link/in_use.py": {"_UNSEEN"},
    "_libvirt/network.py": {"_REFUSED", "_NEEDS_A_BRIDGE", "_VIRTUALPORT", "_NEEDS_SHAPING"},
    "_libvirt/domain.py": {"_REFUSED", "_tapless_type"},
    "_boot/script.py": {
        "_NOT_ITS_OWN",
        "_NOT_UP",
        "_NOT_SILENT",
        "_MTU_TOO_SMALL",
        "_UNGUARDED",
        "_AMBIGUOUS",
        "_NO_FUNCTION",
    },
    "_boot/lower.py": {"problems"},
    "_task/problems.py": {"of_boot", "of_path", "of_guard", "Survey"},
    "_boot/store.py": {"known"},
    "_guest/rx_filter.py": {"undelivered"},
    "_system/tap_guard.py": {"_REFUSAL"},
    "_libvirt/state.py": {"conflicts"},
    "_task/unsupported.py": {"_unknown_network"},
    "_task/warnings.py": {"WARNINGS"},
}
#: (file, source) of messages that come from elsewhere: from another error, or from PARTS
ELSEWHERE = {
    ("_task/apply.py", "'; '.join([str(exc), *ways])"),
    ("_task/attach.py", "warning"),
    ("_task/probe.py", "explain('make', link, reply.errno, reply.text)"),
    ("_task/qemu.py", "str(exc)"),
    ("_system/rtnetlink.py", "why(exc.code)"),
    ("_task/run.py", "names.printable(f'{where}. {msg}' if where else msg)"),
    ("_task/run.py", "names.printable(warning)"),
    ("_task/run.py", "str(error)"),
    ("_task/unsupported.py", "reason"),
    ("_task/run.py", "warning"),
    ("_task/info.py", "warning"),
    ("_task/network.py", "problem"),
    ("_task/network.py", "warning"),
    ("_task/probe.py", "warning"),
}
#: messages that only say where another one holds
FRAMES = {
    "…; it is in use: its tap … is held open by …",
    "…: lower device … …",
    "lower device … …",
    "NIC … (…) of guest … …",
    "MAC …",
    "all frames (promiscuous mode)",
    "… has <…>, …",
    "some other tool's",
    "network …: …",
    "the host refused: ……",
}
VALUE = "…"
_PLACE = re.compile(r"%[-#0-9.]*[a-zX]")
_WORD = re.compile(r"[\w'/<>=]{2,}")


def text_of(node):
    """A text of the source with … for its values; None when it is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Call) and name_of(node.func) == "join" and isinstance(node.args[0], ast.GeneratorExp):
        return text_of(node.args[0].elt)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        text = text_of(node.left)
        return None if text is None else _PLACE.sub(VALUE, text).replace("%%", "%")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [text_of(node.left), text_of(node.right)]
        return None if parts == [None, None] else "".join(part or VALUE for part in parts)
    return None


def of(path):
    """A file of plugins, as its folder and name."""
    return f"{path.parent.name}/{path.name}"


def name_of(node):
    return getattr(node, "attr", getattr(node, "id", ""))


def error_classes(trees):
    """Names of the classes that descend from MacvtapError."""
    found = {"MacvtapError"}
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while True:
        more = {node.name for node in classes if found & set(map(name_of, node.bases))} - found
        if not more:
            return found
        found |= more


def texts_in(node):
    """Every sentence in a piece of source but docstrings."""
    docstrings = {
        id(part.body[0].value)
        for part in ast.walk(node)
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and isinstance(part.body[0], ast.Expr)
    }
    todo = [node]
    while todo:
        part = todo.pop()
        # (cause, way out): the cause is what a reader looks for
        part = part.elts[0] if isinstance(part, ast.Tuple) and part.elts else part
        text = None if id(part) in docstrings else text_of(part)
        if text is not None:
            yield _PLACE.sub(VALUE, text)
        elif id(part) not in docstrings:
            todo += part.values if isinstance(part, ast.Dict) else ast.iter_child_nodes(part)


def calls(trees):
    """(file, line, message) of everything that is raised or told; the message as the source has it."""
    takers = TAKERS | error_classes(trees.values())
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func) in takers:
                words = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "msg")]
                yield from ((of(path), node.lineno, word) for word in words)


def collect():
    """(message → where it is, messages that are no text in the source as (file, source))."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PLUGINS}
    found, passed_on = {}, set()
    for name, line, word in calls(trees):
        text = text_of(word)
        if text is None:
            passed_on.add((name, ast.unparse(word)))
        else:
            found[text] = f"{name}:{line}"
    for path, tree in trees.items():
        for node in ast.walk(tree):
            names = {name_of(target) for target in getattr(node, "targets", [])} | {getattr(node, "name", "")}
            if names & PARTS.get(of(path), set()):
                found.update((text, f"{of(path)}:{node.lineno}") for text in texts_in(node) if text.count(" ") >= 2)
    for path in sorted((CHECKOUT / "roles").glob("*/tasks/*.yml")):
        for text in re.findall(r"fail_msg: (?:>-\n)?\s*(.*)", path.read_text(encoding="utf-8")):
            found[re.sub(r"{{.*?}}", VALUE, text)] = f"{path.parent.parent.name}/{path.name}"
    told = {text: place for text, place in found.items() if len(_WORD.findall(text)) >= 2 and text not in FRAMES}
    return told, passed_on


def entries():
    """The literals in the terms of the guide's lists: patterns of messages."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    terms = [line for line, below in zip(lines, lines[1:]) if line.startswith("``") and below.startswith("    ")]
    return [pattern for term in terms for pattern in re.findall(r"``(.+?)``", term)]


def expression(pattern):
    return re.compile(".*?".join(map(re.escape, pattern.split(VALUE))), re.DOTALL)


MESSAGES, PASSED_ON = collect()
ENTRIES = entries()


def test_every_message_has_an_entry():
    patterns = [expression(entry) for entry in ENTRIES]
    missing = [
        f"{place}: {message}"
        for message, place in MESSAGES.items()
        if not any(pattern.search(message) for pattern in patterns)
    ]
    assert missing == []


def test_every_entry_is_of_a_message_and_says_enough_to_be_found():
    assert [entry for entry in ENTRIES if not any(map(expression(entry).search, MESSAGES))] == []
    assert [entry for entry in ENTRIES if len(_WORD.findall(entry)) < 2] == []
    assert sorted(set(ENTRIES)) == sorted(ENTRIES)


def test_messages_that_are_put_together_elsewhere_are_read_there():
    assert PASSED_ON == ELSEWHERE


def test_the_messages_are_found():
    assert len(MESSAGES) > 200 and len(ENTRIES) > 150
