"""A model as the configuration writes it, and the River estimator that it means.

The grammar of `model:`, in YAML:

- **a step** is a River class by its path below `river.`, alone (`preprocessing.StandardScaler`)
  or as a mapping of one key with its parameters (`linear_model.LogisticRegression: {l2: 0.01}`);
- **a list** of steps is a pipeline; `{union: [...]}` puts transformers side by side, and a list
  within it is a branch of several steps; `{pipeline: [...]}` is the same as a list, wherever a
  list would not do;
- **a class without names for its parameters** takes a list: `compose.Select: [wind, rain]`,
  `compose.SelectType: [number]` (str, number, int, float, bool);
- **a parameter** is a number, text, boolean, list or mapping, or again a step: text or a mapping
  of one key is a class only if it reads `module.Class` with a module of River's, and never where
  River's own annotation asks for plain text or feature names, so `gini` and a feature called
  `stats.mean` stay text. A list of nothing but steps is a pipeline where one object is wanted
  (`model`, `classifier`) and a list where several are (`models`). Text such as `1e-4`, which YAML
  takes for text, is the number it looks like;
- **a factory**, `{factory: "package.module:function", name: value, ...}`, calls the user's own
  function. The SHA-256 of that module's file belongs to the spec.

`ModelSpec.to_json()` is canonical: classes are always mappings, parameters are sorted by name.
What is left to River's defaults is not written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from learners.building.ability import check_ability
from learners.building.construction import construct
from learners.building.nodes import Factory, Node, Pipeline, RiverClass, Union
from learners.building.parsing import parse_step
from learners.building.seeding import close_open_seeds, refuse_open_seeds
from learners.errors import ModelSpecError
from learners.tasks import Task

__all__ = ["ModelSpec", "build_model", "parse_model"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A parsed model; equal ones build equal models."""

    root: Node

    def to_json(self) -> Any:
        """Canonical built-ins with text keys; `parse_model` of it gives an equal spec."""
        encoded = self.root.to_json()
        return encoded["pipeline"] if isinstance(self.root, Pipeline) else encoded

    def __str__(self) -> str:
        """The classes in order: `StandardScaler | LogisticRegression`."""
        return _text(self.root)


def parse_model(obj: object) -> ModelSpec:
    """The spec of a configuration's `model:`; see the module for the grammar.

    Names are checked here, values by `build_model`.

    Raises
    ------
    ModelSpecError
        Not a model, an unknown class or parameter (the hint names the nearest), or a factory
        whose file is not found.
    """
    return obj if isinstance(obj, ModelSpec) else ModelSpec(parse_step(obj))


def build_model(spec: ModelSpec, task: Task, seed: int) -> Any:
    """A fresh River estimator for the task, with every seed left open set to `seed`.

    Raises
    ------
    ModelSpecError
        River or the factory refused a value, or the model cannot do the task.
    """
    model = construct(spec.root, seed)
    if isinstance(spec.root, Factory):
        refuse_open_seeds(model, spec.root.target)
    else:
        close_open_seeds(model, seed)
    check_ability(model, task)
    return model


def _text(node: Node) -> str:
    match node:
        case Pipeline(steps):
            return " | ".join(_text(step) for step in steps)
        case Union(branches):
            return f"({' + '.join(_text(branch) for branch in branches)})"
        case Factory(target):
            return target
        case RiverClass(path):
            return path.rpartition(".")[2]
    raise ModelSpecError(f"not a model: {node!r}")
