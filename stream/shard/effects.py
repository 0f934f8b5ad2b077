"""What a step tells and teaches: dead letters, alerts and the learner's updates that are not plain,
each chained into the running digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.dead_letters import dead_letter
from consumers.held import Held
from consumers.record import NewRecord, Record
from detectors.alert import NOTICE_SEVERITY, alert_id, build_alert, build_notice
from detectors.detection import Detection
from detectors.policy import Suppressed
from detectors.watch import Watch
from stream.shard import digest, messages
from stream.shard.parts import Parts
from stream.shard.plan import Plan
from stream.shard.step import NOTHING
from stream.shard.updates import WINDOW, Place

Value = bool | int | float | str
Outputs = list[tuple[str, NewRecord]]

RESUME_HINT = "driftline resume, once the cause is mended"


class Effects:
    """Where a shard's results go.

    `outputs` is the step's list, or None in a replay: then nothing is encoded, and the digest and
    the counters move just the same. `lost` takes the labels that a replay could not use. `record`
    is the one being applied, `update` what the learner is being taught by where that is not it.

    `learns` says that updates go straight to the learner. Otherwise `learn` decides: it learns no
    more, or some updates are `left_out`; `left` are those that were met.
    """

    __slots__ = (
        "halts",
        "learns",
        "left",
        "left_out",
        "lost",
        "outputs",
        "parts",
        "plan",
        "record",
        "shard",
        "update",
        "watches",
    )

    def __init__(self, plan: Plan, shard: int, parts: Parts) -> None:
        self.plan = plan
        self.shard = shard
        self.parts = parts
        self.outputs: Outputs | None = None
        self.lost: list[Record] | None = None
        self.record: Record | None = None
        self.update: tuple[str, int] | None = None
        self.watches = plan.by_signal(parts.watches)
        self.halts = True
        self.expect(NOTHING)

    def expect(self, left_out: Mapping[Place, str]) -> None:
        """Prepares for a step of which these updates are left out."""
        self.left_out = left_out
        self.left: list[Place] = []
        self.learns = not left_out and self.parts.updates.suspended is None

    def learn(self, features: dict[str, Value], label: Value | None, place: Place) -> None:
        """An update that may be left out."""
        parts = self.parts
        if parts.updates.suspended is not None:
            parts.counters.not_learnt += 1
            return
        detail = self.left_out.get(place)
        if detail is None:
            parts.learner.learn(features, label)
            return
        self.left.append(place)
        parts.counters.not_learnt += 1
        number = self._update_number()
        parts.digest = digest.left_out(parts.digest, number)
        if parts.updates.fail(number, detail):
            failed = len(parts.updates.failed)
            evidence = {"failed": failed, "of": WINDOW, "detail": detail, "hint": RESUME_HINT}
            self._notice("learner", "learn", "suspended", evidence)

    def resume(self) -> list[str]:
        """Ends a halt and a suspension; gives what has ended."""
        parts = self.parts
        ended = ["halt"] if parts.halting.halted is not None else []
        parts.halting.halted = None
        parts.halting.begin(parts.events, parts.labels)
        if parts.updates.resume():
            ended.append("learner")
        return ended

    def _update_number(self) -> int:
        """The number of the update being made: it grows with each."""
        counters = self.parts.counters
        if not self.parts.learner.learns_from_labels:
            return self.parts.events
        return counters.joined + counters.corrected + counters.assumed

    def dead(self, record: Record, ordinal: int, reason: str, detail: str) -> None:
        """A record that cannot be used; `ordinal` is its number in its input."""
        parts = self.parts
        parts.digest = digest.dead_letter(parts.digest, record.topic, ordinal, reason)
        parts.counters.dead(reason)
        self._write_dead(record, reason, detail)
        if self.halts and parts.halting.bad(record.topic, ordinal, reason, detail):
            halted = parts.halting.halted
            assert halted is not None, "it has just halted"
            evidence: dict[str, Any] = {"input": halted.input, "window": halted.window}
            evidence |= {"bad": sum(halted.reasons.values()), "cause": str(halted)}
            evidence["hint"] = RESUME_HINT
            self._notice("halt", "dead_letters", "halted", evidence)

    def dead_held(self, held: Held, reason: str, detail: str) -> None:
        """A label that waited for its event in vain."""
        parts = self.parts
        parts.digest = digest.label(parts.digest, b"U", held.id, held.label)
        if held.told:
            return
        parts.counters.dead(reason)
        self._write_dead(held.record, reason, detail)

    def observe(self, watch: Watch, value: float, index: int, time_ms: int) -> None:
        """Feeds a watch with the value of an event, and tells of what it detects."""
        detection = watch.update(value, index, time_ms)
        if detection is not None:
            self._alert(detection)

    def observe_label(
        self, error: float | None, loss: float | None, label: Value, index: int, time_ms: int
    ) -> None:
        """Feeds what a label brought to the watches of error, loss and label."""
        watches = self.watches
        if error is not None:
            for watch in watches.error:
                detection = watch.update(error, index, time_ms)  # observe, one call less
                if detection is not None:
                    self._alert(detection)
        if loss is not None:
            for watch in watches.loss:
                self.observe(watch, loss, index, time_ms)
        for watch in watches.label:
            self.observe(watch, float(label), index, time_ms)

    def _alert(self, detection: Detection) -> None:
        parts, record = self.parts, self.record
        assert record is not None, "a detection comes from a record"
        name = alert_id(
            service=self.plan.service,
            shard=self.shard,
            detector=detection.detector,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        decision = parts.policy.decide(detection, alert_id=name, clock_ms=parts.clock_ms)
        if isinstance(decision, Suppressed):
            parts.counters.alerts_suppressed += 1
            return
        parts.counters.alerts[detection.severity] += 1
        parts.digest = digest.alert(parts.digest, detection, decision.suppressed)
        if self.outputs is not None:
            message = build_alert(
                detection,
                service=self.plan.service,
                shard=self.shard,
                version=parts.versions.current,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                suppressed=decision.suppressed,
            )
            self.outputs.append(("alerts", NewRecord(messages.encode(message), name.encode())))

    def _notice(self, detector: str, signal: str, state: str, evidence: dict[str, Any]) -> None:
        """Tells of something that has become of the shard itself."""
        parts, record = self.parts, self.record
        index = max(0, parts.events - 1)
        parts.counters.alerts[NOTICE_SEVERITY] += 1
        parts.digest = digest.notice(parts.digest, detector, state, index)
        if self.outputs is None:
            return
        message = build_notice(
            service=self.plan.service,
            shard=self.shard,
            version=parts.versions.current,
            detector=detector,
            signal=signal,
            state=state,
            time_ms=parts.clock_ms,
            event_index=index,
            evidence=evidence,
            source=None if record is None else (record.topic, record.offset),
        )
        body = messages.encode(message)
        self.outputs.append(("alerts", NewRecord(body, message["id"].encode())))

    def _write_dead(self, record: Record, reason: str, detail: str) -> None:
        if self.outputs is not None:
            letter = dead_letter(record, reason, detail, self.plan.dead_letter_bytes)
            self.outputs.append(("dead-letters", letter))
        elif self.lost is not None and record.topic == "labels":
            self.lost.append(record)
