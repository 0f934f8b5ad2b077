"""What the log and the store say of a service: how far it is, what waits, what is newest.

It needs no running worker, and writes nothing. What only a running worker knows, such as whether it
lives, is in its telemetry.
"""

from __future__ import annotations

from dataclasses import dataclass

from consumers.merge import MERGED, merge_time_ms
from consumers.record import Record
from consumers.transport import INPUTS, OUTPUTS, Log
from learners.snapshots.reference import folder, parse_key
from learners.snapshots.store import SnapshotStore
from stream.history import GivenCommand, History
from stream.shard import journal
from stream.shard.parts import GOES_ON, Standing

_LOOK_BACK = 100


@dataclass(frozen=True, slots=True)
class InputStatus:
    """One input of one shard: the next offset to apply, the committed end, and what lies between.

    On Kafka the marks of transactions count as offsets, so `left` may be above the records left.
    """

    position: int
    end: int
    left: int


@dataclass(frozen=True, slots=True)
class SnapshotStatus:
    """The newest snapshot in the store: its id, the journal entry it is of, and when it was put
    there (the store's clock)."""

    id: str
    entry: int
    written_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard, as its last commit left it.

    `entry` is its last journal entry, None if it has never run, and `committed_ms` when the log
    took that (the log's clock). `clock_ms` is the stream's time, as far as the last records applied
    tell it. `outputs` are the ends of what it writes. `waiting` are the ids of the commands that it
    has not applied yet, `standing` whether it has halted or its learner is suspended.
    """

    shard: int
    entry: int | None
    committed_ms: int | None
    clock_ms: int | None
    version: int
    inputs: dict[str, InputStatus]
    outputs: dict[str, int]
    waiting: list[str]
    standing: Standing
    snapshot: SnapshotStatus | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service and its shards; `version` is the newest that all of them are at."""

    version: int
    aliases: dict[str, int]
    waiting: list[GivenCommand]
    shards: list[ShardStatus]


def read_status(log: Log, store: SnapshotStore, history: History) -> ServiceStatus:
    """How far each shard is, and what it has not done yet."""
    waiting = history.pending()
    shards = []
    for shard in range(history.shards):
        versions = [v.number for v in history.versions.values() if shard in v.cuts]
        own = [given.command.id for given in waiting if shard not in given.outcomes]
        standing = history.standing.get(shard, GOES_ON)
        shards.append(_read_shard(log, store, shard, max(versions, default=0), own, standing))
    return ServiceStatus(history.current(), history.aliases(), waiting, shards)


def _read_shard(
    log: Log,
    store: SnapshotStore,
    shard: int,
    version: int,
    waiting: list[str],
    standing: Standing,
) -> ShardStatus:
    ends = {topic: log.end_offset(topic, shard) for topic in (*INPUTS, *OUTPUTS)}
    record = journal.last_record(
        log, shard, log.begin_offset(journal.TOPIC, shard), ends[journal.TOPIC]
    )
    last = None if record is None else journal.Entry.decode(record)
    inputs = {}
    for topic in INPUTS:
        position = log.begin_offset(topic, shard) if last is None else last.end[topic]
        # An entry may have been committed after the ends were read.
        end = max(position, ends[topic])
        inputs[topic] = InputStatus(position, end, end - position)
    return ShardStatus(
        shard=shard,
        entry=None if last is None else last.sequence,
        committed_ms=None if record is None else record.timestamp_ms,
        clock_ms=None if last is None else _clock_ms(log, shard, last),
        version=version,
        inputs=inputs,
        outputs={topic: ends[topic] for topic in OUTPUTS if topic != journal.TOPIC},
        waiting=waiting,
        standing=standing,
        snapshot=None if last is None else _newest(store, last.journal, shard),
    )


def _clock_ms(log: Log, shard: int, last: journal.Entry) -> int | None:
    """The highest merge time of the last records applied, or the tick of the last entry."""
    times = [] if last.tick_ms is None else [last.tick_ms]
    for topic in MERGED:
        end = last.end[topic]
        times += [merge_time_ms(record) for record in _before(log, topic, shard, end)]
    return max(times, default=None)


def _before(log: Log, topic: str, shard: int, end: int) -> list[Record]:
    start = max(log.begin_offset(topic, shard), end - _LOOK_BACK)
    return list(log.read(topic, shard, start, end)) if start < end else []


def _newest(store: SnapshotStore, journal_id: str, shard: int) -> SnapshotStatus | None:
    listed = [
        (ref.sequence, ref.id, stored)
        for stored in store.list(folder(journal_id, shard))
        if (ref := parse_key(stored.key)) is not None
    ]
    if not listed:
        return None
    sequence, name, stored = max(listed)
    return SnapshotStatus(name, sequence, stored.modified_ms, stored.size_bytes)
