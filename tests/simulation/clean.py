"""The run that never saw some records, worked out from a journal without any of the service's code
for rollback.

It takes the same cuts and ticks as the journal, with the records in them less those that were ever
skipped. A plain rollback puts back what the clean run itself was at that version.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from consumers.record import Record
from consumers.transport import INPUTS
from consumers.transports.memory import MemoryLog
from learners.learner import Learner
from stream.commands import RollbackCommand, SkipRange, parse_command
from stream.configuration import Configuration
from stream.shard.effects import Outputs
from stream.shard.journal import Entry
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step

FOLLOWS_THE_MODEL = ("error", "loss", "prediction")

Kept = tuple[bytes, float | None]


class CleanRun:
    """One shard without the records of `skips`; `outputs` are what it says, by journal entry."""

    def __init__(
        self, configuration: Configuration, shard: int, log: MemoryLog, skips: Sequence[SkipRange]
    ) -> None:
        self.plan = Plan(configuration)
        self.state = Shard(self.plan, shard)
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
        said: Outputs = []
        self.state.apply(Step.of(entry.start, entry.end, data, entry.tick_ms), said)
        self.outputs[entry.sequence] = said

    def _command(self, outcome: dict[str, Any], record: Record, said: Outputs) -> None:
        command, parts = parse_command(record), self.state.parts
        if isinstance(command, RollbackCommand) and command.skip:
            # A label that was told `skipped` is done with, should its event's id come again.
            for place in left_labels(said):
                for held in [h for h in _held(self.state) if h[1] == place]:
                    _drop(self.state, held)
        elif isinstance(command, RollbackCommand):
            fresh = self.plan.fresh_parts()
            parts.watches = [
                new if new.settings.signal in FOLLOWS_THE_MODEL else old
                for old, new in zip(parts.watches, fresh.watches, strict=True)
            ]
            if command.empty:
                parts.learner = fresh.learner
            else:
                assert command.version is not None
                model, threshold = self._kept[command.version]
                parts.learner = Learner(pickle.loads(model), self.plan.task, threshold)
            self.state = Shard(self.plan, self.state.shard, parts)
        if outcome["command"] != "alias":
            learner = self.state.parts.learner
            self._kept[outcome["version"]] = pickle.dumps(learner.model), learner.threshold

    def _is_skipped(self, record: Record) -> bool:
        return any(
            (skip.topic, skip.partition) == (record.topic, record.partition)
            and skip.first <= record.offset <= skip.last
            for skip in self._skips
        )


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
