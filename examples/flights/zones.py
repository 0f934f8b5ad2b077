"""Local clock times to instants, for whole columns at once.

A clock changes at full hours of local time, so the offset is looked up once for each distinct pair
of zone and hour and not for each of the year's 336,776 flights.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


def to_utc_ms(local_ms: Ints, zones: NDArray[np.str_]) -> Ints:
    """Gives the instants (ms since the epoch) at which clocks in `zones` show `local_ms`.

    `local_ms` is clock time counted as if the clock were UTC; `zones` are IANA names, one for each
    value. An hour that the clock shows twice in autumn is its first showing; one that it skips in
    spring is taken at the offset before.
    """
    return local_ms - _offsets(local_ms, zones, local=True)


def to_local_ms(utc_ms: Ints, zones: NDArray[np.str_]) -> Ints:
    """Gives what clocks in `zones` show at the instants `utc_ms` (inverse of `to_utc_ms`)."""
    return utc_ms + _offsets(utc_ms, zones, local=False)


def _offsets(at_ms: Ints, zones: NDArray[np.str_], *, local: bool) -> Ints:
    names, name_of = np.unique(zones, return_inverse=True)
    hours, hour_of = np.unique(at_ms // HOUR_MS, return_inverse=True)
    cells, cell_of = np.unique(name_of * len(hours) + hour_of, return_inverse=True)
    tables = [ZoneInfo(str(name)) for name in names]
    offsets = np.empty(len(cells), dtype=np.int64)
    for i, cell in enumerate(cells):
        zone, hour = tables[cell // len(hours)], int(hours[cell % len(hours)])
        naive = datetime.fromtimestamp(hour * 3600, UTC).replace(tzinfo=None)
        at = naive.replace(tzinfo=zone) if local else naive.replace(tzinfo=UTC).astimezone(zone)
        offset = at.utcoffset()
        assert offset is not None, f"{names[cell // len(hours)]} gives no offset"
        offsets[i] = round(offset.total_seconds()) * 1000
    return offsets[cell_of]
