"""What an event holds, and that none of it came from its future."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from examples.flights import events
from examples.flights.source import Flights, Year

pytestmark = pytest.mark.xdist_group("flights")

HOUR_MS = 3_600_000
FEATURES = {
    *("carrier", "origin", "dest", "hour", "weekday", "distance", "duration", "plane"),
    *("humidity", "gust", "rain", "visibility"),
    *("late_2h", "late_origin_2h", "late_carrier", "late_dest"),
    *("delay_1h", "delay_origin_1h", "delay_carrier_2h", "overdue"),
}


@pytest.fixture(scope="module")
def winter(year: Year) -> Year:
    """January 20 to February 15, with Nemo and half of all flights cancelled in it."""
    days = year.flights.scheduled_ms.astype("datetime64[ms]").astype("datetime64[D]")
    chosen = (days >= np.datetime64("2013-01-20")) & (days < np.datetime64("2013-02-15"))
    return replace(year, flights=year.flights.take(np.flatnonzero(chosen)))


def test_the_year_has_336776_events_and_327346_labels(rows: pa.Table):
    assert rows.num_rows == 336_776
    assert pc.count(rows["late"]).as_py() == 327_346
    assert pc.count(rows["arrived_at"]).as_py() == 327_346
    assert pc.sum(rows["late"]).as_py() == 80_100


def test_ids_are_unique_and_read_as_the_flight(rows: pa.Table):
    assert len(pc.unique(rows["flight_id"])) == rows.num_rows
    assert "2013-01-01-UA-1545-EWR" in rows["flight_id"].slice(0, 10).to_pylist()


def test_events_come_in_order_of_time(rows: pa.Table):
    times = rows["scheduled_at"].cast(pa.int64()).to_numpy()
    assert (np.diff(times) >= 0).all()


def test_features_are_those_known_at_departure_and_no_others(rows: pa.Table):
    assert set(rows.column_names) == FEATURES | {"flight_id", "scheduled_at", "late", "arrived_at"}


def test_a_missing_plane_looks_like_an_unregistered_one(year: Year, rows: pa.Table):
    # A tail number is missing only for flights that never left.
    missing = year.flights.tail == ""
    planes = rows["plane"].to_numpy(zero_copy_only=False)

    assert (year.flights.departed_ms[missing] == -1).all()
    assert set(planes[missing]) == {"unknown"}
    assert (planes[~missing] == "unknown").sum() > 10 * missing.sum()


def test_only_weather_is_ever_unknown(rows: pa.Table):
    empty = {name for name in FEATURES if rows[name].null_count}
    assert empty <= {"humidity", "gust", "rain", "visibility"}
    assert max(rows[name].null_count for name in FEATURES) < 900


def test_nothing_that_became_known_later_changes_an_event(winter: Year):
    # Whatever was not known by a moment is taken away or falsified; the events up to that moment,
    # flights of the very same minute included, stay as they were.
    honest = events.features(winter)
    rng = np.random.default_rng(7)
    for row in rng.integers(0, len(winter.flights), 12):
        moment_ms = int(winter.flights.scheduled_ms[row])
        falsified = events.features(_without_future(winter, moment_ms))
        past = winter.flights.scheduled_ms <= moment_ms
        for name, column in honest.items():
            # NaN is equal to NaN here: what was unknown stays so.
            np.testing.assert_array_equal(column[past], falsified[name][past], err_msg=name)


def test_what_became_known_just_before_does_change_an_event(winter: Year):
    # The other half of the test above: the features do look at the past.
    honest = events.features(winter)
    moment_ms = int(winter.flights.scheduled_ms[len(winter.flights) // 2])
    falsified = events.features(_without_future(winter, moment_ms - HOUR_MS))
    now = winter.flights.scheduled_ms == moment_ms
    for name in ("late_2h", "delay_1h", "overdue", "rain"):
        column = honest[name][now], falsified[name][now]
        if name != "rain":  # that hour may have been as dry as the falsified one
            assert (column[0] != column[1]).any(), name


def test_traffic_by_brute_force(winter: Year):
    flights = winter.flights
    columns = events.traffic(flights)
    rng = np.random.default_rng(11)
    # The first flights of all have next to nothing to look back on.
    for row in [0, 1, 40, *rng.integers(0, len(flights), 40)]:
        at = flights.scheduled_ms[row]
        origin, carrier = (
            flights.origin == flights.origin[row],
            flights.carrier == flights.carrier[row],
        )
        landed = (flights.late >= 0) & (flights.arrived_ms < at)
        left = (flights.departed_ms >= 0) & (flights.departed_ms < at)
        delay = np.minimum(flights.departure_delay_minutes, 180)
        usual_late = flights.late[landed].mean() if landed.any() else 0.0
        usual_delay = delay[left].mean() if left.any() else 0.0
        recently = landed & (flights.arrived_ms >= at - 2 * HOUR_MS)
        hour = left & (flights.departed_ms >= at - HOUR_MS)
        two_hours = left & (flights.departed_ms >= at - 2 * HOUR_MS)
        due = origin & (flights.scheduled_ms < at) & (flights.scheduled_ms >= at - 2 * HOUR_MS)
        thirty = np.flatnonzero(landed & carrier)
        thirty = thirty[np.argsort(flights.arrived_ms[thirty], kind="stable")][-30:]

        expected = {
            "late_2h": _drawn(flights.late[recently], usual_late),
            "late_origin_2h": _drawn(flights.late[recently & origin], usual_late),
            "late_carrier": _drawn(flights.late[thirty], usual_late),
            "delay_1h": _drawn(delay[hour], usual_delay),
            "delay_origin_1h": _drawn(delay[hour & origin], usual_delay),
            "delay_carrier_2h": _drawn(delay[two_hours & carrier], usual_delay),
            "overdue": (due & ~left).sum() / (due.sum() + 5),
        }
        for name, value in expected.items():
            assert columns[name][row] == pytest.approx(value, abs=1e-4), (name, row)


def test_weather_is_the_previous_hours_at_the_origin(year: Year):
    flights, weather = year.flights, year.weather
    columns = events.weather(flights, weather)
    rng = np.random.default_rng(13)
    for row in rng.integers(0, len(flights), 200):
        hour_ms = flights.scheduled_ms[row] // HOUR_MS * HOUR_MS
        seen = (weather.origin == flights.origin[row]) & (weather.observed_ms <= hour_ms - HOUR_MS)
        latest = np.flatnonzero(seen)[np.argmax(weather.observed_ms[seen])]
        if hour_ms - weather.observed_ms[latest] == HOUR_MS:
            np.testing.assert_equal(columns["rain"][row], weather.readings["rain"][latest])
        assert hour_ms - weather.observed_ms[latest] >= HOUR_MS


def _drawn(values: np.ndarray, usual: float) -> float:
    return float((values.sum() + 5 * usual) / (len(values) + 5))


def _without_future(year: Year, moment_ms: int) -> Year:
    flights, weather = year.flights, year.weather
    landed = (flights.late >= 0) & (flights.arrived_ms < moment_ms)
    left = (flights.departed_ms >= 0) & (flights.departed_ms < moment_ms)
    changed = {
        "late": np.where(landed, flights.late, 1),
        "arrived_ms": np.where(landed, flights.arrived_ms, moment_ms),
        "departed_ms": np.where(left, flights.departed_ms, -1),
        "departure_delay_minutes": np.where(left, flights.departure_delay_minutes, np.nan),
        "air_minutes": np.where(landed, flights.air_minutes, 0.0),
    }
    past: Flights = replace(flights, **changed)
    observed = weather.observed_ms <= moment_ms - HOUR_MS
    readings = {name: np.where(observed, column, -1.0) for name, column in weather.readings.items()}
    return replace(year, flights=past, weather=replace(weather, readings=readings))
