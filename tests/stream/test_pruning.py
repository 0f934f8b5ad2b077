"""Versions that are let go: what is deleted and when, what is refused, and what still works."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from consumers.record import NewRecord
from learners.snapshots.settings import KeepSettings, VersionsSettings
from stream.history import read_history
from stream.scheduling import LOOK_EVERY_MS
from tests.simulation.draw import scheduled
from tests.stream.builders import HOUR_MS
from tests.stream.service import Service
from tests.stream.test_rollback import ids


def served(versions: int, **fields: Any) -> Service:
    """A service with an event, its label and a version after each."""
    service = Service(**fields)
    for number in range(versions):
        learn(service, number)
        service.cut()
        service.run()
    return service


def learn(service: Service, number: int) -> None:
    """An event and its label."""
    service.event(f"e{number}", 10 * number, n=number, x=float(number))
    service.label(f"e{number}", True, 10 * number + 5)
    service.run()


def snapshot(service: Service) -> None:
    """A snapshot for recovery."""
    assert service.worker is not None
    service.worker.runners[0].snapshot("recovery")
    service.run()


def look(service: Service) -> None:
    """The schedule looks again."""
    service.now_s += LOOK_EVERY_MS / 1000
    service.run()


def stored(service: Service) -> list[int | None]:
    """The versions whose snapshots are in the store; None for those for recovery."""
    headers = sorted(map(service.header, service.stored(0)), key=lambda header: header.sequence)
    return [header.version for header in headers]


class TestPruned:
    def test_the_snapshot_is_deleted_when_no_recovery_can_need_it(self):
        service = served(3)
        snapshot(service)
        service.prune(1, 2)
        service.run()
        assert stored(service) == [1, 2, 3, None]
        learn(service, 3)
        snapshot(service)
        assert stored(service) == [3, None, None]
        assert [retired for entry in service.entries(0) for retired in entry.retired] != []

    def test_it_cannot_be_rolled_back_to_or_named(self):
        service = served(3)
        service.prune(2)
        service.run()
        service.back_to(2)
        service.alias(2)
        service.prune(2)
        service.run()
        assert [outcome["outcome"] for outcome in service.outcomes()[-3:]] == ["refused"] * 3
        assert {outcome["detail"] for outcome in service.outcomes()[-3:]} == {
            "version 2 was pruned"
        }
        assert ids(service) == [0, 1, 2]

    def test_its_number_is_not_given_again(self):
        service = served(2)
        service.empty()
        service.run()
        service.prune(1, 2)
        service.run()
        service.stop()
        service.cut()
        service.run()
        assert service.outcomes()[-1]["version"] == 4
        assert list(service.state().parts.versions.numbered) == [3, 4]

    @pytest.mark.parametrize(
        ("versions", "why"),
        [
            ([1], "version 1 is in use: the alias champion stands on it"),
            ([3], "version 3 is in use: it is the newest one"),
            ([2, 4], "there is no version 4"),
            ([2, 3], "version 3 is in use: it is the newest one"),
        ],
    )
    def test_what_must_stay_is_refused_and_nothing_goes(self, versions, why):
        service = served(3)
        service.alias(1)
        service.run()
        service.prune(*versions)
        service.run()
        assert service.outcomes()[-1]["detail"] == why
        assert list(service.state().parts.versions.numbered) == [1, 2, 3]

    def test_a_version_that_lost_its_alias_may_go(self):
        service = served(3)
        service.alias(1)
        service.alias(2)
        service.prune(1)
        service.run()
        assert service.outcomes()[-1]["outcome"] == "applied"

    def test_one_that_is_not_written_yet_goes_when_it_is(self):
        service = served(1)
        service.store.probability = 1.0
        service.cut()
        service.cut()
        service.prune(2)
        assert service.worker is not None
        while len(service.outcomes()) < 4:
            service.worker.turn(0.0)
        assert len(service.stored(0)) == 1
        service.store.probability = 0.0
        service.now_s += 60.0
        service.run()
        for number in (6, 7):
            learn(service, number)
            snapshot(service)
        assert stored(service) == [1, 3, None, None]

    def test_recovery_from_before_a_rollback_finds_its_snapshot(self):
        # given: the rollback that made version 2 lies between the two newest snapshots
        service = served(1)
        snapshot(service)
        learn(service, 1)
        service.back_to(1)
        service.run()
        service.cut()
        service.run()
        learn(service, 2)
        snapshot(service)
        service.prune(2)
        service.run()
        # when: the newer one is damaged
        service.die()
        newest = max(service.stored(0))
        service.store.delete(newest)
        service.run()
        # then
        assert ids(service) == [0, 2]
        assert service.restored[0].entries > 0


class TestSkip:
    def test_a_rollback_to_a_pruned_version_is_done_again_from_further_back(self):
        # given: versions 1 and 2, a rollback to 1, which is version 3, and 4 after two more events
        service = served(2)
        service.back_to(1)
        service.run()
        for number in (2, 3):
            learn(service, number)
        service.cut()
        service.prune(1, 3)
        service.run()
        for number in (4, 5):
            learn(service, number)
            snapshot(service)
        assert stored(service) == [2, 4, None, None]
        # when: an event after the rollback is skipped, and only version 2 has not seen it
        service.skip("events", 2)
        service.run()
        # then
        assert service.outcomes()[-1]["outcome"] == "applied"
        assert ids(service) == [0, 3, 4, 5]


class TestSchedule:
    def scheduled(self, service: Service, **fields: Any) -> None:
        versions = VersionsSettings(**{"every": timedelta(hours=1), "keep": None, **fields})
        service.configuration = scheduled(service.configuration, versions)

    def test_a_version_an_hour_and_none_while_nothing_comes(self):
        service = Service()
        self.scheduled(service)
        learn(service, 0)
        assert service.outcomes() == []
        service.now_s += 3_599.0
        learn(service, 1)
        assert service.outcomes() == []
        service.now_s += 2.0
        service.run()
        service.now_s += 3 * 3_600.0
        service.run()
        learn(service, 2)
        look(service)
        found = [(said["version"], said["by"], said["reason"]) for said in service.outcomes()]
        assert found == [(1, "driftline", "on schedule"), (2, "driftline", "on schedule")]
        assert read_history(service.log).is_complete(read_history(service.log).versions[2])

    def test_the_hour_outlives_the_worker(self):
        service = Service()
        self.scheduled(service)
        learn(service, 0)
        service.now_s += 1_800.0
        learn(service, 1)
        service.stop()
        service.now_s += 1_801.0
        service.run()
        assert [said["version"] for said in service.outcomes()] == [1]

    def test_what_is_no_longer_kept_is_pruned(self):
        service = Service()
        self.scheduled(service, keep=KeepSettings(last=2, hourly=0, daily=0))
        for number in range(6):
            service.now_s += 3_601.0
            service.event(f"e{number}", number * HOUR_MS, n=number)
            service.run()
            look(service)
        look(service)
        assert list(service.state().parts.versions.numbered) == [4, 5]
        pruned = [said["pruned"] for said in service.outcomes() if said["command"] == "prune"]
        assert pruned == [[1], [2], [3]]

    def test_nothing_is_given_while_a_command_waits(self):
        # given: a rollback that cannot be carried out, and shard 0 waits
        service = served(2)
        self.scheduled(service)
        service.stop()
        key = service.key_of(1)
        body = service.store.get(key)
        service.store.delete(key)
        service.back_to(1)
        service.now_s += 7_200.0
        learn(service, 3)
        service.now_s += 7_200.0
        service.run()
        # then: when it is carried out at last, it was not overtaken
        service.stop()
        assert body is not None
        service.store.put(key, body)
        service.run()
        assert [said["command"] for said in service.outcomes()[2:3]] == ["rollback"]
        assert service.outcomes()[2]["outcome"] == "applied"

    def test_two_that_believe_to_be_the_one_cut_one_version(self):
        service = Service()
        self.scheduled(service)
        learn(service, 0)
        service.now_s += 3_601.0
        service.run()
        record = next(iter(service.log.read("commands", 0, 0)))
        service.log.append([("commands", 0, NewRecord(record.value, record.key))])
        service.run()
        assert [said["outcome"] for said in service.outcomes()] == ["applied", "refused"]
