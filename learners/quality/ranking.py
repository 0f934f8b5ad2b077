"""Metrics of order, from counts grouped by score: ROC AUC, precision of the highest scores.

Exact when every group holds equal scores only; from a histogram the scores of one bin count as
ties.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Group = tuple[int, int]
"""(negatives, positives) that share a score or a bin."""


def roc_auc(groups: Iterable[Group]) -> float | None:
    """Area under the ROC curve; groups ascending by score. None unless both classes occur.

    It is the Mann-Whitney U, ties counting one half, over positives x negatives (Hanley and
    McNeil, 1982), added up in integers: one rounding, at the division.
    """
    negatives = positives = twice_u = 0
    for negative, positive in groups:
        twice_u += positive * (2 * negatives + negative)
        negatives += negative
        positives += positive
    pairs = 2 * negatives * positives
    return twice_u / pairs if pairs else None


def precision_at(groups: Sequence[Group], share: float) -> float | None:
    """Positives among the `share` of highest scores; groups ascending. None below ten scores.

    The group that the cut goes through counts in proportion, as if its members were drawn at
    random.
    """
    total = sum(negative + positive for negative, positive in groups)
    if total < 10:
        return None
    wanted = total * share
    flagged, hits = 0, 0.0
    for negative, positive in reversed(groups):
        size = negative + positive
        if flagged + size >= wanted:
            hits += positive * (wanted - flagged) / size
            break
        flagged += size
        hits += positive
    return hits / wanted


def groups_of(scores: Iterable[tuple[float, bool]]) -> list[Group]:
    """The exact groups of (score, label) pairs, ascending."""
    groups: list[Group] = []
    last: float | None = None
    negative = positive = 0
    for score, label in sorted(scores):
        if score != last and last is not None:
            groups.append((negative, positive))
            negative = positive = 0
        last = score
        if label:
            positive += 1
        else:
            negative += 1
    if last is not None:
        groups.append((negative, positive))
    return groups
