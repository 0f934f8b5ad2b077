"""What a River constructor takes, read from its signature.

River's annotations are text and not always right, so a parameter is checked by *kind* only
(number, text, boolean, object), and only where its annotation or default leaves no doubt.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from dataclasses import dataclass
from typing import Any

from river import base, tree

from learners.errors import ModelSpecError

_SCALARS = frozenset({"int", "float", "bool", "str"})
_CONTAINERS = frozenset({"list", "dict", "set", "tuple"})
_PLAIN = _SCALARS | _CONTAINERS | {"None", "base", "typing", "FeatureName", "type"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a constructor.

    Attributes
    ----------
    words
        The identifiers of its annotation; empty without one.
    """

    name: str
    words: frozenset[str]
    default: Any
    required: bool
    is_list: bool

    @property
    def may_be_object(self) -> bool:
        """Whether text in it may name a class: not where only plain values belong."""
        return not self.words or bool(self.words - _PLAIN)


@dataclass(frozen=True, slots=True)
class Signature:
    """A constructor's named parameters, and the positional rest (`*keys`) if it has one."""

    named: dict[str, Parameter]
    rest: Parameter | None


@functools.cache
def signature_of(cls: type) -> Signature:
    """The signature of a River class's constructor."""
    named: dict[str, Parameter] = {}
    rest = None
    for name, found in inspect.signature(cls).parameters.items():
        annotation = "" if found.annotation is found.empty else str(found.annotation)
        parameter = Parameter(
            name,
            words=frozenset(re.findall(r"\w+", annotation)),
            default=None if found.default is found.empty else found.default,
            required=found.default is found.empty,
            is_list=annotation.startswith("list") or (not annotation and name.endswith("s")),
        )
        if found.kind is found.VAR_POSITIONAL:
            rest = parameter
        elif found.kind is not found.VAR_KEYWORD:
            named[name] = parameter
    return Signature(named, rest)


def find_parameter(path: str, signature: Signature, name: object) -> Parameter:
    """The parameter called `name`; raises ModelSpecError naming the nearest one."""
    if isinstance(name, str) and name in signature.named:
        return signature.named[name]
    known = list(signature.named)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    if near:
        hint = f"did you mean {near[0]}?"
    elif known:
        hint = f"it takes {', '.join(known)}"
    elif signature.rest is not None:
        hint = f"it takes a list: {path}: [...]"
    else:
        hint = "it takes none"
    raise ModelSpecError(f"{path} has no parameter {name!r}", hint=hint)


def check_complete(path: str, signature: Signature, given: frozenset[str]) -> None:
    """Raise ModelSpecError if a parameter without default is not given."""
    missing = [p.name for p in signature.named.values() if p.required and p.name not in given]
    if missing:
        callables = [n for n in missing if "Callable" in signature.named[n].words]
        raise ModelSpecError(
            f"{path} needs a value for {', '.join(missing)}",
            hint='a function cannot stand in a configuration; write model: {factory: "mypackage.'
            'models:build"}'
            if callables
            else f"{path}: {{{', '.join(f'{name}: ...' for name in missing)}}}",
        )


def check_kind(path: str, parameter: Parameter, value: object) -> None:
    """Raise ModelSpecError if a plain value is of a kind the parameter cannot mean."""
    expected = _expected(parameter)
    if expected is None or value is None:
        return
    match value:
        case bool():
            fits = "bool" in expected
        case int() | float():
            fits = "number" in expected
        case str():
            fits = "str" in expected
        case _:
            fits = "container" in expected
    if not fits:
        wanted = {"bool": "true or false", "number": "a number", "str": "text"}
        names = [text for kind, text in wanted.items() if kind in expected]
        raise ModelSpecError(
            f"{parameter.name} of {path} must be {' or '.join(names) or 'a River object'}, "
            f"not {value!r}",
            hint=None
            if names
            else f"name a class: {parameter.name}: module.Class, or {{module.Class: {{...}}}}",
        )


def check_choice(path: str, cls: type, name: str, value: object) -> None:
    """Raise ModelSpecError for a tree's choice that River would only print a complaint about.

    River then goes on with its default, and forests complain on stdout in mid-stream.
    """
    tree_of: type = tree.HoeffdingTreeRegressor
    if issubclass(cls, base.Classifier):
        tree_of = tree.HoeffdingTreeClassifier
    lists = {
        "split_criterion": "_VALID_SPLIT_CRITERIA",
        "leaf_prediction": "_VALID_LEAF_PREDICTION",
    }
    choices = getattr(tree_of, lists.get(name, ""), None)
    if choices and value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        raise ModelSpecError(
            f"{name} of {path} must be one of {', '.join(choices)}, not {value!r}",
            hint=f"did you mean {near[0]}?" if near else None,
        )


def _expected(parameter: Parameter) -> set[str] | None:
    """The kinds that fit; None where neither annotation nor default tells."""
    words = parameter.words - {"None"}
    if words:
        if words & {"Any", "Callable", "Iterable", "Sequence", "FeatureName", "ClfTarget"}:
            return None
        kinds = {"number" for word in ("int", "float") if word in words}
        kinds |= {word for word in ("bool", "str") if word in words}
        if words & _CONTAINERS:
            kinds.add("container")
        return kinds
    match parameter.default:
        case bool():
            return {"bool"}
        case int() | float():
            return {"number"}
    return None
