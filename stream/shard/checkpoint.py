"""Snapshots of a shard while it works: taken on the hot path, written beside it, published by the
journal.

    take        pickle the models, encode our sections  on the worker's thread: this is the stall
    write       probes on a throwaway copy, compress, sign, put   beside the stream
    news        the next entry names what was written, and retires what it supersedes
    confirmed   the entry is committed: what was retired is deleted

A crash between any two leaves either an unpublished object, an orphan that an entry retires, or
a retired one not yet deleted; recovery deletes both, and never loads either.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Any

import orjson

from learners.errors import SnapshotError
from learners.learner import Learner
from learners.quality import Quality
from learners.snapshots import pickling
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.container import encode_snapshot
from learners.snapshots.header import SnapshotHeader
from learners.snapshots.probes import Probe
from learners.snapshots.reference import SnapshotRef, parse_key
from learners.snapshots.retention import Published, superseded, unused
from learners.snapshots.schedule import due
from learners.snapshots.settings import SnapshotsSettings
from learners.tasks import Task
from stream.shard.journal import Entry, engines
from stream.shard.parts import BEFORE_ALL_MS
from stream.shard.shard import Shard
from stream.shard.speed import Speed

log = logging.getLogger(__name__)

LEARNER = "learner.pickle"
DETECTORS = "detectors.pickle"
PUBLISHED = "published"
CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Where snapshots are kept, what signs them, and what writes them beside the stream."""

    settings: SnapshotsSettings
    archive: SnapshotArchive
    executor: Executor


@dataclass(frozen=True, slots=True)
class Capture:
    """A state as taken: complete, and independent of the shard that goes on."""

    header: SnapshotHeader
    sections: dict[str, bytes]
    probes: list[dict[str, Any]]
    task: Task
    threshold: float | None

    @property
    def version(self) -> int | None:
        """The version that it is the snapshot of, if it is one's."""
        return self.header.version


@dataclass(slots=True)
class Stall:
    """How long the last snapshot held up the stream, and how long its writing took."""

    taken_s: float = 0.0
    written_s: float = 0.0


@dataclass(slots=True)
class _Writing:
    """A capture on its way to the store; `records` is how far a replay would go without it."""

    capture: Capture
    future: Future[tuple[SnapshotRef, float]]
    records: int
    again_s: float = 0.0


class Checkpointer:
    """Takes one shard's snapshots, and has them published in the order in which they were taken.

    Parameters
    ----------
    snapshots
        The archive, its settings and the executor.
    published
        What the journal has published and not retired.
    orphans
        Stored snapshots that will never be published; the next entry retires them.
    clock
        Monotonic seconds.
    faults
        Called with the name of each boundary that is passed.
    behind
        How many records the state is ahead of its newest snapshot already.
    newest
        What that one says of itself; None if there is none.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        published: list[Published],
        orphans: tuple[SnapshotRef, ...],
        clock: Callable[[], float],
        faults: Callable[[str], None],
        behind: int = 0,
        newest: SnapshotHeader | None = None,
    ) -> None:
        self.published = published
        self.newest = newest
        self.stall = Stall()
        self._snapshots = snapshots
        self._orphans = orphans
        self._clock = clock
        self._faults = faults
        self._writing: deque[_Writing] = deque()
        self._deleting: list[Future[None]] = []
        self._records_since = behind
        self._taken_s = clock()
        self._speed = Speed(None if newest is None else newest.us_per_record)
        self._put: SnapshotHeader | None = None

    def applied(self, records: int, seconds: float) -> None:
        """Counts what a replay from the last snapshot would have to apply again, and how long it
        would take."""
        self._records_since += records
        self._speed.applied(records, seconds)

    def is_due(self) -> bool:
        """Whether a snapshot for recovery should be taken now."""
        if self._writing:
            return False
        return (
            due(
                self._snapshots.settings,
                seconds_since=self._clock() - self._taken_s,
                events_since=self._records_since,
                replay_events_per_s=self._speed.records_per_s,
            )
            is not None
        )

    def take(
        self,
        shard: Shard,
        journal: str,
        sequence: int,
        positions: Mapping[str, int],
        reason: str,
        version: int | None = None,
    ) -> None:
        """Captures the state as of committed entry `sequence` and has it written beside the
        stream."""
        started = time.perf_counter()
        taken = self.capture(shard, journal, sequence, positions, reason, version)
        self.stall.taken_s = time.perf_counter() - started
        self._submit(taken, self._records_since)
        self._records_since = 0
        self._taken_s = self._clock()

    def submit(self, capture: Capture) -> None:
        """Has a capture written beside the stream, after those before it."""
        self._submit(capture, 0)

    def _submit(self, capture: Capture, records: int) -> None:
        self._writing.append(_Writing(capture, self._write(capture), records))

    def put(self, capture: Capture) -> SnapshotRef:
        """Writes a capture now, after those before it; the next entry has to publish them all.

        Raises
        ------
        SnapshotError
            It, or a version before it, cannot be written.
        """
        for writing in self._writing:
            if writing.capture.version is not None and writing.future.exception() is not None:
                writing.future = self._write(writing.capture)
                writing.future.result()
        ref, self.stall.written_s = self._write(capture).result()
        self._put = capture.header
        self._records_since = 0
        self._taken_s = self._clock()
        return ref

    def news(self, versions: Collection[int]) -> dict[str, Any]:
        """What the next entry has to say of snapshots: those published, and those retired; empty
        if nothing. `versions` are there still."""
        published = []
        retired = list(self._orphans)
        known = list(self.published)
        for writing in list(self._writing):
            written = self._written(writing)
            if written is None:
                if writing in self._writing:
                    break
                continue
            if any(written == other.ref for other in known):
                self._writing.remove(writing)
                continue
            known.append(Published(written, writing.capture.version))
            published.append(publication(written, writing.capture.version))
        if published:
            retired += superseded(known)
        retired += unused(known, versions)
        if not published and not retired:
            return {}
        return {"published": published, "retired": [ref.key for ref in retired]}

    def confirmed(self, entry: Entry) -> None:
        """Takes note of a committed entry; deletes the objects that it retired."""
        for named in entry.published:
            ref = parse_key(named["key"])
            assert ref is not None, "the journal names snapshots by their keys"
            if self._writing and self._writing[0].capture.header.sequence == ref.sequence:
                self.newest = self._writing.popleft().capture.header
            else:
                self.newest = self._put
            self.published.append(Published(ref, named.get("version")))
            self._faults("published")
        if entry.retired:
            gone = set(entry.retired)
            self.published = [known for known in self.published if known.ref.key not in gone]
            self._orphans = ()
            self._deleting = [
                self._snapshots.executor.submit(self._delete, ref)
                for key in entry.retired
                if (ref := parse_key(key)) is not None
            ]

    @property
    def behind_records(self) -> int:
        """How many records a recovery would apply again: those since the newest snapshot that is
        published, or since the journal's beginning."""
        return self._records_since + sum(writing.records for writing in self._writing)

    @property
    def replay_s(self) -> float | None:
        """How long (s) a recovery would take to apply them; None while no speed is measured."""
        speed = self._speed.records_per_s
        return None if speed is None else self.behind_records / speed

    @property
    def recover_within_s(self) -> float:
        """How long (s) it may take, by the configuration."""
        return self._snapshots.settings.recover_within.total_seconds()

    def wait(self) -> None:
        """Returns when nothing is being written or deleted any more."""
        for future in self._deleting:
            future.exception()
        for writing in self._writing:
            writing.future.exception()

    def is_behind(self) -> bool:
        """Whether the state has moved since the last snapshot."""
        return self._records_since > 0

    def has_news(self, versions: Collection[int]) -> bool:
        """Whether the next entry has something to say of snapshots; `versions` are there still."""
        if self._orphans or unused(self.published, versions):
            return True
        if not self._writing or not self._writing[0].future.done():
            return False
        first = self._writing[0]
        return first.future.exception() is None or self._clock() >= first.again_s

    def is_writing(self) -> bool:
        """Whether a snapshot is on its way to the store or not yet published."""
        return bool(self._writing)

    def _written(self, writing: _Writing) -> SnapshotRef | None:
        """The name of what was written; None while it is not, or if it could not be."""
        if not writing.future.done():
            return None
        failure = writing.future.exception()
        if failure is None:
            ref, self.stall.written_s = writing.future.result()
            return ref
        if not isinstance(failure, SnapshotError):
            raise failure
        if writing.capture.version is None:
            # The log has everything; the next is tried when due. Until then a replay takes longer.
            log.error("the snapshot was not written: %s (hint: %s)", failure, failure.hint)
            self._writing.remove(writing)
            self._records_since += writing.records
        elif self._clock() >= writing.again_s:
            # A version is promised: it is written as soon as the store takes it.
            log.error("version %d is not written yet: %s", writing.capture.version, failure)
            writing.again_s = self._clock() + self._snapshots.settings.min_interval.total_seconds()
            writing.future = self._write(writing.capture)
        return None

    def _write(self, capture: Capture) -> Future[tuple[SnapshotRef, float]]:
        return self._snapshots.executor.submit(write, capture, self._snapshots, self._faults)

    def _delete(self, ref: SnapshotRef) -> None:
        try:
            self._snapshots.archive.delete(ref)
        except SnapshotError as error:
            log.warning("a retired snapshot could not be deleted: %s; recovery deletes it", error)
        self._faults("retired")

    def capture(
        self,
        shard: Shard,
        journal: str,
        sequence: int,
        positions: Mapping[str, int],
        reason: str,
        version: int | None,
    ) -> Capture:
        """The state as of entry `sequence`, complete and independent of the shard that goes on."""
        taken = capture_of(shard, journal, sequence, positions, reason, version, self.published)
        if self._speed.records_per_s is None:
            return taken
        speed = {"us_per_record": round(1e6 / self._speed.records_per_s, 1)}
        return replace(taken, header=taken.header.model_copy(update=speed))


def publication(ref: SnapshotRef, version: int | None) -> dict[str, Any]:
    """How a journal entry publishes a snapshot."""
    named: dict[str, Any] = {"key": ref.key, "sequence": ref.sequence}
    return named if version is None else named | {"version": version}


def capture_of(
    shard: Shard,
    journal: str,
    sequence: int,
    positions: Mapping[str, int],
    reason: str,
    version: int | None,
    published: list[Published],
) -> Capture:
    """The state of a shard as of journal entry `sequence`, and what was published by then."""
    parts = shard.parts
    sections = {
        LEARNER: pickling.dumps(parts.learner.model),
        DETECTORS: pickling.dumps(parts.watches),
        **parts.dump_plain(),
        PUBLISHED: orjson.dumps([[known.ref.key, known.version] for known in published]),
    }
    header = SnapshotHeader(
        service=shard.plan.service,
        journal_id=journal,
        shard=shard.shard,
        sequence=sequence,
        positions=dict(positions),
        clock_ms=None if parts.clock_ms == BEFORE_ALL_MS else parts.clock_ms,
        digest=parts.digest.hex(),
        reason=reason,
        version=version,
        parent=published[-1].ref.key if published else None,
        configuration=shard.plan.configuration.semantic(),
        versions=engines(),
        created_ms=time.time_ns() // 1_000_000,
    )
    learner = parts.learner
    return Capture(header, sections, shard.recent_features(), learner.task, learner.threshold)


def write(
    capture: Capture, snapshots: Snapshots, faults: Callable[[str], None]
) -> tuple[SnapshotRef, float]:
    """Puts a capture into the store; gives its name and how many seconds it took.

    The probes are answered by a copy unpickled from the very bytes that are stored, so a snapshot
    that cannot be loaded is noticed now.
    """
    started = time.perf_counter()
    copy = Learner(pickling.loads(capture.sections[LEARNER]), capture.task, capture.threshold)
    probes = tuple(
        Probe.take(CHAMPION, features, copy.predict(dict(features))) for features in capture.probes
    )
    quality = Quality.load(orjson.loads(capture.sections["quality"]))
    said = {"metrics": quality.metrics(), "maturity": quality.maturity()}
    header = capture.header.model_copy(update={"probes": probes, **said})
    encoded = encode_snapshot(header, capture.sections, snapshots.archive.keyring.signing)
    snapshots.archive.write(encoded)
    faults("snapshot put")
    return encoded.ref, time.perf_counter() - started
