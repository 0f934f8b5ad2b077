"""The runner: takes one shard through its steps, from what was polled to what is to be committed.

offer → prepare → (the worker commits) → confirmed

Everything impure about a shard's step is here or in what this holds: admission decides how much,
the checkpointer takes snapshots beside the stream, the journal entry says what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from consumers.transport import InputBatch, StepCommit
from stream.shard.admission import Admission
from stream.shard.checkpoint import Checkpointer
from stream.shard.effects import Outputs
from stream.shard.journal import TOPIC, Entry, note_of
from stream.shard.shard import Shard
from stream.shard.step import Step

Faults = Callable[[str], None]


class ShardRunner:
    """One shard at work.

    Parameters
    ----------
    shard
        The state, as of journal entry `sequence`.
    journal
        The journal's id.
    sequence
        The last committed entry.
    positions
        The next offset of every input, as committed.
    checkpointer
        Takes and publishes snapshots.
    admission
        Decides the next step.
    announce
        Fields for the next entry, such as engines that changed; said once.
    clock
        Monotonic seconds.
    faults
        Called with the name of each boundary that is passed; may raise (simulation).
    """

    def __init__(
        self,
        shard: Shard,
        journal: str,
        sequence: int,
        positions: Mapping[str, int],
        checkpointer: Checkpointer,
        admission: Admission,
        *,
        announce: Mapping[str, Any],
        clock: Callable[[], float],
        faults: Faults,
    ) -> None:
        self.shard = shard
        self.journal = journal
        self.sequence = sequence
        self.positions = dict(positions)
        self.checkpointer = checkpointer
        self.admission = admission
        self._announce = dict(announce)
        self._clock = clock
        self._faults = faults
        self._prepared: Entry | None = None

    def offer(self, inputs: Mapping[str, InputBatch]) -> None:
        """Takes over what a poll brought."""
        self.admission.offer(inputs)

    def full(self) -> list[tuple[int, str]]:
        """The inputs that have enough records in hand."""
        return [(self.shard.shard, name) for name in self.admission.full()]

    def prepare(self, *, publish_only: bool = False) -> StepCommit | None:
        """Applies the next step, if there is one, and gives what is to be committed for it.

        After it the state is ahead of the log: it is `confirmed`, or it is thrown away.
        """
        assert self._prepared is None, "a prepared step is confirmed before the next one"
        news = self.checkpointer.news()
        step = None
        if not publish_only:
            step = self.admission.next_step(self.positions, self.shard)
        if step is None:
            if not news and not self._announce:
                return None
            step = Step(self.positions, self.positions, (), None, [])
        outputs: Outputs = []
        started = self._clock()
        outcomes = self.shard.apply(step, outputs)
        self.checkpointer.applied(step.size, self._clock() - started)
        self._faults("applied")
        entry = Entry(
            journal=self.journal,
            sequence=self.sequence + 1,
            start=step.start,
            end=step.end,
            digest=self.shard.parts.digest.hex(),
            tick_ms=step.tick_ms,
            outcomes=outcomes,
            **news,
            **self._announce,
        )
        outputs.append((TOPIC, entry.encode()))
        self._prepared = entry
        note = note_of(self.journal, entry.sequence)
        return StepCommit(self.shard.shard, outputs, entry.end, note)

    def confirmed(self) -> None:
        """Goes on from a committed step, and takes a snapshot if one is due."""
        entry = self._prepared
        assert entry is not None, "only a prepared step is confirmed"
        self._prepared = None
        self._announce = {}
        self.sequence = entry.sequence
        self.positions = entry.end
        self.checkpointer.confirmed(entry)
        if self.checkpointer.is_due():
            self.snapshot("recovery")

    def snapshot(self, reason: str) -> None:
        """Takes a snapshot of the state as of the last committed entry; it is written beside the
        stream."""
        assert self._prepared is None, "a snapshot is of a committed state"
        self.checkpointer.take(self.shard, self.journal, self.sequence, self.positions, reason)

    def patience_s(self) -> float:
        """How long a poll may wait before this shard has something to do."""
        if self._announce or self.checkpointer.has_news():
            return 0.0
        return self.admission.patience_s(self.shard)

    def is_busy(self) -> bool:
        """Whether records are left to apply, or a snapshot to publish."""
        return (
            not self.admission.is_drained()
            or self.checkpointer.is_writing()
            or self.patience_s() == 0.0
        )
