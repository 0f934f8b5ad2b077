"""Another configuration for a service that goes on: what stays, what starts afresh, what is
refused."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from stream.errors import ConfigurationDiffersError
from stream.history import read_history
from tests.stream.builders import HOUR_MS, LOGISTIC, RECORDER, learnt, plain
from tests.stream.service import DETECTORS, Service

DAY = {"wait": "1d"}
NUMBERS = {"task": "regression", "model": "linear_model.LinearRegression"}


def ids(service: Service) -> list[Any]:
    """The `n` of the features that the model has learnt from, in order."""
    return [features["n"] for features, _ in learnt(service.state())]


def grown(**fields: Any) -> Service:
    """A service that has learnt from 0 and 1; 2 waits for its label, and x is held."""
    service = Service(**fields)
    for number in range(3):
        service.event(f"e{number}", number, n=number, x=float(number))
    for number in range(2):
        service.label(f"e{number}", True, 10 + number)
    service.label("x", True, 12)
    service.run()
    return service


def watches(service: Service) -> dict[str, bytes]:
    """What each detector knows, by its name."""
    found = service.state().parts.watches
    return {watch.settings.name: pickle.dumps(watch) for watch in found}


class TestKeep:
    def test_the_model_and_all_that_waits_go_on(self):
        service = grown()
        before = plain(service.state())
        service.configure(alerts={"cooldown": "5m"})
        service.label("e2", False, 20)
        service.run()
        assert ids(service) == [0, 1, 2]
        after = plain(service.state())
        assert after["seen"] == before["seen"]
        assert after["held"] == before["held"]
        assert after["shard"]["counters"]["joined"] == 3

    def test_only_detectors_that_are_set_otherwise_start_afresh(self):
        service = grown()
        before = watches(service)
        wrong, _ = DETECTORS
        other = {"name": "x", "signal": "feature:x", "method": "ADWIN", "delta": 0.1}
        new = {"name": "n", "signal": "feature:n", "method": "ADWIN"}
        service.configure(detectors=[new, other, wrong])
        service.run()
        after = watches(service)
        assert list(after) == ["n", "x", "wrong"]
        assert after["wrong"] == before["wrong"]
        assert after["x"] != before["x"]
        assert service.state().parts.watches[1].settings.delta == 0.1

    def test_a_longer_wait_holds_for_events_from_then_on_and_keeps_their_periods_open(self):
        service = grown()
        service.configure(labels=DAY)
        service.event("late", 30, n=9)
        service.run()
        # given: an hour and a bit later, past the wait of e2 and not past that of `late`
        service.event("tock", HOUR_MS + 60_000, n=10)
        service.label("e2", True, HOUR_MS + 60_001)
        service.label("late", True, HOUR_MS + 60_002)
        service.run()
        assert ids(service) == [0, 1, 9]
        assert ("labels", 3, "too_late") in service.letters()
        report = service.state().parts.quality.report()
        assert report["mature"]["labels"] == 0

    def test_a_fixed_threshold_is_in_force_from_the_next_event_on(self):
        service = grown(threshold=0.4)
        service.configure(threshold=0.7)
        service.run()
        assert service.state().parts.learner.threshold == 0.7

    def test_features_that_were_not_kept_are_not_learnt_again(self):
        # given: a joined label whose features the first configuration had no use for
        service = grown()
        service.configure(labels={"wait": "1h", "on_correction": "learn_again"})
        service.label("e1", False, 30)
        service.label("e2", True, 31)
        service.label("e2", False, 32)
        service.run()
        assert service.state().parts.counters.corrected == 2
        assert ids(service) == [0, 1, 2, 2]

    def test_it_is_a_version_that_can_be_gone_back_to(self):
        service = grown()
        service.configure(alerts={"cooldown": "5m"})
        service.run()
        history = read_history(service.log)
        version = history.versions[1]
        assert (version.kind, history.is_complete(version)) == ("config", True)
        assert service.state().parts.versions.numbered[1].origin == "version 0"
        service.label("e2", True, 30)
        service.run()
        service.back_to(1)
        service.run()
        assert ids(service) == [0, 1]
        # then: what is not the model's stays as it is in force
        assert service.state().plan.configuration.alerts.cooldown is not None


class TestFresh:
    def test_a_model_that_has_learnt_nothing_takes_the_place_of_the_old_one(self):
        service = grown()
        before = watches(service)
        service.configure(keep=False, model=LOGISTIC)
        service.label("e2", True, 20)
        service.run()
        state = service.state()
        assert [type(step).__name__ for step in state.parts.learner.model.steps.values()] == [
            "StandardScaler",
            "LogisticRegression",
        ]
        # and e2, predicted by the old one, has taught the new one
        assert state.parts.learner.model["StandardScaler"].counts["n"] == 1
        after = watches(service)
        assert after["x"] == before["x"]
        assert state.parts.versions.numbered[1].origin == "nothing"

    def test_a_rollback_brings_the_old_model_and_its_section_back(self):
        service = grown()
        service.cut()
        service.configure(keep=False, model=LOGISTIC)
        service.run()
        service.back_to(1)
        service.run()
        assert ids(service) == [0, 1]
        assert service.state().plan.configuration.semantic()["model"] == service.founded()["model"]


class TestRefused:
    @pytest.mark.parametrize(
        ("keep", "fields", "why"),
        [
            (True, {}, "in force already"),
            (False, {}, "in force already"),
            (True, {"model": LOGISTIC}, "cannot be kept"),
            (False, NUMBERS, "the task of a service is fixed"),
        ],
    )
    def test_it_changes_nothing(self, keep, fields, why):
        service = grown()
        before = service.state().parts.dump_plain()
        service.configure(keep=keep, **fields)
        service.run()
        [outcome] = service.outcomes()
        assert outcome["outcome"] == "refused"
        assert why in outcome["detail"]
        after = service.state().parts.dump_plain()
        same = [name for name in before if before[name] == after[name]]
        assert set(before) - set(same) == {"shard", "versions"}
        assert [e.configuration for e in service.entries(0)[1:] if e.configuration] == []

    def test_one_that_was_overtaken(self):
        service = grown()
        service.configure(alerts={"cooldown": "5m"})
        command = json.loads(next(iter(service.log.read("commands", 0, 0))).value or b"")
        service.run()
        service.give_again(command, id="other")
        service.run()
        assert [one["outcome"] for one in service.outcomes()] == ["applied", "refused"]


class TestPaused:
    def test_a_factory_that_is_missing_here_pauses_until_another_one_comes(self):
        # given: a command whose writer could import what this worker cannot
        service = grown()
        service.configure(keep=False, model=LOGISTIC)
        service.run()
        body = {**service.state().plan.configuration.semantic()}
        body["model"] = {"factory": "nowhere:build", "params": {}}
        service.give_configuration(body, keep=False)
        service.event("e5", 40, n=5)
        service.run()
        runner = service.worker.runners[0] if service.worker else None
        assert runner is not None
        assert "nowhere" in (runner.paused or "")
        assert len(service.outputs("predictions", 0)) == 3
        # when
        service.configure(keep=False, model=RECORDER)
        service.run()
        # then: the first was replaced, and the events are predicted
        assert [one["outcome"] for one in service.outcomes()] == ["applied", "replaced", "applied"]
        assert len(service.outputs("predictions", 0)) == 4


class TestTheFile:
    def test_a_restart_with_the_new_file_goes_on_and_with_the_old_one_is_refused(self):
        service = grown()
        old, new = service.configuration, service.configure(alerts={"cooldown": "5m"})
        service.run()
        service.stop()
        with pytest.raises(ConfigurationDiffersError) as caught:
            service.run()
        assert "config apply" in (caught.value.hint or "")
        service.worker = None
        service.log.kill_worker()
        service.configuration = new
        service.run()
        assert service.restored[0].records == 0
        assert old.semantic() != new.semantic()

    def test_a_stopped_service_starts_with_a_file_that_a_waiting_command_puts_in_force(self):
        service = grown()
        service.stop()
        service.configuration = service.configure(alerts={"cooldown": "5m"})
        service.label("e2", True, 20)
        service.run()
        assert [one["outcome"] for one in service.outcomes()] == ["applied"]
        in_force = service.state().plan.configuration.semantic()
        assert in_force == service.configuration.semantic()
        assert ids(service) == [0, 1, 2]

    def test_a_file_that_no_waiting_command_names_is_refused_with_the_difference(self):
        service = grown()
        service.stop()
        service.configure(alerts={"cooldown": "5m"})
        service.configuration = service.configuration_of(alerts={"cooldown": "6m"})
        with pytest.raises(ConfigurationDiffersError) as caught:
            service.run()
        [line] = caught.value.difference
        assert line.startswith("alerts.cooldown")


class TestRecovery:
    def test_it_is_done_again_from_before_it(self):
        # given: no snapshot at all, so that recovery begins with entry 0
        service = grown()
        service.configure(alerts={"cooldown": "5m"}, labels=DAY)
        service.configure(keep=False, model=LOGISTIC, labels=DAY)
        service.label("e2", True, 20)
        service.run()
        state = service.state().parts.dump_plain()
        service.die()
        for stored in service.store.list():
            service.store.delete(stored.key)
        service.run(use_journal_configuration=True)
        assert service.restored[0].snapshot is None
        assert service.state().parts.dump_plain() == state

    def test_a_skip_further_back_takes_the_configuration_on_its_way(self):
        service = grown()
        service.configure(keep=False, model=RECORDER, alerts={"cooldown": "5m"})
        service.label("e2", True, 20)
        service.run()
        service.skip("labels", 1)
        service.run()
        # then: of the new model's labels none was skipped, and the old one's are not learnt by it
        assert ids(service) == [2]
        assert service.state().parts.counters.joined == 2
        assert service.state().plan.configuration.alerts.cooldown is not None
