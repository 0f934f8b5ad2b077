"""What the group gave this member and took from it, as the client's own thread tells it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """The shards gained and lost between two looks.

    Every rebalance takes everything away first and then gives anew, so a shard that stays is both
    lost and gained. `incomplete` holds shards that came without all of their inputs; while
    `rebalancing` it is open who gets what was lost.
    """

    def __init__(self, roles: Collection[str]) -> None:
        self.consumer: Any = None
        self.incomplete: list[int] = []
        self.highest = -1
        self.rebalancing = True
        self._inputs = len(roles)
        self._known: set[int] = set()
        self._gained: set[int] = set()
        self._lost: set[int] = set()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        inputs: dict[int, int] = {}
        for source in assigned:
            # Nothing is fetched before `start` says from where, and no committed position is
            # looked up, of which there may be none.
            self.consumer.seek(source, 0)
            self.consumer.pause(source)
            inputs[source.partition] = inputs.get(source.partition, 0) + 1
        self.incomplete = [shard for shard, count in inputs.items() if count != self._inputs]
        self.highest = max(inputs, default=-1)
        self._gained = set(inputs)
        self.rebalancing = False

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self.rebalancing = True
        self._lost |= self._known
        self._known = set()
        self._gained = set()

    def take_changes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shards gained and lost since the last call."""
        gained, lost = tuple(sorted(self._gained)), tuple(sorted(self._lost))
        self._known |= self._gained
        self._gained, self._lost = set(), set()
        return gained, lost
