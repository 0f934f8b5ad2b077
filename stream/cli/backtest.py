"""`driftline backtest`: what the service would have done over a file."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import orjson
import typer

from consumers.record import NewRecord
from stream.backtest import OnOutput, backtest
from stream.cli import options, output
from stream.configuration import load_file
from stream.errors import StreamError
from stream.file_stream import check_source, with_labels


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
        refused: dict[str, str] = {}
        on_output: OnOutput = partial(_note_refused, refused)
        if predictions is not None:
            # An input that is refused must not cost what is in this file.
            effective, source = with_labels(configuration, labels)
            check_source(effective, input_file, source)
            file = stack.enter_context(_open(predictions, input_file))
            on_output = partial(_note_and_write, refused, file)
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
        _print(report, refused)


def _print(report: dict[str, Any], refused: dict[str, str]) -> None:
    number = output.number
    say = output.stdout.print
    say(
        f"{number(report['events'])} events, {number(report['labels'])} labels, "
        f"{number(report['pending'])} still without one, "
        f"{number(report['dead_letters'])} dead letters"
    )
    for reason, count in report["dead_letter_reasons"].items():
        say(f"  {number(count)} {reason}, such as: {refused[reason]}", markup=False, soft_wrap=True)
    # A metric a line: their names side by side would not fit on a terminal.
    baselines = report["baselines"]
    rows = [
        [name, number(value), *[number(metrics.get(name)) for metrics in baselines.values()]]
        for name, value in report["metrics"].items()
    ]
    output.print_table("", ["", "model", *baselines], rows)
    if report["alerts"]:
        say(f"\n{len(report['alerts'])} alerts ({report['alerts_suppressed']} more in cooldown)")
        output.print_table(
            "",
            ["event", "time", "severity", "detector", "signal", "before", "after"],
            [
                [
                    number(alert["event_index"]),
                    f"{alert['time'][:19]}Z",
                    alert["severity"],
                    alert["detector"],
                    alert["signal"],
                    number(alert["evidence"].get("mean_before")),
                    number(alert["evidence"].get("mean_after")),
                ]
                for alert in report["alerts"]
            ],
        )
    if not report["labels"] and not report["dead_letters"]:
        output.stderr.print(
            "hint: no event got a label; name its column with --label, or set `events.label`"
        )
    say(f"\n{number(report['events_per_second'])} events/s; digest {report['digest'][:16]}")


def _open(path: Path, input_file: Path) -> BinaryIO:
    try:
        if path.exists() and path.samefile(input_file):
            raise StreamError(
                f"the predictions would overwrite the input, {path}", "name another file"
            )
        return path.open("wb")
    except OSError as error:
        raise StreamError(
            f"the predictions cannot be written to {path}: {error.strerror or error}",
            "name a file in a folder that exists and may be written to",
        ) from error


def _note_refused(refused: dict[str, str], topic: str, record: NewRecord) -> None:
    """Keeps the first detail of each reason for dead letters."""
    if topic == "dead-letters":
        headers = dict(record.headers)
        refused.setdefault(headers["reason"].decode(), headers["detail"].decode())


def _note_and_write(refused: dict[str, str], file: BinaryIO, topic: str, record: NewRecord) -> None:
    _note_refused(refused, topic, record)
    _write_row(file, topic, record)


def _write_row(file: BinaryIO, topic: str, record: NewRecord) -> None:
    """A line for each event: its prediction, or why it has none."""
    if topic == "predictions":
        file.write((record.value or b"") + b"\n")
    elif topic == "dead-letters":
        headers = {name: value.decode() for name, value in record.headers}
        if headers["topic"] != "events":
            return
        row = {
            "format": int(headers["format"]),
            "id": None,
            "time": None,
            "prediction": None,
            "reason": headers["reason"],
            "detail": headers["detail"],
            "source": {
                "topic": headers["topic"],
                "partition": int(headers["partition"]),
                "offset": int(headers["offset"]),
            },
        }
        file.write(orjson.dumps(row) + b"\n")
