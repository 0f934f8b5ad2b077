"""No randomness outside the service's seed.

What River 0.26.1 leaves open although every constructor in the spec got its seed: objects that a
constructor makes for itself. Of those that a task here can use, only the nearest-neighbour
models' default engine (`neighbors.SWINN`); `proba.Gaussian` within `anomaly.GaussianScorer` too.
None of them draws before its first event, so a generator put in afterwards is as good as one from
the start.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from river import base

from learners.building.text import describe
from learners.errors import ModelSpecError


def close_open_seeds(model: Any, seed: int) -> None:
    """Give `seed` to every generator within a fresh model that River left open."""
    for each in _open(model):
        each.seed = seed
        for name, value in vars(each).items():
            if isinstance(value, random.Random):
                setattr(each, name, random.Random(seed))
            elif isinstance(value, np.random.RandomState):
                setattr(each, name, np.random.RandomState(seed))


def refuse_open_seeds(model: Any, origin: str) -> None:
    """Raise ModelSpecError if a factory's model holds an open seed.

    It may have drawn from it already, so it is too late to set.
    """
    for each in _open(model):
        raise ModelSpecError(
            f"the factory {origin} left the seed of {describe(each)} open, so a replay would "
            "differ",
            hint="let the function take a parameter `seed`: it is given the service's seed",
        )


def _open(model: Any) -> Iterator[Any]:
    """River objects within `model` whose parameter `seed` is None, each once."""
    waiting, met = [model], set()
    while waiting:
        each = waiting.pop()
        if id(each) in met:
            continue
        met.add(id(each))
        match each:
            case base.Base():
                if getattr(each, "seed", 0) is None and _takes_seed(type(each)):
                    yield each
                waiting.extend(vars(each).values())
            case dict():
                waiting.extend(each.values())
            case list() | tuple():
                waiting.extend(each)


def _takes_seed(cls: type) -> bool:
    return "seed" in inspect.signature(cls).parameters
