"""A rollback with --skip predicts from then on, bit for bit, what a run predicts that never saw
those records.

`pytest -k 'seed-17'` repeats a run. The clean run takes the journal's cuts and ticks, since live
cuts depend on when records arrive; where all was written beforehand it is a service of its own.
"""

from __future__ import annotations

import random

import pytest

from stream.worker import Worker
from tests.simulation.clean import check_like_clean_runs
from tests.simulation.draw import Drawn, draw
from tests.simulation.operator import Operator
from tests.simulation.spied import Spied
from tests.simulation.world import World, busy

SEEDS = 40


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
    worker = world.start()
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
    return world.start()
