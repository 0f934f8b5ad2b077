"""Recovery: the state of a shard from its newest valid snapshot and the journal after it, verified
step by step.

The journal is the authority. A snapshot counts only if its running digest is that of its journal
entry and a later entry has published it. Every entry after it is applied again, with its results
dropped, and must give the digest that it gave then. Recovery ends where the last entry's positions
are the committed ones, or not at all.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from consumers.errors import OffsetOutOfRangeError
from consumers.record import Record
from consumers.transport import INPUTS, Committed, Log, StepCommit, Transport
from learners.errors import SnapshotError, StoreError
from learners.learner import Learner
from learners.snapshots import pickling
from learners.snapshots.container import Snapshot
from learners.snapshots.probes import failed_probes
from learners.snapshots.reference import SnapshotRef, parse_key
from learners.snapshots.retention import Published, orphans
from stream.configuration import Configuration, difference, from_semantic
from stream.errors import (
    ConfigurationDiffersError,
    DivergedError,
    EngineChangedError,
    JournalError,
    PositionsDisagreeError,
)
from stream.shard import journal
from stream.shard.checkpoint import CHAMPION, DETECTORS, LEARNER, PUBLISHED, Snapshots
from stream.shard.digest import EMPTY
from stream.shard.journal import Entry, note_of
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step

log = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """A shard as of its last journal entry, and how it came about.

    `snapshot` is the sequence that the replay started from (None: entry 0); `entries` and `records`
    (with commands and ticks) are what was replayed. `announce` holds what the next entry has to
    say, such as engines that changed.
    """

    shard: Shard
    journal: str
    sequence: int
    positions: dict[str, int]
    published: list[Published]
    orphans: tuple[SnapshotRef, ...]
    announce: dict[str, Any]
    snapshot: int | None
    entries: int
    records: int
    seconds: float
    founded: bool = False


def restore(
    transport: Transport,
    shard: int,
    configuration: Configuration,
    snapshots: Snapshots,
    *,
    use_journal_configuration: bool = False,
    on_progress: OnProgress = lambda entry, last: None,
) -> Restored:
    """The shard as its journal left it; a journal that does not exist yet is founded.

    Raises
    ------
    ForeignJournalError, PositionsDisagreeError, JournalError
        The journal is another service's, disagrees with the committed positions, or cannot be read.
    ConfigurationDiffersError
        The file's semantic part is not the one in force, and `use_journal_configuration` is off.
    DivergedError
        A replayed step gave another digest than the journal has.
    EngineChangedError
        The snapshot was written under another River, and its probes predict differently now.
    StoreError
        The store cannot be reached.
    """
    started = time.perf_counter()
    begin = transport.begin_offset(journal.TOPIC, shard)
    end = transport.end_offset(journal.TOPIC, shard)
    last = journal.last(transport, shard, begin, end)
    committed = transport.committed(shard)
    if last is None:
        if committed is not None or begin > 0:
            raise PositionsDisagreeError(
                f"shard {shard} has committed positions, but its journal is empty",
                "restore the journal topic; without it nothing tells what was done",
            )
        return _found(transport, shard, configuration, started)
    _check_committed(shard, last, committed)
    first = next(journal.read(transport, shard, begin, end))
    if first.founding is not None or first.sequence == 0:
        journal.check_founding(first, configuration.name, transport.partitions())

    replay = _Replay(transport, shard, begin, end, first, last)
    stored = [held.ref for held in snapshots.archive.stored(last.journal, shard)]
    base = _newest_valid(replay, stored, snapshots, configuration.name)
    if base is None and first.sequence != 0:
        raise JournalError(
            f"no valid snapshot of shard {shard} is left, and its journal begins with entry "
            f"{first.sequence}",
            "restore the snapshots' folder or bucket from a backup",
        )
    in_force = _configuration_in_force(first, base)
    plan = _plan(configuration, in_force, use_journal_configuration=use_journal_configuration)
    state, published, engines = _load(plan, shard, base, first)
    since = -1 if base is None else base.header.sequence
    entries = records = 0
    for entry, step in replay.steps(since):
        entries += 1
        records += step.size
        if entry.engines is not None:
            engines = entry.engines
        state.apply(step)
        found = state.parts.digest.hex()
        if found != entry.digest:
            raise _diverged(shard, entry, found, engines)
        published = _after(published, entry)
        on_progress(entry.sequence, last.sequence)
    return Restored(
        shard=state,
        journal=last.journal,
        sequence=last.sequence,
        positions=dict(last.end),
        published=published,
        orphans=orphans(stored, [known.ref for known in published]),
        announce={} if engines == journal.engines() else {"engines": journal.engines()},
        snapshot=None if base is None else base.header.sequence,
        entries=entries,
        records=records,
        seconds=time.perf_counter() - started,
    )


def _found(
    transport: Transport, shard: int, configuration: Configuration, started: float
) -> Restored:
    """Founds the journal: entry 0, committed with the start positions."""
    at = (
        transport.begin_offset if configuration.events.start == "earliest" else transport.end_offset
    )
    positions = {topic: at(topic, shard) for topic in INPUTS}
    name = uuid.uuid4().hex
    entry = journal.founding_entry(
        name,
        configuration.name,
        transport.partitions(),
        positions,
        EMPTY.hex(),
        configuration.semantic(),
    )
    outputs = [(journal.TOPIC, entry.encode())]
    transport.commit([StepCommit(shard, outputs, positions, note_of(name, 0))])
    return Restored(
        shard=Shard(Plan(configuration), shard),
        journal=name,
        sequence=0,
        positions=positions,
        published=[],
        orphans=(),
        announce={},
        snapshot=None,
        entries=0,
        records=0,
        seconds=time.perf_counter() - started,
        founded=True,
    )


class _Replay:
    """The journal's entries from a sequence on, each with the step that it describes."""

    def __init__(
        self, log: Log, shard: int, begin: int, end: int, first: Entry, last: Entry
    ) -> None:
        self._log = log
        self._shard = shard
        self._begin = begin
        self._end = end
        self._first = first
        self._last = last

    def entries(self, since: int) -> Iterator[Entry]:
        """The entries from sequence `since` on.

        An entry lies at least as many offsets after the first as it has entries between; control
        records only move it further, so reading starts there and skips what is older.
        """
        start = self._begin + max(0, since - self._first.sequence)
        for entry in journal.read(self._log, self._shard, start, self._end):
            if entry.sequence >= since:
                yield entry

    def steps(self, since: int) -> Iterator[tuple[Entry, Step]]:
        """The entries after sequence `since`, with their steps."""
        readers: dict[str, _Reader] = {}
        for entry in self.entries(since + 1):
            try:
                if not readers:
                    readers = {
                        topic: _Reader(self._log, topic, self._shard, entry.start[topic], end)
                        for topic, end in self._last.end.items()
                    }
                inputs = {topic: reader.upto(entry.end[topic]) for topic, reader in readers.items()}
            except OffsetOutOfRangeError as error:
                raise JournalError(
                    f"replaying shard {self._shard} from entry {entry.sequence} needs "
                    f"{error.topic} offset {error.offset}, and the log begins at {error.begin}",
                    "restore the snapshots' folder or bucket, or the log, from a backup",
                ) from error
            yield entry, Step.of(entry.start, entry.end, inputs, entry.tick_ms)


class _Reader:
    """One input, read once from start to end in the ranges of consecutive entries."""

    def __init__(self, log: Log, topic: str, shard: int, start: int, end: int) -> None:
        self._records = log.read(topic, shard, start, end)
        self._ahead: Record | None = None

    def upto(self, end: int) -> list[Record]:
        """The records before offset `end` that were not given yet."""
        found: list[Record] = []
        if self._ahead is not None:
            if self._ahead.offset >= end:
                return found
            found.append(self._ahead)
            self._ahead = None
        for record in self._records:
            if record.offset >= end:
                self._ahead = record
                break
            found.append(record)
        return found


def _check_committed(shard: int, last: Entry, committed: Committed | None) -> None:
    """Refuses positions that are not the last entry's; absent ones are taken from the journal."""
    if committed is None:
        return
    note = note_of(last.journal, last.sequence)
    if committed.positions != last.end or committed.note != note:
        raise PositionsDisagreeError(
            f"shard {shard} has committed {committed.positions} with the note {committed.note}; "
            f"the journal ends with entry {last.sequence} at {last.end}",
            "one of the two was restored or changed by itself; restore both from the same moment",
        )


def _newest_valid(
    replay: _Replay, stored: list[SnapshotRef], snapshots: Snapshots, service: str
) -> Snapshot | None:
    """The newest snapshot that is whole, signed, of this service, published, and agrees with its
    entry."""
    for ref in sorted(stored, key=lambda ref: ref.sequence, reverse=True):
        try:
            snapshot = snapshots.archive.read(ref)
        except StoreError:
            # Perhaps only for a moment, and a replay from further back could take hours.
            raise
        except SnapshotError as error:
            log.warning("snapshot %s is passed over: %s", ref.id, error)
            continue
        if snapshot is None:
            continue
        problem = _problem(replay, snapshot, ref, service)
        if problem is None:
            return snapshot
        log.warning("snapshot %s is passed over: %s", ref.id, problem)
    return None


def _problem(replay: _Replay, snapshot: Snapshot, ref: SnapshotRef, service: str) -> str | None:
    header = snapshot.header
    if header.service != service:
        return f"it belongs to the service {header.service!r}"
    entries = replay.entries(ref.sequence)
    own = next(entries, None)
    if own is None or own.sequence != ref.sequence:
        return f"the journal has no entry {ref.sequence}"
    if own.digest != header.digest or own.end != header.positions:
        return f"its digest is not that of journal entry {ref.sequence}"
    if not any(named["key"] == ref.key for entry in entries for named in entry.published):
        return "the journal has not published it"
    return None


def _configuration_in_force(first: Entry, base: Snapshot | None) -> dict[str, Any]:
    found: Any = first.configuration if base is None else base.header.configuration
    assert isinstance(found, dict), "every founding entry and snapshot carries its configuration"
    return found


def _plan(
    configuration: Configuration, in_force: Mapping[str, Any], *, use_journal_configuration: bool
) -> Plan:
    lines = difference(configuration.semantic(), dict(in_force))
    if not lines:
        return Plan(configuration)
    if not use_journal_configuration:
        raise ConfigurationDiffersError(
            "the file's configuration differs from the one in force in the journal",
            "put the file back, or go on under the journal's: driftline run --use-journal-config",
            lines,
        )
    return Plan(from_semantic(configuration, dict(in_force)))


def _load(
    plan: Plan, shard: int, base: Snapshot | None, first: Entry
) -> tuple[Shard, list[Published], dict[str, str]]:
    """The state of a snapshot, or the fresh one of entry 0, with what was published and the engines
    in force."""
    parts = plan.fresh_parts()
    if base is None:
        return Shard(plan, shard, parts), [], first.engines or {}
    parts.load_plain(base.sections, plan.configuration.labels, plan.alerts)
    # The threshold may be a learnt one: the probes were answered under it.
    learner, threshold = base.sections[LEARNER], parts.learner.threshold
    _check_probes(base, Learner(pickling.loads(learner), plan.task, threshold))
    parts.learner = Learner(pickling.loads(learner), plan.task, threshold)
    parts.watches = pickling.loads(base.sections[DETECTORS])
    keys = orjson.loads(base.sections[PUBLISHED])
    known = [Published(ref) for key in keys if (ref := parse_key(key)) is not None]
    return Shard(plan, shard, parts), known, dict(base.header.versions)


def _check_probes(base: Snapshot, copy: Learner) -> None:
    """Refuses a model that predicts differently than when it was snapshotted."""
    failed = failed_probes(base.header.probes, lambda _, features: copy.predict(features))
    if not failed:
        return
    then, now = base.header.versions.get("river"), journal.engines()["river"]
    raise EngineChangedError(
        f"snapshot {base.header.sequence} was written by River {then}; under River {now} its "
        f"{CHAMPION} predicts {failed[0].detail}",
        f"run with River {then}; or move the snapshots away, and the log is replayed under {now}",
    )


def _after(published: list[Published], entry: Entry) -> list[Published]:
    if not entry.published and not entry.retired:
        return published
    gone = set(entry.retired)
    new = [ref for named in entry.published if (ref := parse_key(named["key"])) is not None]
    return [known for known in [*published, *map(Published, new)] if known.ref.key not in gone]


def _diverged(shard: int, entry: Entry, found: str, engines: dict[str, str]) -> DivergedError:
    now = journal.engines()
    changed = [
        f"{name} {engines.get(name)} → {now[name]}"
        for name in now
        if engines.get(name) != now[name]
    ]
    versions = f"; since then {', '.join(changed)}" if changed else ""
    return DivergedError(
        f"shard {shard}: replaying journal entry {entry.sequence} gives the digest {found[:16]}, "
        f"the journal has {entry.digest[:16]}{versions}",
        "run the versions and the hash seed that wrote it; nothing was changed",
        shard=shard,
        sequence=entry.sequence,
    )
