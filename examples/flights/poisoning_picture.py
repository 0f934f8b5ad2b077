"""The picture of the second act: three lines on the true labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from examples.flights.picture import FAINT, GRID, INK, KILL, MODEL, STORM
from examples.flights.results import Period

COLOURS = {"clean": FAINT, "poisoned": STORM, "rolled back": MODEL}
WIDTHS = {"clean": 5.0, "poisoned": 2.2, "rolled back": 2.2}
DAYS_BEFORE, DAYS_AFTER = 6, 10


def draw(
    path: Path,
    lines: Mapping[str, Sequence[Period]],
    flipped: date,
    days: int,
    rollback: datetime,
) -> None:
    """Writes a PNG, 1,650 x 900 pixels: the AUC of each line by day, the flipped days shaded."""
    # Imported here: it costs half a second, and only this function needs it.
    from matplotlib.figure import Figure

    first, last = flipped - timedelta(days=DAYS_BEFORE), flipped + timedelta(days=DAYS_AFTER)
    figure = Figure(figsize=(11, 6), dpi=150, facecolor="white")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.07, right=0.86, top=0.84, bottom=0.09)
    figure.text(
        0.07, 0.93, "Three days of flipped labels", fontsize=18, fontweight="bold", color=INK
    )
    figure.text(
        0.07,
        0.885,
        "AUC by day, on the true labels; one model and one log",
        fontsize=11,
        color=FAINT,
    )
    axes.axvspan(_x(flipped), _x(flipped) + days, color=STORM, alpha=0.10, linewidth=0)
    axes.text(
        _x(flipped) + days / 2, 0.865, "labels flipped", ha="center", color=STORM, fontsize=10
    )
    at = _x(rollback.date()) + rollback.hour / 24
    axes.axvline(at, color=KILL, linewidth=1.4, linestyle=(0, (4, 3)))
    axes.text(
        at + 0.1, 0.335, "rollback --skip labels:…", color=KILL, fontsize=10, fontweight="bold"
    )
    ends: dict[str, float] = {}
    for name, periods in lines.items():
        kept = [one for one in periods if first <= one.first <= last and one.auc is not None]
        values = [one.auc or 0.5 for one in kept]
        # Each day's figure stands in the middle of the day.
        axes.plot(
            [_x(one.first) + 0.5 for one in kept],
            values,
            color=COLOURS[name],
            linewidth=WIDTHS[name],
            alpha=0.45 if name == "clean" else 1.0,
        )
        ends[name] = values[-1]
    height = 1.0
    for name, end in sorted(ends.items(), key=lambda item: -item[1]):
        height = min(end, height - 0.025)
        axes.text(_x(last) + 0.8, height, name, color=COLOURS[name], fontweight="bold", va="center")
    axes.axhline(0.5, color=GRID, linewidth=1.2)
    axes.set_xlim(_x(first), _x(last) + 0.7)
    axes.set_ylim(0.32, 0.9)
    shown = [first + timedelta(days=number) for number in range(0, (last - first).days + 1, 2)]
    axes.set_xticks([_x(day) + 0.5 for day in shown], [f"{day:%b} {day.day}" for day in shown])
    axes.tick_params(colors=FAINT, length=0, labelsize=10)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _x(day: date) -> int:
    return day.toordinal()
