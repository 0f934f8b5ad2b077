"""A rollback with --skip predicts from then on, bit for bit, what a run predicts that never saw
those records.

`pytest -k 'seed-17'` repeats a run. The clean run takes the journal's cuts and ticks, since live
cuts depend on when records arrive; where all was written beforehand it is a service of its own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import orjson
import pytest

from consumers.transport import StepCommit, Transport
from stream.history import read_history
from stream.shard.effects import Outputs
from stream.shard.shard import Shard
from stream.worker import Worker
from tests.simulation.clean import CleanRun
from tests.simulation.draw import Drawn, draw
from tests.simulation.operator import Operator
from tests.simulation.world import World, busy

SEEDS = 60

Said = dict[int, dict[int, Outputs]]


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
def test_a_skip_predicts_what_a_run_predicts_that_never_saw_the_records(seed: int):
    # Given a service with versions, aliases, rollbacks and restarts, live
    drawn = draw(seed)
    world, said = _world(drawn)
    operator = Operator(world.log, random.Random(f"operator {seed}"))
    worker = _live(world, drawn, operator)
    # When a last rollback skips some more, and the stream goes on
    skips = [
        skip
        for given in read_history(world.log).commands
        if given.command.command == "rollback" and given.outcomes[0]["outcome"] == "applied"
        for skip in given.command.skip
    ]
    assert {len(given.outcomes) for given in read_history(world.log).commands} <= {drawn.shards}
    # Then from the last skip on it says what the clean run says, and is what that is
    for shard in range(drawn.shards):
        entries = world.entries(shard)
        clean = CleanRun(drawn.configuration, shard, world.log, skips)
        for entry in entries:
            clean.apply(entry, said[shard])
        last = max(
            (
                entry.sequence
                for entry in entries
                for outcome in entry.outcomes
                if outcome.get("command") == "rollback" and outcome["outcome"] == "applied"
            ),
            default=0,
        )
        for entry in entries[last + 1 :]:
            number = entry.sequence
            found = predictions(said[shard].get(number, []))
            assert found == predictions(clean.outputs[number]), f"entry {number}"
        check_equal(worker.runners[shard].shard, clean.state)
        check_labels(said[shard], clean, shard)
    worker.transport.close()


def _world(drawn: Drawn) -> tuple[Spied, Said]:
    world = Spied(
        drawn.configuration,
        random.Random(drawn.seed),
        partitions=drawn.shards,
        deferred=drawn.deferred,
        poll_sizes=drawn.poll_sizes,
    )
    return world, world.said


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


class Spied(World):
    """A world that knows what each journal entry of each shard was committed with."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.said: Said = {shard: {} for shard in range(self.log.partitions())}

    def start(self, **options: Any) -> Worker:
        worker = super().start(**options)
        worker.transport = cast(Transport, _Spy(worker.transport, self.said))
        return worker


class _Spy:
    def __init__(self, transport: Transport, said: Said) -> None:
        self._transport = transport
        self._said = said

    def commit(self, steps: Sequence[StepCommit]) -> None:
        for step in steps:
            sequence = orjson.loads(step.note)["sequence"]
            self._said[step.shard][sequence] = list(step.outputs)
        self._transport.commit(steps)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def predictions(said: Outputs) -> list[dict[str, Any]]:
    """What was predicted, less the version."""
    bodies = [orjson.loads(r.value or b"") for role, r in said if role == "predictions"]
    return [{name: body[name] for name in body if name != "version"} for body in bodies]


def check_equal(real: Shard, clean: Shard) -> None:
    """Everything that decides what either will say, but for alerts."""
    assert state(real) == state(clean)
    assert real.parts.learner.threshold == clean.parts.learner.threshold
    _check_models(real, clean)
    _check_watches(real, clean)


def state(shard: Shard) -> dict[str, Any]:
    """The plain state, less what counts commands and what the alert policy decides."""
    parts = {name: orjson.loads(part) for name, part in shard.parts.dump_plain().items()}
    for name in ("digest", "commands"):
        del parts["shard"][name]
    for name in ("alerts", "alerts_suppressed", "dead_letters"):
        del parts["shard"]["counters"][name]
    del parts["policy"], parts["versions"]
    return parts


def _check_models(real: Shard, clean: Shard) -> None:
    rng = random.Random(0)
    for _ in range(20):
        features = {"a": rng.gauss(0, 2), "b": rng.gauss(0, 2)}
        answer = real.parts.learner.predict(dict(features))
        assert answer == clean.parts.learner.predict(dict(features))


def _check_watches(real: Shard, clean: Shard) -> None:
    """Fed with the same, they detect the same."""
    rng = random.Random(1)
    index, time_ms = real.parts.events, max(0, real.parts.clock_ms)
    for at in range(150):
        value = float(rng.random() < (0.1 if at < 80 else 0.9))
        for one, other in zip(real.parts.watches, clean.parts.watches, strict=True):
            found = one.update(value, index + at, time_ms + at)
            assert found == other.update(value, index + at, time_ms + at)


def check_labels(said: dict[int, Outputs], clean: CleanRun, shard: int) -> None:
    """No record has two results, and no label that the clean run does not apply has none."""
    dead = Counter(
        place for number in sorted(said) for place in _dead(said[number]) if place[0] != "commands"
    )
    assert set(dead.values()) <= {1}, [place for place, count in dead.items() if count > 1]
    for said_clean in clean.outputs.values():
        for place in _dead(said_clean):
            if place[0] == "labels":
                assert dead[place] == 1, place


def _dead(said: Outputs) -> list[tuple[str, int]]:
    found = []
    for role, record in said:
        if role == "dead-letters":
            headers = dict(record.headers)
            found.append((headers["topic"].decode(), int(headers["offset"])))
    return found
