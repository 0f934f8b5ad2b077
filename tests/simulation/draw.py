"""A seed's configuration, and everything else that it decides."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from learners.snapshots.settings import VersionsSettings
from stream.configuration import Configuration, parse
from tests.simulation.streams import Meant, command, draw_stream
from tests.simulation.world import BOUNDARIES

FAILING = {"factory": "tests.simulation.failing:build"}
WAITS_MS = {"20s": 20_000, "10m": 600_000, "3h": 10_800_000}


@dataclass(frozen=True)
class Drawn:
    """What a seed stands for. `focus` is a boundary where a worker dies for sure the first time
    that one comes there; `poisoned` says that its model fails on some events."""

    seed: int
    configuration: Configuration
    stream: list[Meant]
    shards: int
    wait_ms: int
    bounded: bool
    live: bool
    poisoned: bool
    deferred: bool
    flaky: float
    poll_sizes: tuple[int, ...]
    focus: str
    deaths: dict[str, float]


def draw(seed: int) -> Drawn:
    """The same for the same seed, for ever."""
    rng = random.Random(seed)
    shards = rng.choice([1, 1, 1, 2, 3])
    task = rng.choice(["binary", "binary", "binary", "binary", "regression", "multiclass"])
    wait = rng.choice(list(WAITS_MS))
    # A threshold is learnt from a hundred labels in hours that are over: it takes a longer stream.
    threshold = None
    if task == "binary":
        threshold = rng.choice([None, 0.4, {"recall": 0.9}, {"precision": 0.7}])
    learnt = isinstance(threshold, dict) and shards == 1
    events = rng.randrange(240, 280) if learnt else rng.randrange(100, 160)
    gap_ms = rng.choice([240_000, 600_000] if learnt else [2_000, 60_000, 600_000])
    inline = rng.random() < 0.5
    bounded = rng.random() < 0.2
    stream = draw_stream(
        rng,
        task=task,
        shards=shards,
        events=events,
        wait_ms=WAITS_MS[wait],
        inline=inline,
        gap_ms=gap_ms,
    )
    poisoned = task == "binary" and random.Random(f"poison {seed}").random() < 0.3
    if rng.random() < 0.3:
        stream[:0] = [command(shard) for shard in range(shards)]
    content: dict[str, Any] = {
        "name": "simulated",
        "log": "memory:",
        "log_partitions": shards,
        "events": {"id": "id", "time": "at", "label": "y" if inline else None},
        "labels": {"wait": wait, "on_correction": rng.choice(["ignore", "learn_again"])},
        "task": task,
        "threshold": threshold,
        "model": _model(rng, task) if not poisoned else FAILING,
        "detectors": _detectors(rng, task),
        "alerts": {"cooldown": rng.choice([0, "5m"])},
        "snapshots": {
            "url": "memory:",
            "min_interval": "1us",
            "every_events": rng.randrange(15, 60) // shards + 5,
            # Versions are for those who ask for them: `scheduled`.
            "versions": {"every": None, "keep": None},
        },
    }
    if rng.random() < 0.5:
        defaults = {"binary": False, "regression": 0.0, "multiclass": "mid"}
        content["labels"]["default"] = defaults[task]
    if bounded:
        content["labels"] |= {"max_pending": 20, "max_seen": 30, "max_held": 4}
    focus = BOUNDARIES[seed % len(BOUNDARIES)]
    rare = {"snapshot put": 0.15, "published": 0.15, "retired": 0.15}
    deaths = {name: rare.get(name, 0.03) for name in BOUNDARIES}
    return Drawn(
        seed=seed,
        configuration=parse(content, f"seed {seed}"),
        stream=stream,
        shards=shards,
        wait_ms=WAITS_MS[wait],
        bounded=bounded,
        poisoned=poisoned,
        live=rng.random() < 0.3,
        deferred=rng.random() < 0.5,
        flaky=rng.choice([0.0, 0.0, 0.2]),
        poll_sizes=rng.choice([(1, 7), (7, 30), (3, 20)]),
        focus=focus,
        deaths=deaths,
    )


def scheduled(configuration: Configuration, versions: VersionsSettings) -> Configuration:
    """The same with other settings of when versions are cut and kept."""
    snapshots = configuration.snapshots.model_copy(update={"versions": versions})
    return configuration.model_copy(update={"snapshots": snapshots})


def _model(rng: random.Random, task: str) -> list[Any]:
    scaler = "preprocessing.StandardScaler"
    if task == "regression":
        return [scaler, "linear_model.LinearRegression"]
    if task == "multiclass":
        return [rng.choice(["naive_bayes.GaussianNB", "tree.HoeffdingTreeClassifier"])]
    return [scaler, "linear_model.LogisticRegression"]


def _detectors(rng: random.Random, task: str) -> list[dict[str, Any]]:
    adwin = {"method": "ADWIN", "delta": 0.2, "clock": 1, "grace_period": 5}
    hinkley = {"method": "PageHinkley", "min_instances": 5, "threshold": 2.0}
    signals = ["error", "loss", "feature:a", "feature:b"]
    if task != "multiclass":
        signals += ["label", "prediction"]
    wanted = rng.sample(signals, rng.randrange(1, 4))
    return [
        {"name": f"watch {signal}", "signal": signal, **rng.choice([adwin, hinkley])}
        for signal in wanted
    ]
