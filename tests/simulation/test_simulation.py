"""Nothing is lost: a hundred seeds of streams, configurations and deaths, each run to the end.

Every seed is a run of its own, drawn from its number alone: `pytest -k 'seed-17'` repeats it, to
the last bit.
"""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import orjson
import pytest

from consumers.record import Record
from consumers.transport import INPUTS
from learners.errors import StoreError
from learners.snapshots.reference import parse_key
from learners.snapshots.settings import SnapshotsSettings
from stream.shard.effects import Outputs
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step
from stream.shard.updates import place_in
from stream.worker import Worker
from tests.simulation.draw import Drawn, draw
from tests.simulation.oracle import expected
from tests.simulation.streams import Meant
from tests.simulation.world import BOUNDARIES, Crash, World, bodies, busy
from tests.stream.builders import UNSCHEDULED

SEEDS = 100
MOST_DEATHS = 8
RESULTS = ("predictions", "alerts", "dead-letters")


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
def test_nothing_is_lost_wherever_workers_die(seed: int):
    # Given a stream, a configuration and a world in which workers die
    drawn = draw(seed)
    world = _deadly(drawn)
    # When workers take over from one another until everything is done
    digests = _survive(world, drawn)
    # Then every record has one outcome, under a journal without gaps
    for shard in range(drawn.shards):
        _check_journal(world, shard, digests[shard])
        _check_results(world, drawn, shard)
        _check_replay(world, drawn, shard)
    # And what is stored is what the journal says, after a clean stop and one more start
    _check_store(world, drawn)
    # And where the merged order is fixed, nobody could tell that anyone had died
    if not drawn.live:
        _check_like_uninterrupted(world, drawn, digests)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS, 3_000), ids=lambda seed: f"seed-{seed}")
def test_nothing_is_lost_in_many_more_worlds(seed: int):
    test_nothing_is_lost_wherever_workers_die(seed)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_workers_do_die_at_every_boundary(boundary: str):
    seeds = range(BOUNDARIES.index(boundary), SEEDS, len(BOUNDARIES))
    assert any(_deaths_at(boundary, seed) for seed in seeds)


def _deaths_at(boundary: str, seed: int) -> int:
    drawn = draw(seed)
    assert drawn.focus == boundary
    world = _deadly(drawn)
    _survive(world, drawn)
    return world.deaths.at[boundary]


def _deadly(drawn: Drawn) -> World:
    """The seed's world, with what it holds against workers."""
    world = World(
        drawn.configuration,
        random.Random(drawn.seed),
        partitions=drawn.shards,
        flaky=drawn.flaky,
        deferred=drawn.deferred,
        poll_sizes=drawn.poll_sizes,
    )
    world.deaths.probability = drawn.deaths
    world.deaths.sure = drawn.focus
    world.deaths.most = MOST_DEATHS
    return world


def _survive(world: World, drawn: Drawn) -> dict[int, str]:
    """Lives, one after the other, until one has come to the end and stopped cleanly; the digests of
    the shards."""
    unwritten = list(drawn.stream)
    if not drawn.live:
        world.write(unwritten)
        unwritten = []
    while True:
        try:
            worker = world.start()
            _live(world, worker, unwritten)
            world.wait_out(worker)
            world.store.probability = 0.0
            worker.leave()
            worker.transport.close()
        except (Crash, StoreError):
            # A store that is down while a state is restored stops the worker, and somebody starts
            # it again.
            world.bury()
            _check_published_exist(world, drawn)
        else:
            return {
                shard: runner.shard.parts.digest.hex() for shard, runner in worker.runners.items()
            }


def _live(world: World, worker: Worker, unwritten: list[Meant]) -> None:
    """Turns, and other people's appends between them, until nothing is left."""
    while worker.turn(0.0) or unwritten or not worker.runners or busy(worker):
        world.executor.some(world.rng.randrange(3))
        if unwritten and world.rng.random() < 0.8:
            count = world.rng.randrange(1, 25)
            world.write(unwritten[:count])
            del unwritten[:count]
        elif unwritten:
            # Nothing comes for a while, and waits end by a tick.
            world.now_s += world.rng.choice([0.01, 30.0, 4_000.0])


def _check_published_exist(world: World, drawn: Drawn) -> None:
    flaky, world.store.probability = world.store.probability, 0.0
    for shard in range(drawn.shards):
        for key in world.published(shard):
            ref = parse_key(key)
            assert ref is not None
            assert world.archive.read(ref) is not None, f"{key} is published and not there"
    world.store.probability = flaky


def _check_journal(world: World, shard: int, digest: str) -> None:
    entries = world.entries(shard)
    assert [entry.sequence for entry in entries] == list(range(len(entries)))
    assert len({entry.journal for entry in entries}) == 1
    for before, after in pairwise(entries):
        assert after.start == before.end, f"entry {after.sequence} does not begin where it should"
    ticks = [entry.tick_ms for entry in entries if entry.tick_ms is not None]
    assert all(before < after for before, after in pairwise(ticks)), "every tick moves the clock"
    last = entries[-1]
    assert last.end == {topic: world.log.end_offset(topic, shard) for topic in INPUTS}
    assert last.digest == digest
    committed = world.log.committed(shard)
    assert committed is not None
    assert committed.positions == last.end
    note = orjson.loads(committed.note)
    assert note == {"journal": last.journal, "sequence": last.sequence}


def _check_results(world: World, drawn: Drawn, shard: int) -> None:
    """One result per event, one outcome per label; which, the oracle knows where nothing ticked."""
    stream = [meant for meant in drawn.stream if meant.shard == shard]
    predicted = [_source(record)[1] for record in world.outputs("predictions", shard)]
    dead = [_reason(record) for record in world.outputs("dead-letters", shard)]
    sources = Counter([("events", offset) for offset in predicted])
    sources.update((topic, offset) for topic, offset, _ in dead)
    assert set(sources.values()) <= {1}, "no record has two results"
    events = [meant for meant in stream if meant.topic == "events"]
    assert {source for source in sources if source[0] == "events"} == {
        ("events", offset) for offset in range(len(events))
    }
    counters = world.restored[shard].shard.parts.counters
    inline = sum(events[offset].label is not None for offset in predicted)
    labels = sum(meant.topic == "labels" for meant in stream)
    dead_labels = sum(topic == "labels" for topic, _, _ in dead)
    assert counters.joined - inline + counters.corrected + dead_labels == labels
    if drawn.live or drawn.bounded:
        return
    default = drawn.configuration.labels.default is not None
    wanted = expected(stream, drawn.wait_ms, default=default, poisoned=drawn.poisoned)
    assert predicted == wanted.predicted
    assert dead == wanted.dead
    found = (counters.joined, counters.corrected, counters.assumed)
    assert found == (wanted.joined, wanted.corrected, wanted.assumed)


def _check_replay(world: World, drawn: Drawn, shard: int) -> None:
    """The journal, applied from entry 0 by a shard that never died, gives the same results and the
    same state."""
    entries = world.entries(shard)
    fresh = Shard(Plan(drawn.configuration), shard)
    outputs: Outputs = []
    for entry in entries[1:]:
        inputs = {
            topic: list(world.log.read(topic, shard, entry.start[topic], entry.end[topic]))
            for topic in INPUTS
        }
        decided = {place_in(told): told["detail"] for told in entry.left_out}
        step = Step.of(entry.start, entry.end, inputs, entry.tick_ms)
        fresh.apply(step._replace(left_out=decided), outputs)
        assert fresh.parts.digest.hex() == entry.digest, f"entry {entry.sequence} differs"
    for topic in RESULTS:
        again = [record for name, record in outputs if name == topic]
        assert bodies(again) == bodies(world.outputs(topic, shard))


def _check_store(world: World, drawn: Drawn) -> None:
    world.deaths.most = 0
    for _ in range(2):
        states = {
            shard: world.restored[shard].shard.parts.dump_plain() for shard in range(drawn.shards)
        }
        worker = world.start()
        world.work(worker)
        for shard, restored in world.restored.items():
            assert restored.records == 0, "a clean stop leaves nothing to replay"
            assert restored.shard.parts.dump_plain() == states[shard]
        worker.leave()
        worker.transport.close()
    _check_published_exist(world, drawn)
    for shard in range(drawn.shards):
        published = world.published(shard)
        assert 1 <= len(published) <= 2
        # One at the newest's own sequence may be about to be published: the next one retires it.
        newest = max(published).rpartition("-")[0]
        left = [key for key in world.stored(shard) - published if key.rpartition("-")[0] < newest]
        assert left == []


def _check_like_uninterrupted(world: World, drawn: Drawn, digests: dict[int, str]) -> None:
    """A worker that never died nor took a snapshot, in steps of another size, has said the same."""
    rarely = {"snapshots": SnapshotsSettings.model_validate(UNSCHEDULED)}
    calm = World(
        drawn.configuration.model_copy(update=rarely),
        random.Random(0),
        partitions=drawn.shards,
        poll_sizes=(13,),
    )
    calm.write(drawn.stream)
    worker = calm.start()
    calm.work(worker)
    calm.wait_out(worker)
    for shard, runner in worker.runners.items():
        assert runner.shard.parts.digest.hex() == digests[shard]
        for topic in RESULTS:
            assert bodies(calm.outputs(topic, shard)) == bodies(world.outputs(topic, shard))


def _source(prediction: Record) -> tuple[str, int]:
    source = orjson.loads(prediction.value or b"")["source"]
    return source["topic"], source["offset"]


def _reason(letter: Record) -> tuple[str, int, str]:
    headers = dict(letter.headers)
    return headers["topic"].decode(), int(headers["offset"]), headers["reason"].decode()
