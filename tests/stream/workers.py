"""A worker on a log in memory, with a clock that tests move."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from consumers.transports.memory import MemoryLog
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.keyfile import open_keyring
from learners.snapshots.opening import open_store
from stream.shard.checkpoint import Snapshots
from stream.telemetry.telemetry import Telemetry
from stream.worker import Worker
from tests.simulation.executors import Immediate
from tests.stream.builders import configuration


class Clock:
    """Monotonic seconds that only pass when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Ticking(Clock):
    """A millisecond passes with every look, so that whatever is done takes time."""

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


@contextmanager
def worker(
    log: MemoryLog,
    clock: Clock | None = None,
    telemetry: Telemetry | None = None,
    /,
    **fields: Any,
) -> Iterator[Worker]:
    """A worker that has joined the log; it leaves without a last snapshot."""
    one = configuration(**fields)
    archive = SnapshotArchive(open_store(one.snapshots), open_keyring(one.snapshots))
    transport = log.join()
    try:
        snapshots = Snapshots(one.snapshots, archive, Immediate())
        yield Worker(one, transport, snapshots, clock=clock or Clock(), telemetry=telemetry)
    finally:
        transport.close()
