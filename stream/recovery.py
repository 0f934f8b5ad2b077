"""Recoveries: shards brought to where their journals end, beside the stream or in line with it.

A worker that recovers on its own thread polls nothing meanwhile, and a group puts out whoever does
not poll; so where a group shares the shards, each is recovered in a thread with a log of its own,
several at once, while the worker goes on with the others. Python computes on one processor, so
several threads together wait for the log and the store but do not compute faster: a few are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any, cast

from consumers.record import Record
from consumers.transport import Log
from stream.shard.restore import OnProgress, Restored
from stream.shard.runner import ShardRunner
from stream.shard.settled import settled_end

PARALLEL = 4

OpenLog = Callable[[], Log]
Restore = Callable[[Log, int, OnProgress], Restored]


class RecoveryStoppedError(Exception):
    """A recovery that nobody waits for any more; it has changed nothing."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A shard that can be started: restored from the log, or as it was held in hand."""

    shard: int
    restored: Restored | None
    held: ShardRunner | None


@dataclass(slots=True)
class _Recovery:
    shard: int
    held: ShardRunner | None
    stopped: Event = field(default_factory=Event)
    future: Future[Recovered] | None = None


class Recoveries:
    """The shards on their way.

    Parameters
    ----------
    restore
        Restores a shard from a log; calls its last argument as it goes on.
    open_log
        Opens a log for a thread; None recovers on the caller's thread, one shard after another.
    beat
        Called as a recovery goes on, in its thread; may raise `RecoveryStoppedError`.
    wake
        Called when one has ended beside the stream, in its thread.
    """

    def __init__(
        self,
        restore: Restore,
        open_log: OpenLog | None,
        beat: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self._restore = restore
        self._open_log = open_log
        self._beat = beat
        self._wake = wake
        self._under_way: dict[int, _Recovery] = {}
        self._executor: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, shard: int, held: ShardRunner | None) -> None:
        """Recovers a shard; the state `held` in hand is kept if the log has gone no further."""
        recovery = self._under_way[shard] = _Recovery(shard, held)
        if self._open_log is None:
            return
        if self._executor is None:
            self._executor = ThreadPoolExecutor(PARALLEL, thread_name_prefix="driftline-recovery")
        recovery.future = self._executor.submit(self._beside, recovery, self._open_log)
        recovery.future.add_done_callback(lambda _: self._wake())

    def cancel(self, shard: int) -> ShardRunner | None:
        """Gives up a shard's recovery, if there is one; gives what was held of it."""
        recovery = self._under_way.pop(shard, None)
        if recovery is None:
            return None
        recovery.stopped.set()
        return recovery.held

    def finished(self, log: Log) -> Iterator[Recovered]:
        """The shards that have been recovered; on the caller's thread, it recovers them now, from
        `log`.

        Raises
        ------
        StreamError, ConsumersError, LearnersError
            What made a recovery impossible.
        """
        for shard, recovery in list(self._under_way.items()):
            if recovery.future is None:
                found = self._recovered(recovery, log)
            elif recovery.future.done():
                found = recovery.future.result()
            else:
                continue
            del self._under_way[shard]
            yield found

    def close(self) -> None:
        """Gives up all of them, and returns when none is at work any more."""
        for shard in list(self._under_way):
            self.cancel(shard)
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def _beside(self, recovery: _Recovery, open_log: OpenLog) -> Recovered:
        log = open_log()
        try:
            return self._recovered(recovery, cast(Log, _Stoppable(log, recovery.stopped)))
        finally:
            log.close()

    def _recovered(self, recovery: _Recovery, log: Log) -> Recovered:
        held = recovery.held
        if held is not None and _is_unchanged(held, log):
            return Recovered(recovery.shard, None, held)
        restored = self._restore(log, recovery.shard, lambda entry, last: self._beat())
        return Recovered(recovery.shard, restored, None)


def _is_unchanged(held: ShardRunner, log: Log) -> bool:
    """Whether the last entry committed is the last one applied, all of it."""
    last = settled_end(log, held.shard.shard).last
    return last is not None and last.encode() == held.last.encode()


class _Stoppable:
    """A log whose reading ends when it is no longer wanted."""

    def __init__(self, log: Log, stopped: Event) -> None:
        self._log = log
        self._stopped = stopped

    def read(
        self, topic: str, partition: int, start: int, end: int | None = None
    ) -> Iterator[Record]:
        return self._until_stopped(self._log.read(topic, partition, start, end))

    def _until_stopped(self, records: Iterator[Record]) -> Iterator[Record]:
        is_set = self._stopped.is_set
        for record in records:
            if is_set():
                raise RecoveryStoppedError
            yield record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)
