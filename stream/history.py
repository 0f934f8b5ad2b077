"""What the journals of all shards say of commands and versions, read from the log.

It needs no running service, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumers.transport import Log
from learners.snapshots.retention import surplus
from learners.snapshots.settings import KeepSettings
from stream.commands import TOPIC, AckCommand, Command, RollbackCommand, SkipRange, parse_command
from stream.errors import CommandError
from stream.shard.parts import Standing
from stream.shard_history import ShardHistory, read_shard


@dataclass(frozen=True, slots=True)
class Cut:
    """A version on one shard: at which journal entry, clock (ms) and positions; its snapshot's key
    once that is published, and not retired."""

    sequence: int
    clock_ms: int
    positions: dict[str, int]
    key: str | None


@dataclass(slots=True)
class VersionInfo:
    """A version over all shards; one that was pruned is there no longer. `origin` is what it
    descends from: a version, nothing, another service, or the run without some records."""

    number: int
    kind: str
    origin: str
    target: int | None
    by: str
    at_ms: int
    reason: str
    cuts: dict[int, Cut] = field(default_factory=dict)
    pruned: bool = False


@dataclass(frozen=True, slots=True)
class GivenCommand:
    """A command on the log, and its outcome on each shard that has applied it."""

    command: Command
    outcomes: dict[int, dict[str, Any]]


@dataclass(slots=True)
class History:
    """The versions and commands of a service, oldest first.

    `skips` are the ranges of records skipped so far; `configurations` says from which entry of
    shard 0 on which semantic configuration was in force; `standing` whether a shard has halted or
    its learner is suspended, for each of which that was ever so.
    """

    shards: int
    versions: dict[int, VersionInfo]
    commands: list[GivenCommand]
    skips: list[SkipRange]
    tainted: set[int]
    configurations: list[tuple[int, dict[str, Any]]]
    standing: dict[int, Standing] = field(default_factory=dict)

    def is_complete(self, version: VersionInfo) -> bool:
        """Whether every shard has published its snapshot of the version, which was not pruned."""
        return (
            not version.pruned
            and len(version.cuts) == self.shards
            and all(cut.key is not None for cut in version.cuts.values())
        )

    def configuration_at(self, version: VersionInfo) -> dict[str, Any] | None:
        """The semantic configuration that a version was cut under; None if the journal no longer
        reaches back to it."""
        cut = version.cuts.get(0)
        known = [body for at, body in self.configurations if cut is not None and at <= cut.sequence]
        return known[-1] if known else None

    def pending(self) -> list[GivenCommand]:
        """The commands that some shard has not applied yet."""
        return [given for given in self.commands if len(given.outcomes) < self.shards]

    def aliases_of(self) -> dict[int, list[str]]:
        """Each version that an alias stands on, and its aliases."""
        found: dict[int, list[str]] = {}
        for alias, number in self.aliases().items():
            found.setdefault(number, []).append(alias)
        return found

    def aliases(self) -> dict[str, int]:
        """Each alias and the version that it stands on."""
        found: dict[str, int] = {}
        for given in self.commands:
            outcome = given.outcomes.get(0, {})
            if outcome.get("command") == "alias" and outcome["outcome"] == "applied":
                found[outcome["alias"]] = outcome["version"]
        return found

    def surplus(self, keep: KeepSettings) -> list[int]:
        """The versions that the rules let go, oldest first, by the clock of shard 0."""
        there = {n: v for n, v in self.versions.items() if not v.pruned and 0 in v.cuts}
        cut_ms = {number: version.cuts[0].clock_ms for number, version in there.items()}
        held = {*self.aliases().values(), max(self.versions, default=0)}
        return surplus(cut_ms, held, self.tainted, keep)

    def acknowledged(self) -> dict[str, AckCommand]:
        """Who has taken each alert that was acknowledged, by its id: whoever was first."""
        found: dict[str, AckCommand] = {}
        for given in self.commands:
            refused = any(said["outcome"] == "refused" for said in given.outcomes.values())
            if isinstance(given.command, AckCommand) and not refused:
                found.setdefault(given.command.alert, given.command)
        return found

    def served_at(self, time_ms: int) -> VersionInfo | None:
        """The version that every shard served at a time of the stream; None before the first."""
        found = [
            version
            for version in self.versions.values()
            if len(version.cuts) == self.shards
            and all(cut.clock_ms <= time_ms for cut in version.cuts.values())
        ]
        return max(found, key=lambda version: version.number, default=None)

    def aliases_at(self, time_ms: int) -> dict[str, GivenCommand]:
        """The command that had put each alias where it stood at a time of the stream, on shard
        0."""
        found: dict[str, GivenCommand] = {}
        for given in self.commands:
            outcome = given.outcomes.get(0, {})
            is_move = outcome.get("command") == "alias" and outcome["outcome"] == "applied"
            if is_move and outcome["clock_ms"] <= time_ms:
                found[outcome["alias"]] = given
        return found

    def as_of(self, time_ms: int) -> VersionInfo | None:
        """The newest complete version whose clock on every shard is not later than `time_ms`."""
        found = [
            version
            for version in self.versions.values()
            if self.is_complete(version)
            and all(cut.clock_ms <= time_ms for cut in version.cuts.values())
        ]
        return max(found, key=lambda version: version.number, default=None)

    def current(self) -> int:
        """The newest version that every shard is at."""
        return max(
            (v.number for v in self.versions.values() if len(v.cuts) == self.shards), default=0
        )

    def saw(self, skips: Sequence[SkipRange]) -> list[int]:
        """The versions that had seen a record of the ranges.

        One that is not cut everywhere yet counts, and so do the numbers that commands on their way
        may take: by then they may have seen one.
        """
        found = [
            version.number
            for version in self.versions.values()
            if any(
                skip.partition not in version.cuts
                or version.cuts[skip.partition].positions[skip.topic] > skip.first
                for skip in skips
            )
        ]
        coming = sum(not given.outcomes for given in self.commands)
        newest = max(self.versions, default=0)
        return found + list(range(newest + 1, newest + 1 + coming))

    def last_id(self) -> str | None:
        """The last command on the log; what whoever reads this history has seen."""
        return self.commands[-1].command.id if self.commands else None


def read_history(log: Log, folder: Path | None = None) -> History:
    """The history of a service, from its commands and the journals of its shards; with indexes of
    what was read before in a folder."""
    shards = log.partitions()
    history = History(shards, {}, [], [], set(), [])
    outcomes: dict[str, dict[int, dict[str, Any]]] = {}
    for shard in range(shards):
        found = read_shard(log, shard, folder)
        _join(history, shard, found)
        for name, outcome in found.outcomes.items():
            outcomes.setdefault(name, {})[shard] = outcome
    history.versions = dict(sorted(history.versions.items()))
    begin, end = log.begin_offset(TOPIC, 0), log.end_offset(TOPIC, 0)
    for record in log.read(TOPIC, 0, begin, end):
        try:
            command = parse_command(record)
        except CommandError:
            continue
        history.commands.append(GivenCommand(command, outcomes.get(command.id, {})))
    for given in history.commands:
        if given.command.command == "rollback":
            _skip(history, given.command, given.outcomes)
        for outcome in given.outcomes.values():
            for number in outcome.get("pruned", ()):
                history.versions[number].pruned = True
    return history


def _skip(history: History, command: RollbackCommand, outcomes: dict[int, dict[str, Any]]) -> None:
    """Takes note of what a rollback skipped; a shard may have passed it over, if a later one
    replaced it there."""
    numbers = [outcome["version"] for outcome in outcomes.values() if "version" in outcome]
    if not numbers:
        return
    history.skips += [
        skip
        for skip in command.skip
        if outcomes.get(skip.partition, {}).get("outcome") != "replaced"
    ]
    history.tainted |= {number for number in command.tainted if number < numbers[0]}


def _join(history: History, shard: int, found: ShardHistory) -> None:
    """Adds what one shard's journal says."""
    if found.standing is not None:
        history.standing[shard] = found.standing
    if shard == 0:
        history.configurations = found.configurations
    keys = {number: key for key, number in found.snapshots.items()}
    for number, (name, positions) in found.cuts.items():
        cut = found.outcomes[name]
        version = history.versions.get(number)
        if version is None:
            version = history.versions[number] = VersionInfo(
                number,
                cut["command"],
                cut["origin"],
                cut.get("target"),
                cut["by"],
                cut["at_ms"],
                cut["reason"],
            )
        version.cuts[shard] = Cut(cut["sequence"], cut["clock_ms"], positions, keys.get(number))
