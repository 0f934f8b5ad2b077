"""A shard: the whole state of one partition of the service, and the pure function that moves it.

`Shard.apply(step)` reads no clock, does no I/O and draws no unseeded random number: what it does is
a function of the state and the step alone, so the log can rebuild every state. For consecutive
pieces of the merged input, `apply(a + b)` equals `apply(a); apply(b)`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from consumers.errors import RejectedError
from consumers.merge import merge
from consumers.record import NewRecord, Record
from learners.errors import InvalidLabelError, LearnerFailedError
from stream.commands import (
    AliasCommand,
    Command,
    ConfigCommand,
    Heavy,
    RollbackCommand,
    VersionCommand,
    parse_command,
)
from stream.errors import CommandError, ShardStoppedError
from stream.shard import digest
from stream.shard.effects import Effects, Outputs, Value
from stream.shard.label_join import LabelJoin, or_never
from stream.shard.parts import NEVER_MS, Parts
from stream.shard.plan import Plan
from stream.shard.step import Step

_new = tuple.__new__

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
        "_effects",
        "_encode",
        "_features",
        "_join",
        "_label_of",
        "_recent",
        "_wait_ms",
        "parts",
        "plan",
        "shard",
    )

    def __init__(self, plan: Plan, shard: int, parts: Parts | None = None) -> None:
        self.plan = plan
        self.shard = shard
        self.parts = parts or plan.fresh_parts()
        self._effects = Effects(plan, shard, self.parts)
        self._join = LabelJoin(self._effects)
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
    ) -> list[dict[str, Any]]:
        """Applies a step and gives the outcome of each of its commands.

        What the step says to the outside is appended to `outputs` as (topic, record); without it (a
        replay) nothing is encoded, the state moves just the same, and labels that would have become
        dead letters are appended to `lost`.

        Raises
        ------
        ShardStoppedError
            A learner failed. The state is spent: recover it from the log.
        """
        effects, parts, join = self._effects, self.parts, self._join
        event, label, matures_ms = self._event, join.apply, parts.quality.next_deadline_ms
        effects.outputs, effects.lost = outputs, lost
        try:
            outcomes = [self._command(record) for record in step.commands]
            if step.tick_ms is not None and step.tick_ms > parts.clock_ms:
                parts.clock_ms = step.tick_ms
                self._expire(step.tick_ms)
            for merge_ms, record in self._without_skipped(step):
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
        except LearnerFailedError as error:
            raise self._stopped(error) from error
        finally:
            effects.outputs = effects.lost = effects.record = None
        if self._features is not None:
            self._recent.append(self._features)
            self._features = None
        return outcomes

    def next_tick_ms(self) -> int | None:
        """The earliest stream time (ms) at which a tick would change something, if there is one."""
        due_ms = min(self._join.due_ms, or_never(self.parts.quality.next_deadline_ms()))
        return None if due_ms >= NEVER_MS else max(due_ms, self.parts.clock_ms) + 1

    def recent_features(self) -> list[dict[str, Value]]:
        """Features of a few recent events: what a snapshot's probes ask the learner."""
        return [dict(features) for features in self._recent]

    def _event(self, merge_ms: int, record: Record) -> None:
        parts, effects = self.parts, self._effects
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
        answer = learner.predict(features)
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
            learner.learn(features, None)
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
            learner.learn(features, label)

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

    def end_configuration(self, record: Record, command: ConfigCommand) -> dict[str, Any]:
        """Numbers the state under another configuration, and gives the outcome."""
        parts = self.parts
        parts.commands += 1
        parts.versions.last_command = command.id
        version = parts.versions.configure(command, parts.clock_ms).number
        outcome = outcome_of(record, command) | {"outcome": "applied", "version": version}
        outcome |= {"keep": command.keep, "clock_ms": parts.clock_ms}
        self._chain(outcome)
        return outcome

    def refuse(self, record: Record, command: Command, error: Exception) -> dict[str, Any]:
        """The outcome of a command that is not applied."""
        self.parts.commands += 1
        self.parts.versions.last_command = command.id
        outcome = outcome_of(record, command) | {"outcome": "refused", "detail": str(error)}
        self._chain(outcome)
        return outcome

    def pass_over(self, record: Record, command: Heavy) -> dict[str, Any]:
        """The outcome of a command that could not be carried out on this shard, which a later one
        replaces. It takes its number all the same: other shards may have applied it."""
        parts = self.parts
        parts.commands += 1
        parts.versions.last_command = command.id
        number = parts.versions.pass_over(command, parts.clock_ms).number
        outcome = outcome_of(record, command) | {"outcome": "replaced", "version": number}
        outcome["detail"] = "it could not be carried out here, and a later command replaced it"
        self._chain(outcome)
        return outcome

    def end_rollback(
        self, record: Record, command: RollbackCommand, left: Sequence[Record], outputs: Outputs
    ) -> dict[str, Any]:
        """Numbers the state that a rollback made, tells of the labels that it leaves behind, and
        gives the outcome."""
        parts = self.parts
        parts.commands += 1
        parts.versions.last_command = command.id
        version = parts.versions.roll_back(command, parts.clock_ms).number
        outcome = outcome_of(record, command) | {"outcome": "applied", "version": version}
        outcome |= {"target": command.version, "clock_ms": parts.clock_ms}
        self._chain(outcome)
        self._effects.outputs = outputs
        for number, label in enumerate(left):
            self._effects.dead(label, number, "skipped", "its event was skipped by a rollback")
        self._effects.outputs = None
        return outcome

    def succeed(self, plan: Plan, parts: Parts, *, probes: bool = True) -> Shard:
        """The shard that takes this one's place with other parts: what a rollback makes. Without
        `probes` its learner is not asked about this one's events."""
        shard = Shard(plan, self.shard, parts)
        if probes:
            shard._recent = self._recent
        return shard

    def _without_skipped(self, step: Step) -> list[tuple[int, Record]]:
        """The step's records in merged order, less those that were skipped before they came.

        These are dead letters; they move no clock, have no part in the order and are not counted,
        as in the run that never saw them.
        """
        versions = self.parts.versions
        if not any(
            skip.partition == self.shard and skip.last >= step.start.get(skip.topic, 0)
            for skip in versions.skips
        ):
            return step.records
        left: dict[str, list[Record]] = {"events": [], "labels": []}
        for _, record in step.records:
            if versions.is_skipped(*record[:3]):
                ordinal = self.parts.events if record.topic == "events" else self.parts.labels
                detail = "a rollback's --skip names this record"
                self._effects.dead(record, ordinal, "skipped", detail)
            else:
                left[record.topic].append(record)
        return merge(left)

    def _command(self, record: Record) -> dict[str, Any]:
        """The outcome of a command that leaves the state as it is; refusal is an outcome too."""
        parts = self.parts
        ordinal = parts.commands
        parts.commands = ordinal + 1
        try:
            command = parse_command(record)
        except CommandError as error:
            self._effects.dead(record, ordinal, "bad_command", str(error))
            return {"offset": record.offset, "outcome": "refused", "detail": str(error)}
        outcome = outcome_of(record, command)
        try:
            parts.versions.check_order(command)
            if isinstance(command, VersionCommand):
                outcome["version"] = parts.versions.cut(command, parts.clock_ms).number
                outcome["clock_ms"] = parts.clock_ms
            elif isinstance(command, AliasCommand):
                move = parts.versions.move(command)
                outcome |= {"alias": move.alias, "version": move.version}
            else:
                raise AssertionError("a heavy command has a step of its own")
        except CommandError as error:
            outcome |= {"outcome": "refused", "detail": str(error)}
        else:
            outcome["outcome"] = "applied"
        parts.versions.last_command = command.id
        self._chain(outcome)
        return outcome

    def _chain(self, outcome: dict[str, Any]) -> None:
        parts, kind = self.parts, outcome.get("command", "")
        parts.digest = digest.command(
            parts.digest, kind, outcome["outcome"], parts.versions.current
        )

    def _stopped(self, error: LearnerFailedError) -> ShardStoppedError:
        record, assumed = self._effects.record, self._effects.assumed
        if assumed is not None:
            record, where = None, f"the label assumed for event {assumed!r} after the wait"
        else:
            assert record is not None, "a learner answers to a record or learns a default"
            where = f"{record.topic} partition {record.partition} offset {record.offset}"
        mend = error.hint or "mend the model or its features"
        return ShardStoppedError(
            f"the champion failed to {error.phase} at {where}: {error}",
            f"{mend}; nothing of this step was committed",
            topic=record.topic if record else "events",
            partition=self.shard,
            offset=record.offset if record else -1,
        )


def outcome_of(record: Record, command: Command) -> dict[str, Any]:
    """What the journal says of a command, whatever comes of it."""
    return {
        "offset": record.offset,
        "id": command.id,
        "command": command.command,
        "by": command.by,
        "at_ms": command.at_ms,
        "reason": command.reason,
    }
