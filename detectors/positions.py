"""Which event the n-th value of a signal came from, in bounded memory."""

from __future__ import annotations

from array import array
from collections import deque
from typing import Any, Final, NamedTuple

RECENT: Final = 4096
"""At least so many of the latest values are remembered exactly, and at most twice as many."""

_STRIDE: Final = 64  # values between the checkpoints of the finest level
_KEPT: Final = 128  # checkpoints of each level
_FULL: Final = 4 * RECENT  # two numbers a value


class Position(NamedTuple):
    """The event of a value: exactly, or of one that came up to `slack` values earlier."""

    event_index: int
    time_ms: int
    slack: int


class Positions:
    """Event index and time of values by their number, 0 for the first since `clear`.

    The last `RECENT` values are exact. Before them a level k keeps every (64 · 2^k)-th value, the
    last 128 of each level: a value further back is found to within a sixtieth of its age, and
    a billion values need 128 KiB and some 3,000 checkpoints.
    """

    __slots__ = ("_first", "_forgotten", "_levels", "_recent")

    def __init__(self) -> None:
        # Index, time, index, time … in one list: two appends and a length take 0.08 µs a value,
        # a ring of two arrays 0.17, of pairs 0.11.
        self._recent: list[int] = []
        self._forgotten = 0
        self._first = (0, 0, 0)
        self._levels: list[deque[tuple[int, int, int]]] = []

    def add(self, event_index: int, time_ms: int) -> None:
        """Note the event of the next value."""
        recent = self._recent
        recent.append(event_index)
        recent.append(time_ms)
        if len(recent) == _FULL:
            self._thin_out()

    def clear(self) -> None:
        """Start counting at 0 again."""
        self._recent.clear()
        self._forgotten = 0
        self._levels.clear()

    def find(self, number: int) -> Position:
        """The event of value `number`, which must have been added since `clear`."""
        at = 2 * (number - self._forgotten)
        assert number >= 0 and at < len(self._recent), f"value {number} has not been added"
        if at >= 0:
            return Position(self._recent[at], self._recent[at + 1], 0)
        marks = [self._first, *(mark for level in self._levels for mark in level)]
        found, event_index, time_ms = max(mark for mark in marks if mark[0] <= number)
        following = min((mark[0] for mark in marks if mark[0] > number), default=self._forgotten)
        return Position(event_index, time_ms, following - 1 - found)

    def _thin_out(self) -> None:
        """Keep a checkpoint for every 64th of the older half, and forget the rest of it."""
        recent = self._recent
        if not self._forgotten:
            self._first = (0, recent[0], recent[1])
        for at in range(0, 2 * RECENT, 2 * _STRIDE):
            number = self._forgotten + at // 2
            mark = (number, recent[at], recent[at + 1])
            multiple = number // _STRIDE
            levels = (multiple & -multiple).bit_length()  # k + 1 for a multiple of 2^k; 0 for 0
            while len(self._levels) < levels:
                self._levels.append(deque(maxlen=_KEPT))
            for level in self._levels[:levels]:
                level.append(mark)
        del recent[: 2 * RECENT]
        self._forgotten += RECENT

    def __getstate__(self) -> tuple[Any, ...]:
        # As bytes: a hundred watches would otherwise stall a snapshot for tens of milliseconds.
        return (array("q", self._recent), self._forgotten, self._first, self._levels)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        recent, self._forgotten, self._first, self._levels = state
        self._recent = list(recent)
