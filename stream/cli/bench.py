"""`driftline bench`: how fast this machine runs the pipeline, as ratios to a bare River loop."""

from __future__ import annotations

from stream.cli import options, output


def bench_command(as_json: options.JsonOption = False) -> None:
    """Measure the pipeline against a bare River loop.

    Example: driftline bench
    """
    output.print_json({}) if as_json else None
