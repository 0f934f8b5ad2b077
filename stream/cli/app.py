"""The commands of `driftline`."""

from __future__ import annotations

import sys
from typing import cast

import typer

from stream.cli import output
from stream.cli.alerts import alerts_app
from stream.cli.backtest import backtest_command
from stream.cli.bench import bench_command
from stream.cli.config import config_app
from stream.cli.dead_letters import dead_letters_app
from stream.cli.doctor import doctor_command
from stream.cli.export import export_command
from stream.cli.ingest import ingest_command
from stream.cli.inspecting import diff_command, list_command, show_command
from stream.cli.models import models_app
from stream.cli.recover import recover_command
from stream.cli.resume import resume_command
from stream.cli.rollback import rollback_command
from stream.cli.run import run_command
from stream.cli.snapshots import snapshots_app
from stream.cli.status import status_command
from stream.cli.topics import topics_app
from stream.shard.journal import VERSION

app = typer.Typer(
    name="driftline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Models that keep learning on live streams, and never lose an event or a version.",
)
app.command("backtest")(backtest_command)
app.command("run")(run_command)
app.command("ingest")(ingest_command)
app.command("export")(export_command)
app.command("bench")(bench_command)
app.command("rollback")(rollback_command)
app.command("resume")(resume_command)
app.command("recover")(recover_command)
app.command("status")(status_command)
app.command("doctor")(doctor_command)
models_app.command("list")(list_command)
models_app.command("show")(show_command)
models_app.command("diff")(diff_command)
snapshots_app.command("restore")(rollback_command)
app.add_typer(alerts_app, name="alerts")
app.add_typer(config_app, name="config")
app.add_typer(dead_letters_app, name="dead-letters")
app.add_typer(models_app, name="models")
app.add_typer(snapshots_app, name="snapshots")
app.add_typer(topics_app, name="topics")


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"driftline {VERSION}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Models that keep learning on live streams, and never lose an event or a version."""


# Typer's public errors derive from it; by its own name it moves between Typer's versions.
_UsageError = cast(type[Exception], typer.BadParameter.__bases__[0])


def run() -> int:
    """Runs one command; docs/commands.md lists its exit codes."""
    try:
        code = app(standalone_mode=False)
    except _UsageError as error:
        return output.report_usage(error)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else output.OK
    except output.EXPECTED as error:
        return output.report(error)
    except typer.Abort:
        sys.stderr.write("error: interrupted\nhint: what was written before stays; run it again\n")
        return output.WRONG_INPUT
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody left to tell.
        sys.stdout = None
        return output.OK
    except OSError as error:
        # Such as a full disk behind stdout; what is still buffered must not fail again at the end.
        sys.stdout = None
        return output.report_system(error)
    return code if isinstance(code, int) else output.OK
