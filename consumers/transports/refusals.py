"""What the embedded logs stamp and refuse, as a Kafka broker would."""

from __future__ import annotations

import time
from collections.abc import Sequence

from consumers.errors import CommitFailedError, RecordRefusedError
from consumers.record import NewRecord
from consumers.transport import INPUTS, MAX_NOTE_BYTES


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def refuse_ahead(
    records: Sequence[tuple[str, int, NewRecord]], now_ms: int, max_ahead_ms: int
) -> None:
    """Raises `RecordRefusedError` for an input's record stamped over `max_ahead_ms` after now.

    Such a record would carry its shard's clock along, and every wait and cooldown with it.
    """
    latest_ms = now_ms + max_ahead_ms
    for topic, _, record in records:
        timestamp_ms = record.timestamp_ms
        if timestamp_ms is not None and timestamp_ms > latest_ms and topic in INPUTS:
            raise RecordRefusedError(
                f"a record of {topic} may be stamped at most {max_ahead_ms} ms ahead of the log's "
                f"clock, not {timestamp_ms - now_ms} ms"
            )


def refuse_long_note(note: str) -> None:
    """Raises `CommitFailedError` for a note that Kafka would refuse."""
    size_bytes = len(note.encode())
    if size_bytes > MAX_NOTE_BYTES:
        raise CommitFailedError(f"a note has at most {MAX_NOTE_BYTES} bytes, not {size_bytes}")
