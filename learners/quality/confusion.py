"""Metrics that derive from a confusion count, binary and per class.

None where a ratio has nothing to divide by (no data, no positive prediction, no positive label);
a correlation of a constant answer is 0, as in River and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Collection
from math import sqrt
from typing import NamedTuple

Metrics = dict[str, float | None]


class ClassCounts(NamedTuple):
    """One class: events labelled so, events predicted so, and both."""

    labelled: int
    predicted: int
    hits: int


def binary_metrics(tn: int, fp: int, fn: int, tp: int) -> Metrics:
    """accuracy, balanced_accuracy, precision, recall, f1, mcc with True as the positive class."""
    total = tn + fp + fn + tp
    recalls = [share for share in (ratio(tp, tp + fn), ratio(tn, tn + fp)) if share is not None]
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    mcc: float | None = None
    if total:
        mcc = (tp * tn - fp * fn) / sqrt(product) if product else 0.0
    return {
        "accuracy": ratio(tp + tn, total),
        "balanced_accuracy": sum(recalls) / len(recalls) if recalls else None,
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "mcc": mcc,
    }


def multiclass_metrics(classes: Collection[ClassCounts]) -> Metrics:
    """accuracy, balanced_accuracy, macro_/weighted_/micro_f1, macro_precision, macro_recall, mcc.

    All of them, the correlation too (Gorodkin, 2004), need of the confusion matrix only its
    diagonal and its sums, so that a period holds three counts a class and not one for each pair.
    """
    total = sum(count.labelled for count in classes)
    if not total:
        return dict.fromkeys(_MULTICLASS)
    hits = sum(count.hits for count in classes)
    seen = [count for count in classes if count.labelled or count.predicted]
    f1 = [2 * count.hits / (count.labelled + count.predicted) for count in seen]
    recalls = [count.hits / count.labelled for count in seen if count.labelled]
    labelled_squares = total**2 - sum(count.labelled**2 for count in seen)
    predicted_squares = total**2 - sum(count.predicted**2 for count in seen)
    covariance = hits * total - sum(count.labelled * count.predicted for count in seen)
    product = labelled_squares * predicted_squares
    return {
        "accuracy": hits / total,
        "balanced_accuracy": sum(recalls) / len(recalls),
        "macro_precision": sum(ratio(count.hits, count.predicted) or 0.0 for count in seen)
        / len(seen),
        "macro_recall": sum(ratio(c.hits, c.labelled) or 0.0 for c in seen) / len(seen),
        "macro_f1": sum(f1) / len(seen),
        "weighted_f1": sum(f * count.labelled for f, count in zip(f1, seen, strict=True)) / total,
        "micro_f1": hits / total,
        "mcc": covariance / sqrt(product) if product else 0.0,
    }


def ratio(part: float, whole: float) -> float | None:
    """part / whole, None when there is nothing to divide by."""
    return part / whole if whole else None


_MULTICLASS = (
    "accuracy",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "weighted_f1",
    "micro_f1",
    "mcc",
)
