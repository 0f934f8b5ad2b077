"""One service's log in each of its three forms, with what the conformance suite does to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from consumers.record import NewRecord, Record
from consumers.transport import INPUTS, Log, StepCommit, Transport
from consumers.transports import open_log, open_transport
from consumers.transports.memory import MemoryLog, MemoryTransport

PATIENCE_S = 20.0


class World(Protocol):
    """A service's log: opened by any process, joined by a worker, outliving both."""

    def log(self) -> Log: ...

    def join(self) -> Transport: ...

    def kill(self, worker: Transport) -> None:
        """The worker's death: what it had not committed is gone."""
        ...


class MemoryWorld:
    def __init__(self) -> None:
        self._log = MemoryLog()

    def log(self) -> Log:
        return self._log

    def join(self) -> Transport:
        return self._log.join()

    def kill(self, worker: Transport) -> None:
        assert isinstance(worker, MemoryTransport)
        self._log.kill_worker()


class UrlWorld:
    """A log with a URL; everything opened is closed with the world."""

    def __init__(self, url: str, service: str, closing: ExitStack) -> None:
        self.url = url
        self.service = service
        self._closing = closing

    def log(self) -> Log:
        log = open_log(self.url, self.service)
        self._closing.callback(log.close)
        return log

    def join(self) -> Transport:
        transport = open_transport(self.url, self.service)
        self._closing.callback(transport.close)
        return transport

    def kill(self, worker: Transport) -> None:
        # Deaths in the middle of a write are the work of each log's own tests.
        worker.close()


def sqlite_world(folder: Path, closing: ExitStack) -> UrlWorld:
    return UrlWorld(f"sqlite:{folder / 'flights.db'}", "flights", closing)


def record(value: str, key: str | None = None) -> NewRecord:
    return NewRecord(value.encode(), None if key is None else key.encode())


def values(records: list[Record] | tuple[Record, ...]) -> list[str]:
    return [(record.value or b"").decode() for record in records]


def expect(log: Log, topic: str, partition: int, texts: list[str]) -> None:
    """Waits until the partition holds just these: a commit may be readable a moment after it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        found = values(list(log.read(topic, partition, 0)))
        if found == texts or time.monotonic() > deadline_s:
            break
    assert found == texts


def at(**positions: int) -> dict[str, int]:
    """Positions of all inputs; those not named are 0."""
    return {role: positions.get(role, 0) for role in INPUTS}


def step(
    shard: int, outputs: list[tuple[str, NewRecord]], note: str = "", **positions: int
) -> StepCommit:
    return StepCommit(shard, outputs, at(**positions), note)


class Worker:
    """A transport with what it has polled: (shard, role) → records, position and end."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.gained: set[int] = set()
        self.records: dict[tuple[int, str], list[Record]] = {}
        self.position: dict[tuple[int, str], int] = {}
        self.end: dict[tuple[int, str], int] = {}

    def poll(
        self,
        timeout_s: float = 0.05,
        max_records: int = 1_000,
        full: tuple[tuple[int, str], ...] = (),
    ) -> None:
        polled = self.transport.poll(timeout_s, max_records, full)
        self.gained.update(polled.gained)
        for shard, batches in polled.inputs.items():
            assert set(batches) == set(INPUTS)
            for role, batch in batches.items():
                assert len(batch.records) <= max_records
                assert batch.position <= batch.end
                assert all(r.offset < batch.position for r in batch.records)
                assert all((r.topic, r.partition) == (role, shard) for r in batch.records)
                self.records.setdefault((shard, role), []).extend(batch.records)
                self.position[shard, role] = batch.position
                self.end[shard, role] = batch.end

    def poll_until(self, condition: Callable[[], bool], max_records: int = 1_000) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, "this never came"
            self.poll(max_records=max_records)

    def start(self, *shards: int, **positions: int) -> Worker:
        """Starts shards as soon as they are gained."""
        self.poll_until(lambda: self.gained.issuperset(shards))
        for shard in shards:
            self.transport.start(shard, at(**positions))
        return self

    def take(self, shard: int, role: str, count: int, max_records: int = 1_000) -> list[str]:
        """The values of the next `count` records of an input."""
        self.poll_until(lambda: len(self.records.get((shard, role), [])) >= count, max_records)
        taken = self.records[shard, role][:count]
        del self.records[shard, role][:count]
        return values(taken)

    def drain(self, *shards: int) -> None:
        """Polls until every input of the shards is at its end."""
        names = [(shard, role) for shard in shards for role in INPUTS]
        self.end.clear()
        self.poll_until(
            lambda: all(
                name in self.end and self.position[name] == self.end[name] for name in names
            )
        )
