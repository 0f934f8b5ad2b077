"""A rollback with --skip predicts from then on, bit for bit, what a run predicts that never saw
those records.

`pytest -k 'seed-17'` repeats a run. The clean run takes the journal's cuts and ticks, since live
cuts depend on when records arrive; where all was written beforehand it is a service of its own.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from stream.commands import SkipRange
from stream.history import read_history
from stream.worker import Worker
from tests.simulation.clean import answers, check_equal, check_like_clean_runs
from tests.simulation.draw import Drawn, draw
from tests.simulation.operator import Operator
from tests.simulation.spied import Spied
from tests.simulation.streams import Meant
from tests.simulation.world import World, busy

SEEDS = 30
ALONE_SEEDS = 20


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
def test_a_skip_predicts_what_a_run_predicts_that_never_saw_the_records(seed: int):
    # Given a live stream
    drawn = draw(seed)
    world = _world(drawn)
    # When there are versions, aliases, rollbacks of all kinds and restarts meanwhile
    worker = _live(world, drawn, Operator(world.log, random.Random(f"operator {seed}")))
    # Then from its last rollback on it says what the clean run says, and is what that is
    check_like_clean_runs(world, worker)
    worker.transport.close()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS, 1_000), ids=lambda seed: f"seed-{seed}")
def test_skips_in_many_more_streams(seed: int):
    test_a_skip_predicts_what_a_run_predicts_that_never_saw_the_records(seed)
    test_in_a_log_written_beforehand_a_skip_is_a_service_that_got_less(seed)


def _world(drawn: Drawn) -> Spied:
    return Spied(
        drawn.configuration,
        random.Random(drawn.seed),
        partitions=drawn.shards,
        deferred=drawn.deferred,
        poll_sizes=drawn.poll_sizes,
    )


def _live(world: World, drawn: Drawn, operator: Operator) -> Worker:
    """Appends, silence, commands and restarts, until the stream is at its end."""
    rng = world.rng
    unwritten = list(drawn.stream)
    worker = world.start(use_journal_configuration=True)
    while worker.turn(0.0) or unwritten or not worker.runners or busy(worker):
        world.executor.some(rng.randrange(3))
        if not unwritten:
            continue
        draw = rng.random()
        if draw < 0.6:
            count = rng.randrange(1, 25)
            world.write(unwritten[:count])
            del unwritten[:count]
        elif draw < 0.75:
            world.now_s += rng.choice([0.01, 30.0, 4_000.0])
        elif draw < 0.95:
            operator.act()
        else:
            worker = _restart(world, worker)
    return worker


def _restart(world: World, worker: Worker) -> Worker:
    if world.rng.random() < 0.5:
        worker.leave()
        worker.transport.close()
    else:
        world.bury()
    return world.start(use_journal_configuration=True)


@pytest.mark.parametrize("seed", range(ALONE_SEEDS), ids=lambda seed: f"seed-{seed}")
def test_in_a_log_written_beforehand_a_skip_is_a_service_that_got_less(seed: int):
    # Given a log that holds everything, of which a worker has applied some
    drawn, rng = draw(seed), random.Random(f"alone {seed}")
    stream = _plain(drawn.stream)
    world = _world(drawn)
    world.write(stream)
    worker = world.start(use_journal_configuration=True)
    for _ in range(rng.randrange(3, 15)):
        worker.turn(0.0)
    # When two ranges are skipped, applied by then or not, and it goes on to the end
    operator = Operator(world.log, rng)
    operator.version()
    while len(operator.given) < 3:
        worker.turn(0.0)
        operator.skip()
    world.work(worker)
    # Then it is what a service is that never got those records
    history = read_history(world.log)
    assert all(given.outcomes[0]["outcome"] == "applied" for given in history.commands)
    alone = _world(drawn)
    alone.write(_without(stream, history.skips))
    other = alone.start()
    alone.work(other)
    for shard, runner in worker.runners.items():
        check_equal(runner.shard, other.runners[shard].shard, but=("held",))
        last = history.versions[history.current()].cuts[shard].sequence
        since = [
            answer
            for at, said in world.said[shard].items()
            if at > last
            for answer in answers(said)
        ]
        all_of_it = [answer for said in alone.said[shard].values() for answer in answers(said)]
        assert since == all_of_it[len(all_of_it) - len(since) :]
    worker.transport.close()
    other.transport.close()


def _plain(stream: list[Meant]) -> list[Meant]:
    """The stream with no event's id twice, and no merge time that goes back.

    An id that comes again after the rollback would find the labels that this has done with; and a
    merge time that goes back makes the order depend on the cuts.
    """
    found, ids = [], set()
    clock: dict[tuple[str, int], int] = {}
    for meant in stream:
        if meant.topic == "events" and meant.id in ids:
            continue
        ids.add(meant.id if meant.topic == "events" else None)
        place = meant.topic, meant.shard
        clock[place] = max(clock.get(place, 0), meant.merge_ms)
        found.append(replace(meant, merge_ms=clock[place]))
    return found


def _without(stream: list[Meant], skips: list[SkipRange]) -> list[Meant]:
    found = []
    offsets: Counter[tuple[str, int]] = Counter()
    for meant in stream:
        place = meant.topic, meant.shard
        if not any(skip.holds(*place, offsets[place]) for skip in skips):
            found.append(meant)
        offsets[place] += 1
    return found
