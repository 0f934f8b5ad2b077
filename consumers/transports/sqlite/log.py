"""The log in one SQLite file, as any process may use it."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from consumers.errors import OffsetOutOfRangeError
from consumers.record import NewRecord, Record
from consumers.transport import MAX_AHEAD_MS, STATUS, Committed
from consumers.transports.refusals import refuse_ahead, wall_clock_ms
from consumers.transports.sqlite.file import (
    OFFSET_BITS,
    create,
    open_log,
    translated,
    write_transaction,
)
from consumers.transports.sqlite.rows import insert, select

_READ_RECORDS = 1_000
_TRIM_RECORDS = 10_000


class SqliteLog:
    """The topics of one service in the file `path`, which is opened on first use.

    Appends are short write transactions that give offsets and stamps under the file's write lock;
    reads come in pieces, so that none holds up checkpoints or a worker. `status` keeps only the
    newest record of each key. A file's service and partition count are fixed when it is made.
    """

    visible_within_s = 0.0

    def __init__(
        self, path: str | Path, service: str, clock_ms: Callable[[], int] = wall_clock_ms
    ) -> None:
        # The real path, since SQLite keeps its journal, and we our lock, beside the name used.
        self._path = Path(path).resolve()
        self._service = service
        self._clock_ms = clock_ms
        self._connection: sqlite3.Connection | None = None
        self._ids: dict[tuple[str, int], int] = {}
        self._count = 0

    def create_topics(self, partitions: int) -> None:
        create(self._path, self._service, partitions)

    def partitions(self) -> int:
        self._db()
        return self._count

    def identities(self) -> dict[str, str]:
        """Topics are never deleted here."""
        return {}

    def append(self, records: Sequence[tuple[str, int, NewRecord]]) -> list[int]:
        db = self._db()
        now_ms = self._clock_ms()
        refuse_ahead(records, now_ms, MAX_AHEAD_MS)
        by_partition: dict[tuple[str, int], list[int]] = defaultdict(list)
        for index, (topic, partition, _) in enumerate(records):
            by_partition[topic, partition].append(index)
        offsets = [0] * len(records)
        with write_transaction(db, self._path):
            for name, indices in by_partition.items():
                written = [records[index][2] for index in indices]
                first_offset = self._write(db, name, written, now_ms)
                if name[0] == STATUS:
                    self._compact(db, name, {record.key for record in written})
                for offset, index in enumerate(indices, first_offset):
                    offsets[index] = offset
        return offsets

    def _write(
        self,
        db: sqlite3.Connection,
        name: tuple[str, int],
        records: Sequence[NewRecord],
        now_ms: int,
    ) -> int:
        """Writes to one partition inside a transaction, and gives the first offset."""
        partition_id = self._ids[name]
        next_offset, stamped_ms = db.execute(
            "SELECT next_offset, stamped_ms FROM partitions WHERE id = ?", (partition_id,)
        ).fetchone()
        stamp_ms = max(stamped_ms, now_ms)
        insert(db, partition_id, next_offset, records, stamp_ms)
        db.execute(
            "UPDATE partitions SET next_offset = ?, stamped_ms = ? WHERE id = ?",
            (next_offset + len(records), stamp_ms, partition_id),
        )
        assert isinstance(next_offset, int)
        return next_offset

    def _compact(
        self, db: sqlite3.Connection, name: tuple[str, int], keys: set[bytes | None]
    ) -> None:
        first_id = self._ids[name] << OFFSET_BITS
        past_id = first_id + (1 << OFFSET_BITS)
        for key in keys:
            if key is not None:
                same_key = "FROM records WHERE id >= :first AND id < :past AND key = :key"
                db.execute(
                    f"DELETE {same_key} AND id < (SELECT max(id) {same_key})",
                    {"first": first_id, "past": past_id, "key": key},
                )

    def read(
        self, topic: str, partition: int, start: int, end: int | None = None
    ) -> Iterator[Record]:
        begin, committed_end = self._range((topic, partition))
        last = committed_end if end is None else min(end, committed_end)
        if start < min(begin, last):
            raise OffsetOutOfRangeError(topic, partition, start, begin, committed_end)
        return self._read((topic, partition), start, last)

    def _read(self, name: tuple[str, int], start: int, end: int) -> Iterator[Record]:
        while start < end:
            db = self._db()
            with translated(self._path):
                piece = select(db, self._ids[name], name, start, end, _READ_RECORDS)
            # After the piece, so that a trim between the two is seen.
            begin, committed_end = self._range(name)
            if start < begin:
                raise OffsetOutOfRangeError(*name, start, begin, committed_end)
            if not piece:
                return
            yield from piece
            start = piece[-1].offset + 1

    def begin_offset(self, topic: str, partition: int) -> int:
        return self._range((topic, partition))[0]

    def end_offset(self, topic: str, partition: int) -> int:
        return self._range((topic, partition))[1]

    def _range(self, name: tuple[str, int]) -> tuple[int, int]:
        db = self._db()
        with translated(self._path):
            begin, end = db.execute(
                "SELECT first_offset, next_offset FROM partitions WHERE id = ?", (self._ids[name],)
            ).fetchone()
        return begin, end

    def committed(self, shard: int) -> Committed | None:
        db = self._db()
        with translated(self._path):
            row = db.execute(
                "SELECT events, labels, commands, note FROM positions WHERE shard = ?", (shard,)
            ).fetchone()
        if row is None:
            return None
        events, labels, commands, note = row
        return Committed({"events": events, "labels": labels, "commands": commands}, note)

    def trim(self, topic: str, partition: int, before: int) -> None:
        name = (topic, partition)
        db = self._db()
        first_id = self._ids[name] << OFFSET_BITS
        begin, end = self._range(name)
        if before > end:
            raise OffsetOutOfRangeError(topic, partition, before, begin, end)
        deleted = _TRIM_RECORDS
        # In short transactions, so that nobody waits long behind a large trim.
        while deleted == _TRIM_RECORDS:
            with write_transaction(db, self._path):
                db.execute(
                    "UPDATE partitions SET first_offset = max(first_offset, ?) WHERE id = ?",
                    (before, self._ids[name]),
                )
                deleted = db.execute(
                    "DELETE FROM records WHERE id IN "
                    "(SELECT id FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?)",
                    (first_id, first_id + before, _TRIM_RECORDS),
                ).rowcount

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            db = open_log(self._path, self._service)
            with translated(self._path):
                rows = db.execute("SELECT id, topic, partition FROM partitions").fetchall()
            self._ids = {(topic, partition): row_id for row_id, topic, partition in rows}
            (self._count,) = db.execute("SELECT partitions FROM service").fetchone()
            self._connection = db
        return self._connection
