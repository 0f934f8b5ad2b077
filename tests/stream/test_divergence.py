"""A replay that differs from the journal: refused, or accepted once and for all."""

from __future__ import annotations

import random
from typing import Any

import pytest

from stream.errors import DivergedError
from stream.worker import Worker
from tests.simulation.world import Crash, World
from tests.stream.models import Aged
from tests.stream.test_recovery import configured, newest, refused, restored, stream

CONFIGURATION: dict[str, Any] = {
    "model": {"factory": "tests.stream.models:aged"},
    # One that is taken would be a start for the replay.
    "snapshots": {"url": "memory:", "versions": {"every": None}},
}


@pytest.fixture(autouse=True)
def _engine(monkeypatch):
    """The engine of one test is not that of the next."""
    monkeypatch.setattr(Aged, "engine", 0.0)
    monkeypatch.setattr(Aged, "fails_above", float("inf"))


def lived() -> World:
    """A service that has worked through its stream and died."""
    world = World(configured(**CONFIGURATION), random.Random(1), poll_sizes=(20,))
    world.write(stream())
    world.work(world.start())
    world.log.kill_worker()
    return world


def accepted(world: World) -> Worker:
    """A worker that has accepted what differs and left."""
    worker = world.start(accept_divergence=True)
    worker.recover()
    worker.transport.close()
    return worker


def state(world: World, **options: Any) -> dict[str, bytes]:
    return restored(world, **options).shard.parts.dump_plain()


def test_the_state_is_that_of_the_replay_and_stays_so(monkeypatch):
    world = lived()
    before = world.entries(0)
    monkeypatch.setattr(Aged, "engine", 0.01)
    assert refused(world, DivergedError).sequence == 1

    accepted(world)

    # It is what the engine of now makes of the stream, wherever it was cut.
    assert state(world) == state(lived())
    entry = world.entries(0)[len(before)]
    assert entry.accepted is not None
    assert (entry.accepted["entry"], entry.accepted["journal"]) == (1, before[1].digest)
    assert entry.accepted["found"] != before[1].digest
    assert (entry.start, entry.end) == (before[-1].end, before[-1].end)
    assert [named["key"] for named in entry.published] == [newest(world)[0].key]
    assert world.restored[0].entries == 0


def test_without_its_snapshot_the_replay_is_compared_from_there_on(monkeypatch):
    world = lived()
    monkeypatch.setattr(Aged, "engine", 0.01)
    accepted(world)
    wanted = state(world)
    for ref in newest(world):
        world.store.delete(ref.key)

    assert state(world) == wanted
    assert world.restored[0].snapshot is None
    # A third engine is another matter.
    for ref in newest(world):
        world.store.delete(ref.key)
    monkeypatch.setattr(Aged, "engine", 0.02)
    error = refused(world, DivergedError)
    assert world.entries(0)[error.sequence].accepted is not None


def test_what_comes_after_it_is_learnt_and_checked(monkeypatch):
    world = lived()
    monkeypatch.setattr(Aged, "engine", 0.01)
    accepted(world)
    more = stream(260)[len(stream()) :]
    worker = world.start()
    world.write(more)
    world.work(worker)
    world.log.kill_worker()

    assert world.restored[0].divergence is None
    wanted = worker.runners[0].shard.parts.dump_plain()
    assert state(world) == wanted
    assert world.restored[0].entries > 0


def test_an_update_that_fails_now_is_left_out_and_stays_so(monkeypatch):
    world = lived()
    monkeypatch.setattr(Aged, "fails_above", 2.0)
    error = refused(world, DivergedError)
    assert "told to fail" in str(error)

    accepted(world)

    told = next(entry.accepted for entry in world.entries(0) if entry.accepted is not None)
    assert len(told["left_out"]) > 1
    assert {one["detail"] for one in told["left_out"]} == {"ValueError: told to fail"}
    wanted = state(world)
    for ref in newest(world):
        world.store.delete(ref.key)
    assert state(world) == wanted


def test_nothing_to_accept_says_nothing():
    world = lived()
    accepted(world)
    assert all(entry.accepted is None for entry in world.entries(0))


@pytest.mark.parametrize("boundary", ["snapshot put", "committed"])
def test_a_death_while_it_is_accepted_changes_nothing_or_all(monkeypatch, boundary):
    world = lived()
    monkeypatch.setattr(Aged, "engine", 0.01)
    world.deaths.sure, world.deaths.most = boundary, 1
    with pytest.raises(Crash):
        world.start(accept_divergence=True).recover()
    world.bury()
    is_done = boundary == "committed"
    assert any(entry.accepted is not None for entry in world.entries(0)) == is_done

    accepted(world)

    assert sum(entry.accepted is not None for entry in world.entries(0)) == 1
    assert state(world) == state(lived())
