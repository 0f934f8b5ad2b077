"""`driftline config`: whether a file can be used, and how it differs from what is in force."""

from __future__ import annotations

import typer

from consumers.transports import open_log
from learners.snapshots import open_keyring, open_store
from stream.cli import options, output
from stream.configuration import Configuration, differing, find_file, load_file
from stream.errors import ConfigurationError
from stream.history import read_history
from stream.opening import open_service_log

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
        in_force = read_history(log).configurations
    if not in_force:
        raise ConfigurationError(
            f"the service {configuration.name!r} has never run, so nothing is in force yet",
            "its first `driftline run` puts the file's in force",
        )
    fields = list(differing(configuration.semantic(), in_force[-1][1]))
    if as_json:
        rows = [{"field": name, "in_force": old, "file": new} for name, old, new in fields]
        output.print_json({"same": not rows, "fields": rows})
    elif fields:
        rows_for_people = [[name, str(old), str(new)] for name, old, new in fields]
        output.print_table("", ["field", "in force", "in the file"], rows_for_people)
    else:
        output.stdout.print("the file says what is in force")
    if fields:
        raise typer.Exit(output.WRONG_INPUT)


def _check(configuration: Configuration) -> None:
    """Opens what can be opened without reaching anything, so that addresses are looked at too."""
    open_log(configuration.log, configuration.name, configuration.topics).close()
    settings = configuration.snapshots
    open_store(settings)
    if settings.key is not None:
        open_keyring(settings, create=False)
