"""What a period of a regression task adds up to: error sums, and the labels' mean and spread."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

from learners.quality.confusion import Metrics, ratio
from learners.quality.tally import Entry, Scored

LIMIT = 1e150
"""Labels, predictions and errors are clipped to ± this: a diverging model leaves finite sums."""


class RegressionTally:
    """Sums of a period's regression events; the labels' spread by Welford, merged by Chan.

    (Chan, Golub and LeVeque, 1979: a sum of squares minus a squared sum would cancel.)
    """

    __slots__ = (
        "absolute",
        "answers",
        "events",
        "labels",
        "last_absolute",
        "last_squared",
        "mean",
        "mean_absolute",
        "mean_squared",
        "naive",
        "spread",
        "squared",
    )

    auc = None

    def __init__(self) -> None:
        self.events = 0
        self.labels = 0
        self.answers = 0
        self.absolute = self.squared = 0.0
        self.mean = self.spread = 0.0  # of the labels of the answered events
        self.naive = 0
        self.mean_absolute = self.mean_squared = 0.0
        self.last_absolute = self.last_squared = 0.0

    @staticmethod
    def entry(answer: Any, naive: Any, label: Any) -> Entry:
        """The event as the window keeps it."""
        return (answer[0], label, *naive)

    def add(self, entry: Entry, sign: int = 1, weight: float = 1.0) -> Scored:
        """Counts an entry (sign and weight 1) or takes it back (-1); absolute and squared error."""
        prediction, label, mean, last = entry
        self.labels += sign
        label = bounded(label)
        if last is not None:
            self.naive += sign
            error = _error(mean, label)
            self.mean_absolute += weight * error
            self.mean_squared += weight * error * error
            error = _error(last, label)
            self.last_absolute += weight * error
            self.last_squared += weight * error * error
        if prediction is None:
            return None, None
        error = _error(prediction, label)
        squared = error * error
        self.absolute += weight * error
        self.squared += weight * squared
        answers = self.answers = self.answers + sign
        if answers == 0:
            self.mean = self.spread = 0.0
        else:
            distance = label - self.mean
            self.mean += weight * distance / answers
            self.spread += weight * distance * (label - self.mean)
        return error, squared

    def scored(self) -> int:
        """Events with label and answer."""
        return self.answers

    def score_counts(self) -> dict[int, int]:
        """Nothing: there is no score to set a threshold on."""
        return {}

    def metrics(self) -> Metrics:
        r2 = 1 - self.squared / self.spread if self.answers > 1 and self.spread > 0 else None
        return {**_errors(self.absolute, self.squared, self.answers), "r2": r2}

    def baselines(self) -> dict[str, Metrics]:
        return {
            "mean": _errors(self.mean_absolute, self.mean_squared, self.naive),
            "last_value": _errors(self.last_absolute, self.last_squared, self.naive),
        }

    def confusion(self) -> None:
        """None: there is nothing to confuse."""

    @staticmethod
    def exact(entries: Iterable[Entry]) -> tuple[Metrics, Metrics]:
        """Nothing: no metric of order."""
        return {}, {}

    def merge(self, other: RegressionTally) -> None:
        self.events += other.events
        self.labels += other.labels
        answers = self.answers + other.answers
        if other.answers:
            distance = other.mean - self.mean
            share = other.answers / answers
            self.mean += distance * share
            self.spread += other.spread + distance * distance * self.answers * share
        self.answers = answers
        self.absolute += other.absolute
        self.squared += other.squared
        self.naive += other.naive
        self.mean_absolute += other.mean_absolute
        self.mean_squared += other.mean_squared
        self.last_absolute += other.last_absolute
        self.last_squared += other.last_squared

    def merge_histograms(self, other: RegressionTally, sign: int = 1) -> None:
        """Nothing: there are none."""

    def dump(self) -> list[Any]:
        return [
            self.events,
            self.labels,
            [self.answers, self.absolute, self.squared, self.mean, self.spread],
            [self.naive, self.mean_absolute, self.mean_squared],
            [self.last_absolute, self.last_squared],
        ]

    @classmethod
    def load(cls, state: list[Any], histograms: bool = True) -> RegressionTally:
        tally = cls()
        tally.events, tally.labels, own, mean, last = state
        tally.answers, tally.absolute, tally.squared, tally.mean, tally.spread = own
        tally.naive, tally.mean_absolute, tally.mean_squared = mean
        tally.last_absolute, tally.last_squared = last
        return tally


def bounded(value: float) -> float:
    """The value within ± LIMIT."""
    if -LIMIT <= value <= LIMIT:
        return value
    return LIMIT if value > 0 else -LIMIT


def _error(prediction: float, label: float) -> float:
    error = abs(bounded(prediction) - label)
    return error if error <= LIMIT else LIMIT


def _errors(absolute: float, squared: float, count: int) -> Metrics:
    # A correction may leave a sum a rounding error below zero.
    mse = ratio(max(0.0, squared), count)
    return {
        "mae": ratio(max(0.0, absolute), count),
        "rmse": None if mse is None else sqrt(mse),
    }
