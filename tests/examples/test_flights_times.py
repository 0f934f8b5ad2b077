"""Times by hand: from the timetable's local clocks to instants, and the label's own moment."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from examples.flights.source import Year
from examples.flights.zones import to_local_ms, to_utc_ms

pytestmark = pytest.mark.xdist_group("flights")

# id, scheduled departure, real arrival, 15 minutes late; from clock times, zones and delay by hand
BY_HAND = [
    # 10:00 EDT; 14:30 in Honolulu (UTC-10) + 57 min: the next day in UTC
    ("2013-07-01-HA-51-JFK", "2013-07-01T14:00", "2013-07-02T01:27", True),
    # Phoenix keeps UTC-7 all year: 6:30 EST, 10:14 + 3 min
    ("2013-01-01-US-245-EWR", "2013-01-01T11:30", "2013-01-01T17:17", False),
    # 6:58 EDT, 9:15 - 20 min
    ("2013-07-01-UA-1138-EWR", "2013-07-01T10:58", "2013-07-01T15:55", False),
    # 22:50 EST, due in Syracuse at 23:59 and 154 min late: after midnight
    ("2013-01-02-B6-22-JFK", "2013-01-03T03:50", "2013-01-03T07:33", True),
    # 20:32 EDT, due in Los Angeles at 0:03 PDT on the next day and 5 min early: before midnight
    ("2013-04-01-B6-677-JFK", "2013-04-02T00:32", "2013-04-02T06:58", False),
    # the night to March 10: left at 23:59 EST; Puerto Rico keeps UTC-4, 4:38 + 26 min
    ("2013-03-09-B6-727-JFK", "2013-03-10T04:59", "2013-03-10T09:04", True),
    # March 10, summer time at both ends since 2:00: 6:55 EDT, 10:15 PDT - 22 min
    ("2013-03-10-UA-387-EWR", "2013-03-10T10:55", "2013-03-10T16:53", False),
    # the night to November 3: left at 23:59 EDT, 3:45 in Ponce (UTC-4) + 8 min
    ("2013-11-02-B6-745-JFK", "2013-11-03T03:59", "2013-11-03T07:53", False),
    # November 3, winter time again: 6:30 EST, Phoenix 10:18 - 39 min
    ("2013-11-03-US-495-JFK", "2013-11-03T11:30", "2013-11-03T16:39", False),
    # diverted: it did land in the end, but never at its destination in this table
    ("2013-01-01-MQ-4525-LGA", "2013-01-01T20:30", None, None),
]


@pytest.mark.parametrize(("flight_id", "scheduled", "arrived", "late"), BY_HAND)
def test_departure_and_label_are_where_the_clocks_put_them(
    rows: pa.Table, flight_id: str, scheduled: str, arrived: str | None, late: bool | None
):
    row = rows.filter(pc.equal(rows["flight_id"], flight_id)).to_pylist()[0]

    assert row["scheduled_at"].strftime("%Y-%m-%dT%H:%M") == scheduled
    assert (row["arrived_at"] and row["arrived_at"].strftime("%Y-%m-%dT%H:%M")) == arrived
    assert row["late"] is late


def test_every_flight_was_on_the_ground_for_between_5_minutes_and_4_hours(year: Year):
    # Real arrival - real departure - air time is the taxiing at both ends. A zone or a day got
    # wrong anywhere shows as at least an hour more or less.
    flights = year.flights
    landed = flights.late >= 0
    gate_to_gate = (flights.arrived_ms - flights.departed_ms)[landed] / 60_000
    taxi = gate_to_gate - flights.air_minutes[landed]

    assert landed.sum() == 327_346
    assert taxi.min() >= 5
    assert taxi.max() < 240


def test_no_label_before_its_departure(year: Year):
    flights = year.flights
    landed = flights.late >= 0
    assert (flights.departed_ms[landed] > 0).all()
    assert (flights.arrived_ms > flights.departed_ms)[landed].all()


def test_an_hour_that_the_clock_skips_or_shows_twice():
    new_york = np.full(3, "America/New_York")
    local = np.array(["2013-03-10T02:30", "2013-11-03T01:30", "2013-11-03T02:30"])
    local_ms = local.astype("datetime64[ms]").astype(np.int64)

    utc_ms = to_utc_ms(local_ms, new_york)

    # skipped: the offset before (UTC-5); shown twice: the first time (UTC-4)
    expected = np.array(["2013-03-10T07:30", "2013-11-03T05:30", "2013-11-03T07:30"])
    assert (utc_ms == expected.astype("datetime64[ms]").astype(np.int64)).all()
    assert (to_local_ms(utc_ms, new_york)[1:] == local_ms[1:]).all()
