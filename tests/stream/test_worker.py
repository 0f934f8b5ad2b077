"""A worker on a log in memory: ticks in silence, and a failure that commits nothing."""

import json

from consumers.record import NewRecord
from consumers.transports.memory import MemoryLog
from stream.shard import journal
from stream.shard.journal import Entry
from tests.stream.builders import HOUR_MS, T0_MS, learnt
from tests.stream.workers import Clock, worker

DEFAULT = {"labels": {"wait": "1h", "default": True}}


def new_log() -> MemoryLog:
    log = MemoryLog()
    log.create_topics(1)
    return log


def event(name: str, at_ms: int = 0, **features: float) -> tuple[str, int, NewRecord]:
    time = b"%d" % (T0_MS + at_ms)
    body = {"id": name, "time": T0_MS + at_ms, **(features or {"x": 1.0})}
    return "events", 0, NewRecord(json.dumps(body).encode(), None, (("driftline-time", time),))


def label(name: str, at_ms: int = 0) -> tuple[str, int, NewRecord]:
    time = b"%d" % (T0_MS + at_ms)
    body = json.dumps({"id": name, "label": True}).encode()
    return "labels", 0, NewRecord(body, None, (("driftline-time", time),))


def entries(log: MemoryLog) -> list[Entry]:
    return list(journal.read(log, 0, 0, log.end_offset("journal", 0)))


def test_waits_end_in_silence_by_ticks_that_the_journal_records():
    # given: an event that nobody labels, and a worker at the log's end
    log, clock = new_log(), Clock()
    log.append([event("a")])
    with worker(log, clock, **DEFAULT) as one:
        one.run_until_idle()
        quiet = len(entries(log))
        clock.now_s += 3600.0
        one.run_until_idle()
        assert len(entries(log)) == quiet

        # when: the wait has passed on the worker's clock, as stream time
        clock.now_s += 1.0
        one.run_until_idle()

        # then
        shard = one.runners[0].shard
        assert learnt(shard) == [({"x": 1.0}, True)]
        ticks = [entry for entry in entries(log) if entry.tick_ms is not None]
        assert [entry.tick_ms for entry in ticks] == [T0_MS + HOUR_MS + 1000]
        assert all(entry.start == entry.end for entry in ticks)

        # and: silence for ever makes one more, when the hour is mature, and no other
        for _ in range(5):
            clock.now_s += 1e5
            one.run_until_idle()
        assert len([entry for entry in entries(log) if entry.tick_ms is not None]) == 2


def test_an_inline_label_in_silence_leaves_one_tick_and_no_more():
    # given: one event with its label, so that nothing but its hour is left to mature
    log, clock = new_log(), Clock()
    log.append([event("a", 0, x=1.0, y=True)])
    with worker(log, clock, events={"id": "id", "time": "time", "label": "y"}) as one:
        one.run_until_idle()
        for _ in range(5):
            clock.now_s += 1e5
            one.run_until_idle()
        assert one.runners[0].shard.parts.quality.report()["mature"]["labels"] == 1
    assert len([entry for entry in entries(log) if entry.tick_ms is not None]) == 1


def test_an_event_that_comes_after_the_silence_is_not_held_against_the_tick():
    log, clock = new_log(), Clock()
    log.append([event("a")])
    with worker(log, clock, **DEFAULT) as one:
        one.run_until_idle()
        clock.now_s += 3601
        one.run_until_idle()
        log.append([event("b", 1_000), label("b", 2_000)])
        one.run_until_idle()
        parts = one.runners[0].shard.parts
        assert (parts.clock_ms, parts.counters.joined) == (T0_MS + HOUR_MS + 1000, 1)


def test_a_command_is_refused_in_the_journal_and_is_a_dead_letter():
    log = new_log()
    log.append([("commands", 0, NewRecord(b'{"command": "dance"}'))])
    with worker(log) as one:
        one.run_until_idle()
    [entry] = [entry for entry in entries(log) if entry.outcomes]
    assert [(outcome["offset"], outcome["outcome"]) for outcome in entry.outcomes] == [
        (0, "refused")
    ]
    [letter] = log.read("dead-letters", 0, 0)
    assert dict(letter.headers)["reason"] == b"bad_command"


def test_a_stop_ends_a_run_that_is_to_end_when_idle_too():
    log = MemoryLog()
    log.create_topics(1)
    with worker(log) as one:
        one.stop()
        one.run_until_idle()
        assert one.runners == {}
