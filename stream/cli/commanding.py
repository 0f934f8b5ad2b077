"""What commands that write to the commands topic have in common."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from consumers.transport import Log
from stream.cli import output
from stream.commands import (
    Command,
    ConfigCommand,
    RollbackCommand,
    give,
    last_id,
    new_id,
    who,
)
from stream.errors import CommandError
from stream.history import History

ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the command.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print what would happen, and write nothing.")
]


def common(log: Log, reason: str, seen: History | None = None) -> dict[str, Any]:
    """The fields that every command carries.

    One that was decided on from a history says so, and is refused if another came in between.
    CommandError for a reason that is not text.
    """
    if not reason.isprintable():
        raise CommandError(
            "a reason must be one line of printable text", "leave out line ends and other controls"
        )
    return {
        "id": new_id(),
        "by": who(),
        "at_ms": time.time_ns() // 1_000_000,
        "after": last_id(log) if seen is None else seen.last_id(),
        "reason": reason,
    }


def confirm(question: str, *, yes: bool) -> bool:
    """Whether to go on: asks on a terminal, and elsewhere takes only --yes."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise CommandError(
            "this changes the service, and there is no terminal to ask on", "give --yes"
        )
    return typer.confirm(question)


def check_quiet(history: History) -> None:
    """Refuses while a command that changes the state as a whole has not been applied by every
    shard."""
    for given in history.pending():
        command = given.command
        if isinstance(command, RollbackCommand | ConfigCommand):
            what = "rollback" if isinstance(command, RollbackCommand) else "config apply"
            raise CommandError(
                f"the {what} {command.id} is not applied by every shard yet",
                "wait for it, or run the service so that it is applied",
            )


def write(log: Log, command: Command, *, as_json: bool, **more: Any) -> None:
    """Gives a command to every shard, and says so."""
    give(log, command)
    if as_json:
        output.print_json({"command": command.model_dump(mode="json"), **more})
        return
    output.stdout.print(
        f"given as command {command.id}; a running service applies it now, "
        "one that is stopped when it next runs",
        highlight=False,
        soft_wrap=True,
    )
