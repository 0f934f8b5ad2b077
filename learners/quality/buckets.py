"""Tallies by event time: hours, folded into days, folded into one, so that years stay bounded.

Hours are kept for a week, or for the wait for labels if that is longer (31 days at most); days
(UTC) for 400 days; both counted back from the newest event's hour. A period is mature when its
end + wait lies before the clock. Mature ones are closed: held as their dump, which a snapshot
copies as it is and which takes a tenth of the memory.

Folding happens when a newer hour begins, never in `advance`; so the state depends on the order of
events and labels and on the last clock, not on how often the clock was told (steps may be cut
anywhere).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from learners.quality.tally import Tally

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

DAYS_KEPT_MS = 400 * DAY_MS
LEAST_HOURS_KEPT_MS = 7 * DAY_MS
MOST_HOURS_KEPT_MS = 31 * DAY_MS

_LONG_AGO_MS = -(2**62)

T = TypeVar("T", bound=Tally)


class Period(NamedTuple, Generic[T]):
    """A period of event time, [start, end); `mature` when no label can come any more."""

    start_ms: int
    end_ms: int
    mature: bool
    tally: T


class _Level(Generic[T]):
    """The periods of one width: those that are written to, and the dumps of those that are not."""

    __slots__ = ("closed", "open", "width_ms")

    def __init__(self, width_ms: int) -> None:
        self.width_ms = width_ms
        self.open: dict[int, T] = {}
        self.closed: dict[int, list[Any]] = {}

    def starts(self) -> list[int]:
        return sorted([*self.open, *self.closed])


class Buckets(Generic[T]):
    """The tallies of one learner by event time.

    `find` gives the tally for a time, to be written to at once; it may be kept for other times of
    the span given with it until `folds` changes or `advance` is true.
    """

    def __init__(self, tally: type[T], wait_ms: int | None) -> None:
        self.folds = 0
        self.deadline_ms: int | None = None  # a clock past this makes a period mature
        self._new = tally
        self._wait_ms = wait_ms or 0
        hours_kept = max(LEAST_HOURS_KEPT_MS, self._wait_ms + 2 * HOUR_MS)
        self._hours_kept_ms = min(MOST_HOURS_KEPT_MS, hours_kept)
        self._hours: _Level[T] = _Level(HOUR_MS)
        self._days: _Level[T] = _Level(DAY_MS)
        self._older = tally()
        self._clock_ms = _LONG_AGO_MS
        self._newest_ms = _LONG_AGO_MS
        self._hours_from_ms = _LONG_AGO_MS
        self._days_from_ms = _LONG_AGO_MS
        # Of the closed periods: counts add up and are taken back exactly, so that a report need not
        # unpack them all (150 ms for a year of busy hours).
        self._closed = tally()

    def find(self, time_ms: int) -> tuple[int, int, T]:
        """(from, until, tally) for a time; the span is empty where it cannot be kept."""
        start_ms = time_ms - time_ms % HOUR_MS
        level = self._hours
        if start_ms < self._hours_from_ms:
            start_ms = time_ms - time_ms % DAY_MS
            level = self._days
            if start_ms < self._days_from_ms:
                return 0, 0, self._older
        tally = level.open.get(start_ms)
        if tally is None:
            tally = self._open(level, start_ms)
        return start_ms, start_ms + level.width_ms, tally

    def advance(self, clock_ms: int) -> bool:
        """Closes the periods that the clock has made mature; whether there were any.

        A clock that goes back is ignored.
        """
        if clock_ms <= self._clock_ms:
            return False
        self._clock_ms = clock_ms
        if self.deadline_ms is None or clock_ms <= self.deadline_ms:
            return False
        for level in (self._hours, self._days):
            last_ms = clock_ms - self._wait_ms - level.width_ms
            for start_ms in [start for start in level.open if start < last_ms]:
                tally = level.open.pop(start_ms)
                level.closed[start_ms] = tally.dump()
                self._closed.merge_histograms(tally)
        self._set_deadline()
        return True

    def periods(self) -> Iterator[Period[T]]:
        """All that are kept by themselves, days before hours, so in order of time. For reading."""
        for level in (self._days, self._hours):
            for start_ms in level.starts():
                end_ms = start_ms + level.width_ms
                mature = end_ms + self._wait_ms < self._clock_ms
                yield Period(start_ms, end_ms, mature, self._read(level, start_ms))

    def mature(self) -> T:
        """The sum over mature periods, and over those too old to be kept apart."""
        total = self._new()
        total.merge(self._older)
        for level in (self._days, self._hours):
            last_ms = self._clock_ms - self._wait_ms - level.width_ms
            for start_ms in level.starts():
                if start_ms in level.closed:
                    total.merge(self._new.load(level.closed[start_ms], histograms=False))
                elif start_ms < last_ms:
                    total.merge(level.open[start_ms])
        total.merge_histograms(self._closed)
        return total

    def total(self) -> T:
        """The sum over everything since the beginning."""
        total = self.mature()
        for period in self._immature():
            total.merge(period.tally)
        return total

    def recent(self, labels: int) -> T:
        """The sum over the newest mature periods that hold so many labels, or over all of them."""
        total = self._new()
        for level in (self._hours, self._days):
            for start_ms in reversed(level.starts()):
                if total.labels >= labels:
                    return total
                if start_ms + level.width_ms + self._wait_ms < self._clock_ms:
                    total.merge(self._read(level, start_ms))
        if total.labels < labels:
            total.merge(self._older)
        return total

    def merge(self, other: Buckets[T]) -> None:
        """Adds another shard's; the clock becomes the earlier one: mature means mature on both."""
        assert self._wait_ms == other._wait_ms
        self._older.merge(other._older)
        if other._newest_ms == _LONG_AGO_MS:
            return
        for level in (self._hours, self._days):  # the clock may go back: nothing stays closed
            for start_ms in level.starts():
                level.open[start_ms] = self._take(level, start_ms)
        self.find(other._newest_ms)  # folds first what is too old beside the newest
        for period in other.periods():
            if period.end_ms - period.start_ms == DAY_MS and period.start_ms >= self._days_from_ms:
                # Folded there, so folded here too: this one's newest hour is no older.
                day = self._days.open.get(period.start_ms) or self._open(
                    self._days, period.start_ms
                )
                day.merge(period.tally)
            else:
                self.find(period.start_ms)[2].merge(period.tally)
        self._clock_ms = min(self._clock_ms, other._clock_ms)
        self._set_deadline()

    def dump(self) -> dict[str, Any]:
        """Built-ins; closed periods as they stand."""
        return {
            "clock_ms": self._clock_ms,
            "newest_ms": self._newest_ms,
            "hours": self._dump(self._hours),
            "days": self._dump(self._days),
            "older": self._older.dump(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes on the state that `dump` wrote."""
        self._clock_ms = state["clock_ms"]
        self._set_floors(state["newest_ms"])
        for level, dumped in ((self._hours, state["hours"]), (self._days, state["days"])):
            last_ms = self._clock_ms - self._wait_ms - level.width_ms
            for start_ms, tally in dumped:
                if start_ms < last_ms:
                    level.closed[start_ms] = tally
                    self._closed.merge_histograms(self._new.load(tally))
                else:
                    level.open[start_ms] = self._new.load(tally)
        self._older = self._new.load(state["older"])
        self._set_deadline()

    def _open(self, level: _Level[T], start_ms: int) -> T:
        if start_ms in level.closed:
            tally = self._take(level, start_ms)
        else:
            tally = self._new()
            if level is self._hours and start_ms > self._newest_ms:
                self._fold(start_ms)
            deadline_ms = start_ms + level.width_ms + self._wait_ms
            if deadline_ms >= self._clock_ms and (
                self.deadline_ms is None or deadline_ms < self.deadline_ms
            ):
                self.deadline_ms = deadline_ms
        level.open[start_ms] = tally
        return tally

    def _fold(self, newest_ms: int) -> None:
        before = (self._hours_from_ms, self._days_from_ms)
        self._set_floors(newest_ms)
        if (self._hours_from_ms, self._days_from_ms) == before:
            return
        folded = False
        for start_ms in self._hours.starts():
            if start_ms < self._hours_from_ms:
                hour = self._take(self._hours, start_ms)
                day_ms = start_ms - start_ms % DAY_MS
                if day_ms < self._days_from_ms:
                    self._older.merge(hour)
                else:
                    day = self._days.open.get(day_ms) or self._open(self._days, day_ms)
                    day.merge(hour)
                folded = True
        for start_ms in self._days.starts():
            if start_ms < self._days_from_ms:
                self._older.merge(self._take(self._days, start_ms))
                folded = True
        if folded:
            self.folds += 1
            self._set_deadline()

    def _set_floors(self, newest_ms: int) -> None:
        self._newest_ms = newest_ms
        if newest_ms > _LONG_AGO_MS:
            hours_from_ms = newest_ms - self._hours_kept_ms
            self._hours_from_ms = hours_from_ms - hours_from_ms % DAY_MS
            self._days_from_ms = newest_ms - newest_ms % DAY_MS - DAYS_KEPT_MS

    def _set_deadline(self) -> None:
        ends = [
            start_ms + level.width_ms + self._wait_ms
            for level in (self._hours, self._days)
            for start_ms in level.open
        ]
        self.deadline_ms = min((end for end in ends if end >= self._clock_ms), default=None)

    def _immature(self) -> Iterator[Period[T]]:
        for level in (self._days, self._hours):
            for start_ms in sorted(level.open):
                end_ms = start_ms + level.width_ms
                if end_ms + self._wait_ms >= self._clock_ms:
                    yield Period(start_ms, end_ms, False, level.open[start_ms])

    def _read(self, level: _Level[T], start_ms: int) -> T:
        tally = level.open.get(start_ms)
        return self._new.load(level.closed[start_ms]) if tally is None else tally

    def _take(self, level: _Level[T], start_ms: int) -> T:
        closed = level.closed.pop(start_ms, None)
        if closed is None:
            return level.open.pop(start_ms)
        tally = self._new.load(closed)
        self._closed.merge_histograms(tally, -1)
        return tally

    def _dump(self, level: _Level[T]) -> list[list[Any]]:
        return [
            [start, level.closed[start] if start in level.closed else level.open[start].dump()]
            for start in level.starts()
        ]
