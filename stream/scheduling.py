"""Versions on schedule: cut and pruned by the worker that has shard 0.

It gives the commands that people could give, so every shard applies them at an exact place, and
whatever becomes of this worker, nothing is decided twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

from consumers.transport import Log
from learners.snapshots.settings import VersionsSettings
from stream.commands import Command, PruneCommand, VersionCommand, give, last_id, waiting
from stream.shard import journal
from stream.shard.runner import ShardRunner

BY: Final = "driftline"
LOOK_EVERY_MS: Final = 1_000
_IDS: Final = uuid.UUID("6f0f9f0e-5b52-4d26-8f0c-0f8f6f2a8a57")


class VersionSchedule:
    """Gives `version` and `prune` commands when they are due.

    Parameters
    ----------
    settings
        How often a version is cut, and which are kept.
    wall_ms
        Milliseconds since the epoch: a version's age outlives the worker that cut it.
    """

    def __init__(self, settings: VersionsSettings, wall_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._wall_ms = wall_ms
        self._look_ms = 0
        self._founded_ms: int | None = None

    def tend(self, log: Log, runner: ShardRunner) -> None:
        """Gives what is due, if anything, and if no command waits: the state is then known."""
        now_ms = self._wall_ms()
        if now_ms < self._look_ms or runner.paused is not None or runner.halted is not None:
            return
        self._look_ms = now_ms + LOOK_EVERY_MS
        surplus = self._surplus(runner)
        if not surplus and not self._is_due(log, runner, now_ms):
            return
        if any(waiting(log, 0, runner.positions["commands"])):
            return
        command: Command
        if surplus:
            common = self._common(log, now_ms, "prune", "retention")
            command = PruneCommand(**common, versions=tuple(surplus))
        else:
            command = VersionCommand(**self._common(log, now_ms, "version", "on schedule"))
        give(log, command)

    def _surplus(self, runner: ShardRunner) -> list[int]:
        keep = self._settings.keep
        return [] if keep is None else runner.shard.parts.versions.surplus(keep)

    def _is_due(self, log: Log, runner: ShardRunner, now_ms: int) -> bool:
        """Whether the newest version, or the journal where there is none, is old enough, and the
        stream has moved since."""
        if self._settings.every is None:
            return False
        parts = runner.shard.parts
        newest = parts.versions.numbered.get(parts.versions.newest)
        if newest is not None and parts.clock_ms <= newest.clock_ms:
            return False
        if self._founded_ms is None and newest is None:
            self._founded_ms = _founded_ms(log)
        since_ms = self._founded_ms if newest is None else newest.at_ms
        assert since_ms is not None, "a journal that has a shard was founded"
        return now_ms - since_ms >= self._settings.every.total_seconds() * 1000

    def _common(self, log: Log, now_ms: int, kind: str, reason: str) -> dict[str, Any]:
        after = last_id(log)
        # Of two workers that both believe to have shard 0, the second one's is refused.
        name = uuid.uuid5(_IDS, f"{after} {kind}").hex
        return {"id": name, "by": BY, "at_ms": now_ms, "after": after, "reason": reason}


def _founded_ms(log: Log) -> int:
    """When the journal of shard 0 began, as far as the log still tells."""
    first = next(iter(log.read(journal.TOPIC, 0, log.begin_offset(journal.TOPIC, 0))))
    return first.timestamp_ms
