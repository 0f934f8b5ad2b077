"""A service on a log in memory: records and commands go in, and what becomes of them is seen."""

from __future__ import annotations

import json
import random
from typing import Any

from consumers.record import NewRecord
from stream.commands import (
    AliasCommand,
    ConfigCommand,
    PruneCommand,
    RollbackCommand,
    SkipRange,
    VersionCommand,
    give,
)
from stream.configuration import Configuration
from stream.history import read_history
from stream.shard.shard import Shard
from stream.worker import Worker
from tests.simulation.streams import WRITTEN_MS
from tests.simulation.world import World
from tests.stream.builders import T0_MS, configuration

DETECTORS = [
    {"name": "wrong", "signal": "error", "method": "ADWIN"},
    {"name": "x", "signal": "feature:x", "method": "ADWIN"},
]


class Service(World):
    """A world with one worker at a time; `shards` partitions, and a model that records."""

    def __init__(self, *, shards: int = 1, **fields: Any) -> None:
        content = {"detectors": DETECTORS, "log_partitions": shards, **fields}
        super().__init__(configuration(**content), random.Random(0), partitions=shards)
        # Merge times that are later than their record was written would not count.
        self.now_s = (T0_MS - WRITTEN_MS) / 1000 + 86_400.0
        self.worker: Worker | None = None
        self._given = 0

    def event(self, name: str, at_ms: int = 0, *, shard: int = 0, **features: Any) -> None:
        """An event that comes at `at_ms` after T0_MS."""
        body = {"id": name, "time": T0_MS + at_ms, **(features or {"x": 1.0})}
        self._append("events", shard, body, at_ms)

    def label(self, name: str, label: Any = True, at_ms: int = 0, *, shard: int = 0) -> None:
        """A label that comes at `at_ms` after T0_MS."""
        self._append("labels", shard, {"id": name, "label": label}, at_ms)

    def run(self, **options: Any) -> Worker:
        """Works until nothing is left to do, with a worker that starts if none runs."""
        if self.worker is None:
            self.worker = self.start(**options)
        self.work(self.worker)
        return self.worker

    def stop(self) -> None:
        """The worker stops cleanly."""
        assert self.worker is not None, "one runs"
        self.worker.leave()
        self.worker.transport.close()
        self.worker = None

    def die(self) -> None:
        """The worker dies."""
        self.log.kill_worker()
        self.worker = None

    def state(self, shard: int = 0) -> Shard:
        """What the worker holds of a shard."""
        assert self.worker is not None, "one runs"
        return self.worker.runners[shard].shard

    def outcomes(self, shard: int = 0) -> list[dict[str, Any]]:
        """Every command's, in their order."""
        return [outcome for entry in self.entries(shard) for outcome in entry.outcomes]

    def key_of(self, version: int) -> str:
        """The key of a version's snapshot of shard 0."""
        key = read_history(self.log).versions[version].cuts[0].key
        assert key is not None, "it is published"
        return key

    def founded(self) -> dict[str, Any]:
        """The configuration that the service began with."""
        configuration = self.entries(0)[0].configuration
        assert configuration is not None, "entry 0 holds it"
        return configuration

    def cut(self) -> None:
        """Gives a version command."""
        give(self.log, VersionCommand(**self.common()))

    def alias(self, version: int) -> None:
        """Gives an alias command."""
        give(self.log, AliasCommand(**self.common(), alias="champion", version=version))

    def prune(self, *versions: int) -> None:
        """Gives a command that lets versions go."""
        give(self.log, PruneCommand(**self.common(), versions=versions))

    def back_to(self, version: int, /, **changes: Any) -> None:
        """Gives a plain rollback."""
        found = read_history(self.log).versions.get(version)
        keys = {} if found is None else {shard: cut.key for shard, cut in found.cuts.items()}
        body = {**self.common(), "version": version, "snapshots": keys, **changes}
        give(self.log, RollbackCommand.model_validate(body))

    def empty(self, **changes: Any) -> None:
        """Gives a rollback to nothing learnt."""
        body = {**self.common(), "empty": True, **changes}
        give(self.log, RollbackCommand.model_validate(body))

    def configure(self, *, keep: bool = True, **fields: Any) -> Configuration:
        """Gives a command that puts another configuration in force; the file still says the old."""
        wanted = self.configuration_of(**fields)
        self.give_configuration(wanted.semantic(), keep=keep)
        return wanted

    def configuration_of(self, **fields: Any) -> Configuration:
        """The service's as it began, with other fields."""
        content = {"detectors": DETECTORS, "log_partitions": self.log.partitions(), **fields}
        return configuration(**content)

    def give_configuration(self, semantic: dict[str, Any], *, keep: bool) -> None:
        """Gives a command that puts a semantic configuration in force."""
        give(self.log, ConfigCommand(**self.common(), configuration=semantic, keep=keep))

    def give_again(self, body: dict[str, Any], **changes: Any) -> None:
        """Gives a command that was given before, with some fields changed."""
        give(self.log, ConfigCommand.model_validate(body | changes))

    def skip(self, topic: str, first: int, last: int | None = None, *, shard: int = 0) -> None:
        """Gives a rollback to the run without some records."""
        body = {"topic": topic, "partition": shard, "first": first, "last": last or first}
        ranges = (SkipRange.model_validate(body),)
        tainted = tuple(read_history(self.log).saw(ranges))
        give(self.log, RollbackCommand(**self.common(), skip=ranges, tainted=tainted))

    def common(self) -> dict[str, Any]:
        """What every command carries; the last one on the log was seen."""
        self._given += 1
        after = read_history(self.log).last_id()
        return {
            "id": f"c{self._given}",
            "by": "ada",
            "at_ms": 7,
            "after": after,
            "reason": "it was bad",
        }

    def letters(self, shard: int = 0) -> list[tuple[str, int, str]]:
        """The dead letters: topic, offset and reason."""
        found = []
        for record in self.outputs("dead-letters", shard):
            said = {name: value.decode() for name, value in record.headers}
            found.append((said["topic"], int(said["offset"]), said["reason"]))
        return found

    def _append(self, topic: str, shard: int, body: dict[str, Any], at_ms: int) -> None:
        headers = (("driftline-time", b"%d" % (T0_MS + at_ms)),)
        self.log.append([(topic, shard, NewRecord(json.dumps(body).encode(), b"k", headers))])
