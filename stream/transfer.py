"""A new service that begins where another one stopped: its journals start from the snapshots of the
old one's.

It is how a service moves to a cluster that was built anew, to topics that were made again, or to
more partitions. The old service is left as it is, and nothing of its log is copied: the records
that it has not applied are for the new topics, and `Source.left` says how many they are.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consumers.transport import INPUTS, Log, StepCommit, Transport
from learners.errors import KeyMissingError, SnapshotError, StoreError
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.container import Snapshot
from learners.snapshots.reference import SnapshotRef, parse_key
from stream.configuration import Configuration, difference
from stream.errors import ConfigurationDiffersError, TransferError
from stream.shard import journal
from stream.shard.checkpoint import Snapshots, capture_of, publication, write
from stream.shard.journal import founding_entry, note_of
from stream.shard.transfer import Giver, origin_of, transferred

GAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Source:
    """One shard of the old service: the snapshot to go on from, and how many offsets of each input
    it has not applied (None where the old log cannot be read)."""

    ref: SnapshotRef
    snapshot: Snapshot
    left: dict[str, int] | None


def sources_on_log(old: Configuration, archive: SnapshotArchive, log: Log) -> list[Source]:
    """The newest snapshot of each shard of a service, which must be of the last entry of its
    journal: so nothing of what it has decided is left behind.

    Raises
    ------
    TransferError
        A shard has none such.
    """
    sources = []
    for shard in range(log.partitions()):
        begin, end = log.begin_offset(journal.TOPIC, shard), log.end_offset(journal.TOPIC, shard)
        last = journal.last(log, shard, begin, end)
        if last is None:
            raise TransferError(
                f"shard {shard} of {old.name} has never run, so it has no state",
                "run the old service until it is idle; or begin the new one from nothing",
            )
        stored = archive.stored(last.journal, shard)  # oldest sequence first
        found = _last_valid(archive, [held.ref for held in stored])
        if found is None or found.snapshot.header.digest != last.digest:
            at = "there is none" if found is None else f"it is of entry {found.ref.sequence}"
            raise TransferError(
                f"the newest snapshot of shard {shard} of {old.name} must be of what its journal "
                f"ends with, entry {last.sequence}; {at}",
                "stop the old service with SIGTERM, which takes one, and let it rest",
            )
        left = {topic: log.end_offset(topic, shard) - last.end[topic] for topic in INPUTS}
        sources.append(Source(found.ref, found.snapshot, left))
    return sources


def sources_in_store(old: Configuration, archive: SnapshotArchive) -> list[Source]:
    """The newest snapshot of each shard in the store, where the log is lost.

    Raises
    ------
    TransferError
        There is none, or shards are missing.
    """
    found: dict[int, list[SnapshotRef]] = {}
    # Of several journals the one that was written last counts, whatever its entries are numbered.
    for stored in sorted(archive.store.list(), key=lambda stored: stored.modified_ms):
        ref = parse_key(stored.key)
        if ref is not None:
            found.setdefault(ref.shard, []).append(ref)
    sources = []
    for shard in range(max(found, default=-1) + 1):
        source = _last_valid(archive, found.get(shard, []), old.name)
        if source is None:
            raise TransferError(
                f"no valid snapshot of shard {shard} of {old.name} is in {archive.store.name}",
                "a service goes on from all of its shards; restore the store from a backup",
            )
        sources.append(source)
    if not sources:
        raise TransferError(
            f"there are no snapshots of {old.name} in {archive.store.name}",
            "name the old service's configuration, with its store and its key",
        )
    return sources


def check_transfer(
    configuration: Configuration, sources: Sequence[Source], partitions: int
) -> None:
    """Refuses what cannot go on: another configuration, or a partition count that would take keys
    from the model that knows them.

    Raises
    ------
    ConfigurationDiffersError, TransferError
    """
    old = len(sources)
    if partitions % old:
        raise TransferError(
            f"the new partition count must be a multiple of the old one, {old}; it is {partitions}",
            "otherwise events of one key would come to a model that has never seen it; set "
            f"`log_partitions: {old * -(-partitions // old)}`",
        )
    for source in sources:
        theirs = source.snapshot.header.configuration
        assert isinstance(theirs, dict), "a snapshot carries its configuration"
        lines = difference(configuration.semantic(), theirs)
        if lines:
            raise ConfigurationDiffersError(
                "the new file must say what was in force when the old service stopped",
                "put these fields in, begin, and then change them with driftline config apply",
                lines,
            )


def transfer(
    configuration: Configuration,
    transport: Transport,
    snapshots: Snapshots,
    sources: Sequence[Source],
    giver: Giver,
    faults: Callable[[str], None] = lambda boundary: None,
) -> None:
    """Founds the journals of a new service, all in one commit.

    Each begins with version 1, whose snapshot its founding entry publishes. Broken off before the
    commit it has changed nothing, and may be done again: the snapshots have the same names then.

    Raises
    ------
    TransferError
        The new service has a journal already, or other workers hold some of its shards.
    """
    partitions = len(sources), transport.partitions()
    check_transfer(configuration, sources, partitions[1])
    _gain_all(transport, partitions[1])
    commits = []
    for shard in range(partitions[1]):
        if transport.committed(shard) is not None or transport.end_offset(journal.TOPIC, shard):
            raise TransferError(
                f"shard {shard} of {configuration.name} has a journal already",
                "a service begins once: give the new one a `log` or a `name` of its own",
            )
        source = sources[shard % len(sources)]
        state, version = transferred(configuration, source.snapshot, shard, partitions, giver)
        name = uuid.uuid5(uuid.UUID(int=0), f"{source.ref.key} {configuration.name} {partitions}")
        at = transport.begin_offset
        if configuration.events.start == "latest":
            at = transport.end_offset
        positions = {topic: at(topic, shard) for topic in INPUTS}
        capture = capture_of(state, name.hex, 0, positions, "transfer", version.number, [])
        ref, _ = write(capture, snapshots, faults)
        entry = founding_entry(
            name.hex,
            configuration.name,
            transport,
            positions,
            state.parts.digest.hex(),
            state.plan.configuration.semantic(),
            origin=origin_of(source.ref, source.snapshot, partitions[0]),
            outcomes=[
                {
                    "id": name.hex,
                    "command": version.kind,
                    "by": giver.by,
                    "at_ms": giver.at_ms,
                    "reason": giver.reason,
                    "outcome": "applied",
                    "version": version.number,
                    "origin": version.origin,
                    "clock_ms": version.clock_ms,
                }
            ],
            published=[publication(ref, version.number)],
        )
        outputs = [(journal.TOPIC, entry.encode())]
        commits.append(StepCommit(shard, outputs, positions, note_of(name.hex, 0)))
    faults("applied")
    transport.commit(commits)
    faults("committed")


def _last_valid(
    archive: SnapshotArchive, refs: Sequence[SnapshotRef], service: str | None = None
) -> Source | None:
    """The last of them that is whole and signed; of one service where that is said."""
    for ref in reversed(refs):
        try:
            snapshot = archive.read(ref)
        except (StoreError, KeyMissingError):
            raise
        except SnapshotError:
            continue
        if snapshot is not None and service in (None, snapshot.header.service):
            return Source(ref, snapshot, None)
    return None


def _gain_all(transport: Transport, count: int) -> None:
    """Waits until this worker holds every shard."""
    deadline_s = time.monotonic() + GAIN_S
    held: set[int] = set()
    while len(held) < count:
        polled = transport.poll(0.5, 1)
        held = (held - set(polled.lost)) | set(polled.gained)
        if time.monotonic() > deadline_s:
            missing = sorted(set(range(count)) - held)
            raise TransferError(
                f"the shards {missing} are held by other workers",
                "stop every worker of the new service, and try again",
            )
