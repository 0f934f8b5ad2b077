"""`driftline rollback`: put the models back."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
import yaml

from consumers.times import format_time
from consumers.transport import Log
from learners.snapshots.opening import open_store
from learners.snapshots.store import SnapshotStore
from stream.cli import options, output
from stream.cli.commanding import (
    DryRunOption,
    ReasonOption,
    YesOption,
    check_quiet,
    common,
    confirm,
    write,
)
from stream.cli.comparing import LABELS, LabelsOption, body_of, comparison, told
from stream.cli.models import check_ready, find
from stream.commands import RollbackCommand, SkipRange
from stream.configuration import load_file
from stream.errors import CommandError
from stream.history import History, VersionInfo
from stream.opening import history_of, open_service_log

_RANGE = re.compile(r"(events|labels):(\d+):(\d+)(?:-(\d+))?")


def rollback_command(
    version: Annotated[
        int | None, typer.Argument(metavar="[VERSION]", min=1, show_default=False)
    ] = None,
    config: options.ConfigOption = None,
    alias: Annotated[
        str | None, typer.Option("--alias", metavar="ALIAS", help="The version it stands on.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="The newest version by event time."),
    ] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="A model that has learnt nothing.")
    ] = False,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            metavar="events:P:A-B",
            help="The run without these records (or labels:P:A-B); may be repeated.",
        ),
    ] = None,
    compare: LabelsOption = LABELS,
    reason: ReasonOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Put the models back to a version, or to the run that never saw some records.

    Example: driftline rollback --skip labels:0:1200-1950 -c flights.yaml --reason "flipped labels"
    """
    configuration = load_file(config)
    with open_service_log(configuration, create=False) as log:
        history = history_of(log)
        check_quiet(history)
        target = _target(history, version, alias, as_of, empty=empty, skip=skip or [])
        _check_stored(open_store(configuration.snapshots), target)
        plan = _plan(log, history, target)
        found = None
        if compare and "skip" not in target and history.configurations:
            info = history.versions.get(target.get("version", 0))
            found = comparison(configuration, log, history, info, compare)
            name = "nothing learnt" if info is None else f"version {info.number}"
            plan += told(found, configuration.task.name, name)
        if not as_json or dry_run:
            for line in plan:
                output.stderr.print(line, highlight=False, soft_wrap=True)
        if dry_run:
            if as_json:
                output.print_json({"plan": plan, "comparison": body_of(found)})
            return
        if not confirm("Roll back?", yes=yes):
            raise typer.Exit(output.WRONG_INPUT)
        write(
            log,
            RollbackCommand(**common(log, reason, history), **target),
            as_json=as_json,
            plan=plan,
            comparison=body_of(found),
        )


def _target(
    history: History,
    version: int | None,
    alias: str | None,
    as_of: str | None,
    *,
    empty: bool,
    skip: list[str],
) -> dict[str, Any]:
    """What the command names: exactly one of the ways to say it, resolved."""
    ways = [version is not None, alias is not None, as_of is not None, empty, bool(skip)]
    if sum(ways) != 1:
        raise CommandError(
            "a rollback goes to one of VERSION, --alias, --as-of, --empty and --skip, "
            f"and {sum(ways)} were given",
            "driftline models versions lists the versions",
        )
    if empty:
        return {"empty": True}
    if skip:
        ranges = tuple(_range(text) for text in skip)
        return {"skip": ranges, "tainted": tuple(history.saw(ranges))}
    if alias is not None:
        found = history.aliases().get(alias)
        if found is None:
            given = [one.command for one in history.pending() if one.command.command == "alias"]
            known = ", ".join(history.aliases()) or "none"
            hint = "it is given and not applied yet: run the service" if given else None
            raise CommandError(f"there is no alias {alias!r}", hint or f"aliases: {known}")
        version = found
    if as_of is not None:
        info = history.as_of(options.time_ms("--as-of", as_of))
        if info is None:
            raise CommandError(
                f"no complete version is as old as {as_of}",
                "driftline models versions shows their event times",
            )
        version = info.number
    assert version is not None, "one way was given"
    info = find(history, version)
    check_ready(history, info)
    keys = {shard: cut.key for shard, cut in info.cuts.items()}
    return {"version": version, "snapshots": keys}


def _check_stored(store: SnapshotStore, target: dict[str, Any]) -> None:
    """Refuses a version whose snapshots are gone: the command would pause the service."""
    for shard, key in target.get("snapshots", {}).items():
        if store.head(key) is None:
            raise CommandError(
                f"the snapshot of version {target['version']} for shard {shard} is not in "
                f"{store.name}",
                "put it back from a backup, or roll back to another version",
            )


def _range(text: str) -> SkipRange:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise CommandError(
            f"records to skip are written events:P:A-B or labels:P:A-B, not {text!r}",
            "P is the partition, A and B the first and last offset, both skipped",
        )
    topic, partition, first, last = found.groups()
    return SkipRange.model_validate(
        {"topic": topic, "partition": partition, "first": first, "last": last or first}
    )


def _plan(log: Log, history: History, target: dict[str, Any]) -> list[str]:
    """What will happen, a line each; refuses ranges that the log cannot have."""
    number = max(history.versions, default=0) + 1
    if target.get("empty"):
        return [f"version {number}: the models start from nothing learnt"]
    if "skip" in target:
        lines = []
        for skip in target["skip"]:
            _check_range(log, history, skip)
            count = skip.last - skip.first + 1
            lines.append(f"skip {count} {skip.topic} of partition {skip.partition}: {skip}")
        lines.append(
            f"version {number}: everything as if those records had never come; "
            "their predictions stay in the predictions topic"
        )
        if target["tainted"]:
            lines.append(f"versions that saw them are marked: {list(target['tainted'])}")
        return lines
    info = history.versions[target["version"]]
    lines = [f"version {number}: the models as of version {info.number}"]
    for shard, cut in sorted(info.cuts.items()):
        now = log.committed(shard)
        if now is not None:
            events = now.positions["events"] - cut.positions["events"]
            labels = now.positions["labels"] - cut.positions["labels"]
            when = format_time(cut.clock_ms) if cut.clock_ms >= 0 else "the beginning"
            lines.append(
                f"shard {shard}: back to {when}; what was learnt from {events} events and "
                f"{labels} labels since is gone"
            )
    lines.append("pending labels, ids seen and metrics stay; detectors of errors start afresh")
    return lines + _model_lines(history, info)


def _model_lines(history: History, version: VersionInfo) -> list[str]:
    """The lines of the file to change, where the version brings another model section back."""
    then, now = history.configuration_at(version), history.configurations[-1][1]
    if then is None or then["model"] == now["model"]:
        return []
    text = yaml.safe_dump({"model": then["model"]}, sort_keys=False, default_flow_style=None)
    return [
        "its `model` section comes back with it; the file has to say so, or `run` refuses it:",
        *(f"  {line}" for line in text.splitlines()),
    ]


def _check_range(log: Log, history: History, skip: SkipRange) -> None:
    if skip.partition >= history.shards:
        raise CommandError(
            f"there is no partition {skip.partition}", f"partitions are 0 to {history.shards - 1}"
        )
    if skip.last < skip.first:
        raise CommandError(f"the range {skip} ends before it begins", "write the lower one first")
    begin = log.begin_offset(skip.topic, skip.partition)
    end = log.end_offset(skip.topic, skip.partition)
    if begin == end:
        raise CommandError(
            f"{skip.topic} partition {skip.partition} holds no records", "there is nothing to skip"
        )
    if skip.first < begin or skip.last >= end:
        raise CommandError(
            f"{skip.topic} partition {skip.partition} holds offsets {begin} to {end - 1}, "
            f"not {skip.first} to {skip.last}",
            "an alert's `source` and a prediction's `source` say where a record is",
        )
    for other in history.skips:
        same = other.topic == skip.topic and other.partition == skip.partition
        if same and other.first <= skip.last and skip.first <= other.last:
            raise CommandError(f"the range {skip} is skipped already by {other}", "leave it out")
