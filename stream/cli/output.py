"""What the commands print: data on stdout, everything else on stderr; errors as one line and a
hint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from consumers.errors import ConsumersError, WorkerRunningError
from detectors.errors import DetectorsError
from learners.errors import LearnersError
from stream.errors import (
    DivergedError,
    HaltedError,
    ShardPausedError,
    StreamError,
    WorkersFailedError,
)

OK = 0
WRONG_INPUT = 2
STOPPED = 3
REPLACED = 4

STOPPING = (ShardPausedError, HaltedError, DivergedError)
"""What protects the state by stopping."""

EXPECTED = (ConsumersError, DetectorsError, LearnersError, StreamError)

stdout = Console()
stderr = Console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON object on stdout, with a line end."""
    sys.stdout.buffer.write(
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    )
    sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on stdout, as wide as it is: a line that wraps is better than a figure that is
    cut."""
    cells = [columns, *([one if one.isprintable() else _line(one) for one in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(_padded, row, widths)) for row in cells]
    if title:
        stdout.print(title, highlight=False, soft_wrap=True)
    stdout.print(Text(lines[0].rstrip(), style="bold"), soft_wrap=True)
    # Rich would take a second for some thousand of them.
    stdout.file.write("".join(f"{line.rstrip()}\n" for line in lines[1:]))
    stdout.file.flush()


def _line(cell: str) -> str:
    return " ".join(cell.split())


def _width(cell: str) -> int:
    return len(cell) if cell.isascii() else cell_len(cell)


def _padded(cell: str, width: int) -> str:
    return cell.ljust(width) if cell.isascii() else set_cell_size(cell, width)


def report(error: Exception) -> int:
    """Says on stderr what is wrong and what to do, and gives the exit code."""
    message = " ".join(str(error).split())
    sys.stderr.write(f"error: {message}\n")
    for line in getattr(error, "difference", []):
        sys.stderr.write(f"  {line}\n")
    hint = getattr(error, "hint", None) or "`driftline COMMAND --help` and the README say more"
    sys.stderr.write(f"hint: {' '.join(str(hint).split())}\n")
    if isinstance(error, WorkersFailedError):
        return error.exit_code
    if isinstance(error, WorkerRunningError):
        return REPLACED
    return STOPPED if isinstance(error, STOPPING) else WRONG_INPUT


def report_system(error: OSError) -> int:
    """Says what the operating system refused, and where it says so."""
    place = "" if error.filename is None else f"{error.filename}: "
    sys.stderr.write(f"error: a file cannot be read or written: {place}{error.strerror or error}\n")
    sys.stderr.write("hint: is there space on the disk, and where the output goes?\n")
    return WRONG_INPUT


def report_usage(error: Any) -> int:
    """Says what is wrong with how a command was called; a command without arguments shows help."""
    context = error.ctx
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return WRONG_INPUT
    sys.stderr.write(f"error: {' '.join(error.format_message().split())}\n")
    path = "driftline" if context is None else context.command_path
    sys.stderr.write(f"hint: {path} --help\n")
    return WRONG_INPUT


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Progress]:
    """A progress bar on stderr; nothing where that is no terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )
    with bar:
        bar.add_task(description, total=total)
        yield bar


def number(value: Any) -> str:
    """A figure for people: four significant digits for fractions, separators for counts."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
