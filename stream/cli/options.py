"""Options that several commands share."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import durationpy
import typer

from consumers.times import parse_time_ms
from stream.errors import CommandError, ConfigurationError
from stream.file_stream import LabelSource

ConfigArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CONFIG]",
        help="The configuration; else $DRIFTLINE_CONFIG, else ./driftline.yaml.",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="CONFIG",
        help="The configuration; else $DRIFTLINE_CONFIG, else ./driftline.yaml.",
        show_default=False,
    ),
]
InputOption = Annotated[
    Path, typer.Option("--input", metavar="FILE", help="CSV, JSONL or Parquet; .gz as it is.")
]
LabelOption = Annotated[
    str | None,
    typer.Option("--label", metavar="COLUMN", help="The column that holds the label."),
]
LabelTimeOption = Annotated[
    str | None,
    typer.Option(
        "--label-time", metavar="COLUMN", help="The column that says when the label became known."
    ),
]
LabelDelayOption = Annotated[
    str | None,
    typer.Option(
        "--label-delay", metavar="DURATION", help="Labels become known so long after their event."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def label_source(column: str | None, time_column: str | None, delay: str | None) -> LabelSource:
    """The label options as one value; ConfigurationError where they contradict one another."""
    if time_column is not None and delay is not None:
        raise ConfigurationError(
            "a label becomes known at a time or after a delay, and both were given",
            "give either --label-time or --label-delay",
        )
    return LabelSource(
        column, time_column, None if delay is None else duration("--label-delay", delay)
    )


def duration(name: str, text: str) -> timedelta:
    """A duration such as `30s` or `2d`; ConfigurationError otherwise."""
    try:
        found = durationpy.from_str(text)
    except durationpy.DurationError as error:
        raise ConfigurationError(
            f"{name} must be a duration, not {text!r}", "write 30s, 5m, 3h or 2d"
        ) from error
    if found < timedelta(0):
        raise ConfigurationError(f"{name} must not be negative, and this is {text!r}", "write 3h")
    return found


def time_ms(name: str, text: str) -> int:
    """A moment, RFC 3339 or epoch milliseconds; CommandError otherwise."""
    try:
        return parse_time_ms(int(text) if text.isdigit() else text)
    except ValueError as error:
        raise CommandError(f"{name} {error}", "such as 2013-07-01T12:00:00Z") from error
