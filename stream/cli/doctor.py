"""`driftline doctor`: what is wrong with a service, and what to do about it."""

from __future__ import annotations

import typer

from stream.cli import options, output
from stream.configuration import load_file
from stream.doctor import examine


def doctor_command(
    config: options.ConfigOption = None, as_json: options.JsonOption = False
) -> None:
    """Check a service: disks, store, key, log, journals, snapshots; on Kafka the cluster too.

    Exit code 2 if anything is wrong. It changes nothing, and works beside a worker.

    Example: driftline doctor -c flights.yaml
    """
    found = list(examine(load_file(config)))
    wrong = any(finding.state == "problem" for finding in found)
    if as_json:
        output.print_json({"healthy": not wrong, "findings": [one._asdict() for one in found]})
    else:
        for one in found:
            hint = "" if one.hint is None else f" (hint: {one.hint})"
            output.stdout.print(
                f"{one.state:8} {one.check:14} {one.detail}{hint}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    if wrong:
        raise typer.Exit(output.WRONG_INPUT)
