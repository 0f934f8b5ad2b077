"""What a period of an anomaly task adds up to: as a binary one, with scores for probabilities."""

from __future__ import annotations

from typing import Any

from learners.quality.binary import BinaryTally
from learners.quality.confusion import Metrics
from learners.quality.histogram import score_bin
from learners.quality.tally import Entry, Scored


class AnomalyTally(BinaryTally):
    """Counts of a period's labelled anomalies.

    A score is no probability: it is ranked, but has no loss. Without a threshold the model gives
    scores only: they have an ROC AUC, while confusion and error have nothing to count.
    """

    __slots__ = ()

    auc = "histogram of 2083 bins within [0, 1], finer towards 0 and 1, 256 an octave outside"

    def add(self, entry: Entry, sign: int = 1, weight: float = 1.0) -> Scored:
        """Counts an entry (sign and weight 1) or takes it back (-1); its error, no loss."""
        prediction, score, label, *naive = entry
        super().add((None, None, label, *naive), sign, weight)
        if score is not None:
            self.scores[2 * score_bin(score) + label] += sign
        if prediction is None:
            return None, None
        if label:
            if prediction:
                self.tp += sign
            else:
                self.fn += sign
        elif prediction:
            self.fp += sign
        else:
            self.tn += sign
        return (0.0 if prediction == label else 1.0), None

    def scored(self) -> int:
        """Events with label and score."""
        return max(super().scored(), sum(self.scores.values()))

    def score_counts(self) -> dict[int, int]:
        """Nothing: a threshold cannot be learnt on scores that are not probabilities."""
        return {}

    def metrics(self) -> Metrics:
        metrics = super().metrics()
        del metrics["log_loss"], metrics["brier"]
        return metrics

    @staticmethod
    def exact(entries: Any) -> tuple[Metrics, Metrics]:
        """The metrics of order, without bins: of the model and of the recent rate."""
        # A score counts without a prediction, unlike a probability: pose as if there were one.
        return BinaryTally.exact((True, *entry[1:]) for entry in entries)
