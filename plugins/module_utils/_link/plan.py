# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The plan: ordered steps, as plain data, from what is to what shall be. PURE.

Check mode shows it, diff mode prints it, ``changed`` is "there are steps", and :mod:`_task.apply` is the only code that
carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Union

from .._core.errors import Refused
from .._core.identity import read_tag
from .._core.model import Attachment, Link, Node, NodePolicy, Tap
from .attributes import ATTRIBUTES, BY_NAME, differences, needs_recreate
from .host import Host

#: what a diff says of one thing, before or after
_Side = tuple[str, Union[dict[str, Any], str, None]]


class WriteDefinition(NamedTuple):
    """Write (or, with ``new`` None, remove) a network's definition file."""

    network: str
    path: str
    old: str | None
    new: str | None


class BringUp(NamedTuple):
    """Set a lower device up."""

    link: Link


class DeleteLink(NamedTuple):
    link: Link
    device: str
    path: str
    #: of the tap; None when sysfs does not show it
    number: tuple[int, int] | None
    #: owner, group (numbers) and permission bits of its node
    owner: tuple[int, int, int] | None = None
    #: True when the same plan makes it again
    recreated: bool = False


class CreateLink(NamedTuple):
    """Make a link and its node, silence the host on it, mark it and bring it up."""

    link: Link
    device: str
    path: str
    #: of the node of the link that this one replaces: kept where the options do not manage it
    owner: tuple[int, int, int] | None = None
    recreated: bool = False


class ChangeLink(NamedTuple):
    """Set the named attributes of a live link."""

    old: Link
    new: Link
    names: tuple[str, ...]


class MakeNode(NamedTuple):
    path: str
    number: tuple[int, int]
    #: a node that opens nothing any more and is replaced
    stale: Node | None = None


class OwnNode(NamedTuple):
    """Owner, group (numbers) and permission bits of a node."""

    path: str
    number: tuple[int, int]
    old: tuple[int, int, int]
    new: tuple[int, int, int]
    #: POSIX ACL to remove; it would let others in whatever owner and mode say
    acl: bytes = b""
    #: processes, in words, that have the tap open and keep it although the node does not admit them any more
    kept: str = ""


Step = Union[WriteDefinition, BringUp, DeleteLink, CreateLink, ChangeLink, MakeNode, OwnNode]


class Plan(NamedTuple):
    """Steps of each kind; they are carried out in the order of the fields."""

    bring_up: Sequence[BringUp] = ()
    delete: Sequence[DeleteLink] = ()
    #: before ``create``, which may want a name or a MAC that a change frees
    change: Sequence[ChangeLink] = ()
    create: Sequence[CreateLink] = ()
    nodes: Sequence[Union[MakeNode, OwnNode]] = ()
    #: last, so that a killed run leaves the old one, and the next run finds the difference again
    definitions: Sequence[WriteDefinition] = ()

    def steps(self) -> list[Step]:
        """All steps in order; empty = nothing to do."""
        return [step for group in self for step in group]


def plan_attachments(
    attachments: Sequence[Attachment],
    leaving: Sequence[Link],
    seen: Mapping[int, Tap],
    host: Host,
    policy: NodePolicy,
) -> Plan:
    """What makes the attachments so, and the leaving links gone.

    :arg seen: the tap of each existing link of ``attachments``, and of ``leaving`` where sysfs shows it.
    :raises Refused: when something that is not ours lies at a node's path.
    """
    delete = [_deletion(link, seen, host, policy) for link in leaving]
    change: list[ChangeLink] = []
    create: list[CreateLink] = []
    nodes: list[Union[MakeNode, OwnNode]] = []
    for attachment in attachments:
        found, wanted = attachment.found, attachment.link
        if found is None:
            create.append(CreateLink(wanted, attachment.device, policy.path(wanted.ifindex)))
            continue
        names = differences(found, wanted)
        own_node = node_steps(wanted.name, *seen[found.ifindex], policy.path(found.ifindex), policy)
        if names and needs_recreate(found, wanted):
            deletion = _deletion(found, seen, host, policy)._replace(recreated=True)
            delete.append(deletion)
            create.append(CreateLink(wanted, attachment.device, deletion.path, deletion.owner, recreated=True))
            continue
        if names:
            change.append(ChangeLink(found, wanted, names))
        nodes.extend(own_node)
    return Plan(delete=delete, change=change, create=create, nodes=nodes)


def _deletion(link: Link, seen: Mapping[int, Tap], host: Host, policy: NodePolicy) -> DeleteLink:
    tap = seen.get(link.ifindex)
    node = tap.node if tap is not None and _is_tap(tap.node, tap.number) else None
    return DeleteLink(
        link,
        host.device_name(link),
        policy.path(link.ifindex),
        tap.number if tap is not None else None,
        (node.uid, node.gid, node.mode) if node is not None else None,
    )


def _is_tap(node: Node | None, number: tuple[int, int]) -> bool:
    return node is not None and node.kind == "character device" and (node.major, node.minor) == number


def node_steps(
    ifname: str, number: tuple[int, int], node: Node | None, path: str, policy: NodePolicy
) -> list[Union[MakeNode, OwnNode]]:
    """What makes the node at ``path`` the tap with this device number, owned as the policy says.

    :raises Refused: when something else lies there: it is never followed, changed or removed.
    """
    steps: list[Union[MakeNode, OwnNode]] = []
    is_ours = _is_tap(node, number)
    if node is not None and not is_ours and not node.is_stale:
        what = node.kind
        if node.kind == "character device":
            what += " %d:%d%s" % (
                node.major,
                node.minor,
                " (%s of another link or namespace)" % node.tap if node.tap else "",
            )
        raise Refused(
            "%s is a %s, but the tap of link %s is device %d:%d; it was left alone: remove it if it is nobody's%s"
            % (
                path,
                what,
                ifname,
                *number,
                # a device of somebody else is stepped around by a new attachment, a stray file is not
                ", or detach and attach again for another path" if node.kind == "character device" else "",
            )
        )
    # a node that is made belongs to root:root 0600, as the kernel's own would
    old, acl = (0, 0, 0o600), b""
    if is_ours and node is not None:
        # who manages the owner of a node manages who may open it
        old, acl = (node.uid, node.gid, node.mode), node.acl if policy.is_managing else b""
    if not is_ours:
        steps.append(MakeNode(path, number, node))
    new = policy.owner(old)
    if new != old or acl:
        steps.append(OwnNode(path, number, old, new, acl))
    return steps


def break_cycles(changes: Sequence[ChangeLink]) -> list[tuple[Link, tuple[str, ...]]]:
    """Links that must give up name or MAC for a moment, since another change of the same plan wants it.

    :returns: (link with the stopgap values, names of the attributes to set) for each.
    """
    names = {step.old.name: step for step in changes if "ifname" in step.names}
    macs = {(step.old.lower, step.old.mac): step for step in changes if "mac" in step.names}
    wanted_names = {step.new.name for step in changes if "ifname" in step.names}
    wanted_macs = {(step.new.lower, step.new.mac) for step in changes if "mac" in step.names}
    aside: dict[int, tuple[Link, tuple[str, ...]]] = {}
    for step in changes:
        index = step.old.ifindex
        link, attributes = step.old, list[str]()
        if names.get(link.name) is step and link.name in wanted_names:
            link, attributes = link._replace(name="mv%x" % index), ["ifname"]
        if macs.get((link.lower, link.mac)) is step and (link.lower, link.mac) in wanted_macs:
            stopgap = "02:6d:" + index.to_bytes(4, "big").hex(":")
            link, attributes = link._replace(mac=stopgap), [*attributes, "mac"]
        if attributes:
            aside[index] = (link, tuple(attributes))
    return list(aside.values())


def predict(host: Host, plan: Plan) -> Host:
    """The host as it would be after the plan, for what check mode tells of lower devices."""
    links = dict(host.links)
    for deletion in plan.delete:
        links.pop(deletion.link.ifindex, None)
    for change in plan.change:
        links[change.new.ifindex] = change.new
    for creation in plan.create:
        links[creation.link.ifindex] = creation.link
        if creation.link.mode == "passthrough":
            # the lower device carries the guest's MAC for that time
            links[creation.link.lower] = links[creation.link.lower]._replace(mac=creation.link.mac)
    return Host(links)


def describe(step: Step) -> str:
    """One step in words, for the result's ``actions``."""
    if isinstance(step, WriteDefinition):
        verb = "remove" if step.new is None else "write" if step.old is None else "update"
        return "%s definition of network %s (%s)" % (verb, step.network, step.path)
    if isinstance(step, BringUp):
        return "set lower device %s up" % step.link.name
    if isinstance(step, DeleteLink):
        return "delete %s%s" % (_title(step.link), " to make it again" if step.recreated else "")
    if isinstance(step, CreateLink):
        return "%s %s: %s on %s, MAC %s, %s" % (
            "recreate" if step.recreated else "create",
            _title(step.link),
            step.link.mode,
            step.device,
            step.link.mac,
            step.path,
        )
    if isinstance(step, ChangeLink):
        return "change %s: %s" % (
            _title(step.old),
            ", ".join("%s %s -> %s" % change for change in _changes(step)),
        )
    if isinstance(step, MakeNode):
        return "make node %s (%d:%d)%s" % (
            (step.path,) + step.number + (", replacing a stale one" if step.stale else "",)
        )
    return "set %s from %d:%d %04o%s to %d:%d %04o%s" % (
        (step.path, *step.old, " with an ACL" if step.acl else "", *step.new)
        + (", which %s keeps open" % step.kept if step.kept else "",)
    )


def _title(link: Link) -> str:
    tag = read_tag(link.alias)
    return "%s of guest %s nic %d" % (link.name, tag.guest, tag.nic) if tag else "%s without our mark" % link.name


def _changes(step: ChangeLink) -> Iterable[tuple[str, Any, Any]]:
    for name in step.names:
        read = BY_NAME[name].read
        yield name, _shown(read(step.old)), _shown(read(step.new))


def _shown(value: Any) -> Any:
    """Values in messages as a playbook would spell them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value in ("", None) else value


def diff(steps: Sequence[Step]) -> dict[str, dict[str, Any]]:
    """Ansible's before and after of what the steps change, and of nothing else."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for step in steps:
        for side, (key, value) in zip((before, after), _sides(step)):
            if isinstance(value, dict) and isinstance(side.get(key, {}), dict):
                side.setdefault(key, {}).update(value)
            elif isinstance(value, str):
                side[key] = value
    return {side: dict(sorted(values.items())) for side, values in (("before", before), ("after", after))}


def _one_line(step: DeleteLink | CreateLink) -> str:
    """A whole link as one line: a value for each attribute costs Ansible more time than making the link."""
    values = {row.name: _shown(row.read(step.link)) for row in ATTRIBUTES}
    values.update(device=step.device, ifindex=step.link.ifindex, tap_path=step.path)
    # the name is the key, and whose link it is comes first
    words = ["%s=%s" % item for item in values.items() if item[0] not in ("mark", "ifname")]
    return " ".join(["[%s]" % step.link.alias, *words])


def _sides(step: Step) -> tuple[_Side, _Side]:
    if isinstance(step, WriteDefinition):
        # as lines, since Ansible prints a diff of dicts as JSON, in which one long text would be one long line
        old, new = (None if text is None else {"definition": text.splitlines()} for text in (step.old, step.new))
        return (step.path, old), (step.path, new)
    if isinstance(step, BringUp):
        return (step.link.name, {"link_state": "down"}), (step.link.name, {"link_state": "up"})
    if isinstance(step, (DeleteLink, CreateLink)):
        entry = (step.link.name, _one_line(step))
        return (entry, (entry[0], None)) if isinstance(step, DeleteLink) else ((entry[0], None), entry)
    if isinstance(step, ChangeLink):
        changes = list(_changes(step))
        return (
            (step.old.name, {name: old for name, old, _new in changes}),
            (step.old.name, {name: new for name, _old, new in changes}),
        )
    if isinstance(step, MakeNode):
        return (step.path, {"node": "stale"} if step.stale else None), (step.path, {"node": "%d:%d" % step.number})
    keys = ("uid", "gid", "mode", "acl") if step.acl else ("uid", "gid", "mode")
    old_owner, new_owner = (
        (step.path, dict(zip(keys, owner[:2] + ("%04o" % owner[2], acl))))
        for owner, acl in ((step.old, "present"), (step.new, "none"))
    )
    return old_owner, new_owner
