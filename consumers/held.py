"""Labels that came before their event, or for one that nobody knows."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from consumers.deadlines import NEW, Deadlines
from consumers.decoding import Value
from consumers.record import Record

_FORMAT = 1


@dataclass(slots=True, eq=False)
class Held:
    """A label that waits for its event, with the record it came in for its dead letter.

    `told` says that it has that dead letter already, so that it gets no second one.
    """

    id: str
    label: Value
    time_ms: int
    deadline_ms: int
    record: Record
    told: bool = False
    sequence: int = field(default=NEW, init=False, repr=False)


class HeldLabels:
    """Held labels by event id, and by deadline; at most `max_held`, the oldest in goes first.

    Costs the same however many are held, `dump` and `load` excepted. Pure.
    """

    __slots__ = ("_by_deadline", "_by_id", "_entries", "_max_held")

    def __init__(self, max_held: int) -> None:
        self._max_held = max_held
        self._entries: OrderedDict[int, Held] = OrderedDict()  # by sequence: oldest in first
        self._by_id: dict[str, dict[int, Held]] = {}  # in order of arrival
        self._by_deadline: Deadlines[Held] = Deadlines()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, event_id: object) -> bool:
        return event_id in self._by_id

    def __iter__(self) -> Iterator[Held]:
        """In order of arrival."""
        return iter(self._entries.values())

    def hold(self, entry: Held) -> Held | None:
        """Take in a label; gives what was dropped to make room, which then is a dead letter."""
        dropped = None
        if len(self._entries) >= self._max_held:
            _, dropped = self._entries.popitem(last=False)
            self._forget(dropped)
            self._by_deadline.discard(dropped)
        self._insert(entry)
        return dropped

    def take(self, event_id: str) -> list[Held]:
        """The labels of an event that has come, in order of arrival; they are held no more."""
        entries = list(self._by_id.pop(event_id, {}).values())
        for entry in entries:
            del self._entries[entry.sequence]
            self._by_deadline.discard(entry)
        return entries

    def remove(self, entry: Held) -> None:
        """Hold a label no more."""
        del self._entries[entry.sequence]
        self._forget(entry)
        self._by_deadline.discard(entry)

    def due(self, clock_ms: int) -> list[Held]:
        """The labels whose deadline lies before the clock, taken out.

        In order of deadline, then of arrival.
        """
        deadlines = self._by_deadline
        entries: list[Held] = []
        while (entry := deadlines.first()) is not None and entry.deadline_ms < clock_ms:
            del self._entries[entry.sequence]
            self._forget(entry)
            deadlines.discard(entry)
            entries.append(entry)
        return entries

    def next_deadline_ms(self) -> int | None:
        """The earliest deadline, or None; nothing is due while the clock has not passed it."""
        first = self._by_deadline.first()
        return None if first is None else first.deadline_ms

    def dump(self) -> dict[str, Any]:
        """The state in built-in types; `load` of it behaves the same for ever."""
        return {
            "format": _FORMAT,
            "held": [
                [entry.id, entry.label, entry.time_ms, entry.deadline_ms, *_plain(entry.record)]
                for entry in self._entries.values()
            ],
            "told": [at for at, entry in enumerate(self._entries.values()) if entry.told],
        }

    @classmethod
    def load(cls, state: dict[str, Any], max_held: int) -> HeldLabels:
        """The state as dumped. Labels beyond a lower `max_held` stay; holding goes on dropping.

        Raises ValueError when the dump is of another format.
        """
        if state.get("format") != _FORMAT:
            raise ValueError(f"held labels must be of format {_FORMAT}, not {state['format']!r}")
        held = cls(max_held)
        told = frozenset(state["told"])
        for at, (event_id, label, time_ms, deadline_ms, *record) in enumerate(state["held"]):
            known = at in told
            held._insert(Held(event_id, label, time_ms, deadline_ms, _record(*record), known))
        return held

    def _insert(self, entry: Held) -> None:
        self._by_deadline.push(entry)
        self._entries[entry.sequence] = entry
        self._by_id.setdefault(entry.id, {})[entry.sequence] = entry

    def _forget(self, entry: Held) -> None:
        entries = self._by_id[entry.id]
        del entries[entry.sequence]
        if not entries:
            del self._by_id[entry.id]


def _plain(record: Record) -> list[object]:
    return [
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        _text(record.key),
        _text(record.value),
        [[name, _text(value)] for name, value in record.headers],
    ]


def _record(
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    key: str | None,
    value: str | None,
    headers: list[tuple[str, str]],
) -> Record:
    return Record(
        topic,
        partition,
        offset,
        timestamp_ms,
        _bytes(key),
        _bytes(value),
        tuple((name, b64decode(text)) for name, text in headers),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
