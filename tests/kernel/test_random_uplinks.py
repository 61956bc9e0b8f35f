# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random sequences of what happens to uplinks, with attach and persist in between, against a model of what is to be.

``make test`` plays a few sequences, the same every time; ``make torture`` plays them for its share of the time, and
UPLINK_SEQUENCES=200 plays as many. A failure prints the seed and the sequence so far.
"""

import os

from module_host import ATTACH, ModuleFailed, warnings
from persist_lab import PERSIST, play_boot
from torture import LONG, SEED, Share, dice

DEVICES = ("u0", "u1", "u2")
GUESTS = ("a", "b", "c", "d")
SEQUENCES = int(os.environ.get("UPLINK_SEQUENCES", "4"))
STEPS = 10


class Uplink:
    """One lower device: its name now, None = unplugged; whether it is up; whether its cable is in."""

    def __init__(self, name):
        self.name, self.up, self.cable = name, True, True

    @property
    def is_alive(self):
        return self.name is not None and self.up and self.cable

    @property
    def rank(self):
        """One that is down may have a carrier once it is up; the lower, the better."""
        return 0 if self.is_alive else 2 if self.up else 1


class Model:
    """Where each guest's link is to be, and what the boot files say."""

    def __init__(self):
        self.uplinks = {name: Uplink(name) for name in DEVICES}
        #: guest → the uplink that its link is on
        self.where = {}
        #: guest → name of the lower device in its boot entry
        self.persisted = {}

    def named(self, name):
        return next((uplink for uplink in self.uplinks.values() if uplink.name == name), None)

    def attach(self, guests):
        """Existing ones stay; new ones take one with a carrier before one without, the least used first."""
        pool = [uplink for name in DEVICES for uplink in [self.named(name)] if uplink is not None]
        if not pool:
            return False
        for guest in guests:
            if guest not in self.where:
                count = list(self.where.values()).count
                self.where[guest] = min(pool, key=lambda uplink: (uplink.rank, count(uplink)))
        for guest in guests:
            self.where[guest].up = True
        return True

    def rebalance(self, guests):
        """Off those without a carrier, or that are called otherwise now, to those with one."""
        pool = [uplink for name in DEVICES for uplink in [self.named(name)] if uplink is not None]
        if not pool:
            return False
        self._move(guests, pool)
        # which have a carrier is seen only now
        for uplink in pool:
            uplink.up = True
        self._move(guests, pool)
        return True

    def _move(self, guests, pool):
        staying = [guest for guest in guests if self.where.get(guest) in pool and self.where[guest].is_alive]
        before = {guest: self.where.pop(guest, None) for guest in guests if guest not in staying}
        for guest, current in before.items():
            count = list(self.where.values()).count
            self.where[guest] = min(pool, key=lambda uplink: (uplink.rank, uplink is not current, count(uplink)))

    def boot(self, name):
        """Udev tells of a device, and its unit runs; returns whether there is one."""
        mine = [guest for guest, device in self.persisted.items() if device == name]
        uplink = self.named(name)
        for guest in mine:
            uplink.up = True
            self.where.setdefault(guest, uplink)
        return bool(mine)

    def unplug(self, uplink):
        uplink.name = None
        self.where = {guest: other for guest, other in self.where.items() if other is not uplink}


class Player:
    """Does to the host what a sequence says, and to the model."""

    def __init__(self, host, rolls):
        self._host, self._rolls = host, rolls
        self.model = Model()
        self.played = []
        for name in DEVICES:
            host.ip(f"link add {name} type veth peer name far-{name}", f"link set far-{name} up", f"link set {name} up")
        host.network(name="pool", devices=list(DEVICES))

    def step(self):
        uplinks = (self.down, self.up, self.cable, self.rename, self.unplug)
        tasks = (self.attach, self.persist, self.rebalance)
        operation = self._rolls.choices((*uplinks, *tasks), (2, 2, 3, 2, 3, 5, 2, 2))[0]
        home = self._rolls.choice(DEVICES)
        uplink = self.model.uplinks[home]
        guests = self._rolls.sample(GUESTS, self._rolls.randrange(1, len(GUESTS) + 1))
        self.played.append(f"{operation.__name__} {home} {guests}")
        operation(home, uplink, guests)
        self.compare()

    def down(self, _home, uplink, _guests):
        if uplink.name is not None:
            self._host.ip(f"link set {uplink.name} down")
            uplink.up = False

    def up(self, _home, uplink, _guests):
        if uplink.name is not None:
            self._host.ip(f"link set {uplink.name} up")
            uplink.up = True

    def cable(self, home, uplink, _guests):
        if uplink.name is not None:
            uplink.cable = not uplink.cable
            self._host.ip(f"link set far-{home} {'up' if uplink.cable else 'down'}")

    def rename(self, home, uplink, _guests):
        if uplink.name is not None:
            new = home if uplink.name != home else f"new-{home}"
            # some kernels rename a link only while it is down
            self._host.ip(f"link set {uplink.name} down", f"link set {uplink.name} name {new}", f"link set {new} up")
            uplink.name, uplink.up = new, True
            self._appeared(new)

    def unplug(self, home, uplink, _guests):
        """Or plug it in again."""
        if uplink.name is not None:
            lost = [link["ifindex"] for link in self._host.links().values() if link["link"] == uplink.name]
            self._host.ip(f"link delete {uplink.name}")
            # as devtmpfs does
            self._host.run(["rm", "-f", *(f"/dev/tap{index}" for index in lost)])
            self.model.unplug(uplink)
        else:
            self._host.ip(f"link add {home} type veth peer name far-{home}", f"link set far-{home} up")
            uplink.name, uplink.up, uplink.cable = home, False, True
            self._appeared(home)

    def _appeared(self, name):
        if self.model.boot(name):
            play_boot(self._host, name)

    def attach(self, _home, _uplink, guests):
        self._attach(guests, self.model.attach)

    def rebalance(self, _home, _uplink, guests):
        self._attach(guests, self.model.rebalance, rebalance=True)

    def _attach(self, guests, expect, **more):
        options = {"attachments": [wanted(guest) for guest in guests], **more}
        # only a real run knows whether a device that it brings up has a carrier, and warns, or moves on, then
        known = not more or all(uplink.up or uplink.cable for uplink in self.model.uplinks.values())
        if not expect(guests):
            assert "none of its lower devices exists" in self._host.refusal(ATTACH, **options)
            return
        foretold = self._host.module(ATTACH, check=True, **options)
        done = self._host.module(ATTACH, **options)
        assert foretold["actions"] == done["actions"] or not known
        assert set(warnings(foretold)) <= set(warnings(done))
        assert self._host.attach(**options)["actions"] == []
        gone = [name for name in DEVICES if self.model.named(name) is None]
        said = [text for text in warnings(done) if "does not exist on this host now" in text]
        assert said == ([] if not gone else said[:1]) and all(name in " ".join(said) for name in gone)

    def persist(self, _home, _uplink, guests):
        rows = [row for row in self._host.module("macvtap_info")["attachments"] if row["guest"] in guests]
        self._host.module(PERSIST, attachments=rows)
        self.model.persisted.update({row["guest"]: row["device"] for row in rows})

    def compare(self):
        links = self._host.links()
        found = {name: (link["link"], "UP" in link["flags"], "NOARP" in link["flags"]) for name, link in links.items()}
        assert found == {f"n-{guest}": (uplink.name, True, True) for guest, uplink in self.model.where.items()}
        for uplink in self.model.uplinks.values():
            if uplink.name is not None:
                flags = self._host.link(uplink.name)["flags"]
                assert ("UP" in flags, "LOWER_UP" in flags) == (uplink.up, uplink.is_alive)


def wanted(guest):
    return {"guest": guest, "network": "pool", "ifname": f"n-{guest}"}


def sequences():
    """Numbers of sequences: some, or as many as the time allows."""
    share, number = Share(0.05), 0
    while number < SEQUENCES or share.lasts():
        yield number
        number += 1


def test_what_happens_to_uplinks_at_random(module_host):
    count = 0
    for number in sequences():
        module_host.reset()
        module_host.run(["sh", "-c", "rm -f $(find /etc -name '*macvtap*' -type f)"])
        player = Player(module_host, dice("uplinks", number))
        try:
            for _step in range(STEPS):
                player.step()
        except (AssertionError, ModuleFailed) as exc:
            raise AssertionError(f"seed {SEED}, sequence {number}: {'; '.join(player.played)}: {exc}") from exc
        count += len(player.played)
    print(f"figures: {number + 1} sequences, {count} operations (seed {SEED}{', long' if LONG else ''})")
