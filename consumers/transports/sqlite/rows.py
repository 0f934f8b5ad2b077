"""Records as rows: headers in one blob, partitions as ranges of ids, reading in bounded pieces."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from consumers.record import Headers, NewRecord, Record
from consumers.transports.sqlite.file import OFFSET_BITS

Row = tuple[int, int, bytes | None, bytes | None, bytes | None]

MAX_PIECE_BYTES = 16_000_000
_PIECE_RECORDS = 64
_INSERT = "INSERT INTO records (id, timestamp_ms, key, value, headers) VALUES (?, ?, ?, ?, ?)"
_SELECT = (
    "SELECT id, timestamp_ms, key, value, headers FROM records "
    "WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
)


def encode_headers(headers: Headers) -> bytes | None:
    """Names and values with NUL between them, NUL and SOH within them escaped; None for none."""
    if not headers:
        return None
    parts: list[bytes] = []
    for name, value in headers:
        parts += (name.encode(), value)
    encoded = b"\0".join(parts)
    if b"\1" in encoded or encoded.count(b"\0") != len(parts) - 1:
        return b"\0".join(part.replace(b"\1", b"\1\3").replace(b"\0", b"\1\2") for part in parts)
    return encoded


def decode_headers(encoded: bytes | None) -> Headers:
    """What `encode_headers` was given; 0.7 µs for two headers, half of what JSON takes."""
    if encoded is None:
        return ()
    parts = encoded.split(b"\0")
    if b"\1" in encoded:
        parts = [part.replace(b"\1\2", b"\0").replace(b"\1\3", b"\1") for part in parts]
    pairs = iter(parts)
    return tuple([(str(name, "utf-8"), value) for name, value in zip(pairs, pairs, strict=True)])


def insert(
    db: sqlite3.Connection,
    partition_id: int,
    first_offset: int,
    records: Sequence[NewRecord],
    stamp_ms: int,
) -> None:
    """Writes records of one partition from `first_offset` on, inside a transaction."""
    first_id = (partition_id << OFFSET_BITS) + first_offset
    db.executemany(
        _INSERT,
        [
            (
                row_id,
                stamp_ms if timestamp_ms is None else timestamp_ms,
                key,
                value,
                encode_headers(headers) if headers else None,
            )
            for row_id, (value, key, headers, timestamp_ms) in enumerate(records, first_id)
        ],
    )


def select(
    db: sqlite3.Connection,
    partition_id: int,
    name: tuple[str, int],
    start: int,
    end: int,
    limit: int,
) -> list[Record]:
    """The first records with start <= offset < end: at most `limit`, and few if they are large."""
    first_id = partition_id << OFFSET_BITS
    topic, partition = name
    cursor = db.execute(_SELECT, (first_id + start, first_id + end, limit))
    records: list[Record] = []
    size_bytes = 0
    # The parts of a record straight into the tuple: 0.15 µs instead of 0.35.
    new = tuple.__new__
    while size_bytes < MAX_PIECE_BYTES:
        rows: list[Row] = cursor.fetchmany(_PIECE_RECORDS)
        if not rows:
            break
        for row_id, timestamp_ms, key, value, headers in rows:
            if value is not None:
                size_bytes += len(value)
            records.append(
                new(
                    Record,
                    (
                        topic,
                        partition,
                        row_id - first_id,
                        timestamp_ms,
                        key,
                        value,
                        () if headers is None else decode_headers(headers),
                    ),
                )
            )
    cursor.close()
    return records
