"""Topics with settings that do not go with their roles, and a log that is kept too short."""

from __future__ import annotations

import pytest

from stream.opening import open_service_log
from tests.integration.kafka.doctor.patient import event, told

pytestmark = pytest.mark.kafka

HOUR_MS = 3_600_000


def test_topics_as_they_are_made_are_well(patient):
    assert patient().found("settings") == [
        ("ok", "each topic is kept, and takes what its role needs")
    ]


def test_settings_that_do_not_go_with_their_roles(patient):
    service = patient(log_partitions=1)
    name = service.name
    service.alter("events", cleanup_policy="compact", message_timestamp_after_max_ms=HOUR_MS * 24)
    service.alter("labels", retention_bytes=10**9)
    service.alter("commands", retention_ms=HOUR_MS * 72)
    service.alter("journal", retention_ms=HOUR_MS * 3)
    service.alter("alerts", cleanup_policy="compact,delete")
    service.alter("predictions", max_message_bytes=100_000)
    service.alter("dead-letters", max_message_bytes=500_000)
    service.alter("status", cleanup_policy="delete")

    found = service.found("settings")

    expected = [
        ("problem", "compaction keeps only the newest record of each key in "),
        ("warning", f"{name}.journal is kept for 3 h: "),
        ("warning", f"{name}.commands is kept for 3 days: "),
        ("warning", "records are deleted by size, whatever a replay still needs, from "),
        ("warning", f"{name}.status is not compacted but delete: "),
        ("problem", "max.message.bytes is lower than the 262,144 of a batch for "),
        ("warning", "max.message.bytes is lower than the 1,000,000 that an event may have for "),
        ("warning", "records stamped more than 60 min ahead are taken by "),
    ]
    assert [state for state, _ in found] == [state for state, _ in expected]
    assert all(
        said.startswith(start) for (_, said), (_, start) in zip(found, expected, strict=True)
    )
    assert f"key in {name}.events, {name}.alerts: " in found[0][1]
    assert f"from {name}.labels (1,000,000,000 bytes): " in found[3][1]
    assert f"taken by {name}.events: " in found[7][1]
    assert f"a batch for {name}.predictions (100,000): " in found[5][1]
    assert f"may have for {name}.dead-letters (500,000): " in found[6][1]


def test_records_that_the_broker_stamps_cannot_lie_ahead(patient):
    service = patient(log_partitions=1)

    service.alter(
        "events",
        message_timestamp_type="LogAppendTime",
        message_timestamp_after_max_ms=HOUR_MS * 24,
    )

    assert [state for state, _ in service.found("settings")] == ["ok"]


@pytest.fixture
def snapshots_apart(patient):
    """A service with two snapshots, each of which needs one event since, the second two."""
    service = patient(log_partitions=1)
    service.write("events", 0, event(1))
    service.work()
    service.write("events", 0, event(2))
    service.work()
    service.write("events", 0, event(3))
    return service


def retention(service, later_ms=0):
    return told(service.examine(later_ms), "retention")


def test_a_log_is_kept_longer_than_a_replay_needs_or_not(snapshots_apart):
    # given topics that are kept for ever
    ((state, said),) = retention(snapshots_apart, HOUR_MS * 1_000)
    assert state == "ok"
    assert "a replay needs what came in the last 41.7 days" in said
    assert said.endswith("all of it is kept (for ever)")

    # when events are kept for ten hours, then it depends on how old they are
    snapshots_apart.alter("events", retention_ms=HOUR_MS * 10)
    ((state, said),) = retention(snapshots_apart)
    assert state == "ok"
    assert "events for 10 h" in said
    newest, second = retention(snapshots_apart, HOUR_MS * 6)
    assert (newest[0], second[0]) == ("warning", "warning")
    assert "the newest snapshot needs the events of the last 6 h, more than half of" in newest[1]
    newest, second = retention(snapshots_apart, HOUR_MS * 11)
    assert (newest[0], second[0]) == ("problem", "warning")
    assert "the newest snapshot needs the events of the last 11 h" in newest[1]
    assert "kept for 10 h: the broker may delete them at any moment" in newest[1]
    assert "the second newest snapshot needs the events" in second[1]

    # and a journal that is kept for ten hours likewise
    snapshots_apart.alter("events", retention_ms=-1)
    snapshots_apart.alter("journal", retention_ms=HOUR_MS * 10)
    newest, second = retention(snapshots_apart, HOUR_MS * 11)
    assert (newest[0], second[0]) == ("problem", "warning")
    assert "the newest snapshot needs the journal of the last 11 h" in newest[1]


def test_a_log_that_has_lost_what_the_second_newest_snapshot_needs(snapshots_apart):
    with open_service_log(snapshots_apart.configuration, create=False) as log:
        log.trim("events", 0, log.end_offset("events", 0) - 2)

    findings = snapshots_apart.examine()

    ((state, detail),) = told(findings, "retention")
    assert state == "warning"
    assert "the second newest snapshot needs the events from offset" in detail
    # The newest one is enough.
    assert [one.state for one in findings if one.check == "snapshots"] == ["ok"]


def test_without_a_snapshot_everything_is_needed(patient, tmp_path):
    service = patient(log_partitions=1)
    service.write("events", 0, event(1))
    service.work()
    for path in (tmp_path / "snapshots").rglob("*"):
        if path.is_file():
            path.unlink()
    service.alter("events", retention_ms=HOUR_MS)

    found = retention(service, HOUR_MS * 2)

    assert [state for state, _ in found] == ["problem"]
    assert "the replay without a snapshot needs the events" in found[0][1]
