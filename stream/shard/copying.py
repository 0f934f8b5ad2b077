"""A copy of a shard's state, from which others are made as from a snapshot."""

from __future__ import annotations

from learners.learner import Learner
from learners.snapshots import pickling
from stream.shard.shard import Shard


class ShardCopy:
    """A state as it was when the copy was taken, whatever becomes of the shard."""

    def __init__(self, shard: Shard) -> None:
        parts = shard.parts
        self._plan, self._number = shard.plan, shard.shard
        self._model = pickling.dumps(parts.learner.model)
        self._watches = pickling.dumps(parts.watches)
        self._plain = parts.dump_plain()

    def shard(self) -> Shard:
        """Another shard with that state."""
        plan = self._plan
        settings = plan.configuration
        parts = plan.fresh_parts()
        parts.learner = Learner(pickling.loads(self._model), plan.task)
        parts.watches = pickling.loads(self._watches)
        parts.load_plain(self._plain, settings.labels, plan.alerts, settings.halt)
        return Shard(plan, self._number, parts)
