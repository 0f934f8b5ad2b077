"""From a verified snapshot to a shard's state."""

from __future__ import annotations

from typing import Any

import orjson

from learners.learner import Learner
from learners.snapshots import pickling
from learners.snapshots.container import Snapshot
from learners.snapshots.probes import failed_probes
from learners.snapshots.reference import parse_key
from learners.snapshots.retention import Published
from stream.commands import SkipRange
from stream.configuration import Configuration, from_semantic
from stream.errors import EngineChangedError
from stream.shard import journal
from stream.shard.checkpoint import CHAMPION, DETECTORS, LEARNER, PUBLISHED
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.versions import Versions


def plan_of(configuration: Configuration, semantic: dict[str, Any]) -> Plan:
    """The plan of a semantic configuration from the journal; the rest is the file's."""
    if configuration.semantic() == semantic:
        return Plan(configuration)
    return Plan(from_semantic(configuration, semantic))


def load_shard(configuration: Configuration, shard: int, snapshot: Snapshot) -> Shard:
    """The shard that a snapshot holds, under the configuration that it carries.

    Raises
    ------
    EngineChangedError
        Its probes predict differently than when it was taken.
    """
    semantic: Any = snapshot.header.configuration
    plan = plan_of(configuration, semantic)
    parts = plan.fresh_parts()
    parts.load_plain(
        snapshot.sections, plan.configuration.labels, plan.alerts, plan.configuration.halt
    )
    # The threshold may be a learnt one: the probes were answered under it.
    learner, threshold = snapshot.sections[LEARNER], parts.learner.threshold
    _check_probes(snapshot, Learner(pickling.loads(learner), plan.task, threshold))
    parts.learner = Learner(pickling.loads(learner), plan.task, threshold)
    parts.watches = pickling.loads(snapshot.sections[DETECTORS])
    return Shard(plan, shard, parts)


def published_at(snapshot: Snapshot) -> list[Published]:
    """What the journal had published when a snapshot was taken."""
    return [
        Published(ref, version)
        for key, version in orjson.loads(snapshot.sections[PUBLISHED])
        if (ref := parse_key(key)) is not None
    ]


def skips_in(snapshot: Snapshot) -> list[SkipRange]:
    """The ranges that the state in a snapshot is without."""
    return Versions.load(orjson.loads(snapshot.sections["versions"])).skips


def _check_probes(snapshot: Snapshot, copy: Learner) -> None:
    """Refuses a model that predicts differently than when it was snapshotted."""
    failed = failed_probes(snapshot.header.probes, lambda _, features: copy.predict(features))
    if not failed:
        return
    then, now = snapshot.header.versions.get("river"), journal.engines()["river"]
    raise EngineChangedError(
        f"snapshot {snapshot.header.sequence} was written by River {then}; under River {now} its "
        f"{CHAMPION} predicts {failed[0].detail}",
        f"run with River {then}; or move the snapshots away and go on from what a replay under "
        f"{now} gives: driftline recover --accept-divergence",
    )
