"""The versions of a shard: numbers, aliases and skipped records, moved by commands alone.

All shards of a service apply the same commands in the same order, so they agree on every number
and alias. Which snapshot a version has is the journal's to say: it is published after it is cut.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from learners.snapshots.retention import surplus
from learners.snapshots.settings import KeepSettings
from stream.commands import (
    AliasCommand,
    Command,
    ConfigCommand,
    Heavy,
    PruneCommand,
    RollbackCommand,
    SkipRange,
    VersionCommand,
)
from stream.errors import CommandError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Version:
    """One version: what people roll back to.

    `origin` says what it descends from: `version 3`, `nothing`, or the run without some records.
    `clock_ms` is the shard's clock when it was cut.
    """

    number: int
    kind: str
    parent: int
    origin: str
    clock_ms: int
    by: str
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """An alias put on a version."""

    alias: str
    version: int
    by: str
    at_ms: int
    reason: str


class Versions:
    """What commands have made of a shard's versions.

    Attributes
    ----------
    current
        The version that the learners descend from; 0 before the first.
    newest
        The highest number given so far.
    numbered
        The versions that were not pruned, by number.
    skips
        Every range skipped so far, in the order of the commands.
    tainted
        The versions that saw records skipped since: none of them is to be rolled back to.
    """

    __slots__ = ("current", "last_command", "moves", "newest", "numbered", "skips", "tainted")

    def __init__(self) -> None:
        self.current = 0
        self.newest = 0
        self.numbered: dict[int, Version] = {}
        self.moves: list[Move] = []
        self.skips: list[SkipRange] = []
        self.tainted: list[int] = []
        self.last_command: str | None = None

    def check_order(self, command: Command) -> None:
        """Refuses a command whose writer had not seen the last one."""
        if command.after != self.last_command:
            raise CommandError(
                f"it was overtaken: its writer had seen {command.after}, the last one is "
                f"{self.last_command}"
            )

    def cut(self, command: VersionCommand, clock_ms: int) -> Version:
        """The next version, of the state as it is."""
        return self._add(command, "version", f"version {self.current}", clock_ms)

    def roll_back(self, command: RollbackCommand, clock_ms: int) -> Version:
        """The version that a rollback makes; its ranges are skipped from now on."""
        if command.skip:
            origin = "the run without " + ", ".join(map(str, command.skip))
            self.skips += command.skip
            self._taint(command)
        else:
            origin = "nothing" if command.empty else f"version {command.version}"
        return self._add(command, "rollback", origin, clock_ms)

    def configure(self, command: ConfigCommand, clock_ms: int) -> Version:
        """The version that another configuration makes."""
        origin = f"version {self.current}" if command.keep else "nothing"
        return self._add(command, "config", origin, clock_ms)

    def found(self, origin: str, clock_ms: int, by: str, at_ms: int, reason: str) -> Version:
        """Version 1 of a service that begins with the state of another."""
        version = Version(1, "transfer", 0, origin, clock_ms, by, at_ms, reason)
        self.numbered[1] = version
        self.current = self.newest = 1
        return version

    def pass_over(self, command: Heavy, clock_ms: int) -> Version:
        """A command that this shard could not carry out: the learners descend from what they did,
        and its number and the versions that it marks are as on the shards that could."""
        before = self.current
        if isinstance(command, RollbackCommand):
            self._taint(command)
        version = self._add(
            command, command.command, f"version {before}: it was replaced", clock_ms
        )
        self.current = before
        return version

    def move(self, command: AliasCommand) -> Move:
        """An alias moved; CommandError if there is no such version."""
        self._check_there(command.version)
        move = Move(command.alias, command.version, command.by, command.at_ms, command.reason)
        self.moves.append(move)
        return move

    def check_target(self, command: RollbackCommand) -> None:
        """Refuses a rollback to an unknown version, or to one that saw skipped records."""
        wanted = [command.version is not None, command.empty, bool(command.skip)]
        if sum(wanted) != 1:
            raise CommandError("it must name one of a version, `empty` and records to skip")
        for asked in command.skip:
            if asked.last < asked.first:
                raise CommandError(f"the range {asked} ends before it begins")
        if command.version is None:
            return
        self._check_there(command.version)
        if command.version in self.tainted:
            raise CommandError(f"version {command.version} saw records that were skipped since")

    def prune(self, command: PruneCommand) -> None:
        """Lets versions go; CommandError, and none is gone, for one that is not there, that an
        alias stands on, or that is the newest."""
        held = self.held()
        for number in command.versions:
            self._check_there(number)
            if number in held:
                raise CommandError(f"version {number} is in use: {held[number]}")
        for number in command.versions:
            self.numbered.pop(number, None)
        self.tainted = [number for number in self.tainted if number in self.numbered]

    def held(self) -> dict[int, str]:
        """The versions that are not to be pruned, and why."""
        standing = {move.alias: move.version for move in self.moves}
        held = {number: f"the alias {alias} stands on it" for alias, number in standing.items()}
        return held | {self.newest: "it is the newest one"}

    def surplus(self, keep: KeepSettings) -> list[int]:
        """The versions that the rules let go, oldest first."""
        cut_ms = {number: version.clock_ms for number, version in self.numbered.items()}
        return surplus(cut_ms, self.held(), self.tainted, keep)

    def is_skipped(self, topic: str, partition: int, offset: int) -> bool:
        """Whether a record is to be taken as if it had never come."""
        return any(skip.holds(topic, partition, offset) for skip in self.skips)

    def dump(self) -> dict[str, Any]:
        """The state as built-ins."""
        return {
            "format": FORMAT,
            "current": self.current,
            "newest": self.newest,
            "numbered": [asdict(version) for version in self.numbered.values()],
            "moves": [asdict(move) for move in self.moves],
            "skips": [skip.model_dump() for skip in self.skips],
            "tainted": self.tainted,
            "last_command": self.last_command,
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Versions:
        """The state that `dump` gave."""
        assert state["format"] == FORMAT, f"versions of format {state['format']}"
        versions = cls()
        versions.current = state["current"]
        versions.newest = state["newest"]
        versions.numbered = {body["number"]: Version(**body) for body in state["numbered"]}
        versions.moves = [Move(**body) for body in state["moves"]]
        versions.skips = [SkipRange(**body) for body in state["skips"]]
        versions.tainted = state["tainted"]
        versions.last_command = state["last_command"]
        return versions

    def _check_there(self, number: int) -> None:
        if 0 < number <= self.newest and number not in self.numbered:
            raise CommandError(f"version {number} was pruned")
        if number not in self.numbered:
            raise CommandError(f"there is no version {number}")

    def _taint(self, command: RollbackCommand) -> None:
        self.tainted += [number for number in command.tainted if number in self.numbered]

    def _add(
        self,
        command: VersionCommand | Heavy,
        kind: str,
        origin: str,
        clock_ms: int,
    ) -> Version:
        version = Version(
            number=self.newest + 1,
            kind=kind,
            parent=self.current,
            origin=origin,
            clock_ms=clock_ms,
            by=command.by,
            at_ms=command.at_ms,
            reason=command.reason,
        )
        self.numbered[version.number] = version
        self.current = self.newest = version.number
        return version


def cut_version(outcome: dict[str, Any]) -> int | None:
    """The version that a command's outcome in the journal cut of the state after its entry, if it
    did: a rollback's is written before its entry."""
    if outcome.get("command") in ("version", "config") and outcome["outcome"] == "applied":
        number: int = outcome["version"]
        return number
    return None
