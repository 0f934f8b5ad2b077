"""`driftline bench`: how fast this machine is, as ratios to other loops in the same run."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from stream.bench import benchmark
from stream.bench_memory import memory_benchmark
from stream.bench_rollback import rollback_benchmark
from stream.cli import options, output
from stream.errors import ConfigurationError

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
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            metavar="kafka://HOST:PORT",
            help="Instead: the service on these brokers, beside Quix Streams if that is installed.",
        ),
    ] = None,
    seconds: Annotated[
        int,
        typer.Option("--seconds", metavar="N", min=1, help="With --log: of the latency measure."),
    ] = 10,
    as_json: options.JsonOption = False,
) -> None:
    """Measure the pipeline on this machine beside a bare River loop, or the service on Kafka.

    Example: driftline bench --runs 5
    """
    if log is not None:
        _kafka(log, events, runs, seconds, as_json)
        return
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


def _kafka(url: str, events: int, runs: int, seconds: int, as_json: bool) -> None:
    scheme, _, bootstrap = url.partition("://")
    if scheme != "kafka" or not bootstrap:
        raise ConfigurationError(
            f"--log is for brokers, kafka://HOST:PORT, not {url!r}",
            "leave it out: the other logs are measured anyway",
        )
    # Imported here alone: the Kafka client takes 0.2 s.
    from stream.bench_kafka import kafka_benchmark

    with output.progress("bench", total=None) as bar:
        report = kafka_benchmark(
            bootstrap,
            events,
            runs,
            seconds,
            lambda name: bar.update(bar.task_ids[0], description=f"bench: {name}"),
        )
    if as_json:
        output.print_json(report)
    else:
        _print_kafka(report)


def _print_kafka(report: dict[str, Any]) -> None:
    number = output.number
    names = {
        "driftline": "driftline, 1 partition",
        "quix": "Quix Streams and River, 1 partition",
        "one_worker": "driftline, 2 partitions, 1 worker",
        "two_workers": "driftline, 2 partitions, 2 workers",
    }
    output.print_table(
        f"{number(report['events'])} events, {report['features']} features, scaler | logistic "
        f"regression, exactly once; median of {report['runs']} alternating runs, "
        f"{report['cores']} cores",
        ["", "events/s", "CPU µs an event"],
        [
            [
                title,
                number(report[name]["events_per_second"]),
                f"{report[name]['cpu_us_per_event']:.2f}",
            ]
            for name, title in names.items()
            if report[name] is not None
        ],
    )
    say = partial(output.stdout.print, highlight=False, soft_wrap=True)
    if report["quix"] is None:
        say("\nQuix Streams is not installed: pip install 'driftline\\[bench-quix]' to compare")
    else:
        say(f"\ndriftline to Quix Streams: {report['ratio_to_quix']:.2f}")
    say(f"two workers to one: {report['two_to_one']:.2f}")
    latency = report["latency"]
    say(
        f"from an event to its committed prediction at {number(latency['events_per_second'])} "
        f"events/s: p50 {latency['p50_ms']:.0f} ms, p90 {latency['p90_ms']:.0f} ms, "
        f"p99 {latency['p99_ms']:.0f} ms, most {latency['max_ms']:.0f} ms"
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
