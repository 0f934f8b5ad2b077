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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from consumers.transport import INPUTS, Log, StepCommit
from learners.errors import KeyMissingError, SnapshotError, StoreError
from learners.snapshots.container import Snapshot
from learners.snapshots.header import SnapshotHeader
from learners.snapshots.reference import SnapshotRef, parse_key
from learners.snapshots.retention import Published, orphans
from stream.commands import Command, ConfigCommand, Heavy, is_heavy, parse_command, waiting
from stream.configuration import Configuration, difference
from stream.errors import (
    CommandError,
    ConfigurationDiffersError,
    JournalError,
    UpdateFailedError,
)
from stream.shard import journal, outcomes
from stream.shard.checkpoint import CHAMPION, Capture, Snapshots, capture_of
from stream.shard.digest import EMPTY
from stream.shard.divergence import AnotherFailureError, Comparison, Divergence
from stream.shard.journal import Entry, note_of
from stream.shard.load import load_shard, plan_of, published_at
from stream.shard.plan import Plan
from stream.shard.reconfigure import reconfigured
from stream.shard.replay import Replay
from stream.shard.settled import settled_end
from stream.shard.shard import Shard
from stream.shard.step import Step
from stream.shard.versions import cut_version

log = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """A shard as of its last journal entry, and how it came about.

    `snapshot` is the sequence that the replay started from (None: entry 0), and `header` what that
    snapshot says of itself; `entries` and `records` (with commands and ticks) were replayed.
    `announce` holds what the next entry has to say, such as engines that changed; `captures` are
    versions that were cut and not yet written.
    `founding` is to be committed before anything is read: a journal that did not exist.
    `divergence` is what the next entry has to accept.
    """

    shard: Shard
    journal: str
    sequence: int
    positions: dict[str, int]
    published: list[Published]
    orphans: tuple[SnapshotRef, ...]
    announce: dict[str, Any]
    captures: list[Capture]
    snapshot: int | None
    entries: int
    records: int
    seconds: float
    last: Entry
    founding: StepCommit | None = None
    divergence: Divergence | None = None
    header: SnapshotHeader | None = None


def restore(
    source: Log,
    shard: int,
    configuration: Configuration,
    snapshots: Snapshots,
    *,
    use_journal_configuration: bool = False,
    accept_divergence: bool = False,
    on_progress: OnProgress = lambda entry, last: None,
) -> Restored:
    """The shard as its journal left it; one that does not exist yet is to be founded.

    With `accept_divergence` it is the shard that the replay gives, also where that differs.

    Raises
    ------
    ForeignJournalError, PositionsDisagreeError, JournalError
        The journal is another service's, disagrees with the committed positions, or cannot be read.
    StoreError, KeyMissingError
        The snapshots cannot be reached, or not be verified.
    ConfigurationDiffersError
        The file's semantic part is not the one in force, and `use_journal_configuration` is off.
    DivergedError
        A replayed step gave another digest than the journal has, and that is not accepted.
    EngineChangedError
        The snapshot was written under another River, and its probes predict differently now.
    """
    started = time.perf_counter()
    begin, end, last = settled_end(source, shard)
    if last is None:
        return _found(source, shard, configuration, started)
    first = next(journal.read(source, shard, begin, end))
    if first.founding is not None or first.sequence == 0:
        journal.check_founding(first, configuration.name, source)

    replay = Replay(source, shard, begin, end, first, last)
    stored = [held.ref for held in snapshots.archive.stored(last.journal, shard)]
    base = _newest_valid(replay, stored, snapshots, configuration.name)
    if base is None:
        journal.check_from_nothing(first, shard)
    since = -1 if base is None else base.header.sequence
    start: Any = first.configuration if base is None else base.header.configuration
    ahead = _Ahead.read(replay, since, start)
    if not use_journal_configuration:
        _check_configuration(
            configuration,
            ahead.configuration,
            waiting(source, shard, last.end["commands"]),
        )
    comparison = Comparison.of(ahead.accepting, accepts=accept_divergence)
    while True:
        try:
            replayed = _replayed(
                shard, replay, base, first, configuration, snapshots, ahead, comparison, on_progress
            )
            break
        except AnotherFailureError:
            continue
    engines = replayed.engines
    return Restored(
        shard=replayed.state,
        journal=last.journal,
        sequence=last.sequence,
        positions=dict(last.end),
        published=replayed.published,
        orphans=orphans(stored, [known.ref for known in replayed.published]),
        announce={} if engines == journal.engines() else {"engines": journal.engines()},
        captures=replayed.captures,
        snapshot=None if base is None else base.header.sequence,
        entries=replayed.entries,
        records=replayed.records,
        seconds=time.perf_counter() - started,
        last=last,
        divergence=comparison.result(CHAMPION),
        header=None if base is None else base.header,
    )


@dataclass(slots=True)
class _Replayed:
    """A state and what the journal had said by then."""

    state: Shard
    engines: dict[str, str]
    published: list[Published]
    captures: list[Capture]
    entries: int = 0
    records: int = 0


def _replayed(
    shard: int,
    replay: Replay,
    base: Snapshot | None,
    first: Entry,
    configuration: Configuration,
    snapshots: Snapshots,
    ahead: _Ahead,
    comparison: Comparison,
    on_progress: OnProgress,
) -> _Replayed:
    """The journal applied again, from a snapshot or from its beginning, and compared."""
    if base is None:
        fresh = Shard(plan_of(configuration, first.configuration or {}), shard)
        found = _Replayed(fresh, first.engines or {}, [], [])
    else:
        loaded = load_shard(configuration, shard, base)
        # A rollback's snapshot is published by its own entry, which it cannot know of; and of two
        # versions cut by one entry it may be the only one that was written.
        own = next(replay.entries(base.header.sequence))
        published = _after(published_at(base), own)
        captures = _unwritten(loaded, own, published, ahead)
        found = _Replayed(loaded, dict(base.header.versions), published, captures)
    for entry, step in replay.steps(-1 if base is None else base.header.sequence):
        found.entries += 1
        found.records += step.size
        found.engines = entry.engines or found.engines
        try:
            decided = step._replace(left_out=comparison.left_out(entry))
            found.state = _applied(found.state, entry, decided, snapshots, configuration)
        except UpdateFailedError as error:
            raise comparison.failed(shard, entry, error) from error
        digest = found.state.parts.digest.hex()
        comparison.compare(shard, entry, digest, found.engines)
        found.published = _after(found.published, entry)
        found.captures += _unwritten(found.state, entry, found.published, ahead)
        on_progress(entry.sequence, ahead.last)
    return found


def _found(source: Log, shard: int, configuration: Configuration, started: float) -> Restored:
    """A new journal: entry 0, to be committed with the start positions."""
    if shard > 0:
        # A partition that was added later has no journal; the first one tells how many there were.
        founded = next(
            iter(source.read(journal.TOPIC, 0, source.begin_offset(journal.TOPIC, 0))), None
        )
        if founded is not None and (first := Entry.decode(founded)).founding is not None:
            journal.check_founding(first, configuration.name, source)
    at = source.begin_offset if configuration.events.start == "earliest" else source.end_offset
    positions = {topic: at(topic, shard) for topic in INPUTS}
    name = uuid.uuid4().hex
    entry = journal.founding_entry(
        name,
        configuration.name,
        source,
        positions,
        EMPTY.hex(),
        configuration.semantic(),
    )
    outputs = [(journal.TOPIC, entry.encode())]
    return Restored(
        shard=Shard(Plan(configuration), shard),
        journal=name,
        sequence=0,
        positions=positions,
        published=[],
        orphans=(),
        announce={},
        captures=[],
        snapshot=None,
        entries=0,
        records=0,
        seconds=time.perf_counter() - started,
        last=entry,
        founding=StepCommit(shard, outputs, positions, note_of(name, 0)),
    )


def _newest_valid(
    replay: Replay, stored: list[SnapshotRef], snapshots: Snapshots, service: str
) -> Snapshot | None:
    """The newest snapshot that is whole, signed, of this service, published, and agrees with its
    entry."""
    for ref in sorted(stored, key=lambda ref: ref.sequence, reverse=True):
        try:
            snapshot = snapshots.archive.read(ref)
        except (StoreError, KeyMissingError):
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


def _problem(replay: Replay, snapshot: Snapshot, ref: SnapshotRef, service: str) -> str | None:
    header = snapshot.header
    if header.service != service:
        return f"it belongs to the service {header.service!r}"
    entries = replay.entries(ref.sequence)
    own = next(entries, None)
    if own is None or own.sequence != ref.sequence:
        return f"the journal has no entry {ref.sequence}"
    if own.digest != header.digest or own.end != header.positions:
        return f"its digest is not that of journal entry {ref.sequence}"
    if not any(
        named["key"] == ref.key for entry in chain([own], entries) for named in entry.published
    ):
        return "the journal has not published it"
    return None


def _check_configuration(
    configuration: Configuration, in_force: dict[str, Any], coming: Iterable[Command]
) -> None:
    """Refuses a file that differs from what the journal has in force, unless a command that waits
    to be applied puts exactly this file in force."""
    wanted = configuration.semantic()
    lines = difference(wanted, in_force)
    if not lines or any(
        isinstance(command, ConfigCommand) and command.configuration == wanted for command in coming
    ):
        return
    raise ConfigurationDiffersError(
        "the file's configuration differs from the one in force in the journal",
        "put the file's in force: driftline config apply --keep (or --fresh); or put the file "
        "back; or go on under the journal's: driftline run --use-journal-config",
        lines,
    )


def _after(published: list[Published], entry: Entry) -> list[Published]:
    if not entry.published and not entry.retired:
        return published
    gone = set(entry.retired)
    before = {known.ref for known in published}
    new = [
        Published(ref, named.get("version"))
        for named in entry.published
        if (ref := parse_key(named["key"])) is not None and ref not in before
    ]
    return [known for known in [*published, *new] if known.ref.key not in gone]


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What the entries after a sequence say beforehand."""

    configuration: dict[str, Any]
    published: set[int]
    accepting: list[Entry]
    last: int

    @classmethod
    def read(cls, replay: Replay, since: int, configuration: dict[str, Any]) -> _Ahead:
        """The configuration in force at the end, the versions that are published by then, the
        entries that accept a difference, and the last one."""
        published: set[int] = set()
        accepting = []
        last = since
        for entry in replay.entries(since + 1):
            configuration = entry.configuration or configuration
            published |= {named["version"] for named in entry.published if "version" in named}
            if entry.accepted is not None:
                accepting.append(entry)
            last = entry.sequence
        return cls(configuration, published, accepting, last)


def _unwritten(
    state: Shard, entry: Entry, published: list[Published], ahead: _Ahead
) -> list[Capture]:
    """The versions that an entry cut and that no later one publishes, of the state after it."""
    return [
        capture_of(state, entry.journal, entry.sequence, entry.end, "version", number, published)
        for outcome in entry.outcomes
        if (number := cut_version(outcome)) is not None and number not in ahead.published
    ]


def _applied(
    state: Shard, entry: Entry, step: Step, snapshots: Snapshots, configuration: Configuration
) -> Shard:
    """The state after an entry: its step applied, or what its command made of the state."""
    if not (step.commands and is_heavy(step.commands[0])):
        state.apply(step)
        return state
    record, outcome = step.commands[0], entry.outcomes[0]
    command = parse_command(record)
    assert isinstance(command, Heavy), "others share their step"
    if outcome["outcome"] == "refused":
        outcomes.refuse(state.parts, record, command, CommandError(outcome["detail"]))
        return state
    if outcome["outcome"] == "replaced":
        outcomes.pass_over(state.parts, record, command)
        return state
    if isinstance(command, ConfigCommand):
        state = reconfigured(state, command)
        outcomes.end_configuration(state.parts, record, command)
        return state
    ref = parse_key(outcome["snapshot"])
    snapshot = None if ref is None else snapshots.archive.read(ref)
    if snapshot is None:
        raise JournalError(
            f"entry {entry.sequence} is a rollback, and its snapshot {outcome['snapshot']} is gone",
            "restore the snapshots' folder or bucket from a backup",
        )
    return load_shard(configuration, state.shard, snapshot)
