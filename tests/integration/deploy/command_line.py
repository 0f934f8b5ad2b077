"""What driftline can be told, to look up commands that texts name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer.main

from stream.cli.app import app


def require_known(words: Sequence[str], said_by: str) -> None:
    """The command, and each option after it, exist; other words may be arguments or prose."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        assert rest and rest[0] in command.commands, f"{said_by}: {words}"
        command = command.commands[rest.pop(0)]
    known = {option for one in command.params for option in one.opts}
    given = {word for word in rest if word.startswith("-")}
    assert given <= known, f"{said_by}: {command.name} has no {given - known}"
