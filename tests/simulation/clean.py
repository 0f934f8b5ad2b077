"""The run that never saw some records, worked out from a journal without any of the service's code
for rollback.

It takes the same cuts and ticks as the journal, with the records in them less those that were ever
skipped. A plain rollback puts back what the clean run itself was at that version.
"""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from consumers.record import Record
from consumers.transport import INPUTS
from consumers.transports.memory import MemoryLog
from learners.learner import Learner
from stream.commands import ConfigCommand, ResumeCommand, RollbackCommand, SkipRange, parse_command
from stream.configuration import Configuration, from_semantic
from stream.errors import UpdateFailedError
from stream.history import read_history
from stream.shard.effects import Outputs
from stream.shard.journal import Entry
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step
from stream.shard.updates import Place, Updates
from stream.worker import Worker
from tests.simulation.spied import Spied

FOLLOWS_THE_MODEL = ("error", "loss", "prediction")

Kept = tuple[bytes, float | None, Configuration]


def check_like_clean_runs(world: Spied, worker: Worker) -> None:
    """From its last rollback on, each shard has said what the clean run says, and is what that is;
    no record has two results."""
    skips = [
        skip
        for given in read_history(world.log).commands
        if isinstance(given.command, RollbackCommand) and given.outcomes[0]["outcome"] == "applied"
        for skip in given.command.skip
    ]
    for shard, runner in worker.runners.items():
        entries, said = world.entries(shard), world.said[shard]
        clean = CleanRun(world.configuration, shard, world.log, skips)
        last = 0
        for entry in entries:
            clean.apply(entry, said)
            for outcome in entry.outcomes:
                if outcome.get("command") == "rollback" and outcome["outcome"] == "applied":
                    last = entry.sequence
        for entry in entries[last + 1 :]:
            number = entry.sequence
            found = answers(said[number])
            assert found == answers(clean.outputs[number]), f"entry {number}"
        check_equal(runner.shard, clean.state)
        _check_labels(said, clean)


class CleanRun:
    """One shard without the records of `skips`; `outputs` are what it says, by journal entry."""

    def __init__(
        self, configuration: Configuration, shard: int, log: MemoryLog, skips: Sequence[SkipRange]
    ) -> None:
        self.state = Shard(Plan(configuration), shard)
        self.outputs: dict[int, Outputs] = {}
        self._log = log
        self._skips = skips
        self._kept: dict[int, Kept] = {}

    def apply(self, entry: Entry, done: Mapping[int, Outputs]) -> None:
        """The same step; `done` is what the real run said at each entry."""
        inputs: dict[str, list[Record]] = {
            topic: list(
                self._log.read(topic, self.state.shard, entry.start[topic], entry.end[topic])
            )
            for topic in INPUTS
        }
        for outcome, record in zip(entry.outcomes, inputs["commands"], strict=True):
            if outcome["outcome"] == "applied":
                self._command(outcome, record, done[entry.sequence])
        data = {
            topic: [r for r in inputs[topic] if not self._is_skipped(r)]
            for topic in ("events", "labels")
        }
        step = Step.of(entry.start, entry.end, data, entry.tick_ms)
        self.outputs[entry.sequence] = self._applied(step)

    def _applied(self, step: Step) -> Outputs:
        """What the step says; an update that fails is left out of it, and of nothing else."""
        before = pickle.dumps(self.state.parts)
        failing: dict[Place, str] = {}
        while True:
            said: Outputs = []
            try:
                self.state.apply(step._replace(left_out=failing), said, halts=False)
            except UpdateFailedError as error:
                failing[Place(*error.place)] = error.detail
                self.state = Shard(self.state.plan, self.state.shard, pickle.loads(before))
            else:
                return said

    def _command(self, outcome: dict[str, Any], record: Record, said: Outputs) -> None:
        command, parts = parse_command(record), self.state.parts
        if isinstance(command, RollbackCommand) and command.skip:
            # A label that was told `skipped` is done with, should its event's id come again.
            for place in left_labels(said):
                for held in [h for h in _held(self.state) if h[1] == place]:
                    _drop(self.state, held)
        elif isinstance(command, ConfigCommand):
            self._configure(command)
        elif isinstance(command, RollbackCommand):
            plan = self.state.plan
            if command.version is not None:
                plan = _with_model(plan, self._kept[command.version][2])
            fresh = plan.fresh_parts()
            parts.watches = [
                new if new.settings.signal in FOLLOWS_THE_MODEL else old
                for old, new in zip(parts.watches, fresh.watches, strict=True)
            ]
            if command.empty:
                parts.learner = fresh.learner
            else:
                assert command.version is not None
                model, threshold, _ = self._kept[command.version]
                wanted = plan.configuration.threshold
                threshold = threshold if wanted.learnt else wanted.fixed
                parts.learner = Learner(pickle.loads(model), plan.task, threshold)
            parts.updates = Updates()
            self.state = Shard(plan, self.state.shard, parts)
        elif (
            isinstance(command, ResumeCommand)
            and command.shard in (None, self.state.shard)
            and parts.updates.suspended is not None
        ):
            parts.updates = Updates()
        if "version" in outcome and outcome["command"] != "alias":
            learner, configuration = self.state.parts.learner, self.state.plan.configuration
            kept = pickle.dumps(learner.model), learner.threshold, configuration
            self._kept[outcome["version"]] = kept

    def _configure(self, command: ConfigCommand) -> None:
        """All that can be dumped, loaded under the new settings; the model, and detectors set as
        before, stay what they are."""
        old = self.state
        plan = Plan(from_semantic(old.plan.configuration, command.configuration))
        sections = {name: orjson.loads(part) for name, part in old.parts.dump_plain().items()}
        sections["quality"]["wait_ms"] = plan.wait_ms
        parts = plan.fresh_parts()
        untaught = parts.learner
        dumped = {name: orjson.dumps(part) for name, part in sections.items()}
        settings = plan.configuration
        parts.load_plain(dumped, settings.labels, settings.alerts, settings.halt)
        if not command.keep:
            parts.updates = Updates()
        wanted = plan.configuration.threshold
        model, threshold = untaught.model, None
        if command.keep:
            model, threshold = old.parts.learner.model, old.parts.learner.threshold
        if not wanted.learnt:
            threshold = wanted.fixed
        parts.learner = Learner(model, plan.task, threshold)
        stay = {
            repr(watch.settings): watch
            for watch in old.parts.watches
            if command.keep or watch.settings.signal not in FOLLOWS_THE_MODEL
        }
        parts.watches = [stay.get(repr(watch.settings), watch) for watch in parts.watches]
        self.state = Shard(plan, old.shard, parts)

    def _is_skipped(self, record: Record) -> bool:
        return any(
            (skip.topic, skip.partition) == (record.topic, record.partition)
            and skip.first <= record.offset <= skip.last
            for skip in self._skips
        )


def _with_model(plan: Plan, then: Configuration) -> Plan:
    configuration = plan.configuration
    semantic = {**configuration.semantic(), "model": then.semantic()["model"]}
    return Plan(from_semantic(configuration, semantic))


def left_labels(said: Outputs) -> list[int]:
    """The offsets of the labels that a step made dead letters `skipped`."""
    return [
        int(headers["offset"])
        for headers in (dict(record.headers) for role, record in said if role == "dead-letters")
        if headers["reason"] == b"skipped" and headers["topic"] == b"labels"
    ]


def _held(state: Shard) -> list[tuple[str, int]]:
    return [(h.id, h.record.offset) for h in state.parts.held._entries.values()]


def _drop(state: Shard, wanted: tuple[str, int]) -> None:
    """Takes one label out of those held; the others keep their order."""
    held = state.parts.held
    dump = held.dump()
    dump["held"] = [row for row in dump["held"] if (row[0], row[6]) != wanted]
    labels = state.plan.configuration.labels
    state.parts.held = type(held).load(dump, labels.max_held)


def answers(said: Outputs) -> list[dict[str, Any]]:
    """What was predicted, less the version and the offset."""
    bodies = [orjson.loads(r.value or b"") for role, r in said if role == "predictions"]
    for body in bodies:
        del body["version"], body["source"]
    return bodies


def check_equal(real: Shard, clean: Shard, but: Sequence[str] = ()) -> None:
    """Everything that decides what either will say, but for alerts."""
    assert _state(real, but) == _state(clean, but)
    assert real.parts.learner.threshold == clean.parts.learner.threshold
    _check_models(real, clean)
    _check_watches(real, clean)


def _state(shard: Shard, but: Sequence[str]) -> dict[str, Any]:
    """The plain state, less what counts commands, and what decides on alerts and on halting."""
    parts = {name: orjson.loads(part) for name, part in shard.parts.dump_plain().items()}
    for name in ("digest", "commands"):
        del parts["shard"][name]
    for name in ("alerts", "alerts_suppressed", "dead_letters"):
        del parts["shard"]["counters"][name]
    # Which held labels have their dead letter already is the real run's alone to know.
    del parts["held"]["told"]
    for name in ("policy", "versions", "halting", *but):
        del parts[name]
    return parts


def _check_models(real: Shard, clean: Shard) -> None:
    rng = random.Random(0)
    for _ in range(20):
        features = {"a": rng.gauss(0, 2), "b": rng.uniform(-2, 2)}
        answer = real.parts.learner.predict(dict(features))
        assert answer == clean.parts.learner.predict(dict(features))


def _check_watches(real: Shard, clean: Shard) -> None:
    """Fed with the same, they detect the same."""
    rng = random.Random(1)
    index, time_ms = real.parts.events, max(0, real.parts.clock_ms)
    for at in range(150):
        value = float(rng.random() < (0.1 if at < 80 else 0.9))
        for one, other in zip(real.parts.watches, clean.parts.watches, strict=True):
            found = one.update(value, index + at, time_ms + at)
            assert found == other.update(value, index + at, time_ms + at)


def _check_labels(said: dict[int, Outputs], clean: CleanRun) -> None:
    """No record has two results, and no label that the clean run does not apply has none."""
    dead = Counter(
        place for number in sorted(said) for place in _dead(said[number]) if place[0] != "commands"
    )
    assert set(dead.values()) <= {1}, [place for place, count in dead.items() if count > 1]
    for said_clean in clean.outputs.values():
        for place in _dead(said_clean):
            if place[0] == "labels":
                assert dead[place] == 1, place


def _dead(said: Outputs) -> list[tuple[str, int]]:
    found = []
    for role, record in said:
        if role == "dead-letters":
            headers = dict(record.headers)
            found.append((headers["topic"].decode(), int(headers["offset"])))
    return found
