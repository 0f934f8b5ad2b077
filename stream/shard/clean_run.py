"""The run without some records: the journal replayed without them, from the newest state that has
seen none of them.

Commands give no new numbers here: those that were given stand. A plain rollback on the way takes
the clean run's state at its version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from consumers.record import Record
from learners.errors import SnapshotError, StoreError
from learners.learner import Learner
from learners.snapshots import pickling
from learners.snapshots.container import Snapshot
from learners.snapshots.retention import Published
from stream.commands import ConfigCommand, ResumeCommand, RollbackCommand, SkipRange, parse_command
from stream.errors import JournalError, RollbackError, UpdateFailedError
from stream.shard import journal
from stream.shard.copying import ShardCopy
from stream.shard.journal import Entry
from stream.shard.load import plan_of, skips_in
from stream.shard.plan import Plan
from stream.shard.reconfigure import reconfigured
from stream.shard.replay import Replay
from stream.shard.returning import Stored, emptied, put_back
from stream.shard.shard import Shard
from stream.shard.updates import Place

OnProgress = Callable[[int, int], None]


class Clean(NamedTuple):
    """The shard after a clean run; the labels that only the skipped records could have used; and
    which updates failed in it, and why."""

    shard: Shard
    left: list[Record]
    left_out: dict[Place, str]


class CleanRun:
    """The run of one shard without some records.

    Parameters
    ----------
    stored
        What snapshots hold.
    replay
        The shard's journal, `first` its first entry and `last` the sequence of its last.
    published
        The snapshots that the journal has published and not retired.
    skips
        The records to be without.
    told
        The offsets of the labels that have a dead letter already, and its reason.
    on_progress
        Called with the entry replayed and the last one.
    """

    def __init__(
        self,
        shard: int,
        stored: Stored,
        replay: Replay,
        first: Entry,
        last: int,
        published: Sequence[Published],
        skips: Sequence[SkipRange],
        told: Mapping[int, bytes],
        on_progress: OnProgress,
    ) -> None:
        self._shard = shard
        self._stored = stored
        self._replay = replay
        self._first = first
        self._last = last
        self._published = published
        self._skips = skips
        self._told = told
        self._on_progress = on_progress
        self._failing: dict[Place, str] = {}
        self._entry = -1
        self._failed_entry: int | None = None
        self._copy: _Copy | None = None

    def run(self) -> Clean:
        """Replays the journal.

        Which updates fail in it shows itself. One that does is left out, and the replay goes back
        to the last entry in which one had failed before: there a copy of the state was taken. So
        whatever fails, all but those entries are replayed twice at most.

        Raises
        ------
        RollbackError, JournalError, OffsetOutOfRangeError
            No state is left that has seen none of the records, or the log no longer reaches it.
        """
        base = self._base()
        state, since = self._begin(base)
        targets = _targets(self._replay, since)
        kept: dict[int, _Kept] = {}
        left: list[Record] = []
        while True:
            try:
                state = self._replayed(state, since, targets, kept, left)
            except UpdateFailedError as error:
                self._failing[Place(*error.place)] = error.detail
                self._failed_entry = self._entry
            else:
                return Clean(state, left, self._failing)
            if self._copy is None:
                (state, since), kept, left = self._begin(base), {}, []
            else:
                state, since = self._copy.state.shard(), self._copy.entry - 1
                kept, left = dict(self._copy.kept), list(self._copy.left)

    def _begin(self, base: Snapshot | None) -> tuple[Shard, int]:
        """A state that has seen none of the skipped records, and the entry that it is of."""
        if base is not None:
            return self._stored.shard(self._shard, base), base.header.sequence
        try:
            journal.check_from_nothing(self._first, self._shard)
        except JournalError as error:
            raise RollbackError(
                f"no snapshot from before {self._skips[0]} can be used: {error}",
                "the run without those records cannot be rebuilt; roll back to a version, or "
                "restore the snapshots from a backup",
            ) from error
        semantic = self._first.configuration or {}
        return Shard(plan_of(self._stored.configuration, semantic), self._shard), -1

    def _base(self) -> Snapshot | None:
        """The newest snapshot that has seen none of the skipped records, and from which every
        rollback on the way can be done again."""
        stored = {known.version for known in self._published}
        newest_first = sorted(self._published, key=lambda known: -known.ref.sequence)
        for known in newest_first:
            try:
                snapshot = self._stored.archive.read(known.ref)
            except StoreError:
                raise
            except SnapshotError:
                continue
            if snapshot is None:
                continue
            positions = snapshot.header.positions
            if not is_clean(self._skips, self._shard, skips_in(snapshot), positions):
                continue
            if _can_return(self._replay, known.ref.sequence, stored):
                return snapshot
        return None

    def _replayed(
        self,
        state: Shard,
        since: int,
        targets: Collection[int],
        kept: dict[int, _Kept],
        left: list[Record],
    ) -> Shard:
        """The journal after `since` again, without the skipped records.

        `kept` takes what the rollbacks to `targets` bring back, `left` the labels that could be
        used only with the skipped records.
        """
        for entry, step in self._replay.steps(since, self._skips):
            self._entry = entry.sequence
            if entry.sequence == self._failed_entry:
                self._copy = _Copy(entry.sequence, ShardCopy(state), dict(kept), list(left))
            for outcome, record in zip(entry.outcomes, step.commands, strict=True):
                if outcome["outcome"] != "applied":
                    continue
                command = parse_command(record)
                if isinstance(command, RollbackCommand):
                    state = self._again(state, command, kept)
                elif isinstance(command, ConfigCommand):
                    state = reconfigured(state, command)
                elif isinstance(command, ResumeCommand) and command.shard in (None, self._shard):
                    state.parts.updates.resume()
                if outcome.get("version") in targets and command.command != "alias":
                    kept[outcome["version"]] = _Kept.of(state)
            lost: list[Record] = []
            clean = step._replace(commands=(), left_out=self._failing)
            state.apply(clean, lost=lost, halts=False)
            left += [label for label in lost if label.offset not in self._told]
            self._on_progress(entry.sequence, self._last)
        return state

    def _again(self, state: Shard, command: RollbackCommand, kept: Mapping[int, _Kept]) -> Shard:
        """A rollback met in the replay, of the clean run."""
        if command.skip:
            # The clean run never saw those records either: only the labels that they left behind
            # are done with.
            held = state.parts.held
            told = self._told
            for label in [one for one in held if told.get(one.record.offset) == b"skipped"]:
                held.remove(label)
            return state
        if command.empty:
            return emptied(state)
        assert command.version is not None, "a rollback has one of three targets"
        found = kept.get(command.version)
        if found is not None:
            return put_back(state, found.shard(state))
        return put_back(state, self._stored.named(command.snapshots.get(state.shard), state.shard))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a plain rollback brings back, copied where its version was cut."""

    learner: bytes
    threshold: float | None
    plan: Plan

    @classmethod
    def of(cls, state: Shard) -> _Kept:
        learner = state.parts.learner
        return cls(pickling.dumps(learner.model), learner.threshold, state.plan)

    def shard(self, state: Shard) -> Shard:
        parts = self.plan.fresh_parts()
        parts.learner = Learner(pickling.loads(self.learner), self.plan.task, self.threshold)
        return Shard(self.plan, state.shard, parts)


@dataclass(frozen=True, slots=True)
class _Copy:
    """A clean run before an entry."""

    entry: int
    state: ShardCopy
    kept: dict[int, _Kept]
    left: list[Record]


def is_clean(
    skips: Sequence[SkipRange],
    shard: int,
    already: Sequence[SkipRange],
    positions: Mapping[str, int],
) -> bool:
    """Whether a state has seen none of the skipped records, `already` being without some."""
    return all(
        skip.partition != shard or skip in already or positions[skip.topic] <= skip.first
        for skip in skips
    )


def _can_return(replay: Replay, since: int, stored: Collection[int | None]) -> bool:
    """Whether every plain rollback after entry `since` goes back to a version that is stored, or
    that was cut on the way."""
    there = set(stored)
    for entry in replay.entries(since + 1):
        for outcome in entry.outcomes:
            if outcome.get("target") is not None and outcome["target"] not in there:
                return False
            if outcome.get("command") != "alias":
                there.add(outcome.get("version"))
    return True


def _targets(replay: Replay, since: int) -> set[int]:
    """The versions that plain rollbacks after entry `since` go back to."""
    return {
        outcome["target"]
        for entry in replay.entries(since + 1)
        for outcome in entry.outcomes
        if outcome.get("target") is not None
    }
