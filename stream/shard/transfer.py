"""Transfer: a shard of a new service from a snapshot of another one's.

It serves a cluster that was built anew, topics that were made again, and more partitions: of a
multiple of the old count, shard q goes on from shard q mod old, since keys of the new partition q
were in that one before. What belongs to one key stays with the shard that the key belongs to now;
what counts events stays with the first of those that share an origin, or it would count twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from consumers.partitioning import partition_for
from consumers.pending import Pending
from learners.snapshots.container import Snapshot
from learners.snapshots.reference import SnapshotRef
from stream.configuration import Configuration
from stream.shard.load import load_shard
from stream.shard.parts import Parts
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.versions import Version, Versions


@dataclass(frozen=True, slots=True)
class Giver:
    """Who transfers, when (ms of the wall clock) and why."""

    by: str
    at_ms: int
    reason: str


def transferred(
    configuration: Configuration,
    snapshot: Snapshot,
    shard: int,
    partitions: tuple[int, int],
    giver: Giver,
) -> tuple[Shard, Version]:
    """Shard `shard` of the service of `configuration`, as the snapshot of another one's left it,
    and the version that it begins with.

    Parameters
    ----------
    partitions
        Of the old service and of the new one, a multiple of it.

    Raises
    ------
    EngineChangedError
        The model predicts differently under this River.
    """
    header = snapshot.header
    old, new = partitions
    assert new % old == 0 and shard % old == header.shard, "keys stay together"
    found = load_shard(configuration, shard, snapshot)
    parts = found.parts
    if new > old:
        _keep_own(parts, shard, partitions)
    if shard >= old:
        _count_anew(parts, found.plan)
    for held in parts.held:
        # The new log gives its offsets anew: those below 0 are of the one before.
        record = held.record
        held.record = record._replace(partition=shard, offset=-1 - record.offset)
    parts.commands = 0
    parts.versions = Versions()
    origin = f"shard {header.shard} of {header.service} at its journal entry {header.sequence}"
    version = parts.versions.found(origin, parts.clock_ms, giver.by, giver.at_ms, giver.reason)
    return Shard(found.plan, shard, parts), version


def origin_of(ref: SnapshotRef, snapshot: Snapshot, partitions: int) -> dict[str, object]:
    """What the founding entry says of where the state comes from."""
    header = snapshot.header
    return {
        "service": header.service,
        "journal": header.journal_id,
        "partitions": partitions,
        "shard": header.shard,
        "sequence": header.sequence,
        "positions": header.positions,
        "snapshot": ref.key,
    }


def _keep_own(parts: Parts, shard: int, partitions: tuple[int, int]) -> None:
    """Drops what waits for records of keys that come to another shard now.

    Events that have their label already stay where the metrics that count it are: only there can
    it be corrected.
    """
    old, new = partitions
    for entry in list(parts.pending):
        own = _shard_of(entry, shard % old, new)
        if own != shard or (entry.label is not None and shard >= old):
            parts.pending.remove(entry.id)
    for held in list(parts.held):
        key = held.record.key
        if (partition_for(key, new) if key else shard % old) != shard:
            parts.held.remove(held)


def _shard_of(entry: Pending, old_shard: int, new: int) -> int:
    """Where an event's label will come; without a key nobody knows, and it stays."""
    key = entry.id.encode() if entry.key is None else entry.key
    return partition_for(key, new) if key else old_shard


def _count_anew(parts: Parts, plan: Plan) -> None:
    fresh = plan.fresh_parts()
    parts.quality, parts.counters, parts.policy = fresh.quality, fresh.counters, fresh.policy
