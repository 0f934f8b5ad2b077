"""`driftline config`: whether a file can be used, how it differs from what is in force, and how it
comes into force."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from consumers.transports import open_log
from detectors.signals import follows_model
from learners.snapshots import open_keyring, open_store
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
from stream.commands import ConfigCommand
from stream.configuration import Configuration, differing, find_file, load_file
from stream.errors import CommandError, ConfigurationError
from stream.history import History
from stream.opening import history_of, open_service_log
from stream.shard.reconfigure import check_configuration

config_app = typer.Typer(no_args_is_help=True, help="The configuration: file and journal.")


@config_app.command("check")
def check_command(
    config: options.ConfigArgument = None, as_json: options.JsonOption = False
) -> None:
    """Check a configuration: its fields, the model, the detectors, log and store; exit code 2 if
    it cannot be used.

    Nothing is reached or made. Example: driftline config check flights.yaml
    """
    problem: Exception | None = None
    try:
        _check(load_file(config))
    except output.EXPECTED as error:
        if not as_json:
            raise
        problem = error
    path = find_file(config)
    if not as_json:
        output.stdout.print(f"{path} can be used", highlight=False, markup=False, soft_wrap=True)
        return
    output.print_json(
        {
            "configuration": str(path),
            "valid": problem is None,
            "problem": None if problem is None else str(problem),
            "hint": getattr(problem, "hint", None),
        }
    )
    if problem is not None:
        raise typer.Exit(output.WRONG_INPUT)


@config_app.command("diff")
def diff_command(config: options.ConfigOption = None, as_json: options.JsonOption = False) -> None:
    """Show where the file differs from what the service has in force; exit code 2 if it does.

    Only what decides the results is in force: addresses and secrets may change at any time.

    Example: driftline config diff -c flights.yaml
    """
    configuration = load_file(config)
    with open_service_log(configuration, create=False) as log:
        in_force = _in_force(configuration, history_of(log))
    fields = list(differing(configuration.semantic(), in_force))
    if as_json:
        rows = [{"field": name, "in_force": old, "file": new} for name, old, new in fields]
        output.print_json({"same": not rows, "fields": rows})
    elif fields:
        _print_fields(fields)
    else:
        output.stdout.print("the file says what is in force")
    if fields:
        raise typer.Exit(output.WRONG_INPUT)


@config_app.command("apply")
def apply_command(
    config: options.ConfigOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="The models go on with what they have learnt.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="New models that have learnt nothing.")
    ] = False,
    reason: ReasonOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Put the file's configuration in force, and make that a version.

    Everything else goes on: waiting labels, ids seen, metrics, and the detectors whose settings
    stay. The parameters of a model cannot be changed with --keep.

    Example: driftline config apply --keep -c flights.yaml --reason "another detector"
    """
    if keep == fresh:
        raise CommandError(
            "either --keep or --fresh must be given",
            "--keep: the models go on; --fresh: new ones that have learnt nothing",
        )
    configuration = load_file(config)
    with open_service_log(configuration, create=False) as log:
        history = history_of(log)
        in_force = _in_force(configuration, history)
        check_quiet(history)
        command = ConfigCommand(
            **common(log, reason, history), configuration=configuration.semantic(), keep=keep
        )
        check_configuration(in_force, command)
        fields = list(differing(command.configuration, in_force))
        plan = _plan(history, command, in_force)
        if not as_json:
            told = [f"{name}: {old} becomes {new}" for name, old, new in fields]
            for line in [*told, *plan]:
                output.stderr.print(line, highlight=False, markup=False, soft_wrap=True)
        rows = [{"field": name, "in_force": old, "file": new} for name, old, new in fields]
        if dry_run:
            if as_json:
                output.print_json({"fields": rows, "plan": plan})
            return
        if not confirm("Apply it?", yes=yes):
            raise typer.Exit(output.WRONG_INPUT)
        write(log, command, as_json=as_json, fields=rows, plan=plan)


def _in_force(configuration: Configuration, history: History) -> dict[str, Any]:
    if not history.configurations:
        raise ConfigurationError(
            f"the service {configuration.name!r} has never run, so nothing is in force yet",
            "its first `driftline run` puts the file's in force",
        )
    return history.configurations[-1][1]


def _plan(history: History, command: ConfigCommand, in_force: dict[str, Any]) -> list[str]:
    """What will happen, a line each."""
    number = max(history.versions, default=0) + 1
    how = "go on with what they have learnt" if command.keep else "start from nothing learnt"
    then = {one["name"]: one for one in in_force["detectors"]}
    now = {one["name"]: one for one in command.configuration["detectors"]}
    afresh = [
        name
        for name, one in now.items()
        if then.get(name) != one or (not command.keep and follows_model(one["signal"]))
    ]
    lines = [f"version {number}: the models {how}"]
    if afresh:
        lines.append(f"detectors that start afresh: {', '.join(afresh)}")
    if gone := [name for name in then if name not in now]:
        lines.append(f"detectors that end: {', '.join(gone)}")
    lines.append("waiting labels, ids seen, metrics and alert history stay")
    return lines


def _print_fields(fields: list[tuple[str, Any, Any]]) -> None:
    rows = [[name, str(old), str(new)] for name, old, new in fields]
    output.print_table("", ["field", "in force", "in the file"], rows)


def _check(configuration: Configuration) -> None:
    """Opens what can be opened without reaching anything, so that addresses are looked at too."""
    open_log(
        configuration.log, configuration.name, configuration.topics, configuration.kafka
    ).close()
    settings = configuration.snapshots
    open_store(settings)
    if settings.key is not None:
        open_keyring(settings, create=False)
