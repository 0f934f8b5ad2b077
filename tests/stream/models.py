"""Models that tests look into, or that fail when told to."""

from typing import Any

from river import base


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
