"""`driftline bench`: how fast this machine runs the pipeline, as ratios to a bare River loop."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from stream.bench import benchmark
from stream.bench_memory import memory_benchmark
from stream.bench_rollback import rollback_benchmark
from stream.cli import options, output

PENDING = 100_000


def bench_command(
    events: Annotated[
        int, typer.Option("--events", metavar="N", min=1_000, help="Events in each run.")
    ] = 50_000,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=1, help="Alternating runs of each loop.")
    ] = 5,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory", help="Instead: peak memory over --events with 100,000 labels awaited."
        ),
    ] = False,
    rollback: Annotated[
        bool,
        typer.Option(
            "--rollback", help="Instead: a rollback over --events, beside the pipeline in memory."
        ),
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Measure the pipeline on this machine beside a bare River loop.

    Example: driftline bench --runs 5
    """
    if memory:
        _memory(events, as_json)
        return
    if rollback:
        _rollback(events, as_json)
        return
    with output.progress("bench", total=None) as bar:
        report = benchmark(
            events, runs, lambda name: bar.update(bar.task_ids[0], description=f"bench: {name}")
        )
    if as_json:
        output.print_json(report)
    else:
        _print(report)


def _memory(events: int, as_json: bool) -> None:
    with output.progress("bench", total=None) as bar:
        report = memory_benchmark(
            events, PENDING, lambda name: bar.update(bar.task_ids[0], description=f"bench: {name}")
        )
    if as_json:
        output.print_json(report)
        return
    number = output.number
    output.stdout.print(
        f"{number(report['events'])} events, {number(report['pending'])} labels still awaited: "
        f"{number(report['peak_mb'])} MB at the peak ({number(report['before_mb'])} MB before), "
        f"{number(report['records_per_second'])} records/s"
    )


def _rollback(events: int, as_json: bool) -> None:
    with output.progress("bench", total=None) as bar:
        report = rollback_benchmark(
            events, lambda name: bar.update(bar.task_ids[0], description=f"bench: {name}")
        )
    if as_json:
        output.print_json(report)
        return
    output.stdout.print(
        f"a rollback over {output.number(report['events'])} events: {report['rollback_s']:.1f} s; "
        f"the same events through the pipeline in memory: {report['in_memory_s']:.1f} s, "
        f"through the service on SQLite: {report['service_s']:.1f} s",
        highlight=False,
        soft_wrap=True,
    )


def _print(report: dict[str, Any]) -> None:
    number = output.number
    names = {
        "bare": "bare River loop",
        "memory": "pipeline, in memory",
        "sqlite": "pipeline, SQLite log",
    }
    output.print_table(
        f"{number(report['events'])} events, {report['features']} features, scaler | logistic "
        f"regression, ADWIN on the error; median of {report['runs']} alternating runs",
        ["", "events/s", "CPU µs an event", "ratio"],
        [
            [
                title,
                number(report[name]["events_per_second"]),
                f"{report[name]['cpu_us_per_event']:.2f}",
                f"{report[name]['ratio_to_bare']:.3f}",
            ]
            for name, title in names.items()
        ],
    )
    output.print_table(
        "\nwhere the time goes",
        ["stage, by itself", "CPU µs an event"],
        [[stage, f"{us:.2f}"] for stage, us in report["stages_us"].items()],
    )
    output.print_table(
        "\nwhat a snapshot holds up the stream for",
        ["model, after 5,000 events", "stall ms", "= pickle", "+ encode", "written beside, ms"],
        [
            [
                row["model"],
                f"{row['stall_ms']:.1f}",
                f"{row['pickle_ms']:.1f}",
                f"{row['encode_ms']:.1f}",
                f"{row['beside_ms']:.1f}",
            ]
            for row in report["snapshots"]
        ],
    )
