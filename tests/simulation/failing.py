"""A model that fails on some events, as a real one does: half way through an update, or with an
answer that is not finite."""

from __future__ import annotations

from typing import Any

from river import linear_model

LEARN_FAILS_ABOVE = 1.9
PREDICT_FAILS_ABOVE = 2.0


class Failing(linear_model.LogisticRegression):
    """Logistic regression, but for events with a large `b`."""

    def predict_proba_one(self, x: Any, **kwargs: Any) -> Any:
        answer = super().predict_proba_one(x)
        return {True: float("nan")} if cannot_predict(x) else answer

    def learn_one(self, x: Any, y: Any, w: float = 1.0) -> None:
        super().learn_one(x, y, w)
        if cannot_learn(x):
            # What it has learnt of this event by now must not stay.
            raise ValueError("told to fail")


def cannot_predict(features: dict[str, Any]) -> bool:
    """Whether an event cannot be predicted."""
    return bool(features.get("b", 0.0) > PREDICT_FAILS_ABOVE)


def cannot_learn(features: dict[str, Any]) -> bool:
    """Whether an event cannot be learnt; it can be predicted."""
    return bool(features.get("b", 0.0) < -LEARN_FAILS_ABOVE)


def build() -> Failing:
    return Failing()
