"""The worker's transactional view of the SQLite log."""

from __future__ import annotations

import os
import select as select_module
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from consumers.errors import (
    CommitFailedError,
    LogUnavailableError,
    OffsetOutOfRangeError,
    TransportClosedError,
)
from consumers.record import NewRecord, Record
from consumers.transport import INPUTS, OUTPUTS, InputBatch, Polled, StepCommit
from consumers.transports.refusals import refuse_long_note, wall_clock_ms
from consumers.transports.sqlite.file import translated, write_transaction
from consumers.transports.sqlite.lock import WorkerLock
from consumers.transports.sqlite.log import SqliteLog
from consumers.transports.sqlite.rows import select

# A look for news costs 5 µs; a commit of another process is seen within the longer of the two.
_SHORTEST_WAIT_S = 0.001
_LONGEST_WAIT_S = 0.016


class SqliteTransport(SqliteLog):
    """The one worker's view, which owns every shard for as long as it holds the file's lock.

    Raises `TopicsMissingError` where there is no log yet, `WorkerRunningError` beside another.
    """

    def __init__(
        self, path: str | Path, service: str, clock_ms: Callable[[], int] = wall_clock_ms
    ) -> None:
        super().__init__(path, service, clock_ms)
        self._gained: tuple[int, ...] | None = None
        self._positions: dict[int, dict[str, int]] = {}
        self._spent = False
        self._db()
        try:
            self._lock = WorkerLock(self._path)
        except BaseException:
            super().close()
            raise
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def poll(
        self, timeout_s: float, max_records: int, full: Collection[tuple[int, str]] = ()
    ) -> Polled:
        db = self._use()
        deadline_s = time.monotonic() + timeout_s
        wait_s = _SHORTEST_WAIT_S
        with translated(self._path):
            # Before the records, so that a commit between the two is looked at again.
            version = _data_version(db)
            polled, found = self._take(db, max_records, full)
            while not found:
                left_s = deadline_s - time.monotonic()
                if self._interrupted(max(0.0, min(wait_s, left_s))) or left_s <= 0:
                    break
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                if version != (version := _data_version(db)):
                    polled, found = self._take(db, max_records, full)
        self._spent = False
        return polled

    def _take(
        self, db: sqlite3.Connection, max_records: int, full: Collection[tuple[int, str]]
    ) -> tuple[Polled, bool]:
        gained: tuple[int, ...] = ()
        if self._gained is None:
            gained = self._gained = tuple(range(self._count))
        found = bool(gained)
        inputs: dict[int, dict[str, InputBatch]] = {}
        # One read transaction, so that ends and records belong together.
        db.execute("BEGIN")
        ranges = {
            (topic, partition): (begin, end)
            for topic, partition, begin, end in db.execute(
                "SELECT topic, partition, first_offset, next_offset FROM partitions WHERE id < ?",
                (len(INPUTS) * self._count,),
            )
        }
        for shard, positions in self._positions.items():
            batches = inputs[shard] = {}
            for role in INPUTS:
                name = (role, shard)
                begin, end = ranges[name]
                position = positions[role]
                if position < begin:
                    raise OffsetOutOfRangeError(role, shard, position, begin, end)
                records: list[Record] = []
                if position < end and (shard, role) not in full:
                    records = select(db, self._ids[name], name, position, end, max_records)
                    found = True
                    position = records[-1].offset + 1 if records else end
                    positions[role] = position
                batches[role] = InputBatch(records, position, end)
        db.execute("COMMIT")
        return Polled(inputs, gained, ()), found

    def _interrupted(self, wait_s: float) -> bool:
        ready, _, _ = select_module.select([self._wake_read], [], [], wait_s)
        if ready:
            with suppress(BlockingIOError):
                os.read(self._wake_read, 4_096)
        return bool(ready)

    def start(self, shard: int, positions: Mapping[str, int]) -> None:
        self._use()
        for role in INPUTS:
            begin, end = self._range((role, shard))
            if not begin <= positions[role] <= end:
                raise OffsetOutOfRangeError(role, shard, positions[role], begin, end)
        self._positions[shard] = {role: positions[role] for role in INPUTS}
        self._spent = False

    def commit(self, steps: Sequence[StepCommit]) -> None:
        db = self._use()
        now_ms = self._clock_ms()
        try:
            with write_transaction(db, self._path):
                for step in steps:
                    by_role: dict[str, list[NewRecord]] = {role: [] for role in OUTPUTS}
                    for role, record in step.outputs:
                        by_role[role].append(record)
                    for role, records in by_role.items():
                        if records:
                            self._write(db, (role, step.shard), records, now_ms)
                    refuse_long_note(step.note)
                    db.execute(
                        "INSERT OR REPLACE INTO positions (shard, events, labels, commands, note) "
                        "VALUES (?, ?, ?, ?, ?)",
                        (step.shard, *[step.positions[role] for role in INPUTS], step.note),
                    )
        except LogUnavailableError as error:
            raise CommitFailedError(str(error), error.hint) from error
        self._spent = False

    def keep_alive(self) -> None:
        """Nobody waits for a sign of life: the lock ends with the process."""

    def interrupt(self) -> None:
        # A full pipe wakes as well, and a closed transport has nothing to wake.
        with suppress(OSError):
            os.write(self._wake_write, b"!")

    def close(self) -> None:
        super().close()
        if self._wake_write >= 0:
            self._lock.release()
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1
        self._spent = True

    def _use(self) -> sqlite3.Connection:
        """The connection; spent until the caller has succeeded."""
        if self._spent:
            raise TransportClosedError("the transport was closed, or failed before: join anew")
        self._spent = True
        return self._db()


def _data_version(db: sqlite3.Connection) -> int:
    """A number that changes when another connection commits."""
    (version,) = db.execute("PRAGMA data_version").fetchone()
    assert isinstance(version, int)
    return version
