"""The configuration's `model:` → nodes; every name in it is known afterwards.

The grammar is in learners/spec.py. Values are not tried here: construction.py does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from learners.building.catalogue import is_class_path, normal_path, resolve
from learners.building.factory import parse_factory
from learners.building.nodes import MAP_KEY, Factory, Node, Pipeline, RiverClass, Union
from learners.building.parameters import (
    Parameter,
    Signature,
    check_choice,
    check_complete,
    check_kind,
    find_parameter,
    signature_of,
)
from learners.errors import ModelSpecError

FEATURE_TYPES = ("str", "number", "int", "float", "bool")
"""What compose.SelectType may name. A bool is a number and an int too, as in Python."""

_MAX_DEPTH = 40
"""Levels of nesting; YAML anchors can nest a list in itself."""

_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
_NODES = (RiverClass, Pipeline, Union, Factory)


def parse_step(obj: object, depth: int = 0) -> Node:
    """The node of something in a step's position: text here is always a class path.

    Raises
    ------
    ModelSpecError
        Unknown class or parameter (the hint names the nearest), or a shape that is no step.
    """
    if depth > _MAX_DEPTH:
        raise ModelSpecError(f"the model is nested deeper than {_MAX_DEPTH} levels")
    match obj:
        case str():
            return _river_class(normal_path(obj), None, depth)
        case list() | tuple():
            return Pipeline(_steps(obj, "a pipeline", depth))
        case Mapping() if "factory" in obj:
            return parse_factory(obj)
        case Mapping() if len(obj) == 1:
            ((key, value),) = obj.items()
            if key == "pipeline":
                return Pipeline(_steps(value, "a pipeline", depth))
            if key == "union":
                return Union(_steps(value, "a union", depth))
            return _river_class(normal_path(str(key)), value, depth)
    raise ModelSpecError(
        f"a step is a class path or one path with its parameters, not {_short(obj)}",
        hint=_step_hint(obj),
    )


def _steps(obj: object, what: str, depth: int) -> tuple[Node, ...]:
    if not isinstance(obj, list | tuple) or not obj:
        raise ModelSpecError(f"{what} is a list of one or more steps, not {_short(obj)}")
    return tuple(parse_step(item, depth + 1) for item in obj)


def _step_hint(obj: object) -> str:
    if isinstance(obj, Mapping) and obj and next(iter(obj.values())) is None:
        # `- path:` with its parameters on the same level is the commonest slip in YAML.
        return f"indent the parameters of {next(iter(obj))} one level deeper than it"
    return "for example preprocessing.StandardScaler, or {forest.ARFClassifier: {n_models: 10}}"


def _river_class(path: str, value: object, depth: int) -> Node:
    if path == "compose.Pipeline":
        return Pipeline(_steps(value, "a pipeline", depth))
    if path == "compose.TransformerUnion":
        return Union(_steps(value, "a union", depth))
    cls = resolve(path)
    signature = signature_of(cls)
    match value:
        case None:
            value = {}
        case list() | tuple() if signature.rest is not None:
            return RiverClass(path, args=_positional(path, signature.rest, value, depth))
        case Mapping():
            pass
        case _:
            raise ModelSpecError(
                f"the parameters of {path} are a mapping of names, not {_short(value)}",
                hint=_parameters_hint(path, signature, value),
            )
    params = {}
    # By name: the order in which parameters are written means nothing, so equal specs are equal.
    for name in sorted(value, key=str):
        parameter = find_parameter(path, signature, name)
        params[parameter.name] = _parameter_value(path, parameter, value[name], depth)
        check_choice(path, cls, parameter.name, params[parameter.name])
    check_complete(path, signature, frozenset(params))
    return RiverClass(path, params)


def _parameters_hint(path: str, signature: Signature, value: object) -> str | None:
    if signature.rest is not None:
        return f"{path}: [{value}]"
    first = next(iter(signature.named), None)
    return f"{path}: {{{first}: {value}}}" if first is not None else "it takes none"


def _positional(
    path: str, rest: Parameter, values: list[Any] | tuple[Any, ...], depth: int
) -> tuple[Any, ...]:
    if path == "compose.SelectType":
        for value in values:
            if value not in FEATURE_TYPES:
                raise ModelSpecError(
                    f"{path} knows the types {', '.join(FEATURE_TYPES)}, not {_short(value)}"
                )
    return tuple(_item(value, rest.may_be_object, depth + 1) for value in values)


def _parameter_value(path: str, parameter: Parameter, value: object, depth: int) -> Any:
    if isinstance(value, str) and _EXPONENT.fullmatch(value) and "str" not in parameter.words:
        # YAML 1.1 reads 1e-4 as text (it wants 1.0e-4); no parameter means that text.
        return float(value)
    if (
        parameter.may_be_object
        and not parameter.is_list
        and isinstance(value, list | tuple)
        and value
        and all(_is_step(item) for item in value)
    ):
        return parse_step(value, depth + 1)
    parsed = _value(value, parameter.may_be_object, depth + 1)
    if not isinstance(parsed, _NODES):
        check_kind(path, parameter, parsed)
    return parsed


def _value(value: object, may_be_object: bool, depth: int) -> Any:
    """A parameter's value; text and one-key mappings that read as a River class become nodes."""
    if depth > _MAX_DEPTH:
        raise ModelSpecError(f"the model is nested deeper than {_MAX_DEPTH} levels")
    match value:
        case str() if may_be_object and _is_step(value):
            return parse_step(value, depth)
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ModelSpecError(f"a parameter must be a finite number, not {value!r}")
            return value
        case list() | tuple():
            return tuple(_item(item, may_be_object, depth + 1) for item in value)
        case Mapping() if set(value) == {MAP_KEY}:
            return {key: _value(item, may_be_object, depth + 1) for key, item in value[MAP_KEY]}
        case Mapping() if _is_step(value):
            return parse_step(value, depth)
        case Mapping():
            return {key: _value(item, may_be_object, depth + 1) for key, item in value.items()}
    raise ModelSpecError(
        f"a parameter is a number, text, boolean, list, mapping or a class, not {_short(value)}"
    )


def _item(value: object, may_be_object: bool, depth: int) -> Any:
    """A value within a list: there, a list of nothing but steps is a pipeline."""
    if may_be_object and isinstance(value, list | tuple) and _is_step(value):
        return parse_step(value, depth)
    return _value(value, may_be_object, depth)


def _is_step(value: object, depth: int = 0) -> bool:
    """Whether a value reads as a River class, a pipeline or a union without doubt."""
    if depth > _MAX_DEPTH:
        return False
    match value:
        case str():
            return is_class_path(normal_path(value))
        case list() | tuple():
            return bool(value) and all(_is_step(item, depth + 1) for item in value)
        case Mapping() if len(value) == 1:
            ((key, inner),) = value.items()
            if key in ("union", "pipeline"):
                return isinstance(inner, list | tuple)
            return (
                isinstance(key, str)
                and is_class_path(normal_path(key))
                and (inner is None or isinstance(inner, Mapping | list | tuple))
            )
    return False


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
