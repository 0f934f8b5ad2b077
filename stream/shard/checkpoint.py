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
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
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
from learners.snapshots.retention import Published, superseded
from learners.snapshots.schedule import due
from learners.snapshots.settings import SnapshotsSettings
from learners.tasks import Task
from stream.shard.journal import Entry, engines
from stream.shard.parts import BEFORE_ALL_MS
from stream.shard.shard import Shard

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


@dataclass(slots=True)
class Stall:
    """How long the last snapshot held up the stream, and how long its writing took."""

    taken_s: float = 0.0
    written_s: float = 0.0


class Checkpointer:
    """Takes one shard's snapshots, one at a time.

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
    """

    def __init__(
        self,
        snapshots: Snapshots,
        published: list[Published],
        orphans: tuple[SnapshotRef, ...],
        clock: Callable[[], float],
        faults: Callable[[str], None],
        behind: int = 0,
    ) -> None:
        self.published = published
        self.stall = Stall()
        self._snapshots = snapshots
        self._orphans = orphans
        self._clock = clock
        self._faults = faults
        self._writing: Future[tuple[SnapshotRef, float]] | None = None
        self._deleting: list[Future[None]] = []
        self._records_since = behind
        self._records_taken = 0
        self._taken_s = clock()
        self._replay: float | None = None

    def applied(self, records: int, seconds: float) -> None:
        """Counts what a replay from the last snapshot would have to apply again, and how long it
        would take."""
        self._records_since += records
        if records >= 100 and seconds > 0:
            rate = records / seconds
            self._replay = rate if self._replay is None else 0.8 * self._replay + 0.2 * rate

    def is_due(self) -> bool:
        """Whether a snapshot should be taken now."""
        if self._writing is not None:
            return False
        return (
            due(
                self._snapshots.settings,
                seconds_since=self._clock() - self._taken_s,
                events_since=self._records_since,
                replay_events_per_s=self._replay,
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
    ) -> None:
        """Captures the state as of committed entry `sequence` and has it written beside the
        stream."""
        self.wait()
        started = time.perf_counter()
        capture = self._capture(shard, journal, sequence, positions, reason)
        self.stall.taken_s = time.perf_counter() - started
        self._records_taken, self._records_since = self._records_since, 0
        self._taken_s = self._clock()
        self._writing = self._snapshots.executor.submit(
            write, capture, self._snapshots, self._faults
        )

    def news(self) -> dict[str, Any]:
        """What the next entry has to say of snapshots: those published and those retired; empty if
        nothing."""
        written = self._written()
        published = []
        retired = list(self._orphans)
        if written is not None:
            if any(written == known.ref for known in self.published):
                self._writing = None
            else:
                published = [{"key": written.key, "sequence": written.sequence}]
                retired += superseded([*self.published, Published(written)])
        if not published and not retired:
            return {}
        return {"published": published, "retired": [ref.key for ref in retired]}

    def confirmed(self, entry: Entry) -> None:
        """Takes note of a committed entry; deletes the objects that it retired."""
        if entry.published:
            written = self._written()
            assert written is not None, "what was published had been written"
            self._writing = None
            self.published.append(Published(written))
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

    def wait(self) -> None:
        """Returns when nothing is being written or deleted any more."""
        for future in self._deleting:
            future.exception()
        if self._writing is not None:
            self._writing.exception()

    def is_behind(self) -> bool:
        """Whether the state has moved since the last snapshot."""
        return self._records_since > 0

    def has_news(self) -> bool:
        """Whether the next entry has something to say of snapshots."""
        return bool(self._orphans) or (self._writing is not None and self._writing.done())

    def is_writing(self) -> bool:
        """Whether a snapshot is on its way to the store or not yet published."""
        return self._writing is not None

    def _written(self) -> SnapshotRef | None:
        if self._writing is None or not self._writing.done():
            return None
        failure = self._writing.exception()
        if failure is None:
            ref, self.stall.written_s = self._writing.result()
            return ref
        self._writing = None
        if not isinstance(failure, SnapshotError):
            raise failure
        # The log has everything; the next one is tried when due. Until then a replay takes longer.
        self._records_since += self._records_taken
        log.error("the snapshot was not written: %s (hint: %s)", failure, failure.hint)
        return None

    def _delete(self, ref: SnapshotRef) -> None:
        try:
            self._snapshots.archive.delete(ref)
        except SnapshotError as error:
            log.warning("a retired snapshot could not be deleted: %s; recovery deletes it", error)
        self._faults("retired")

    def _capture(
        self,
        shard: Shard,
        journal: str,
        sequence: int,
        positions: Mapping[str, int],
        reason: str,
    ) -> Capture:
        parts = shard.parts
        sections = {
            LEARNER: pickling.dumps(parts.learner.model),
            DETECTORS: pickling.dumps(parts.watches),
            **parts.dump_plain(),
            PUBLISHED: orjson.dumps([known.ref.key for known in self.published]),
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
            parent=self.published[-1].ref.key if self.published else None,
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
    header = capture.header.model_copy(update={"probes": probes, "metrics": quality.metrics()})
    encoded = encode_snapshot(header, capture.sections, snapshots.archive.keyring.signing)
    snapshots.archive.write(encoded)
    faults("snapshot put")
    return encoded.ref, time.perf_counter() - started
