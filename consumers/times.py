"""Times as messages write them, to and from milliseconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

MAX_TIME_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, in UTC."""

# RFC 3339, section 5.6. The shape is checked here because datetime.fromisoformat takes more
# (weeks, dates alone, 24:00), and not the same more in every version of Python.
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(Z|z|[+-](?:[01][0-9]|2[0-3]):[0-9]{2})?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_match = _RFC3339.fullmatch
_from_iso = datetime.fromisoformat


def parse_time_ms(value: object) -> int:
    """The time as milliseconds since the epoch, from RFC 3339 text or epoch milliseconds.

    Text must carry its offset or Z; digits beyond the millisecond are cut off. Numbers must be
    whole; booleans are not numbers. Takes 1970 up to the end of 9999. Raises ValueError naming the
    constraint and the value. 0.75 µs for text.
    """
    if type(value) is str:
        match = _match(value)
        if match is None:
            raise ValueError(f"must be RFC 3339 or epoch milliseconds, not {_shown(value)}")
        offset = match[1]
        if offset is None:
            raise ValueError(f"must carry its offset from UTC, or Z, not {_shown(value)}")
        try:
            since = _from_iso(value if offset != "z" else value[:-1] + "Z") - _EPOCH
        except ValueError:
            raise ValueError(f"must be a time that exists, not {_shown(value)}") from None
        time_ms = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    elif type(value) is int:
        time_ms = value
    elif type(value) is float:
        if not value.is_integer():
            raise ValueError(f"must be whole milliseconds, not {value!r}")
        time_ms = int(value)
    else:
        raise ValueError(
            f"must be RFC 3339 or epoch milliseconds, not of type {type(value).__name__}"
        )
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise ValueError(f"must lie between 1970 and the end of 9999, not at {_shown(value)}")
    return time_ms


def format_time(time_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, such as `2013-01-01T05:00:00.000Z`.

    Raises OverflowError beyond the year 9999.
    """
    minute, rest_ms = divmod(time_ms, 60_000)
    second, millisecond = divmod(rest_ms, 1000)
    return f"{_minute_text(minute)}:{second:02d}.{millisecond:03d}Z"


# A stream stays in its minutes for long: 0.6 instead of 1.9 µs a time.
@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    day, minute_of_day = divmod(minute, 1440)
    hour, minute_of_hour = divmod(minute_of_day, 60)
    return f"{_day_text(day)}T{hour:02d}:{minute_of_hour:02d}"


@lru_cache(maxsize=1024)
def _day_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:80] + "…"
