# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The plan: ordered steps, as plain data, from what is to what is wanted. PURE.

Check mode shows it, diff mode prints it, ``changed`` is "there are steps", and :mod:`_task.apply` is the only code that
carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Union

from .._core.errors import Refused
from .._core.model import Attachment, Link, Node, NodePolicy, Tap
from .attributes import GUARD, differences, forcing
from .host import Host
from .host_link import ChangeHostLink, CreateHostLink, DeleteHostLink
from .steps import BringUp, ChangeLink, CreateLink, DeleteLink, MakeNode, OwnNode, Step, WriteFile, shown
from .vlan import ChangeVlan, CreateVlan, DeleteVlan

#: of a new macvtap: TUN_READQ_SIZE (linux/if_tun.h), frames
_QUEUE_LENGTH = 500
#: of one that is up, and of one that is down
_DEFAULT_QDISCS = ("", "noqueue", "noop")


class Plan(NamedTuple):
    """Steps of each kind; they are carried out in the order of the fields."""

    bring_up: Sequence[BringUp] = ()
    #: VLAN devices that links are to be on
    vlans: Sequence[Union[CreateVlan, ChangeVlan]] = ()
    #: host links that go, before guests that need their device alone
    part: Sequence[DeleteHostLink] = ()
    delete: Sequence[DeleteLink] = ()
    #: before ``create``, which may want a name or a MAC that a change frees
    change: Sequence[ChangeLink] = ()
    create: Sequence[CreateLink] = ()
    nodes: Sequence[Union[MakeNode, OwnNode]] = ()
    #: host links that come or change, when no guest has their device alone any more
    meet: Sequence[Union[CreateHostLink, ChangeHostLink]] = ()
    #: VLAN devices on which nothing is left
    left: Sequence[DeleteVlan] = ()
    #: last, so that a killed run leaves the old ones, and the next run finds the difference again
    files: Sequence[WriteFile] = ()

    def steps(self) -> list[Step]:
        """All steps in order; empty = nothing to do."""
        return [step for group in self for step in group]

    def sets_guards(self) -> bool:
        """Whether a link gets a guard that it does not have."""
        changed = any(GUARD in step.names and step.new.guard is not None for step in self.change)
        return changed or any(step.link.guard is not None for step in self.create)


def plan_attachments(
    attachments: Sequence[Attachment],
    leaving: Sequence[Link],
    taps: Mapping[int, Tap],
    host: Host,
    policy: NodePolicy,
) -> Plan:
    """What makes the attachments so, and the leaving links gone.

    :arg taps: by ifindex, of each existing link of ``attachments``, and of ``leaving`` where sysfs shows it.
    :raises Refused: when something that is not ours lies at a node's path.
    """
    delete = [_deletion(link, taps, host, policy) for link in leaving]
    change: list[ChangeLink] = []
    create: list[CreateLink] = []
    nodes: list[Union[MakeNode, OwnNode]] = []
    for attachment in attachments:
        found, wanted, own_policy = attachment.found, attachment.link, attachment.policy or policy
        if found is None:
            create.append(CreateLink(wanted, attachment.device, policy.path(wanted.ifindex), own_policy))
            continue
        names = differences(found, wanted)
        own_node = node_steps(wanted.name, taps[found.ifindex], policy.path(found.ifindex), own_policy)
        because = _because(found, attachment, host) if names else ""
        if because:
            deletion = _deletion(found, taps, host, policy)._replace(because=because, lost=_by_hand(found))
            # where the options do not manage it, the new node belongs to whom the old one did
            owned = own_policy.with_defaults(deletion.owner) if deletion.owner else own_policy
            delete.append(deletion)
            create.append(CreateLink(wanted, attachment.device, deletion.path, owned, because))
            continue
        if names:
            change.append(ChangeLink(found, wanted, names))
        nodes.extend(own_node)
    return Plan(delete=delete, change=change, create=create, nodes=nodes)


def _because(found: Link, attachment: Attachment, host: Host) -> str:
    """The changes that a live link cannot take, in words; "" = it can take all."""
    changes = []
    for row in forcing(found, attachment.link):
        old, new = row.read(found), row.read(attachment.link)
        if row.name == "device":
            old, new = host.device_name(found), attachment.device
        changes.append(f"{row.name} {shown(old)} -> {shown(new)}")
    return ", ".join(changes)


def _by_hand(link: Link) -> str:
    """What somebody set on a link and no option asks for, as far as a dump shows it."""
    is_ours = link.bandwidth is not None and link.bandwidth.outbound is not None
    words = [f"txqueuelen {link.queue_length}"] if link.queue_length not in (0, _QUEUE_LENGTH) else []
    return ", ".join(words if is_ours or link.qdisc in _DEFAULT_QDISCS else [f"qdisc {link.qdisc}", *words])


def _deletion(link: Link, taps: Mapping[int, Tap], host: Host, policy: NodePolicy) -> DeleteLink:
    tap, vlan = taps.get(link.ifindex), host.vlan_of(link)
    return DeleteLink(link, host.device_name(link), policy.path(link.ifindex), tap, vlan=vlan)


def node_steps(ifname: str, tap: Tap, path: str, policy: NodePolicy) -> list[Union[MakeNode, OwnNode]]:
    """What makes the node at ``path`` that of this tap, owned as the policy says.

    :raises Refused: when something else lies there: it is never followed, changed or removed.
    """
    steps: list[Union[MakeNode, OwnNode]] = []
    node = tap.own_node
    # a node that is created belongs to root:root 0600, as the kernel's own would
    old, acl = (0, 0, 0o600), b""
    if node is not None:
        # the option that sets the owner of a node decides who may open it
        old, acl = (node.uid, node.gid, node.mode), node.acl if policy.is_managing else b""
    else:
        _require_replaceable(ifname, tap, path)
        steps.append(MakeNode(path, tap.number, tap.node))
    new = policy.owner(old)
    if new != old or acl:
        steps.append(OwnNode(path, tap.number, old, new, acl))
    return steps


def _require_replaceable(ifname: str, tap: Tap, path: str) -> None:
    """Nothing, or a stale node, may lie where the node of this tap belongs."""
    if tap.node is None or tap.node.is_stale:
        return
    is_device = tap.node.kind == "character device"
    raise Refused(
        "%s is a %s, but the tap of link %s is device %d:%d; it was left unchanged: remove it if nothing uses it%s"
        % (
            path,
            _device_words(tap.node) if is_device else tap.node.kind,
            ifname,
            *tap.number,
            # a new attachment steps around a foreign device, but not around a stray file
            ", or detach and attach again for another path" if is_device else "",
        )
    )


def _device_words(node: Node) -> str:
    owner = f" ({node.tap} of another link or namespace)" if node.tap else ""
    return f"{node.kind} {node.major}:{node.minor}{owner}"


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
            link, attributes = link._replace(name=f"mv{index:x}"), ["ifname"]
        if macs.get((link.lower, link.mac)) is step and (link.lower, link.mac) in wanted_macs:
            stopgap = "02:6d:" + index.to_bytes(4, "big").hex(":")
            link, attributes = link._replace(mac=stopgap), [*attributes, "mac"]
        if attributes:
            aside[index] = (link, tuple(attributes))
    return list(aside.values())


def predict(host: Host, plan: Plan) -> Host:
    """The host as it would be after the plan, for what check mode reports of lower devices."""
    links = dict(host.links)
    for step in plan.steps():
        step.predict(links)
    return Host(links, host.foreign_nodes, host.addresses)


def diff(steps: Sequence[Step]) -> dict[str, dict[str, Any]]:
    """Ansible's before and after of what the steps change, and of nothing else."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for step in steps:
        for side, (key, value) in zip((before, after), step.sides()):
            if isinstance(value, dict) and isinstance(side.get(key, {}), dict):
                side.setdefault(key, {}).update(value)
            elif isinstance(value, str):
                side[key] = value
    return {side: dict(sorted(values.items())) for side, values in (("before", before), ("after", after))}
