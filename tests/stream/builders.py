"""Short ways to a configuration, to records, and to what a shard made of them."""

import csv
import json
import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from consumers.record import Record
from learners.learner import Learner
from stream.configuration import Configuration, parse
from stream.shard.effects import Outputs
from stream.shard.parts import Parts
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step

HOUR_MS = 3_600_000
T0_MS = 1_700_000_000_000
"""A Tuesday in 2023; tests count their times from here."""

RECORDER = {"factory": "tests.stream.models:recorder"}
LOGISTIC = ["preprocessing.StandardScaler", "linear_model.LogisticRegression"]

Timed = tuple[int, Record]


UNSCHEDULED = {"url": "memory:", "versions": {"every": None}}
"""Snapshots in memory; versions are cut by people alone, however much time passes in a test."""


def configuration(**fields: Any) -> Configuration:
    """A binary service with late labels, a recording model and a wait of one hour."""
    content = {
        "name": "shop",
        "log": "memory:",
        "events": {"id": "id", "time": "time"},
        "labels": {"wait": "1h"},
        "task": "binary",
        "model": RECORDER,
        "snapshots": UNSCHEDULED,
        **fields,
    }
    return parse(content, "test")


class Feed:
    """Records in merged order, stamped with times that count from T0_MS.

    Offsets count up on each topic by themselves.
    """

    def __init__(self) -> None:
        self.records: list[Timed] = []
        self._offsets = {"events": 0, "labels": 0}

    def event(self, name: object, at_ms: int = 0, /, *, own_ms: int | None = None, **fields: Any):
        """An event that comes at `at_ms`; its own time is the same unless `own_ms` says other."""
        time_ms = T0_MS + (at_ms if own_ms is None else own_ms)
        body = {"id": name, "time": time_ms, **(fields or {"x": 1.0})}
        return self.raw("events", json.dumps(body).encode(), at_ms)

    def label(self, name: object, label: Any, at_ms: int = 0, /):
        """A label that comes at `at_ms`."""
        return self.raw("labels", json.dumps({"id": name, "label": label}).encode(), at_ms)

    def raw(self, topic: str, value: bytes | None, at_ms: int = 0, key: bytes | None = b"k"):
        """Any record."""
        offset = self._offsets[topic]
        self._offsets[topic] = offset + 1
        record = Record(topic, 0, offset, T0_MS + at_ms, key, value)
        self.records.append((record.timestamp_ms, record))
        return self


def apply(shard: Shard, feed: Feed | Sequence[Timed], size: int | None = None) -> Outputs:
    """Applies the feed in steps of `size` records (all at once without); gives what came out."""
    records = list(feed.records if isinstance(feed, Feed) else feed)
    outputs: Outputs = []
    for start in range(0, len(records), size or len(records) or 1):
        piece = records[start : start + (size or len(records))]
        shard.apply(Step({}, {}, (), None, piece), outputs)
    return outputs


def tick(shard: Shard, at_ms: int) -> Outputs:
    """Applies a tick; gives what came out."""
    outputs: Outputs = []
    shard.apply(Step({}, {}, (), T0_MS + at_ms, []), outputs)
    return outputs


def shard(**fields: Any) -> Shard:
    """A fresh shard of `configuration(**fields)`."""
    return Shard(Plan(configuration(**fields)), 0)


def of(topic: str, outputs: Outputs) -> list[dict[str, Any]]:
    """The JSON bodies of one topic."""
    return [json.loads(record.value or b"") for role, record in outputs if role == topic]


def dead(outputs: Outputs) -> list[dict[str, str]]:
    """The headers of the dead letters."""
    return [
        {name: value.decode() for name, value in record.headers}
        for role, record in outputs
        if role == "dead-letters"
    ]


def reasons(outputs: Outputs) -> list[str]:
    """The dead letters' reasons."""
    return [letter["reason"] for letter in dead(outputs)]


def plain(of_shard: Shard) -> dict[str, Any]:
    """The plainly encoded state."""
    return {name: json.loads(part) for name, part in of_shard.parts.dump_plain().items()}


def substance(of_shard: Shard) -> dict[str, Any]:
    """The state less what counts records: the digest, the counters, the positions."""
    state = plain(of_shard)
    del state["halting"]
    for name in ("digest", "counters", "events", "labels", "commands"):
        del state["shard"][name]
    return state


def reborn(of_shard: Shard) -> Shard:
    """A copy made of nothing but what a snapshot holds."""
    plan, parts = of_shard.plan, of_shard.parts
    fresh: Parts = plan.fresh_parts()
    fresh.learner = Learner(pickle.loads(pickle.dumps(parts.learner.model)), plan.task)
    fresh.watches = pickle.loads(pickle.dumps(parts.watches))
    settings = plan.configuration
    fresh.load_plain(parts.dump_plain(), settings.labels, plan.alerts, settings.halt)
    return Shard(plan, of_shard.shard, fresh)


def learnt(of_shard: Shard) -> list[tuple[dict[str, Any], Any]]:
    """What the recording model has learnt, in order."""
    found: list[tuple[dict[str, Any], Any]] = of_shard.parts.learner.model.learnt
    return found


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """The rows as CSV."""
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """The rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
