"""The strip of the calendar while the year goes by: in place on a terminal, by months in a log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from examples.flights.results import Crash, Mark, Period
from examples.flights.strip import month_lines

# Labels tell of a month's last flights when they have landed, some of them a day into the next.
AFTERMATH = timedelta(days=2)


class Ticker:
    """Shows the days up to a moment of the stream, and what was found until then.

    A context manager. A month's lines are printed once, when it has been over for two days or at
    the end. On a terminal the months before that grow in place below them, so that a screen of any
    height shows where the year is; elsewhere nothing else is printed.

    Parameters
    ----------
    days
        All days of the year in order; only those already reached are shown.
    """

    def __init__(self, console: Console, days: Sequence[Period]) -> None:
        self._console = console
        self._days = days
        self._unicode = (console.encoding or "").lower().startswith("utf")
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else None
        )
        self._printed = 0
        self._shown: list[Text] = []

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

    def tick(
        self, until: date, marks: Sequence[Mark], crash: Crash | None = None, status: str = ""
    ) -> None:
        """Shows the days before `until`, and the alerts and the crash that there were by then.

        `status` is a line below them, for terminals only. At the end of the year `until` lies in
        the next one.
        """
        days = [day for day in self._days if day.first < until]
        year, reached = until.year, until.month
        if days:
            year, reached = days[-1].first.year, days[-1].first.month
        settled = until - AFTERMATH
        over = 12 * (settled.year - year) + settled.month - 1
        if days and days[-1] is self._days[-1]:
            over = reached
        for month in range(self._printed + 1, over + 1):
            for line in self._month(year, month, days, marks, crash):
                self._console.print(line)
        self._printed = max(self._printed, over)
        self._shown = [
            line
            for month in range(self._printed + 1, reached + 1)
            for line in self._month(year, month, days, marks, crash)
        ]
        self.say(status)

    def say(self, status: str) -> None:
        """Puts a line below the days that are shown; for terminals only."""
        if self._live is not None:
            last = [Text(status, style="dim", no_wrap=True)] if status else []
            self._live.update(Group(*self._shown, *last), refresh=True)

    def _month(
        self,
        year: int,
        month: int,
        days: Sequence[Period],
        marks: Sequence[Mark],
        crash: Crash | None,
    ) -> list[Text]:
        return month_lines(year, month, days, marks, crash, unicode=self._unicode)
