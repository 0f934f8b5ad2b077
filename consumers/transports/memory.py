"""The log in memory: for tests, back-tests and simulation. It can be told to fail at any point."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import cast

from consumers.errors import (
    CommitFailedError,
    OffsetOutOfRangeError,
    PartitionCountError,
    TopicsMissingError,
    TransportClosedError,
    WorkerRunningError,
)
from consumers.record import NewRecord, Record
from consumers.transport import (
    INPUTS,
    MAX_AHEAD_MS,
    OUTPUTS,
    TOPICS,
    Committed,
    InputBatch,
    Polled,
    StepCommit,
)
from consumers.transports.refusals import refuse_ahead, refuse_long_note, wall_clock_ms

MAX_INT = 2**63
FAULT_POINTS = ("poll", "commit.before", "commit.after", "append.before", "append.after")


def no_faults(point: str) -> None:
    """The hook that never fails."""


class _Partition:
    """The records of one partition; the one at `offset` is `records[offset - begin]`.

    What a worker commits stays as it was given until it is read, since making a `Record` of each
    costs 0.5 µs; `stamps` holds the first offset and the time of each such commit.
    """

    __slots__ = ("begin", "name", "records", "stamped_ms", "stamps")

    def __init__(self, topic: str, partition: int) -> None:
        self.name = (topic, partition)
        self.begin = 0
        self.records: list[Record | NewRecord] = []
        self.stamped_ms = 0
        self.stamps: list[tuple[int, int]] = []

    @property
    def end(self) -> int:
        return self.begin + len(self.records)

    def stamp(self, now_ms: int) -> int:
        """The time to stamp records with: it never goes back."""
        self.stamped_ms = max(self.stamped_ms, now_ms)
        return self.stamped_ms

    def append(self, record: NewRecord, now_ms: int) -> int:
        value, key, headers, timestamp_ms = record
        if timestamp_ms is None:
            timestamp_ms = self.stamp(now_ms)
        offset = self.end
        self.records.append(Record(*self.name, offset, timestamp_ms, key, value, headers))
        return offset

    def extend(self, records: Sequence[NewRecord], now_ms: int) -> None:
        self.stamps.append((self.end, self.stamp(now_ms)))
        self.records.extend(records)

    def slice(self, start: int, end: int) -> list[Record]:
        first = start - self.begin
        records = self.records[first : end - self.begin]
        for index, record in enumerate(records):
            if type(record) is NewRecord:
                value, key, headers, timestamp_ms = record
                offset = start + index
                if timestamp_ms is None:
                    at = bisect_right(self.stamps, (offset, MAX_INT)) - 1
                    timestamp_ms = self.stamps[at][1]
                records[index] = Record(*self.name, offset, timestamp_ms, key, value, headers)
        return cast(list[Record], records)

    def trim(self, before: int) -> None:
        del self.records[: before - self.begin]
        self.begin = before
        del self.stamps[: max(0, bisect_right(self.stamps, (before, MAX_INT)) - 1)]


class _Store:
    """All that survives the death of a worker."""

    def __init__(self, clock_ms: Callable[[], int], max_ahead_ms: int | None) -> None:
        self.clock_ms = clock_ms
        self.max_ahead_ms = max_ahead_ms
        self.count = 0
        self.partitions: dict[tuple[str, int], _Partition] = {}
        self.committed: dict[int, Committed] = {}
        self.lock = threading.Lock()
        # Only SimpleQueue.put may be called from a signal handler whatever the thread holds.
        self.wake: SimpleQueue[None] = SimpleQueue()
        self.waiting = False
        self.worker: MemoryTransport | None = None
        self.faults: Callable[[str], None] = no_faults

    def partition(self, topic: str, partition: int) -> _Partition:
        if not self.count:
            raise TopicsMissingError("the log has no topics yet")
        return self.partitions[topic, partition]

    def identities(self) -> dict[str, str]:
        """Topics are never deleted here."""
        return {}

    def append(self, records: Sequence[tuple[str, int, NewRecord]]) -> list[int]:
        """Called under the lock; checks every record before the first is written."""
        now_ms = self.clock_ms()
        for topic, partition, _ in records:
            self.partition(topic, partition)
        if self.max_ahead_ms is not None:
            refuse_ahead(records, now_ms, self.max_ahead_ms)
        return [
            self.partitions[topic, partition].append(record, now_ms)
            for topic, partition, record in records
        ]

    def notify(self) -> None:
        if self.waiting:
            self.wake.put(None)


class _View:
    """The methods of `Log` over a store."""

    visible_within_s = 0.0

    def __init__(self, store: _Store) -> None:
        self._store = store

    def create_topics(self, partitions: int) -> None:
        store = self._store
        with store.lock:
            if store.count and store.count != partitions:
                raise PartitionCountError(
                    f"the log has {store.count} partitions for ever, not {partitions}"
                )
            for topic in TOPICS:
                for partition in range(partitions):
                    store.partitions.setdefault((topic, partition), _Partition(topic, partition))
            store.count = partitions

    def partitions(self) -> int:
        if not self._store.count:
            raise TopicsMissingError("the log has no topics yet")
        return self._store.count

    def identities(self) -> dict[str, str]:
        """Topics are never deleted here."""
        return {}

    def append(self, records: Sequence[tuple[str, int, NewRecord]]) -> list[int]:
        store = self._store
        store.faults("append.before")
        with store.lock:
            offsets = store.append(records)
        store.notify()
        store.faults("append.after")
        return offsets

    def read(
        self, topic: str, partition: int, start: int, end: int | None = None
    ) -> Iterator[Record]:
        stored = self._store.partition(topic, partition)
        last = stored.end if end is None else min(end, stored.end)
        if start < min(stored.begin, last):
            raise OffsetOutOfRangeError(topic, partition, start, stored.begin, stored.end)
        return self._read(stored, topic, partition, start, last)

    def _read(
        self, stored: _Partition, topic: str, partition: int, start: int, end: int
    ) -> Iterator[Record]:
        while start < end:
            with self._store.lock:
                if start < stored.begin:
                    raise OffsetOutOfRangeError(topic, partition, start, stored.begin, stored.end)
                chunk = stored.slice(start, min(start + 1_000, end))
            yield from chunk
            start += len(chunk)

    def begin_offset(self, topic: str, partition: int) -> int:
        return self._store.partition(topic, partition).begin

    def end_offset(self, topic: str, partition: int) -> int:
        return self._store.partition(topic, partition).end

    def committed(self, shard: int) -> Committed | None:
        self._store.partition(INPUTS[0], shard)
        committed = self._store.committed.get(shard)
        return committed and Committed(dict(committed.positions), committed.note)

    def trim(self, topic: str, partition: int, before: int) -> None:
        stored = self._store.partition(topic, partition)
        with self._store.lock:
            if before > stored.end:
                raise OffsetOutOfRangeError(topic, partition, before, stored.begin, stored.end)
            if before > stored.begin:
                stored.trim(before)

    def close(self) -> None:
        """The data stays: it lives as long as the `MemoryLog`."""


class MemoryLog(_View):
    """A log that lives as long as this object, and so survives the simulated death of its worker.

    Unlike other logs it may be used by several threads. `clock_ms` stamps records, and inputs
    stamped over `max_ahead_ms` after it are refused (None: nothing is). `faults` is called with
    each of `FAULT_POINTS` as it is passed, and may raise: before, nothing is written; after, all.
    """

    def __init__(
        self,
        clock_ms: Callable[[], int] = wall_clock_ms,
        max_ahead_ms: int | None = MAX_AHEAD_MS,
    ) -> None:
        super().__init__(_Store(clock_ms, max_ahead_ms))

    @property
    def faults(self) -> Callable[[str], None]:
        return self._store.faults

    @faults.setter
    def faults(self, hook: Callable[[str], None]) -> None:
        self._store.faults = hook

    def join(self) -> MemoryTransport:
        """The one live worker's transport; raises `WorkerRunningError` while there is another."""
        self.partitions()
        with self._store.lock:
            if self._store.worker is not None:
                raise WorkerRunningError("another worker of this process has joined the log")
            self._store.worker = MemoryTransport(self._store)
            return self._store.worker

    def kill_worker(self) -> None:
        """The live worker's death: all that it had not committed is gone, another may join."""
        with self._store.lock:
            self._store.worker = None


class MemoryTransport(_View):
    """The transactional view of a `MemoryLog`'s worker, which owns every shard."""

    def __init__(self, store: _Store) -> None:
        super().__init__(store)
        self._gained: tuple[int, ...] | None = None
        self._positions: dict[int, dict[str, int]] = {}
        self._spent = False
        self._interrupted = False

    def poll(
        self, timeout_s: float, max_records: int, full: Collection[tuple[int, str]] = ()
    ) -> Polled:
        self._require_usable()
        self._spent = True
        self._store.faults("poll")
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._store.waiting = True
            polled, found = self._take(max_records, full)
            left_s = deadline_s - time.monotonic()
            if found or self._interrupted or left_s <= 0:
                break
            with suppress(Empty):
                self._store.wake.get(timeout=left_s)
        self._store.waiting = self._interrupted = False
        self._spent = False
        return polled

    def _take(self, max_records: int, full: Collection[tuple[int, str]]) -> tuple[Polled, bool]:
        store = self._store
        gained: tuple[int, ...] = ()
        if self._gained is None:
            gained = self._gained = tuple(range(self.partitions()))
        found = bool(gained)
        inputs: dict[int, dict[str, InputBatch]] = {}
        with store.lock:
            for shard, positions in self._positions.items():
                batches = inputs[shard] = {}
                for role in INPUTS:
                    stored = store.partitions[role, shard]
                    position = positions[role]
                    if position < stored.begin:
                        raise OffsetOutOfRangeError(role, shard, position, stored.begin, stored.end)
                    records: list[Record] = []
                    if (shard, role) not in full:
                        records = stored.slice(position, position + max_records)
                        found = found or bool(records)
                        positions[role] = position = position + len(records)
                    batches[role] = InputBatch(records, position, stored.end)
        return Polled(inputs, gained, ()), found

    def start(self, shard: int, positions: Mapping[str, int]) -> None:
        self._require_usable()
        self._spent = True
        for role in INPUTS:
            stored = self._store.partition(role, shard)
            if not stored.begin <= positions[role] <= stored.end:
                raise OffsetOutOfRangeError(role, shard, positions[role], stored.begin, stored.end)
        self._positions[shard] = {role: positions[role] for role in INPUTS}
        self._spent = False

    def commit(self, steps: Sequence[StepCommit]) -> None:
        self._require_unspent()
        self._spent = True
        store = self._store
        store.faults("commit.before")
        written: list[tuple[_Partition, list[NewRecord]]] = []
        committed: dict[int, Committed] = {}
        for step in steps:
            by_role: dict[str, list[NewRecord]] = {role: [] for role in OUTPUTS}
            for role, record in step.outputs:
                by_role[role].append(record)
            refuse_long_note(step.note)
            written.extend(
                (store.partition(role, step.shard), records)
                for role, records in by_role.items()
                if records
            )
            positions = {role: step.positions[role] for role in INPUTS}
            committed[step.shard] = Committed(positions, step.note)
        with store.lock:
            if store.worker is not self:
                raise CommitFailedError("another worker has taken over the log")
            now_ms = store.clock_ms()
            for stored, records in written:
                stored.extend(records, now_ms)
            store.committed.update(committed)
        store.faults("commit.after")
        self._spent = False

    def keep_alive(self) -> None:
        """Nobody waits for a sign of life."""

    def interrupt(self) -> None:
        self._interrupted = True
        self._store.wake.put(None)

    def close(self) -> None:
        self._spent = True
        with self._store.lock:
            if self._store.worker is self:
                self._store.worker = None

    def _require_unspent(self) -> None:
        if self._spent:
            raise TransportClosedError("the transport was closed, or failed before: join anew")

    def _require_usable(self) -> None:
        self._require_unspent()
        if self._store.worker is not self:
            raise TransportClosedError("this worker is dead: join anew")
