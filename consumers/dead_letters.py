"""Dead letters: records that could not be used, as they came, with the reason."""

from __future__ import annotations

from hashlib import sha256

from consumers.record import NewRecord, Record

_FORMAT = 1
_MAX_DETAIL_CHARACTERS = 500


def dead_letter(record: Record, reason: str, detail: str, max_bytes: int) -> NewRecord:
    """The record's dead letter: its key and value to the byte, and where it came from.

    Headers, in UTF-8: `format`, `reason` (a code), `detail` (for people, at most 500 characters),
    `topic` (events, labels or commands), `partition`, `offset`. A value above `max_bytes` is cut
    to its first `max_bytes`; then `size_bytes` and `sha256` (hexadecimal) are those of the whole.
    """
    value = record.value
    headers = [
        ("format", str(_FORMAT)),
        ("reason", reason),
        ("detail", detail[:_MAX_DETAIL_CHARACTERS]),
        ("topic", record.topic),
        ("partition", str(record.partition)),
        ("offset", str(record.offset)),
    ]
    if value is not None and len(value) > max_bytes:
        headers += [("size_bytes", str(len(value))), ("sha256", sha256(value).hexdigest())]
        value = value[:max_bytes]
    return NewRecord(
        value=value,
        key=record.key,
        headers=tuple((name, text.encode("utf-8", "replace")) for name, text in headers),
    )
