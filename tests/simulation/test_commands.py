"""Versions, aliases and rollbacks while workers die at every boundary, and stores fail.

`pytest -k 'seed-17'` repeats a run.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from learners.errors import StoreError
from learners.snapshots.reference import parse_key
from learners.snapshots.settings import KeepSettings, VersionsSettings
from stream.commands import parse_command
from stream.errors import CommandError
from stream.history import read_history
from stream.shard.load import load_shard
from stream.shard.versions import Versions
from stream.worker import Worker
from tests.simulation.clean import check_like_clean_runs
from tests.simulation.draw import Drawn, draw, scheduled
from tests.simulation.operator import Operator
from tests.simulation.spied import Spied
from tests.simulation.streams import Meant
from tests.simulation.world import BOUNDARIES, Crash, busy

# Two where one entry cuts two versions, and a worker dies with only one of them written.
# And one where an update failed, and a rollback that gives events other numbers comes before it.
SEEDS = (*range(36), 220, 301, 643)
MOST_DEATHS = 10


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_commands_have_one_outcome_wherever_workers_die(seed: int):
    # Given a stream, and a world in which workers die
    drawn = draw(seed)
    if seed % 4 == 3:
        versions = VersionsSettings(every=timedelta(hours=1), keep=KeepSettings(last=2, hourly=2))
        drawn = replace(drawn, configuration=scheduled(drawn.configuration, versions))
    world = _deadly(drawn)
    operator = Operator(world.log, random.Random(f"operator {seed}"), prunes=seed % 3 == 0)
    # When versions are cut and rolled back to meanwhile
    worker = _survive(world, drawn, operator)
    # Then every command has one outcome, the same on every shard
    for shard in range(drawn.shards):
        _check_outcomes(world, shard)
    _check_shards_agree(worker)
    # And what was skipped might as well never have come
    check_like_clean_runs(world, worker)
    # And every version has its snapshot on every shard, and nothing else is left behind
    _start_twice(world, worker)
    for shard in range(drawn.shards):
        _check_snapshots(world, shard)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(36, 1_000), ids=lambda seed: f"seed-{seed}")
def test_commands_in_many_more_worlds(seed: int):
    test_commands_have_one_outcome_wherever_workers_die(seed)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_workers_do_die_among_commands(boundary: str):
    seed = BOUNDARIES.index(boundary)
    drawn = draw(seed)
    assert drawn.focus == boundary
    world = _deadly(drawn)
    _survive(world, drawn, Operator(world.log, random.Random(f"operator {seed}")))
    assert world.deaths.at[boundary] >= 1


def _deadly(drawn: Drawn) -> Spied:
    world = Spied(
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


def _survive(world: Spied, drawn: Drawn, operator: Operator) -> Worker:
    """Lives, one after the other, until one has come to the end and stopped cleanly."""
    unwritten = list(drawn.stream)
    while True:
        try:
            worker = world.start(use_journal_configuration=True)
            _live(world, worker, unwritten, operator)
            world.wait_out(worker)
            world.store.probability = 0.0
            world.work(worker)
            worker.leave()
            worker.transport.close()
        except (Crash, StoreError):
            world.bury()
        else:
            return worker


def _live(world: Spied, worker: Worker, unwritten: list[Meant], operator: Operator) -> None:
    while worker.turn(0.0) or unwritten or not worker.runners or busy(worker):
        world.executor.some(world.rng.randrange(3))
        draw = world.rng.random()
        if not unwritten:
            continue
        if draw < 0.6:
            count = world.rng.randrange(1, 25)
            world.write(unwritten[:count])
            del unwritten[:count]
        elif draw < 0.75:
            world.now_s += world.rng.choice([0.01, 30.0, 4_000.0])
        else:
            operator.act()


def _check_outcomes(world: Spied, shard: int) -> None:
    """One for each record of the commands topic, in its order; who, when and why as given."""
    entries = world.entries(shard)
    for before, after in pairwise(entries):
        assert (after.sequence, after.start) == (before.sequence + 1, before.end)
    found = [outcome for entry in entries for outcome in entry.outcomes]
    given = list(world.log.read("commands", shard, 0))
    assert [outcome["offset"] for outcome in found] == [record.offset for record in given]
    dead = Counter(
        int(dict(letter.headers)["offset"])
        for letter in world.outputs("dead-letters", shard)
        if dict(letter.headers)["topic"] == b"commands"
    )
    for outcome, record in zip(found, given, strict=True):
        try:
            command = parse_command(record)
        except CommandError:
            assert (outcome["outcome"], dead.pop(record.offset)) == ("refused", 1)
            continue
        said = {name: outcome[name] for name in ("id", "command", "by", "at_ms", "reason")}
        assert said == {name: getattr(command, name) for name in said}
        assert outcome["outcome"] in ("applied", "refused")
    assert not dead


def _check_shards_agree(worker: Worker) -> None:
    def of(versions: Versions) -> dict[str, Any]:
        state = versions.dump()
        for numbered in state["numbered"]:
            del numbered["clock_ms"]
        return state

    states = [of(runner.shard.parts.versions) for runner in worker.runners.values()]
    assert all(state == states[0] for state in states)


def _check_snapshots(world: Spied, shard: int) -> None:
    """Versions that were not pruned are kept, of the others the newest two; a clean stop leaves
    nothing else, but for pruned ones that a recovery could need."""
    history = read_history(world.log)
    there = [version for version in history.versions.values() if not version.pruned]
    for version in there:
        key = version.cuts[shard].key
        ref = parse_key(key or "")
        assert ref is not None, f"version {version.number} is published"
        snapshot = world.archive.read(ref)
        assert snapshot is not None, f"version {version.number} is in the store"
        header = snapshot.header
        assert (header.version, header.shard) == (version.number, shard)
        own = world.entries(shard)[header.sequence]
        assert (header.digest, header.positions) == (own.digest, own.end)
        loaded = load_shard(world.configuration, shard, snapshot)
        assert max(loaded.parts.versions.numbered) >= version.number
    numbered = {version.cuts[shard].key for version in there}
    published = world.published(shard)
    assert numbered <= published
    others = [world.header(key) for key in published - numbered]
    unnumbered = [header.sequence for header in others if header.version is None]
    assert len(unnumbered) <= 2
    for header in others:
        assert header.version is None or header.sequence >= min(unnumbered) or len(unnumbered) < 2
    newest = max(int(key.rpartition("/")[2].partition("-")[0]) for key in published)
    left = [
        key
        for key in world.stored(shard) - published
        if int(key.rpartition("/")[2].partition("-")[0]) < newest
    ]
    assert left == []


def _start_twice(world: Spied, worker: Worker) -> None:
    """Whoever starts next has nothing to replay, and stands where the last one stood; an orphan as
    new as the newest snapshot is seen to be one by the second."""
    world.deaths.most, world.deaths.sure = 0, ""
    world.configuration = scheduled(world.configuration, VersionsSettings(every=None, keep=None))
    for _ in range(2):
        again = world.start(use_journal_configuration=True)
        world.work(again)
        for shard, restored in world.restored.items():
            assert restored.records == 0
            state = worker.runners[shard].shard.parts.dump_plain()
            assert restored.shard.parts.dump_plain() == state
        again.leave()
        again.transport.close()
