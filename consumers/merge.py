"""The merged order of a shard's events and labels, and how much of it is certain already.

At each point the input whose next record has the lower merge time goes first, events before labels
when equal. An input's own order never changes, also where its times go back. Since only the next
records of the inputs decide, cutting the merged order anywhere and merging the pieces gives the
same order again: live steps of any size, and recovery by ranges, see the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from consumers.record import Record

MERGED = ("events", "labels")
"""The inputs that are merged, first in a tie first. Commands are none of them: they go first."""

TIME_HEADER = "driftline-time"

_MAX_TIME_DIGITS = 15

TimedRecord = tuple[int, Record]
"""A record with its merge time, milliseconds since the epoch."""


class Taken(NamedTuple):
    """The next consecutive piece of the merged order.

    `counts` says how many records of each input it holds, from the start of its buffer; `merged`
    is `merge` of just these.
    """

    counts: dict[str, int]
    merged: list[TimedRecord]


def merge_time_ms(record: Record) -> int:
    """The record's merge time, milliseconds since the epoch.

    That is its header `driftline-time` (decimal digits, ASCII) if there is one, well formed and
    not later than the record's timestamp; else that timestamp. Of several the first counts.
    """
    for name, value in record.headers:
        if name == TIME_HEADER:
            if value.isdigit() and len(value) <= _MAX_TIME_DIGITS:
                time_ms = int(value)
                if time_ms <= record.timestamp_ms:
                    return time_ms
            break
    return record.timestamp_ms


def merge(inputs: Mapping[str, Sequence[Record]]) -> list[TimedRecord]:
    """All records of `events` and `labels` in merged order, each with its merge time.

    0.15 µs a record when only one input has any, 0.4 µs with the time header, 0.3 and 0.6 µs when
    both have.
    """
    return take(inputs, sum(map(len, inputs.values()))).merged


def take(
    buffers: Mapping[str, Sequence[Record]], limit: int, waiting_for: Collection[str] = ()
) -> Taken:
    """The longest certain piece of the merged order from here, of at most `limit` records.

    `buffers` holds for each input, in its own order, what was fetched and not yet taken: lists, or
    others with fast indexing. `waiting_for` names the inputs that may still give records that
    belong before those buffered elsewhere; such an input ends the piece once its buffer is used
    up. All others are taken as being at their end. Taking again after more has been fetched goes
    on with the same merged order.
    """
    assert limit >= 0
    assert all(name in MERGED for name in buffers), f"only {MERGED} are merged, not {list(buffers)}"
    events = buffers.get("events", ())
    labels = buffers.get("labels", ())
    if not labels:
        merged = [] if "labels" in waiting_for else _timed(events[:limit])
        return Taken({"events": len(merged), "labels": 0}, merged)
    if not events:
        merged = [] if "events" in waiting_for else _timed(labels[:limit])
        return Taken({"events": 0, "labels": len(merged)}, merged)
    return _take_two(
        events, labels, limit, "events" not in waiting_for, "labels" not in waiting_for
    )


def _timed(records: Sequence[Record]) -> list[TimedRecord]:
    return [
        (merge_time_ms(record) if record.headers else record.timestamp_ms, record)
        for record in records
    ]


def _take_two(
    events: Sequence[Record],
    labels: Sequence[Record],
    limit: int,
    events_ended: bool,
    labels_ended: bool,
) -> Taken:
    event, label = events[0], labels[0]
    event_ms, label_ms = merge_time_ms(event), merge_time_ms(label)
    event_count, label_count = 0, 0
    events_size, labels_size = len(events), len(labels)
    merged: list[TimedRecord] = []
    append = merged.append
    for _ in range(limit):
        if event_ms <= label_ms:
            append((event_ms, event))
            event_count += 1
            if event_count == events_size:
                if events_ended:
                    rest = labels[label_count : label_count + limit - len(merged)]
                    merged += _timed(rest)
                    label_count += len(rest)
                break
            event = events[event_count]
            event_ms = merge_time_ms(event) if event.headers else event.timestamp_ms
        else:
            append((label_ms, label))
            label_count += 1
            if label_count == labels_size:
                if labels_ended:
                    rest = events[event_count : event_count + limit - len(merged)]
                    merged += _timed(rest)
                    event_count += len(rest)
                break
            label = labels[label_count]
            label_ms = merge_time_ms(label) if label.headers else label.timestamp_ms
    return Taken({"events": event_count, "labels": label_count}, merged)
