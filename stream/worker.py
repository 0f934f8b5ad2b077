"""The worker: polls, steps and commits the shards that the transport gives it, until it is told to
stop.

One turn is: poll; offer what came to each shard; prepare one step for each; commit them together;
confirm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from consumers.transport import Log, Transport
from stream.configuration import Configuration
from stream.errors import UpdateFailedError
from stream.progress import Progress
from stream.recovery import OpenLog, Recovered, Recoveries, RecoveryStoppedError
from stream.scheduling import VersionSchedule
from stream.shard.admission import Admission
from stream.shard.checkpoint import Checkpointer, Snapshots
from stream.shard.restore import OnProgress, Restored, restore
from stream.shard.rollback import Rollbacks
from stream.shard.runner import Faults, ShardRunner
from stream.shard.updates import Place
from stream.telemetry.telemetry import Telemetry
from stream.whereabouts import at

log = logging.getLogger(__name__)

POLL_RECORDS = 2_000
IDLE_POLL_S = 0.5


class Worker:
    """One worker of a service.

    Parameters
    ----------
    configuration
        The configuration to run; its semantic part must be the one that the journal has in force.
    transport
        This worker's view of the log.
    open_log
        Opens another view of the log for each shard that is recovered beside the others; None
        recovers them in line.
    snapshots
        Where snapshots are kept and how they are signed.
    use_journal_configuration
        Run what the journal has in force where the file differs, instead of stopping.
    accept_divergence
        Go on from what a replay gives where the journal says otherwise, instead of stopping.
    clock
        Monotonic seconds; only ticks, bounded waits and the age of snapshots depend on it.
    faults
        Called with the name of each boundary that is passed; may raise (simulation).
    on_restored
        Called when a shard has been recovered.
    telemetry
        What the worker tells of itself; by default nobody listens.
    wall_ms
        Milliseconds since the epoch; only versions on schedule depend on it.
    """

    def __init__(
        self,
        configuration: Configuration,
        transport: Transport,
        snapshots: Snapshots,
        *,
        open_log: OpenLog | None = None,
        use_journal_configuration: bool = False,
        accept_divergence: bool = False,
        clock: Callable[[], float] = time.monotonic,
        faults: Faults = lambda boundary: None,
        on_restored: Callable[[int, Restored], None] = lambda shard, restored: None,
        telemetry: Telemetry | None = None,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.configuration = configuration
        self.transport = transport
        self.runners: dict[int, ShardRunner] = {}
        self.commits = 0
        self._snapshots = snapshots
        self._use_journal_configuration = use_journal_configuration
        self._accept_divergence = accept_divergence
        self._has_changed = False
        self._clock = clock
        self._faults = faults
        self._on_restored = on_restored
        self._telemetry = telemetry or Telemetry(configuration.name)
        self._schedule = VersionSchedule(configuration.snapshots.versions, wall_ms)
        self._stopping = False
        self._joined = False
        self._held: dict[int, ShardRunner] = {}
        self._failing: dict[int, dict[Place, str]] = {}
        self._recoveries = Recoveries(self._restore, open_log, self._check_stop, self._wake)

    def run(self) -> None:
        """Works until `stop`; then snapshots every shard after its last committed step and leaves.

        Raises
        ------
        StreamError, ConsumersError, LearnersError
            Whatever makes going on unsafe. What was committed before it stays, and nothing else.
        """
        with self._ending_recoveries(), suppress(RecoveryStoppedError):
            while not self._stopping:
                self.turn(IDLE_POLL_S)
        self.leave()

    def run_until_idle(self) -> None:
        """Works until every input of every shard is at its end and nothing is left to publish, or
        until `stop`."""
        with self._ending_recoveries(), suppress(RecoveryStoppedError):
            while not self._stopping and (self.turn(self._waiting_s()) or self._is_busy()):
                pass

    def recover(self) -> None:
        """Recovers its shards and leaves, without applying anything."""
        with self._ending_recoveries(), suppress(RecoveryStoppedError):
            while not self._stopping and (not self._joined or self._recoveries):
                self._poll(IDLE_POLL_S)
        self.leave()

    def run_until_idle_and_leave(self) -> None:
        """The same; then leaves as `run` does."""
        self.run_until_idle()
        self.leave()

    def stop(self) -> None:
        """Makes `run` end after the step in hand; safe in a signal handler."""
        self._stopping = True
        self.transport.interrupt()

    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    def rejoin(self, transport: Transport) -> None:
        """Goes on over a transport that has joined anew, after one that failed.

        States that are ahead of the log are dropped; others are kept if the log has gone no
        further.
        """
        self._lose(list(self.runners))
        self.transport = transport
        self._joined = False

    def turn(self, timeout_s: float) -> bool:
        """One round of poll, step, commit; True if anything was committed."""
        if (first := self.runners.get(0)) is not None:
            self._schedule.tend(self.transport, first)
        self._poll(timeout_s)
        stepped = self._step()
        self._telemetry.turned(self.runners)
        if self._recoveries:
            self._telemetry.recovering()
        return stepped

    def _poll(self, timeout_s: float) -> None:
        """Takes over what came, and the shards that came and went."""
        full = [item for runner in self.runners.values() for item in runner.full()]
        polled = self.transport.poll(self._patience_s(timeout_s), POLL_RECORDS, full)
        self._lose(polled.lost)
        for shard in polled.gained:
            self._telemetry.recovering()
            self._recoveries.begin(shard, self._held.pop(shard, None))
        self._joined = not polled.rebalancing
        if self._joined:
            self._held.clear()
        for shard, inputs in polled.inputs.items():
            # One that is being recovered fetches anew when it starts.
            if shard in self.runners:
                self.runners[shard].offer(inputs)
        self._start_recovered()
        self._faults("polled")

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
        failed = []
        for runner in self.runners.values():
            try:
                with at(runner.shard.shard, runner.sequence, runner.positions):
                    commit = runner.prepare(publish_only=publish_only)
            except UpdateFailedError as error:
                failed.append((runner, error))
                continue
            if commit is not None:
                commits.append(commit)
                prepared.append(runner)
        if commits:
            self.transport.commit(commits)
            self.commits += 1
            self._faults("committed")
        for runner in prepared:
            with at(runner.shard.shard, runner.sequence + 1):
                self._has_changed |= runner.confirmed()
            if runner.must_fetch_anew:
                self.transport.start(runner.shard.shard, runner.fetch_anew())
        for runner, failure in failed:
            self._undo(runner, failure)
        if commits:
            self._telemetry.stepped(time.perf_counter() - started_s)
        return bool(commits or failed)

    def _undo(self, runner: ShardRunner, error: UpdateFailedError) -> None:
        """Recovers a shard whose learner may be half updated; the update is left out from now on.

        Each failure decides on one more update, so a step is tried again only so often.
        """
        shard = runner.shard.shard
        log.warning("%s; the shard is recovered, and goes on without that update", error)
        place = Place(*error.place)
        assert place not in runner.left_out, "what is left out is not asked of the learner"
        self._failing[shard] = {**runner.left_out, place: error.detail}
        del self.runners[shard]
        self._telemetry.recovering()
        self._recoveries.begin(shard, None)

    def _lose(self, shards: Sequence[int]) -> None:
        """Gives up shards, their steps settled; what is as the log has it is held for a while."""
        for shard in shards:
            self._failing.pop(shard, None)
            runner = self.runners.pop(shard, None) or self._recoveries.cancel(shard)
            if runner is not None and runner.is_committed():
                self._held[shard] = runner

    def _restore(self, source: Log, shard: int, on_progress: OnProgress) -> Restored:
        progress = Progress(shard, "recovering")

        def tell(entry: int, last: int) -> None:
            progress(entry, last)
            on_progress(entry, last)

        with at(shard):
            return restore(
                source,
                shard,
                self.configuration,
                self._snapshots,
                # A command may have put another configuration in force than the file that this
                # worker was started with.
                use_journal_configuration=self._use_journal_configuration or self._has_changed,
                accept_divergence=self._accept_divergence,
                on_progress=tell,
            )

    def _start_recovered(self) -> None:
        """Starts the shards that have been recovered; new journals are founded before anything is
        read."""
        found = list(self._recoveries.finished(self.transport))
        founding = [
            one.restored.founding
            for one in found
            if one.restored is not None and one.restored.founding is not None
        ]
        if founding:
            self.transport.commit(founding)
        for one in found:
            runner = self.runners[one.shard] = self._runner(one)
            runner.left_out |= self._failing.pop(one.shard, {})
            self.transport.start(one.shard, runner.positions)
            if one.restored is not None:
                self._on_restored(one.shard, one.restored)

    def _runner(self, found: Recovered) -> ShardRunner:
        rollbacks = Rollbacks(
            self.transport,
            self._snapshots.archive,
            self.configuration,
            self._compute_on(found.shard),
        )
        admission = Admission(self._clock)
        if found.held is not None:
            found.held.resume(admission, rollbacks)
            return found.held
        restored = found.restored
        assert restored is not None, "a shard is restored or was held"
        checkpointer = Checkpointer(
            self._snapshots,
            restored.published,
            restored.orphans,
            self._clock,
            self._faults,
            behind=restored.records,
        )
        for capture in restored.captures:
            checkpointer.submit(capture)
        return ShardRunner(
            restored.shard,
            restored.journal,
            restored.last,
            checkpointer,
            admission,
            rollbacks,
            announce=restored.announce,
            divergence=restored.divergence,
            clock=self._clock,
            faults=self._faults,
        )

    def _compute_on(self, shard: int) -> OnProgress:
        """A rollback computes for long: neither the group nor a probe may take it for dead, and
        people want to know how far it is."""
        progress = Progress(shard, "rolling back")

        def tell(entry: int, last: int) -> None:
            progress(entry, last)
            self._telemetry.beat()
            self.transport.keep_alive()

        return tell

    def _check_stop(self) -> None:
        """Gives up a replay when told to stop: it changes nothing, and may take long."""
        self._telemetry.beat()
        if self._stopping:
            raise RecoveryStoppedError

    def _wake(self) -> None:
        self.transport.interrupt()

    @contextmanager
    def _ending_recoveries(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._recoveries.close()

    def _patience_s(self, timeout_s: float) -> float:
        """How long a poll may wait: not at all while there is work in hand, and never past a
        tick."""
        for runner in self.runners.values():
            timeout_s = min(timeout_s, runner.patience_s())
        return max(0.0, timeout_s)

    def _waiting_s(self) -> float:
        """How long to wait for those that are recovered beside this thread, or for the group."""
        return IDLE_POLL_S if self._recoveries or not self._joined else 0.0

    def _is_busy(self) -> bool:
        return (
            not self._joined
            or bool(self._recoveries)
            or any(runner.is_busy() for runner in self.runners.values())
        )
