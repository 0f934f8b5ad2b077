"""`driftline topics`: the topics of a service on its log, and a service that begins where another
one stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from consumers.errors import TopicsMissingError
from consumers.transport import TOPICS
from stream.cli import options, output
from stream.cli.commanding import DryRunOption, ReasonOption, YesOption, confirm
from stream.commands import who
from stream.configuration import Configuration, load_file
from stream.errors import TransferError
from stream.opening import open_service_log, open_snapshots, open_worker_transport
from stream.shard.transfer import Giver
from stream.transfer import Source, check_transfer, sources_in_store, sources_on_log, transfer

topics_app = typer.Typer(no_args_is_help=True, help="The topics of a service.")

FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="OLD",
        help="Begin where this stopped service ended: its configuration.",
    ),
]


@topics_app.command("create")
def create_command(
    config: options.ConfigOption = None,
    origin: FromOption = None,
    log_lost: Annotated[
        bool,
        typer.Option("--log-lost", help="The old log is gone: go on from its newest snapshots."),
    ] = False,
    reason: ReasonOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Make the topics of a service, with the settings that it needs; what is there stays.

    With --from the new service begins with the models, the waiting labels and the metrics of
    another one that has stopped: on another log, or with a multiple of its partitions.

    Example: driftline topics create -c flights.yaml
    """
    configuration = load_file(config)
    if origin is None:
        if log_lost:
            raise TransferError("--log-lost says how to begin from another service", "give --from")
        _create(configuration, dry_run=dry_run, as_json=as_json)
        return
    old = load_file(origin)
    _check_other(configuration, old)
    with ExitStack() as stack:
        archive = stack.enter_context(open_snapshots(old)).archive
        if log_lost:
            sources = sources_in_store(old, archive)
        else:
            log = stack.enter_context(open_service_log(old, create=False))
            sources = sources_on_log(old, archive, log)
        partitions = _partitions(configuration) or configuration.log_partitions
        check_transfer(configuration, sources, partitions)
        plan = _plan(old, sources, partitions)
        if not as_json:
            for line in plan:
                output.stderr.print(line, highlight=False, markup=False, soft_wrap=True)
        if not dry_run:
            if not confirm("Begin?", yes=yes):
                raise typer.Exit(output.WRONG_INPUT)
            snapshots = stack.enter_context(open_snapshots(configuration))
            transport = stack.enter_context(open_worker_transport(configuration))
            giver = Giver(who(), time.time_ns() // 1_000_000, reason)
            transfer(configuration, transport, snapshots, sources, giver)
    if as_json:
        output.print_json(_body(configuration, partitions, made=not dry_run, plan=plan))
    elif not dry_run:
        output.stdout.print(f"{configuration.name} begins with version 1; run it", highlight=False)


def _create(configuration: Configuration, *, dry_run: bool, as_json: bool) -> None:
    there = _partitions(configuration)
    wanted = configuration.log_partitions
    if not dry_run:
        # Refuses topics that are there with another count.
        with open_service_log(configuration, create=True):
            pass
    if as_json:
        made = there is None and not dry_run
        output.print_json(_body(configuration, there or wanted, made=made, plan=[]))
        return
    what = "would be made" if dry_run else "were made"
    if there is not None:
        what = "were there"
    output.stdout.print(
        f"the {len(TOPICS)} topics of {configuration.name} on {configuration.log} {what}, "
        f"{there or wanted} partitions each",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _body(
    configuration: Configuration, partitions: int, *, made: bool, plan: list[str]
) -> dict[str, Any]:
    return {
        "service": configuration.name,
        "log": configuration.log,
        "topics": {
            role: configuration.topics.get(role, f"{configuration.name}.{role}") for role in TOPICS
        },
        "partitions": partitions,
        "made": made,
        "plan": plan,
    }


def _partitions(configuration: Configuration) -> int | None:
    """How many partitions the topics have; None where they are not made yet."""
    try:
        with open_service_log(configuration, create=False) as log:
            return log.partitions()
    except TopicsMissingError:
        return None


def _check_other(new: Configuration, old: Configuration) -> None:
    """Refuses a service that would begin from itself."""
    if (new.log, new.name, new.topics) == (old.log, old.name, old.topics):
        raise TransferError(
            f"{new.name} on {new.log} cannot begin from itself",
            "give the new service a `log` or a `name` of its own",
        )


def _plan(old: Configuration, sources: Sequence[Source], partitions: int) -> list[str]:
    """What will happen, a line each."""
    lines = []
    for shard in range(partitions):
        theirs = shard % len(sources)
        name = sources[theirs].ref.id
        lines.append(f"shard {shard}: from snapshot {name} of shard {theirs} of {old.name}")
    for shard, source in enumerate(sources):
        for topic, count in (source.left or {}).items():
            if count and topic != "commands":
                lines.append(
                    f"{count} {topic} on partition {shard} of {old.log} were never applied, and "
                    "are not copied"
                )
        if source.left is None:
            lines.append(f"what shard {shard} had done since its snapshot is lost")
    return lines
