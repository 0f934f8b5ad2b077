"""A file as a stream: its rows as records of the events and labels topics, in the order of their
times.

File order is event order. With a label time or delay, labels are records of their own, sorted by
the time at which each became known, then by row; both are merged by the time of their heads, events
first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import orjson

from consumers.errors import RejectedError
from consumers.files import read_rows
from consumers.record import Record
from consumers.times import parse_time_ms
from stream.configuration import Configuration
from stream.errors import ConfigurationError

Value = bool | int | float | str
Row = dict[str, Value | None]


@dataclass(frozen=True, slots=True)
class LabelSource:
    """Where a file's labels are, and when they became known: by a column, after a delay, or
    (neither) at once."""

    column: str | None = None
    time_column: str | None = None
    delay: timedelta | None = None

    @property
    def is_late(self) -> bool:
        """Whether labels come apart from their events."""
        return self.time_column is not None or self.delay is not None


def check_source(configuration: Configuration, path: Path, labels: LabelSource) -> None:
    """Reads the head of the file: FileError unless it has rows, and every column that is named."""
    _rows(configuration, path, labels)


def with_labels(
    configuration: Configuration, labels: LabelSource
) -> tuple[Configuration, LabelSource]:
    """The configuration and label source made to agree: at once means inline, late means apart."""
    events = configuration.events
    column = labels.column or events.label
    if labels.is_late and column is None:
        raise ConfigurationError(
            "a label time or delay was given, but no label", "name the column with --label COLUMN"
        )
    if labels.delay is not None and events.time is None:
        raise ConfigurationError(
            "a label delay counts from the events' time, and `events.time` is null",
            "name the time column in `events.time`",
        )
    if labels.time_column is not None and events.time is None:
        raise ConfigurationError(
            "label times are compared with the events' time, and `events.time` is null",
            "name the time column in `events.time`",
        )
    if column is not None and column in (events.id, events.time, labels.time_column):
        raise ConfigurationError(
            f"a label needs a column of its own, and {column!r} has another part already",
            "see `events.id`, `events.time` and --label-time",
        )
    inline = None if labels.is_late else column
    events = events.model_copy(update={"label": inline})
    return (
        configuration.model_copy(update={"events": events}),
        LabelSource(column, labels.time_column, labels.delay),
    )


def merged_records(
    configuration: Configuration, path: Path, labels: LabelSource
) -> Iterator[tuple[int, Record]]:
    """Events in file order and late labels in time order, merged by the time of their heads, events
    first."""
    late = _late_labels(configuration, path, labels) if labels.is_late else iter(())
    label = next(late, None)
    for event in _events(configuration, path, labels):
        while label is not None and label.timestamp_ms < event.timestamp_ms:
            yield label.timestamp_ms, label
            label = next(late, None)
        yield event.timestamp_ms, event
    while label is not None:
        yield label.timestamp_ms, label
        label = next(late, None)


def _rows(configuration: Configuration, path: Path, labels: LabelSource) -> Iterator[Row]:
    features = configuration.events.features or ()
    return read_rows(path, [*_roles(configuration, labels), *features])


def _roles(configuration: Configuration, labels: LabelSource) -> list[str]:
    """The columns that have a part of their own."""
    events = configuration.events
    roles = (events.id, events.time, events.key, events.label, labels.column, labels.time_column)
    return [column for column in roles if column is not None]


def _events(configuration: Configuration, path: Path, labels: LabelSource) -> Iterator[Record]:
    events = configuration.events
    # What is known only later must not be learnt from.
    later = (labels.column, labels.time_column) if labels.is_late else ()
    hidden = [name for name in later if name and name not in (events.id, events.time)]
    clock_ms = 0
    for number, row in enumerate(_rows(configuration, path, labels)):
        clock_ms = _time_of(row, events.time, number, clock_ms)
        key = _key_of(row, configuration)
        for name in hidden:
            row.pop(name, None)
        yield Record("events", 0, number, clock_ms, key, orjson.dumps(row))


def _late_labels(configuration: Configuration, path: Path, labels: LabelSource) -> Iterator[Record]:
    """The labels as records of the labels topic, sorted by the time at which each became known,
    then by row.

    All of them are in memory, some 300 bytes each. Plain tuples of plain values, since those alone
    does the garbage collector leave out of its rounds.
    """
    events = configuration.events
    column, time_column = labels.column, labels.time_column
    assert column is not None, "late labels have a column"
    delay_ms = 0 if labels.delay is None else int(labels.delay.total_seconds() * 1000)
    found: list[tuple[int, int, bytes | None, bytes]] = []
    clock_ms = 0
    rows = read_rows(path, _roles(configuration, labels), only_required=True)
    for number, row in enumerate(rows):
        clock_ms = _time_of(row, events.time, number, clock_ms)
        value = row.get(column)
        if value is None:
            continue
        event_id = f"0-{number}" if events.id is None else row.get(events.id)
        if event_id is None:
            continue
        body: Row = {"id": event_id, "label": value}
        known_ms = clock_ms + delay_ms
        if time_column is not None:
            given = row.get(time_column)
            if given is None:
                continue
            known_ms = _time_of(row, time_column, number, clock_ms)
            body["time"] = given
        # A copy, since orjson's own bytes keep the 4 kB of the buffer that they were written in.
        encoded = bytes(memoryview(orjson.dumps(body)))
        found.append((known_ms, number, _key_of(row, configuration), encoded))
    found.sort(key=lambda label: label[:2])
    for offset, (known_ms, _, key, encoded) in enumerate(found):
        yield Record("labels", 0, offset, known_ms, key, encoded)


def _key_of(row: Row, configuration: Configuration) -> bytes | None:
    """The key of a row's event and of its label: equal keys lie in equal partitions."""
    events = configuration.events
    key = row.get(events.key or events.id or "")
    return None if key is None else str(key).encode()


def _time_of(row: Row, column: str | None, number: int, before_ms: int) -> int:
    """A row's time in ms; its index in seconds without a column, the row's before it where it
    cannot be read."""
    if column is None:
        return number * 1000
    try:
        return parse_time_ms(row.get(column))
    except (RejectedError, ValueError):
        return before_ms
