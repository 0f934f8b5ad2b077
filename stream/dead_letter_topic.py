"""The dead letters on the log, and their way back: redriving one appends its bytes anew.

A redriven record goes to the topic and partition that the letter came from, with its key, and names
the letter in the header `driftline-redriven` as PARTITION:OFFSET. So the log itself says which were
redriven, and none is redriven twice. Nothing is taken from the dead letters.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from consumers.merge import MERGED, TIME_HEADER, merge_time_ms
from consumers.record import NewRecord, Record
from consumers.transport import Log
from stream.errors import DeadLetterError

log = logging.getLogger(__name__)

TOPIC = "dead-letters"
REDRIVEN_HEADER = "driftline-redriven"

_BATCH_RECORDS = 500
_LOOK_BACK = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a letter lies, its reason, and where its record came from."""

    partition: int
    offset: int
    reason: str
    topic: str
    source_partition: int
    source_offset: int

    @property
    def name(self) -> str:
        """How it is named to people, and in the header of what it was redriven as."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, with what is kept of its record.

    `size_bytes` is that of the whole record's value; `written_ms` is the log's clock.
    """

    place: Place
    written_ms: int
    detail: str
    size_bytes: int
    is_truncated: bool
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: of these reasons, or at these offsets of one partition."""

    reasons: Collection[str] = ()
    partition: int | None = None
    first: int = 0
    last: int | None = None

    def holds(self, place: Place) -> bool:
        """Whether a letter is one of them."""
        return (
            (not self.reasons or place.reason in self.reasons)
            and self.partition in {None, place.partition}
            and place.offset >= self.first
            and (self.last is None or place.offset <= self.last)
        )


@dataclass(frozen=True, slots=True)
class RedrivePlan:
    """What would be redriven, in order, and what is refused, each with the reason why."""

    places: list[Place]
    refused: list[tuple[Place, str]]


def read_letters(source: Log, selection: Selection) -> Iterator[Letter]:
    """The letters that are meant, in the order in which the log took them."""
    topics = [
        source.read(TOPIC, shard, source.begin_offset(TOPIC, shard))
        for shard in range(source.partitions())
    ]
    for record in heapq.merge(*topics, key=lambda record: record.timestamp_ms):
        letter = _parsed(record)
        if letter is not None and selection.holds(letter.place):
            yield letter


def plan_redrive(source: Log, selection: Selection) -> RedrivePlan:
    """Which of the letters can be redriven; the inputs are searched for those that were already.

    Raises
    ------
    DeadLetterError
        There are none such, or not one of them can be redriven.
    """
    plan = RedrivePlan([], [])
    for letter in read_letters(source, selection):
        why = _refusal(source, letter)
        if why is None:
            plan.places.append(letter.place)
        else:
            plan.refused.append((letter.place, why))
    done = _redriven(source, plan.places)
    again = [place for place in plan.places if place.name in done]
    plan.refused.extend((place, f"was redriven before, as {done[place.name]}") for place in again)
    plan.places[:] = [place for place in plan.places if place.name not in done]
    if not plan.places:
        if not plan.refused:
            raise DeadLetterError(
                "there are no such dead letters", "driftline dead-letters list shows them"
            )
        place, why = plan.refused[0]
        others = f"; and {len(plan.refused) - 1} others" if len(plan.refused) > 1 else ""
        raise DeadLetterError(
            f"the dead letter {place.name} {why}{others}", "nothing was written; choose others"
        )
    return plan


def redrive(
    source: Log,
    plan: RedrivePlan,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[tuple[Place, int]]:
    """Appends the records of a plan, and gives each with its new offset.

    It goes in batches, each whole or not at all; broken off, a new plan leaves out what is done. A
    record whose stream carries its own time (`driftline-time`) comes at the time that this stream
    has reached, so that it does not move the stream's clock to now.
    """
    wanted = set(plan.places)
    letters = (one for one in read_letters(source, Selection()) if one.place in wanted)
    done: list[tuple[Place, int]] = []
    # A letter keeps 100,000 bytes at most, so a batch fits into memory.
    while batch := list(islice(letters, _BATCH_RECORDS)):
        done += _append(source, batch)
        on_progress(len(done))
    return done


def _append(source: Log, letters: Sequence[Letter]) -> list[tuple[Place, int]]:
    places = [letter.place for letter in letters]
    times = {
        (topic, shard): _stream_time_ms(source, topic, shard)
        for topic, shard in {(place.topic, place.source_partition) for place in places}
    }
    records = [
        (topic, shard, _again(letter, times[topic, shard]))
        for letter in letters
        for topic, shard in [(letter.place.topic, letter.place.source_partition)]
    ]
    return list(zip(places, source.append(records), strict=True))


def _again(letter: Letter, time_ms: int | None) -> NewRecord:
    headers = [(REDRIVEN_HEADER, letter.place.name.encode())]
    if time_ms is not None:
        headers.append((TIME_HEADER, b"%d" % time_ms))
    return NewRecord(letter.value, letter.key, tuple(headers))


def _stream_time_ms(source: Log, topic: str, shard: int) -> int | None:
    """The time that a stream has reached whose records carry their own; None where they do not."""
    end = source.end_offset(topic, shard)
    start = max(source.begin_offset(topic, shard), end - _LOOK_BACK)
    own = [
        merge_time_ms(record)
        for record in source.read(topic, shard, start, end)
        if any(name == TIME_HEADER for name, _ in record.headers)
    ]
    return max(own, default=None)


def _refusal(source: Log, letter: Letter) -> str | None:
    """Why a letter cannot be redriven by itself, if it cannot."""
    place = letter.place
    if place.topic not in MERGED:
        return f"is of the {place.topic}, which are only given anew"
    if letter.is_truncated:
        return f"holds only the beginning of its {letter.size_bytes} bytes"
    begin = source.begin_offset(place.topic, place.source_partition)
    if begin > place.source_offset + 1:
        return "is older than the log, so none can tell whether it was redriven before"
    return None


def _redriven(source: Log, places: Sequence[Place]) -> dict[str, str]:
    """The letters that were redriven, each with the record that it was redriven as."""
    since: dict[tuple[str, int], int] = {}
    for place in places:
        stream = place.topic, place.source_partition
        since[stream] = min(since.get(stream, place.source_offset), place.source_offset)
    found: dict[str, str] = {}
    for (topic, shard), offset in since.items():
        for record in source.read(topic, shard, offset + 1):
            for name, value in record.headers:
                if name == REDRIVEN_HEADER:
                    found[value.decode("utf-8", "replace")] = f"{topic}:{shard}:{record.offset}"
    return found


def _parsed(record: Record) -> Letter | None:
    """The letter in a record, if it is one."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    try:
        place = Place(
            partition=record.partition,
            offset=record.offset,
            reason=headers["reason"],
            topic=headers["topic"],
            source_partition=int(headers["partition"]),
            source_offset=int(headers["offset"]),
        )
        return Letter(
            place=place,
            written_ms=record.timestamp_ms,
            detail=headers["detail"],
            size_bytes=int(headers.get("size_bytes", len(record.value or b""))),
            is_truncated="size_bytes" in headers,
            key=record.key,
            value=record.value,
        )
    except (KeyError, ValueError) as error:
        where = f"partition {record.partition} offset {record.offset}"
        log.warning("dead letters %s is none, and is passed over: %s", where, error)
        return None
