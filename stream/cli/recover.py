"""`driftline recover`: whether the log gives the states that it says, and what to do where not."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import typer

from consumers.transport import Log
from stream.cli import options, output
from stream.cli.commanding import YesOption, confirm
from stream.configuration import Configuration, load_file
from stream.errors import CommandError
from stream.opening import (
    join,
    log_opener,
    open_service_log,
    open_snapshots,
    open_worker_transport,
)
from stream.rejoining import Rejoining
from stream.shard import journal
from stream.shard.checkpoint import Snapshots
from stream.shard.restore import restore
from stream.worker import Worker


def recover_command(
    config: options.ConfigOption = None,
    accept_divergence: Annotated[
        bool,
        typer.Option(
            "--accept-divergence",
            help="Go on from what the replay gives, where the journal says otherwise.",
        ),
    ] = False,
    yes: YesOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Replay every shard from its newest snapshot and compare it with the journal, step by step;
    exit code 3 where one differs.

    Example: driftline recover -c flights.yaml
    """
    configuration = load_file(config)
    with (
        open_service_log(configuration, create=False) as log,
        open_snapshots(configuration) as snapshots,
    ):
        found = [
            _replayed(configuration, log, shard, snapshots) for shard in range(log.partitions())
        ]
    differing = [row for row in found if row["divergence"] is not None]
    accepted = bool(differing) and accept_divergence
    if not as_json:
        for row in found:
            output.stderr.print(_line(row), highlight=False, markup=False, soft_wrap=True)
    if accepted:
        shards = ", ".join(str(row["shard"]) for row in differing)
        if not confirm(
            f"Go on from what the replay gives, on shards {shards}? What was predicted stays",
            yes=yes,
        ):
            raise typer.Exit(output.WRONG_INPUT)
        _accept(configuration)
    if as_json:
        output.print_json({"shards": found, "accepted": accepted})
    if differing and not accepted:
        raise typer.Exit(output.STOPPED)


def _replayed(
    configuration: Configuration, log: Log, shard: int, snapshots: Snapshots
) -> dict[str, Any]:
    begin, end = log.begin_offset(journal.TOPIC, shard), log.end_offset(journal.TOPIC, shard)
    if journal.last(log, shard, begin, end) is None:
        raise CommandError(f"shard {shard} has no journal yet", "`driftline run` makes it")
    with output.progress(f"shard {shard}") as bar:
        restored = restore(
            log,
            shard,
            configuration,
            snapshots,
            use_journal_configuration=True,
            accept_divergence=True,
            on_progress=lambda entry, last: bar.update(
                bar.task_ids[0], completed=entry, total=last
            ),
        )
    divergence = restored.divergence
    return {
        "shard": shard,
        "snapshot": restored.snapshot,
        "entry": restored.sequence,
        "entries": restored.entries,
        "records": restored.records,
        "seconds": round(restored.seconds, 3),
        "divergence": None if divergence is None else divergence.told(),
    }


def _line(row: dict[str, Any]) -> str:
    origin = "the beginning" if row["snapshot"] is None else f"the snapshot at {row['snapshot']}"
    told = f"shard {row['shard']}: {row['entries']} journal entries from {origin} on"
    found = row["divergence"]
    if found is None:
        return f"{told}, {row['records']} records in {row['seconds']} s: as the journal says"
    failed = len(found["left_out"])
    return (
        f"{told}: different from entry {found['entry']} on, where the journal has the digest "
        f"{found['journal'][:16]} and the replay {found['found'][:16]}"
        + (f"; {failed} updates failed that had not" if failed else "")
    )


def _accept(configuration: Configuration) -> None:
    with (
        open_worker_transport(configuration) as transport,
        open_snapshots(configuration) as snapshots,
    ):
        worker = Worker(
            configuration,
            transport,
            snapshots,
            open_log=log_opener(configuration),
            use_journal_configuration=True,
            accept_divergence=True,
        )
        if log_opener(configuration) is None:
            worker.recover()
            return
        with contextlib.closing(Rejoining(worker, lambda: join(configuration))) as rejoining:
            rejoining.run(worker.recover)
