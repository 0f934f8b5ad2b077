"""A service that begins where another one stopped: on a new log, or with more partitions."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from consumers.partitioning import partition_for
from consumers.record import NewRecord
from learners.quality import Quality
from stream.errors import (
    ConfigurationDiffersError,
    JournalError,
    StreamError,
    TransferError,
)
from stream.history import read_history
from stream.shard.checkpoint import Snapshots
from stream.shard.transfer import Giver
from stream.transfer import sources_in_store, sources_on_log, transfer
from tests.simulation.clean import check_equal
from tests.simulation.world import Crash
from tests.stream.builders import T0_MS, learnt
from tests.stream.service import Service

ADA = Giver("ada", 7, "the cluster burnt down")
EVENTS = 40


def keyed(service: Service, first: int, last: int, label_lag: int = 10) -> None:
    """Events `first` to `last`, and the labels of those `label_lag` before, where their ids
    belong."""
    count = service.log.partitions()
    for number in range(first, last):
        at_ms = T0_MS + number
        headers = (("driftline-time", b"%d" % at_ms),)
        event = {"id": f"e{number}", "time": at_ms, "n": number, "x": (number * 7 % 5) / 2}
        label = {"id": f"e{number - label_lag}", "label": number % 3 == 0}
        for topic, body in (("events", event), ("labels", label)):
            key = str(body["id"]).encode()
            record = NewRecord(json.dumps(body).encode(), key, headers)
            service.log.append([(topic, partition_for(key, count), record)])


def stopped(first: int = 0, last: int = EVENTS, **fields: Any) -> Service:
    """A service that has used some of the stream and rests."""
    service = Service(**fields)
    keyed(service, first, last)
    service.run()
    service.stop()
    return service


def begin(new: Service, old: Service) -> None:
    """Transfers, and closes what it was done with."""
    transport = new.log.join()
    try:
        sources = sources_on_log(old.configuration, old.archive, old.log)
        snapshots = Snapshots(new.configuration.snapshots, new.archive, new.executor)
        transfer(new.configuration, transport, snapshots, sources, ADA, new.deaths)
    finally:
        with suppress(Exception):
            transport.close()


class TestTheSameNumberOfPartitions:
    def test_it_goes_on_as_if_there_had_been_one_log(self):
        # given
        old, new, straight = stopped(), Service(), Service()
        begin(new, old)
        # when the rest of the stream comes to the new log
        keyed(new, EVENTS, 2 * EVENTS)
        new.run()
        keyed(straight, 0, 2 * EVENTS)
        straight.run()
        # then
        check_equal(new.state(), straight.state(), but=("held",))
        assert new.state().parts.digest == straight.state().parts.digest
        held = [(one.id, one.label) for one in new.state().parts.held]
        assert held == [(one.id, one.label) for one in straight.state().parts.held]

    def test_it_begins_with_a_version_that_says_where_it_comes_from(self):
        old, new = stopped(), Service()
        begin(new, old)
        keyed(new, EVENTS, EVENTS + 1)
        new.run()
        history = read_history(new.log)
        version = history.versions[1]
        assert (version.kind, version.by, version.reason) == ("transfer", "ada", ADA.reason)
        assert history.is_complete(version)
        said = json.loads(new.outputs("predictions", 0)[0].value or b"")
        assert said["version"] == 1
        origin = (new.entries(0)[0].founding or {})["origin"]
        assert (origin["service"], origin["shard"]) == ("shop", 0)
        assert origin["sequence"] == old.entries(0)[-2].sequence

    def test_what_was_learnt_since_can_be_undone_to_its_beginning(self):
        old, new = stopped(), Service()
        begin(new, old)
        before = learnt_by(old)
        keyed(new, EVENTS, EVENTS + 20)
        new.run()
        new.back_to(1)
        new.run()
        assert learnt_by(new) == before

    def test_a_skip_on_the_new_log_reaches_back_to_its_beginning(self):
        old, new, straight = stopped(), Service(), Service()
        begin(new, old)
        keyed(new, EVENTS, EVENTS + 20)
        new.run()
        new.skip("labels", 3, 5)
        new.run()
        keyed(straight, 0, EVENTS + 20)
        straight.run()
        straight.skip("labels", EVENTS + 3, EVENTS + 5)
        straight.run()
        assert learnt_by(new) == learnt_by(straight)

    def test_a_label_that_was_held_on_the_old_log_is_told_of_once(self):
        # given: nobody's labels, held at offsets that the new log has too
        old, new = stopped(), Service()
        held = len(list(state_of(old).parts.held))
        assert held == 10
        begin(new, old)
        new.event("later", 3 * 3_600_000, n=0, x=0.0)
        new.run()
        offsets = [offset for topic, offset, why in new.letters() if why == "unknown_id"]
        assert offsets == [-1 - number for number in range(held)]


class TestMorePartitions:
    @pytest.mark.parametrize(("before", "after"), [(1, 2), (1, 3), (2, 4)])
    def test_every_label_finds_its_event_once(self, before, after):
        old, new = stopped(shards=before), Service(shards=after)
        begin(new, old)
        known = [learnt_by(old, shard) for shard in range(before)]
        keyed(new, EVENTS, 2 * EVENTS)
        new.run()
        # then: each shard goes on from what its origin knew, with the labels of its own keys
        since = []
        for shard in range(after):
            own = learnt_by(new, shard)
            assert own[: len(known[shard % before])] == known[shard % before]
            fresh = own[len(known[shard % before]) :]
            assert {partition_for(b"e%d" % number, after) for number in fresh} <= {shard}
            since += fresh
        assert sorted(since) == list(range(EVENTS - 10, 2 * EVENTS - 10))
        assert [why for shard in range(after) for _, _, why in new.letters(shard)] == []

    def test_the_metrics_of_all_shards_are_those_of_one(self):
        old, new, straight = stopped(), Service(shards=2), Service()
        begin(new, old)
        keyed(new, EVENTS, 2 * EVENTS)
        new.run()
        keyed(straight, 0, 2 * EVENTS)
        straight.run()
        merged = copy_of(new.state(0).parts.quality)
        merged.merge(new.state(1).parts.quality)
        report, wanted = merged.report(), straight.state().parts.quality.report()
        assert (report["events"], report["labels"]) == (wanted["events"], wanted["labels"])


class TestRefused:
    def test_a_service_that_was_not_stopped_cleanly(self):
        old, new = stopped(), Service()
        keyed(old, EVENTS, EVENTS + 5)
        old.run()
        old.die()
        refused(new, old, TransferError, "must be of what its journal ends with")

    def test_a_service_that_has_never_run(self):
        refused(Service(), Service(), TransferError, "has never run")

    def test_a_file_that_says_something_else(self):
        new = Service(alerts={"cooldown": "5m"})
        refused(new, stopped(), ConfigurationDiffersError, "what was in force")

    def test_a_count_that_is_no_multiple(self):
        refused(Service(shards=3), stopped(shards=2), TransferError, "must be a multiple")

    def test_a_service_that_has_a_journal(self):
        new = stopped()
        refused(new, stopped(), TransferError, "has a journal already")

    def test_a_store_without_its_snapshots(self):
        empty = Service()
        with pytest.raises(TransferError, match="there are no snapshots"):
            sources_in_store(empty.configuration, empty.archive)


def refused(new: Service, old: Service, error: type[StreamError], why: str) -> None:
    before = new.everything(), old.everything()
    with pytest.raises(error, match=why) as caught:
        begin(new, old)
    assert caught.value.hint
    assert (new.everything(), old.everything()) == before


class TestALostLog:
    def test_the_newest_snapshots_in_the_store_are_taken(self):
        old = stopped(shards=2)
        found = sources_in_store(old.configuration, old.archive)
        assert [source.left for source in found] == [None, None]
        with_log = sources_on_log(old.configuration, old.archive, old.log)
        assert [source.ref for source in found] == [source.ref for source in with_log]

    def test_a_damaged_one_is_passed_over_for_the_one_before(self):
        old = Service()
        for first in (0, 20):
            keyed(old, first, first + 20)
            old.run()
            old.stop()
        newest, before = (found.ref for found in two_newest(old))
        old.store.delete(newest.key)
        [source] = sources_in_store(old.configuration, old.archive)
        assert source.ref == before


def two_newest(service: Service) -> list[Any]:
    return service.archive.stored(service.entries(0)[0].journal, 0)[:-3:-1]


class TestDeaths:
    @pytest.mark.parametrize(
        "boundary", ["snapshot put", "applied", "commit.before", "commit.after", "committed"]
    )
    @pytest.mark.parametrize("nth", [1, 2])
    def test_it_is_done_for_all_shards_or_for_none(self, boundary, nth):
        old, new = stopped(), Service(shards=2)
        passed = 0

        def deadly(at: str) -> None:
            nonlocal passed
            passed += at == boundary
            if at == boundary and passed == nth:
                raise Crash(at)

        new.deaths = new.log.faults = deadly  # type: ignore[assignment]
        died = False
        try:
            begin(new, old)
        except Crash:
            died = True
        new.log.kill_worker()
        new.deaths = new.log.faults = lambda at: None  # type: ignore[assignment]
        assert died or nth == 2
        # then
        done = [bool(new.entries(shard)) for shard in range(2)]
        assert done in ([True, True], [False, False])
        if not done[0]:
            begin(new, old)
        new.run()
        assert [new.restored[shard].snapshot for shard in range(2)] == [0, 0]
        # and nothing is left in the store that no journal names
        assert {found.key for found in new.store.list()} == new.published(0) | new.published(1)


class TestWithoutItsFirstSnapshot:
    def begun(self) -> Service:
        new = Service()
        begin(new, stopped())
        for stored in new.store.list():
            new.store.delete(stored.key)
        return new

    def test_it_does_not_begin_from_nothing(self):
        with pytest.raises(JournalError, match="began with the state of the service 'shop'"):
            self.begun().run()

    def test_a_skip_that_needs_it_is_refused(self):
        new = Service()
        begin(new, stopped())
        keyed(new, EVENTS, EVENTS + 20)
        worker = new.run()
        for stored in new.store.list():
            new.store.delete(stored.key)
        new.skip("labels", 3)
        new.work(worker)
        assert "began with the state" in (worker.runners[0].paused or "")


def learnt_by(service: Service, shard: int = 0) -> list[Any]:
    return [features["n"] for features, _ in learnt(state_of(service, shard))]


def state_of(service: Service, shard: int = 0) -> Any:
    if service.worker is None:
        service.run()
    return service.state(shard)


def copy_of(quality: Quality) -> Quality:
    return Quality.load(json.loads(json.dumps(quality.dump())))
