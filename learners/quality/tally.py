"""What each task gives to `Quality`: a tally for every period, and the naive baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol, Self

from learners.quality.confusion import Metrics

Value = bool | int | float | str

Entry = tuple[Any, ...]
"""A labelled event, flat: prediction, confidence (not in regression), label, naive answers."""

Scored = tuple[float | None, float | None]
"""Error and loss of one event; None where the task or the answer has none."""


class Tally(Protocol):
    """Counts and sums of one period. Two add up (`merge`) to that of both: counts exactly."""

    auc: ClassVar[str | None]
    """How the ROC AUC in `metrics` is computed; None if there is none."""
    events: int
    labels: int

    @staticmethod
    def entry(answer: Any, naive: Any, label: Any) -> Entry:
        """The event as the window keeps it."""

    def add(self, entry: Entry, sign: int = 1, weight: float = 1.0) -> Scored:
        """Counts an entry (sign and weight 1), or takes back one that was counted (both -1)."""

    def scored(self) -> int:
        """Events with label and answer."""

    def metrics(self) -> Metrics:
        """Every metric of the task, None where undefined."""

    def baselines(self) -> dict[str, Metrics]:
        """The metrics that fit each naive baseline."""

    def confusion(self) -> Any:
        """The counts that the classification metrics derive from."""

    def score_counts(self) -> Mapping[int, int]:
        """The histogram of probabilities by label, in a binary task."""

    @staticmethod
    def exact(entries: Iterable[Entry]) -> tuple[Metrics, Metrics]:
        """The metrics of order without bins: of the model, and of the recent rate."""

    def merge(self, other: Self) -> None:
        """Adds another period's or shard's."""

    def merge_histograms(self, other: Self, sign: int = 1) -> None:
        """The part of `merge` that histograms have, and its undoing (sign -1)."""

    def dump(self) -> list[Any]:
        """Built-ins; starts with events and labels. The same state gives the same dump."""

    @classmethod
    def load(cls, state: list[Any], histograms: bool = True) -> Self:
        """The tally that `dump` wrote; without its histograms in a hundredth of the time."""


class Baselines(Protocol):
    """The state behind the naive answers."""

    labels: int

    def naive(self) -> list[object]:
        """Each baseline's answer, given the labels so far."""

    def learn(self, label: Any) -> None:
        """Takes in the next label."""

    def correct(self, old: Any, new: Any, number: int) -> None:
        """Replaces the label that came as number `number`, counted from 0."""

    def merge(self, other: Self) -> None:
        """Adds another shard's."""

    def dump(self) -> list[Any]:
        """Built-ins."""

    def load(self, state: list[Any]) -> None:
        """Takes on the state that `dump` wrote."""
