"""What a period of a multiclass task adds up to: three counts a class, and a loss sum."""

from __future__ import annotations

from collections.abc import Iterable
from math import log
from typing import Any

from learners.quality.baselines import MAX_CLASSES
from learners.quality.binary import CLIP
from learners.quality.confusion import ClassCounts, Metrics, multiclass_metrics, ratio
from learners.quality.tally import Entry, Scored, Value

_MOST = 1.0 - CLIP


class MulticlassTally:
    """Counts and sums of a period's multiclass events; classes past the first 1,000 are one."""

    __slots__ = ("answers", "classes", "events", "labels", "last", "loss", "majority", "naive")

    auc = None

    def __init__(self) -> None:
        self.events = 0
        self.labels = 0
        # class → [labelled, predicted, hits]; None holds what came after the first 1,000 classes
        self.classes: dict[Value | None, list[int]] = {}
        self.answers = 0  # with probabilities
        self.loss = 0.0
        self.naive = self.majority = self.last = 0

    @staticmethod
    def entry(answer: Any, naive: Any, label: Any) -> Entry:
        """The event as the window keeps it: of the probabilities only the label's, 0 if it is new.

        (River's CrossEntropy leaves such an event out of its sum, as if the answer had been
        perfect.)
        """
        prediction, probabilities = answer
        probability = None if probabilities is None else probabilities.get(label, 0.0)
        return (prediction, probability, label, *naive)

    def add(self, entry: Entry, sign: int = 1, weight: float = 1.0) -> Scored:
        """Counts an entry (sign and weight 1) or takes it back (-1); its error and loss."""
        prediction, probability, label, majority, last = entry
        self.labels += sign
        if last is not None:
            self.naive += sign
            if majority == label:
                self.majority += sign
            if last == label:
                self.last += sign
        if prediction is None:
            return None, None
        counts = self.classes.get(label) or self._class(label)
        counts[0] += sign
        if prediction == label:
            counts[1] += sign
            counts[2] += sign
            error = 0.0
        else:
            (self.classes.get(prediction) or self._class(prediction))[1] += sign
            error = 1.0
        if probability is None:
            return error, None
        loss = -log(_MOST if probability > _MOST else max(CLIP, probability))
        self.answers += sign
        self.loss += weight * loss
        return error, loss

    def scored(self) -> int:
        """Events with label and answer."""
        return sum(counts[0] for counts in self.classes.values())

    def score_counts(self) -> dict[int, int]:
        """Nothing: there is no score to set a threshold on."""
        return {}

    def metrics(self) -> Metrics:
        # In a fixed order: a loaded tally would otherwise add up floats in another one.
        metrics = multiclass_metrics([ClassCounts(*counts) for _, *counts in self.confusion()])
        metrics["log_loss"] = ratio(max(0.0, self.loss), self.answers)
        return metrics

    def baselines(self) -> dict[str, Metrics]:
        return {
            "majority": {"accuracy": ratio(self.majority, self.naive)},
            "last_label": {"accuracy": ratio(self.last, self.naive)},
        }

    def confusion(self) -> list[list[Any]]:
        """[class, labelled, predicted, hits] of each class; None is those past the first 1,000."""
        return [
            [class_, *counts]
            for class_, counts in sorted(self.classes.items(), key=_order)
            if any(counts)
        ]

    @staticmethod
    def exact(entries: Iterable[Entry]) -> tuple[Metrics, Metrics]:
        """Nothing: no metric of order."""
        return {}, {}

    def merge(self, other: MulticlassTally) -> None:
        self.events += other.events
        self.labels += other.labels
        for class_, theirs in other.classes.items():
            ours = self.classes.get(class_) or self._class(class_)
            for index, count in enumerate(theirs):
                ours[index] += count
        self.answers += other.answers
        self.loss += other.loss
        self.naive += other.naive
        self.majority += other.majority
        self.last += other.last

    def merge_histograms(self, other: MulticlassTally, sign: int = 1) -> None:
        """Nothing: there are none."""

    def dump(self) -> list[Any]:
        return [
            self.events,
            self.labels,
            self.confusion(),
            [self.answers, self.loss],
            [self.naive, self.majority, self.last],
        ]

    @classmethod
    def load(cls, state: list[Any], histograms: bool = True) -> MulticlassTally:
        tally = cls()
        tally.events, tally.labels, classes, loss, naive = state
        tally.classes = {class_: counts for class_, *counts in classes}
        tally.answers, tally.loss = loss
        tally.naive, tally.majority, tally.last = naive
        return tally

    def _class(self, class_: Value | None) -> list[int]:
        classes = self.classes
        if class_ not in classes and len(classes) >= MAX_CLASSES:
            class_ = None
        return classes.setdefault(class_, [0, 0, 0])


def _order(item: tuple[Value | None, list[int]]) -> tuple[str, str]:
    return type(item[0]).__name__, str(item[0])
