"""A shard: the whole state of one partition of the service, and the pure function that moves it.

`Shard.apply(step)` reads no clock, does no I/O and draws no unseeded random number: what it does is
a function of the state and the step alone, so the log can rebuild every state. For consecutive
pieces of the merged input, `apply(a + b)` equals `apply(a); apply(b)`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from consumers.errors import RejectedError
from consumers.merge import merge
from consumers.record import NewRecord, Record
from learners.errors import InvalidLabelError, LearnerFailedError
from stream.commands import RollbackCommand
from stream.errors import UpdateFailedError
from stream.shard import digest
from stream.shard.effects import Effects, Outputs, Value
from stream.shard.label_join import LabelJoin, or_never
from stream.shard.outcomes import apply_light
from stream.shard.parts import NEVER_MS, Parts
from stream.shard.plan import Plan
from stream.shard.step import Step
from stream.shard.updates import Place

_new = tuple.__new__


class Applied(NamedTuple):
    """What a step came to: the outcomes of its commands, the positions after the last record that
    was applied, and the updates that were left out."""

    outcomes: list[dict[str, Any]]
    end: Mapping[str, int]
    left_out: list[Place]


PROBES = 5
"""So many recent events travel with a snapshot as its probes."""


class Shard:
    """The state of one shard; `parts` is all of it that must survive.

    Parameters
    ----------
    plan
        What the configuration says, compiled.
    shard
        The partition number, from 0.
    parts
        The state to go on from; a fresh one by default.
    """

    __slots__ = (
        "_checks_ids",
        "_decode",
        "_encode",
        "_features",
        "_join",
        "_label_of",
        "_recent",
        "_wait_ms",
        "effects",
        "parts",
        "plan",
        "shard",
    )

    def __init__(self, plan: Plan, shard: int, parts: Parts | None = None) -> None:
        self.plan = plan
        self.shard = shard
        self.parts = parts or plan.fresh_parts()
        self.effects = Effects(plan, shard, self.parts)
        self._join = LabelJoin(self.effects)
        # Bound once: looking these up by name for each record would cost about 1 µs.
        self._decode = plan.decode_event
        self._encode = plan.encode_prediction
        self._label_of = plan.label_of
        self._checks_ids = plan.checks_ids
        self._wait_ms = plan.wait_ms
        self._features: dict[str, Value] | None = None
        self._recent: deque[dict[str, Value]] = deque(maxlen=PROBES)

    def apply(
        self,
        step: Step,
        outputs: Outputs | None = None,
        lost: list[Record] | None = None,
        *,
        halts: bool = True,
    ) -> Applied:
        """Applies a step and gives the outcome of each of its commands, and how far it came.

        What the step says to the outside is appended to `outputs` as (topic, record); without it (a
        replay) nothing is encoded, the state moves just the same, and labels that would have become
        dead letters are appended to `lost`. A shard that halts at a record applies none after it;
        without `halts` it goes on.

        Raises
        ------
        UpdateFailedError
            The learner failed to learn. The state is spent: recover it from the log, and apply the
            step again with that update left out.
        """
        effects, parts, join = self.effects, self.parts, self._join
        event, label, matures_ms = self._event, join.apply, parts.quality.next_deadline_ms
        halting = parts.halting
        effects.outputs, effects.lost, effects.halts = outputs, lost, halts
        effects.expect(step.left_out)
        end = step.end
        try:
            outcomes = [apply_light(effects, record) for record in step.commands]
            if step.tick_ms is not None and step.tick_ms > parts.clock_ms:
                parts.clock_ms = step.tick_ms
                self._expire(step.tick_ms)
            records, skipped = self._without_skipped(step)
            for number, (merge_ms, record) in enumerate(records):
                effects.record = record
                if merge_ms > parts.clock_ms:
                    parts.clock_ms = merge_ms
                    # Asked for each time: deadlines kept here would be older than those of a
                    # recovered shard.
                    due_ms = matures_ms()
                    if merge_ms > join.due_ms or (due_ms is not None and merge_ms > due_ms):
                        self._expire(merge_ms)
                if record[0] == "events":
                    event(merge_ms, record)
                else:
                    label(record)
                if halting.halted is not None and halts:
                    end = _end_before(records[number + 1 :], end)
                    break
            effects.record = None
            for record in skipped:
                if record.offset < end[record.topic]:
                    self._tell_skipped(record)
        except LearnerFailedError as error:
            raise self._failed(error) from error
        finally:
            effects.outputs = effects.lost = effects.record = effects.update = None
        if self._features is not None:
            self._recent.append(self._features)
            self._features = None
        return Applied(outcomes, end, effects.left)

    def next_tick_ms(self) -> int | None:
        """The earliest stream time (ms) at which a tick would change something, if there is one."""
        due_ms = min(self._join.due_ms, or_never(self.parts.quality.next_deadline_ms()))
        return None if due_ms >= NEVER_MS else max(due_ms, self.parts.clock_ms) + 1

    def recent_features(self) -> list[dict[str, Value]]:
        """Features of a few recent events: what a snapshot's probes ask the learner."""
        return [dict(features) for features in self._recent]

    def _event(self, merge_ms: int, record: Record) -> None:
        parts, effects = self.parts, self.effects
        index = parts.events
        parts.events = index + 1
        try:
            event_id, time_ms, features, given = self._decode(record, merge_ms)
            label = None if given is None else self._label_of(given)
        except RejectedError as error:
            effects.dead(record, index, error.reason, error.detail)
            return
        except InvalidLabelError as error:
            effects.dead(record, index, "bad_label", str(error))
            return
        if self._checks_ids and not self._is_first(event_id, time_ms):
            effects.dead(record, index, "duplicate", f"an event with id {event_id!r} came before")
            return

        learner = parts.learner
        try:
            answer = learner.predict(features)
        except LearnerFailedError as error:
            # As of a record that cannot be read: its id counts as not seen.
            parts.seen.forget(event_id)
            effects.dead(record, index, "predict_failed", error.detail)
            return
        self._features = features
        parts.digest = digest.prediction(parts.digest, event_id, answer, label)
        if effects.outputs is not None:
            version = parts.versions.current
            body = self._encode(record, event_id, time_ms, answer, version)
            # A NewRecord, 0.15 µs cheaper than by its name.
            written = _new(NewRecord, (body, record[4], (), None))
            effects.outputs.append(("predictions", written))

        watches = effects.watches
        for name, watch in watches.features:
            value = features.get(name)
            if value is not None and type(value) is not str:
                effects.observe(watch, float(value), index, time_ms)
        if watches.prediction:
            signal = answer[0] if self.plan.predicts_numbers else answer[1]
            if signal is not None:
                for watch in watches.prediction:
                    effects.observe(watch, float(signal), index, time_ms)  # type: ignore[arg-type]

        if not learner.learns_from_labels:
            if effects.learns:
                learner.learn(features, None)
            else:
                effects.learn(features, None, Place("events", record[2]))
        if label is None:
            self._join.wait_for(event_id, index, time_ms, features, answer, record[4])
            return
        if parts.counters.held:
            self._join.refuse_held(event_id)
        wrong, loss = parts.quality.inline(time_ms, answer, label)
        parts.counters.joined += 1
        if watches.labels:
            effects.observe_label(wrong, loss, label, index, time_ms)
        if learner.learns_from_labels:
            if effects.learns:
                learner.learn(features, label)
            else:
                effects.learn(features, label, Place("events", record[2]))

    def _is_first(self, event_id: str, time_ms: int) -> bool:
        """Whether the id was not seen within its keeping time; it is from now on."""
        parts, wait_ms = self.parts, self._wait_ms
        # A bounded store may have forgotten an id whose event still waits for its label.
        if event_id in parts.pending:
            return False
        until_ms = NEVER_MS if wait_ms is None else time_ms + 2 * wait_ms
        return parts.seen.first_time(event_id, until_ms, parts.clock_ms)

    def _expire(self, clock_ms: int) -> None:
        """Ends what is due by the clock: waits for labels, and periods that mature."""
        parts = self.parts
        if clock_ms > self._join.due_ms:
            self._join.expire(clock_ms)
        quality = parts.quality
        matures_ms = quality.next_deadline_ms()
        if matures_ms is not None and clock_ms > matures_ms and quality.advance(clock_ms):
            parts.learner.threshold = self.plan.threshold(parts.learner.threshold, quality)

    def check_rollback(self, command: RollbackCommand) -> None:
        """Refuses a rollback that cannot be, by CommandError; changes nothing."""
        self.parts.versions.check_order(command)
        self.parts.versions.check_target(command)

    def succeed(self, plan: Plan, parts: Parts, *, probes: bool = True) -> Shard:
        """The shard that takes this one's place with other parts: what a rollback makes. Without
        `probes` its learner is not asked about this one's events."""
        shard = Shard(plan, self.shard, parts)
        if probes:
            shard._recent = self._recent
        return shard

    def _without_skipped(self, step: Step) -> tuple[Sequence[tuple[int, Record]], Sequence[Record]]:
        """The step's records in merged order, less those that were skipped before they came; and
        these.

        They are dead letters; they move no clock, have no part in the order and are not counted, as
        in the run that never saw them.
        """
        versions = self.parts.versions
        if not any(
            skip.partition == self.shard and skip.last >= step.start.get(skip.topic, 0)
            for skip in versions.skips
        ):
            return step.records, ()
        left: dict[str, list[Record]] = {"events": [], "labels": []}
        skipped = []
        for _, record in step.records:
            if versions.is_skipped(*record[:3]):
                skipped.append(record)
            else:
                left[record.topic].append(record)
        return merge(left), skipped

    def _tell_skipped(self, record: Record) -> None:
        ordinal = self.parts.events if record.topic == "events" else self.parts.labels
        self.effects.dead(record, ordinal, "skipped", "a rollback's --skip names this record")

    def _failed(self, error: LearnerFailedError) -> UpdateFailedError:
        update, record = self.effects.update, self.effects.record
        if update is None:
            assert record is not None, "a learner learns from a record, or from a default"
            update = (record.topic, record.offset)
        return UpdateFailedError(self.shard, Place(*update), error)


def _end_before(left: Sequence[tuple[int, Record]], end: Mapping[str, int]) -> dict[str, int]:
    """The positions at which the records that are left begin."""
    positions = dict(end)
    for _, record in reversed(left):
        positions[record.topic] = record.offset
    return positions
