"""How fast the service is on a Kafka broker: beside Quix Streams with the same model, from an event
to its prediction, and two workers beside one.

Alternating runs, medians and ratios, as in `stream.bench`. Every run has topics of its own, which
are deleted after it.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final

import orjson

from consumers.transports.kafka import KafkaLog
from consumers.transports.kafka.probe import Sender, Tail
from stream.bench import BATCH, FEATURES, encoded_events
from stream.bench_processes import BEGIN, END, Child, service
from stream.bench_quix import is_there, quix
from stream.errors import BenchError

RATE: Final = 1_000
# Before the latency counts: the broker and both clients have to get into their stride.
WARM_UP_S: Final = 2
# What has not come after this long never will.
PATIENCE_S: Final = 30.0
PREFIX: Final = "driftline-bench-"

Taken = Mapping[str, float]


def kafka_benchmark(
    bootstrap: str,
    events: int,
    runs: int,
    seconds: int,
    on_run: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """The object that `driftline bench --log kafka://… --json` prints.

    Parameters
    ----------
    bootstrap
        HOST:PORT of the brokers.
    events
        Events on the log in each run.
    runs
        Runs of each loop, alternating; medians are reported.
    seconds
        How long the latency is measured.
    on_run
        Called with the name of each run as it begins.
    """
    loops: dict[str, Callable[[], Taken]] = {
        "driftline": lambda: _service(bootstrap, events, workers=1, partitions=1),
        "one_worker": lambda: _service(bootstrap, events, workers=1, partitions=2),
        "two_workers": lambda: _service(bootstrap, events, workers=2, partitions=2),
    }
    if is_there():
        loops["quix"] = lambda: _quix(bootstrap, events)
    taken: dict[str, list[Taken]] = {name: [] for name in loops}
    for _ in range(runs):
        for name, loop in loops.items():
            on_run(name.replace("_", " "))
            taken[name].append(loop())
    on_run("latency")
    return {
        "events": events,
        "runs": runs,
        "features": FEATURES,
        "cores": os.cpu_count() or 1,
        **{name: _figures(taken.get(name), events) for name in ("driftline", "quix")},
        "ratio_to_quix": _ratio(taken["driftline"], taken.get("quix")),
        **{name: _figures(taken[name], events) for name in ("one_worker", "two_workers")},
        "two_to_one": _ratio(taken["two_workers"], taken["one_worker"]),
        "latency": _latency(bootstrap, seconds),
    }


def _figures(taken: list[Taken] | None, events: int) -> dict[str, float] | None:
    if taken is None:
        return None
    return {
        "events_per_second": round(events / statistics.median(map(_wall_s, taken))),
        "cpu_us_per_event": round(statistics.median(t["cpu_s"] for t in taken) / events * 1e6, 2),
    }


def _ratio(mine: list[Taken], theirs: list[Taken] | None) -> float | None:
    """How many times as fast the one is, in the median of the runs side by side."""
    if theirs is None:
        return None
    pairs = zip(mine, theirs, strict=True)
    return round(statistics.median(_wall_s(other) / _wall_s(one) for one, other in pairs), 3)


def _wall_s(taken: Taken) -> float:
    return taken["ended_s"] - taken["began_s"]


@contextmanager
def _topics(bootstrap: str, partitions: int) -> Iterator[tuple[str, KafkaLog]]:
    """A new service's name and its log, whose topics live as long as the block."""
    name = f"{PREFIX}{uuid.uuid4()}"
    with closing(KafkaLog(bootstrap, name, {})) as log:
        try:
            log.create_topics(partitions)
            yield name, log
        finally:
            log.delete_topics()


def _fill(log: KafkaLog, events: int, partitions: int) -> dict[int, int]:
    """Puts the events on the log in turn; where each partition's end is then."""
    ends = {}
    numbered = ((n % partitions, record) for n, record in enumerate(encoded_events(events)))
    while batch := list(islice(numbered, BATCH * 10)):
        offsets = log.append([("events", partition, record) for partition, record in batch])
        for (partition, _), offset in zip(batch, offsets, strict=True):
            ends[partition] = offset + 1
    return ends


def _service(bootstrap: str, events: int, *, workers: int, partitions: int) -> Taken:
    with _topics(bootstrap, partitions) as (name, log):
        ends = _fill(log, events, partitions)
        shards = partitions // workers
        with ExitStack() as closing_:
            children = [
                closing_.enter_context(Child(service, bootstrap, name, slot, shards, ends))
                for slot in range(workers)
            ]
            for child in children:
                child.wait()
            for child in children:
                child.tell(BEGIN)
            taken = [child.wait() for child in children]
    return {
        "began_s": min(one["began_s"] for one in taken),
        "ended_s": max(one["ended_s"] for one in taken),
        "cpu_s": sum(one["cpu_s"] for one in taken),
    }


def _quix(bootstrap: str, events: int) -> Taken:
    with _topics(bootstrap, 1) as (name, log):
        _fill(log, events, 1)
        with Child(quix, bootstrap, name, events) as child:
            taken: Taken = child.wait()
    return taken


def _latency(bootstrap: str, seconds: int) -> dict[str, float]:
    """From the call that sends an event to its prediction in the hands of a reader of what is
    committed, at a steady rate."""
    events = (WARM_UP_S + seconds) * RATE
    with _topics(bootstrap, 1) as (name, _), ExitStack() as closing_:
        child = closing_.enter_context(Child(service, bootstrap, name, 0, 1, None))
        sender = closing_.enter_context(closing(Sender(bootstrap, f"{name}.events")))
        tail = closing_.enter_context(closing(Tail(bootstrap, f"{name}.predictions")))
        child.wait()
        child.tell(BEGIN)
        came_s: dict[str, float] = {}
        reading = threading.Thread(target=partial(_read, tail, events, came_s), daemon=True)
        reading.start()
        sent_s = _send(sender, events)
        reading.join(PATIENCE_S)
        child.tell(END)
        child.wait()
    missing = events - len(came_s)
    if missing:
        raise BenchError(f"{missing} of {events} events had no prediction after {PATIENCE_S:.0f} s")
    counted = list(sent_s)[WARM_UP_S * RATE :]
    taken_ms = sorted((came_s[event] - sent_s[event]) * 1_000 for event in counted)
    return {
        "events_per_second": RATE,
        "events": len(taken_ms),
        **{
            f"p{percent}_ms": round(taken_ms[len(taken_ms) * percent // 100], 1)
            for percent in (50, 90, 99)
        },
        "max_ms": round(taken_ms[-1], 1),
    }


def _send(sender: Sender, events: int) -> dict[str, float]:
    """Sends each event when it is due; event → when it was sent."""
    sent_s = {}
    began_s = time.monotonic()
    for number, record in enumerate(encoded_events(events)):
        wait_s = began_s + number / RATE - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        sent_s[f"event-{number}"] = time.monotonic()
        sender.send(record._replace(timestamp_ms=None))
    return sent_s


def _read(tail: Tail, events: int, came_s: dict[str, float]) -> None:
    """Notes when each prediction came, until all are there or none comes any more."""
    last_s = time.monotonic()
    while len(came_s) < events and time.monotonic() - last_s < PATIENCE_S / 2:
        at_s, values = tail.wait(0.5)
        for value in values:
            came_s[orjson.loads(value)["id"]] = at_s
        if values:
            last_s = at_s
