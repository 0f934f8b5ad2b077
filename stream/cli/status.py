"""`driftline status`: how far a service is, and what it has not done yet."""

from __future__ import annotations

import time
from typing import Any

from consumers.times import format_time
from learners.snapshots import open_store
from stream.cli import options, output
from stream.cli.resume import stopped
from stream.configuration import Configuration, load_file
from stream.opening import history_of, open_service_log
from stream.shard.effects import RESUME_HINT
from stream.shard.parts import Standing
from stream.status import ServiceStatus, ShardStatus, read_status


def status_command(
    config: options.ConfigOption = None, as_json: options.JsonOption = False
) -> None:
    """Show how far the service is, what waits, and its newest snapshot.

    It is read from the log and the store, so it works whether a worker runs or not.

    Example: driftline status -c flights.yaml
    """
    configuration = load_file(config)
    with open_service_log(configuration, create=False) as log:
        status = read_status(log, open_store(configuration.snapshots), history_of(log))
    body = _body(configuration, status)
    if as_json:
        output.print_json(body)
    else:
        _print(body)


def _body(configuration: Configuration, status: ServiceStatus) -> dict[str, Any]:
    return {
        "service": configuration.name,
        "log": configuration.log,
        "version": status.version,
        "aliases": status.aliases,
        "waiting": [
            {
                "id": given.command.id,
                "command": given.command.command,
                "time": format_time(given.command.at_ms),
                "by": given.command.by,
                "shards": [one.shard for one in status.shards if given.command.id in one.waiting],
            }
            for given in status.waiting
        ],
        "shards": [_shard(shard) for shard in status.shards],
    }


def _shard(shard: ShardStatus) -> dict[str, Any]:
    snapshot = shard.snapshot
    return {
        "shard": shard.shard,
        "entry": shard.entry,
        "committed": _time(shard.committed_ms),
        "clock": _time(shard.clock_ms),
        "version": shard.version,
        "inputs": {
            name: {"position": one.position, "end": one.end, "left": one.left}
            for name, one in shard.inputs.items()
        },
        "outputs": shard.outputs,
        "waiting": shard.waiting,
        **shard.standing,
        "snapshot": None
        if snapshot is None
        else {
            "id": snapshot.id,
            "entry": snapshot.entry,
            "written": _time(snapshot.written_ms),
            "size_bytes": snapshot.size_bytes,
        },
    }


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else format_time(time_ms)


def _print(body: dict[str, Any]) -> None:
    say, number = output.stdout.print, output.number
    aliases = "".join(f", {name} is {version}" for name, version in body["aliases"].items())
    version = f"version {body['version']}" if body["version"] else "no version yet"
    say(
        f"{body['service']} on {body['log']}: {version}{aliases}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    columns = ["shard", "entry", "committed", "clock", "version", "snapshot at"]
    columns += [f"{name} left" for name in ("events", "labels", "commands")]
    columns += ["alerts", "dead letters"]
    rows = [
        [
            number(shard["shard"]),
            number(shard["entry"]),
            _short(shard["committed"]),
            _short(shard["clock"]),
            number(shard["version"]),
            "–" if shard["snapshot"] is None else f"entry {number(shard['snapshot']['entry'])}",
            *[number(one["left"]) for one in shard["inputs"].values()],
            number(shard["outputs"]["alerts"]),
            number(shard["outputs"]["dead-letters"]),
        ]
        for shard in body["shards"]
    ]
    output.print_table("", columns, rows)
    for shard in body["shards"]:
        if shard["entry"] is None:
            say(f"shard {shard['shard']} has never run", highlight=False)
        standing: Standing = {"halted": shard["halted"], "suspended": shard["suspended"]}
        lines = stopped(shard["shard"], standing)
        for line in [*lines, *([f"hint: {RESUME_HINT}"] if lines else [])]:
            say(line, highlight=False, markup=False, soft_wrap=True)
    for given in body["waiting"]:
        say(
            f"{given['command']} {given['id']} of {given['time']} by {given['by']} is not applied "
            f"yet on shards {given['shards']}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    now = format_time(time.time_ns() // 1_000_000)
    say(
        f"as of {_short(now)}. Records left while `committed` stands still: no worker runs, or the "
        "shard is paused, and the worker's log says why",
        highlight=False,
        soft_wrap=True,
    )


def _short(time: str | None) -> str:
    return "–" if time is None else f"{time[:19]}Z"
