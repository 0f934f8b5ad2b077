"""How the year went: the model's scores by day and by week of the flights' own time, and in all.

Everything is by event time: late flights report late, so figures in the order of arrival would
flatter every storm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from examples.flights.storms import NEW_YORK, name_of
from examples.flights.zones import DAY_MS, to_local_ms

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FLAGGED_SHARE = 0.10
# As in River: a score of 0 or 1 would make the log loss infinite.
_CLIP = 1e-15


@dataclass(frozen=True)
class Scored:
    """Flights with what was said of them beforehand; columns of equal length, in any order."""

    local_ms: Ints  # scheduled departure on the clock in New York
    score: Floats  # the model's probability of being late; NaN where it had none
    recent: Floats  # the naive score: the late share of recent landings
    late: Ints  # 1 late, 0 not, -1 never arrived

    def take(self, rows: NDArray[np.bool_]) -> Scored:
        """Gives the flights of `rows`."""
        return Scored(self.local_ms[rows], self.score[rows], self.recent[rows], self.late[rows])


def scored(rows: pa.Table, score_of: Mapping[str, float | None]) -> Scored:
    """Gives the flights of `events.table` with their scores by id; those without one have NaN."""
    at_ms = np.asarray(rows["scheduled_at"].cast(pa.int64()).to_numpy(), dtype=np.int64)
    scores = [score_of.get(one) for one in rows["flight_id"].to_pylist()]
    late = rows["late"].cast(pa.int64()).fill_null(-1).to_numpy()
    return Scored(
        local_ms=to_local_ms(at_ms, np.full(len(at_ms), NEW_YORK.key)),
        score=np.array(scores, dtype=np.float64),
        recent=np.asarray(rows["late_2h"].to_numpy(), dtype=np.float64),
        late=np.asarray(late, dtype=np.int64),
    )


class Period(NamedTuple):
    """A day or a week. AUCs are None where the flights were too few or all alike."""

    first: date
    flights: int
    late_share: float  # of those that arrived
    disrupted_share: float  # late, cancelled or diverted, of all
    auc: float | None
    recent_auc: float | None


class Figures(NamedTuple):
    """The whole year. `flagged_late_share`: of the tenth that the model was most wary of."""

    flights: int
    labels: int
    late_share: float
    auc: float
    recent_auc: float
    log_loss: float
    base_log_loss: float  # of always saying the year's own late share, known only afterwards
    flagged_late_share: float


class Mark(NamedTuple):
    """An alert on the calendar; `name` is what was happening then, if it has a name."""

    time: datetime
    detector: str
    severity: str
    name: str | None


class Crash(NamedTuple):
    """Where in the year the service was killed, and what came of it."""

    time: datetime
    outcome: str  # such as "recovered in 1.9 s, digest equal"


def mark(time: datetime, detector: str, severity: str) -> Mark:
    """Gives an alert as a mark, with the name of what happened then."""
    return Mark(time.astimezone(NEW_YORK), detector, severity, name_of(time))


def by_day(scored: Scored) -> list[Period]:
    """Gives a period for every day that has flights, in order."""
    return _periods(scored, scored.local_ms // DAY_MS)


def by_week(scored: Scored) -> list[Period]:
    """Gives a period for every week (January 1 begins the first) that has flights, in order."""
    days = scored.local_ms // DAY_MS
    new_year = days.min() if len(days) else 0
    return _periods(scored, days - (days - new_year) % 7)


def figures(scored: Scored) -> Figures:
    """Gives the year's figures over the flights that arrived and had a score."""
    known = scored.take((scored.late >= 0) & ~np.isnan(scored.score))
    share = float(known.late.mean())
    cut = np.quantile(known.score, 1 - FLAGGED_SHARE)
    model, recent = auc(known.score, known.late), auc(known.recent, known.late)
    assert model is not None, "a year with late and punctual flights has an AUC"
    assert recent is not None, "a year with late and punctual flights has an AUC"
    return Figures(
        flights=len(scored.late),
        labels=int((scored.late >= 0).sum()),
        late_share=share,
        auc=model,
        recent_auc=recent,
        log_loss=_log_loss(known.score, known.late),
        base_log_loss=_log_loss(np.full(len(known.late), share), known.late),
        flagged_late_share=float(known.late[known.score >= cut].mean()),
    )


def auc(score: Floats, late: Ints) -> float | None:
    """Gives the exact area under the ROC curve, ties counted half; None if all flights are alike.

    As the normalised Mann-Whitney statistic (Hanley and McNeil 1982).
    """
    positives = int(late.sum())
    negatives = len(late) - positives
    if positives == 0 or negatives == 0:
        return None
    _, which, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(ranks[which][late == 1].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def _periods(scored: Scored, first_days: Ints) -> list[Period]:
    order = np.argsort(first_days, kind="stable")
    starts, begin = np.unique(first_days[order], return_index=True)
    periods = []
    for start, rows in zip(starts, np.split(order, begin[1:]), strict=True):
        late, score, recent = scored.late[rows], scored.score[rows], scored.recent[rows]
        known = (late >= 0) & ~np.isnan(score)
        arrived = late >= 0
        periods.append(
            Period(
                first=date.fromordinal(date(1970, 1, 1).toordinal() + int(start)),
                flights=len(rows),
                late_share=float(late[arrived].mean()) if arrived.any() else 0.0,
                disrupted_share=float((late != 0).mean()),
                auc=auc(score[known], late[known]),
                recent_auc=auc(recent[known], late[known]),
            )
        )
    return periods


def _log_loss(score: Floats, late: Ints) -> float:
    clipped = np.clip(score, _CLIP, 1 - _CLIP)
    return float(-np.where(late == 1, np.log(clipped), np.log(1 - clipped)).mean())


def happenings(marks: Sequence[Mark]) -> list[tuple[date, str | None, list[Mark]]]:
    """Gives the marks of one happening together: its first day, its name, its marks in order.

    Marks without a name belong together if they are at most a day apart.
    """
    groups: list[tuple[date, str | None, list[Mark]]] = []
    for one in sorted(marks):
        if groups:
            _, name, members = groups[-1]
            apart = (one.time.date() - members[-1].time.date()).days
            if one.name == name and (name is not None or apart <= 1):
                members.append(one)
                continue
        groups.append((one.time.date(), one.name, [one]))
    return groups
