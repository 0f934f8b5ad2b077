"""What is wrong with a service, or soon will be: its log and the brokers that have it, its
journals, its snapshots, its disks.

Each check reads and gives findings; none changes anything, but for one object that is put into the
store under a name of its own and deleted again. It works whether a worker runs or not.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from consumers.errors import ConsumersError, TopicsMissingError
from consumers.merge import MERGED
from consumers.transport import Log
from learners.errors import LearnersError
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.keyfile import open_keyring
from learners.snapshots.opening import local_folder, open_store
from learners.snapshots.store import SnapshotStore
from stream.checks.cluster import check_cluster, check_log_of_cluster, inspected
from stream.checks.finding import Finding, State
from stream.configuration import Configuration, difference
from stream.errors import StreamError
from stream.history import History
from stream.opening import history_of, open_service_log
from stream.shard import journal
from stream.shard.effects import RESUME_HINT
from stream.shard.halting import Halted

SCARCE_BYTES: Final = 1_000_000_000
SCARCE_SHARE: Final = 0.05


def examine(configuration: Configuration, now_ms: int | None = None) -> Iterator[Finding]:
    """All findings about a service, in the order in which one would look; `now_ms` is the time
    that ages are told against, that of the call if it is left out."""
    if now_ms is None:
        now_ms = time.time_ns() // 1_000_000
    yield from _disks(configuration)
    archive = yield from _snapshots(configuration)
    try:
        with (
            inspected(configuration) as cluster,
            open_service_log(configuration, create=False) as log,
        ):
            if cluster is not None and not (yield from check_cluster(cluster)):
                return
            yield from _log(configuration, log)
            history = history_of(log)
            yield from _configuration(configuration, history)
            yield from _standing(history)
            yield from _commands(history)
            for shard in range(history.shards):
                yield from _shard(configuration, log, shard, archive)
            if cluster is not None:
                yield from check_log_of_cluster(cluster, configuration, log, archive, now_ms)
    except TopicsMissingError as error:
        yield Finding("log", "warning", str(error), "driftline topics create, or run it")
    except (ConsumersError, StreamError) as error:
        yield Finding("log", "problem", str(error), error.hint)


def _disks(configuration: Configuration) -> Iterator[Finding]:
    places = {"log": configuration.log.removeprefix("sqlite:")}
    if not configuration.log.startswith("sqlite:"):
        del places["log"]
    if configuration.snapshots.url.startswith("file:"):
        places["snapshots"] = configuration.snapshots.url.removeprefix("file:")
    for what, path in places.items():
        folder = Path(path).resolve()
        while not folder.is_dir():
            folder = folder.parent
        usage = shutil.disk_usage(folder)
        free = f"{usage.free / 1e9:,.1f} GB free for the {what}"
        if usage.free < max(SCARCE_BYTES, SCARCE_SHARE * usage.total):
            yield Finding("disk", "warning", free, "free some space: a full disk stops the service")
        else:
            yield Finding("disk", "ok", free)


def _snapshots(
    configuration: Configuration,
) -> Generator[Finding, None, SnapshotArchive | None]:
    """The findings about store and key; returns the archive, or None."""
    settings = configuration.snapshots
    folder = local_folder(settings.url)
    if folder is not None and not folder.exists():
        yield Finding("store", "warning", f"{folder} is not there yet", "the first run makes it")
        return None
    try:
        store = open_store(settings)
        yield from _writable(store)
    except LearnersError as error:
        yield Finding("store", "problem", str(error), error.hint)
        return None
    try:
        keyring = open_keyring(settings, create=False)
    except LearnersError as error:
        state: State = "problem" if store.list() else "warning"
        yield Finding("key", state, str(error), error.hint)
        return None
    yield Finding("key", "ok", "there is a key that signs snapshots")
    return SnapshotArchive(store, keyring)


def _writable(store: SnapshotStore) -> Iterator[Finding]:
    """Puts an object and deletes it; a second put must not replace the first."""
    key = f"doctor/{uuid.uuid4().hex}"
    store.put(key, b"one")
    try:
        refuses = False
        try:
            refuses = not store.put(key, b"two")
        except LearnersError:
            refuses = store.get(key) == b"one"
    finally:
        store.delete(key)
    if refuses:
        yield Finding("store", "ok", f"{store.name} takes snapshots, and never replaces one")
    else:
        yield Finding(
            "store",
            "problem",
            f"{store.name} replaces objects that are there",
            "use a store with conditional puts: a zombie could overwrite a snapshot",
        )


def _log(configuration: Configuration, log: Log) -> Iterator[Finding]:
    partitions = log.partitions()
    if partitions == configuration.log_partitions:
        yield Finding("log", "ok", f"{configuration.log}: {partitions} partitions of each topic")
    else:
        yield Finding(
            "log",
            "problem",
            f"the log has {partitions} partitions, and `log_partitions` is "
            f"{configuration.log_partitions}",
            f"set `log_partitions: {partitions}`, or begin anew: driftline topics create --from",
        )


def _configuration(configuration: Configuration, history: History) -> Iterator[Finding]:
    if not history.configurations:
        yield Finding("configuration", "warning", "the service has never run", "driftline run")
        return
    lines = difference(configuration.semantic(), history.configurations[-1][1])
    if not lines:
        yield Finding("configuration", "ok", "the file says what is in force")
        return
    yield Finding(
        "configuration",
        "problem",
        f"the file differs from what is in force: {'; '.join(lines)}",
        "driftline config apply --keep or --fresh, or run --use-journal-config",
    )


def _standing(history: History) -> Iterator[Finding]:
    for shard, standing in sorted(history.standing.items()):
        told = {"learns no more": standing["suspended"]}
        if standing["halted"] is not None:
            told["has halted"] = str(Halted(**standing["halted"]))
        for what, why in told.items():
            if why is not None:
                yield Finding("shards", "problem", f"shard {shard} {what}: {why}", RESUME_HINT)


def _commands(history: History) -> Iterator[Finding]:
    for given in history.pending():
        missing = [shard for shard in range(history.shards) if shard not in given.outcomes]
        yield Finding(
            "commands",
            "warning",
            f"the {given.command.command} {given.command.id} is not applied on shards {missing}",
            "it is applied when a worker runs them",
        )


def _shard(
    configuration: Configuration, log: Log, shard: int, archive: SnapshotArchive | None
) -> Iterator[Finding]:
    committed = log.committed(shard)
    begin, end = log.begin_offset(journal.TOPIC, shard), log.end_offset(journal.TOPIC, shard)
    last = journal.last(log, shard, begin, end)
    if last is None:
        return
    first = next(journal.read(log, shard, begin, end))
    try:
        if first.founding is not None:
            journal.check_founding(first, configuration.name, log)
    except StreamError as error:
        yield Finding("journal", "problem", f"shard {shard}: {error}", error.hint)
        return
    # A worker may have gone on since the positions were read, and never back.
    behind = committed is not None and any(
        committed.positions[topic] > last.end[topic] for topic in last.end
    )
    if behind:
        yield Finding(
            "journal",
            "problem",
            f"shard {shard}: the committed positions lie beyond the journal's last entry, "
            f"{last.sequence}",
            "somebody has moved the group's offsets, or the journal lost its end: restore it",
        )
    else:
        yield Finding("journal", "ok", f"shard {shard} is at entry {last.sequence}")
    if archive is None:
        return
    yield from _newest(log, shard, archive, last)


def _newest(
    log: Log, shard: int, archive: SnapshotArchive, last: journal.Entry
) -> Iterator[Finding]:
    stored = sorted(
        (held.ref for held in archive.stored(last.journal, shard)), key=lambda ref: -ref.sequence
    )
    if not stored:
        yield Finding(
            "snapshots",
            "warning",
            f"shard {shard} has no snapshot: a restart replays everything",
            "one is taken when due, and on SIGTERM",
        )
        return
    newest = None
    for ref in stored:
        try:
            newest = archive.read(ref)
        except LearnersError as error:
            yield Finding(
                "snapshots", "problem", f"shard {shard}: {error}", getattr(error, "hint", None)
            )
        if newest is not None:
            break
    if newest is None:
        return
    header = newest.header
    lost = {
        topic: log.begin_offset(topic, shard)
        for topic in MERGED
        if log.begin_offset(topic, shard) > header.positions[topic]
    }
    if lost:
        yield Finding(
            "snapshots",
            "problem",
            f"shard {shard}: the newest snapshot needs the log from {header.positions} on, and it "
            f"begins at {lost}",
            "keep the log longer than snapshots are apart; take one now with SIGTERM",
        )
        return
    left = last.sequence - header.sequence
    yield Finding(
        "snapshots",
        "ok",
        f"shard {shard}: the newest valid one is of entry {header.sequence}; {left} entries would "
        "be replayed",
    )
