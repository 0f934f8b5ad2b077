"""Models that tests look into, or that fail when told to."""

from typing import Any

from river import base, linear_model


class Recorder(base.Classifier):
    """Keeps what it learns; p(True) is the share of True so far, 0.5 before any.

    `broken` names what fails on events that have that feature: "predict" and "learn" raise,
    "nan" predicts a number that is not finite.
    """

    def __init__(self, broken: str | None = None) -> None:
        self.broken = broken
        self.learnt: list[tuple[dict[str, Any], Any]] = []
        self.positives = 0

    def predict_proba_one(self, x: Any, **kwargs: Any) -> dict[Any, float]:
        if self.broken == "predict" and "predict" in x:
            raise ValueError("told to fail")
        if self.broken == "nan" and "nan" in x:
            return {False: 0.5, True: float("nan")}
        p = (self.positives + 1) / (len(self.learnt) + 2)
        return {False: 1 - p, True: p}

    def learn_one(self, x: Any, y: Any) -> None:
        if self.broken == "learn" and "learn" in x:
            raise ValueError("told to fail")
        self.learnt.append((dict(x), y))
        self.positives += bool(y)


def recorder(broken: str | None = None) -> Recorder:
    return Recorder(broken)


class Aged(linear_model.LogisticRegression):
    """As if another River ran it: `engine` is added to what it predicts, and where it fails to
    learn, it had not under the one before."""

    engine = 0.0
    fails_above = float("inf")

    def predict_proba_one(self, x: Any, **kwargs: Any) -> Any:
        p = min(1.0, super().predict_proba_one(x)[True] + self.engine)
        return {False: 1.0 - p, True: p}

    def learn_one(self, x: Any, y: Any, w: float = 1.0) -> None:
        super().learn_one(x, y, w)
        if x.get("a", 0.0) > self.fails_above:
            raise ValueError("told to fail")


def aged() -> Aged:
    return Aged()
