"""A record of a log: what a transport reads, and what it is asked to write."""

from __future__ import annotations

from typing import NamedTuple

Headers = tuple[tuple[str, bytes], ...]


class Record(NamedTuple):
    """One committed record, as read from a log.

    `topic` is the role (`events`, `journal` …), never a broker's name for it; only a transport
    knows those. `timestamp_ms` is the log's or the writer's stamp, milliseconds since the epoch.
    Offsets grow within a partition and may have gaps.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class NewRecord(NamedTuple):
    """A record to write. Without `timestamp_ms` it is stamped with the time of writing."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None
