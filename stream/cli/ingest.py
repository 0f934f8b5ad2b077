"""`driftline ingest`: put a file's rows on the log."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from stream.cli import options, output
from stream.configuration import load_file
from stream.errors import ConfigurationError
from stream.ingest import check_ingest, ingest
from stream.opening import open_service_log


def ingest_command(
    input_file: options.InputOption,
    config: options.ConfigArgument = None,
    label: options.LabelOption = None,
    label_time: options.LabelTimeOption = None,
    label_delay: options.LabelDelayOption = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="N", help="At most so many records a second."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", help="Only what came before; run again to go on from there."
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Put a file's rows on the events topic, and late labels on the labels topic; resumable.

    Example: driftline ingest flights.yaml --input flights.csv --label late --label-time arrived_at
    """
    if rate is not None and not 0 < rate < math.inf:
        raise ConfigurationError(
            f"--rate must be a finite number above 0, and this is {rate:g}", "such as 1000"
        )
    configuration = load_file(config)
    until_ms = None if until is None else options.time_ms("--until", until)
    if until_ms is not None and configuration.events.time is None:
        raise ConfigurationError(
            "--until needs the time of the rows, and `events.time` is null",
            "name the column with the time in `events.time`",
        )
    labels = options.label_source(label, label_time, label_delay)
    check_ingest(configuration, input_file, labels)  # before a log is made that nothing goes into
    with (
        output.progress("ingest") as bar,
        open_service_log(configuration, create=True) as log,
    ):
        written, skipped = ingest(
            log,
            configuration,
            input_file,
            labels,
            rate=rate,
            until_ms=until_ms,
            on_progress=lambda done, _: bar.update(bar.task_ids[0], completed=done),
        )
    if as_json:
        output.print_json({"written": written, "skipped": skipped})
    else:
        already = f"; {output.number(skipped)} were there already" if skipped else ""
        output.stdout.print(f"{output.number(written)} records written{already}")
