# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: which steps, in which words, and what it refuses."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Attachment, Node, NodePolicy, Tap
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.plan import (
    Plan,
    diff,
    node_steps,
    plan_attachments,
    predict,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.steps import (
    BringUp,
    ChangeLink,
    CreateLink,
    DeleteLink,
    MakeNode,
    OwnNode,
    WriteFile,
)
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.scene import ETH1, host, macvtap, nic_of_host

NUMBER = (246, 3)
PATH = "/dev/tap10"
NODE = Node(PATH, "character device", *NUMBER, 0, 0, 0o600)
STALE = Node(PATH, "character device", 246, 9, is_tap=True)
TAP = Tap(NUMBER, NODE)
LINK = macvtap(10, "macvtap0", "web")
UNMANAGED = NodePolicy()


def attachment(link=LINK, found=None):
    return Attachment("web", 0, None, "eth0", 1, link, found)


def planned(*attachments, leaving=(), node=NODE, policy=UNMANAGED):
    there = host(*[a.found for a in attachments if a.found is not None], *leaving)
    return plan_attachments(attachments, leaving, {10: Tap(NUMBER, node)}, there, policy)


def test_what_is_there_as_wanted_needs_no_step():
    assert planned(attachment(found=LINK)).steps() == []


def test_what_is_missing_is_created():
    assert planned(attachment()).steps() == [CreateLink(LINK, "eth0", PATH, UNMANAGED)]


def test_what_differs_is_changed_in_place_by_name():
    found = LINK._replace(mtu=1400, mode="private")
    assert planned(attachment(found=found)).steps() == [ChangeLink(found, LINK, ("mode", "mtu"))]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"lower": ETH1}, "device eth1 -> eth0"),
        ({"mode": "passthrough", "mtu": 1400}, "mode passthrough -> vepa"),
        ({"lower": ETH1, "mode": "passthrough"}, "device eth1 -> eth0, mode passthrough -> vepa"),
    ],
)
def test_what_cannot_change_in_place_is_created_again_with_the_reason_and_the_owner_of_its_node(change, because):
    found = LINK._replace(**change)
    plan = planned(attachment(found=found), node=NODE._replace(uid=7, mode=0o660))
    assert [(step.link, step.owner) for step in plan.delete] == [(found, (7, 0, 0o660))]
    assert list(plan.create) == [CreateLink(LINK, "eth0", PATH, NodePolicy("/dev", 7, 0, 0o660), because)]
    assert plan.delete[0].describe() == f"delete macvtap0 of guest web nic 0 to create it again: {because}"
    assert not plan.nodes


def test_what_leaves_is_deleted():
    plan = planned(leaving=[LINK])
    assert plan.steps() == [DeleteLink(LINK, "eth0", PATH, TAP)]


def test_a_missing_node_is_created():
    assert planned(attachment(found=LINK), node=None).steps() == [MakeNode(PATH, NUMBER)]


def test_a_stale_node_is_replaced():
    assert planned(attachment(found=LINK), node=STALE).steps() == [MakeNode(PATH, NUMBER, STALE)]


@pytest.mark.parametrize(
    "node",
    [
        Node(PATH, "regular file"),
        Node(PATH, "symbolic link"),
        Node(PATH, "directory"),
        NODE._replace(minor=4, tap="tap10", is_tap=True),
        NODE._replace(major=1, minor=3),
    ],
)
def test_anything_else_at_the_path_is_refused_and_left_alone(node):
    with pytest.raises(Refused, match=r"/dev/tap10.*%s.*macvtap0.*246:3" % node.kind):
        planned(attachment(found=LINK), node=node)


def test_a_node_is_owned_as_the_policy_says():
    steps = node_steps("macvtap0", TAP, PATH, NodePolicy("/dev", 0, 108, 0o660))
    assert steps == [OwnNode(PATH, NUMBER, (0, 0, 0o600), (0, 108, 0o660))]


def test_what_the_policy_leaves_open_stays():
    node = NODE._replace(uid=5, gid=6, mode=0o640)
    assert node_steps("macvtap0", Tap(NUMBER, node), PATH, NodePolicy()) == []
    steps = node_steps("macvtap0", Tap(NUMBER, node), PATH, NodePolicy(gid=108))
    assert steps == [OwnNode(PATH, NUMBER, (5, 6, 0o640), (5, 108, 0o640))]


def test_a_node_that_is_created_begins_as_root_0600():
    steps = node_steps("macvtap0", Tap(NUMBER, None), PATH, NodePolicy(mode=0o660))
    assert steps == [MakeNode(PATH, NUMBER), OwnNode(PATH, NUMBER, (0, 0, 0o600), (0, 0, 0o660))]


def test_links_go_before_others_come_and_files_are_written_last():
    up, write = BringUp(nic_of_host(2, "eth0")), WriteFile("/n.xml", None, "<network/>", "definition")
    delete, create = DeleteLink(LINK, "eth0", PATH, TAP), CreateLink(LINK, "eth0", PATH)
    change = ChangeLink(LINK, LINK._replace(mtu=1400), ("mtu",))
    plan = Plan(files=[write], create=[create], change=[change], delete=[delete], bring_up=[up])
    assert plan.steps() == [up, delete, change, create, write]


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (BringUp(nic_of_host(2, "eth0")), ["eth0", "up"]),
        (CreateLink(LINK, "eth0", PATH), ["create macvtap0 of guest web nic 0", "vepa on eth0", LINK.mac, PATH]),
        (CreateLink(LINK, "eth0", PATH, because="mode vepa -> passthrough"), ["recreate macvtap0"]),
        (DeleteLink(LINK, "eth0", PATH, TAP), ["delete macvtap0 of guest web nic 0"]),
        (DeleteLink(LINK._replace(alias=""), "eth0", PATH, TAP), ["delete macvtap0 without an owner tag"]),
        (ChangeLink(LINK, LINK._replace(mtu=1400), ("mtu",)), ["change macvtap0", "mtu 1500 -> 1400"]),
        (MakeNode(PATH, NUMBER), ["create device node /dev/tap10", "246:3"]),
        (MakeNode(PATH, NUMBER, STALE), ["stale"]),
        (OwnNode(PATH, NUMBER, (0, 0, 0o600), (0, 108, 0o660)), [PATH, "0:0 0600", "0:108 0660"]),
        (
            WriteFile("/n.xml", None, "x", "definition", "definition of network n"),
            ["write definition of network n", "/n.xml"],
        ),
        (WriteFile("/n.xml", "x", "y", "definition", "definition of network n"), ["update definition of network n"]),
        (WriteFile("/n.xml", "x", None, "boot file"), ["remove /n.xml"]),
    ],
)
def test_each_step_is_described(step, words):
    for word in words:
        assert word in step.describe()


def test_no_steps_make_an_empty_diff():
    assert diff([]) == {"before": {}, "after": {}}


def test_a_diff_shows_what_changes_and_nothing_else():
    found = LINK._replace(mtu=1400)
    assert diff([ChangeLink(found, LINK, ("mtu",))]) == {
        "before": {"macvtap0": {"mtu": 1400}},
        "after": {"macvtap0": {"mtu": 1500}},
    }


def test_a_new_link_is_only_after_and_a_deleted_one_only_before():
    made, gone = diff([CreateLink(LINK, "eth0", PATH)]), diff([DeleteLink(LINK, "eth0", PATH, TAP)])
    assert (list(made["before"]), list(made["after"])) == ([], ["macvtap0"])
    assert (list(gone["before"]), list(gone["after"])) == (["macvtap0"], [])


def test_a_diff_is_sorted():
    links = [macvtap(n, "macvtap%d" % n, "web", n) for n in (12, 11, 10)]
    steps = [CreateLink(link, "eth0", "/dev/tap%d" % link.ifindex) for link in links]
    assert list(diff(steps)["after"]) == ["macvtap10", "macvtap11", "macvtap12"]


def test_a_link_that_is_created_and_then_changed_in_one_run_has_a_diff():
    steps = [CreateLink(LINK, "eth0", PATH), ChangeLink(LINK, LINK._replace(mtu=1400), ("mtu",))]
    assert "macvtap0" in diff(steps)["after"]


def test_the_prediction_is_the_host_after_every_step():
    other = macvtap(11, "macvtap1", "db", lower=ETH1)
    there = host(LINK, other)
    eth0 = there.by_name["eth0"]
    plan = Plan(
        bring_up=[BringUp(eth0._replace(flags=0))],
        delete=[DeleteLink(LINK, "eth0", PATH, TAP)],
        change=[ChangeLink(other, other._replace(mtu=1400), ("mtu",))],
        create=[CreateLink(macvtap(12, "macvtap2", "new", mode="passthrough"), "eth0", "/dev/tap12")],
        nodes=[MakeNode(PATH, NUMBER)],
    )
    after = predict(there, plan)
    assert set(after.links) == set(there.links) - {10} | {12}
    assert after.links[11].mtu == 1400
    # a passthrough link lends its MAC to the lower device
    assert (after.by_name["eth0"].is_up, after.by_name["eth0"].mac) == (True, after.links[12].mac)
