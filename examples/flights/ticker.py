"""The strip of the calendar while the year goes by: in place on a terminal, by months in a log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from examples.flights.results import Crash, Mark, Period
from examples.flights.strip import month_lines


class Ticker:
    """Shows the days up to a moment of the stream, and what was found until then.

    A context manager. On a terminal the strip grows in place; elsewhere each month is printed once,
    when a later one has begun or at the end, so a log holds every line once and nothing else.

    Parameters
    ----------
    days
        All days of the year in order; only those already reached are shown.
    """

    def __init__(self, console: Console, days: Sequence[Period]) -> None:
        self._console = console
        self._days = days
        self._unicode = (console.encoding or "").lower().startswith("utf")
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._printed = 0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def tick(self, until: date, marks: Sequence[Mark], crash: Crash | None = None) -> None:
        """Shows the days before `until`, and the alerts and the crash that there were by then."""
        days = [day for day in self._days if day.first < until]
        if not days:
            return
        year, reached = days[-1].first.year, days[-1].first.month
        if self._live is not None:
            lines: list[Text] = []
            for month in range(1, reached + 1):
                lines += self._month(year, month, days, marks, crash)
            self._live.update(Group(*lines), refresh=True)
            return
        over = reached if until.year > year else reached - 1
        for month in range(self._printed + 1, over + 1):
            for line in self._month(year, month, days, marks, crash):
                self._console.print(line)
        self._printed = max(self._printed, over)

    def _month(
        self,
        year: int,
        month: int,
        days: Sequence[Period],
        marks: Sequence[Mark],
        crash: Crash | None,
    ) -> list[Text]:
        return month_lines(year, month, days, marks, crash, unicode=self._unicode)
