"""What was served for each event of a shard, and what became known of it: read from the log alone.

The results of a shard lie in the order of its events, so events and predictions are read side by
side; labels come whenever they come, and are looked up in a `LabelIndex`. Memory does not grow with
the log, and no worker is needed; only what was committed when reading began is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

import orjson

from consumers.decoding import Event, EventDecoder, Value
from consumers.errors import RejectedError
from consumers.merge import MERGED, merge_time_ms
from consumers.record import Record
from consumers.transport import Log
from learners.errors import InvalidLabelError
from stream.configuration import Configuration, from_semantic
from stream.history import History
from stream.label_index import FoundLabel, LabelIndex, Letter
from stream.shard import journal

LabelState = Literal["joined", "assumed", "waiting", "never", "skipped"]
"""What became of the label of an event that has a prediction: it came; it did not, and the
configured default was learnt; it may still come; it may not, and nothing was learnt; a rollback
left the event out."""

STATES: Final[tuple[LabelState, ...]] = ("joined", "assumed", "waiting", "never", "skipped")

_BATCH = 2_000
_LOOK_BACK = 200


@dataclass(slots=True)
class Served:
    """One event with its result: a prediction (the message as it was written) or a dead letter.

    `event` is None where the record could not be read as one. `labels` are all that were joined to
    it, the first one and its corrections. `label` is the one in force, or the assumed one.
    """

    partition: int
    offset: int
    event: Event | None
    prediction: dict[str, Any] | None
    letter: Letter | None
    labels: Sequence[FoundLabel] = ()
    label: Value | None = None
    state: LabelState | None = None


class ServedShard:
    """One shard as its last commit left it.

    Parameters
    ----------
    index
        An empty one; it must stay open while the shard is read.

    Attributes
    ----------
    clock_ms
        The stream's time, as far as the last records applied tell it.
    wait_ms
        The longest wait for labels that was ever in force.
    without_result
        Once `events` has ended: how many events have none yet, or none any more.
    """

    def __init__(
        self,
        log: Log,
        configuration: Configuration,
        history: History,
        shard: int,
        index: LabelIndex,
    ) -> None:
        self._log = log
        self._shard = shard
        self._history = history
        self.index = index
        last = _last_entries(log, shard)
        self._ends = last[-1].end if last else dict.fromkeys(MERGED, 0)
        known = [from_semantic(configuration, body) for _, body in history.configurations]
        in_force = known[-1] if known else configuration
        self._task = in_force.task
        self._default = in_force.labels.default
        self._decoders = _decoders(configuration, history, shard)
        waits = [one.labels.wait for one in known or [configuration]]
        self.wait_ms = int(max(waits).total_seconds() * 1000)
        self._wait_ms = int(in_force.labels.wait.total_seconds() * 1000)
        self.without_result = 0
        index.read(
            log,
            shard,
            self._ends["labels"],
            self._task,
            history.skips,
            max_bytes=in_force.events.max_bytes,
        )
        ticks = [entry.tick_ms for entry in last if entry.tick_ms is not None]
        recent = self._records("events", self._ends["events"] - _LOOK_BACK)
        self.clock_ms = max([index.clock_ms, *ticks, *map(merge_time_ms, recent)])

    def decoded(self) -> Iterator[tuple[Record, Event | None]]:
        """The events that the shard has read, in their order; None for what is none."""
        decoders = self._decoders
        place, (_, decode) = 0, decoders[0]
        for record in self._records("events"):
            while place + 1 < len(decoders) and record.offset >= decoders[place + 1][0]:
                place += 1
                decode = decoders[place][1]
            try:
                yield record, decode(record, merge_time_ms(record))
            except RejectedError:
                yield record, None

    def predictions(self) -> Iterator[dict[str, Any]]:
        """The predictions as they were written, in the order of their events."""
        begin = self._log.begin_offset("predictions", self._shard)
        for record in self._log.read("predictions", self._shard, begin):
            yield orjson.loads(record.value or b"{}")

    def events(self) -> Iterator[Served]:
        """Every event that has a result, in their order."""
        paired = self._paired()
        while batch := list(islice(paired, _BATCH)):
            self._join(batch)
            yield from batch

    def label_of(self, event: Event) -> Value | None:
        """The label that came inside an event; None if there was none that could be used."""
        try:
            return None if event.label is None else self._task.label(event.label)
        except InvalidLabelError:
            return None

    def _paired(self) -> Iterator[Served]:
        predictions = self.predictions()
        body = next(predictions, None)
        for record, event in self.decoded():
            offset = record.offset
            while body is not None and body["source"]["offset"] < offset:
                body = next(predictions, None)
            if body is not None and body["source"]["offset"] == offset:
                yield Served(self._shard, offset, event, body, None)
                continue
            letter = self.index.letter("events", offset)
            if letter is None:
                self.without_result += 1
            else:
                yield Served(self._shard, offset, event, None, letter)

    def _join(self, batch: list[Served]) -> None:
        """Gives the events of a batch their labels."""
        asked = [
            served
            for served in batch
            if served.prediction is not None and served.event is not None
            if served.event.label is None
        ]
        wanted = [(one.event.id, one.event.time_ms + self.wait_ms) for one in asked if one.event]
        for served, labels in zip(asked, self.index.take(wanted), strict=True):
            served.labels = labels
        skips = [skip for skip in self._history.skips if skip.topic == "events"]
        for served in batch:
            event = served.event
            if served.prediction is None or event is None:
                continue
            inside = self.label_of(event)
            if inside is not None:
                served.labels = (FoundLabel(served.offset, event.time_ms, inside, None),)
            self._decide(served, event)
            if skips and any(s.holds("events", self._shard, served.offset) for s in skips):
                served.state = "skipped"

    def _decide(self, served: Served, event: Event) -> None:
        if served.labels:
            served.label, served.state = served.labels[-1].label, "joined"
        elif event.time_ms + self._wait_ms >= self.clock_ms:
            served.state = "waiting"
        elif self._default is None:
            served.state = "never"
        else:
            served.label, served.state = self._task.label(self._default), "assumed"

    def _records(self, topic: str, start: int = 0) -> Iterator[Record]:
        begin, end = max(start, self._log.begin_offset(topic, self._shard)), self._ends[topic]
        return self._log.read(topic, self._shard, begin, end) if begin < end else iter(())


def _last_entries(log: Log, shard: int) -> list[journal.Entry]:
    """The last entries of a shard's journal; the very last is there, if any is."""
    begin, end = log.begin_offset(journal.TOPIC, shard), log.end_offset(journal.TOPIC, shard)
    last = journal.last(log, shard, begin, end)
    if last is None:
        return []
    return list(journal.read(log, shard, max(begin, end - _LOOK_BACK), end)) or [last]


def _decoders(configuration: Configuration, history: History, shard: int) -> list[tuple[int, Any]]:
    """From which offset on events were read how."""
    if not history.configurations:
        return [(0, EventDecoder(configuration.events).decode)]
    found = [(0, history.configurations[0][1])]
    for version in history.versions.values():
        then = history.configuration_at(version)
        if version.kind == "config" and shard in version.cuts and then is not None:
            found.append((version.cuts[shard].positions["events"], then))
    return [
        (offset, EventDecoder(from_semantic(configuration, body).events).decode)
        for offset, body in found
    ]
