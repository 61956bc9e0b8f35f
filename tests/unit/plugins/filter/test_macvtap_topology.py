# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter macvtap_topology: everything that was told is in the picture, nothing overlaps, no name breaks out."""

from __future__ import annotations

import ast
import itertools
import json
import pathlib
import re
import xml.etree.ElementTree as ET

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.linuxnet.macvtap.plugins.filter.macvtap_topology import FilterModule

topology = FilterModule().filters()["macvtap_topology"]

SVG = "{http://www.w3.org/2000/svg}"
ROOMS = pathlib.Path(__file__).parents[4] / "plugins" / "plugin_utils"
#: names that break out of quotes, tags, comments, entities, Markdown, or out of their line
HOSTILE = [
    *(
        '"]',
        "'",
        "<script>alert(1)</script>",
        "</text></svg><img src=x onerror=alert(1)>",
        "]]>",
        "-->",
        "<!--",
        "&amp;",
    ),
    *(
        "%%",
        "%%{init: {}}%%",
        "#quot;",
        "`x`",
        "**b**",
        "1. x",
        "- item",
        "[x](javascript:alert(1))",
        "{{x}}",
        "|",
        "\\",
    ),
    *("end", "subgraph", "click h0 call", "style h0 fill:red", "fa:fa-car", "$$x$$", "~~~", "a --- b", ";"),
    *(
        "a\nb\r\tc",
        "\x00\x1b[31m",
        "\u2028\x85",
        "\ud800",
        "\ufffe",
        "\u202egnp.exe",
        "ünïcödé Ω",
        "日本語" * 9,
        "x" * 200,
    ),
]


def row(guest, nic=0, *, network="vepanet", device="eth0", problems=(), **facts):
    """An attachment as macvtap_info returns it; each has its own tap."""
    number = 1600000000 + next(row.numbers)
    return {
        "guest": guest,
        "nic": nic,
        "network": network,
        "device": device,
        "mode": "vepa",
        "ifname": "macvtap%d" % (number % 1000),
        "ifindex": number,
        "mac": "02:00:00:00:%02x:%02x" % divmod(number % 65536, 256),
        "link_state": "up",
        "tap_path": "/dev/tap%d" % number,
        "holders": [],
        "problems": list(problems),
        **facts,
    }


row.numbers = itertools.count()


def network(name="vepanet", *devices, problems=()):
    facts = {"ifindex": 2, "mac": "3c:ec:ef:12:34:56", "mtu": 1500, "operstate": "up", "attachments": 1}
    rows = [{"name": device, **facts} for device in devices or ("eth0",)]
    return {"name": name, "mode": "vepa", "devices": rows, "problems": list(problems)}


def told(*attachments, networks=(), **more):
    return {"attachments": list(attachments), "networks": list(networks), **more}


def fleet():
    """Everything that there can be, once at least."""
    away = {"ifindex": None, "mac": None, "mtu": None, "operstate": None}
    storage = network("storage", "eth1", "eth9", problems=["lower device eth9 does not exist"])
    storage["devices"][1].update(away)
    later = row("later", problems=())
    del later["tap_path"], later["holders"], later["problems"]
    return {
        "hv10": told(
            *(row("web"), row("web", 1, network="storage", device="eth1")),
            row("broken", problems=["node missing: nothing lies at /dev/tap7", "mode is private, that of n is vepa"]),
            row(None, None, network=None, ifname="stranger", problems=["foreign: it is not ours"]),
            row("lone", network=None, device="eth5", holders=[{"pid": 4711, "command": "qemu-system-x86"}]),
            networks=[network(), storage],
            boot_only=[later],
            boot_problems=["macvtap@eth0.service is damaged"],
        ),
        "hv9": told(*(row("g%d" % number, problems=["lower device eth0 is down"]) for number in range(3))),
        "hv1": {"unreachable": True, "changed": False, "msg": "no route to host"},
        "hv2": {"failed": True, "msg": "no pyroute2 here"},
        # as failed_when: false leaves it
        "hv4": {"failed": False, "msg": "no lxml here"},
        "hv3": told(),
    }


def many(guests, problem_every=50):
    rows = (row("guest%d" % number, problems=["it is ill"] * (number % problem_every == 0)) for number in range(guests))
    return {"hv": told(*rows, networks=[network()])}


def drawn(hosts, **options):
    """The SVG, parsed."""
    return ET.fromstring(topology(hosts, format="svg", **options).encode())


def words(picture):
    """All text of a picture, with the line breaks of the layout taken out."""
    return re.sub(r"[\s!]+", " ", " ".join(text.text or "" for text in picture.iter(SVG + "text")))


def boxes(element, x=0.0, y=0.0):
    """(left, top, right, bottom, class) of every rectangle."""
    moved = re.fullmatch(r"translate\(([\d.]+) ([\d.]+)\)", element.get("transform", "translate(0 0)"))
    x, y = x + float(moved[1]), y + float(moved[2])
    if element.tag == SVG + "rect":
        left, top = x + float(element.get("x")), y + float(element.get("y"))
        yield left, top, left + float(element.get("width")), top + float(element.get("height")), element.get("class")
    for child in element:
        yield from boxes(child, x, y)


def require_tidy(picture):
    """Any two rectangles are apart, or one is inside the other; all are inside the picture."""
    found = list(boxes(picture))
    assert found[0][:4] == (0, 0, float(picture.get("width")), float(picture.get("height")))
    for (a, b, c, d, _kind), (e, f, g, h, _other) in itertools.combinations(found, 2):
        apart = c <= e or g <= a or d <= f or h <= b
        inside = (a <= e and b <= f and g <= c and h <= d) or (e <= a and f <= b and c <= g and d <= h)
        assert apart or inside, (a, b, c, d, e, f, g, h)
    cards = [box for box in found if "card" in box[4] or box[4] == "alarm"]
    for one, other in itertools.combinations(cards, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


# -- what is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 700, 1200, 4000])
def test_every_host_guest_tap_and_problem_is_in_the_svg(width):
    picture = drawn(fleet(), width=width)
    seen = words(picture).replace(" ", "")
    for host, result in fleet().items():
        assert host in seen
        for each in [*result.get("attachments", ()), *result.get("boot_only", ())]:
            for text in [each["guest"] or each["ifname"], *each.get("problems", ())]:
                assert text.replace(" ", "") in seen, text
    taps = re.findall(r"tap16\d{8}", words(picture))
    assert len(taps) == len(set(taps)) == 9
    problems = "eth9doesnotexist macvtap@eth0.serviceisdamaged noroutetohost nopyroute2here nolxmlhere notours"
    for text in problems.split():
        assert text in seen
    require_tidy(picture)


def test_hosts_come_in_their_natural_order_and_one_result_needs_no_name():
    names = [text.text for text in drawn(fleet()).iter(SVG + "text") if text.get("class") == "h2"]
    assert names == ["hv1", "hv2", "hv3", "hv4", "hv9", "hv10"]
    assert "this host" in words(drawn(told(row("web"))))


def test_a_guest_with_a_problem_is_red_and_says_so_and_no_other_is():
    cards = {}
    for group in drawn({"hv": told(row("well"), row("ill", problems=["it is ill"]))}).iter(SVG + "g"):
        if group.find(SVG + "rect") is not None and group.find(SVG + "title") is not None:
            cards[group.find(SVG + "title").text.split("\n")[0]] = group
    assert cards["ill"].find(SVG + "rect").get("class") == "alarm"
    assert [text.text for text in cards["ill"].iter(SVG + "text") if text.get("class") == "bad"] == ["! it is ill"]
    assert cards["well"].find(SVG + "rect").get("class") == "card"


def test_what_all_taps_of_a_device_share_is_told_once():
    picture = words(drawn(fleet()))
    assert picture.count("lower device eth0 is down") == 1
    problems = topology(fleet(), format="problems")
    assert [problem for problem in problems if problem["host"] == "hv9"] == [
        {"host": "hv9", "where": "lower device eth0", "problem": "lower device eth0 is down"}
    ]


def test_problems_are_a_list():
    problems = topology(fleet(), format="problems")
    assert {"host": "hv1", "where": "host", "problem": "unreachable: no route to host"} in problems
    assert {"host": "hv10", "where": "host", "problem": "network storage: lower device eth9 does not exist"} in problems
    assert any(each["where"].startswith("guest broken nic 0 (macvtap") for each in problems)
    assert any(each["where"] == "link stranger" for each in problems)
    assert topology(told(row("web")), format="problems") == []


def test_what_only_the_next_boot_makes_is_dashed_and_not_counted():
    picture = drawn({"hv": fleet()["hv10"]})
    assert sum("boot" in kind for *_corners, kind in boxes(picture)) == 1
    assert "5 taps" in words(picture)


def test_the_picture_tells_who_cannot_see_it():
    picture = drawn(fleet(), title="My fleet")
    label = picture.get("aria-labelledby").split()
    title, description = picture.find(SVG + "title"), picture.find(SVG + "desc")
    assert (picture.get("role"), label) == ("img", [title.get("id"), description.get("id")])
    assert title.text == "My fleet" and "My fleet" in words(picture)
    untitled = drawn(fleet(), title="")
    assert untitled.find(SVG + "title").text.startswith("6 hosts, ")
    assert not [text for text in untitled.iter(SVG + "text") if text.get("class") == "h1"]
    assert "6 hosts, 7 guests" in description.text and "node missing" in description.text


def test_the_same_hosts_give_the_same_bytes_and_no_two_pictures_share_an_id():
    hosts = fleet()
    assert topology(hosts, format="svg") == topology(dict(reversed(hosts.items())), format="svg")
    assert topology(hosts) == topology(dict(reversed(hosts.items())))
    both = "".join(topology(hosts, format="svg", width=width) for width in (400, 1200))
    assert len(set(re.findall(r' id="([^"]+)"', both))) == 4


def test_nothing_outside_of_the_picture_is_needed():
    text = topology(fleet(), format="svg")
    assert not re.search(r"url\(|href|@import|<script|<image|<foreignObject", text)
    # as the page has it, not as the system: a light page holds no dark picture
    assert "light-dark(#ffffff,#0d1117)" in text and "svg:root{color-scheme:light dark}" in text
    assert "prefers-color-scheme" not in text


# -- many guests -------------------------------------------------------------------------------------------------------


def test_hundreds_of_guests_stand_in_columns():
    picture = drawn(many(400))
    cards = [box for box in boxes(picture) if box[4] in ("card", "alarm")]
    assert len(cards) == 400 and len({box[0] for box in cards}) >= 4
    narrow = drawn(many(20), width=320)
    assert len({box[0] for box in boxes(narrow) if box[4] in ("card", "alarm")}) == 1
    require_tidy(drawn(many(60)))


def test_a_thousand_guests_stay_below_what_mermaid_draws():
    text = topology(many(1000, problem_every=100))
    assert len(text) < 50000 and text.count("---") + text.count("~~~") < 500
    assert len(re.findall(r"tap16\d{8}", text)) == 1000


# -- Mermaid -----------------------------------------------------------------------------------------------------------

_ID, _LABEL = r"h\d+(?:p|n|d\d+(?:s\d+(?:g\d+)?)?)?", r'"(?:[^\W_]|[ ]|#\d+;|<br/>)*"'
#: what a line may be: the whole grammar that the filter writes
GRAMMAR = re.compile(
    rf"flowchart LR|accTitle: .*|accDescr: .*|direction LR|end|subgraph {_ID}\[{_LABEL}\]|{_ID}\[{_LABEL}\]"
    rf"|{_ID}\(\[{_LABEL}\]\)|{_ID} --- {_ID}|{_ID}(?: ~~~ {_ID})+|class {_ID} problem"
    r"|classDef problem fill:#\w+,stroke:#\w+,color:#\w+"
)


def parsed(text):
    """{id: label in plain text} of a Mermaid flowchart; every line fits the grammar, every subgraph ends."""
    labels, depth = {}, 0
    for line in map(str.strip, text.splitlines()):
        assert GRAMMAR.fullmatch(line), line
        depth += line.startswith("subgraph ") - (line == "end")
        assert depth >= 0
        if '"' in line:
            name, label = re.fullmatch(rf'(?:subgraph )?({_ID})\W+"(.*)".*', line).groups()
            assert name not in labels
            labels[name] = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), label.replace("<br/>", "\n"))
    assert depth == 0
    for name in re.findall(rf"\b{_ID}\b(?= ---| ~~~| problem)|(?<=--- ){_ID}|(?<=~~~ ){_ID}", text):
        assert name in labels
    return labels


def test_every_host_guest_tap_and_problem_is_in_the_flowchart():
    text = topology(fleet())
    labels = parsed(text)
    seen = "\n".join(labels.values())
    for name, result in fleet().items():
        assert name in seen
        for each in [*result.get("attachments", ()), *result.get("boot_only", ())]:
            assert "%s" % (each["guest"] or each["ifname"]) in seen
            assert all(problem in seen for problem in each.get("problems", ()))
    assert len(set(re.findall(r"tap16\d{8}", seen))) == 9
    red = {labels[name] for name in re.findall(r"class (\w+) problem", text)}
    assert any("no route to host" in label for label in red) and any("broken" in label for label in red)
    assert not any("web" in label for label in red)


# -- hostile names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_breaks_out_of_neither(name):
    networks = [network(name, name, problems=[name])]
    hosts = {name: told(row(name, network=name, device=name, problems=[name, "x " + name]), networks=networks)}
    text = topology(hosts, format="svg", title=name)
    picture = ET.fromstring(text.encode())
    tags = {element.tag.removeprefix(SVG) for element in picture.iter()}
    assert tags <= {"svg", "title", "desc", "style", "g", "rect", "path", "circle", "text"}
    harmless = drawn({"n": told(row("n", network="n", problems=["n", "x n"]), networks=[network("n")])})
    assert {attribute for each in picture.iter() for attribute in each.attrib} == {
        attribute for each in harmless.iter() for attribute in each.attrib
    }
    require_tidy(picture)
    # what stands in a line stays in it, and nothing turns its direction
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff\ufffe]", text)
    labels = parsed(topology(hosts, title=name))
    assert set(labels) == {"h0", "h0p", "h0d0", "h0d0s0", "h0d0s0g0"}
    if name.isprintable() and name.isascii():
        assert labels["h0"] == name


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "options", "message"),
    [
        ([], {}, "wants the result of macvtap_info"),
        ("text", {}, "wants the result of macvtap_info"),
        ({"hv": {"changed": False}}, {}, "'hv' has no attachments"),
        ({"hv": "text"}, {}, "'hv' has no attachments"),
        ({}, {"format": "png"}, "format must be one of mermaid, svg, problems"),
        ({}, {"width": 100}, "width must be a number from 320 to 4000"),
        ({}, {"width": True}, "width must be a number"),
    ],
    ids=str,
)
def test_what_it_cannot_draw_is_refused(hosts, options, message):
    with pytest.raises(AnsibleFilterError, match=re.escape(message)):
        topology(hosts, **options)


def test_no_hosts_are_an_empty_picture():
    assert "0 hosts" in words(drawn({}))
    assert parsed(topology({})) == {}


@pytest.mark.parametrize("path", sorted(ROOMS.glob("_*.py")), ids=lambda path: path.stem)
def test_the_rooms_of_pictures_are_pure(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").replace("ansible_collections.linuxnet.macvtap.plugins.plugin_utils.", "_"))
    assert {name for name in imported if not name.startswith("__")} <= {
        *("collections.abc", "hashlib", "html", "re", "typing", "unicodedata")
    }


def test_the_pictures_in_the_documentation_are_those_of_the_filter():
    docs = pathlib.Path(__file__).parents[4] / "docs" / "docsite"
    example = json.loads(pathlib.Path(__file__).with_name("topology.json").read_text(encoding="utf-8"))
    text = topology(example, format="svg", title="A hypervisor and its guests", width=820)
    assert (docs / "topology.svg").read_text(encoding="utf-8") == text
    # a copy in the page, since antsibull-docs takes no other files along
    inline = "".join("    %s\n" % line for line in text.splitlines())
    assert inline in (docs / "rst" / "guide_topology.rst").read_text(encoding="utf-8")
