"""The naive baselines of each task: what one would answer knowing only the labels so far.

`naive()` gives their answers now, to be stored with the event and scored with its label; None
before the first label. A correction takes back what the old label did to later answers; answers
given in between stay as they were given.
"""

from __future__ import annotations

from typing import Any

from learners.quality.regression import bounded
from learners.quality.tally import Value

RECENT_WEIGHT = 0.01
"""Weight of the newest label in the recent rate: it remembers about a hundred labels."""

_WARM_UP = 99  # labels that weigh alike until RECENT_WEIGHT takes over: 1 / (99 + 1)
MAX_CLASSES = 1_000
"""Classes counted apart; further ones are one, so that ids taken for classes make no flood."""


class BinaryBaselines:
    """Majority class, last label, recent rate (a probability of True): binary and anomaly tasks.

    The recent rate is an exponentially weighted mean of the labels, nine tenths, and the mean of
    all labels, one tenth: it is never 0 or 1, so one rare positive does not cost it the worst
    possible log loss.
    """

    __slots__ = ("labels", "last", "positives", "recent")

    def __init__(self) -> None:
        self.labels = 0
        self.positives = 0
        self.last: bool | None = None
        self.recent = 0.5

    def naive(self) -> list[object]:
        """[majority class, last label, probability of True]."""
        labels = self.labels
        if not labels:
            return [None, None, None]
        positives = self.positives
        return [
            positives + positives > labels,
            self.last,
            0.9 * self.recent + (0.1 * positives + 0.05) / (labels + 1),
        ]

    def learn(self, label: bool) -> None:
        labels = self.labels
        self.labels = labels + 1
        self.last = label
        weight = RECENT_WEIGHT if labels >= _WARM_UP else 1 / (labels + 2)
        if label:
            self.positives += 1
            self.recent += weight * (1.0 - self.recent)
        else:
            self.recent -= weight * self.recent

    def correct(self, old: bool, new: bool, number: int) -> None:
        """Replaces the label that came as number `number`, counted from 0."""
        change = int(new) - int(old)
        self.positives += change
        self.recent += change * self._weight_now(number)
        if number == self.labels - 1:
            self.last = new

    def merge(self, other: BinaryBaselines) -> None:
        labels = self.labels + other.labels
        if labels:
            self.recent = (self.recent * self.labels + other.recent * other.labels) / labels
        self.labels = labels
        self.positives += other.positives
        if self.last is None:
            self.last = other.last

    def dump(self) -> list[Any]:
        return [self.labels, self.positives, self.last, self.recent]

    def load(self, state: list[Any]) -> None:
        self.labels, self.positives, self.last, self.recent = state

    def _weight_now(self, number: int) -> float:
        # The first 99 labels weigh alike, whatever their order, and fade together afterwards.
        even = min(self.labels, _WARM_UP)
        if number < _WARM_UP:
            return float((1 - RECENT_WEIGHT) ** (self.labels - even)) / (even + 1)
        return float(RECENT_WEIGHT * (1 - RECENT_WEIGHT) ** (self.labels - 1 - number))


class ClassBaselines:
    """Majority class (of a tie, the one that got there first) and last label."""

    __slots__ = ("counts", "labels", "last", "majority")

    def __init__(self) -> None:
        self.labels = 0
        self.counts: dict[Value, int] = {}
        self.majority: Value | None = None
        self.last: Value | None = None

    def naive(self) -> list[object]:
        """[majority class, last label]."""
        return [self.majority, self.last]

    def learn(self, label: Value) -> None:
        self.labels += 1
        self.last = label
        self._count(label)

    def correct(self, old: Value, new: Value, number: int) -> None:
        """Replaces the label that came as number `number`, counted from 0."""
        if number == self.labels - 1:
            self.last = new
        if old in self.counts:
            self.counts[old] -= 1
            if old == self.majority:
                self.majority = max(self.counts, key=self.counts.__getitem__)
        self._count(new)

    def merge(self, other: ClassBaselines) -> None:
        self.labels += other.labels
        for label, count in other.counts.items():
            if label in self.counts or len(self.counts) < MAX_CLASSES:
                self.counts[label] = self.counts.get(label, 0) + count
        if self.counts:
            self.majority = max(self.counts, key=self.counts.__getitem__)
        if self.last is None:
            self.last = other.last

    def dump(self) -> list[Any]:
        return [self.labels, [[*pair] for pair in self.counts.items()], self.majority, self.last]

    def load(self, state: list[Any]) -> None:
        self.labels, counts, self.majority, self.last = state
        self.counts = dict(counts)

    def _count(self, label: Value) -> None:
        counts = self.counts
        if label in counts:
            count = counts[label] = counts[label] + 1
        elif len(counts) < MAX_CLASSES:
            count = counts[label] = 1
        else:
            return
        if self.majority is None or count > counts[self.majority]:
            self.majority = label


class RegressionBaselines:
    """Mean of all labels and last value."""

    __slots__ = ("labels", "last", "mean")

    def __init__(self) -> None:
        self.labels = 0
        self.mean = 0.0
        self.last: float | None = None

    def naive(self) -> list[object]:
        """[mean, last value]."""
        return [self.mean, self.last] if self.labels else [None, None]

    def learn(self, label: float) -> None:
        self.labels += 1
        self.last = label
        self.mean += (bounded(label) - self.mean) / self.labels

    def correct(self, old: float, new: float, number: int) -> None:
        """Replaces the label that came as number `number`, counted from 0."""
        self.mean += (bounded(new) - bounded(old)) / self.labels
        if number == self.labels - 1:
            self.last = new

    def merge(self, other: RegressionBaselines) -> None:
        self.labels += other.labels
        if self.labels:
            self.mean += (other.mean - self.mean) * other.labels / self.labels
        if self.last is None:
            self.last = other.last

    def dump(self) -> list[Any]:
        return [self.labels, self.mean, self.last]

    def load(self, state: list[Any]) -> None:
        self.labels, self.mean, self.last = state
