"""The picture of the year that the demo leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from examples.flights.results import Crash, Figures, Mark, Period, happenings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID = "#22303c", "#7b8794", "#e4e8ec"
CALM, BUSY, STORM = "#9fc5d8", "#f0b45a", "#d2493a"
MODEL, NAIVE, KILL = "#1f5f8b", "#a8b2bc", "#6b3fa0"
# Heights in the upper panel, in its own shares: the first row of markers, and the top.
ROW, SKY = 0.895, 1.22
MARKERS = ("v", "o", "s", "D", "P", "X")


def draw(
    path: Path,
    days: Sequence[Period],
    weeks: Sequence[Period],
    figures: Figures,
    marks: Sequence[Mark],
    crash: Crash | None = None,
) -> None:
    """Writes a PNG, 2,100 x 1,200 pixels: days with their alerts above, weekly AUC below."""
    # Imported here: it costs half a second, and only this function needs it. The Figure by itself
    # needs no display and leaves the interpreter's plotting state alone.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 8), dpi=150, facecolor="white")
    upper, lower = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={"height_ratios": [1.75, 1], "hspace": 0.1},
    )
    figure.subplots_adjust(left=0.06, right=0.975, top=0.8, bottom=0.07)
    _title(figure, figures, len(marks))
    _days(upper, days)
    _marks(upper, marks)
    _weeks(lower, weeks)
    for axes in (upper, lower):
        _frame(axes, days)
    if crash is not None:
        _crash(upper, lower, crash)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _title(figure: Figure, numbers: Figures, alerts: int) -> None:
    figure.text(
        0.06,
        0.945,
        "Will this flight arrive late?",
        fontsize=19,
        fontweight="bold",
        color=INK,
    )
    figure.text(
        0.06,
        0.905,
        f"{numbers.flights:,} departures from New York in 2013: each predicted at its scheduled"
        f" time, each learnt from when it landed; {alerts} alerts",
        fontsize=11.5,
        color=FAINT,
    )
    cells = (
        (f"{numbers.auc:.3f}", f"AUC (recent late rate {numbers.recent_auc:.3f})"),
        (
            f"{numbers.flagged_late_share:.0%}",
            f"late among the 10% flagged ({numbers.late_share:.0%} among all)",
        ),
        (f"{numbers.log_loss:.3f}", f"log loss (best constant {numbers.base_log_loss:.3f})"),
    )
    for column, (value, meaning) in enumerate(cells):
        x = (0.06, 0.33, 0.655)[column]
        figure.text(x, 0.85, value, fontsize=16, fontweight="bold", color=MODEL)
        gap = 0.011 * len(value) + (0.013 if value.endswith("%") else 0.006)
        figure.text(x + gap, 0.852, meaning, fontsize=11, color=INK)


def _days(axes: Axes, days: Sequence[Period]) -> None:
    shares = [day.disrupted_share for day in days]
    colours = [STORM if share >= 0.5 else BUSY if share >= 0.3 else CALM for share in shares]
    axes.bar([_x(day.first) for day in days], shares, width=0.92, color=colours, linewidth=0)
    axes.set_ylim(0, SKY)
    axes.set_yticks([0, 0.25, 0.5, 0.75], ["0", "25%", "50%", "75%"])
    axes.set_ylabel("late or cancelled, by day", color=INK, fontsize=10.5, loc="bottom")


def _marks(axes: Axes, marks: Sequence[Mark]) -> None:
    detectors = list(dict.fromkeys(mark.detector for mark in sorted(marks)))
    style = dict(zip(detectors, MARKERS * len(detectors), strict=False))
    ends: list[float] = []  # where the last label of each level ends, in days
    for first, name, members in happenings(marks):
        x = _x(first)
        text = name or f"{first:%b} {first.day}"
        width = 2.6 + 2.15 * len(text)  # days that the text takes at this size
        left = max(0.0, min(x - width / 2, 365 - width))
        level = next((i for i, end in enumerate(ends) if left > end + 2), len(ends))
        ends[level : level + 1] = [left + width]
        y = SKY - 0.065 * (level + 1)
        axes.plot([x, x], [ROW, y], color=FAINT, linewidth=0.7, zorder=1)
        axes.text(
            left + width / 2,
            y,
            text,
            ha="center",
            va="bottom",
            fontsize=9.5,
            fontweight="bold" if name else "normal",
            color=INK if name else FAINT,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
        for place, detector in enumerate(dict.fromkeys(member.detector for member in members)):
            axes.plot(x, ROW - 0.045 * place, style[detector], color=STORM, markersize=6)
    for detector in detectors:
        axes.plot([], [], style[detector], color=STORM, markersize=6, label=detector)
    if detectors:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=len(detectors),
            frameon=False,
            fontsize=10,
            labelcolor=INK,
            handletextpad=0.2,
            borderpad=0,
        )


def _weeks(axes: Axes, weeks: Sequence[Period]) -> None:
    # A last week of one or two days is more noise than news.
    whole = [week for week in weeks if week.auc is not None and week.flights > 3000]
    x = [_x(week.first) + 3 for week in whole]
    model = [week.auc or 0.5 for week in whole]
    recent = [week.recent_auc or 0.5 for week in whole]
    axes.fill_between(x, recent, model, color=MODEL, alpha=0.10, linewidth=0)
    axes.plot(x, recent, color=NAIVE, linewidth=1.6)
    axes.plot(x, model, color=MODEL, linewidth=2.2)
    axes.set_ylabel("AUC by week", color=INK, fontsize=10.5)
    axes.set_ylim(0.5, 0.88)
    axes.set_yticks([0.5, 0.6, 0.7, 0.8])
    axes.text(0.008, 0.9, "the model", color=MODEL, fontweight="bold", transform=axes.transAxes)
    axes.text(0.075, 0.9, "recent late rate", color=FAINT, transform=axes.transAxes)


def _crash(upper: Axes, lower: Axes, crash: Crash) -> None:
    x = _x(crash.time.date())
    for axes, top in ((upper, ROW / SKY), (lower, 1.0)):
        axes.axvline(x, ymax=top, color=KILL, linewidth=1.2, linestyle=(0, (4, 3)))
    lower.annotate(
        f"kill -9: {crash.outcome}",
        (x, 0.93),
        xycoords=("data", "axes fraction"),
        xytext=(6, 0),
        textcoords="offset points",
        color=KILL,
        fontsize=10,
        fontweight="bold",
    )


def _frame(axes: Axes, days: Sequence[Period]) -> None:
    months = sorted({day.first.replace(day=1) for day in days})
    axes.set_xlim(-2, 366)
    axes.set_xticks([_x(first) for first in months], [f"{first:%b}" for first in months], ha="left")
    axes.tick_params(colors=FAINT, length=0, labelsize=10)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def _x(day: date) -> float:
    return (day - date(day.year, 1, 1)) / timedelta(days=1)
