"""A world that survives the deaths of its workers: log, store, keys, clock; and the deaths.

Everything is drawn from one seed. A worker dies by `Crash`, raised at a boundary that it passes:
all that it had in memory is dropped, and the next one starts from the log and the store.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from consumers.record import NewRecord, Record
from consumers.transport import INPUTS, OUTPUTS, Committed, Polled, Transport
from consumers.transports.memory import MemoryLog
from learners.errors import StoreError
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.header import SnapshotHeader
from learners.snapshots.opening import open_store
from learners.snapshots.reference import parse_key
from learners.snapshots.signing import Keyring, SigningKey
from learners.snapshots.store import SnapshotStore, StoredObject
from stream.configuration import Configuration
from stream.shard import journal
from stream.shard.checkpoint import Snapshots
from stream.shard.journal import Entry
from stream.shard.restore import Restored
from stream.worker import Worker
from tests.simulation.executors import Deferred, Immediate
from tests.simulation.streams import WRITTEN_MS, Meant

BOUNDARIES = (
    "poll",
    "polled",
    "applied",
    "commit.before",
    "commit.after",
    "committed",
    "snapshot put",
    "published",
    "retired",
)
"""Where a worker may die: DESIGN's polled, applied, written, committed, snapshot put, published and
retired; written is `commit.before` (nothing is) and `commit.after` (all is, the worker never
hears of it)."""

KEYRING = Keyring((SigningKey(bytes(range(32))),))


class Crash(BaseException):
    """A worker's death: nothing catches it, as nothing catches a kill -9."""


@dataclass
class Deaths:
    """Where and how often workers die: at each boundary with its own probability, at most so often.

    One is sure: the first time that `sure` is passed. `at` counts the deaths by boundary, `passed`
    how often each was passed.
    """

    rng: random.Random
    probability: Mapping[str, float] = field(default_factory=dict)
    most: int = 0
    sure: str = ""
    at: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)

    def __call__(self, boundary: str) -> None:
        """The hook of log and worker."""
        self.passed[boundary] += 1
        sure = boundary == self.sure and not self.at[boundary]
        left = self.at.total() < self.most
        if sure or (left and self.rng.random() < self.probability.get(boundary, 0.0)):
            self.at[boundary] += 1
            raise Crash(boundary)


class SmallPolls:
    """A worker's view that brings at most `size` records of an input per poll: small steps."""

    def __init__(self, transport: Transport, size: int) -> None:
        self._transport = transport
        self._size = size

    def poll(
        self, timeout_s: float, max_records: int, full: Collection[tuple[int, str]] = ()
    ) -> Polled:
        return self._transport.poll(timeout_s, min(max_records, self._size), full)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class FlakyStore:
    """A store that cannot be reached now and then."""

    def __init__(self, store: SnapshotStore, rng: random.Random, probability: float) -> None:
        self._store = store
        self._rng = rng
        self.probability = probability
        self.name = store.name

    def put(self, key: str, data: bytes, *, same: Callable[[bytes], bool] | None = None) -> bool:
        self._fail("write", key)
        return self._store.put(key, data, same=same)

    def get(self, key: str) -> bytes | None:
        self._fail("read", key)
        return self._store.get(key)

    def head(self, key: str) -> int | None:
        return self._store.head(key)

    def list(self, prefix: str = "") -> list[StoredObject]:
        return self._store.list(prefix)

    def delete(self, key: str) -> None:
        self._fail("delete", key)
        self._store.delete(key)

    def _fail(self, verb: str, key: str) -> None:
        if self._rng.random() < self.probability:
            raise StoreError(
                f"cannot {verb} {key}: the simulated store is down", hint="wait for it"
            )


class World:
    """The log, the store, the keys and the clock of one simulation."""

    def __init__(
        self,
        configuration: Configuration,
        rng: random.Random,
        *,
        partitions: int = 1,
        flaky: float = 0.0,
        deferred: bool = False,
        poll_sizes: Sequence[int] = (2_000,),
    ) -> None:
        self.configuration = configuration
        self.rng = rng
        self.now_s = 0.0
        self.log = MemoryLog(clock_ms=self.wall_ms)
        self.log.create_topics(partitions)
        self.store = FlakyStore(open_store(configuration.snapshots), rng, flaky)
        self.archive = SnapshotArchive(self.store, KEYRING)
        self.deaths = Deaths(rng)
        self.restored: dict[int, Restored] = {}
        self._deferred = deferred
        self._poll_sizes = poll_sizes
        self.executor: Immediate | Deferred = Immediate()

    def clock(self) -> float:
        """Monotonic seconds; a microsecond passes with every look, so that time never stands."""
        self.now_s += 1e-6
        return self.now_s

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return WRITTEN_MS + int(self.now_s * 1000)

    def write(self, stream: Sequence[Meant]) -> None:
        """Appends records to the inputs."""
        if stream:
            self.log.append([meant.record() for meant in stream])

    def start(self, **options: Any) -> Worker:
        """A new worker over what there is; its shards are restored in its first turn."""
        self.executor = Deferred() if self._deferred else Immediate()
        transport = SmallPolls(self.log.join(), self.rng.choice(self._poll_sizes))
        self.log.faults = self.deaths
        return Worker(
            self.configuration,
            cast(Transport, transport),
            Snapshots(self.configuration.snapshots, self.archive, self.executor),
            clock=self.clock,
            faults=self.deaths,
            on_restored=self.restored.__setitem__,
            wall_ms=self.wall_ms,
            **options,
        )

    def bury(self) -> None:
        """After a death: what the thread beside the stream had begun may be done, or not."""
        if self.rng.random() < 0.5:
            with suppress(Crash):
                self.executor.some(100)
        self.log.kill_worker()

    def work(self, worker: Worker) -> None:
        """Turns until there is nothing left to do."""
        while worker.turn(0.0) or not worker.runners or busy(worker):
            self.executor.some(self.rng.randrange(3))

    def wait_out(self, worker: Worker) -> None:
        """Lets time pass until nothing is due any more, however long that takes."""
        while any(r.shard.next_tick_ms() is not None for r in worker.runners.values()):
            self.now_s += 86_400 * 30
            self.work(worker)

    def entries(self, shard: int) -> list[Entry]:
        """The journal of a shard."""
        return list(journal.read(self.log, shard, 0, self.log.end_offset("journal", shard)))

    def published(self, shard: int) -> set[str]:
        """The keys that the journal has published and not retired."""
        keys: set[str] = set()
        for entry in self.entries(shard):
            keys |= {named["key"] for named in entry.published}
            keys -= set(entry.retired)
        return keys

    def stored(self, shard: int) -> set[str]:
        """The keys of the shard's snapshots in the store, of whatever journal."""
        return {found.key for found in self.store.list() if f"/{shard}/" in found.key}

    def header(self, key: str) -> SnapshotHeader:
        """What a stored snapshot says about itself."""
        ref = parse_key(key)
        snapshot = None if ref is None else self.archive.read(ref)
        assert snapshot is not None, "it is stored"
        return snapshot.header

    def outputs(self, topic: str, shard: int) -> list[Record]:
        """What the shard has put out."""
        return list(self.log.read(topic, shard, 0))

    def everything(self) -> tuple[Any, ...]:
        """All that is on the log and in the store, to see that nothing was changed."""
        partitions = range(self.log.partitions())
        records = [
            (topic, shard, list(self.log.read(topic, shard, self.log.begin_offset(topic, shard))))
            for topic in (*INPUTS, *OUTPUTS)
            for shard in partitions
        ]
        committed: list[Committed | None] = [self.log.committed(shard) for shard in partitions]
        objects = [(found.key, self.store.get(found.key)) for found in self.store.list()]
        return records, committed, objects


def busy(worker: Worker) -> bool:
    """Whether any shard has something left to do."""
    return any(runner.is_busy() for runner in worker.runners.values())


def bodies(records: Sequence[Record | NewRecord]) -> list[tuple[Any, ...]]:
    """What a reader of an output topic sees, in order, but for the time of its writing."""
    return [(record.key, record.value, record.headers) for record in records]
