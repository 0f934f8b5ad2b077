"""An operator who gives commands at random: versions, aliases, rollbacks, and what is refused.

It knows what `driftline rollback` knows, the log, and writes what that writes.
"""

from __future__ import annotations

import random
from typing import Any, Literal

from consumers.record import NewRecord
from consumers.transports.memory import MemoryLog
from learners.snapshots.settings import KeepSettings
from stream.commands import (
    AckCommand,
    AliasCommand,
    Command,
    ConfigCommand,
    Heavy,
    PruneCommand,
    ResumeCommand,
    RollbackCommand,
    SkipRange,
    VersionCommand,
    give,
    last_id,
)
from stream.history import History, read_history
from tests.simulation.changes import another


class Operator:
    """Gives commands on a log; `given` are their ids in order. One that `prunes` lets versions go
    among them."""

    def __init__(self, log: MemoryLog, rng: random.Random, *, prunes: bool = False) -> None:
        self.log = log
        self._rng = rng
        self._prunes = prunes
        self.given: list[str] = []

    def act(self) -> None:
        """Gives one command of any kind."""
        if self._prunes and self._rng.random() < 0.25:
            self.prune()
            return
        kind = self._rng.choices(
            ["version", "alias", "plain", "empty", "skip", "configure", "refused", "noise"],
            [6, 1, 2, 1, 3, 2, 1, 1],
        )[0]
        getattr(self, kind)()

    def version(self) -> None:
        """Cuts a version."""
        self.give(VersionCommand(**self.common()))

    def prune(self) -> None:
        """Lets versions go by rules that keep few, or one that must stay, or is not there."""
        history = read_history(self.log)
        gone = history.surplus(KeepSettings(last=self._rng.choice([1, 2]), hourly=1, daily=0))
        if self._rng.random() < 0.2:
            gone = [self._rng.randrange(1, len(history.versions) + 2)]
        if gone:
            self.give(PruneCommand(**self.common(), versions=tuple(gone)))

    def alias(self) -> None:
        """Moves an alias, to a version that may not exist."""
        number = self._rng.randrange(1, len(read_history(self.log).versions) + 2)
        self.give(AliasCommand(**self.common(), alias="champion", version=number))

    def plain(self) -> None:
        """Rolls back to some version that can be rolled back to, if there is one."""
        history = read_history(self.log)
        ready = [
            version
            for version in history.versions.values()
            if history.is_complete(version) and version.number not in history.tainted
        ]
        if ready and not _waiting(history):
            wanted = self._rng.choice(ready)
            keys = {shard: cut.key for shard, cut in wanted.cuts.items()}
            target: dict[str, Any] = {"version": wanted.number, "snapshots": keys}
            self.give(RollbackCommand(**self.common(), **target))

    def empty(self) -> None:
        """Rolls back to nothing learnt."""
        if not _waiting(read_history(self.log)):
            self.give(RollbackCommand(**self.common(), empty=True))

    def skip(self) -> None:
        """Skips one or two ranges of what is on the log, applied or not."""
        history = read_history(self.log)
        if _waiting(history):
            return
        ranges = [self._range(history) for _ in range(self._rng.choice([1, 1, 2]))]
        skips = tuple(found for found in ranges if found is not None)
        if skips:
            self.skip_ranges(*skips)

    def skip_ranges(self, *skips: SkipRange) -> None:
        """Skips these."""
        tainted = tuple(read_history(self.log).saw(skips))
        self.give(RollbackCommand(**self.common(), skip=skips, tainted=tainted))

    def configure(self) -> None:
        """Puts another configuration in force, with the models as they are or fresh ones."""
        history = read_history(self.log)
        if not history.configurations or _waiting(history):
            return
        keep = self._rng.random() < 0.6
        body = another(self._rng, history.configurations[-1][1], keep=keep)
        self.give_configuration(body, keep=keep)

    def give_configuration(self, body: dict[str, Any], *, keep: bool) -> None:
        """Puts this one in force."""
        self.give(ConfigCommand(**self.common(), configuration=body, keep=keep))

    def refused(self) -> None:
        """A rollback that every shard must refuse, whatever comes before it."""
        kind = self._rng.choice(["unknown", "both", "none", "empty range", "overtaken"])
        targets: dict[str, dict[str, Any]] = {
            "unknown": {"version": 10_000},
            "both": {"version": 1, "empty": True},
            "none": {},
            "empty range": {"skip": (SkipRange(topic="events", partition=0, first=5, last=4),)},
            "overtaken": {"empty": True},
        }
        target = targets[kind]
        common = self.common()
        if kind == "overtaken":
            common["after"] = "somebody-else"
        self.give(RollbackCommand(**common, **target))

    def noise(self) -> None:
        """What changes no model: something that is no command, on one partition; or a resumption
        or an acknowledgement, whether there is anything to resume or to acknowledge or not."""
        shard = self._rng.randrange(self.log.partitions())
        match len(self.given) % 3:
            case 0:
                self.log.append([("commands", shard, NewRecord(b'{"command":"dance"}'))])
            case 1:
                self.give(ResumeCommand(**self.common(), shard=None if shard == 0 else shard))
            case _:
                self.give(AckCommand(**self.common(), alert=f"alert {shard}"))

    def give(self, command: Command) -> None:
        """Writes a command."""
        give(self.log, command)
        self.given.append(command.id)

    def common(self) -> dict[str, Any]:
        """What every command carries."""
        number = len(self.given)
        return {
            "id": f"c{number}",
            "by": "ada",
            "at_ms": number,
            "after": last_id(self.log),
            "reason": f"because of {number}",
        }

    def _range(self, history: History) -> SkipRange | None:
        topics: list[Literal["events", "labels"]] = ["events", "labels"]
        topic = self._rng.choice(topics)
        shard = self._rng.randrange(history.shards)
        end = self.log.end_offset(topic, shard)
        if end == 0:
            return None
        first = self._rng.randrange(end)
        last = min(end - 1, first + self._rng.choice([0, 0, 1, 3, 10, 30]))
        found = SkipRange(topic=topic, partition=shard, first=first, last=last)
        return None if any(_overlap(found, old) for old in history.skips) else found


def _overlap(one: SkipRange, other: SkipRange) -> bool:
    same = (one.topic, one.partition) == (other.topic, other.partition)
    return same and one.first <= other.last and other.first <= one.last


def _waiting(history: History) -> bool:
    return any(isinstance(given.command, Heavy) for given in history.pending())
