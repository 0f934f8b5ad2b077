"""A shard in memory whose learner may fail: what stands in for the log and the snapshots that a
service recovers from.

A failed update may leave the model half changed, so the state before the step is needed once more.
A healthy stream pays nothing for it: at the first failure the stream is read again from its
beginning, without results; from then on a copy is taken after each failure, and the steps since are
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from consumers.record import Record
from stream.errors import UpdateFailedError
from stream.shard.copying import ShardCopy
from stream.shard.effects import Outputs
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step
from stream.shard.updates import Place

Records = Sequence[tuple[int, Record]]

COPY_AFTER_STEPS = 50
"""Once a learner has failed, a copy is taken after so many steps: no undoing goes further back."""


class Rewinding:
    """One shard that goes through a stream of steps, each applied to the end.

    Parameters
    ----------
    plan
        What the configuration says.
    again
        Gives the same steps from the beginning, at any time.
    """

    def __init__(self, plan: Plan, again: Callable[[], Iterator[Records]]) -> None:
        self.shard = Shard(plan, 0)
        self._plan = plan
        self._again = again
        self._applied = 0
        self._failing: dict[Place, str] = {}
        self._copy: ShardCopy | None = None
        self._since: list[Records] = []

    def apply(self, records: Records) -> Outputs:
        """Applies one more step; gives what it says, however often it took."""
        while True:
            outputs: Outputs = []
            try:
                self.shard.apply(self._step(records), outputs)
            except UpdateFailedError as error:
                self._failing[Place(*error.place)] = error.detail
                self._rewind()
                continue
            self._applied += 1
            if self._failing:
                self._since.append(records)
                if len(self._since) >= COPY_AFTER_STEPS:
                    self._take_copy()
            return outputs

    def _rewind(self) -> None:
        """The state before the step in hand."""
        if self._copy is None:
            self.shard = Shard(self._plan, 0)
            for records in islice(self._again(), self._applied):
                self.shard.apply(self._step(records))
        else:
            self.shard = self._copy.shard()
            for records in self._since:
                self.shard.apply(self._step(records))
        self._take_copy()

    def _step(self, records: Records) -> Step:
        return Step({}, {}, (), None, list(records), self._failing)

    def _take_copy(self) -> None:
        self._copy = ShardCopy(self.shard)
        self._since = []
