"""`driftline backtest`: what the service would have done over a file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from stream.backtest import OnOutput, backtest
from stream.cli import options, output
from stream.configuration import load_file


def backtest_command(
    config: options.ConfigArgument = None,
    input_file: options.InputOption = ...,  # type: ignore[assignment]
    label: options.LabelOption = None,
    label_time: options.LabelTimeOption = None,
    label_delay: options.LabelDelayOption = None,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", metavar="FILE", help="Write a JSON line per event here."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Run the same pipeline over a file, in memory.

    Example: driftline backtest flights.yaml --input flights.csv --label late --label-time landed
    """
    configuration = load_file(config)
    labels = options.label_source(label, label_time, label_delay)
    with ExitStack() as stack:
        bar = stack.enter_context(output.progress("back-test"))
        on_output: OnOutput | None = None
        if predictions is not None:
            lines = stack.enter_context(predictions.open("wb"))

            def on_output(topic: str, body: bytes) -> None:
                if topic == "predictions":
                    lines.write(body + b"\n")

        result = backtest(
            configuration,
            input_file,
            labels,
            on_output=on_output,
            on_progress=lambda events: bar.update(bar.task_ids[0], completed=events),
        )
    report = result.report()
    if as_json:
        output.print_json(report)
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    number = output.number
    say = output.stdout.print
    say(
        f"{number(report['events'])} events, {number(report['labels'])} labels, "
        f"{number(report['pending'])} still without one, "
        f"{number(sum(report['dead_letters'].values()))} dead letters"
    )
    names = list(report["metrics"])
    rows = [["model", *[number(report["metrics"][name]) for name in names]]]
    for baseline, metrics in report["baselines"].items():
        rows.append([baseline, *[number(metrics.get(name)) for name in names]])
    output.print_table("", ["", *names], rows)
    if report["alerts"]:
        say(f"\n{len(report['alerts'])} alerts ({report['alerts_suppressed']} more in cooldown)")
        output.print_table(
            "",
            ["event", "time", "severity", "detector", "signal", "before", "after"],
            [
                [
                    number(alert["event_index"]),
                    alert["time"],
                    alert["severity"],
                    alert["detector"],
                    alert["signal"],
                    number(alert["evidence"]["mean_before"]),
                    number(alert["evidence"]["mean_after"]),
                ]
                for alert in report["alerts"]
            ],
        )
    say(f"\n{number(report['events_per_second'])} events/s; digest {report['digest'][:16]}")


def as_line(value: Any) -> bytes:
    """One JSON line."""
    return orjson.dumps(value) + b"\n"
