"""What a rollback brings back and what it leaves, what it refuses, and what makes it wait."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from consumers.record import NewRecord
from learners.errors import StoreError
from learners.snapshots.reference import parse_key
from stream.commands import SkipRange
from stream.errors import ConfigurationDiffersError, JournalError
from stream.history import read_history
from stream.shard.checkpoint import capture_of, write
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from tests.stream.builders import HOUR_MS, LOGISTIC, T0_MS, configuration, learnt, plain
from tests.stream.service import Service


def ids(service: Service, shard: int = 0) -> list[Any]:
    """The `n` of the features that the model has learnt from, in order."""
    return [features["n"] for features, _ in learnt(service.state(shard))]


def grown(**fields: Any) -> Service:
    """A service whose version 1 has learnt from 0 and 1, and which has learnt from 2 since; 3 waits
    for its label, and x is held for its event."""
    service = Service(**fields)
    for number in range(4):
        service.event(f"e{number}", number, n=number, x=float(number))
    for number in range(2):
        service.label(f"e{number}", True, 10 + number)
    service.run()
    service.cut()
    service.run()
    service.label("e2", False, 20)
    service.label("x", True, 21)
    service.run()
    assert ids(service) == [0, 1, 2]
    return service


class TestPlain:
    def test_the_learner_is_the_versions_and_the_rest_stays(self):
        service = grown()
        before = plain(service.state())
        watches = [pickle.dumps(watch) for watch in service.state().parts.watches]

        service.back_to(1)
        service.run()

        state = service.state()
        assert ids(service) == [0, 1]
        after = plain(state)
        for name in ("pending", "seen", "held", "quality", "policy"):
            assert after[name] == before[name]
        fresh = Plan(service.configuration).fresh_parts().watches
        now = [pickle.dumps(watch) for watch in state.parts.watches]
        # error follows the model; a feature does not
        assert now == [pickle.dumps(fresh[0]), watches[1]]
        assert watches[0] != now[0]

    def test_the_threshold_is_the_versions(self):
        service = grown(threshold=0.4)
        service.state().parts.learner.threshold = 0.9
        service.back_to(1)
        service.run()
        assert service.state().parts.learner.threshold == 0.4

    def test_predictions_name_the_version_that_their_learner_descends_from(self):
        service = grown()
        service.back_to(1)
        service.event("e9", 30, n=9)
        service.run()
        service.empty()
        service.run()
        service.event("e10", 31, n=10)
        service.run()
        bodies = [json.loads(record.value or b"") for record in service.outputs("predictions", 0)]
        assert [body["version"] for body in bodies] == [0, 0, 0, 0, 2, 3]

    def test_empty_is_a_model_that_has_learnt_nothing(self):
        service = grown()
        before = plain(service.state())
        service.empty()
        service.run()
        assert ids(service) == []
        assert plain(service.state())["pending"] == before["pending"]
        assert service.state().parts.versions.numbered[2].origin == "nothing"

    def test_an_event_from_before_it_is_learnt_when_its_label_comes_after(self):
        service = grown()
        service.back_to(1)
        service.label("e3", True, 30)
        service.run()
        assert ids(service) == [0, 1, 3]

    @pytest.mark.parametrize(("policy", "learns"), [("ignore", [0, 1]), ("learn_again", [0, 1, 2])])
    def test_a_label_joined_before_it_is_corrected_after(self, policy, learns):
        # given: e2 was labelled False since the version, which joined it and counted it
        service = grown(labels={"wait": "1h", "on_correction": policy})
        service.back_to(1)
        service.run()
        before = service.state().parts.quality.report()
        # when
        service.label("e2", True, 30)
        service.run()
        # then: the metrics are those of a first label True, and it is learnt as configured
        parts = service.state().parts
        assert parts.counters.corrected == 1
        assert parts.quality.report()["labels"] == before["labels"]
        straight = grown_straight()
        assert parts.quality.dump() == straight.state().parts.quality.dump()
        assert ids(service) == learns

    def test_it_is_a_version_with_a_snapshot_that_a_restart_begins_from(self):
        service = grown()
        service.back_to(1)
        service.run()
        service.die()
        service.run()
        assert ids(service) == [0, 1]
        assert service.restored[0].records == 0
        history = read_history(service.log)
        assert (history.versions[2].kind, history.versions[2].target) == ("rollback", 1)
        assert history.is_complete(history.versions[2])


def grown_straight() -> Service:
    """Like `grown`, with the label True for e2 from the beginning."""
    service = Service()
    for number in range(4):
        service.event(f"e{number}", number, n=number, x=float(number))
    for number in range(2):
        service.label(f"e{number}", True, 10 + number)
    service.label("e2", True, 20)
    service.label("x", True, 21)
    service.run()
    return service


def names(semantic: dict[str, Any]) -> list[str]:
    """The steps of the model in a configuration of the journal."""
    return [next(iter(step)) for step in semantic["model"]]


class TestModelSection:
    def rolled_back(self) -> Service:
        """Rolled back to a version of another model, which a changed configuration once had."""
        service = grown()
        entry = next(entry for entry in service.entries(0) if entry.outcomes)
        other = Plan(configuration(detectors=[], model=LOGISTIC))
        capture = capture_of(
            Shard(other, 0), entry.journal, entry.sequence, entry.end, "version", 1, []
        )
        assert service.worker is not None
        ref, _ = write(capture, service.worker._snapshots, lambda boundary: None)
        service.back_to(1, snapshots={0: ref.key})
        service.run()
        return service

    def test_it_comes_back_and_is_journalled(self):
        service = self.rolled_back()
        assert names(service.state().plan.configuration.semantic()) == LOGISTIC
        [changed] = [e.configuration for e in service.entries(0)[1:] if e.configuration]
        assert names(changed) == LOGISTIC
        # then: only the model's
        assert changed["detectors"] == service.founded()["detectors"]

    def test_a_file_that_names_the_old_model_is_refused_with_the_line_to_change(self):
        service = self.rolled_back()
        service.die()
        with pytest.raises(ConfigurationDiffersError) as caught:
            service.run()
        assert any("model" in line for line in caught.value.difference)
        assert "--use-journal-config" in (caught.value.hint or "")

    def test_it_goes_on_under_the_journals_or_with_the_file_changed(self):
        service = self.rolled_back()
        service.event("e9", 40, n=9)
        service.die()
        service.run(use_journal_configuration=True)
        assert names(service.state().plan.configuration.semantic()) == LOGISTIC
        service.stop()
        service.configuration = configuration(
            detectors=[dict(one) for one in service.founded()["detectors"]],
            model=LOGISTIC,
        )
        service.run()
        assert len(service.outputs("predictions", 0)) == 5


class TestRefused:
    @pytest.mark.parametrize(
        ("target", "why"),
        [
            ({"version": 9}, "no version 9"),
            ({"version": 1, "empty": True}, "must name one"),
            ({"empty": False, "version": None}, "must name one"),
            (
                {
                    "version": None,
                    "skip": (SkipRange(topic="events", partition=0, first=3, last=2),),
                },
                "ends before it begins",
            ),
            ({"version": 1, "after": "nobody"}, "overtaken"),
        ],
    )
    def test_nothing_changes_but_the_outcome(self, target, why):
        service = grown()
        before, published = plain(service.state()), service.published(0)
        learner = service.state().parts.learner

        service.back_to(1, **target)
        service.run()

        after = plain(service.state())
        assert after["versions"].pop("last_command") != before["versions"].pop("last_command")
        for state in (before, after):
            del state["shard"]["digest"], state["shard"]["commands"]
        assert after == before
        assert service.state().parts.learner is learner
        assert service.published(0) == published
        outcome = service.outcomes()[-1]
        assert outcome["outcome"] == "refused"
        assert why in outcome["detail"]
        said = [outcome[name] for name in ("command", "by", "at_ms", "reason")]
        assert said == ["rollback", "ada", 7, "it was bad"]
        # then: whoever recovers passes it by, and goes on
        service.die()
        service.run()
        assert ids(service) == [0, 1, 2]

    def test_a_version_that_saw_skipped_records(self):
        service = grown()
        service.skip("events", 0)
        service.run()
        assert read_history(service.log).tainted == {1}
        service.back_to(1)
        service.run()
        assert "saw records that were skipped" in service.outcomes()[-1]["detail"]

    def test_a_version_on_its_way_when_the_skip_was_given_is_marked_too(self):
        # given: a version that no worker has cut yet
        service = grown()
        service.stop()
        service.cut()
        # when
        service.skip("events", 0)
        service.run()
        # then
        assert service.state().parts.versions.tainted == [1, 2]
        assert read_history(service.log).tainted == {1, 2}

    def test_what_was_overtaken_is_refused_on_every_shard_alike(self):
        # given: two who decide at the same time
        service = Service(shards=3)
        service.cut()
        service.run()
        seen = read_history(service.log).last_id()
        service.empty(after=seen)
        service.back_to(1, after=seen)
        service.alias(1)
        service.run()
        found = [[o["outcome"] for o in service.outcomes(shard)] for shard in range(3)]
        assert found == [["applied", "applied", "refused", "applied"]] * 3


class TestGiven:
    def test_while_no_worker_runs_it_is_applied_when_one_does(self):
        service = grown()
        service.stop()
        service.back_to(1)
        assert [len(g.outcomes) for g in read_history(service.log).commands] == [1, 0]
        service.run()
        assert ids(service) == [0, 1]
        assert [len(g.outcomes) for g in read_history(service.log).commands] == [1, 1]

    def test_it_does_not_wait_for_records(self):
        service = Service()
        for number in range(50):
            service.event(f"e{number}", number)
        service.empty()
        worker = service.worker = service.start()
        worker.turn(0.0)
        worker.turn(0.0)
        [_, entry] = service.entries(0)
        assert ([o["command"] for o in entry.outcomes], entry.end["events"]) == (["rollback"], 0)


class TestPaused:
    def paused(self, shards: int = 1) -> Service:
        """A service one of whose shards cannot load what a rollback names; events come on."""
        service = grown(shards=shards)
        key = service.key_of(1)
        service.store.delete(key)
        service.back_to(1)
        for number in range(5, 8):
            service.event(f"e{number}", 100 + number, n=number)
        service.run()
        return service

    def test_the_shard_waits_and_events_stay_in_the_log(self):
        service = self.paused()
        runner = service.run().runners[0]
        assert "is not in" in (runner.paused or "")
        assert len(service.outputs("predictions", 0)) == 4
        assert [outcome["command"] for outcome in service.outcomes()] == ["version"]
        assert ids(service) == [0, 1, 2]

    @pytest.mark.parametrize("restarted", [False, True])
    def test_a_later_rollback_replaces_it_and_nothing_is_lost(self, restarted):
        service = self.paused()
        if restarted:
            service.die()
            assert service.run().runners[0].paused
        service.alias(1)
        service.empty()
        service.run()
        assert service.run().runners[0].paused is None
        outcomes = [outcome["outcome"] for outcome in service.outcomes()]
        assert outcomes == ["applied", "replaced", "applied", "applied"]
        assert ids(service) == []
        assert len(service.outputs("predictions", 0)) == 7
        # then: whoever recovers stands there too
        state = plain(service.state())
        service.die()
        service.run()
        assert plain(service.state()) == state

    def test_the_replaced_one_keeps_its_number_as_on_the_shards_that_carried_it_out(self):
        service = self.paused(shards=2)
        assert service.run().runners[1].paused is None
        service.empty()
        service.run()
        service.cut()
        service.run()
        for shard in range(2):
            assert [o.get("version") for o in service.outcomes(shard)] == [1, 2, 3, 4]
        # then: what its models descend from is another matter
        parents = [service.state(shard).parts.versions.numbered[3].parent for shard in range(2)]
        assert parents == [1, 2]
        versions = read_history(service.log).versions
        assert [len(version.cuts) for version in versions.values()] == [2, 1, 2, 2]

    def test_a_snapshot_that_is_put_back_is_loaded_at_the_next_start(self):
        service = grown()
        key = service.key_of(1)
        data = service.store.get(key)
        assert data is not None
        service.store.delete(key)
        service.back_to(1)
        service.run()
        service.die()
        service.store.put(key, data)
        service.run()
        assert ids(service) == [0, 1]

    def test_a_store_out_of_reach_stops_the_worker_and_the_next_one_carries_it_out(self):
        service = grown()
        service.back_to(1)
        service.store.probability = 1.0
        with pytest.raises(StoreError):
            service.run()
        service.die()
        service.store.probability = 0.0
        service.run()
        assert ids(service) == [0, 1]

    def test_a_log_that_no_longer_reaches_back_pauses_only_the_shard_that_skips(self):
        service = grown(shards=2)
        service.event("f0", 0, shard=1)
        service.run()
        service.skip("events", 0, 1)
        # and: the other shard could be rebuilt from nothing either
        service.log.trim("events", 0, 2)
        service.log.trim("events", 1, 1)
        key = read_history(service.log).versions[1].cuts[1].key
        assert key is not None
        service.store.delete(key)
        service.run()
        worker = service.run()
        assert "begins at 2" in (worker.runners[0].paused or "")
        assert worker.runners[1].paused is None
        assert service.outcomes(1)[-1]["outcome"] == "applied"


class TestSkip:
    def test_the_id_of_a_skipped_event_counts_as_not_seen(self):
        service = grown()
        service.skip("events", 2)
        service.run()
        assert ids(service) == [0, 1]
        # then: its label is done with, and the event may come again
        assert service.letters() == [("labels", 2, "skipped")]
        service.event("e2", 40, n=22)
        service.label("e2", True, 41)
        service.run()
        assert ids(service) == [0, 1, 22]
        assert service.letters() == [("labels", 2, "skipped")]

    def test_a_skipped_label_leaves_its_event_waiting(self):
        service = grown()
        service.skip("labels", 2)
        service.run()
        assert ids(service) == [0, 1]
        service.label("e2", True, 41)
        service.run()
        assert [label for _, label in learnt(service.state())] == [True, True, True]
        assert service.state().parts.counters.corrected == 0
        assert service.letters() == []

    def test_what_was_not_applied_yet_is_a_dead_letter_and_nothing_else(self):
        # given: two events on the log that no worker has seen, the first far ahead in time
        service = grown()
        service.stop()
        service.event("late", HOUR_MS - 1, n=7)
        service.event("e9", 50, n=9)
        service.skip("events", 4)
        service.run()
        # then: it moved no clock, ended no wait, and counts as no event
        parts = service.state().parts
        assert service.letters() == [("events", 4, "skipped")]
        assert (parts.clock_ms, parts.events) == (T0_MS + 50, 5)
        assert "late" not in parts.seen
        service.label("late", True, 51)
        service.run()
        assert service.letters() == [("events", 4, "skipped")]

    def test_a_label_that_lost_its_event_and_its_wait_is_told_once(self):
        # given: the label of an event, and much later another event
        service = Service()
        service.event("a", 0, n=0)
        service.label("a", True, 1)
        service.event("b", 3 * HOUR_MS, n=1)
        service.run()
        # when: without the event its label would have waited in vain
        service.skip("events", 0)
        service.run()
        assert service.letters() == [("labels", 0, "skipped")]
        # then: a second skip tells it no second time
        service.skip("events", 1)
        service.run()
        service.wait_out(service.run())
        assert service.letters() == [("labels", 0, "skipped")]

    def test_a_label_that_has_its_dead_letter_gets_no_other(self):
        # given: an event far ahead ended the wait of a held label
        service = Service()
        service.event("a", 0, n=0)
        service.label("x", True, 1)
        service.event("far", 3 * HOUR_MS, n=1)
        service.run()
        assert service.letters() == [("labels", 0, "unknown_id")]
        # when: without it the label is held again
        service.skip("events", 1)
        service.run()
        assert "x" in service.state().parts.held
        service.stop()
        # then: its event is learnt from when it comes, or it ends in silence
        service.run()
        service.event("b", 4 * HOUR_MS, n=2)
        service.run()
        assert "x" not in service.state().parts.held
        assert service.letters() == [("labels", 0, "unknown_id")]

    def test_skipped_records_have_no_part_in_the_merged_order(self):
        """e1 comes late and holds e2 back: without it e2 comes before the label."""
        for applied in (False, True):
            service = Service(detectors=[])
            service.event("e0", 0, n=0)
            service.event("e1", 100, n=1)
            service.event("e2", 50, n=2)
            service.label("e0", False, 80)
            if applied:
                service.run()
            service.skip("events", 1)
            service.run()
            parts = service.state().parts
            # e2 was predicted before the label was learnt, so it has the answer of a fresh model
            waiting = parts.pending.get("e2")
            assert waiting is not None
            assert waiting.served[1] == 0.5, applied

    def test_a_plain_rollback_on_the_way_is_to_the_clean_runs_version(self):
        service = grown()
        service.back_to(1)
        service.event("e9", 30, n=9)
        service.label("e9", True, 31)
        service.run()
        assert ids(service) == [0, 1, 9]
        service.skip("labels", 0)
        service.run()
        assert ids(service) == [1, 9]


class TestDamaged:
    def test_recovery_begins_at_the_rollback_if_what_is_newer_is_damaged(self):
        service = grown()
        service.back_to(1)
        service.run()
        service.back_to(9)
        service.event("e9", 30, n=9)
        service.label("e9", True, 31)
        service.run()
        service.stop()
        sequence = read_history(service.log).versions[2].cuts[0].sequence
        for key in service.stored(0):
            ref = parse_key(key)
            if ref is not None and ref.sequence > sequence:
                service.store.delete(key)
        service.run()
        assert service.restored[0].snapshot == sequence
        assert service.restored[0].records > 0
        assert ids(service) == [0, 1, 9]

    def test_a_rollback_whose_snapshot_is_gone_is_named(self):
        service = grown()
        service.back_to(1)
        service.run()
        service.stop()
        sequence = read_history(service.log).versions[2].cuts[0].sequence
        for key in service.stored(0):
            ref = parse_key(key)
            if ref is not None and ref.sequence >= sequence:
                service.store.delete(key)
        with pytest.raises(JournalError, match=f"entry {sequence} is a rollback") as caught:
            service.run()
        assert caught.value.hint


def test_commands_are_told_apart_from_what_is_none():
    service = Service()
    service.log.append([("commands", 0, NewRecord(b'{"command": "rollback"}')) for _ in range(2)])
    service.cut()
    service.run()
    assert [outcome["outcome"] for outcome in service.outcomes()] == ["refused"] * 2 + ["applied"]
    reasons = [("commands", 0, "bad_command"), ("commands", 1, "bad_command")]
    assert service.letters() == reasons
