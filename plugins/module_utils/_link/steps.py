# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The steps of a plan, as plain data that explains itself. PURE.

A step says what it does (:meth:`describe`), why where that is not plain (``because``), its two sides of Ansible's diff
(:meth:`sides`) and what the links are after it (:meth:`predict`). :mod:`_task.apply` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, Union

from .._core.identity import read_tag
from .._core.model import IFF_LOWER_UP, IFF_UP, Link, Node, NodePolicy, Tap, Vlan
from .attributes import ATTRIBUTES, BANDWIDTH, BY_NAME, VF

#: what a diff says of one thing, before or after: its name, and its facts, a line, or None = it is not there
Side = tuple[str, Union[dict[str, Any], str, None]]


class Step(Protocol):
    """What all steps answer."""

    def describe(self) -> str:
        """The step in words, for the result's ``actions``."""

    def sides(self) -> tuple[Side, Side]:
        """Before and after of what the step changes, and of nothing else."""

    def predict(self, links: dict[int, Link]) -> None:
        """Change ``links``, by ifindex, as the step would."""


class WriteFile(NamedTuple):
    """Write a file or, with ``new`` None, remove it."""

    path: str
    #: text; None = no file
    old: str | None
    new: str | None
    #: what such files are called in messages
    what: str
    #: what this one is, for ``actions``; "" = the path says it
    title: str = ""

    def describe(self) -> str:
        """``update definition of network vepanet (/etc/macvtap/networks/vepanet.xml)``."""
        verb = "remove" if self.new is None else "write" if self.old is None else "update"
        return f"{verb} {self.title} ({self.path})" if self.title else f"{verb} {self.path}"

    def sides(self) -> tuple[Side, Side]:
        """The texts as lines: Ansible prints a diff of dicts as JSON, in which a long text would be one line."""
        old, new = (None if text is None else {"definition": text.splitlines()} for text in (self.old, self.new))
        return (self.path, old), (self.path, new)

    def texts(self) -> dict[str, str]:
        """Before and after as Ansible shows them of a file."""
        return {
            "before_header": self.path if self.old is not None else f"{self.path} (absent)",
            "after_header": self.path if self.new is not None else f"{self.path} (absent)",
            "before": self.old or "",
            "after": self.new or "",
        }

    def predict(self, links: dict[int, Link]) -> None:
        """No link changes."""


class BringUp(NamedTuple):
    """Bring a lower device up."""

    link: Link

    def describe(self) -> str:
        """``bring up lower device eth0``."""
        return f"bring up lower device {self.link.name}"

    def sides(self) -> tuple[Side, Side]:
        """Its ``link_state``."""
        return (self.link.name, {"link_state": "down"}), (self.link.name, {"link_state": "up"})

    def predict(self, links: dict[int, Link]) -> None:
        """It is up, and has a carrier: whether it will have one nothing tells before."""
        links[self.link.ifindex] = self.link._replace(flags=self.link.flags | IFF_UP | IFF_LOWER_UP)


class DeleteLink(NamedTuple):
    """Delete a link and its node."""

    link: Link
    #: name of the lower device
    device: str
    #: of its node
    path: str
    #: None when sysfs does not show it
    tap: Tap | None
    #: the change that a live link cannot take, in words, when the same plan creates it again
    because: str = ""
    #: what somebody set on it and no option asks for, in words, when the same plan creates it again
    lost: str = ""
    vlan: Vlan | None = None

    @property
    def number(self) -> tuple[int, int] | None:
        """Device number of the tap."""
        return self.tap.number if self.tap is not None else None

    @property
    def owner(self) -> tuple[int, int, int] | None:
        """Owner, group (numbers) and permission bits of its node."""
        node = self.tap.own_node if self.tap is not None else None
        return (node.uid, node.gid, node.mode) if node is not None else None

    def describe(self) -> str:
        """``delete macvtap0 of guest web nic 0 to create it again: device eth0 -> eth1``."""
        again = f" to create it again: {self.because}" if self.because else ""
        lost = f"; what was set by hand is lost: {self.lost}" if self.lost else ""
        return f"delete {_title(self.link)}{again}{lost}"

    def sides(self) -> tuple[Side, Side]:
        """The whole link, and nothing."""
        return (self.link.name, _one_line(self)), (self.link.name, None)

    def predict(self, links: dict[int, Link]) -> None:
        """It is gone."""
        links.pop(self.link.ifindex, None)


class CreateLink(NamedTuple):
    """Create a link and its node, silence the host on it, tag it and bring it up."""

    link: Link
    device: str
    path: str
    #: owner of the node
    policy: NodePolicy = NodePolicy()
    #: as in :class:`DeleteLink`
    because: str = ""

    def describe(self) -> str:
        """``create macvtap0 of guest web nic 0: vepa on eth0, MAC 02:…, /dev/tap1662419871``."""
        link = self.link
        verb = "recreate" if self.because else "create"
        return f"{verb} {_title(link)}: {link.mode} on {self.device}, MAC {link.mac}, {self.path}"

    def sides(self) -> tuple[Side, Side]:
        """Nothing, and the whole link."""
        return (self.link.name, None), (self.link.name, _one_line(self))

    def predict(self, links: dict[int, Link]) -> None:
        """It is there; under a passthrough link the lower device carries the guest's MAC for that time."""
        links[self.link.ifindex] = self.link
        if self.link.mode == "passthrough":
            links[self.link.lower] = links[self.link.lower]._replace(mac=self.link.mac)


class ChangeLink(NamedTuple):
    """Set the named attributes of a live link."""

    old: Link
    new: Link
    names: tuple[str, ...]

    def describe(self) -> str:
        """``change macvtap0 of guest web nic 0: mtu 1500 -> 1400``."""
        changes = ", ".join(f"{name} {old} -> {new}" for name, old, new in self._changes())
        return f"change {_title(self.old)}: {changes}"

    def sides(self) -> tuple[Side, Side]:
        """The attributes that change."""
        changes = list(self._changes())
        return (
            (self.old.name, {name: old for name, old, _new in changes}),
            (self.old.name, {name: new for name, _old, new in changes}),
        )

    def predict(self, links: dict[int, Link]) -> None:
        """It is changed."""
        links[self.new.ifindex] = self.new

    def _changes(self) -> Iterator[tuple[str, Any, Any]]:
        for name in self.names:
            read = BY_NAME[name].read
            yield name, shown(read(self.old)), shown(read(self.new))


class MakeNode(NamedTuple):
    """Create a tap's device node."""

    path: str
    number: tuple[int, int]
    #: a node that opens nothing any more and is replaced
    stale: Node | None = None

    def describe(self) -> str:
        """``create device node /dev/tap1662419871 (246:3)``."""
        replacing = ", replacing a stale one" if self.stale else ""
        return f"create device node {self.path} ({_number(self.number)}){replacing}"

    def sides(self) -> tuple[Side, Side]:
        """Its device number."""
        return (self.path, {"node": "stale"} if self.stale else None), (self.path, {"node": _number(self.number)})

    def predict(self, links: dict[int, Link]) -> None:
        """No link changes."""


class OwnNode(NamedTuple):
    """Set owner, group and permission bits of a node."""

    path: str
    number: tuple[int, int]
    #: owner, group (numbers) and permission bits
    old: tuple[int, int, int]
    new: tuple[int, int, int]
    #: POSIX ACL to remove; it would let others in whatever owner and mode say
    acl: bytes = b""
    #: processes, in words, that have the tap open and keep it although the node does not admit them any more
    kept: str = ""

    def describe(self) -> str:
        """``set /dev/tap1662419871 from 0:0 0600 to 0:108 0660``."""
        acl = " with an ACL" if self.acl else ""
        kept = f", which {self.kept} keeps open" if self.kept else ""
        return f"set {self.path} from {_owner(self.old)}{acl} to {_owner(self.new)}{kept}"

    def sides(self) -> tuple[Side, Side]:
        """Owner, group, mode and, where one goes, the ACL."""
        before, after = (
            {"uid": uid, "gid": gid, "mode": f"{mode:04o}", **({"acl": acl} if self.acl else {})}
            for (uid, gid, mode), acl in ((self.old, "present"), (self.new, "none"))
        )
        return (self.path, before), (self.path, after)

    def predict(self, links: dict[int, Link]) -> None:
        """No link changes."""


def shown(value: Any) -> Any:
    """A value in a message as a playbook would spell it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value in ("", None) else value


def _title(link: Link) -> str:
    tag = read_tag(link.alias)
    return f"{link.name} of guest {tag.guest} nic {tag.nic}" if tag else f"{link.name} without an owner tag"


def _number(number: tuple[int, int]) -> str:
    return f"{number[0]}:{number[1]}"


def _owner(owner: tuple[int, int, int]) -> str:
    return f"{owner[0]}:{owner[1]} {owner[2]:04o}"


def _one_line(step: DeleteLink | CreateLink) -> str:
    """A whole link as one line: a value for each attribute costs Ansible more time than creating the link."""
    values = {row.name: shown(row.read(step.link)) for row in ATTRIBUTES}
    values.update(device=step.device, ifindex=step.link.ifindex, tap_path=step.path)
    # the name is the key, and the guest comes first; few links are limited, or on a virtual function
    hidden = ["mark", "ifname", *(() if step.link.bandwidth else (BANDWIDTH,)), *(() if step.link.vf else (VF,))]
    words = [f"{name}={value}" for name, value in values.items() if name not in hidden]
    return " ".join([f"[{step.link.alias}]", *words])
