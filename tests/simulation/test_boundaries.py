"""Every kind of command, and a death at every moment after it was given.

Each case gives one command in the middle of a stream, and lets the worker die the first, second,
third … time that it passes a boundary from then on, until it no longer comes there so often. Every
one of those runs must end as the one in which nobody died.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from consumers.record import NewRecord
from stream.commands import AckCommand, AliasCommand, PruneCommand, ResumeCommand, SkipRange
from stream.configuration import Configuration
from stream.history import read_history
from stream.worker import Worker
from tests.simulation.changes import EXTRA
from tests.simulation.draw import FAILING
from tests.simulation.operator import Operator
from tests.simulation.world import BOUNDARIES, Crash, World, bodies
from tests.stream.builders import T0_MS, UNSCHEDULED, configuration

EVENTS = 40
SHARDS = 2


class Given(Operator):
    """An operator who gives the one command that is asked for."""

    def alias_one(self) -> None:
        self.give(AliasCommand(**self.common(), alias="champion", version=1))

    def skip_events(self) -> None:
        self.skip_ranges(SkipRange(topic="events", partition=0, first=4, last=6))

    def skip_labels(self) -> None:
        self.skip_ranges(SkipRange(topic="labels", partition=1, first=3, last=8))

    def keep(self) -> None:
        self.another_detector(keep=True)

    def fresh(self) -> None:
        self.another_detector(keep=False)

    def another_detector(self, *, keep: bool) -> None:
        body = read_history(self.log).configurations[-1][1]
        detectors = [*body["detectors"], EXTRA.model_dump(mode="json")]
        self.give_configuration({**body, "detectors": detectors}, keep=keep)

    def acknowledge(self) -> None:
        self.give(AckCommand(**self.common(), alert="any"))

    def prune_one(self) -> None:
        self.give(PruneCommand(**self.common(), versions=(1,)))

    def resume_all(self) -> None:
        self.give(ResumeCommand(**self.common()))

    def poison(self) -> None:
        """Not a command: two updates that fail, and an event that cannot be predicted."""
        at_ms = T0_MS + 3 * EVENTS // 4 * 60_000
        bodies = [{"id": f"p{n}", "time": at_ms, "x": 1.0, "b": b} for n, b in enumerate(POISON)]
        labels = [{"id": f"p{n}", "label": True} for n in range(len(POISON))]
        self.log.append(
            [
                (topic, 0, NewRecord(orjson.dumps(body)))
                for topic, records in (("events", bodies), ("labels", labels))
                for body in records
            ]
        )

    def halt(self) -> None:
        """Nor this: so many events that cannot be used that shard 1 halts."""
        self.log.append([("events", 1, NewRecord(b"{"))] * HALT_WINDOW)


POISON = (-3.0, 0.0, 3.0, -3.0)
HALT_WINDOW = 10
HALT = {"share": 0.5, "window": HALT_WINDOW}

BEFORE: dict[str, Callable[[Given], None]] = {"resume": Given.halt, "prune": Given.version}

KINDS: dict[str, Callable[[Given], None]] = {
    "version": Given.version,
    "alias": Given.alias_one,
    "ack": Given.acknowledge,
    "rollback": Given.plain,
    "empty": Given.empty,
    "skip events": Given.skip_events,
    "skip labels": Given.skip_labels,
    "config keep": Given.keep,
    "config fresh": Given.fresh,
    "poison": Given.poison,
    "halt": Given.halt,
    "resume": Given.resume_all,
    "prune": Given.prune_one,
}


class Deadly:
    """Dies when a boundary is passed for the `nth` time, once; counts while it is armed."""

    def __init__(self, boundary: str, nth: int) -> None:
        self.boundary, self.nth, self.passed, self.is_armed = boundary, nth, 0, False

    def __call__(self, boundary: str) -> None:
        if not self.is_armed or boundary != self.boundary:
            return
        self.passed += 1
        if self.passed == self.nth:
            raise Crash(boundary)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deferred", [False, True], ids=["written at once", "written later"])
def test_a_death_at_any_moment_after_it_changes_nothing(kind: str, deferred: bool) -> None:
    calm = ended(kind, Deadly("", 0), deferred=deferred)
    for boundary in BOUNDARIES:
        nth = 1
        while True:
            deadly = Deadly(boundary, nth)
            found = ended(kind, deadly, deferred=deferred)
            assert found == calm, f"death number {nth} at {boundary}"
            if deadly.passed < nth:
                break
            nth += 1
        assert nth > 1 or boundary == "retired", f"{boundary} is never passed after {kind}"


def test_what_fails_in_them_does_fail() -> None:
    poisoned = ended("poison", Deadly("", 0), deferred=False)[0]
    halted = ended("halt", Deadly("", 0), deferred=False)[1]
    resumed = ended("resume", Deadly("", 0), deferred=False)[1]
    assert len(poisoned["left out"]) == 2
    assert [reason for reason in _reasons(poisoned) if reason != "unknown_id"] == ["predict_failed"]
    assert _reasons(halted).count("not_json") == HALT_WINDOW // 2
    assert halted["standing"]["halted"]["reasons"] == {"not_json": 5}
    assert resumed["standing"] == {"halted": None, "suspended": None}


def test_what_is_pruned_in_them_is_gone() -> None:
    for seen in ended("prune", Deadly("", 0), deferred=False):
        assert seen["outcomes"][-1]["pruned"] == [1]
        assert seen["complete"] == [False, True]
        assert seen["kept"] == [2]


def _reasons(seen: dict[str, Any]) -> list[str]:
    return [dict(headers)["reason"].decode() for _, _, headers in seen["dead-letters"]]


def ended(kind: str, deadly: Deadly, *, deferred: bool) -> list[Any]:
    """What a service with this command has come to, and what it has said."""
    world = World(
        _configuration(), random.Random(0), partitions=SHARDS, deferred=deferred, poll_sizes=(7,)
    )
    # Merge times that are later than their record was written would not count.
    world.now_s = T0_MS / 1000
    world.deaths = deadly  # type: ignore[assignment]
    operator = Given(world.log, random.Random(0))
    _write(world, 0, EVENTS // 2)
    worker = _finished(world)
    operator.version()
    worker = _finished(world, worker)
    if kind in BEFORE:
        BEFORE[kind](operator)
    _write(world, EVENTS // 2, 3 * EVENTS // 4)
    worker = _finished(world, worker)
    KINDS[kind](operator)
    _write(world, 3 * EVENTS // 4, EVENTS)
    deadly.is_armed = True
    worker = _finished(world, worker)
    # What is being written, or waits to be published, meets its death too.
    worker = _left(world, worker)
    deadly.is_armed = False
    return [_seen(world, worker, shard) for shard in range(SHARDS)]


def _configuration() -> Configuration:
    detectors = [{"name": "wrong", "signal": "error", "method": "ADWIN", "clock": 1}]
    return configuration(
        model=FAILING,
        halt=HALT,
        detectors=detectors,
        log_partitions=SHARDS,
        labels={"wait": "1d"},
        snapshots={**UNSCHEDULED, "min_interval": "1us", "every_events": 9},
    )


def _write(world: World, first: int, last: int) -> None:
    rng = random.Random(first)
    records = []
    for number in range(first, last):
        shard, at_ms = number % SHARDS, T0_MS + number * 60_000
        x = rng.gauss(0, 1)
        event = {"id": f"e{number}", "time": at_ms, "x": x, "a": rng.random()}
        label = {"id": f"e{max(0, number - 3 * SHARDS)}", "label": x > 0}
        records += [
            (
                topic,
                shard,
                NewRecord(orjson.dumps(body), b"k", (("driftline-time", b"%d" % at_ms),)),
            )
            for topic, body in (("events", event), ("labels", label))
        ]
    world.log.append(records)


def _finished(world: World, worker: Worker | None = None) -> Worker:
    """The worker, or whoever came after it, when nothing is left to do."""
    while True:
        try:
            worker = worker or world.start(use_journal_configuration=True)
            world.work(worker)
        except Crash:
            world.bury()
            worker = None
        else:
            return worker


def _left(world: World, worker: Worker) -> Worker:
    while True:
        try:
            worker.leave()
        except Crash:
            world.bury()
            worker = _finished(world)
        else:
            return worker


def _seen(world: World, worker: Worker, shard: int) -> dict[str, Any]:
    state = worker.runners[shard].shard
    outcomes = [outcome for entry in world.entries(shard) for outcome in entry.outcomes]
    # A journal has an id of its own, and a rollback's snapshot is named after it.
    for outcome in outcomes:
        outcome.pop("snapshot", None)
    probes = [{"x": x, "a": 0.5} for x in (-1.0, 0.0, 1.0)]
    history = read_history(world.log)
    return {
        "state": state.parts.dump_plain(),
        "answers": [state.parts.learner.predict(dict(probe)) for probe in probes],
        "configuration": state.plan.configuration.semantic(),
        "outcomes": outcomes,
        "complete": [history.is_complete(version) for version in history.versions.values()],
        "kept": sorted(
            header.version for header in map(world.header, world.published(shard)) if header.version
        ),
        "left out": [told for entry in world.entries(shard) for told in entry.left_out],
        "standing": history.standing.get(shard),
        **{
            topic: bodies(world.outputs(topic, shard))
            for topic in ("predictions", "alerts", "dead-letters")
        },
    }
