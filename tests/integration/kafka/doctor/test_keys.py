"""Events and labels that lie where nobody looks for them."""

from __future__ import annotations

import pytest

from consumers.partitioning import partition_for
from consumers.record import NewRecord
from tests.integration.kafka.doctor.patient import event, label

pytestmark = pytest.mark.kafka


def home(record):
    return partition_for(record.key, 2)


def write(service, role, records, *, elsewhere=False):
    """By murmur2 of the key, as the default partitioners of Kafka's clients do; or against it."""
    for partition in (0, 1):
        chosen = [
            one for one in records if home(one) == (1 - partition if elsewhere else partition)
        ]
        service.write(role, partition, *chosen)


EVENTS = [event(number) for number in range(20)]
LABELS = [label(number) for number in range(20)]


def test_events_and_labels_by_the_same_keys_are_well(patient):
    service = patient()
    write(service, "events", EVENTS)
    write(service, "labels", LABELS)

    assert service.found("keys") == [
        ("ok", "the newest 20 events and 20 labels lie where their keys say")
    ]


def test_records_without_keys_cannot_be_joined(patient):
    service = patient()
    write(service, "events", EVENTS)
    service.write("events", 0, NewRecord(EVENTS[0].value))
    service.write("labels", 1, NewRecord(LABELS[0].value), NewRecord(LABELS[1].value))

    found = service.found("keys")

    said = [said for state, said in found if state == "problem" and "have no key" in said]
    assert [one.split(" have")[0] for one in said] == [
        "1 of the newest 21 events",
        "2 of the newest 2 labels",
    ]


def test_events_that_bring_their_labels_need_no_keys(patient):
    service = patient(events={"id": "id", "time": "time", "label": "y"})
    service.write("events", 0, NewRecord(EVENTS[0].value))

    assert service.found("keys") == [("ok", "events bring their labels, wherever they lie")]


def test_with_one_partition_keys_do_not_matter(patient):
    service = patient(log_partitions=1)
    service.write("events", 0, NewRecord(EVENTS[0].value))

    assert [state for state, _ in service.found("keys")] == ["ok"]


def test_events_of_a_producer_with_another_partitioner_are_a_warning_before_labels_come(patient):
    service = patient()
    write(service, "events", EVENTS, elsewhere=True)

    ((state, detail),) = service.found("keys")

    assert state == "warning"
    assert "20 of the newest 20 events lie in another partition than their key says" in detail
    first = next(one for one in EVENTS if home(one) == 1)
    assert f"{first.key!r} at 0-".removeprefix("b") in detail
    assert detail.endswith("not in partition 1")


def test_labels_of_a_producer_with_another_partitioner_never_find_their_events(patient):
    service = patient()
    write(service, "events", EVENTS)
    write(service, "labels", LABELS[:3], elsewhere=True)

    found = service.found("keys")

    assert [state for state, _ in found] == ["problem", "problem"]
    assert "3 of the newest 3 labels lie in another partition than their key says" in found[0][1]
    assert "3 of the newest 3 labels lie in another partition than their event" in found[1][1]
    place = home(EVENTS[0])
    assert f"0 (event in {place}, label in {1 - place})" in found[1][1]


def test_events_and_labels_with_the_same_other_partitioner_still_meet(patient):
    service = patient()
    write(service, "events", EVENTS, elsewhere=True)
    write(service, "labels", LABELS, elsewhere=True)

    assert [state for state, _ in service.found("keys")] == ["warning", "warning"]


def test_a_label_with_another_key_than_its_event_is_found(patient):
    service = patient()
    write(service, "events", EVENTS)
    other = next(one for one in LABELS[1:] if home(one) != home(LABELS[0]))
    write(service, "labels", [LABELS[0]._replace(key=other.key)])

    ((state, detail),) = service.found("keys")

    assert state == "problem"
    assert "1 of the newest 1 labels lie in another partition than their event" in detail


def test_events_without_an_id_are_known_by_their_place(patient):
    service = patient(events={"id": None, "time": "time"})
    write(service, "events", EVENTS)
    key_of_1 = next(one.key for one in EVENTS if home(one) == 1)
    service.write("labels", 1, label("1-0")._replace(key=key_of_1))
    before = service.found("keys")
    service.write("labels", 1, label("0-0")._replace(key=key_of_1))

    ((state, detail),) = service.found("keys")

    assert [state for state, _ in before] == ["ok"]
    assert state == "problem"
    assert "0-0 (event in 0, label in 1)" in detail
