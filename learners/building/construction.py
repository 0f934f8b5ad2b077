"""Nodes → River objects, every open seed set."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

from river import base, compose

from learners.building.catalogue import resolve
from learners.building.factory import call_factory
from learners.building.nodes import Factory, Node, Pipeline, RiverClass, Union
from learners.building.parameters import Parameter, signature_of
from learners.building.text import describe, one_line
from learners.errors import ModelSpecError

_TYPES: dict[str, type] = {
    "str": str,
    "number": numbers.Number,
    "int": int,
    "float": float,
    "bool": bool,
}

_KINDS: dict[str, tuple[type, str]] = {
    "Classifier": (base.Classifier, "a classifier"),
    "Regressor": (base.Regressor, "a regressor"),
    "AnomalyDetector": (base.AnomalyDetector, "an anomaly detector"),
    "BaseTransformer": (base.BaseTransformer, "a transformer"),
}


def construct(node: Node, seed: int) -> Any:
    """A fresh River object.

    Every constructor parameter `seed` that is left open (absent or null) gets `seed` itself, so
    `forest.ARFClassifier` under `seed: 42` equals River's `ARFClassifier(seed=42)`.

    Raises
    ------
    ModelSpecError
        A constructor refused its values, a factory failed, or a step stands where it cannot.
    """
    match node:
        case Pipeline(steps):
            return _pipeline([construct(step, seed) for step in steps])
        case Union(branches):
            return _union([construct(branch, seed) for branch in branches])
        case Factory():
            return call_factory(node, seed)
        case RiverClass():
            return _river_object(node, seed)


def _river_object(node: RiverClass, seed: int) -> Any:
    cls = resolve(node.path)
    signature = signature_of(cls)
    if node.path == "compose.SelectType":
        return cls(*(_TYPES[name] for name in node.args))
    if node.path == "utils.Rolling":
        return _rolling(cls, node.params, seed)
    args = [_value(value, seed) for value in node.args]
    params = {}
    for name, raw in node.params.items():
        value = _value(raw, seed)
        _check_object(node.path, signature.named[name], value)
        params[name] = value
    if "seed" in signature.named and params.get("seed") is None:
        params["seed"] = seed
    try:
        return cls(*args, **params)
    except Exception as error:
        raise ModelSpecError(f"{node.path} refused its parameters: {one_line(error)}") from error


def _rolling(cls: type, params: Mapping[str, Any], seed: int) -> Any:
    """River wants the statistic's class and its parameters here, not an instance."""
    params = dict(params)
    statistic = params.pop("cls")
    if not isinstance(statistic, RiverClass):
        raise ModelSpecError(
            f"cls of utils.Rolling must be a statistic, not {statistic!r}",
            hint="utils.Rolling: {cls: stats.Mean, window_size: 100}",
        )
    inner = {name: _value(value, seed) for name, value in statistic.params.items()}
    return cls(resolve(statistic.path), **params, **inner)


def _value(value: Any, seed: int) -> Any:
    match value:
        case RiverClass() | Pipeline() | Union() | Factory():
            return construct(value, seed)
        case tuple():
            return [_value(item, seed) for item in value]
        case Mapping():
            return {key: _value(item, seed) for key, item in value.items()}
    return value


def _check_object(path: str, parameter: Parameter, value: object) -> None:
    """A regressor where a classifier belongs fails only at the first event, and obscurely."""
    wanted = [_KINDS[word] for word in sorted(parameter.words & _KINDS.keys())]
    if not wanted:
        return
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, base.Base) and not isinstance(each, tuple(k for k, _ in wanted)):
            raise ModelSpecError(
                f"{parameter.name} of {path} must be {' or '.join(text for _, text in wanted)}, "
                f"not {describe(each)}"
            )


def _pipeline(steps: list[Any]) -> Any:
    for step in steps[:-1]:
        if isinstance(step, base.Transformer | base.AnomalyFilter):
            continue
        if isinstance(step, base.BaseTransformer):
            # River 0.26.1 takes it for the last step: it selects in predict but not in learn.
            raise ModelSpecError(
                f"River does not apply {describe(step)} to what the next steps of a pipeline "
                "learn from, so it would learn other features than it predicts from",
                hint="feature_selection.VarianceThreshold works in a pipeline",
            )
        raise ModelSpecError(
            f"only the last step of a pipeline may predict; {describe(step)} stands before the end",
            hint="put it last, or wrap models in an ensemble such as ensemble.VotingClassifier",
        )
    return compose.Pipeline(*steps)


def _union(branches: list[Any]) -> Any:
    for branch in branches:
        if not isinstance(branch, base.Transformer):
            raise ModelSpecError(
                f"a union holds transformers, whose features it puts together; {describe(branch)}"
                " is none"
            )
    return compose.TransformerUnion(*branches)
