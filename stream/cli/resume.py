"""`driftline resume`: goes on where a shard has halted, and learns again where a learner is
suspended."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli import options, output
from stream.cli.commanding import DryRunOption, ReasonOption, YesOption, common, confirm, write
from stream.commands import ResumeCommand
from stream.configuration import load_file
from stream.errors import CommandError
from stream.history import History
from stream.opening import history_of, open_service_log
from stream.shard.halting import Halted
from stream.shard.parts import Standing


def resume_command(
    config: options.ConfigOption = None,
    shard: Annotated[
        int | None, typer.Option("--shard", metavar="P", min=0, help="Only this one.")
    ] = None,
    reason: ReasonOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Go on where a shard has halted, and learn again where a learner is suspended.

    Mend the cause first: what comes next is read from the record after the one it halted at.

    Example: driftline resume -c flights.yaml --reason "the feed has its old names again"
    """
    with open_service_log(load_file(config), create=False) as log:
        history = history_of(log)
        plan = _plan(history, shard)
        if not as_json:
            for line in plan:
                output.stderr.print(line, highlight=False, markup=False, soft_wrap=True)
        if dry_run:
            if as_json:
                output.print_json({"plan": plan})
            return
        if not confirm("Resume?", yes=yes):
            raise typer.Exit(output.WRONG_INPUT)
        command = ResumeCommand(**common(log, reason, history), shard=shard)
        write(log, command, as_json=as_json, plan=plan)


def _plan(history: History, shard: int | None) -> list[str]:
    """What will go on, a line each; CommandError if nothing has stopped."""
    if shard is not None and shard >= history.shards:
        raise CommandError(
            f"there is no shard {shard}", f"the shards are 0 to {history.shards - 1}"
        )
    lines = [
        line
        for number, standing in sorted(history.standing.items())
        if shard in (None, number)
        for line in stopped(number, standing)
    ]
    if not lines:
        where = "no shard has" if shard is None else f"shard {shard} has not"
        raise CommandError(
            f"{where} halted, and {'no' if shard is None else 'its'} learner is "
            f"{'' if shard is None else 'not '}suspended",
            "driftline status shows how the shards stand",
        )
    return lines


def stopped(shard: int, standing: Standing) -> list[str]:
    """What of a shard does not go on, and why."""
    lines = []
    if halted := standing["halted"]:
        lines.append(f"shard {shard} has halted: {Halted(**halted)}")
    if standing["suspended"] is not None:
        lines.append(
            f"shard {shard}: the champion predicts and learns no more, too many updates failed: "
            f"{standing['suspended']}"
        )
    return lines
