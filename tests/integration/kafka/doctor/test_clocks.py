"""Records that are stamped with times that cannot be true."""

from __future__ import annotations

import pytest

from tests.integration.kafka.doctor.patient import event, now_ms

pytestmark = pytest.mark.kafka

SECOND_MS = 1_000
HOUR_MS = 3_600_000


def stamped(name, after_ms):
    return event(name)._replace(timestamp_ms=now_ms() + after_ms)


def test_before_anything_came_there_is_nothing_to_look_at(patient):
    assert patient().found("clocks") == [
        ("ok", "there are no records yet whose times could be looked at")
    ]


def test_records_stamped_when_they_were_sent_are_well(patient):
    service = patient()
    service.write("events", 0, stamped(1, -3 * HOUR_MS), stamped(2, -2 * HOUR_MS))
    service.write("events", 1, stamped(3, -20 * HOUR_MS))

    assert service.found("clocks") == [("ok", "the newest record was stamped 2 h ago")]


@pytest.mark.parametrize(
    ("ahead_ms", "state"), [(30 * SECOND_MS, "warning"), (300 * SECOND_MS, "problem")]
)
def test_a_producer_whose_clock_is_fast(patient, ahead_ms, state):
    service = patient()
    service.write("events", 1, stamped(1, ahead_ms))

    ((found, detail),) = service.found("clocks")

    assert found == state
    assert detail.startswith("events 1-0 is stamped ")
    assert "ahead of this machine: the clock of a producer is fast" in detail


def test_brokers_and_this_machine_whose_clocks_differ(patient):
    service = patient()
    service.alter("labels", message_timestamp_type="LogAppendTime")
    service.write("labels", 0, stamped(1, 0))

    ((state, detail),) = service.found("clocks", later_ms=-600 * SECOND_MS)

    assert state == "problem"
    assert "labels 0-0 is stamped 10 min ahead of this machine: the broker's clock is" in detail


def test_a_producer_that_stamps_the_time_of_the_event(patient):
    service = patient()
    service.write("events", 0, stamped(1, 0), stamped(2, -5 * HOUR_MS), stamped(3, 0))

    ((state, detail),) = service.found("clocks")

    assert state == "warning"
    assert detail.startswith("events 0-1 is stamped 5 h before the record that it follows")


def test_records_that_are_older_than_the_broker_keeps_them(patient):
    service = patient()
    service.alter("events", retention_ms=HOUR_MS)
    service.write("events", 0, stamped(1, -HOUR_MS // 2))
    before = service.found("clocks")
    service.write("events", 1, stamped(2, -3 * HOUR_MS))

    ((state, detail),) = service.found("clocks")

    assert [state for state, _ in before] == ["ok"]
    assert state == "problem"
    assert "1 of the newest 2 events are stamped longer ago than the 60 min" in detail
    assert detail.endswith("1-0, 3 h ago")
