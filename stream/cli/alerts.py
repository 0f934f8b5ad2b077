"""`driftline alerts`: what was found, what is being found, and a test of who is told."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import orjson
import typer

from consumers.times import format_time
from stream.alert_topic import (
    Alert,
    Wanted,
    ends,
    find_alert,
    follow,
    read_alerts,
    write_test_alert,
)
from stream.cli import options, output
from stream.cli.commanding import ReasonOption, common, write
from stream.commands import AckCommand, who
from stream.configuration import load_file
from stream.errors import AlertError
from stream.opening import history_of, open_service_log

LOOK_S = 0.5

alerts_app = typer.Typer(no_args_is_help=True, help="The alerts on the log.")

SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Of events from this time on."),
]
SeverityOption = Annotated[
    str,
    typer.Option("--severity", metavar="info|warning|critical", help="Of this severity or above."),
]


@alerts_app.command("list")
def list_command(
    config: options.ConfigOption = None,
    since: SinceOption = None,
    severity: SeverityOption = "info",
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those that nobody has acknowledged.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """List the alerts, newest last.

    Example: driftline alerts list -c flights.yaml --since 2013-07-01T00:00:00Z --severity warning
    """
    wanted = _wanted(since, severity)
    with open_service_log(load_file(config), create=False) as log:
        found = list(read_alerts(log, wanted))
        if only_open:
            taken = history_of(log).acknowledged()
            found = [alert for alert in found if alert["id"] not in taken]
    if as_json:
        output.print_json({"alerts": found})
    elif found:
        columns = ["id", "time", "severity", "kind", "detector", "signal", "version", "event"]
        output.print_table("", columns, [_row(alert) for alert in found])
    else:
        output.stdout.print("no such alerts")


@alerts_app.command("show")
def show_command(
    which: Annotated[
        str, typer.Argument(metavar="ID", help="As `alerts list` shows it; a beginning will do.")
    ],
    config: options.ConfigOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show one alert with its evidence.

    Example: driftline alerts show 0b7ed97f -c flights.yaml
    """
    with open_service_log(load_file(config), create=False) as log:
        alert = find_alert(log, which)
        taken = history_of(log).acknowledged().get(alert["id"])
    if as_json:
        output.print_json(alert)
        return
    plain = {name: value for name, value in alert.items() if not isinstance(value, dict)}
    if alert["source"] is not None:
        plain["source"] = "{topic} partition {partition} offset {offset}".format(**alert["source"])
    if taken is not None:
        why = f": {taken.reason}" if taken.reason else ""
        plain["acknowledged"] = f"by {taken.by} {format_time(taken.at_ms)}{why}"
    for name, value in [*plain.items(), *alert["evidence"].items()]:
        output.stdout.print(
            f"{name:26} {output.number(value)}", highlight=False, markup=False, soft_wrap=True
        )


@alerts_app.command("ack")
def ack_command(
    which: Annotated[
        str, typer.Argument(metavar="ID", help="As `alerts list` shows it; a beginning will do.")
    ],
    config: options.ConfigOption = None,
    reason: ReasonOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Acknowledge an alert, so that others know that you look after it.

    Example: driftline alerts ack 0b7ed97f -c flights.yaml --reason "the feed is being mended"
    """
    with open_service_log(load_file(config), create=False) as log:
        alert = find_alert(log, which)
        history = history_of(log)
        taken = history.acknowledged().get(alert["id"])
        if taken is not None:
            raise AlertError(
                f"alert {alert['id']} was acknowledged by {taken.by} {format_time(taken.at_ms)}",
                "driftline alerts list --open shows those that nobody has",
            )
        command = AckCommand(**common(log, reason, history), alert=alert["id"])
        write(log, command, as_json=as_json)


@alerts_app.command("tail")
def tail_command(
    config: options.ConfigOption = None,
    since: SinceOption = None,
    severity: SeverityOption = "info",
    as_json: options.JsonOption = False,
) -> None:
    """Print alerts as they come, a line each, until Ctrl-C; with --since those before too.

    Example: driftline alerts tail -c flights.yaml --severity warning
    """
    wanted = _wanted(since, severity)
    with open_service_log(load_file(config), create=False) as log:
        positions = ends(log)
        if since is not None:
            positions = {shard: log.begin_offset("alerts", shard) for shard in positions}
        try:
            for alert in follow(log, positions, wanted, _wait):
                _print_line(alert, as_json=as_json)
        except KeyboardInterrupt:
            return


@alerts_app.command("test")
def test_command(config: options.ConfigOption = None, as_json: options.JsonOption = False) -> None:
    """Put one alert on the topic that says it is a test, to see who hears of it.

    Example: driftline alerts test -c flights.yaml
    """
    with open_service_log(load_file(config), create=False) as log:
        alert = write_test_alert(log, who(), time.time_ns() // 1_000_000)
    if as_json:
        output.print_json(alert)
    else:
        output.stdout.print(f"wrote the test alert {alert['id']}", highlight=False)


def _wanted(since: str | None, severity: str) -> Wanted:
    return Wanted(None if since is None else options.time_ms("--since", since), severity)


def _wait() -> None:
    time.sleep(LOOK_S)


def _row(alert: Alert) -> list[str]:
    return [
        alert["id"],
        f"{alert['time'][:19]}Z",
        *[str(alert[name]) for name in ("severity", "kind", "detector", "signal", "version")],
        output.number(alert["event_index"]),
    ]


def _print_line(alert: Alert, *, as_json: bool) -> None:
    line = orjson.dumps(alert).decode() if as_json else "  ".join(_row(alert))
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
