"""How a version would do now, for whoever is about to go back to it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from consumers.transport import Log
from learners.snapshots.container import Snapshot
from learners.snapshots.reference import parse_key
from stream.cli import output
from stream.comparison import HEADLINE, Comparison, compare, pairs_of, starting_with
from stream.configuration import Configuration
from stream.errors import CommandError
from stream.history import History, VersionInfo
from stream.opening import open_snapshots

LABELS = 1_000

LabelsOption = Annotated[
    int,
    typer.Option(
        "--compare",
        metavar="N",
        min=0,
        help="Compare on the last N mature labels; 0: do not.",
    ),
]


def comparison(
    configuration: Configuration,
    log: Log,
    history: History,
    version: VersionInfo | None,
    labels: int,
) -> Comparison:
    """A version, or a model that has learnt nothing, beside what was served for the last `labels`
    mature labels, spread evenly over the shards."""
    in_force, pairs = history.configurations[-1][1], []
    for shard in range(history.shards):
        since, snapshot = 0, None
        if version is not None:
            cut = version.cuts[shard]
            since, snapshot = cut.positions["events"], _read(configuration, cut.key)
        start = starting_with(configuration, in_force, shard, snapshot)
        pairs += pairs_of(log, shard, start, since, -(-labels // history.shards), history.skips)
    return compare(configuration.task.name, sorted(pairs, key=lambda pair: pair.time_ms))


def told(found: Comparison, task: str, name: str) -> list[str]:
    """A comparison in a line or two; `name` is what would come back."""
    metric = HEADLINE[task]
    if not found.labels:
        return [f"no mature label came since {name}, so nothing says how it would do now"]
    before, after = (output.number(of.get(metric)) for of in (found.served, found.version))
    what = f"on the last {found.labels:,} mature labels since {name}: {metric} {after} for {name}, "
    what += f"{before} as served"
    advice = {
        "better": f"{name} is better",
        "worse": "not advised",
        "no clear difference": "no clear difference",
        "too few labels": "too few labels to tell",
    }[found.verdict]
    return [f"{what}: {advice}"]


def body_of(found: Comparison | None) -> dict[str, Any] | None:
    """A comparison for scripts."""
    return None if found is None else asdict(found)


def _read(configuration: Configuration, key: str | None) -> Snapshot:
    ref = None if key is None else parse_key(key)
    with open_snapshots(configuration) as snapshots:
        snapshot = None if ref is None else snapshots.archive.read(ref)
    if snapshot is None:
        raise CommandError(
            f"the snapshot {key} is gone", "driftline models versions shows which are ready"
        )
    return snapshot
