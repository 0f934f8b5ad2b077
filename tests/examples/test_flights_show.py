"""Figures, calendar strip and picture, from scores and alerts made up for the purpose."""

import io
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from examples.flights import picture
from examples.flights.results import (
    Crash,
    Mark,
    Period,
    Scored,
    auc,
    by_day,
    by_week,
    figures,
    happenings,
    mark,
)
from examples.flights.storms import HAPPENINGS, name_of
from examples.flights.strip import month_lines, year_lines
from examples.flights.ticker import Ticker

HOUR_MS = 3_600_000
NEW_YEAR_MS = 1_356_998_400_000  # 2013-01-01 on the clock


@pytest.fixture
def scored() -> Scored:
    """Five flights an hour all through the year, of which the last two of each hour are late."""
    hours = np.repeat(np.arange(365 * 24, dtype=np.int64), 5)
    place = np.tile(np.arange(5), 365 * 24)
    return Scored(
        local_ms=NEW_YEAR_MS + hours * HOUR_MS,
        score=place / 5,
        recent=np.full(len(hours), 0.4),
        late=(place >= 3).astype(np.int64),
    )


@pytest.fixture
def marks() -> list[Mark]:
    return [
        mark(datetime(2013, 2, 8, 23, tzinfo=UTC), "standstill", "warning"),
        mark(datetime(2013, 2, 10, 2, tzinfo=UTC), "late wave", "warning"),
        mark(datetime(2013, 5, 23, 22, tzinfo=UTC), "standstill", "warning"),
        mark(datetime(2013, 6, 13, 20, tzinfo=UTC), "mistakes", "critical"),
    ]


def _printed(lines: list[Text]) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    for line in lines:
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_auc_by_hand():
    # pairs (late, punctual): 0.9 beats both, 0.4 beats 0.2 and ties with 0.4: 3.5 of 4
    assert auc(np.array([0.9, 0.4, 0.4, 0.2]), np.array([1, 1, 0, 0])) == 0.875
    assert auc(np.array([0.9, 0.4]), np.array([1, 1])) is None


def test_figures_of_a_year_with_a_perfect_model(scored: Scored):
    year = figures(scored)
    assert (year.auc, year.recent_auc) == (1.0, 0.5)
    assert year.late_share == pytest.approx(0.4)
    assert year.flagged_late_share == 1.0
    assert year.base_log_loss == pytest.approx(0.6730, abs=1e-4)  # entropy of 0.4


def test_flights_that_never_arrived_disturb_days_but_not_scores(scored: Scored):
    cancelled = Scored(scored.local_ms, scored.score, scored.recent, scored.late.copy())
    cancelled.late[:60] = -1  # the first half of January 1

    first = by_day(cancelled)[0]

    assert first.flights == 120
    assert first.disrupted_share == pytest.approx(0.5 + 0.5 * 0.4)
    assert first.late_share == pytest.approx(0.4)
    assert first.auc == 1.0


def test_days_and_weeks_begin_with_the_year(scored: Scored):
    assert [day.first for day in by_day(scored)][::364] == [date(2013, 1, 1), date(2013, 12, 31)]
    weeks = by_week(scored)
    assert [week.first for week in weeks[:2]] == [date(2013, 1, 1), date(2013, 1, 8)]
    assert [week.flights for week in weeks[-2:]] == [840, 120]


def test_alerts_carry_the_name_of_what_happened(marks: list[Mark]):
    assert [one.name for one in marks] == ["Blizzard Nemo", "Blizzard Nemo", None, "Two derechos"]
    # 04:30 in UTC on the 12th is still the 11th in New York, the day after Nemo
    assert name_of(datetime(2013, 2, 12, 4, 30, tzinfo=UTC)) == "Blizzard Nemo"
    assert name_of(datetime(2013, 2, 12, 5, 30, tzinfo=UTC)) is None


def test_happenings_do_not_overlap():
    assert all(one.first <= one.last for one in HAPPENINGS)
    for one, following in pairwise(HAPPENINGS):
        assert one.last < following.first


def test_alerts_of_one_happening_stand_together(marks: list[Mark]):
    assert [(first, name, len(members)) for first, name, members in happenings(marks)] == [
        (date(2013, 2, 8), "Blizzard Nemo", 2),
        (date(2013, 5, 23), None, 1),
        (date(2013, 6, 13), "Two derechos", 1),
    ]


def test_a_month_in_plain_text(scored: Scored, marks: list[Mark]):
    crash = Crash(datetime(2013, 2, 20, tzinfo=UTC), "recovered in 1.9 s, digest equal")
    text = _printed(month_lines(2013, 2, by_day(scored), marks, crash, unicode=False))
    assert text.splitlines() == [
        "Feb " + "*" * 28 + "     3,360 flights,  40% late or cancelled",
        "           ^^                        8 Blizzard Nemo: standstill, late wave",
        "                       x            20 killed: recovered in 1.9 s, digest equal",
    ]


def test_every_line_fits_80_columns(scored: Scored):
    marks = [
        mark(datetime(one.first.year, one.first.month, one.first.day, 18, tzinfo=UTC), name, "info")
        for one in HAPPENINGS
        for name in ("standstill", "late wave")
    ]
    lines = year_lines(2013, by_day(scored), marks)
    assert len(lines) == 12 + len(HAPPENINGS)
    assert max(len(line) for line in lines) <= 80


def test_a_log_has_each_month_once(scored: Scored, marks: list[Mark]):
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    days = by_day(scored)
    with Ticker(console, days) as ticker:
        for day in days:
            ticker.tick(day.first, marks)
        ticker.tick(date(2014, 1, 1), marks)
    assert isinstance(console.file, io.StringIO)
    first_words = [line.split()[0] for line in console.file.getvalue().splitlines()]
    assert [word for word in first_words if word.isalpha()] == (
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    )


def test_an_alert_of_a_months_last_night_stands_in_that_month(scored: Scored):
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    late = [mark(datetime(2013, 2, 1, 3, tzinfo=UTC), "late wave", "warning")]  # 22:00 on the 31st
    with Ticker(console, by_day(scored)) as ticker:
        ticker.tick(date(2013, 2, 2), [])
        ticker.tick(date(2013, 2, 3), late)
    assert isinstance(console.file, io.StringIO)
    assert [line.split()[0] for line in console.file.getvalue().splitlines()] == ["Jan", "▲"]


def test_a_terminal_sees_the_year_grow(scored: Scored):
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    days = by_day(scored)
    with Ticker(console, days) as ticker:
        ticker.tick(date(2013, 1, 15), [])
        assert isinstance(console.file, io.StringIO)
        assert "Jan" in console.file.getvalue()
        assert "Feb" not in console.file.getvalue()


def test_the_picture_is_written(tmp_path: Path, scored: Scored, marks: list[Mark]):
    crash = Crash(datetime(2013, 7, 2, tzinfo=UTC), "recovered in 1.9 s, digest equal")
    path = tmp_path / "pictures" / "year.png"

    picture.draw(path, by_day(scored), by_week(scored), figures(scored), marks, crash)

    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert (content[16:20], content[20:24]) == (
        (2100).to_bytes(4, "big"),
        (1200).to_bytes(4, "big"),
    )


def test_a_year_without_alerts_or_crash_is_drawn_too(tmp_path: Path, scored: Scored):
    days: list[Period] = by_day(scored)
    picture.draw(tmp_path / "calm.png", days, by_week(scored), figures(scored), [])
    assert (tmp_path / "calm.png").stat().st_size > 10_000
