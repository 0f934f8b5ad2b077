"""River's public classes by path, and the nearest name to a wrong one."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
import re

from learners.errors import ModelSpecError

MODULES = (
    "active", "anomaly", "bandit", "cluster", "compose", "covariance", "drift", "dummy",
    "ensemble", "facto", "feature_extraction", "feature_selection", "forest", "imblearn",
    "linear_model", "metrics", "misc", "model_selection", "multiclass", "multioutput",
    "naive_bayes", "neighbors", "optim", "preprocessing", "proba", "reco", "rules", "sketch",
    "stats", "time_series", "tree", "utils",
)  # fmt: skip
"""What a model may be made of. Not datasets, stream and evaluate: they read files and networks."""

REFUSED = {
    "stats.KolmogorovSmirnov": (
        "draws from the process-wide random state, which no seed of the service reaches",
        "detectors compare distributions without it",
    ),
    "utils.TimeRolling": (
        "needs the time in every call of learn_one, which an event's features do not carry",
        "use utils.Rolling with a window counted in events",
    ),
    "compose.FuncTransformer": (
        "takes a Python function, which a configuration cannot hold",
        'write it in Python: model: {factory: "mypackage.models:build"}',
    ),
}
"""Classes that cannot keep the promise of an equal result on replay: path → (why, hint).

Read in River 0.26.1: every other user of randomness keeps its own generator under a parameter
`seed` (`utils.random` falls back on the global one only for callers that pass none: there are
none).
"""

_CLASS_PATH = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*\.[A-Z]\w*")


def is_class_path(text: str) -> bool:
    """Whether text reads as a River class (`tree.HoeffdingTreeClassifier`), existing or not."""
    return bool(_CLASS_PATH.fullmatch(text)) and text.split(".", 1)[0] in MODULES


def normal_path(path: str) -> str:
    """The path without a leading `river.`."""
    return path.removeprefix("river.")


def resolve(path: str) -> type:
    """The River class at `path` (below `river.`).

    Raises
    ------
    ModelSpecError
        No such public class (the hint names the nearest), an abstract one, or one of REFUSED.
    """
    module_path, _, name = path.rpartition(".")
    found = None
    segments = path.split(".")
    if segments[0] in MODULES and not any(s == "base" or s.startswith("_") for s in segments):
        try:
            found = getattr(importlib.import_module(f"river.{module_path}"), name, None)
        except ModuleNotFoundError:
            found = None
    if not inspect.isclass(found) or not found.__module__.startswith("river."):
        raise ModelSpecError(f"River has no class {path}", hint=_nearest_hint(path))
    if path in REFUSED:
        why, hint = REFUSED[path]
        raise ModelSpecError(f"{path} {why}", hint=hint)
    if inspect.isabstract(found):
        raise ModelSpecError(f"{path} is abstract: only classes derived from it can be built")
    return found


def _nearest_hint(path: str) -> str:
    """The class most likely meant: same name elsewhere, then nearest path, then nearest name."""
    paths = public_paths()
    name = path.rpartition(".")[2]
    by_name = {known.rpartition(".")[2]: known for known in reversed(paths)}
    if name in by_name:
        return f"did you mean {by_name[name]}?"
    if near := difflib.get_close_matches(path, paths, n=1, cutoff=0.75):
        return f"did you mean {near[0]}?"
    if near := difflib.get_close_matches(name, by_name, n=1, cutoff=0.7):
        return f"did you mean {by_name[near[0]]}?"
    return "a class is named by its path below river, such as preprocessing.StandardScaler"


@functools.cache
def public_paths() -> list[str]:
    """Every class that may be named; imports all of River's modules, so only for messages."""
    paths = []
    for top in MODULES:
        module = importlib.import_module(f"river.{top}")
        modules = {top: module}
        for child in pkgutil.iter_modules(getattr(module, "__path__", [])):
            if child.name != "base" and child.name in getattr(module, "__all__", ()):
                modules[f"{top}.{child.name}"] = importlib.import_module(
                    f"river.{top}.{child.name}"
                )
        for prefix, each in modules.items():
            for name in getattr(each, "__all__", dir(each)):
                found = getattr(each, name, None)
                if inspect.isclass(found) and found.__module__.startswith(f"river.{top}"):
                    paths.append(f"{prefix}.{name}")
    return paths
