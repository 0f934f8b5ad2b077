"""A River model in service: answers and learns one event at a time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite
from typing import Any, Literal

from river import base

from learners.building.ability import last_step
from learners.building.text import one_line
from learners.direct import calls_of
from learners.errors import LearnerFailedError
from learners.tasks import Task, Value

Features = dict[str, Value]
Confidence = float | dict[Value, float] | None
Answer = tuple[Value | None, Confidence]
"""(prediction, confidence): binary (bool, p of True), multiclass (label, label → p), regression
(float, None), anomaly (bool or None, score). (None, None) where the model has no answer yet."""

_NO_ANSWER: Answer = (None, None)


class Learner:
    """A model and the one way the service talks to it.

    Guarantees
    ----------
    - A prediction is River's own argmax over its own order, from one call of `predict_proba_one`;
      `predict_one` is called only where the model has no probabilities.
    - `predict` leaves no trace in the model that a later answer shows. We rely on River for it (its
      own test `check_predict_one_pure`) and hold it in tests/learners/test_contract.py.
    - Neither `predict` nor `learn` changes `features`: River's transformers give new dicts (its own
      `check_no_state_aliasing_with_input`, and the same suite of ours). A factory's model must do
      the same, since what is learnt later is the same dict.
    - Every number in an answer is finite and a plain float.
    - A failure of the model is a LearnerFailedError, after which the model may be half updated:
      only a model recovered from a snapshot or the log may go on. MemoryError, RecursionError
      (which depend on the process, so that a replay would differ) and what is no Exception pass.

    Parameters
    ----------
    model
        A River estimator that can do the task (`build_model` has checked it).
    task
        Decides the shape of an answer.
    threshold
        Binary: predict True from this p on. Anomaly: from this score on. None: River's argmax;
        an anomaly detector then has no prediction unless it is a filter, which classifies.

    Attributes
    ----------
    predict, learn
        Callables, bound once: (features) -> Answer, and (features, label) -> None. The label is
        what `task.label` gives; an anomaly detector does not look at it.
    learns_from_labels
        False for anomaly detectors: they learn when the event arrives.

    Notes
    -----
    Over a bare loop of `predict_proba_one` and `learn_one`, a binary learner adds 0.30 µs an event,
    predict and learn together (fastest of 200 × 1,250 events around a model that does nothing;
    0.5 µs around scaler | logistic regression, within the noise of a busy 2-core machine).
    """

    __slots__ = (
        "_classify",
        "_learn_one",
        "_predict_one",
        "_proba_one",
        "_score_one",
        "learn",
        "learns_from_labels",
        "model",
        "predict",
        "task",
        "threshold",
    )

    def __init__(self, model: Any, task: Task, threshold: float | None = None) -> None:
        self.model = model
        self.task = task
        self.threshold = threshold
        self.learns_from_labels = task.name != "anomaly"
        calls = calls_of(model)
        self._learn_one = calls.learn_one
        last = last_step(model)
        self.predict: Callable[[Features], Answer]
        self.learn: Callable[[Features, Value | None], None] = self._learn
        match task.name:
            case "regression":
                self._predict_one = calls.predict_one
                self.predict = self._regress
            case "anomaly":
                self._score_one = model.score_one
                self._classify = last.classify if isinstance(last, base.AnomalyFilter) else None
                self.predict = self._score
                self.learn = self._learn_unlabelled
            case _:
                self._proba_one = calls.predict_proba_one or model.predict_proba_one
                self._predict_one = calls.predict_one
                self.predict = self._binary if task.name == "binary" else self._multiclass
                if type(last).predict_proba_one is base.Classifier.predict_proba_one:
                    self.predict = self._class_only

    def __reduce__(self) -> tuple[type[Learner], tuple[Any, Task, float | None]]:
        # The bound callables are made again: pickled they would fix our private names for ever.
        return type(self), (self.model, self.task, self.threshold)

    def _binary(self, features: Features) -> Answer:
        try:
            proba = self._proba_one(features)
        except NotImplementedError:
            return self._without_probabilities(features)
        except Exception as error:
            raise _failure("predict", error, features) from error
        # max(proba, key=proba.get) costs twice this loop; the sum is the check of all numbers.
        best, most, total = None, -inf, 0.0
        for label, p in proba.items():
            total += p
            if p > most:
                best, most = label, p
        if not isfinite(total):
            raise _not_finite(proba)
        if best is None:
            return _NO_ANSWER
        positive = proba.get(True, 0.0)
        if positive.__class__ is not float:
            positive = float(positive)
        if self.threshold is not None:
            return positive >= self.threshold, positive
        return bool(best), positive

    def _multiclass(self, features: Features) -> Answer:
        try:
            proba = self._proba_one(features)
        except NotImplementedError:
            return self._without_probabilities(features)
        except Exception as error:
            raise _failure("predict", error, features) from error
        best, most, total = None, -inf, 0.0
        for label, p in proba.items():
            total += p
            if p > most:
                best, most = label, p
        if not isfinite(total):
            raise _not_finite(proba)
        if best is None:
            return _NO_ANSWER
        # A copy, since some models return the dict that they keep.
        return best, {label: float(p) for label, p in proba.items()}

    def _without_probabilities(self, features: Features) -> Answer:
        """From the first refusal on: a wrapper shows only when asked that its model has none."""
        self.predict = self._class_only
        return self._class_only(features)

    def _class_only(self, features: Features) -> Answer:
        try:
            prediction = self._predict_one(features)
        except Exception as error:
            raise _failure("predict", error, features) from error
        if prediction is None:
            return _NO_ANSWER
        if self.task.name == "binary":
            return bool(prediction), None
        return prediction, None

    def _regress(self, features: Features) -> Answer:
        try:
            prediction = self._predict_one(features)
        except Exception as error:
            raise _failure("predict", error, features) from error
        if prediction is None:
            return _NO_ANSWER
        if not isfinite(prediction):
            raise _not_finite(prediction)
        return float(prediction), None

    def _score(self, features: Features) -> Answer:
        try:
            score = self._score_one(features)
            if score is None:
                return _NO_ANSWER
            if not isfinite(score):
                raise _not_finite(score)
            if self.threshold is not None:
                return bool(score >= self.threshold), float(score)
            if self._classify is not None:
                return bool(self._classify(score)), float(score)
        except LearnerFailedError:
            raise
        except Exception as error:
            raise _failure("predict", error, features) from error
        return None, float(score)

    def _learn(self, features: Features, label: Value | None) -> None:
        try:
            self._learn_one(features, label)
        except Exception as error:
            raise _failure("learn", error, features) from error

    def _learn_unlabelled(self, features: Features, label: Value | None = None) -> None:
        try:
            self._learn_one(features)
        except Exception as error:
            raise _failure("learn", error, features) from error


def _failure(
    phase: Literal["predict", "learn"], error: Exception, features: Features
) -> LearnerFailedError:
    """The error to raise; what depends on the process and not on the event is raised as it is."""
    if isinstance(error, MemoryError | RecursionError):
        raise error
    return LearnerFailedError(phase, one_line(error), hint=_hint(error, features))


def _not_finite(value: object) -> LearnerFailedError:
    return LearnerFailedError(
        "predict",
        f"it gave {value!r}, which is not finite"[:300],
        hint="scale the features (preprocessing.StandardScaler first) or learn in smaller steps",
    )


def _hint(error: Exception, features: Features) -> str | None:
    if isinstance(error, KeyError):
        # Imputers of River fill a null, but a feature that is missing is absent here.
        return (
            "a feature may be missing from this event: choose features with compose.SelectType or "
            "compose.Discard, which take what is there"
        )
    texts = [name for name, value in features.items() if isinstance(value, str)]
    if texts and isinstance(error, TypeError | ValueError):
        return (
            f"{texts[0]} is text: encode it, for example {{union: [[compose.SelectType: [str], "
            "preprocessing.OneHotEncoder], compose.SelectType: [number]]}"
        )
    return None
