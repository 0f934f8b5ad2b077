"""The journal read as steps: every entry after a sequence, with the records in its ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consumers.errors import OffsetOutOfRangeError
from consumers.record import Record
from consumers.transport import Log
from stream.commands import SkipRange
from stream.errors import JournalError
from stream.shard import journal
from stream.shard.journal import Entry
from stream.shard.step import Step


class Replay:
    """The journal's entries from a sequence on, each with the step that it describes."""

    def __init__(
        self, log: Log, shard: int, begin: int, end: int, first: Entry, last: Entry
    ) -> None:
        self._log = log
        self._shard = shard
        self._begin = begin
        self._end = end
        self._first = first
        self._last = last

    def entries(self, since: int) -> Iterator[Entry]:
        """The entries from sequence `since` on.

        An entry lies at least as many offsets after the first as it has entries between; control
        records only move it further, so reading starts there and skips what is older.
        """
        start = self._begin + max(0, since - self._first.sequence)
        for entry in journal.read(self._log, self._shard, start, self._end):
            if entry.sequence >= since:
                yield entry

    def steps(self, since: int, without: Sequence[SkipRange] = ()) -> Iterator[tuple[Entry, Step]]:
        """The entries after sequence `since`, with their steps; `without` some records, which then
        have no part in the merged order either."""
        readers: dict[str, _Reader] = {}
        for entry in self.entries(since + 1):
            try:
                if not readers:
                    readers = {
                        topic: _Reader(self._log, topic, self._shard, entry.start[topic], end)
                        for topic, end in self._last.end.items()
                    }
                inputs = {topic: reader.upto(entry.end[topic]) for topic, reader in readers.items()}
                for skip in without:
                    if skip.first < entry.end[skip.topic] and entry.start[skip.topic] <= skip.last:
                        inputs[skip.topic] = [
                            record for record in inputs[skip.topic] if not skip.holds(*record[:3])
                        ]
            except OffsetOutOfRangeError as error:
                raise JournalError(
                    f"replaying shard {self._shard} from entry {entry.sequence} needs "
                    f"{error.topic} offset {error.offset}, and the log begins at {error.begin}",
                    "restore the snapshots' folder or bucket, or the log, from a backup",
                ) from error
            yield entry, Step.of(entry.start, entry.end, inputs, entry.tick_ms)


class _Reader:
    """One input, read once from start to end in the ranges of consecutive entries."""

    def __init__(self, log: Log, topic: str, shard: int, start: int, end: int) -> None:
        self._records = log.read(topic, shard, start, end)
        self._ahead: Record | None = None

    def upto(self, end: int) -> list[Record]:
        """The records before offset `end` that were not given yet."""
        found: list[Record] = []
        if self._ahead is not None:
            if self._ahead.offset >= end:
                return found
            found.append(self._ahead)
            self._ahead = None
        for record in self._records:
            if record.offset >= end:
                self._ahead = record
                break
            found.append(record)
        return found
