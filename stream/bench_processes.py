"""The processes that `driftline bench --log kafka://…` measures: workers of the service that wait
for a word before they begin, and the loop that they stand beside."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any, Self

from consumers.kafka_settings import KafkaSettings
from consumers.transport import INPUTS, Polled, StepCommit
from consumers.transports.kafka import KafkaTransport
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.keyfile import open_keyring
from learners.snapshots.opening import open_store
from learners.snapshots.settings import SnapshotsSettings
from stream.bench import MODELS, service_configuration
from stream.errors import BenchError
from stream.garbage import collect_rarely
from stream.opening import log_opener
from stream.shard.checkpoint import Snapshots
from stream.worker import Worker

READY, BEGIN, END = "ready", "begin", "end"

# The processes are started anew: a fork would inherit the client's threads and sockets.
_PROCESSES = multiprocessing.get_context("spawn")
_PATIENCE_S = 600.0


class Child:
    """A process that does `work(pipe, *arguments)`, and gives what that returns."""

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        self._pipe, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(
            target=_work, args=(theirs, work, arguments), daemon=True
        )
        self._process.start()
        theirs.close()

    def tell(self, word: str) -> None:
        """Sends it a word."""
        self._pipe.send(word)

    def wait(self) -> Any:
        """What it says next; raises `BenchError` if it failed."""
        try:
            if not self._pipe.poll(_PATIENCE_S):
                raise BenchError(f"a process of the bench said nothing for {_PATIENCE_S:.0f} s")
            said = self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise BenchError(f"a process of the bench ended with exit code {code}") from None
        if isinstance(said, _Failed):
            raise BenchError(f"a process of the bench failed: {said.error}")
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()


class _Failed:
    """Stands for the result of a child that raised."""

    def __init__(self, error: str) -> None:
        self.error = error


def _work(pipe: Connection, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    try:
        said = work(pipe, *arguments)
    except Exception:  # noqa: BLE001 - told to the parent, which raises it
        said = _Failed(traceback.format_exc())
    pipe.send(said)


def service(
    pipe: Connection,
    bootstrap: str,
    name: str,
    slot: int,
    shards: int,
    ends: Mapping[int, int] | None,
) -> dict[str, float] | None:
    """A worker of the service: says that it is ready once it has so many shards, begins when it is
    told so, and works until its shards are at `ends`; None: until it is told to end.

    When it began and ended (monotonic seconds), and its CPU seconds meanwhile.
    """
    collect_rarely()
    settings = KafkaSettings(instance="bench", slot=slot)
    changes = {"name": name, "log": f"kafka://{bootstrap}", "kafka": settings}
    configuration = service_configuration(MODELS["scaler | logistic regression"]).model_copy(
        update=changes
    )
    transport = _Gated(bootstrap, name, settings, pipe, shards, ends)
    try:
        # No snapshot falls due: what one costs is measured by itself.
        rare = SnapshotsSettings(url="memory:", recover_within=timedelta(days=1))
        with ThreadPoolExecutor(1) as executor:
            archive = SnapshotArchive(open_store(rare), open_keyring(rare))
            snapshots = Snapshots(rare, archive, executor)
            worker = Worker(configuration, transport, snapshots, open_log=log_opener(configuration))
            transport.on_end = worker.stop
            worker.run()
    finally:
        transport.close()
    return transport.taken()


class _Gated(KafkaTransport):
    """A worker's view of the log that gives nothing until the parent says so, and takes the time
    from the first event that it gives to the last commit."""

    def __init__(
        self,
        bootstrap: str,
        name: str,
        settings: KafkaSettings,
        pipe: Connection,
        shards: int,
        ends: Mapping[int, int] | None,
    ) -> None:
        super().__init__(bootstrap, name, {}, settings)
        self.on_end: Callable[[], None] = lambda: None
        self._pipe = pipe
        self._shards = shards
        self._wanted = ends
        self._told_ready = False
        self._open = False
        self._done: dict[int, int] = {}
        self._first: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None

    def poll(
        self, timeout_s: float, max_records: int, full: Collection[tuple[int, str]] = ()
    ) -> Polled:
        if not self._open:
            full = [(shard, role) for shard in self._positions for role in INPUTS]
            timeout_s = min(timeout_s, 0.02)
        polled = super().poll(timeout_s, max_records, full)
        if self._first is None and any(one["events"].records for one in polled.inputs.values()):
            self._first = _now()
        if not self._told_ready and len(self._positions) == self._shards:
            self._told_ready = True
            self._pipe.send(READY)
        if self._pipe.poll():
            self._open = self._pipe.recv() == BEGIN
            if not self._open:
                self.on_end()
        return polled

    def commit(self, steps: Sequence[StepCommit]) -> None:
        super().commit(steps)
        if not self._open or self._wanted is None:
            return
        for step in steps:
            self._done[step.shard] = step.positions["events"]
        at_end = [shard for shard, done in self._done.items() if done >= self._wanted[shard]]
        if self._last is None and len(at_end) == self._shards:
            self._last = _now()
            self.on_end()

    def taken(self) -> dict[str, float] | None:
        """When the work began and ended, and its CPU seconds; None if it had no end."""
        if self._first is None or self._last is None:
            return None
        return {
            "began_s": self._first[0],
            "ended_s": self._last[0],
            "cpu_s": self._last[1] - self._first[1],
        }


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()
