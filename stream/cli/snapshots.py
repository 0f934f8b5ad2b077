"""`driftline snapshots`: list, show and verify what the store holds, and let versions go."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from consumers.times import format_time
from learners.errors import SnapshotError, StoreError
from learners.snapshots.container import Snapshot
from learners.snapshots.reference import SnapshotRef, parse_key
from stream.cli import options, output
from stream.cli.commanding import (
    DryRunOption,
    ReasonOption,
    YesOption,
    common,
    confirm,
    write,
)
from stream.commands import PruneCommand
from stream.configuration import load_file
from stream.errors import CommandError
from stream.opening import history_of, open_service_log, open_snapshots
from stream.shard.checkpoint import Snapshots

snapshots_app = typer.Typer(no_args_is_help=True, help="The snapshots in the store.")

WhichArgument = Annotated[
    str, typer.Argument(metavar="ID", help="As `snapshots list` shows it; a beginning will do.")
]


@snapshots_app.command("list")
def list_command(config: options.ConfigOption = None, as_json: options.JsonOption = False) -> None:
    """List the snapshots, newest last.

    Example: driftline snapshots list -c flights.yaml
    """
    with open_snapshots(load_file(config)) as snapshots:
        found = [
            {
                "id": ref.id,
                "journal": ref.journal_id,
                "shard": ref.shard,
                "sequence": ref.sequence,
                "size_bytes": stored.size_bytes,
                "written": format_time(stored.modified_ms),
            }
            for stored in snapshots.archive.store.list()
            if (ref := parse_key(stored.key)) is not None
        ]
    if as_json:
        output.print_json({"snapshots": found})
    elif found:
        columns = ["id", "shard", "sequence", "size_bytes", "written"]
        rows = [[output.number(row[column]) for column in columns] for row in found]
        output.print_table("", ["id", "shard", "journal entry", "bytes", "written"], rows)
    else:
        output.stdout.print("no snapshots yet")


@snapshots_app.command("prune")
def prune_command(
    config: options.ConfigOption = None,
    reason: ReasonOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Let go of the versions that `snapshots.versions.keep` no longer keeps.

    Example: driftline snapshots prune -c flights.yaml --dry-run
    """
    configuration = load_file(config)
    keep = configuration.snapshots.versions.keep
    if keep is None:
        raise CommandError(
            "`snapshots.versions.keep` is null, so every version is kept",
            "say there how many are to be kept",
        )
    with open_service_log(configuration, create=False) as log:
        history = history_of(log)
        gone = history.surplus(keep)
        there = sum(not version.pruned for version in history.versions.values())
        rules = (
            f"the newest {keep.last}, the newest of each of the last {keep.hourly} hours and "
            f"{keep.daily} days that have one, and those that an alias stands on"
        )
        plan = [
            f"kept are {rules}",
            f"{len(gone)} of {there} versions go" + (f": {_spans(gone)}" if gone else ""),
        ]
        if not as_json:
            for line in plan:
                output.stderr.print(line, highlight=False, soft_wrap=True)
        if dry_run or not gone:
            if as_json:
                output.print_json({"command": None, "plan": plan, "versions": gone})
            return
        if not confirm("Delete their snapshots?", yes=yes):
            raise typer.Exit(output.WRONG_INPUT)
        command = PruneCommand(**common(log, reason, history), versions=tuple(gone))
        write(log, command, as_json=as_json, plan=plan, versions=gone)


@snapshots_app.command("show")
def show_command(
    which: WhichArgument,
    config: options.ConfigOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show what a snapshot says about itself, after its signature and hashes held.

    Example: driftline snapshots show 41 -c flights.yaml
    """
    with open_snapshots(load_file(config)) as snapshots:
        header = _read(snapshots, _find(snapshots, which)).header
    body = header.model_dump(mode="json")
    if as_json:
        output.print_json(body)
        return
    for name in ("service", "shard", "sequence", "reason", "clock_ms", "digest", "key_id"):
        output.stdout.print(f"{name:12} {body[name]}", highlight=False)
    for name, value in body["versions"].items():
        output.stdout.print(f"{name:12} {value}", highlight=False)
    rows = [[name, output.number(value)] for name, value in body["metrics"].items()]
    output.print_table("", ["metric", "value"], rows)
    rows = [
        [part["name"], output.number(part["size_bytes"]), output.number(part["stored_bytes"])]
        for part in body["sections"]
    ]
    output.print_table("", ["section", "bytes", "compressed"], rows)


@snapshots_app.command("verify")
def verify_command(
    which: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One snapshot; all of them without.")
    ] = None,
    config: options.ConfigOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Check signature and hashes of one snapshot, or of all; exit code 2 if one does not hold.

    Example: driftline snapshots verify -c flights.yaml
    """
    with open_snapshots(load_file(config)) as snapshots:
        refs = _all(snapshots) if which is None else [_find(snapshots, which)]
        results: list[dict[str, Any]] = []
        for ref in refs:
            try:
                _read(snapshots, ref)
                results.append({"id": ref.id, "valid": True, "problem": None})
            except SnapshotError as error:
                results.append({"id": ref.id, "valid": False, "problem": str(error)})
    if as_json:
        output.print_json({"snapshots": results})
    else:
        for result in results:
            output.stdout.print(f"{result['id']}  {result['problem'] or 'valid'}", highlight=False)
        if not results:
            output.stdout.print("no snapshots yet")
    if not all(result["valid"] for result in results):
        raise typer.Exit(output.WRONG_INPUT)


def _spans(numbers: list[int]) -> str:
    """Ascending numbers as people write them: 1–28, 30."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in spans)


def _all(snapshots: Snapshots) -> list[SnapshotRef]:
    keys = [parse_key(stored.key) for stored in snapshots.archive.store.list()]
    return [ref for ref in keys if ref is not None]


def _find(snapshots: Snapshots, which: str) -> SnapshotRef:
    """The one snapshot whose id, or sequence, begins with `which`."""
    refs = _all(snapshots)
    exact = [ref for ref in refs if which in (ref.id, str(ref.sequence))]
    found = exact or [ref for ref in refs if ref.id.startswith(which)]
    if len(found) == 1:
        return found[0]
    what = "no snapshot has" if not found else f"{len(found)} snapshots have"
    raise StoreError(
        f"{what} an id that begins with {which!r}",
        hint="driftline snapshots list shows the ids",
    )


def _read(snapshots: Snapshots, ref: SnapshotRef) -> Snapshot:
    snapshot = snapshots.archive.read(ref)
    if snapshot is None:
        raise StoreError(f"snapshot {ref.id} is gone", hint="it was retired meanwhile; list again")
    return snapshot
