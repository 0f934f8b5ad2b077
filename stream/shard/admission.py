"""Admission: how much of what was polled goes into the next step.

The next step is a consecutive piece of the merged order. An input whose committed end lies beyond
what was fetched is waited for without bound, so that in a catch-up labels are not learnt hours
after events that they preceded; an input at its end is waited for up to a bound. Commands never
wait for records. A tick goes only into a step without records, when every input is at its committed
end, and only when something is due by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from consumers.merge import MERGED, take
from consumers.record import Record
from consumers.transport import INPUTS, InputBatch
from stream.commands import is_heavy
from stream.shard.parts import BEFORE_ALL_MS
from stream.shard.shard import Shard
from stream.shard.step import Step

STEP_RECORDS = 2_000
"""More records a step cost less each, but take longer to be seen; 2,000 take some 50 ms."""

BUFFER_RECORDS = 4_000
"""An input with so many records in hand is not fetched: memory does not grow with lag."""

FOREVER_S = 3600.0


class Admission:
    """What was polled of one shard's inputs and is not yet applied.

    Parameters
    ----------
    clock
        Monotonic seconds.
    bound_s
        How long an input at its committed end is waited for while others have records. 0 for a log
        whose ends are read together with its records.
    step_records
        The most records in one step.
    """

    def __init__(
        self, clock: Callable[[], float], bound_s: float = 0.0, step_records: int = STEP_RECORDS
    ) -> None:
        self._clock = clock
        self._bound_s = bound_s
        self._step_records = step_records
        self._buffers: dict[str, list[Record]] = {name: [] for name in INPUTS}
        self._fetched: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._waiting_since_s: float | None = None
        self._idle_since_s: float | None = None
        self._idle_clock_ms = 0

    def offer(self, inputs: Mapping[str, InputBatch]) -> None:
        """Takes over what one poll brought of every input."""
        for name, batch in inputs.items():
            if batch.records:
                self._buffers[name] += batch.records
            self._fetched[name] = batch.position
            self._ends[name] = batch.end

    def forget(self) -> None:
        """Forgets what was polled: it comes again."""
        self._buffers = {name: [] for name in INPUTS}
        self._fetched, self._ends = {}, {}
        self._waiting_since_s = self._idle_since_s = None

    def full(self) -> list[str]:
        """The inputs that need not be fetched now."""
        return [name for name, held in self._buffers.items() if len(held) >= BUFFER_RECORDS]

    def next_step(self, positions: Mapping[str, int], shard: Shard) -> Step | None:
        """The next step from `positions` on, or None if nothing may be applied yet."""
        if not self._fetched:
            return None
        commands = self._next_commands()
        if commands:
            self._idle_since_s = None
            return self._step(positions, {"commands": len(commands)}, commands, [])
        if shard.parts.halting.halted is not None:
            # No ticks either: labels wait unread, so no wait may end.
            return None
        data = {name: self._buffers[name] for name in MERGED}
        taken = take(data, self._step_records, self._waited_for())
        if not taken.merged:
            return self._tick(positions, shard)
        self._idle_since_s = self._waiting_since_s = None
        return self._step(positions, taken.counts, (), taken.merged)

    def left(self, positions: Mapping[str, int]) -> dict[str, int]:
        """How far each input's end, as last polled, lies beyond what is applied."""
        return {name: max(0, end - positions[name]) for name, end in self._ends.items()}

    def commands(self) -> list[Record]:
        """The commands in hand that no step holds yet."""
        return self._buffers["commands"]

    def _next_commands(self) -> tuple[Record, ...]:
        """The commands that the next step holds, and nothing else: those that leave the state as it
        is go together, one that changes it as a whole goes alone."""
        waiting = self._buffers["commands"]
        if not waiting:
            return ()
        if is_heavy(waiting[0]):
            return (waiting[0],)
        return tuple(takewhile(lambda record: not is_heavy(record), waiting))

    def _step(
        self,
        positions: Mapping[str, int],
        counts: Mapping[str, int],
        commands: Sequence[Record],
        merged: list[tuple[int, Record]],
    ) -> Step:
        end = {name: self._take(name, counts.get(name, 0)) for name in INPUTS}
        return Step(dict(positions), end, commands, None, merged)

    def is_drained(self, inputs: Sequence[str] = INPUTS) -> bool:
        """Whether each of these inputs was at its committed end at the last poll, with nothing in
        hand."""
        return bool(self._fetched) and not any(
            self._buffers[name] or self._is_behind(name) for name in inputs
        )

    def patience_s(self, shard: Shard) -> float:
        """How long (s) a poll may wait before there is a step to take without its bringing
        anything."""
        if self._buffers["commands"]:
            return 0.0
        if shard.parts.halting.halted is not None:
            return FOREVER_S
        if any(self._buffers[name] for name in MERGED):
            waited_for = self._waited_for()
            if not waited_for:
                return 0.0
            if any(self._is_behind(name) for name in waited_for):
                return FOREVER_S
            assert self._waiting_since_s is not None, "a bounded wait has begun"
            return max(0.0, self._waiting_since_s + self._bound_s - self._clock())
        due_ms = shard.next_tick_ms()
        if due_ms is None or self._idle_since_s is None:
            return FOREVER_S
        return max(0.0, (due_ms - self._idle_ms()) / 1000)

    def _waited_for(self) -> set[str]:
        """The inputs without records that may still bring some which belong before those in
        hand."""
        empty = [name for name in MERGED if not self._buffers[name]]
        behind = {name for name in MERGED if self._is_behind(name)}
        if len(empty) != 1:
            return behind
        if self._waiting_since_s is None:
            self._waiting_since_s = self._clock()
        if self._clock() - self._waiting_since_s < self._bound_s:
            return behind | set(empty)
        return behind

    def _is_behind(self, name: str) -> bool:
        """Whether the log holds records of an input beyond those that were fetched."""
        return self._fetched[name] < self._ends[name]

    def _take(self, name: str, count: int) -> int:
        """Takes records out of a buffer; gives the input's position after them, gaps passed
        over."""
        held = self._buffers[name]
        if count == len(held):
            self._buffers[name] = []
            return self._fetched[name]
        after = held[count].offset if count == 0 else held[count - 1].offset + 1
        del held[:count]
        return after

    def _tick(self, positions: Mapping[str, int], shard: Shard) -> Step | None:
        """A tick, if every input is at its end and something is due by the shard's clock and the
        time since."""
        if not self.is_drained():
            self._idle_since_s = None
            return None
        if shard.parts.clock_ms == BEFORE_ALL_MS:
            return None
        if self._idle_since_s is None:
            self._idle_since_s = self._clock()
            self._idle_clock_ms = shard.parts.clock_ms
        due_ms = shard.next_tick_ms()
        if due_ms is None or self._idle_ms() < due_ms:
            return None
        return Step(dict(positions), dict(positions), (), self._idle_ms(), [])

    def _idle_ms(self) -> int:
        """The shard's clock on getting to the end of its inputs, plus the time since (stream
        ms)."""
        assert self._idle_since_s is not None, "only asked while idle"
        return self._idle_clock_ms + int((self._clock() - self._idle_since_s) * 1000)
