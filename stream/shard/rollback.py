"""Rollback: a shard's state put back to a version, to nothing learnt, or to the run without some
records.

A plain rollback brings back the learner and its threshold; detectors that follow the model start
afresh, everything else stays. With `skip`, the whole state becomes that of the run which never saw
the records, and only the alert policy stays, so that nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from consumers.errors import OffsetOutOfRangeError, RejectedError
from consumers.merge import merge_time_ms
from consumers.transport import Log
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.retention import Published
from stream.commands import RollbackCommand, SkipRange
from stream.configuration import Configuration
from stream.errors import JournalError, RollbackError
from stream.shard import journal
from stream.shard.clean_run import Clean, CleanRun, OnProgress, is_clean
from stream.shard.replay import Replay
from stream.shard.returning import Stored, emptied, put_back
from stream.shard.shard import Shard


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
        self._stored = Stored(archive, configuration)
        self._on_progress = on_progress

    def state(
        self,
        command: RollbackCommand,
        current: Shard,
        published: Sequence[Published],
        sequence: int,
    ) -> Clean:
        """What the command makes of a shard.

        `current` is as of journal entry `sequence`. Its versions and alert policy are carried over.

        Raises
        ------
        RollbackError
            What the command names cannot be loaded, or the log no longer reaches far enough back.
        """
        if command.skip:
            return self._without(command.skip, current, published, sequence)
        if command.empty:
            return Clean(emptied(current), [], {})
        target = self._stored.named(command.snapshots.get(current.shard), current.shard)
        return Clean(put_back(current, target), [], {})

    def _without(
        self,
        skip: Sequence[SkipRange],
        current: Shard,
        published: Sequence[Published],
        sequence: int,
    ) -> Clean:
        shard = current.shard
        begin = self._log.begin_offset(journal.TOPIC, shard)
        end = self._log.end_offset(journal.TOPIC, shard)
        first = next(journal.read(self._log, shard, begin, end))
        last = journal.last(self._log, shard, begin, end)
        assert last is not None and last.sequence == sequence, "the state is the journal's"
        skips = [*current.parts.versions.skips, *skip]
        told = self._told(shard)
        made = Clean(current, [], {})
        try:
            if not is_clean(skips, shard, current.parts.versions.skips, last.end):
                made = CleanRun(
                    shard,
                    self._stored,
                    Replay(self._log, shard, begin, end, first, last),
                    first,
                    sequence,
                    published,
                    skips,
                    told,
                    self._on_progress,
                ).run()
            ids = self._skipped_ids(skip, current)
        except JournalError as error:
            raise RollbackError(str(error), error.hint) from error
        except OffsetOutOfRangeError as error:
            raise RollbackError(
                f"{error.topic} of shard {shard} begins at offset {error.begin}, after the records "
                "to skip",
                "those records can no longer be read; roll back to a version",
            ) from error
        parts = made.shard.parts
        for held in list(parts.held):
            if held.record.offset in told:
                held.told = True
            elif held.id in ids:
                parts.held.remove(held)
                made.left.append(held.record)
        parts.policy = current.parts.policy
        # Whether to go on is not for a rollback to say.
        parts.halting = current.parts.halting
        parts.halting.begin(parts.events, parts.labels)
        parts.versions = current.parts.versions
        parts.digest = current.parts.digest
        parts.commands = current.parts.commands
        return made._replace(shard=current.succeed(made.shard.plan, parts))

    def _told(self, shard: int) -> dict[int, bytes]:
        """The offsets of the labels that have a dead letter already, and its reason."""
        topic = "dead-letters"
        told: dict[int, bytes] = {}
        for letter in self._log.read(topic, shard, self._log.begin_offset(topic, shard)):
            headers = dict(letter.headers)
            if headers["topic"] == b"labels":
                told[int(headers["offset"])] = headers["reason"]
        return told

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
