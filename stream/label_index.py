"""The labels that one shard has applied, in a temporary file: each found by its event's id.

A service may have more labels than memory holds, so they lie in a SQLite file that is gone with
the index. Which label was joined to which event is not worked out anew: every label that was read
and has no dead letter was applied, or waits for its event.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import orjson

from consumers.decoding import LabelDecoder, Value
from consumers.errors import RejectedError
from consumers.merge import merge_time_ms
from consumers.record import Record
from consumers.transport import Log
from learners.errors import InvalidLabelError
from learners.tasks import Task
from stream.commands import SkipRange

CACHE_KB = 32_000
"""So much of the index SQLite keeps in memory."""

_BATCH = 2_000


class FoundLabel(NamedTuple):
    """A label as it was applied; `at_ms` is the merge time of its record: when it came."""

    offset: int
    at_ms: int
    label: Value
    annotator: str | None


class Letter(NamedTuple):
    """Why a record of an input could not be used."""

    reason: str
    detail: str


class LabelIndex:
    """The labels of one shard by id, and the dead letters of its events by offset.

    A context manager: the file is there while it is open. `clock_ms` is the highest merge time of
    the labels, 0 without any; `lost` counts the labels that became dead letters, by reason.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="driftline-labels-")
        self._db = sqlite3.connect(Path(self._folder.name) / "index.db", isolation_level=None)
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            "locking_mode = EXCLUSIVE",
            f"cache_size = -{CACHE_KB}",
        ):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(
            "CREATE TABLE labels (offset INTEGER PRIMARY KEY, id TEXT, at INTEGER, label BLOB,"
            " annotator TEXT);"
            "CREATE TABLE letters (topic TEXT, offset INTEGER, reason TEXT, detail TEXT,"
            " PRIMARY KEY (topic, offset)) WITHOUT ROWID;"
        )
        self._taken = bytearray()
        self._begin = 0
        self.clock_ms = 0
        self.lost: Counter[str] = Counter()

    def __enter__(self) -> LabelIndex:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()
        self._folder.cleanup()

    def read(
        self,
        log: Log,
        shard: int,
        end: int,
        task: Task,
        skips: Sequence[SkipRange] = (),
        *,
        max_bytes: int,
    ) -> None:
        """Reads the labels below offset `end`, `skips` excepted, and all dead letters.

        Call it once. A bit of memory is kept for each label, all else on disk.
        """
        self._begin = begin = log.begin_offset("labels", shard)
        self._taken = bytearray((max(0, end - begin) + 7) // 8)
        self._db.execute("BEGIN")
        self._insert_all("letters", 4, _letters(log, shard))
        records = log.read("labels", shard, begin, end) if begin < end else iter(())
        self._insert_all("labels", 5, self._labels(records, task, skips, max_bytes))
        self.lost.update(
            dict(
                self._db.execute(
                    "SELECT reason, count(*) FROM letters WHERE topic = 'labels' GROUP BY 1"
                )
            )
        )
        self._db.execute(
            "DELETE FROM labels WHERE offset IN (SELECT offset FROM letters WHERE topic = 'labels')"
        )
        self._db.execute("CREATE INDEX by_id ON labels (id, offset)")
        self._db.execute("COMMIT")

    def take(self, wanted: Sequence[tuple[str, int]]) -> list[list[FoundLabel]]:
        """The labels of events, in the order in which they came: for each (id, last ms) those that
        came by then and that no event before took; to be asked in the order of the events."""
        found: dict[str, list[FoundLabel]] = defaultdict(list)
        rows = self._db.execute(
            "SELECT id, offset, at, label, annotator FROM labels"
            " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY offset",
            (orjson.dumps([name for name, _ in wanted]).decode(),),
        )
        for name, offset, at_ms, label, annotator in rows:
            found[name].append(FoundLabel(offset, at_ms, orjson.loads(label), annotator))
        return [
            [one for one in found[name] if one.at_ms <= until_ms and self._take(one.offset)]
            if name in found
            else []
            for name, until_ms in wanted
        ]

    def letter(self, topic: str, offset: int) -> Letter | None:
        """Why a record could not be used; None if it has no dead letter."""
        row = self._db.execute(
            "SELECT reason, detail FROM letters WHERE topic = ? AND offset = ?", (topic, offset)
        ).fetchone()
        return None if row is None else Letter(*row)

    def values(self) -> Iterator[Value]:
        """Each value that a label has, once."""
        for (label,) in self._db.execute("SELECT DISTINCT label FROM labels"):
            yield orjson.loads(label)

    def left(self) -> Iterator[tuple[str, FoundLabel]]:
        """The labels that no event has taken, each with its id: those that wait for their event."""
        rows = self._db.execute("SELECT id, offset, at, label, annotator FROM labels")
        for name, offset, at_ms, label, annotator in rows:
            place, bit = divmod(offset - self._begin, 8)
            if not self._taken[place] & 1 << bit:
                yield name, FoundLabel(offset, at_ms, orjson.loads(label), annotator)

    def _take(self, offset: int) -> bool:
        """Whether a label is still free; from now on it is not."""
        place, bit = divmod(offset - self._begin, 8)
        free = not self._taken[place] & 1 << bit
        self._taken[place] |= 1 << bit
        return free

    def _labels(
        self,
        records: Iterable[Record],
        task: Task,
        skips: Sequence[SkipRange],
        max_bytes: int,
    ) -> Iterator[tuple[object, ...]]:
        decode, label_of = LabelDecoder(max_bytes).decode, task.label
        for record in records:
            at_ms = merge_time_ms(record)
            if at_ms > self.clock_ms:
                self.clock_ms = at_ms
            if skips and any(skip.holds("labels", *record[1:3]) for skip in skips):
                continue
            try:
                found = decode(record)
                label = label_of(found.label)
            except (RejectedError, InvalidLabelError):
                continue  # it has a dead letter
            yield record.offset, found.id, at_ms, orjson.dumps(label), found.annotator

    def _insert_all(self, table: str, width: int, rows: Iterator[tuple[object, ...]]) -> None:
        marks = ", ".join("?" * width)
        while batch := list(islice(rows, _BATCH)):
            self._db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", batch)


def _letters(log: Log, shard: int) -> Iterator[tuple[object, ...]]:
    begin, end = log.begin_offset("dead-letters", shard), log.end_offset("dead-letters", shard)
    for record in log.read("dead-letters", shard, begin, end):
        said = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        try:
            yield said["topic"], int(said["offset"]), said["reason"], said["detail"]
        except (KeyError, ValueError):
            continue  # driftline dead-letters list says so
