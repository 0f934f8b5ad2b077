"""What a River model has learnt, as plain numbers: weights of linear models, sizes of trees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from river import compose

SIZES: Final = ("n_nodes", "n_branches", "n_leaves", "n_active_leaves", "height", "n_models")


def weights_of(model: Any) -> dict[str, float]:
    """The weights by feature, and the intercept, of every linear model within; empty if none."""
    found: dict[str, float] = {}
    for estimator in _estimators(model):
        weights = getattr(estimator, "weights", None)
        if isinstance(weights, dict):
            found |= {
                str(name): float(weight)
                for name, weight in weights.items()
                if isinstance(weight, int | float)
            }
            intercept = getattr(estimator, "intercept", None)
            if isinstance(intercept, int | float):
                found["(intercept)"] = float(intercept)
    return found


def sizes_of(model: Any) -> dict[str, int]:
    """How large trees and ensembles within have grown: `HoeffdingTreeClassifier n_nodes` → 17."""
    return {
        f"{type(estimator).__name__} {name}": size
        for estimator in _estimators(model)
        for name in SIZES
        if isinstance(size := _value(estimator, name), int)
    }


def _estimators(model: Any) -> Iterator[Any]:
    """The model and what it is made of, outermost first."""
    yield model
    if isinstance(model, compose.Pipeline):
        for step in model.steps.values():
            yield from _estimators(step)
    elif isinstance(model, compose.TransformerUnion):
        for part in model.transformers.values():
            yield from _estimators(part)


def _value(estimator: Any, name: str) -> Any:
    """A property of a tree may fail before it has a root."""
    try:
        return getattr(estimator, name, None)
    except (AttributeError, TypeError):
        return None
