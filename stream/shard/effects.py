"""What a step tells: dead letters and alerts, each chained into the running digest."""

from __future__ import annotations

from consumers.dead_letters import dead_letter
from consumers.held import Held
from consumers.record import NewRecord, Record
from detectors.alert import alert_id, build_alert
from detectors.detection import Detection
from detectors.policy import Suppressed
from detectors.watch import Watch
from stream.shard import digest, messages
from stream.shard.parts import Parts
from stream.shard.plan import Plan

Value = bool | int | float | str
Outputs = list[tuple[str, NewRecord]]


class Effects:
    """Where a shard's results go.

    `outputs` is the step's list, or None in a replay: then nothing is encoded, and the digest and
    the counters move just the same. `lost` takes the labels that a replay could not use. `record`
    is the one being applied, `assumed` the id of the event whose default label is being learnt.
    """

    __slots__ = ("assumed", "lost", "outputs", "parts", "plan", "record", "shard", "watches")

    def __init__(self, plan: Plan, shard: int, parts: Parts) -> None:
        self.plan = plan
        self.shard = shard
        self.parts = parts
        self.outputs: Outputs | None = None
        self.lost: list[Record] | None = None
        self.record: Record | None = None
        self.assumed: str | None = None
        self.watches = plan.by_signal(parts.watches)

    def dead(self, record: Record, ordinal: int, reason: str, detail: str) -> None:
        """A record that cannot be used; `ordinal` is its number in its input."""
        parts = self.parts
        parts.digest = digest.dead_letter(parts.digest, record.topic, ordinal, reason)
        parts.counters.dead(reason)
        self._write_dead(record, reason, detail)

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
        parts.counters.alerts += 1
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

    def _write_dead(self, record: Record, reason: str, detail: str) -> None:
        if self.outputs is not None:
            letter = dead_letter(record, reason, detail, self.plan.dead_letter_bytes)
            self.outputs.append(("dead-letters", letter))
        elif self.lost is not None and record.topic == "labels":
            self.lost.append(record)
