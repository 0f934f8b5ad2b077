"""A model from the user's own Python function: `model: {factory: "package.module:function"}`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from river import base

from learners.building.nodes import MAP_KEY, Factory
from learners.building.text import one_line
from learners.errors import ModelSpecError

_EXAMPLE = 'model: {factory: "mypackage.models:build"}'


def parse_factory(obj: Mapping[Any, Any]) -> Factory:
    """The factory with the SHA-256 of its source file; the file is found, not yet run.

    A `sha256` that is given already (a spec read back from its JSON) is kept, so that a file
    changed since then shows in a comparison and is refused by `call_factory`.
    """
    target = obj["factory"]
    if not isinstance(target, str) or target.count(":") != 1:
        raise ModelSpecError(
            f"a factory is named package.module:function, not {target!r}", hint=_EXAMPLE
        )
    params = {}
    for name in sorted((key for key in obj if key not in ("factory", "sha256")), key=str):
        if not isinstance(name, str) or not name.isidentifier():
            raise ModelSpecError(f"a factory's parameter has a Python name, not {name!r}")
        params[name] = _plain(obj[name], name)
    sha256 = obj.get("sha256")
    if sha256 is None:
        sha256 = _source_sha256(target)
    elif not isinstance(sha256, str):
        raise ModelSpecError("a factory's sha256 is written by driftline: leave it out")
    return Factory(target, sha256, params)


def call_factory(factory: Factory, seed: int) -> Any:
    """The model that the function returns; `seed` is passed too if it takes one that is open.

    Raises
    ------
    ModelSpecError
        The file is not the recorded one, cannot be imported, has no such function, raised, or
        returned something that is no River estimator or that a snapshot cannot hold.
    """
    found = _source_sha256(factory.target)
    if found != factory.sha256:
        raise ModelSpecError(
            f"the factory {factory.target} was recorded with SHA-256 {factory.sha256[:12]}; its "
            f"file now has {found[:12]}",
            hint="put the recorded file back, or give the configuration of the new one",
        )
    build = _import(factory.target)
    params = dict(factory.params)
    try:
        takes_seed = "seed" in inspect.signature(build).parameters
    except ValueError:
        takes_seed = False
    if takes_seed and params.get("seed") is None:
        params["seed"] = seed
    try:
        model = build(**params)
    except Exception as error:
        raise ModelSpecError(f"the factory {factory.target} raised {one_line(error)}") from error
    if not isinstance(model, base.Estimator):
        raise ModelSpecError(
            f"the factory {factory.target} must return a River estimator, "
            f"not {type(model).__name__}",
            hint="derive from river.base.Classifier or river.base.Regressor",
        )
    try:
        pickle.dumps(model)
    except Exception as error:
        raise ModelSpecError(
            f"the model of {factory.target} cannot be pickled, so no snapshot could hold it: "
            f"{one_line(error)}",
            hint="use functions defined at the top of a module in place of lambdas",
        ) from error
    return model


def _source_sha256(target: str) -> str:
    module = target.split(":", maxsplit=1)[0]
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError) as error:
        raise ModelSpecError(
            f"the factory's module {module} cannot be found: {error}", hint=_path_hint()
        ) from error
    if found is None or not found.origin or not found.has_location:
        raise ModelSpecError(
            f"the factory's module {module} cannot be found as a file", hint=_path_hint()
        )
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()


def _path_hint() -> str:
    return "install the package, or put its folder on PYTHONPATH"


def _import(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    try:
        build = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        raise ModelSpecError(f"importing {module} raised {one_line(error)}") from error
    if not callable(build):
        raise ModelSpecError(f"{module} has no function {name}", hint=_EXAMPLE)
    result: Callable[..., Any] = build
    return result


def _plain(value: Any, name: str) -> Any:
    """The value with tuples for lists: what JSON gives back must compare equal."""
    match value:
        case float() if not math.isfinite(value):
            raise ModelSpecError(f"the factory's parameter {name} must be finite, not {value!r}")
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return tuple(_plain(item, name) for item in value)
        case Mapping() if set(value) == {MAP_KEY}:
            return {key: _plain(item, name) for key, item in value[MAP_KEY]}
        case Mapping():
            return {key: _plain(item, name) for key, item in value.items()}
    raise ModelSpecError(
        f"the factory's parameter {name} must be a number, text, boolean, list or mapping, "
        f"not {value!r}"
    )
