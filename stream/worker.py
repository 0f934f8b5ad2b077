"""The worker: polls, steps and commits the shards that the transport gives it, until it is told to
stop.

One turn is: poll; offer what came to each shard; prepare one step for each; commit them together;
confirm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress

from consumers.transport import Transport
from stream.configuration import Configuration
from stream.shard.admission import Admission
from stream.shard.checkpoint import Checkpointer, Snapshots
from stream.shard.restore import Restored, restore
from stream.shard.rollback import Rollbacks
from stream.shard.runner import Faults, ShardRunner
from stream.telemetry.telemetry import Telemetry

log = logging.getLogger(__name__)

POLL_RECORDS = 2_000
IDLE_POLL_S = 0.5


class StoppedError(Exception):
    """Told to stop while a shard was being recovered."""


class Worker:
    """One worker of a service.

    Parameters
    ----------
    configuration
        The configuration to run; its semantic part must be the one that the journal has in force.
    transport
        This worker's view of the log.
    snapshots
        Where snapshots are kept and how they are signed.
    use_journal_configuration
        Run what the journal has in force where the file differs, instead of stopping.
    clock
        Monotonic seconds; only ticks, bounded waits and the age of snapshots depend on it.
    faults
        Called with the name of each boundary that is passed; may raise (simulation).
    on_restored
        Called when a shard has been recovered.
    telemetry
        What the worker tells of itself; by default nobody listens.
    """

    def __init__(
        self,
        configuration: Configuration,
        transport: Transport,
        snapshots: Snapshots,
        *,
        use_journal_configuration: bool = False,
        clock: Callable[[], float] = time.monotonic,
        faults: Faults = lambda boundary: None,
        on_restored: Callable[[int, Restored], None] = lambda shard, restored: None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.configuration = configuration
        self.transport = transport
        self.runners: dict[int, ShardRunner] = {}
        self._snapshots = snapshots
        self._use_journal_configuration = use_journal_configuration
        self._has_changed = False
        self._clock = clock
        self._faults = faults
        self._on_restored = on_restored
        self._telemetry = telemetry or Telemetry(configuration.name)
        self._stopping = False

    def run(self) -> None:
        """Works until `stop`; then snapshots every shard after its last committed step and leaves.

        Raises
        ------
        StreamError, ConsumersError, LearnersError
            Whatever makes going on unsafe. What was committed before it stays, and nothing else.
        """
        with suppress(StoppedError):
            while not self._stopping:
                self.turn(IDLE_POLL_S)
        self.leave()

    def run_until_idle(self) -> None:
        """Works until every input of every shard is at its end and nothing is left to publish, or
        until `stop`."""
        with suppress(StoppedError):
            while not self._stopping and (self.turn(0.0) or self._is_busy()):
                pass

    def stop(self) -> None:
        """Makes `run` end after the step in hand; safe in a signal handler."""
        self._stopping = True
        self.transport.interrupt()

    def turn(self, timeout_s: float) -> bool:
        """One round of poll, step, commit; True if anything was committed."""
        full = [item for runner in self.runners.values() for item in runner.full()]
        polled = self.transport.poll(self._patience_s(timeout_s), POLL_RECORDS, full)
        for shard in polled.lost:
            self.runners.pop(shard, None)
        for shard in polled.gained:
            self._gain(shard)
        for shard, inputs in polled.inputs.items():
            self.runners[shard].offer(inputs)
        self._faults("polled")
        stepped = self._step()
        self._telemetry.turned(self.runners)
        return stepped

    def leave(self) -> None:
        """Snapshots every shard that has moved since its last one, and publishes the snapshots."""
        self._settle()
        for runner in self.runners.values():
            if runner.checkpointer.is_behind():
                runner.snapshot("sigterm")
        self._settle()

    def _settle(self) -> None:
        """Ends what goes on beside the stream: what is being written is published, what that
        retires is deleted."""
        for runner in self.runners.values():
            runner.checkpointer.wait()
        self._step(publish_only=True)
        for runner in self.runners.values():
            runner.checkpointer.wait()

    def _step(self, *, publish_only: bool = False) -> bool:
        commits = []
        prepared = []
        started_s = time.perf_counter()
        for runner in self.runners.values():
            commit = runner.prepare(publish_only=publish_only)
            if commit is not None:
                commits.append(commit)
                prepared.append(runner)
        if not commits:
            return False
        self.transport.commit(commits)
        self._faults("committed")
        for runner in prepared:
            self._has_changed |= runner.confirmed()
        self._telemetry.stepped(time.perf_counter() - started_s)
        return True

    def _gain(self, shard: int) -> None:
        self._telemetry.recovering()
        restored = restore(
            self.transport,
            shard,
            self.configuration,
            self._snapshots,
            # A command may have put another configuration in force than the file that this worker
            # was started with.
            use_journal_configuration=self._use_journal_configuration or self._has_changed,
            on_progress=self._check_stop,
        )
        checkpointer = Checkpointer(
            self._snapshots,
            restored.published,
            restored.orphans,
            self._clock,
            self._faults,
            behind=restored.records,
        )
        runner = ShardRunner(
            restored.shard,
            restored.journal,
            restored.sequence,
            restored.positions,
            checkpointer,
            Admission(self._clock),
            Rollbacks(
                self.transport,
                self._snapshots.archive,
                self.configuration,
                lambda entry, last: self._telemetry.beat(),
            ),
            announce=restored.announce,
            clock=self._clock,
            faults=self._faults,
        )
        for capture in restored.captures:
            checkpointer.submit(capture)
        self.runners[shard] = runner
        self.transport.start(shard, runner.positions)
        self._on_restored(shard, restored)

    def _check_stop(self, entry: int, last: int) -> None:
        """Gives up a replay when told to stop: it changes nothing, and may take long."""
        self._telemetry.beat()
        if self._stopping:
            raise StoppedError

    def _patience_s(self, timeout_s: float) -> float:
        """How long a poll may wait: not at all while there is work in hand, and never past a
        tick."""
        for runner in self.runners.values():
            timeout_s = min(timeout_s, runner.patience_s())
        return max(0.0, timeout_s)

    def _is_busy(self) -> bool:
        return not self.runners or any(runner.is_busy() for runner in self.runners.values())
