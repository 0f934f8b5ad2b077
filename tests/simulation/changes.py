"""Other configurations for a simulated service, as an operator might want them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from detectors.settings import DetectorSettings

Body = dict[str, Any]
"""A semantic configuration, as a journal holds it."""

EXTRA = TypeAdapter(DetectorSettings).validate_python(
    {"name": "extra", "signal": "feature:a", "method": "ADWIN", "delta": 0.3, "clock": 1}
)


def another(rng: random.Random, in_force: Body, *, keep: bool) -> Body:
    """One that differs from the one in force, in what `keep` permits."""
    body = copy.deepcopy(in_force)
    while body == in_force:
        for change in rng.sample(CHANGES, 2):
            change(rng, body)
        if not keep:
            _model(rng, body)
    return body


def _detectors(rng: random.Random, body: Body) -> None:
    """A detector set otherwise, one more, or one less."""
    detectors = body["detectors"]
    place = rng.randrange(len(detectors))
    draw = rng.random()
    if draw < 0.4:
        name, values = "threshold", [1.0, 2.0, 3.0]
        if detectors[place]["method"] == "ADWIN":
            name, values = "delta", [0.1, 0.2, 0.3]
        detectors[place][name] = rng.choice(values)
    elif draw < 0.7 and all(one["name"] != "extra" for one in detectors):
        detectors.insert(place, EXTRA.model_dump(mode="json"))
    elif len(detectors) > 1:
        del detectors[place]


def _wait(rng: random.Random, body: Body) -> None:
    body["labels"]["wait"] = rng.choice(["20s", "10m", "3h"])


def _bounds(rng: random.Random, body: Body) -> None:
    body["labels"]["max_pending"] = rng.choice([10, 40, 1_000])
    body["labels"]["max_seen"] = rng.choice([30, 1_000])


def _cooldown(rng: random.Random, body: Body) -> None:
    body["alerts"]["cooldown"] = rng.choice(["0", "5m"])


def _corrections(rng: random.Random, body: Body) -> None:
    body["labels"]["on_correction"] = rng.choice(["ignore", "learn_again"])


def _threshold(rng: random.Random, body: Body) -> None:
    if body["task"] == "binary":
        body["threshold"] = rng.choice([None, 0.4, 0.6])


def _model(rng: random.Random, body: Body) -> None:
    """Another parameter for the last step, where the model has steps."""
    if not isinstance(body["model"], list):
        return
    last = body["model"][-1]
    parameters = last[next(iter(last))]
    if "naive_bayes.GaussianNB" in last:
        return
    if "tree.HoeffdingTreeClassifier" in last:
        parameters["grace_period"] = rng.choice([50, 100])
    else:
        parameters["l2"] = rng.choice([0.0, 0.01, 0.1])


CHANGES: list[Callable[[random.Random, Body], None]] = [
    _detectors,
    _wait,
    _bounds,
    _cooldown,
    _corrections,
    _threshold,
]
