"""What the demo says at its end: figures beside naive ones, alerts by name, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from rich.text import Text

from examples.flights.results import FLAGGED_SHARE, Figures, Mark, happenings

WIDTH = 80
HARD_SPACE = "\N{NO-BREAK SPACE}"


def figure_lines(numbers: Figures) -> list[Text]:
    """Gives the model's figures, each beside that of something naive."""
    landed = "the late share of recent landings"
    constant = f"always {numbers.late_share:.0%}, as many as were late"
    return [
        Text(f"{'':>24}{'model':>7}{'naive':>8}", style="dim"),
        _row("AUC", f"{numbers.auc:.3f}", f"{numbers.recent_auc:.3f}", landed),
        _row("log loss", f"{numbers.log_loss:.3f}", f"{numbers.base_log_loss:.3f}", constant),
        _row(
            f"late, of the {FLAGGED_SHARE:.0%} flagged",
            f"{numbers.flagged_late_share:.0%}",
            f"{numbers.late_share:.0%}",
            "of all flights",
        ),
    ]


def _row(name: str, own: str, naive: str, meaning: str) -> Text:
    return Text.assemble(f"{name:<24}", (f"{own:>7}", "bold green"), f"{naive:>8}", f"  {meaning}")


def alert_lines(marks: Sequence[Mark]) -> list[Text]:
    """Gives how many alerts there were, and what was happening at those that have a name."""
    named = [f"{name} ({first:%b} {first.day})" for first, name, _ in happenings(marks) if name]
    counted = "1 alert" if len(marks) == 1 else f"{len(marks)} alerts"
    # Lines break between happenings only: `wrap` leaves hard spaces alone.
    listed = wrap(", ".join(one.replace(" ", HARD_SPACE) for one in named), WIDTH - 4)
    return [
        Text(f"{counted} of warning or above" + (", among them" if named else "")),
        *(Text(f"    {line.replace(HARD_SPACE, ' ')}", style="red") for line in listed),
    ]


def own_data_lines() -> list[Text]:
    """Gives how to go on; the last line is a command."""
    return [
        Text("Your own data? Name its columns in a copy of examples/payments.yaml, and run"),
        Text(
            ".venv/bin/driftline backtest MY.yaml --input FILE --label COL --label-time COL",
            style="bold",
        ),
    ]
