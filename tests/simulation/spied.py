"""A world that knows with what each journal entry was committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import orjson

from consumers.transport import StepCommit, Transport
from stream.shard.effects import Outputs
from stream.worker import Worker
from tests.simulation.world import World

Said = dict[int, dict[int, Outputs]]
"""Shard → journal entry → results."""


class Spied(World):
    """A world that knows what each journal entry of each shard was committed with."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.said: Said = {shard: {} for shard in range(self.log.partitions())}

    def start(self, **options: Any) -> Worker:
        worker = super().start(**options)
        worker.transport = cast(Transport, _Spy(worker.transport, self.said))
        return worker


class _Spy:
    def __init__(self, transport: Transport, said: Said) -> None:
        self._transport = transport
        self._said = said

    def commit(self, steps: Sequence[StepCommit]) -> None:
        for step in steps:
            sequence = orjson.loads(step.note)["sequence"]
            self._said[step.shard][sequence] = list(step.outputs)
        self._transport.commit(steps)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
