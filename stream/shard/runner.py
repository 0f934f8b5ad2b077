"""The runner: takes one shard through its steps, from what was polled to what is to be committed.

offer → prepare → (the worker commits) → confirmed

Everything impure about a shard's step is here or in what this holds: admission decides how much,
the checkpointer takes snapshots beside the stream, the journal entry says what was done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from consumers.transport import INPUTS, InputBatch, StepCommit
from stream.commands import Heavy, RollbackCommand, is_heavy, parse_command
from stream.errors import CommandError, RollbackError
from stream.shard import outcomes
from stream.shard.admission import FOREVER_S, Admission
from stream.shard.checkpoint import CHAMPION, Checkpointer, publication
from stream.shard.divergence import Divergence
from stream.shard.effects import RESUME_HINT, Outputs
from stream.shard.journal import TOPIC, Entry, note_of
from stream.shard.parts import Standing, standing_of
from stream.shard.reconfigure import check_change, reconfigured
from stream.shard.rollback import Rollbacks
from stream.shard.shard import Shard
from stream.shard.step import Step
from stream.shard.updates import Place, place_in, told_of
from stream.shard.versions import cut_version

log = logging.getLogger(__name__)

Faults = Callable[[str], None]


class ShardRunner:
    """One shard at work.

    Parameters
    ----------
    shard
        The state, as of journal entry `sequence`.
    journal
        The journal's id.
    last
        The last committed entry.
    checkpointer
        Takes and publishes snapshots.
    admission
        Decides the next step.
    rollbacks
        Computes the states that rollback commands ask for.
    announce
        Fields for the next entry, such as engines that changed; said once.
    divergence
        What the next entry has to accept, with a snapshot of this state.
    clock
        Monotonic seconds.
    faults
        Called with the name of each boundary that is passed; may raise (simulation).
    """

    def __init__(
        self,
        shard: Shard,
        journal: str,
        last: Entry,
        checkpointer: Checkpointer,
        admission: Admission,
        rollbacks: Rollbacks,
        *,
        announce: Mapping[str, Any],
        divergence: Divergence | None = None,
        clock: Callable[[], float],
        faults: Faults,
    ) -> None:
        self.shard = shard
        self.journal = journal
        self.last = last
        self.sequence = last.sequence
        self.positions = dict(last.end)
        self.checkpointer = checkpointer
        self.admission = admission
        self.rollbacks = rollbacks
        self._announce = dict(announce)
        self._divergence = divergence
        self._clock = clock
        self._faults = faults
        self.left_out: dict[Place, str] = {}
        self.must_fetch_anew = False
        self._standing = standing_of(shard.parts)
        self._prepared: Entry | None = None
        self._stuck: Step | None = None
        self.paused: str | None = None

    def offer(self, inputs: Mapping[str, InputBatch]) -> None:
        """Takes over what a poll brought."""
        self.admission.offer(inputs)

    def resume(self, admission: Admission, rollbacks: Rollbacks) -> None:
        """Goes on with the state in hand from its last committed entry, as if restored there."""
        assert self._prepared is None, "a state ahead of the log is not kept"
        self.admission = admission
        self.rollbacks = rollbacks
        self._stuck = self.paused = None

    def is_committed(self) -> bool:
        """Whether the state in hand is that of the last committed entry, and not ahead of it."""
        return self._prepared is None

    def full(self) -> list[tuple[int, str]]:
        """The inputs that have enough records in hand."""
        return [(self.shard.shard, name) for name in self.admission.full()]

    def prepare(self, *, publish_only: bool = False) -> StepCommit | None:
        """Applies the next step, if there is one, and gives what is to be committed for it.

        After it the state is ahead of the log: it is `confirmed`, or it is thrown away.
        """
        assert self._prepared is None, "a prepared step is confirmed before the next one"
        if self._divergence is not None:
            return self._accept(self._divergence)
        news = self.checkpointer.news(self._versions)
        step = None
        if self._stuck is not None:
            step = self._stuck if self._is_replaced() else None
        elif not publish_only:
            step = self.admission.next_step(self.positions, self.shard)
        if step is None:
            if not news and not self._announce:
                return None
            step = Step(self.positions, self.positions, (), None, [])
        outputs: Outputs = []
        extra: dict[str, Any] = {}
        end = step.end
        if step.commands and is_heavy(step.commands[0]):
            try:
                said, extra = self._change(step, outputs)
            except RollbackError as error:
                self._pause(step, error)
                return None
            if "published" not in extra:
                self.checkpointer.applied(step.size, 0.0)
        else:
            started = self._clock()
            applied = self.shard.apply(step._replace(left_out=self.left_out), outputs)
            self.checkpointer.applied(step.size, self._clock() - started)
            said, end = applied.outcomes, dict(applied.end)
            if applied.left_out:
                extra["left_out"] = [
                    told_of(place, self.left_out[place], CHAMPION) for place in applied.left_out
                ]
        standing = standing_of(self.shard.parts)
        if standing != self._standing:
            extra["standing"] = standing
        self._faults("applied")
        return self._commit(
            step, end, outputs, outcomes=said, **{**news, **self._announce, **extra}
        )

    def _commit(
        self, step: Step, end: Mapping[str, int], outputs: Outputs, **said: Any
    ) -> StepCommit:
        """What is to be committed for a step: its results, and the entry that says this of it."""
        entry = Entry(
            journal=self.journal,
            sequence=self.sequence + 1,
            start=step.start,
            end=dict(end),
            digest=self.shard.parts.digest.hex(),
            tick_ms=step.tick_ms,
            **said,
        )
        outputs.append((TOPIC, entry.encode()))
        self._prepared = entry
        note = note_of(self.journal, entry.sequence)
        return StepCommit(self.shard.shard, outputs, entry.end, note)

    def _accept(self, divergence: Divergence) -> StepCommit:
        """What is to be committed to go on from a state that the journal says otherwise of."""
        log.warning(
            "shard %d: the difference from journal entry %d on is accepted",
            self.shard.shard,
            divergence.entry,
        )
        _, said = self._publish("accepted", self.positions)
        step = Step(self.positions, self.positions, (), None, [])
        return self._commit(
            step, step.end, [], accepted=divergence.told(), **{**said, **self._announce}
        )

    def _publish(
        self, reason: str, end: Mapping[str, int], version: int | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Writes the state as a snapshot now; gives its key, and what the next entry has to say to
        publish it.

        What was being written is written by then, and published with it: snapshots are published in
        order of sequence.
        """
        capture = self.checkpointer.capture(
            self.shard, self.journal, self.sequence + 1, end, reason, version
        )
        ref = self.checkpointer.put(capture)
        said = self.checkpointer.news(self._versions)
        said["published"] = [*said.get("published", []), publication(ref, version)]
        return ref.key, said

    def confirmed(self) -> bool:
        """Goes on from a committed step, and takes a snapshot if one is due; whether the step has
        put another configuration in force."""
        entry = self._prepared
        assert entry is not None, "only a prepared step is confirmed"
        self._prepared = None
        self._announce = {}
        self._divergence = None
        self.last = entry
        self.sequence = entry.sequence
        self.positions = entry.end
        self.checkpointer.confirmed(entry)
        if entry.standing is not None:
            self._stand(entry.standing)
        for told in entry.left_out:
            log.warning(
                "shard %d: the champion's update at %s was left out: %s",
                self.shard.shard,
                place_in(told),
                told["detail"],
            )
            self.left_out.pop(place_in(told), None)
        if entry.left_out:
            # The next undoing is short then, however many follow.
            self.snapshot("poison")
        for outcome in entry.outcomes:
            number = cut_version(outcome)
            if number is not None:
                self.snapshot("version", number)
        if self.checkpointer.is_due():
            self.snapshot("recovery")
        return entry.configuration is not None

    def snapshot(self, reason: str, version: int | None = None) -> None:
        """Takes a snapshot of the state as of the last committed entry; it is written beside the
        stream."""
        assert self._prepared is None, "a snapshot is of a committed state"
        self.checkpointer.take(
            self.shard, self.journal, self.sequence, self.positions, reason, version
        )

    def _stand(self, standing: Standing) -> None:
        """Takes note that the shard has halted or goes on, or that its learner has."""
        shard = self.shard.shard
        halted, before = standing["halted"], self._standing["halted"]
        self._standing = standing
        # What was fetched behind the record at which it halted is fetched again.
        self.must_fetch_anew = True
        if halted is not None and halted != before:
            log.error("shard %d has halted: %s (hint: %s)", shard, self.halted, RESUME_HINT)
        if standing["suspended"] is not None:
            log.error(
                "shard %d: the champion learns no more, since too many updates failed: %s "
                "(hint: %s)",
                shard,
                standing["suspended"],
                RESUME_HINT,
            )

    @property
    def _versions(self) -> Collection[int]:
        return self.shard.parts.versions.numbered

    @property
    def halted(self) -> str | None:
        """Why the shard has halted, in a line; None while it goes on."""
        halted = self.shard.parts.halting.halted
        return None if halted is None else str(halted)

    def fetch_anew(self) -> dict[str, int]:
        """Forgets what was polled; gives the positions to fetch from."""
        self.must_fetch_anew = False
        self.admission.forget()
        return self.positions

    def _change(self, step: Step, outputs: Outputs) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The outcome of a command that changes the state as a whole, and what its entry says
        beside; this shard's state is the new one after it."""
        record = step.commands[0]
        command = parse_command(record)
        assert isinstance(command, Heavy), "others share their step"
        old = self.shard
        if self._stuck is not None:
            self._stuck = self.paused = None
            return [outcomes.pass_over(old.parts, record, command)], {}
        try:
            check_change(old, command)
        except CommandError as error:
            return [outcomes.refuse(old.parts, record, command, error)], {}
        # An event has another number in a run without some, and another model may not fail.
        self.left_out = {}
        if isinstance(command, RollbackCommand):
            return self._roll_back(step, command, outputs)
        self.shard = reconfigured(old, command)
        outcome = outcomes.end_configuration(self.shard.parts, record, command)
        return [outcome], {"configuration": self.shard.plan.configuration.semantic()}

    def _roll_back(
        self, step: Step, command: RollbackCommand, outputs: Outputs
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """As `_change`, of a rollback.

        The new state is written as a snapshot before the entry that publishes it is committed, so
        recovery never computes it again.
        """
        old, record = self.shard, step.commands[0]
        made = self.rollbacks.state(command, old, self.checkpointer.published, self.sequence)
        state = made.shard
        outcome = outcomes.end_rollback(state.effects, record, command, made.left, outputs)
        if made.left_out:
            outcome["left_out"] = [
                told_of(place, detail, CHAMPION) for place, detail in made.left_out.items()
            ]
        self.shard = state
        outcome["snapshot"], extra = self._publish("rollback", step.end, outcome["version"])
        semantic = state.plan.configuration.semantic()
        if semantic != old.plan.configuration.semantic():
            extra["configuration"] = semantic
        return [outcome], extra

    def _pause(self, step: Step, error: RollbackError) -> None:
        """Keeps a command that cannot be carried out here: the shard waits, as do its events,
        until a later one that changes the state replaces it."""
        self._stuck = step
        self.paused = str(error)
        log.error("shard %d is paused: %s (hint: %s)", self.shard.shard, error, error.hint)

    def _is_replaced(self) -> bool:
        return any(is_heavy(record) for record in self.admission.commands())

    def patience_s(self) -> float:
        """How long a poll may wait before this shard has something to do."""
        if self._announce or self._divergence or self.checkpointer.has_news(self._versions):
            return 0.0
        if self._stuck is not None:
            return 0.0 if self._is_replaced() else FOREVER_S
        return self.admission.patience_s(self.shard)

    def is_busy(self) -> bool:
        """Whether records are left to apply, or a snapshot to publish."""
        # One that has halted reads on what might make it go on.
        awaited = INPUTS if self.halted is None else ("commands",)
        return (
            (self._stuck is None and not self.admission.is_drained(awaited))
            or self.checkpointer.is_writing()
            or self.patience_s() == 0.0
        )
