"""`driftline export`: what was served, and what became known of it, as a table."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from consumers.table_files import STDOUT, check_table_name
from consumers.times import format_time
from stream.cli import options, output
from stream.configuration import load_file
from stream.errors import ExportError
from stream.export import Exported, Wanted, export
from stream.opening import history_of, open_service_log


def export_command(
    file: Annotated[
        str,
        typer.Option(
            "--output", metavar="FILE", help=".parquet, .jsonl or .jsonl.gz; - is stdout (JSONL)."
        ),
    ],
    config: options.ConfigOption = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Events from this time on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Events before this time.")
    ] = None,
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", min=0, help="What this version predicted."),
    ] = None,
    shard: Annotated[
        int | None, typer.Option("--shard", metavar="P", min=0, help="Of this partition only.")
    ] = None,
    labelled: Annotated[
        bool | None,
        typer.Option(
            "--with-labels/--without-labels",
            help="Only events whose label came, or only the others.",
            show_default=False,
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Write a row for each event: features as served, prediction, label, version.

    Example: driftline export -c flights.yaml --output july.parquet --from 2013-07-01T00:00:00Z
    """
    if as_json and file == STDOUT:
        raise ExportError(
            "the rows and --json would both go to stdout", "name a file, or leave out --json"
        )
    check_table_name(file)
    wanted = Wanted(
        None if since is None else options.time_ms("--from", since),
        None if until is None else options.time_ms("--to", until),
        version,
        shard,
        labelled,
    )
    bounds = wanted.since_ms, wanted.until_ms
    if bounds[0] is not None and bounds[1] is not None and bounds[0] >= bounds[1]:
        raise ExportError("--from must lie before --to", "no event lies between the two")
    configuration = load_file(config)
    started = time.monotonic()
    with open_service_log(configuration, create=False) as log, output.progress("export") as bar:
        done = export(
            log,
            configuration,
            history_of(log),
            file,
            wanted,
            sys.stdout.buffer,
            lambda rows: bar.update(bar.task_ids[0], completed=rows),
        )
    if as_json:
        output.print_json(_body(file, done, time.monotonic() - started))
        return
    for line in _told(file, done):
        output.stderr.print(line, highlight=False, markup=False, soft_wrap=True)


def _body(file: str, done: Exported, seconds: float) -> dict[str, Any]:
    return {
        "file": file,
        "size_bytes": Path(file).stat().st_size,
        "rows": done.rows,
        "columns": done.columns,
        "first_time": None if done.first_ms is None else format_time(done.first_ms),
        "last_time": None if done.last_ms is None else format_time(done.last_ms),
        "labels": dict(done.labels),
        "corrected": done.corrected,
        "dead_letters": dict(done.dead_letters),
        "without_result": done.without_result,
        "seconds": round(seconds, 3),
    }


def _told(file: str, done: Exported) -> list[str]:
    number = output.number
    parts = [f"{number(count)} {state}" for state, count in done.labels.items()]
    parts += [f"{number(done.dead_letters.total())} dead letters"] if done.dead_letters else []
    where = "" if file == STDOUT else f" to {file}"
    lines = [f"{number(done.rows)} rows{where}; labels: {', '.join(parts) or 'none'}"]
    if done.without_result:
        lines.append(f"{number(done.without_result)} events have no result, and are left out")
    if not done.rows:
        lines.append("hint: no event that was asked for has been served; `driftline status`")
    return lines
