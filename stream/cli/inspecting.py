"""`driftline models list | show | diff`: what serves, one version, what has changed between two."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from consumers.times import format_time
from consumers.transport import Log
from learners.inspection import sizes_of, weights_of
from learners.snapshots import pickling
from learners.snapshots.container import Snapshot
from learners.snapshots.header import SnapshotHeader
from learners.snapshots.reference import parse_key
from learners.spec import parse_model
from stream.cli import options, output
from stream.cli.models import describe, find
from stream.configuration import differing, load_file
from stream.errors import CommandError
from stream.history import Cut, History, VersionInfo
from stream.opening import history_of, open_service_log, open_snapshots
from stream.shard import journal
from stream.shard.checkpoint import CHAMPION, LEARNER, Snapshots

MOST_WEIGHTS: Final = 20


def show_command(
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1)],
    config: options.ConfigOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show a version: who cut it and why, its metrics, engines, size and configuration.

    Example: driftline models show 3 -c flights.yaml
    """
    configuration = load_file(config)
    with open_service_log(configuration, create=False) as log:
        history = history_of(log)
    info = find(history, version)
    with open_snapshots(configuration) as snapshots:
        shards = [_shard(snapshots, number, cut) for number, cut in sorted(info.cuts.items())]
    body = {
        **describe(history, info, history.aliases_of()),
        "configuration": history.configuration_at(info),
        "shards": shards,
    }
    if as_json:
        output.print_json(body)
        return
    for name in (
        "version",
        "kind",
        "origin",
        "target",
        "state",
        "aliases",
        "event_time",
        "given",
        "by",
        "reason",
    ):
        value = ", ".join(body[name]) if name == "aliases" else body[name]
        if value not in (None, ""):
            output.stdout.print(f"{name:12} {value}", highlight=False, markup=False, soft_wrap=True)
    columns = ["shard", "journal entry", "event time", "bytes", "µs per record", "written by"]
    rows = [
        [
            output.number(shard["shard"]),
            output.number(shard["entry"]),
            shard["event_time"] or "–",
            output.number(shard["size_bytes"]),
            output.number(shard["us_per_record"]),
            "gone" if shard["engines"] is None else _engines(shard["engines"]),
        ]
        for shard in shards
    ]
    output.print_table("", columns, rows)
    names = list(dict.fromkeys(name for shard in shards for name in shard["metrics"] or {}))
    columns = ["metric, at that time", *(f"shard {shard['shard']}" for shard in shards)]
    rows = [
        [name, *(output.number((shard["metrics"] or {}).get(name)) for shard in shards)]
        for name in names
    ]
    if rows:
        shares = [output.number(shard["maturity"]) for shard in shards]
        rows.append(["share of events with a label", *shares])
        output.print_table("", columns, rows)


def list_command(config: options.ConfigOption = None, as_json: options.JsonOption = False) -> None:
    """List the models: what each is, the version that serves, since when, and what it costs.

    Example: driftline models list -c flights.yaml
    """
    configuration = load_file(config)
    with (
        open_service_log(configuration, create=False) as log,
        open_snapshots(configuration) as snapshots,
    ):
        history = history_of(log)
        newest = [_newest(log, snapshots, shard) for shard in range(history.shards)]
    in_force = history.configurations[-1][1] if history.configurations else configuration.semantic()
    info = history.versions.get(history.current())
    served = None if info is None else describe(history, info, history.aliases_of())
    speeds = [found.us_per_record for found in newest if found and found.us_per_record]
    row = {
        "role": CHAMPION,
        "model": str(parse_model(in_force["model"])),
        "version": history.current(),
        "since": None if served is None else served["event_time"],
        "by": None if served is None else served["by"],
        "reason": None if served is None else served["reason"],
        "aliases": [] if served is None else served["aliases"],
        "model_bytes": sum(_model_bytes(found) for found in newest) if all(newest) else None,
        "us_per_record": max(speeds, default=None),
    }
    if as_json:
        output.print_json({"models": [row]})
        return
    columns = ["role", "model", "version", "since", "aliases", "bytes", "µs per record"]
    cells = [
        CHAMPION,
        row["model"],
        output.number(row["version"]),
        row["since"] or "–",
        ", ".join(row["aliases"]),
        output.number(row["model_bytes"]),
        output.number(row["us_per_record"]),
    ]
    output.print_table("", columns, [cells])


def diff_command(
    before: Annotated[int, typer.Argument(metavar="A", min=1)],
    after: Annotated[int, typer.Argument(metavar="B", min=1)],
    config: options.ConfigOption = None,
    shard: Annotated[int, typer.Option("--shard", metavar="P", min=0, help="Of this one.")] = 0,
    as_json: options.JsonOption = False,
) -> None:
    """Show what has changed from one version to another: metrics, configuration, weights, sizes.

    Example: driftline models diff 3 5 -c flights.yaml
    """
    configuration = load_file(config)
    with open_service_log(configuration, create=False) as log:
        history = history_of(log)
    infos = [find(history, number) for number in (before, after)]
    with open_snapshots(configuration) as snapshots:
        pair = [_needed(snapshots, info, shard) for info in infos]
    body = _difference(history, infos, pair)
    if as_json:
        output.print_json(body)
        return
    columns = ["", f"version {before}", f"version {after}"]
    for title, rows in body.items():
        lines = [[row["name"], _text(row["before"]), _text(row["after"])] for row in rows]
        if lines:
            output.print_table(title, columns, lines)
    if not any(body.values()):
        output.stdout.print("the two say the same")


def _newest(log: Log, snapshots: Snapshots, shard: int) -> SnapshotHeader | None:
    """What the newest snapshot of a shard says about itself; None if there is none."""
    begin, end = log.begin_offset(journal.TOPIC, shard), log.end_offset(journal.TOPIC, shard)
    last = journal.last(log, shard, begin, end)
    stored = [] if last is None else snapshots.archive.stored(last.journal, shard)
    newest = max((held.ref for held in stored), key=lambda ref: ref.sequence, default=None)
    snapshot = None if newest is None else snapshots.archive.read(newest)
    return None if snapshot is None else snapshot.header


def _model_bytes(header: SnapshotHeader | None) -> int:
    """How large the pickled model of a shard is."""
    assert header is not None, "only of shards that have a snapshot"
    return sum(part.size_bytes for part in header.sections if part.name == LEARNER)


def _shard(snapshots: Snapshots, number: int, cut: Cut) -> dict[str, Any]:
    """A version on one shard; what its snapshot says is null where that is gone."""
    snapshot = _read(snapshots, cut)
    header = None if snapshot is None else snapshot.header
    return {
        "shard": number,
        "entry": cut.sequence,
        "event_time": format_time(cut.clock_ms) if cut.clock_ms >= 0 else None,
        "positions": cut.positions,
        "snapshot": cut.key,
        "size_bytes": None if cut.key is None else snapshots.archive.store.head(cut.key),
        "parent": None if header is None else header.parent,
        "engines": None if header is None else header.versions,
        "metrics": None if header is None else header.metrics,
        "maturity": None if header is None else header.maturity,
        "us_per_record": None if header is None else header.us_per_record,
    }


def _difference(
    history: History, infos: list[VersionInfo], pair: list[Snapshot]
) -> dict[str, list[dict[str, Any]]]:
    models = [pickling.loads(snapshot.sections[LEARNER]) for snapshot in pair]
    weights = [weights_of(model) for model in models]
    changed = _changed(weights[0], weights[1])
    changed.sort(key=lambda row: -abs((row["after"] or 0.0) - (row["before"] or 0.0)))
    then, now = (history.configuration_at(info) or {} for info in infos)
    return {
        "metrics": _changed(pair[0].header.metrics, pair[1].header.metrics),
        "configuration": [
            {"name": name, "before": old, "after": new} for name, old, new in differing(now, then)
        ],
        "engines": _changed(pair[0].header.versions, pair[1].header.versions),
        "sizes": _changed(sizes_of(models[0]), sizes_of(models[1])),
        "weights": changed[:MOST_WEIGHTS],
    }


def _changed(before: Any, after: Any) -> list[dict[str, Any]]:
    """The names whose values differ, null where there is none."""
    return [
        {"name": name, "before": before.get(name), "after": after.get(name)}
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _needed(snapshots: Snapshots, info: VersionInfo, shard: int) -> Snapshot:
    cut = info.cuts.get(shard)
    snapshot = None if cut is None else _read(snapshots, cut)
    if snapshot is None:
        raise CommandError(
            f"version {info.number} has no snapshot on shard {shard}",
            "it is not written yet, or gone; driftline models versions shows which are ready",
        )
    return snapshot


def _read(snapshots: Snapshots, cut: Cut) -> Snapshot | None:
    ref = None if cut.key is None else parse_key(cut.key)
    return None if ref is None else snapshots.archive.read(ref)


def _engines(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _text(value: Any) -> str:
    return output.number(value) if isinstance(value, int | float | None) else str(value)
