"""How a version would do now: what was served for the last labelled events, and what the version's
learner says of the same events, run prequentially over them.

Only events after the version's position count, since it has learnt from the others, and only
mature ones: labels that come early are not like those that come late. Nothing is written.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import orjson

from consumers.errors import RejectedError
from consumers.merge import merge, merge_time_ms
from consumers.record import Record
from consumers.transport import Log
from learners.errors import InvalidLabelError
from learners.learner import Answer, Learner
from learners.quality import new_quality
from learners.snapshots import pickling
from learners.snapshots.container import Snapshot
from stream.commands import SkipRange
from stream.configuration import Configuration
from stream.errors import UpdateFailedError
from stream.shard import journal
from stream.shard.checkpoint import LEARNER
from stream.shard.effects import Outputs, Value
from stream.shard.load import load_shard, plan_of
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step
from stream.shard.updates import Place

Verdict = Literal["better", "worse", "no clear difference", "too few labels"]

HEADLINE: Final = {
    "binary": "roc_auc",
    "multiclass": "accuracy",
    "regression": "mae",
    "anomaly": "roc_auc",
}
"""The figure that is told first, by task."""

FEWEST: Final = 100
"""With fewer labels nothing is said of which is better."""

BATCHES: Final = 20
SURE: Final = 2.093
"""Student's t for 95 %, two-sided, with `BATCHES` - 1 degrees of freedom."""

LOOK_BACK: Final = 64
"""No more events are looked through than this many times the labels asked for."""


class Pair(NamedTuple):
    """One labelled event: what was served, and what the version says."""

    time_ms: int
    label: Value
    served: Answer
    version: Answer


@dataclass(frozen=True, slots=True)
class Comparison:
    """A version beside what was served, over the same labelled events.

    `served` and `version` are metrics by name. `gain` is by how much the version's mean loss is
    lower (log loss; squared error in regression; the error where there is no loss), and `error`
    its standard error, from the means of consecutive batches.
    """

    labels: int
    served: dict[str, float | None] = field(default_factory=dict)
    version: dict[str, float | None] = field(default_factory=dict)
    gain: float | None = None
    error: float | None = None
    verdict: Verdict = "too few labels"


def compare(task: str, pairs: Sequence[Pair]) -> Comparison:
    """What the pairs say, in the order of their events.

    The errors of a stream depend on one another, so the spread is that of the means of 20
    consecutive batches (Law, Simulation Modeling and Analysis, on batch means), not of single ones.
    """
    if not pairs:
        return Comparison(0)
    served, version = (new_quality(task, None, len(pairs)) for _ in range(2))
    differences = []
    for pair in pairs:
        now = served.inline(pair.time_ms, pair.served, pair.label)
        then = version.inline(pair.time_ms, pair.version, pair.label)
        costs = [error if loss is None else loss for error, loss in (now, then)]
        if costs[0] is not None and costs[1] is not None:
            differences.append(costs[0] - costs[1])
    was, would = (quality.report()["window"]["metrics"] for quality in (served, version))
    if len(differences) < FEWEST:
        return Comparison(len(pairs), was, would)
    size = len(differences) // BATCHES
    batches = [
        statistics.fmean(differences[place * size : (place + 1) * size]) for place in range(BATCHES)
    ]
    gain = statistics.fmean(differences)
    error = statistics.stdev(batches) / math.sqrt(BATCHES)
    verdict: Verdict = "no clear difference"
    if abs(gain) > SURE * error:
        verdict = "better" if gain > 0 else "worse"
    return Comparison(len(pairs), was, would, gain, error, verdict)


def starting_with(
    configuration: Configuration,
    in_force: dict[str, Any],
    number: int,
    snapshot: Snapshot | None,
) -> Callable[[], Shard]:
    """What makes a shard that has seen nothing, with the learner of a version's snapshot, or with
    one that has learnt nothing; under the configuration in force, but for the version's model.

    Raises
    ------
    EngineChangedError
        The snapshot's probes predict differently than when it was taken.
    """
    semantic, threshold = in_force, None
    if snapshot is not None:
        then = load_shard(configuration, number, snapshot)
        semantic = {**in_force, "model": then.plan.configuration.semantic()["model"]}
        threshold = then.parts.learner.threshold
    plan = plan_of(configuration, semantic)

    def start() -> Shard:
        parts = plan.fresh_parts()
        parts.watches = []
        if snapshot is not None:
            model = pickling.loads(snapshot.sections[LEARNER])
            parts.learner = Learner(model, plan.task, plan.threshold_after(threshold))
        return Shard(plan, number, parts)

    return start


def pairs_of(
    log: Log,
    number: int,
    start: Callable[[], Shard],
    since: int,
    most: int,
    skips: Sequence[SkipRange] = (),
) -> list[Pair]:
    """The last `most` mature labelled events of a shard, at or after event offset `since`.

    Parameters
    ----------
    number
        The shard.
    start
        Makes a shard that holds the version's learner and has seen nothing else; asked for another
        where an update fails.
    skips
        Records that are not to count.
    """
    begin, end = log.begin_offset(journal.TOPIC, number), log.end_offset(journal.TOPIC, number)
    last = journal.last(log, number, begin, end)
    if last is None:
        return []
    plan = start().plan
    window = _window(log, plan, number, max(since, log.begin_offset("events", number)), last, most)
    if not window.wanted:
        return []
    first = window.events[0].offset
    served = {
        body["source"]["offset"]: _answer(body, window.keys)
        for body in _predictions_since(log, number, first)
    }
    data = {"events": window.events, "labels": window.labels}
    kept = {
        topic: [record for record in records if not _is_skipped(record, skips)]
        for topic, records in data.items()
    }
    said = {
        body["source"]["offset"]: _answer(body, window.keys) for body in _run(start, merge(kept))
    }
    return [
        Pair(time_ms, label, served[offset], said[offset])
        for offset, time_ms, label in window.wanted
        if offset in served and offset in said
    ]


class _Window(NamedTuple):
    """Events and labels as they came, and of which events the label is known and mature: (offset,
    time in ms, label). `keys` are the labels by how JSON writes them as a key."""

    events: list[Record]
    labels: list[Record]
    wanted: list[tuple[int, int, Value]]
    keys: dict[str, Value]


def _window(
    log: Log, plan: Plan, number: int, since: int, last: journal.Entry, most: int
) -> _Window:
    end, size = last.end["events"], 2 * most
    while True:
        start = max(since, end - size)
        events = list(log.read("events", number, start, end)) if start < end else []
        if not events:
            return _Window([], [], [], {})
        labels = _labels_since(log, number, merge_time_ms(events[0]), last.end["labels"])
        wanted = _mature(plan, events, labels, last.tick_ms)
        if len(wanted) >= most or start == since or size >= LOOK_BACK * most:
            break
        size *= 2
    wanted = wanted[-most:]
    if wanted:
        events = [record for record in events if record.offset >= wanted[0][0]]
        labels = _from(labels, merge_time_ms(events[0]))
    keys = {next(iter(orjson.loads(_json({label: 0})))): label for _, _, label in wanted}
    return _Window(events, labels, wanted, keys)


def _mature(
    plan: Plan, events: Sequence[Record], labels: Sequence[Record], tick_ms: int | None
) -> list[tuple[int, int, Value]]:
    """The events whose label is known, and for which no other is waited for."""
    clock_ms = max([tick_ms or 0, *(merge_time_ms(record) for record in (*events, *labels))])
    known: dict[str, Value] = {}
    for record in labels:
        try:
            message = plan.decode_label(record)
            known[message.id] = plan.label_of(message.label)
        except (RejectedError, InvalidLabelError):
            continue
    found = []
    for record in events:
        try:
            event_id, time_ms, _, given = plan.decode_event(record, merge_time_ms(record))
            label = known.get(event_id) if given is None else plan.label_of(given)
        except (RejectedError, InvalidLabelError):
            continue
        is_over = plan.wait_ms is None or time_ms + plan.wait_ms < clock_ms
        if label is not None and (given is not None or is_over):
            found.append((record.offset, time_ms, label))
    return found


def _labels_since(log: Log, number: int, merge_ms: int, end: int) -> list[Record]:
    """The labels from the first one on that is not older, looked for from the end."""
    return _from(_back(log, "labels", number, end, lambda r: merge_time_ms(r) < merge_ms), merge_ms)


def _from(labels: list[Record], merge_ms: int) -> list[Record]:
    for place, record in enumerate(labels):
        if merge_time_ms(record) >= merge_ms:
            return labels[place:]
    return []


def _predictions_since(log: Log, number: int, first: int) -> Iterator[dict[str, Any]]:
    """The predictions of events from offset `first` on."""
    end = log.end_offset("predictions", number)

    def is_before(record: Record) -> bool:
        return bool(orjson.loads(record.value or b"")["source"]["offset"] < first)

    for record in _back(log, "predictions", number, end, is_before):
        body = orjson.loads(record.value or b"")
        if body["source"]["offset"] >= first:
            yield body


def _back(
    log: Log, topic: str, number: int, end: int, is_before: Callable[[Record], bool]
) -> list[Record]:
    """The records before `end`, back to one that is before what is looked for."""
    begin, size = log.begin_offset(topic, number), 1_000
    while True:
        start = max(begin, end - size)
        records = list(log.read(topic, number, start, end)) if start < end else []
        if start <= begin or (records and is_before(records[0])):
            return records
        size *= 4


def _run(start: Callable[[], Shard], merged: list[tuple[int, Record]]) -> Iterator[dict[str, Any]]:
    """What the version's learner says, learning as the service does."""
    failing: dict[Place, str] = {}
    while True:
        outputs: Outputs = []
        try:
            step = Step({}, {}, (), None, merged, failing)
            start().apply(step, outputs, halts=False)
            break
        except UpdateFailedError as error:
            failing[Place(*error.place)] = error.detail
    for topic, record in outputs:
        if topic == "predictions":
            yield orjson.loads(record.value or b"")


def _answer(body: dict[str, Any], keys: dict[str, Value]) -> Answer:
    """What a prediction's message says, as a learner gives it."""
    decided = body["prediction"]
    if "score" in body:
        return decided, body["score"]
    probabilities = body.get("probabilities")
    if probabilities is None:
        return decided, None
    if probabilities.keys() == {"false", "true"} and isinstance(decided, bool):
        return decided, probabilities["true"]
    return decided, {keys.get(name, name): p for name, p in probabilities.items()}


def _is_skipped(record: Record, skips: Sequence[SkipRange]) -> bool:
    return any(skip.holds(record.topic, record.partition, record.offset) for skip in skips)


def _json(value: dict[Any, int]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
