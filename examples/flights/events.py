"""The stream of flights: one event at each scheduled departure, with only what was known by then.

    python -m examples.flights.events var/flights.parquet

Leaks that never enter: the departure and its delay, the air time, everything about the arrival,
and whether a tail number is missing (it is missing only for cancelled flights, so a missing plane
looks like an unregistered one).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from examples.flights import windows
from examples.flights.source import Flights, Planes, Weather, Year, read_year
from examples.flights.zones import DAY_MS, HOUR_MS, MINUTE_MS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Texts = NDArray[np.str_]
Column = Ints | Floats | Texts

ID, TIME, LABEL, LABEL_TIME = "flight_id", "scheduled_at", "late", "arrived_at"

# A share or mean of few observations is drawn towards what the whole stream showed until then, as
# if so many observations of that had been seen.
PRIOR_OBSERVATIONS = 5
# The longest delay of the year is 21 hours: one such flight would outweigh a whole hour of traffic.
DELAY_LIMIT_MINUTES = 180.0
DECIMALS = 4  # of means and shares: more would only make every record longer
# Text, because lateness does not grow evenly with either of them.
HOURS = np.array([f"{hour:02}h" for hour in range(24)])
WEEKDAYS = np.array(["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"])  # as the epoch began
UNKNOWN_PLANE = "unknown"
WEATHER_AGE_LIMIT_MS = 6 * HOUR_MS


def table(year: Year) -> pa.Table:
    """Gives one row per flight in order of time: id, time, features, label and the label's time.

    Times are `timestamp[ms, UTC]`; a feature that nobody knew is null; `late` and `arrived_at` are
    null for flights that were cancelled or diverted. Deterministic.
    """
    flights = year.flights
    landed = flights.late >= 0
    columns = {
        ID: pa.array(ids(flights)),
        TIME: _instants(flights.scheduled_ms),
        **{name: _nullable(column) for name, column in features(year).items()},
        LABEL: pa.array(flights.late == 1, mask=~landed),
        LABEL_TIME: _instants(flights.arrived_ms, missing=~landed),
    }
    return pa.table(columns)


def write(path: Path, year: Year | None = None) -> int:
    """Writes `table` as Parquet and gives the number of rows (336,776 for the whole year)."""
    rows = table(read_year() if year is None else year)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, compression="zstd")
    return int(rows.num_rows)


def ids(flights: Flights) -> Texts:
    """Gives ids such as `2013-01-01-UA-1545-EWR` (the day in New York), unique in the year."""
    day = (flights.local_ms // DAY_MS).astype("datetime64[D]").astype(np.str_)
    parts = (day, flights.carrier, flights.number.astype(np.str_), flights.origin)
    return np.array(["-".join(row) for row in zip(*parts, strict=True)])


def features(year: Year) -> dict[str, Column]:
    """Gives the features by name, each a column in the order of the flights; NaN: nobody knew."""
    flights = year.flights
    return {
        **timetable(flights),
        **plane(flights, year.planes),
        **weather(flights, year.weather),
        **traffic(flights),
    }


def timetable(flights: Flights) -> dict[str, Column]:
    """Gives what stands in the timetable: who flies where and when, on the clock in New York."""
    return {
        "carrier": flights.carrier,
        "origin": flights.origin,
        "dest": flights.dest,
        "hour": HOURS[flights.local_ms % DAY_MS // HOUR_MS],
        "weekday": WEEKDAYS[(flights.local_ms // DAY_MS) % 7],
        "distance": flights.distance_miles,
        "duration": (flights.scheduled_arrival_ms - flights.scheduled_ms) // MINUTE_MS,
    }


def plane(flights: Flights, planes: Planes) -> dict[str, Column]:
    """Gives the model of the plane; `unknown` for an unregistered and for a missing one alike."""
    found = np.minimum(np.searchsorted(planes.tail, flights.tail), len(planes.tail) - 1)
    known = planes.tail[found] == flights.tail
    return {"plane": np.where(known, planes.model[found], UNKNOWN_PLANE)}


def weather(flights: Flights, observed: Weather) -> dict[str, Column]:
    """Gives the previous hour's observation at the origin; a missing one may be six hours older.

    It is stamped with its full hour, so flights at 17:00 and at 17:59 both see that of 16:00.
    """
    latest_ms = flights.scheduled_ms // HOUR_MS * HOUR_MS - HOUR_MS
    columns = {name: np.full(len(flights), np.nan) for name in observed.readings}
    for origin in np.unique(flights.origin):
        asked = flights.origin == origin
        own = np.flatnonzero(observed.origin == origin)
        times = observed.observed_ms[own]
        row = np.searchsorted(times, latest_ms[asked], side="right") - 1
        seen = (row >= 0) & (latest_ms[asked] - times[row] < WEATHER_AGE_LIMIT_MS)
        for name, readings in observed.readings.items():
            columns[name][asked] = np.where(seen, readings[own[row]], np.nan)
    return dict(columns)


def traffic(flights: Flights) -> dict[str, Column]:
    """Gives how the day has gone so far: who landed late, left late or has not left yet."""
    at, origin, carrier = flights.scheduled_ms, flights.origin, flights.carrier
    landed = flights.take(np.flatnonzero(flights.late >= 0))
    landings = (landed.arrived_ms, landed.late.astype(np.float64))
    left = flights.take(np.flatnonzero(flights.departed_ms >= 0))
    delays = np.minimum(left.departure_delay_minutes, DELAY_LIMIT_MINUTES)
    departures = (left.departed_ms, delays)
    usual_share = _mean(windows.within(*landings, at, 400 * DAY_MS))
    usual_delay = _mean(windows.within(*departures, at, 400 * DAY_MS))

    def share(sums: windows.Sums) -> Floats:
        return _drawn(sums, usual_share)

    def delay(sums: windows.Sums) -> Floats:
        return _drawn(sums, usual_delay)

    day = 2 * HOUR_MS
    timetable_end = np.where(flights.departed_ms >= 0, flights.departed_ms, at + day)
    overdue = windows.open_at(at, np.minimum(timetable_end, at + day), origin, at, origin)
    due = windows.by_group(at, np.ones(len(at)), origin, at, origin, width_ms=day).counts
    return {
        "late_2h": share(windows.within(*landings, at, 2 * HOUR_MS)),
        "late_origin_2h": share(
            windows.by_group(*landings, landed.origin, at, origin, width_ms=2 * HOUR_MS)
        ),
        "late_carrier": share(windows.by_group(*landings, landed.carrier, at, carrier, count=30)),
        "late_dest": share(windows.by_group(*landings, landed.dest, at, flights.dest, count=20)),
        "delay_1h": delay(windows.within(*departures, at, HOUR_MS)),
        "delay_origin_1h": delay(
            windows.by_group(*departures, left.origin, at, origin, width_ms=HOUR_MS)
        ),
        "delay_carrier_2h": delay(
            windows.by_group(*departures, left.carrier, at, carrier, width_ms=2 * HOUR_MS)
        ),
        "overdue": np.round(overdue / (due + PRIOR_OBSERVATIONS), DECIMALS),
    }


def _mean(sums: windows.Sums) -> Floats:
    return np.divide(sums.totals, np.maximum(sums.counts, 1))


def _drawn(sums: windows.Sums, towards: Floats) -> Floats:
    drawn = (sums.totals + PRIOR_OBSERVATIONS * towards) / (sums.counts + PRIOR_OBSERVATIONS)
    return np.round(drawn, DECIMALS)


def _nullable(column: Column) -> pa.Array:
    return pa.array(column, from_pandas=True)


def _instants(times_ms: Ints, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(times_ms, type=pa.timestamp("ms", tz="UTC"), mask=missing)


if __name__ == "__main__":
    count = write(Path(sys.argv[1]))
    print(f"{count:,} flights written to {sys.argv[1]}")
