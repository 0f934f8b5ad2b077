"""How much memory a worker takes with many labels outstanding.

The log is on disk, so what is measured is the worker: its buffers, the pending events with their
features and predictions, the ids seen, the metrics, and a snapshot being taken.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from consumers.record import NewRecord
from consumers.transport import Log
from consumers.transports import open_log, open_transport
from stream.configuration import parse
from stream.opening import open_snapshots
from stream.worker import Worker

SERVICE = "bench"
START_MS = 1_700_000_000_000
SPACING_MS = 1_000
BATCH = 5_000


def memory_benchmark(
    events: int, pending: int, on_progress: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """The peak of this process (MB) while a worker applies `events` with `pending` labels awaited.

    Each label comes `pending` events after its own, ten features an event.
    """
    with tempfile.TemporaryDirectory() as folder:
        configuration = parse(_content(folder, pending), SERVICE)
        log = open_log(configuration.log, SERVICE)
        try:
            log.create_topics(1)
            on_progress("writing the log")
            _write(log, events, pending)
        finally:
            log.close()
        before_mb = _peak_mb()
        on_progress("working")
        transport = open_transport(configuration.log, SERVICE)
        try:
            with open_snapshots(configuration) as snapshots:
                worker = Worker(configuration, transport, snapshots)
                started = time.perf_counter()
                worker.run_until_idle()
                seconds = time.perf_counter() - started
                parts = worker.runners[0].shard.parts
                held = parts.pending.unlabelled
                worker.leave()
        finally:
            transport.close()
    return {
        "events": parts.events,
        "pending": held,
        "peak_mb": round(_peak_mb()),
        "before_mb": round(before_mb),
        "records_per_second": round((parts.events + parts.labels) / seconds),
    }


def _content(folder: str, pending: int) -> dict[str, Any]:
    return {
        "name": SERVICE,
        "log": f"sqlite:{Path(folder) / 'bench.db'}",
        "events": {"id": "id", "time": "time"},
        "labels": {"wait": f"{2 * pending * SPACING_MS // 1000}s"},
        "task": "binary",
        "model": ["preprocessing.StandardScaler", "linear_model.LogisticRegression"],
        "detectors": [{"name": "error", "signal": "error", "method": "ADWIN"}],
        "snapshots": {"url": f"file:{Path(folder) / 'snapshots'}"},
    }


def _write(log: Log, events: int, pending: int) -> None:
    records = _records(events, pending)
    while batch := list(islice(records, BATCH)):
        log.append(batch)


def _records(events: int, pending: int) -> Iterator[tuple[str, int, NewRecord]]:
    rng = random.Random(42)
    labels: list[int] = []
    for number in range(events):
        features = {f"x{i}": rng.gauss(0.0, 1.0) for i in range(10)}
        labels.append(int(features["x0"] + rng.gauss(0.0, 1.0) > 0))
        time_ms = START_MS + number * SPACING_MS
        event = {"id": f"event-{number}", "time": time_ms, **features}
        yield "events", 0, NewRecord(orjson.dumps(event), None, (), time_ms)
        known = number - pending
        if known >= 0:
            label = {"id": f"event-{known}", "label": labels[known]}
            yield "labels", 0, NewRecord(orjson.dumps(label), None, (), time_ms)


def _peak_mb() -> float:
    """The most memory this process has had resident, in MB; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
