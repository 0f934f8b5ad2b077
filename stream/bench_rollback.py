"""How long a rollback takes that has to replay everything since, beside the pipeline in memory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from consumers.record import NewRecord
from consumers.transport import Transport
from consumers.transports import open_log, open_transport
from consumers.transports.memory import MemoryLog
from stream.bench import BATCH, MODELS, SERVICE, encoded_events, service_configuration
from stream.commands import RollbackCommand, SkipRange, give, last_id, new_id, who
from stream.configuration import Configuration
from stream.opening import open_snapshots
from stream.worker import Worker


def rollback_benchmark(
    events: int, on_progress: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """The object that `driftline bench --rollback --json` prints.

    The first of `events` is skipped, so the whole log is replayed without it: from SQLite, while
    the same events go through a worker in memory for comparison. Seconds of wall time.
    """
    configuration = service_configuration(MODELS["scaler | logistic regression"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        settings = {"url": f"file:{path / 'snapshots'}"}
        snapshots = configuration.snapshots.model_copy(update=settings)
        configuration = configuration.model_copy(update={"snapshots": snapshots})
        on_progress("the pipeline in memory")
        memory = MemoryLog()
        memory.create_topics(1)
        in_memory_s = _worked(configuration, memory.join(), encoded_events(events))
        url = f"sqlite:{path / 'bench.db'}"
        log = open_log(url, SERVICE)
        log.create_topics(1)
        log.close()
        on_progress("the service on SQLite")
        service_s = _worked(configuration, open_transport(url, SERVICE), encoded_events(events))
        on_progress("the rollback")
        transport = open_transport(url, SERVICE)
        skip = SkipRange(topic="events", partition=0, first=0, last=0)
        command = RollbackCommand(
            id=new_id(),
            by=who(),
            at_ms=time.time_ns() // 1_000_000,
            after=last_id(transport),
            skip=(skip,),
        )
        give(transport, command)
        rollback_s = _worked(configuration, transport, iter(()))
    return {
        "events": events,
        "in_memory_s": round(in_memory_s, 2),
        "service_s": round(service_s, 2),
        "rollback_s": round(rollback_s, 2),
        "beyond_in_memory_s": round(rollback_s - in_memory_s, 2),
    }


def _worked(
    configuration: Configuration, transport: Transport, encoded: Iterator[NewRecord]
) -> float:
    """How long a worker takes for what is on its log, with these events, from its start on."""
    try:
        while batch := list(islice(encoded, BATCH)):
            transport.append([("events", 0, record) for record in batch])
        with open_snapshots(configuration) as snapshots:
            worker = Worker(configuration, transport, snapshots)
            started_s = time.perf_counter()
            worker.run_until_idle()
            taken_s = time.perf_counter() - started_s
            worker.leave()
    finally:
        transport.close()
    return taken_s
