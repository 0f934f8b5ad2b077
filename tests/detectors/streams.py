"""Streams of numbers with changes in them, and the settings of every detector, for the tests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter
from river import datasets, drift

from detectors.settings import DetectorSettings, methods

_ADAPTER: TypeAdapter[DetectorSettings] = TypeAdapter(DetectorSettings)
ALL_METHODS = methods()


def settings(method: str, *, signal: str = "error", **parameters: Any) -> DetectorSettings:
    one = {"name": "watched", "signal": signal, "method": method}
    return _ADAPTER.validate_python({**one, **parameters})


def river_detector(method: str) -> Any:
    """River's own, with its own defaults: the oracle."""
    return getattr(drift, method)()


def river_detections(method: str, values: list[float]) -> list[int]:
    detector = river_detector(method)
    found = []
    for index, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            found.append(index)
    return found


def docstring() -> list[float]:
    """The stream of the examples in River's own docstrings."""
    rng = random.Random(12345)
    return [*rng.choices([0, 1], k=1000), *rng.choices(range(4, 8), k=1000)]


def bernoulli(*parts: tuple[int, float], seed: int = 7) -> list[float]:
    rng = random.Random(seed)
    return [float(rng.random() < p) for count, p in parts for _ in range(count)]


def gaussian(*parts: tuple[int, float, float], seed: int = 7) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(mean, deviation) for count, mean, deviation in parts for _ in range(count)]


def approval() -> list[float]:
    """A poll's figures from the data that River ships."""
    return [float(features["gallup"]) for features, _ in datasets.TrumpApproval()]


STREAMS: dict[str, list[float]] = {
    "docstring": docstring(),
    "an error rate that rises, then falls": bernoulli((3000, 0.2), (3000, 0.5), (3000, 0.1)),
    "an error rate that stays": bernoulli((6000, 0.2)),
    "a level that shifts": gaussian((2000, 0, 1), (2000, 2, 1), (2000, -3, 1)),
    "a poll": approval(),
}


def events(values: list[float]) -> Iterator[tuple[float, int, int]]:
    """The values with event indices and times that cannot be mistaken for their positions."""
    for position, value in enumerate(values):
        yield value, 1000 + 3 * position, 1_700_000_000_000 + 60_000 * position
