"""Recovery: what it starts from, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from consumers.record import NewRecord, Record
from consumers.transport import INPUTS, OUTPUTS, StepCommit
from learners.errors import KeyMissingError, StoreError
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.container import Snapshot, encode_snapshot
from learners.snapshots.probes import Probe
from learners.snapshots.reference import SnapshotRef, parse_key
from learners.snapshots.signing import Keyring, SigningKey
from stream.configuration import Configuration, parse
from stream.errors import (
    ConfigurationDiffersError,
    DivergedError,
    EngineChangedError,
    ForeignJournalError,
    JournalError,
    PositionsDisagreeError,
    StreamError,
)
from stream.recovery import RecoveryStoppedError
from stream.shard.journal import Entry, engines, note_of
from stream.shard.restore import Restored
from tests.simulation.streams import Meant, draw_stream
from tests.simulation.world import KEYRING, Crash, World

WAIT_MS = 600_000
SNAPSHOTS = {"url": "memory:", "min_interval": "1us", "every_events": 90}


def configured(**changes: Any) -> Configuration:
    content = {
        "name": "shop",
        "log": "memory:",
        "events": {"id": "id", "time": "at"},
        "labels": {"wait": "10m", "default": False},
        "task": "binary",
        "model": ["preprocessing.StandardScaler", "linear_model.LogisticRegression"],
        "detectors": [{"name": "error", "signal": "error", "method": "ADWIN"}],
        "snapshots": SNAPSHOTS,
    }
    return parse({**content, **changes}, "test")


def stream(events: int = 200) -> list[Meant]:
    return draw_stream(
        random.Random(7), task="binary", shards=1, events=events, wait_ms=WAIT_MS, inline=False
    )


def lived(**changes: Any) -> World:
    """A service that has worked through its stream and died in the middle of the day: it has two
    snapshots, and some entries after the newest."""
    world = World(configured(**changes), random.Random(1), poll_sizes=(20,))
    world.write(stream())
    world.work(world.start())
    world.log.kill_worker()
    assert len(world.published(0)) == 2
    return world


def restored(world: World, **options: Any) -> Restored:
    """What a new worker starts from; nothing is done with it."""
    worker = world.start(**options)
    try:
        # The first turn restores, and has nothing to apply yet.
        worker.turn(0.0)
    finally:
        worker.transport.close()
    return world.restored[0]


def refused(world: World, error: type[StreamError], **options: Any) -> Any:
    """The error with which a new worker refuses to start, having changed nothing."""
    before = world.everything()
    with pytest.raises(error) as caught:
        restored(world, **options)
    assert world.everything() == before
    assert caught.value.hint, "every refusal names the way on"
    return caught.value


def copied(
    world: World,
    *,
    partitions: int = 1,
    change: Callable[[Entry], Entry] = lambda entry: entry,
    without: int = 0,
) -> World:
    """The same topics and store under a new log, which has no committed positions.

    `change` rewrites the journal, whose last `without` entries are left out.
    """
    copy = World(world.configuration, random.Random(2), partitions=partitions)
    copy.store, copy.archive = world.store, world.archive
    for topic in (*INPUTS, *OUTPUTS):
        for record in world.log.read(topic, 0, 0):
            if topic == "journal" and record.offset >= world.log.end_offset(topic, 0) - without:
                break
            value = change(Entry.decode(record)).encode().value if topic == "journal" else None
            copy.log.append([(topic, 0, _again(record, value or record.value))])
    return copy


def commit(world: World, positions: dict[str, int], note: str) -> None:
    """Commits positions behind the service's back."""
    transport = world.log.join()
    transport.commit([StepCommit(0, [], positions, note)])
    transport.close()


def newest(world: World) -> list[SnapshotRef]:
    """The published snapshots, newest first."""
    refs = [ref for key in sorted(world.published(0), reverse=True) if (ref := parse_key(key))]
    assert refs
    return refs


def damage(world: World, ref: SnapshotRef) -> None:
    data = bytearray(world.store.get(ref.key) or b"")
    data[len(data) // 2] ^= 1
    world.store.delete(ref.key)
    world.store.put(ref.key, bytes(data))


def _again(record: Record, value: bytes | None) -> NewRecord:
    return NewRecord(value, record.key, record.headers, record.timestamp_ms)


# What recovery starts from


def test_it_starts_from_the_newest_snapshot_and_replays_only_what_came_after():
    world = lived()
    found = restored(world)
    assert found.snapshot == newest(world)[0].sequence
    assert found.sequence == world.entries(0)[-1].sequence
    assert 0 < found.records < len(stream())
    assert found.entries == found.sequence - found.snapshot
    assert found.shard.parts.digest.hex() == world.entries(0)[-1].digest


def test_a_damaged_snapshot_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture):
    world = lived()
    wanted = restored(world).shard.parts.dump_plain()
    last, before = newest(world)
    damage(world, last)
    found = restored(world)
    assert found.snapshot == before.sequence
    assert found.shard.parts.dump_plain() == wanted
    (warning,) = [line for line in caplog.messages if last.id in line]
    assert "passed over" in warning


def test_without_a_sound_snapshot_everything_is_replayed(caplog: pytest.LogCaptureFixture):
    world = lived()
    wanted = restored(world).shard.parts.dump_plain()
    for ref in newest(world):
        damage(world, ref)
    found = restored(world)
    assert found.snapshot is None
    assert found.entries == found.sequence + 1
    assert found.shard.parts.dump_plain() == wanted
    assert caplog.text.count("passed over") == 2


def test_a_snapshot_that_was_moved_is_not_taken_for_another(caplog: pytest.LogCaptureFixture):
    # Given the older snapshot under the name of the newest: both are ours and sound
    world = lived()
    last, before = newest(world)
    world.store.delete(last.key)
    world.store.put(last.key, world.store.get(before.key) or b"")
    assert restored(world).snapshot == before.sequence
    assert "passed over" in caplog.text


def test_an_unpublished_snapshot_is_passed_over_and_later_retired_and_deleted(
    caplog: pytest.LogCaptureFixture,
):
    # Given a worker that died between the put and the publication
    world = World(configured(), random.Random(1), poll_sizes=(20,))
    records = stream()
    world.write(records[:150])
    world.work(world.start())
    world.log.kill_worker()
    published = newest(world)
    known = world.stored(0)
    world.write(records[150:220])
    world.deaths.sure = "snapshot put"
    with pytest.raises(Crash):
        world.work(world.start())
    world.bury()
    (orphan,) = world.stored(0) - known
    # Then the next one does not start from it
    worker = world.start()
    worker.turn(0.0)
    assert world.restored[0].snapshot == published[0].sequence
    assert "the journal has not published it" in caplog.text
    # And when another has been published and the service starts anew, it goes
    world.write(records[220:])
    world.work(worker)
    worker.leave()
    worker.transport.close()
    world.work(world.start())
    (retired,) = [entry for entry in world.entries(0) if orphan in entry.retired]
    assert orphan not in world.stored(0)
    # Journalled first: the entry that retires it is committed before the object goes
    assert retired.sequence > newest(world)[0].sequence


def test_a_snapshot_whose_digest_is_not_the_journals_is_passed_over(
    caplog: pytest.LogCaptureFixture,
):
    # Given a newest snapshot, signed by us and published, of another state
    world = lived()
    last, before = newest(world)
    other = rewritten(world, last, digest="ab" * 32)
    assert restored(other).snapshot == before.sequence
    assert f"its digest is not that of journal entry {last.sequence}" in caplog.text


def test_without_committed_positions_the_journals_are_used():
    world = lived()
    copy = copied(world)
    assert copy.log.committed(0) is None
    found = restored(copy)
    assert found.positions == world.entries(0)[-1].end
    assert found.sequence == world.entries(0)[-1].sequence


def test_a_log_trimmed_below_a_snapshot_is_enough():
    world = lived()
    wanted = restored(world).shard.parts.dump_plain()
    sequence = newest(world)[1].sequence
    for topic, position in world.entries(0)[sequence].end.items():
        world.log.trim(topic, 0, position)
    assert restored(world).shard.parts.dump_plain() == wanted


# What a clean stop leaves


def test_a_clean_stop_after_a_crash_leaves_nothing_to_replay():
    # Given a worker that replayed records, and had nothing more to do
    world = lived()
    worker = world.start()
    world.work(worker)
    assert world.restored[0].records > 0
    worker.leave()
    worker.transport.close()
    assert restored(world).records == 0


def test_a_clean_stop_makes_up_for_a_snapshot_that_could_not_be_written():
    # Given a store that was down when the last snapshot was taken, and no record since
    world = World(configured(snapshots={**SNAPSHOTS, "every_events": 1}), random.Random(1))
    world.write(stream())
    world.store.probability = 1.0
    worker = world.start()
    world.work(worker)
    assert world.stored(0) == set()
    world.store.probability = 0.0
    worker.leave()
    worker.transport.close()
    assert restored(world).records == 0


def test_a_clean_stop_publishes_what_is_being_written():
    # Given a snapshot on its way to a slow store, and records since
    config = configured(snapshots={**SNAPSHOTS, "every_events": 100})
    world = World(config, random.Random(1), poll_sizes=(20,), deferred=True)
    world.write(stream())
    worker = world.start()
    while not any(runner.checkpointer.is_writing() for runner in worker.runners.values()):
        worker.turn(0.0)
    worker.turn(0.0)
    worker.leave()
    worker.transport.close()
    # Then both are published, and none is left over
    assert len(world.published(0)) == 2
    assert world.stored(0) == world.published(0)


# What recovery refuses


def test_a_log_trimmed_above_what_a_replay_needs():
    world = lived()
    for ref in newest(world):
        damage(world, ref)
    world.log.trim("events", 0, 10)
    error = refused(world, JournalError)
    assert "events offset 0" in str(error)
    assert "the log begins at 10" in str(error)


def test_a_journal_without_its_beginning_and_without_a_snapshot():
    world = lived()
    for ref in newest(world):
        damage(world, ref)
    world.log.trim("journal", 0, 3)
    assert "begins with entry 3" in str(refused(world, JournalError))


def test_positions_that_are_not_the_last_entrys():
    world = lived()
    last = world.entries(0)[-1]
    note = note_of(last.journal, last.sequence)
    commit(world, {**last.end, "events": last.end["events"] - 1}, note)
    assert "the journal ends with entry" in str(refused(world, PositionsDisagreeError))


def test_equal_positions_under_the_note_of_another_entry():
    # Given the end of the journal lost: its last entry moved no position, so the note alone tells
    world = lived()
    last = world.entries(0)[-1]
    commit(world, last.end, note_of(last.journal, last.sequence + 1))
    refused(world, PositionsDisagreeError)


def test_equal_positions_under_the_note_of_another_journal():
    world = lived()
    last = world.entries(0)[-1]
    commit(world, last.end, note_of("another", last.sequence))
    refused(world, PositionsDisagreeError)


def test_positions_ahead_of_a_journal_that_was_restored_from_an_older_copy():
    world = lived()
    older = copied(world, without=3)
    committed = world.log.committed(0)
    assert committed is not None
    commit(older, committed.positions, committed.note)
    refused(older, PositionsDisagreeError)


def test_positions_without_a_journal():
    world = World(configured(), random.Random(1))
    commit(world, dict.fromkeys(INPUTS, 0), note_of("gone", 5))
    refused(world, PositionsDisagreeError)


def test_the_journal_of_another_service():
    world = lived()
    world.configuration = world.configuration.model_copy(update={"name": "bank"})
    error = refused(world, ForeignJournalError)
    assert "'shop'" in str(error)
    assert "'bank'" in str(error)


def test_the_journal_of_another_partition_count():
    error = refused(copied(lived(), partitions=2), ForeignJournalError)
    assert "1 partitions; the log has 2" in str(error)


def test_a_journal_topic_that_holds_something_else():
    world = lived()
    world.log.append([("journal", 0, NewRecord(b'{"hello": "world"}'))])
    refused(world, JournalError)


def test_a_journal_of_a_newer_format():
    world = lived()
    last = world.outputs("journal", 0)[-1]
    value = (last.value or b"").replace(b'"format":1', b'"format":2')
    world.log.append([("journal", 0, NewRecord(value))])
    assert "format 2" in str(refused(world, JournalError))


@pytest.mark.parametrize("tampered", [1, 4, -1])
def test_a_differing_digest_names_the_first_differing_entry(tampered: int):
    # Given a journal in which one entry, and all after it, say something else
    world = lived()
    for ref in newest(world):
        world.store.delete(ref.key)
    last = world.entries(0)[-1].sequence
    first = tampered % (last + 1)

    def change(entry: Entry) -> Entry:
        return dataclasses.replace(entry, digest="cd" * 32) if entry.sequence >= first else entry

    error = refused(copied(world, change=change), DivergedError)
    assert (error.shard, error.sequence) == (0, first)
    assert f"journal entry {first}" in str(error)


def test_a_store_that_cannot_be_reached():
    # Rather than replay a year because of a moment's outage
    world = lived()
    before = world.everything()
    world.store.probability = 1.0
    with pytest.raises(StoreError):
        restored(world)
    world.store.probability = 0.0
    assert world.everything() == before


def test_snapshots_signed_with_a_key_that_is_not_at_hand():
    # Rather than replay a year because a key file was not mounted
    world = lived()
    before = world.everything()
    world.archive = SnapshotArchive(world.store, Keyring((SigningKey(bytes(32)),)))
    with pytest.raises(KeyMissingError) as caught:
        restored(world)
    assert caught.value.hint
    assert world.everything() == before


def test_a_stop_during_a_long_replay_is_heeded_and_changes_nothing():
    world = lived()
    for ref in newest(world):
        world.store.delete(ref.key)
    world.restored.clear()
    before = world.everything()
    worker = world.start()
    worker.stop()
    # given a stop before the first turn, the replay from entry 0 is given up at its first entry
    with pytest.raises(RecoveryStoppedError):
        worker.turn(0.0)
    worker.transport.close()
    assert world.restored == {}
    assert world.everything() == before


def test_another_configuration_with_what_differs():
    world = lived()
    world.configuration = configured(labels={"wait": "20m", "default": False}, threshold=0.3)
    error = refused(world, ConfigurationDiffersError)
    assert [line.partition(":")[0] for line in error.difference] == ["labels.wait", "threshold"]
    assert "--use-journal-config" in error.hint


@pytest.mark.parametrize("from_snapshot", [True, False])
def test_the_journals_configuration_is_a_way_on(from_snapshot: bool):
    world = lived()
    wanted = restored(world).shard.parts.dump_plain()
    if not from_snapshot:
        for ref in newest(world):
            world.store.delete(ref.key)
    in_force = world.configuration
    world.configuration = configured(threshold=0.3, snapshots={"url": "memory:", "every": "1h"})
    found = restored(world, use_journal_configuration=True)
    assert found.shard.parts.dump_plain() == wanted
    assert found.shard.plan.configuration.semantic() == in_force.semantic()
    # Where snapshots go is no business of the journal
    assert found.shard.plan.configuration.snapshots == world.configuration.snapshots


# Other engines. There is one River here, so its version is forged in a snapshot that we sign: what
# is tried is that the service acts on the header and the probes, not that two Rivers differ.


def rewritten(world: World, ref: SnapshotRef, **changes: Any) -> World:
    """The world as if the snapshot had been written with another header, and published so."""
    found = world.archive.read(ref)
    assert isinstance(found, Snapshot)
    header = found.header.model_copy(update=changes)
    forged = encode_snapshot(header, found.sections, KEYRING.signing)
    world.store.delete(ref.key)
    world.archive.write(forged)

    def change(entry: Entry) -> Entry:
        published = [
            {**named, "key": forged.ref.key} if named["key"] == ref.key else named
            for named in entry.published
        ]
        return dataclasses.replace(entry, published=published)

    return copied(world, change=change)


def test_another_river_with_equal_probes_goes_on_and_is_journalled():
    world = lived()
    then = {**engines(), "river": "0.25.0"}
    other = rewritten(world, newest(world)[0], versions=then)
    worker = other.start()
    other.work(worker)
    worker.transport.close()
    assert other.restored[0].snapshot == newest(other)[0].sequence
    last = other.entries(0)[-1]
    assert last.engines == engines()
    # Said once: the next start finds nothing new
    assert restored(other).announce == {}


def test_another_river_with_unequal_probes_is_refused():
    world = lived()
    ref = newest(world)[0]
    found = world.archive.read(ref)
    assert found is not None
    assert found.header.probes, "a snapshot carries probes"
    probes = tuple(
        Probe(learner=probe.learner, features=probe.features, answer=[True, 0.123])
        for probe in found.header.probes
    )
    other = rewritten(world, ref, versions={**engines(), "river": "0.25.0"}, probes=probes)
    error = refused(other, EngineChangedError)
    assert "River 0.25.0" in str(error)
    assert engines()["river"] in str(error)


def test_probes_are_asked_under_the_threshold_that_was_learnt():
    # Given a learnt threshold far from one half, in force when the snapshot was taken
    world = World(
        configured(
            threshold={"cost": {"false_positive": 50, "false_negative": 1}},
            labels={"wait": "20s"},
            events={"id": "id", "time": "at", "label": "y"},
            snapshots={"url": "memory:", "min_interval": "1us", "every_events": 20},
        ),
        random.Random(1),
        poll_sizes=(20,),
    )
    world.write(
        draw_stream(
            random.Random(5), task="binary", shards=1, events=400, wait_ms=20_000, inline=True
        )
    )
    worker = world.start()
    world.work(worker)
    learnt = worker.runners[0].shard.parts.learner.threshold
    assert learnt is not None
    assert learnt > 0.8
    world.log.kill_worker()
    # Then recovery accepts it
    assert restored(world).shard.parts.learner.threshold == learnt
