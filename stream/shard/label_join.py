"""Labels apart from their events: joined, corrected, held, assumed, or too late.

A label is joined to the features and the prediction as they were served. The wait for it counts
from the event's own time on the shard's clock.
"""

from __future__ import annotations

from consumers.errors import RejectedError
from consumers.held import Held
from consumers.pending import Pending
from consumers.record import Record
from learners.errors import InvalidLabelError
from learners.learner import Answer
from stream.shard import digest
from stream.shard.effects import Effects, Value
from stream.shard.parts import NEVER_MS
from stream.shard.updates import ASSUMED, Place

Features = dict[str, Value]


class LabelJoin:
    """The labels input of one shard, and the events that wait for theirs.

    `due_ms` is the earliest deadline of what waits; the shard calls `expire` once its clock has
    passed it.
    """

    __slots__ = ("_decode", "_effects", "_wait_ms", "due_ms")

    def __init__(self, effects: Effects) -> None:
        plan = effects.plan
        self._effects = effects
        self._decode = plan.decode_label
        self._wait_ms = plan.wait_ms
        self.due_ms = self._next_due_ms()

    def wait_for(
        self,
        event_id: str,
        index: int,
        time_ms: int,
        features: Features,
        answer: Answer,
        key: bytes | None,
    ) -> None:
        """Keeps what an event's label will need, and applies those that came before the event."""
        parts = self._effects.parts
        prediction, confidence = answer
        if type(confidence) is dict:
            # Pairs, since the classes are the keys and JSON has only strings for those.
            confidence = [list(pair) for pair in confidence.items()]  # type: ignore[assignment]
        parts.quality.event(time_ms)
        served: list[object] = [prediction, confidence, parts.quality.naive()]
        deadline_ms = NEVER_MS if self._wait_ms is None else time_ms + self._wait_ms
        entry = Pending(event_id, index, time_ms, deadline_ms, features, served)
        if key != event_id.encode():
            entry.key = key or b""
        dropped = parts.pending.add(entry)
        if dropped is not None and dropped.label is None:
            parts.counters.pending_dropped += 1
        if deadline_ms < self.due_ms:
            self.due_ms = deadline_ms
        for held in parts.held.take(event_id):
            self._join(held.id, held.label, held.record.offset)

    def apply(self, record: Record) -> None:
        """Applies one record of the labels input."""
        effects = self._effects
        parts = effects.parts
        ordinal = parts.labels
        parts.labels = ordinal + 1
        try:
            message = self._decode(record)
            value = effects.plan.label_of(message.label)
        except RejectedError as error:
            effects.dead(record, ordinal, error.reason, error.detail)
            return
        except InvalidLabelError as error:
            effects.dead(record, ordinal, "bad_label", str(error))
            return
        event_id = message.id
        if event_id in parts.pending:
            self._join(event_id, value, record.offset)
            return
        parts.seen.expire(parts.clock_ms)
        if event_id in parts.seen:
            detail = f"the wait for a label of {event_id!r} is over, or its label came with it"
            effects.dead(record, ordinal, "too_late", detail)
        else:
            self._hold(event_id, value, record)

    def refuse_held(self, event_id: str) -> None:
        """Ends the wait of labels whose event has come, and brought its own."""
        for held in self._effects.parts.held.take(event_id):
            detail = f"the event {event_id!r} came later and brought its label"
            self._effects.dead_held(held, "too_late", detail)

    def expire(self, clock_ms: int) -> None:
        """Ends every wait whose deadline the clock has passed."""
        effects = self._effects
        parts = effects.parts
        default = effects.plan.default_label
        for entry in parts.pending.due(clock_ms):
            if entry.label is not None:
                continue
            if default is None:
                parts.counters.never_labelled += 1
            else:
                # Assumed labels are learnt, and stay out of metrics and signals.
                parts.counters.assumed += 1
                parts.digest = digest.label(parts.digest, b"A", entry.id, default)
                self._learn(entry, default, ASSUMED, entry.index)
        for held in parts.held.due(clock_ms):
            effects.dead_held(
                held, "unknown_id", f"no event with id {held.id!r} came within the wait"
            )
        self.due_ms = self._next_due_ms()

    def _join(self, event_id: str, label: Value, offset: int) -> None:
        """Joins a label, of the record at `offset`, to its pending event."""
        effects = self._effects
        parts = effects.parts
        entry = parts.pending.get(event_id)
        assert entry is not None, "only the label of a pending event is joined"
        prediction, confidence, naive = entry.served
        if type(confidence) is list:
            confidence = dict(confidence)
        answer: Answer = (prediction, confidence)  # type: ignore[assignment]
        learns_again = effects.plan.learns_again
        old = entry.label
        if old is None:
            error, loss, entry.window = parts.quality.label(entry.time_ms, answer, naive, label)
            parts.digest = digest.label(parts.digest, b"J", event_id, label)
            parts.counters.joined += 1
            if effects.watches.labels:
                effects.observe_label(error, loss, label, entry.index, entry.time_ms)
            self._learn(entry, label, "labels", offset)
            parts.pending.set_label(entry, label, keep_features=learns_again)
            return
        parts.digest = digest.label(parts.digest, b"C", event_id, label)
        parts.counters.corrected += 1
        if old == label:
            return
        assert entry.window is not None, "a joined event has its number in the window"
        parts.quality.correct(entry.time_ms, answer, naive, old, label, entry.window)
        parts.pending.set_label(entry, label, keep_features=learns_again)
        # They are gone where an earlier configuration did not ask to keep them.
        if learns_again and entry.features is not None:
            self._learn(entry, label, "labels", offset)

    def _learn(self, entry: Pending, label: Value, topic: str, offset: int) -> None:
        """Teaches what an event's label says; `topic` and `offset` are the update's place."""
        effects = self._effects
        learner = effects.parts.learner
        if learner.learns_from_labels:
            assert entry.features is not None, "features are kept while they can be learnt from"
            effects.update = (topic, offset)
            if effects.learns:
                learner.learn(entry.features, label)
            else:
                effects.learn(entry.features, label, Place(topic, offset))
            effects.update = None

    def _hold(self, event_id: str, label: Value, record: Record) -> None:
        """Keeps a label whose event has not come (yet), for the wait."""
        parts = self._effects.parts
        deadline_ms = NEVER_MS if self._wait_ms is None else parts.clock_ms + self._wait_ms
        parts.digest = digest.label(parts.digest, b"H", event_id, label)
        parts.counters.held += 1
        dropped = parts.held.hold(Held(event_id, label, parts.clock_ms, deadline_ms, record))
        if deadline_ms < self.due_ms:
            self.due_ms = deadline_ms
        if dropped is not None:
            self._effects.dead_held(
                dropped,
                "unknown_id",
                "more labels wait for their event than labels.max_held allows",
            )

    def _next_due_ms(self) -> int:
        parts = self._effects.parts
        return min(
            or_never(parts.pending.next_deadline_ms()),
            or_never(parts.held.next_deadline_ms()),
        )


def or_never(deadline_ms: int | None) -> int:
    """The deadline, or one that no clock reaches."""
    return NEVER_MS if deadline_ms is None else deadline_ms
