"""A step: what one shard applies and commits together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from consumers.merge import merge
from consumers.record import Record
from stream.shard.updates import Place

NOTHING: Mapping[Place, str] = MappingProxyType({})


class Step(NamedTuple):
    """A consecutive piece of a shard's merged input.

    `records` are events and labels in merged order, each with its merge time (ms). `start` and
    `end` are the half-open ranges of offsets of every input, gaps included. Commands are applied
    first, then the tick, then the records; a step with a tick has no records. `left_out` are the
    updates of the learner that are known to fail, with what it said.
    """

    start: dict[str, int]
    end: dict[str, int]
    commands: Sequence[Record]
    tick_ms: int | None
    records: list[tuple[int, Record]]
    left_out: Mapping[Place, str] = NOTHING

    @property
    def size(self) -> int:
        """How much it applies: its records, its commands, and one for a tick."""
        return len(self.records) + len(self.commands) + (self.tick_ms is not None)

    @classmethod
    def of(
        cls,
        start: Mapping[str, int],
        end: Mapping[str, int],
        inputs: Mapping[str, Sequence[Record]],
        tick_ms: int | None,
    ) -> Step:
        """The step that a journal entry describes, from the records in its ranges."""
        data = {topic: records for topic, records in inputs.items() if topic != "commands"}
        return cls(dict(start), dict(end), inputs.get("commands", ()), tick_ms, merge(data))
