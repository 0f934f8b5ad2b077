"""`driftline models`: versions, aliases, and what was in production when."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any

import typer

from consumers.times import format_time
from stream.cli import options, output
from stream.cli.commanding import ReasonOption, common, write
from stream.cli.comparing import LABELS, comparison, told
from stream.commands import ALIAS_PATTERN, AliasCommand, VersionCommand
from stream.configuration import load_file
from stream.errors import CommandError
from stream.history import History, VersionInfo
from stream.opening import history_of, open_service_log

models_app = typer.Typer(no_args_is_help=True, help="Versions, aliases and their history.")


@models_app.command("versions")
def versions_command(
    config: options.ConfigOption = None,
    every: Annotated[bool, typer.Option("--all", help="Those that were pruned too.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """List the versions, newest last.

    Example: driftline models versions -c flights.yaml
    """
    with open_service_log(load_file(config), create=False) as log:
        history = history_of(log)
    shown = [version for version in history.versions.values() if every or not version.pruned]
    if as_json:
        aliases = history.aliases_of()
        output.print_json({"versions": [describe(history, one, aliases) for one in shown]})
    elif shown:
        columns = ["version", "kind", "origin", "state", "event_time", "by", "reason"]
        rows = [
            [
                str(one.number),
                one.kind,
                one.origin,
                _state(history, one),
                _event_time(one) or "",
                one.by,
                one.reason,
            ]
            for one in shown
        ]
        output.print_table("", columns, rows)
    else:
        output.stdout.print("no versions yet; `driftline models cut` makes one")


@models_app.command("cut")
def cut_command(
    config: options.ConfigOption = None,
    reason: ReasonOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Cut a version of the models as they are now.

    Example: driftline models cut -c flights.yaml --reason "before the new feed"
    """
    with open_service_log(load_file(config), create=False) as log:
        write(log, VersionCommand(**common(log, reason)), as_json=as_json)


@models_app.command("alias")
def alias_command(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Such as champion or last-good.")],
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1)],
    config: options.ConfigOption = None,
    reason: ReasonOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Put an alias on a version.

    Example: driftline models alias last-good 3 -c flights.yaml
    """
    if re.fullmatch(ALIAS_PATTERN, alias) is None:
        raise CommandError(
            f"an alias is a small letter, then small letters, digits, `.`, `_` and `-`, at most 64 "
            f"in all, not {alias!r}",
            "such as champion or last-good",
        )
    with open_service_log(load_file(config), create=False) as log:
        history = history_of(log)
        check_there(find(history, version))
        command = AliasCommand(**common(log, reason, history), alias=alias, version=version)
        write(log, command, as_json=as_json)


@models_app.command("compare")
def compare_command(
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1)],
    config: options.ConfigOption = None,
    labels: Annotated[
        int, typer.Option("--labels", metavar="N", min=1, help="The last N mature labels.")
    ] = LABELS,
    as_json: options.JsonOption = False,
) -> None:
    """Compare a version with what was served since, on the last mature labels.

    Example: driftline models compare 3 -c flights.yaml
    """
    configuration = load_file(config)
    with open_service_log(configuration, create=False) as log:
        history = history_of(log)
        info = find(history, version)
        check_ready(history, info)
        found = comparison(configuration, log, history, info, labels)
    if as_json:
        output.print_json(asdict(found))
        return
    columns = ["metric", "as served", f"version {version}"]
    rows = [
        [name, output.number(value), output.number(found.version[name])]
        for name, value in found.served.items()
    ]
    if rows:
        output.print_table("", columns, rows)
    for line in told(found, configuration.task.name, f"version {version}"):
        output.stdout.print(line, highlight=False, soft_wrap=True)


@models_app.command("history")
def history_command(
    config: options.ConfigOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="What was in production then, and why."),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """List every command, who gave it, why, and its outcome on each shard; with --at, what was in
    production at a time of the stream.

    Example: driftline models history -c flights.yaml --at 2013-07-01T12:00:00Z
    """
    time_ms = None if at is None else options.time_ms("--at", at)
    with open_service_log(load_file(config), create=False) as log:
        history = history_of(log)
    if time_ms is not None:
        _print_at(history, time_ms, as_json=as_json)
        return
    rows: list[dict[str, Any]] = []
    for given in history.commands:
        command = given.command
        rows.append(
            {
                "id": command.id,
                "command": command.command,
                "time": format_time(command.at_ms),
                "by": command.by,
                "reason": command.reason,
                "outcomes": given.outcomes,
                "waiting": [s for s in range(history.shards) if s not in given.outcomes],
            }
        )
    if as_json:
        output.print_json({"commands": rows})
        return
    columns = ["time", "command", "by", "outcome", "reason"]
    lines = [[row["time"], row["command"], row["by"], _outcome(row), row["reason"]] for row in rows]
    output.print_table("", columns, lines)


def _print_at(history: History, time_ms: int, *, as_json: bool) -> None:
    version = history.served_at(time_ms)
    aliases = {
        name: {
            "version": given.outcomes[0]["version"],
            "given": format_time(given.command.at_ms),
            "by": given.command.by,
            "reason": given.command.reason,
        }
        for name, given in history.aliases_at(time_ms).items()
    }
    served = None if version is None else describe(history, version, history.aliases_of())
    if as_json:
        output.print_json({"time": format_time(time_ms), "served": served, "aliases": aliases})
        return
    lines = [f"at {format_time(time_ms)} no version was cut yet"]
    if served is not None:
        kind = served["kind"]
        if served["target"] is not None:
            kind += f" to version {served['target']}"
        lines = [
            f"at {format_time(time_ms)} version {served['version']} served: {kind} "
            f"at {served['event_time']}, given by {served['by']} {served['given']}"
            + (f": {served['reason']}" if served["reason"] else "")
        ]
    for name, row in aliases.items():
        why = f": {row['reason']}" if row["reason"] else ""
        lines.append(f"{name} stood on {row['version']}, put by {row['by']} {row['given']}{why}")
    for line in lines:
        output.stdout.print(line, highlight=False, markup=False, soft_wrap=True)


def describe(
    history: History, version: VersionInfo, aliases: dict[int, list[str]]
) -> dict[str, Any]:
    """One version as the commands show it; `aliases` are the history's `aliases_of`."""
    return {
        "version": version.number,
        "kind": version.kind,
        "origin": version.origin,
        "target": version.target,
        "state": _state(history, version),
        "aliases": aliases.get(version.number, []),
        "event_time": _event_time(version),
        "given": format_time(version.at_ms),
        "by": version.by,
        "reason": version.reason,
        "snapshots": {shard: cut.key for shard, cut in version.cuts.items()},
    }


def _state(history: History, version: VersionInfo) -> str:
    if version.pruned:
        return "pruned"
    if version.number in history.tainted:
        return "saw skipped records"
    return "ready" if history.is_complete(version) else "incomplete"


def _event_time(version: VersionInfo) -> str | None:
    """The stream's time when it was cut; None where a shard had none yet."""
    clocks = [cut.clock_ms for cut in version.cuts.values()]
    return format_time(max(clocks)) if clocks and min(clocks) >= 0 else None


def find(history: History, number: int) -> VersionInfo:
    """The version of that number; CommandError if there is none."""
    version = history.versions.get(number)
    if version is None:
        newest = max(history.versions, default=0)
        known = f"they are numbered from 1 to {newest}" if newest else "none was cut yet"
        raise CommandError(f"there is no version {number}", known)
    return version


def check_there(version: VersionInfo) -> None:
    """Refuses a version that was pruned, by CommandError."""
    if version.pruned:
        raise CommandError(
            f"version {version.number} was pruned: its snapshots are gone",
            "driftline models versions shows which are there; an alias keeps a version",
        )


def check_ready(history: History, version: VersionInfo) -> None:
    """Refuses a version that cannot be rolled back to, by CommandError."""
    number = version.number
    check_there(version)
    if number in history.tainted:
        raise CommandError(
            f"version {number} saw records that were skipped since",
            "choose one that did not, or stay with the rollback that skipped them",
        )
    if not history.is_complete(version):
        missing = [s for s in range(history.shards) if s not in version.cuts]
        missing += [s for s, cut in version.cuts.items() if cut.key is None]
        raise CommandError(
            f"version {number} has no snapshot on the shards {sorted(missing)}",
            "it is not written yet, or retired; driftline models versions shows which are ready",
        )


def _outcome(row: dict[str, Any]) -> str:
    said = {
        f"{outcome['outcome']}: {outcome['detail']}" if "detail" in outcome else outcome["outcome"]
        for outcome in row["outcomes"].values()
    }
    waiting = f"waiting on shards {row['waiting']}" if row["waiting"] else ""
    return "; ".join([*sorted(said), *([waiting] if waiting else [])])
