"""What a worker tells of its newest snapshot: how old it is, and what a recovery would cost."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest

from learners.snapshots.reference import parse_key
from stream.shard.speed import MEASURED_RECORDS, Speed
from stream.telemetry.telemetry import Telemetry
from tests.stream.builders import UNSCHEDULED
from tests.stream.service import Service
from tests.stream.telemetry.told import values

EVERY_EVENTS = 150


class Told(NamedTuple):
    """The four metrics; None where one is absent."""

    taken_s: float | None
    behind_records: float
    replay_s: float | None
    within_s: float


class Slow(Service):
    """A service in which a step takes a millisecond."""

    def clock(self) -> float:
        self.now_s += 0.001
        return self.now_s


class Watched:
    """A service whose worker's telemetry is looked at."""

    def __init__(self, **snapshots: object) -> None:
        self.service = Slow(snapshots={**UNSCHEDULED, "min_interval": "1us", **snapshots})
        self.telemetry = Telemetry("shop")
        self._events = 0

    def events(self, count: int) -> None:
        """So many more are written, and applied."""
        for _ in range(count):
            self._events += 1
            self.service.event(f"e{self._events}", self._events)
        self.run()

    def run(self) -> None:
        self.service.run(telemetry=self.telemetry)

    def told(self) -> Told:
        said = values(self.telemetry)
        return Told(
            said.get("driftline_snapshot_timestamp_seconds 0"),
            said["driftline_snapshot_behind_records 0"],
            said.get("driftline_snapshot_replay_seconds 0"),
            said["driftline_snapshot_recover_within_seconds 0"],
        )

    def newest_s(self) -> float:
        """When the newest published snapshot was taken, as it says itself."""
        created_ms = self.service.header(max(self.service.published(0))).created_ms
        assert created_ms is not None, "a worker took it"
        return created_ms / 1000


def test_what_a_recovery_would_apply_again_is_told_and_how_long_that_would_take():
    one = Watched(every_events=EVERY_EVENTS, recover_within="30s")
    one.events(MEASURED_RECORDS - 1)
    assert one.told() == (None, MEASURED_RECORDS - 1, None, 30.0)

    # when enough is applied to know the speed, which stays until as much again is measured
    one.events(1)
    first = one.told().replay_s
    assert first is not None
    assert first > 0
    one.events(20)
    _, behind, replay_s, _ = one.told()
    assert behind == MEASURED_RECORDS + 20
    assert replay_s == pytest.approx(first * 1.2)

    # then a snapshot leaves nothing to replay
    one.events(EVERY_EVENTS)
    assert one.told() == (one.newest_s(), 0, 0, 30.0)


def test_the_next_worker_tells_what_it_has_found():
    one = Watched(every_events=EVERY_EVENTS)
    one.events(EVERY_EVENTS)
    taken_s = one.newest_s()
    one.events(3)
    one.service.die()
    one.telemetry = Telemetry("shop")
    one.events(4)

    found = one.told()
    assert found[:2] == (taken_s, 7)
    # The speed is in the snapshot, rounded, so one that has applied too little to know tells too.
    us_per_record = one.service.header(max(one.service.published(0))).us_per_record
    assert us_per_record is not None
    assert found.replay_s == pytest.approx(7 * us_per_record / 1e6)


def test_a_version_that_cannot_be_written_leaves_everything_to_replay():
    one = Watched()
    one.events(10)
    worker = one.service.run()
    one.service.store.probability = 1.0
    one.service.cut()
    for _ in range(3):
        worker.turn(0.0)
    assert one.told()[:2] == (None, 11)

    # when the store is there again
    one.service.store.probability = 0.0
    one.run()
    assert one.told()[:2] == (one.newest_s(), 0)


def test_a_snapshot_that_could_not_be_written_counts_for_nothing():
    one = Watched(every_events=EVERY_EVENTS)
    one.events(1)
    one.service.store.probability = 1.0
    one.events(EVERY_EVENTS)

    assert one.told()[:2] == (None, EVERY_EVENTS + 1)


def test_a_rollbacks_snapshot_is_the_newest():
    one = Watched()
    one.events(2)
    one.service.cut()
    one.events(3)
    version_s = one.newest_s()
    while int(time.time() * 1000) <= version_s * 1000:
        pass  # a millisecond is over

    one.service.back_to(1)
    one.run()

    assert one.newest_s() > version_s
    assert one.told()[:2] == (one.newest_s(), 0)
    newest = parse_key(max(one.service.published(0)))
    assert newest is not None
    assert newest.sequence == values(one.telemetry)["driftline_journal_entry 0"]


def test_the_speed_of_small_steps_is_measured_together():
    speed = Speed()
    for _ in range(MEASURED_RECORDS // 5 - 1):
        speed.applied(5, 0.001)
        speed.applied(5, 0.0)  # no time was measured
    assert speed.records_per_s is None
    speed.applied(5, 0.001)
    assert speed.records_per_s == pytest.approx(5_000)

    # then a slower time moves it by a fifth
    speed.applied(MEASURED_RECORDS, 0.1)
    assert speed.records_per_s == pytest.approx(0.8 * 5_000 + 0.2 * 1_000)
