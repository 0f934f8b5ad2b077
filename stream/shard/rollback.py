"""Rollback: a shard's state put back to a version, to nothing learnt, or to the run without some
records.

A plain rollback brings back the learner and its threshold; detectors that follow the model start
afresh, everything else stays. With `skip`, the whole state becomes that of the run which never saw
the records: the journal is replayed without them, from the newest snapshot that has seen none of
them, and only the alert policy stays, so that nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from consumers.errors import OffsetOutOfRangeError, RejectedError
from consumers.merge import merge_time_ms
from consumers.record import Record
from consumers.transport import Log
from detectors.signals import follows_model
from learners.errors import SnapshotError, StoreError
from learners.learner import Learner
from learners.snapshots import pickling
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.container import Snapshot
from learners.snapshots.reference import parse_key
from learners.snapshots.retention import Published
from stream.commands import ConfigCommand, ResumeCommand, RollbackCommand, SkipRange, parse_command
from stream.configuration import Configuration
from stream.errors import EngineChangedError, JournalError, RollbackError, UpdateFailedError
from stream.shard import journal
from stream.shard.journal import Entry
from stream.shard.load import load_shard, plan_of, skips_in
from stream.shard.parts import Parts
from stream.shard.plan import Plan
from stream.shard.reconfigure import reconfigured
from stream.shard.replay import Replay
from stream.shard.shard import Shard
from stream.shard.updates import Place, Updates

OnProgress = Callable[[int, int], None]


class RolledBack(NamedTuple):
    """The shard after a rollback, the labels that its skipped records leave behind, and which
    updates failed in the clean run, and why."""

    shard: Shard
    left: list[Record]
    left_out: dict[Place, str]


class Rollbacks:
    """Computes the states that rollback commands ask for, for one shard.

    Parameters
    ----------
    log
        Where journal and inputs are read from.
    archive
        Where snapshots are read from.
    configuration
        The file's; its semantic part gives way to the journal's.
    on_progress
        Called with the entry replayed and the last one.
    """

    def __init__(
        self,
        log: Log,
        archive: SnapshotArchive,
        configuration: Configuration,
        on_progress: OnProgress = lambda entry, last: None,
    ) -> None:
        self._log = log
        self._archive = archive
        self._configuration = configuration
        self._on_progress = on_progress

    def state(
        self,
        command: RollbackCommand,
        current: Shard,
        published: Sequence[Published],
        sequence: int,
    ) -> RolledBack:
        """What the command makes of a shard.

        `current` is as of journal entry `sequence`. Its versions and alert policy are carried over.

        Raises
        ------
        RollbackError
            What the command names cannot be loaded, or the log no longer reaches far enough back.
        """
        if command.skip:
            return self._without(command, current, published, sequence)
        if command.empty:
            plan = current.plan
            fresh = plan.fresh_parts().learner
            return RolledBack(current.succeed(plan, _plain(current, plan, fresh)), [], {})
        key = command.snapshots.get(current.shard)
        return RolledBack(_put_back(current, self._load(key, current.shard)), [], {})

    def _load(self, key: str | None, shard: int) -> Shard:
        ref = parse_key(key or "")
        try:
            snapshot = None if ref is None else self._archive.read(ref)
        except StoreError:
            # Perhaps only for a moment: the worker stops, and tries again when it is started.
            raise
        except SnapshotError as error:
            raise RollbackError(f"its snapshot cannot be loaded: {error}", error.hint) from error
        if snapshot is None:
            raise RollbackError(
                f"its snapshot {key} for shard {shard} is not in {self._archive.store.name}",
                "put the snapshot back, or roll back to another version",
            )
        return self._loaded(shard, snapshot)

    def _loaded(self, shard: int, snapshot: Snapshot) -> Shard:
        try:
            return load_shard(self._configuration, shard, snapshot)
        except (SnapshotError, EngineChangedError) as error:
            raise RollbackError(f"its snapshot cannot be loaded: {error}", error.hint) from error

    def _without(
        self,
        command: RollbackCommand,
        current: Shard,
        published: Sequence[Published],
        sequence: int,
    ) -> RolledBack:
        shard = current.shard
        begin = self._log.begin_offset(journal.TOPIC, shard)
        end = self._log.end_offset(journal.TOPIC, shard)
        first = next(journal.read(self._log, shard, begin, end))
        last = journal.last(self._log, shard, begin, end)
        assert last is not None and last.sequence == sequence, "the state is the journal's"
        replay = Replay(self._log, shard, begin, end, first, last)
        told = self._told(shard)
        skips = [*current.parts.versions.skips, *command.skip]
        try:
            state = current
            left: list[Record] = []
            left_out: dict[Place, str] = {}
            if not _is_clean(skips, shard, current.parts.versions.skips, last.end):
                state, left, left_out = self._clean(
                    first, published, shard, replay, sequence, skips, told
                )
            ids = self._skipped_ids(command.skip, current)
        except JournalError as error:
            raise RollbackError(str(error), error.hint) from error
        except OffsetOutOfRangeError as error:
            raise RollbackError(
                f"{error.topic} of shard {shard} begins at offset {error.begin}, after the records "
                "to skip",
                "those records can no longer be read; roll back to a version",
            ) from error
        parts = state.parts
        for held in list(parts.held):
            if held.record.offset in told:
                held.told = True
            elif held.id in ids:
                parts.held.remove(held)
                left.append(held.record)
        parts.policy = current.parts.policy
        # Whether to go on is not for a rollback to say.
        parts.halting = current.parts.halting
        parts.halting.begin(parts.events, parts.labels)
        parts.versions = current.parts.versions
        parts.digest = current.parts.digest
        parts.commands = current.parts.commands
        return RolledBack(current.succeed(state.plan, parts), left, left_out)

    def _clean(
        self,
        first: Entry,
        published: Sequence[Published],
        shard: int,
        replay: Replay,
        last: int,
        skips: Sequence[SkipRange],
        told: Mapping[int, bytes],
    ) -> RolledBack:
        """The run without the skipped records. Which updates fail in it shows itself: one that does
        is left out, and the replay begins again."""
        failing: dict[Place, str] = {}
        while True:
            state, since = self._start(first, published, shard, skips)
            try:
                state, left = self._replayed(state, replay, since, last, skips, told, failing)
            except UpdateFailedError as error:
                failing[Place(*error.place)] = error.detail
            else:
                return RolledBack(state, left, failing)

    def _start(
        self, first: Entry, published: Sequence[Published], shard: int, skips: Sequence[SkipRange]
    ) -> tuple[Shard, int]:
        """A state that has seen none of the skipped records, and the entry that it is of."""
        base = self._clean_base(published, shard, skips)
        if base is not None:
            return self._loaded(shard, base), base.header.sequence
        try:
            journal.check_from_nothing(first, shard)
        except JournalError as error:
            raise RollbackError(
                f"no snapshot from before {skips[0]} can be used: {error}",
                "the run without those records cannot be rebuilt; roll back to a version, or "
                "restore the snapshots from a backup",
            ) from error
        return Shard(plan_of(self._configuration, first.configuration or {}), shard), -1

    def _clean_base(
        self, published: Sequence[Published], shard: int, skips: Sequence[SkipRange]
    ) -> Snapshot | None:
        """The newest snapshot that has seen none of the skipped records."""
        for known in sorted(published, key=lambda known: known.ref.sequence, reverse=True):
            try:
                snapshot = self._archive.read(known.ref)
            except StoreError:
                raise
            except SnapshotError:
                continue
            if snapshot is None:
                continue
            already = skips_in(snapshot)
            if _is_clean(skips, shard, already, snapshot.header.positions):
                return snapshot
        return None

    def _told(self, shard: int) -> dict[int, bytes]:
        """The offsets of the labels that have a dead letter already, and its reason."""
        topic = "dead-letters"
        told: dict[int, bytes] = {}
        for letter in self._log.read(topic, shard, self._log.begin_offset(topic, shard)):
            headers = dict(letter.headers)
            if headers["topic"] == b"labels":
                told[int(headers["offset"])] = headers["reason"]
        return told

    def _replayed(
        self,
        state: Shard,
        replay: Replay,
        since: int,
        last: int,
        skips: Sequence[SkipRange],
        told: Mapping[int, bytes],
        failing: Mapping[Place, str],
    ) -> tuple[Shard, list[Record]]:
        """The journal after `since` again, without the skipped records; and the labels that could
        be used only with them.

        Commands give no new numbers here: those that were given stand. A plain rollback on the way
        takes the clean run's state at its version.
        """
        targets = _targets(replay, since)
        kept: dict[int, _Kept] = {}
        left: list[Record] = []
        for entry, step in replay.steps(since, skips):
            for outcome, record in zip(entry.outcomes, step.commands, strict=True):
                if outcome["outcome"] != "applied":
                    continue
                command = parse_command(record)
                if isinstance(command, RollbackCommand):
                    state = self._again(state, command, kept, told)
                elif isinstance(command, ConfigCommand):
                    state = reconfigured(state, command)
                elif isinstance(command, ResumeCommand) and "learner" in outcome["resumed"]:
                    state.parts.updates.resume()
                if outcome.get("version") in targets and command.command != "alias":
                    kept[outcome["version"]] = _Kept.of(state)
            lost: list[Record] = []
            state.apply(step._replace(commands=(), left_out=failing), lost=lost, halts=False)
            left += [label for label in lost if label.offset not in told]
            self._on_progress(entry.sequence, last)
        return state, left

    def _again(
        self,
        state: Shard,
        command: RollbackCommand,
        kept: Mapping[int, _Kept],
        told: Mapping[int, bytes],
    ) -> Shard:
        """A rollback met in the replay, of the clean run."""
        if command.skip:
            # The clean run never saw those records either: only the labels that they left behind
            # are done with.
            held = state.parts.held
            for label in [one for one in held if told.get(one.record.offset) == b"skipped"]:
                held.remove(label)
            return state
        if command.empty:
            return state.succeed(
                state.plan, _plain(state, state.plan, state.plan.fresh_parts().learner)
            )
        assert command.version is not None, "a rollback has one of three targets"
        found = kept.get(command.version)
        if found is None:
            return _put_back(state, self._load(command.snapshots.get(state.shard), state.shard))
        return _put_back(state, found.shard(state))

    def _skipped_ids(self, skips: Sequence[SkipRange], current: Shard) -> set[str]:
        """The ids of the skipped events, as the service reads them."""
        ids: set[str] = set()
        for skip in skips:
            if skip.topic != "events" or skip.partition != current.shard:
                continue
            for record in self._log.read(skip.topic, skip.partition, skip.first, skip.last + 1):
                try:
                    ids.add(current.plan.decode_event(record, merge_time_ms(record)).id)
                except RejectedError:
                    continue
        return ids


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


def _is_clean(
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


def _targets(replay: Replay, since: int) -> set[int]:
    """The versions that plain rollbacks after entry `since` go back to."""
    return {
        outcome["target"]
        for entry in replay.entries(since + 1)
        for outcome in entry.outcomes
        if outcome.get("target") is not None
    }


def _put_back(current: Shard, target: Shard) -> Shard:
    """The current shard with the learner, the threshold and the model's settings of another."""
    semantic = current.plan.configuration.semantic()
    semantic["model"] = target.plan.configuration.semantic()["model"]
    plan = plan_of(current.plan.configuration, semantic)
    return current.succeed(plan, _plain(current, plan, target.parts.learner))


def _plain(current: Shard, plan: Plan, learner: Learner) -> Parts:
    """The parts with another learner; watches of what follows the model start afresh."""
    fresh = plan.fresh_parts().watches
    watches = [
        new if follows_model(old.settings.signal) else old
        for old, new in zip(current.parts.watches, fresh, strict=True)
    ]
    learner.threshold = plan.threshold_after(learner.threshold)
    return replace(current.parts, learner=learner, watches=watches, updates=Updates())
