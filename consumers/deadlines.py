"""What falls due next: items by deadline, then by the order in which they came."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

NEW = -1
"""The `sequence` of an item that has not been pushed yet."""
GONE = -2
"""The `sequence` of an item that has been discarded or has fallen due."""


class HasDeadline(Protocol):
    """An item: its deadline never changes, its sequence is set here."""

    @property
    def deadline_ms(self) -> int: ...

    sequence: int


Item = TypeVar("Item", bound=HasDeadline)


class Deadlines(Generic[Item]):
    """Items in order of deadline, then of their pushing.

    Deadlines mostly grow from item to item: such items stand in a run, which costs 8 bytes and no
    search; only those that come behind a later one go onto a heap. An item is pushed once in its
    life.
    """

    __slots__ = ("_gone", "_last_ms", "_late", "_next", "_run")

    def __init__(self) -> None:
        self._run: deque[Item] = deque()
        self._last_ms = 0
        self._late: list[tuple[int, int, Item]] = []
        self._next = 0
        self._gone = 0

    def push(self, item: Item) -> None:
        """Take in an item that was never pushed before; gives it its sequence."""
        assert item.sequence == NEW, "an item is pushed once"
        item.sequence = sequence = self._next
        self._next = sequence + 1
        deadline_ms = item.deadline_ms
        if not self._run or deadline_ms >= self._last_ms:
            self._run.append(item)
            self._last_ms = deadline_ms
        else:
            heappush(self._late, (deadline_ms, sequence, item))

    def discard(self, item: Item) -> None:
        """Forget an item that is in here."""
        assert item.sequence >= 0, "only an item that is in here can be discarded"
        item.sequence = GONE
        run = self._run
        if run and run[0] is item:
            run.popleft()
            return
        self._gone += 1
        # What is gone stays in place until it comes to the front, but never as more than half.
        if self._gone > 64 and 2 * self._gone > len(run) + len(self._late):
            self._sweep()

    def first(self) -> Item | None:
        """The item that falls due next, which stays; None when there is none."""
        run, late = self._run, self._late
        while run and run[0].sequence == GONE:
            run.popleft()
            self._gone -= 1
        while late and late[0][2].sequence == GONE:
            heappop(late)
            self._gone -= 1
        if not run:
            return late[0][2] if late else None
        head = run[0]
        if late and late[0][:2] < (head.deadline_ms, head.sequence):
            return late[0][2]
        return head

    def due(self, clock_ms: int) -> list[Item]:
        """The items whose deadline lies before the clock, in order; they are gone from here."""
        items: list[Item] = []
        while (item := self.first()) is not None and item.deadline_ms < clock_ms:
            if self._run and self._run[0] is item:
                self._run.popleft()
            else:
                heappop(self._late)
            item.sequence = GONE
            items.append(item)
        return items

    def _sweep(self) -> None:
        self._run = deque(item for item in self._run if item.sequence != GONE)
        self._late = [entry for entry in self._late if entry[2].sequence != GONE]
        heapify(self._late)
        self._gone = 0
