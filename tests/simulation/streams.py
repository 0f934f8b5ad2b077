"""A seed's stream: records of every kind that the world sends, each with what was meant by it.

What was meant (`Meant`) is known here without decoding anything, so that the oracle can say what
must become of each record.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import orjson

from consumers.record import NewRecord
from tests.simulation.failing import cannot_predict

START_MS = 1_600_000_000_000
HOUR_MS = 3_600_000
WRITTEN_MS = START_MS + 60 * 86_400_000
"""When a pre-written log was written: after every merge time in it."""


@dataclass(frozen=True, slots=True)
class Meant:
    """One record as meant: of which id, with which label, and what is wrong with it; `fails` says
    that a failing model cannot predict on it."""

    topic: str
    shard: int
    merge_ms: int
    value: bytes
    id: str | None = None
    time_ms: int = 0
    label: Any = None
    bad: str | None = None
    fails: bool = False

    def record(self) -> tuple[str, int, NewRecord]:
        """The record, with its merge time in its header as `driftline ingest` writes it."""
        headers = (("driftline-time", b"%d" % self.merge_ms),)
        return self.topic, self.shard, NewRecord(self.value, (self.id or "").encode(), headers)


def draw_stream(
    rng: random.Random,
    *,
    task: str,
    shards: int,
    events: int,
    wait_ms: int,
    inline: bool,
    gap_ms: int = 60_000,
) -> list[Meant]:
    """Events and labels in the order in which they are written to the log.

    Some are late, early, corrected, repeated, of unknown ids, out of order or broken; the concept
    turns round in the middle, so that detectors have something to say.
    """
    found: list[tuple[float, Meant]] = []
    for number in range(events):
        shard = rng.randrange(shards)
        now_ms = START_MS + number * gap_ms
        arrival = float(now_ms + rng.randrange(gap_ms))
        # Merge times mostly grow in the order of writing, and sometimes go back.
        merge_ms = int(arrival) - (rng.randrange(5 * gap_ms) if rng.random() < 0.1 else 0)
        event_id = f"e{number}"
        if rng.random() < 0.04:
            found.append((arrival, _bad_event(rng, shard, merge_ms, event_id)))
            continue
        if number and rng.random() < 0.03:
            event_id = f"e{rng.randrange(number)}"
        features = {"a": rng.gauss(0, 1), "b": rng.gauss(0, 1)}
        turned = -1 if number > events // 2 else 1
        truth = _truth(rng, task, turned * (features["a"] + 0.5 * features["b"]))
        if number > events // 2:
            features["a"] += 2
        if rng.random() < 0.1:
            del features["b"]
        time_ms = now_ms - (rng.randrange(3 * wait_ms) if rng.random() < 0.05 else 0)
        body: dict[str, Any] = {"id": event_id, "at": time_ms, **features}
        given = truth if inline and rng.random() < 0.4 else None
        if inline:
            body["y"] = given
        value = orjson.dumps(body)
        meant = Meant("events", shard, merge_ms, value, event_id, time_ms, given)
        found.append((arrival, replace(meant, fails=cannot_predict(features))))
        found += _labels(rng, shard, event_id, truth, arrival, wait_ms, task)
    found.sort(key=lambda item: item[0])
    return [meant for _, meant in found]


def ended(stream: list[Meant], wait_ms: int) -> list[Meant]:
    """The stream, and for each of its shards one event so much later that all waits are over:
    nothing is left for a tick, whose time would be that of this machine."""
    last_ms = max(meant.merge_ms for meant in stream) + 10 * wait_ms
    end_ms = last_ms + HOUR_MS - last_ms % HOUR_MS
    value = orjson.dumps({"id": "end", "at": end_ms, "a": 0.0, "y": None})
    return stream + [
        Meant("events", shard, end_ms, value, "end", end_ms)
        for shard in sorted({meant.shard for meant in stream})
    ]


def command(shard: int) -> Meant:
    """A command that no driftline knows."""
    return Meant("commands", shard, START_MS, b'{"command":"dance"}', bad="bad_command")


def _truth(rng: random.Random, task: str, signal: float) -> Any:
    noisy = signal + rng.gauss(0, 0.3)
    if task == "regression":
        return round(noisy, 6)
    if task == "multiclass":
        return ("low", "mid", "high")[(noisy > -0.5) + (noisy > 0.5)]
    return noisy > 0


def _labels(
    rng: random.Random,
    shard: int,
    event_id: str,
    truth: Any,
    arrival: float,
    wait_ms: int,
    task: str,
) -> list[tuple[float, Meant]]:
    """The labels that come for an event: none, one, or several; early, in time or too late."""
    draw = rng.random()
    delay = rng.random() * wait_ms
    if draw < 0.15:
        times = []
    elif draw < 0.25:
        times = [arrival - rng.random() * wait_ms / 2]
    elif draw < 0.35:
        times = [arrival + wait_ms * (1 + rng.random() * 3)]
    elif draw < 0.5:
        times = [arrival + delay / 2, arrival + delay]
    else:
        times = [arrival + delay]
    found = []
    for time in times:
        value = truth if rng.random() < 0.7 else _truth(rng, task, rng.gauss(0, 1))
        name = event_id if rng.random() > 0.05 else f"nobody-{event_id}"
        place = max(0, int(time))
        meant = Meant(
            "labels", shard, place, orjson.dumps({"id": name, "label": value}), name, 0, value
        )
        found.append((time, _spoiled(rng, meant) if rng.random() < 0.04 else meant))
    return found


def _bad_event(rng: random.Random, shard: int, merge_ms: int, event_id: str) -> Meant:
    reason, value = rng.choice(
        [
            ("not_json", b'{"id": "x", "a": NaN}'),
            ("not_json", b"\xff\xfe"),
            ("not_object", b"[1, 2]"),
            ("empty", b""),
            ("duplicate_keys", b'{"id": "x", "id": "y"}'),
            ("missing_id", orjson.dumps({"at": merge_ms, "a": 1.0})),
            ("missing_time", orjson.dumps({"id": event_id, "a": 1.0})),
            ("bad_time", orjson.dumps({"id": event_id, "at": "yesterday", "a": 1.0})),
            ("future_time", orjson.dumps({"id": event_id, "at": merge_ms + 10**9, "a": 1.0})),
            ("wrong_type", orjson.dumps({"id": event_id, "at": merge_ms, "a": [1]})),
        ]
    )
    return Meant("events", shard, merge_ms, value, bad=reason)


def _spoiled(rng: random.Random, meant: Meant) -> Meant:
    reason, value = rng.choice(
        [
            ("not_json", b"{"),
            ("missing_id", orjson.dumps({"label": True})),
            ("bad_label", orjson.dumps({"id": meant.id, "label": None})),
        ]
    )
    return Meant("labels", meant.shard, meant.merge_ms, value, bad=reason)
