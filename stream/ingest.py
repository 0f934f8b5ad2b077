"""Ingest: the rows of a file onto the events and labels topics, resumable.

Each record carries the merge time that its row gives (`driftline-time`), the file it comes from and
its number in the merged order of events and labels. A batch is appended to all its partitions at
once or not at all, so the highest number on the log says how far an earlier run came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import NamedTuple

from consumers.partitioning import partition_for
from consumers.record import NewRecord, Record
from consumers.transport import Log
from stream.configuration import Configuration
from stream.errors import ConfigurationError
from stream.file_stream import LabelSource, check_source, merged_records, with_labels

BATCH_RECORDS = 2_000
TIME_HEADER = "driftline-time"
ROW_HEADER = "driftline-row"
FILE_HEADER = "driftline-file"

_LOOK_BACK = 1_000


def ingest(
    log: Log,
    configuration: Configuration,
    path: Path,
    labels: LabelSource,
    *,
    rate: float | None = None,
    until_ms: int | None = None,
    on_progress: Callable[[int, int], None] = lambda written, skipped: None,
) -> tuple[int, int]:
    """Appends what the log lacks of a file; gives how many records it wrote and skipped.

    Parameters
    ----------
    rate
        Records a second at most; None as fast as the log takes them.
    until_ms
        Leave out the first record whose time is not before this, and all after it; another run
        goes on from there.
    on_progress
        Called after each batch with the records written and skipped so far.

    Raises
    ------
    ConfigurationError
        The labels cannot be joined to the events as configured, or the file no longer holds what
        an earlier run took from it.
    FileError, LogError
        The file cannot be read, or the log cannot be written.
    """
    labels = check_ingest(configuration, path, labels)
    timed = configuration.events.time is not None
    partitions = log.partitions()
    merged = merged_records(configuration, path, labels)
    first = next(merged)
    name = _name_of(path, first[1])
    last = _last_taken(log, partitions, name)
    records = enumerate(
        takewhile(lambda one: until_ms is None or one[0] < until_ms, chain([first], merged))
    )
    skipped = 0
    for number, (_, record) in islice(records, 0 if last is None else last.number + 1):
        skipped += 1
        if last is not None and number == last.number and not last.equals(record):
            # Going on by number would leave out rows and repeat labels: those of a file that grew
            # stand elsewhere in the merged order.
            raise ConfigurationError(
                f"{path} was ingested up to its record {number}, which is another one now",
                "give the file and the label options as they were, or give what is new as a file "
                "with a name of its own",
            )
    written = 0
    started = time.monotonic()
    size = BATCH_RECORDS if rate is None else max(1, min(BATCH_RECORDS, round(rate / 10)))
    while batch := list(islice(records, size)):
        log.append([_addressed(at, item, partitions, name, timed) for at, (_, item) in batch])
        written += len(batch)
        on_progress(written, skipped)
        if rate is not None:
            time.sleep(max(0.0, started + written / rate - time.monotonic()))
    return written, skipped


def check_ingest(configuration: Configuration, path: Path, labels: LabelSource) -> LabelSource:
    """The label source as it is ingested, before anything is written.

    Raises
    ------
    ConfigurationError
        The service would not find the labels where they are put.
    FileError
        The file cannot be read, holds no rows or lacks a column.
    """
    _check_labels(configuration, labels)
    if labels.is_late:
        _, labels = with_labels(configuration, labels)
    check_source(configuration, path, labels)
    return labels


def _check_labels(configuration: Configuration, labels: LabelSource) -> None:
    events = configuration.events
    if not labels.is_late:
        if labels.column is not None and labels.column != events.label:
            raise ConfigurationError(
                f"labels in the rows come from `events.label: {events.label or 'null'}`, "
                f"not from {labels.column!r}",
                f"set `events.label: {labels.column}`, or give --label-time or --label-delay",
            )
        return
    if events.label is not None:
        raise ConfigurationError(
            f"`events.label` is {events.label!r}, so labels come with their events",
            "set `events.label: null` for labels that come later",
        )
    if events.id is None:
        raise ConfigurationError(
            "labels that come later are joined by id, and `events.id` is null",
            "name the column that identifies an event in `events.id`",
        )


def _addressed(
    number: int, record: Record, partitions: int, name: bytes, timed: bool
) -> tuple[str, int, NewRecord]:
    """A record with its partition and headers; without a key it goes round in turn.

    Rows without times of their own come when they are appended.
    """
    key = record.key
    partition = number % partitions if key is None else partition_for(key, partitions)
    headers = [(ROW_HEADER, b"%d" % number), (FILE_HEADER, name)]
    if timed:
        headers.append((TIME_HEADER, b"%d" % record.timestamp_ms))
    return record.topic, partition, NewRecord(record.value, key, tuple(headers))


def _name_of(path: Path, first: Record) -> bytes:
    """What a file is known by: its name and its first row, since names come again every day and a
    file that grows is still the same."""
    return f"{path.name}:{sha256(first.value or b'').hexdigest()[:12]}".encode()


class _Taken(NamedTuple):
    """A record of a file as it is on the log."""

    number: int
    topic: str
    value: bytes | None

    def equals(self, record: Record) -> bool:
        return (self.topic, self.value) == (record.topic, record.value)


def _last_taken(log: Log, partitions: int, name: bytes) -> _Taken | None:
    """The last record of this file that the log has; None if it has none."""
    found = [
        last
        for topic in ("events", "labels")
        for partition in range(partitions)
        if (last := _last_in(log, topic, partition, name)) is not None
    ]
    return max(found, key=lambda taken: taken.number, default=None)


def _last_in(log: Log, topic: str, partition: int, name: bytes) -> _Taken | None:
    for records in _backwards(log, topic, partition):
        last = None
        for record in records:
            headers = dict(record.headers)
            if headers.get(FILE_HEADER) == name:
                last = _Taken(int(headers[ROW_HEADER]), topic, record.value)
        if last is not None:
            return last
    return None


def _backwards(log: Log, topic: str, partition: int) -> Iterator[Iterator[Record]]:
    """The records in windows from the end on, each twice the one before; in order within one."""
    begin, end = log.begin_offset(topic, partition), log.end_offset(topic, partition)
    window = _LOOK_BACK
    while end > begin:
        start = max(begin, end - window)
        yield log.read(topic, partition, start, end)
        end, window = start, window * 2
