"""The streams of numbers that a detector can watch, and what each task offers of them.

| signal | what is fed, and when |
|---|---|
| `error` | once an event has its label: 0 or 1, or the absolute error (regression) |
| `loss` | once an event has its label: log loss, or squared error |
| `prediction` | with each prediction: p(positive), the predicted number, or the anomaly score |
| `label` | with each label: 0 or 1, or the number |
| `feature:NAME` | with each event that has the feature as a number; other events feed nothing |
"""

from __future__ import annotations

import difflib
from typing import Final

from detectors.errors import SignalError

FEATURE: Final = "feature:"
NAMES: Final = ("error", "loss", "prediction", "label")

# task → signal → whether its values lie in [0, 1].
_OFFERED: Final[dict[str, dict[str, bool]]] = {
    "binary": {"error": True, "loss": False, "prediction": True, "label": True},
    "multiclass": {"error": True, "loss": False},
    "regression": {"error": False, "loss": False, "prediction": False, "label": False},
    "anomaly": {"error": True, "prediction": False, "label": True},
}


def check_name(signal: str) -> None:
    """Raise SignalError, with the nearest name as its hint, unless `signal` exists."""
    if signal in NAMES or (signal.startswith(FEATURE) and len(signal) > len(FEATURE)):
        return
    known = ", ".join(NAMES)
    near = difflib.get_close_matches(signal, [*NAMES, FEATURE], n=1)
    if near and near[0] != FEATURE:
        hint = f"did you mean {near[0]}?"
    else:
        hint = f"a column of the data is watched as {FEATURE}NAME"
    raise SignalError(f"a signal is one of {known}, {FEATURE}NAME, not {signal!r}", hint=hint)


def check_signal(signal: str, task_name: str) -> None:
    """Raise SignalError unless a service with this task produces `signal` as numbers."""
    check_name(signal)
    offered = _OFFERED[task_name]
    if signal.startswith(FEATURE) or signal in offered:
        return
    if task_name == "multiclass":
        hint = f"a class is not a number; watch error, loss or {FEATURE}NAME instead"
    else:
        hint = f"signals of the {task_name} task: {', '.join(offered)}, {FEATURE}NAME"
    raise SignalError(f"the {task_name} task has no signal {signal!r}", hint=hint)


def bounded(signal: str, task_name: str) -> bool:
    """Whether every value of `signal` lies in [0, 1], so that it is never scaled."""
    return _OFFERED[task_name].get(signal, False)


def feature_name(signal: str) -> str | None:
    """The feature that `signal` watches, or None if it watches none."""
    return signal.removeprefix(FEATURE) if signal.startswith(FEATURE) else None


def follows_model(signal: str) -> bool:
    """Whether `signal` depends on the model, so that its detectors start afresh on a rollback."""
    return signal in {"error", "loss", "prediction"}


def as_number(value: object) -> float | None:
    """`value` if it can be fed to a detector (a number or a boolean), else None."""
    return value if isinstance(value, int | float) else None
