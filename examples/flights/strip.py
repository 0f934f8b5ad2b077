"""The year as a strip of the calendar: a line for each month, a bar for each day, alerts below.

The same lines serve a terminal, where they grow as the year ticks by, and a plain log, where each
is printed once when its month is over.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import date

from rich.text import Text

from examples.flights.results import Crash, Mark, Period, happenings

BARS = "▁▂▃▄▅▆▇█"
BARS_ASCII = ".:-=+*%#"
# Share of flights late, cancelled or diverted that fills the bar.
FULL = 0.64
STYLES = ("green", "green", "yellow", "yellow", "dark_orange", "red", "red", "bold red")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def month_lines(
    year: int,
    month: int,
    days: Sequence[Period],
    marks: Sequence[Mark] = (),
    crash: Crash | None = None,
    *,
    unicode: bool = True,
) -> list[Text]:
    """Gives a month's one or more lines: bars and figures, then marks below the days.

    `days`, `marks` and `crash` may reach beyond the month; days that are not there yet are blank.
    Every line is under 80 columns wide.
    """
    in_month = {day.first.day: day for day in days if _in(day.first, year, month)}
    lines = [_bars(month, monthrange(year, month)[1], in_month, unicode)]
    own = [mark for mark in marks if _in(mark.time.date(), year, month)]
    for first, name, members in happenings(own):
        at = {member.time.day for member in members}
        severe = any(member.severity == "critical" for member in members)
        detectors = ", ".join(dict.fromkeys(member.detector for member in members))
        text = f"{first.day:>2} {name}: {detectors}" if name else f"{first.day:>2} {detectors}"
        lines.append(_below(at, "▲" if unicode else "^", text, "bold red" if severe else "red"))
    if crash is not None and _in(crash.time.date(), year, month):
        text = f"{crash.time.day:>2} killed: {crash.outcome}"
        lines.append(_below({crash.time.day}, "✗" if unicode else "x", text, "bold cyan"))
    return lines


def year_lines(
    year: int,
    days: Sequence[Period],
    marks: Sequence[Mark] = (),
    crash: Crash | None = None,
    *,
    unicode: bool = True,
) -> list[Text]:
    """Gives the lines of all months that have begun."""
    months = sorted({day.first.month for day in days if day.first.year == year})
    return [
        line
        for month in months
        for line in month_lines(year, month, days, marks, crash, unicode=unicode)
    ]


def _bars(month: int, length: int, days: dict[int, Period], unicode: bool) -> Text:
    line = Text(f"{_MONTHS[month - 1]} ", style="bold", no_wrap=True)
    bars = BARS if unicode else BARS_ASCII
    for number in range(1, 32):
        day = days.get(number)
        if day is None:
            line.append(" " if number <= length else "", style="none")
            continue
        level = min(int(day.disrupted_share / FULL * len(bars)), len(bars) - 1)
        line.append(bars[level], style=STYLES[level])
    line.pad_right(36 - len(line))
    flights = sum(day.flights for day in days.values())
    if flights:
        disrupted = sum(day.disrupted_share * day.flights for day in days.values()) / flights
        line.append(f"{flights:>6,} flights, {disrupted:>4.0%} late or cancelled", style="none")
    return line


def _below(days: set[int], sign: str, text: str, style: str) -> Text:
    line = Text("    ", no_wrap=True)
    for number in range(1, 32):
        line.append(sign if number in days else " ", style=style)
    line.pad_right(36 - len(line))
    line.append(text, style=style)
    return line


def _in(day: date, year: int, month: int) -> bool:
    return (day.year, day.month) == (year, month)
