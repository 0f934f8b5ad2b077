import random

import orjson
import pytest

from learners.quality import Quality, new_quality
from learners.quality.buckets import DAY_MS, HOUR_MS

WAIT_MS = 2 * DAY_MS
NOON_MS = 1_700_000_000_000 // DAY_MS * DAY_MS + 12 * HOUR_MS


def test_an_event_whose_label_never_comes_lowers_the_maturity_of_its_hour() -> None:
    quality = new_quality("binary", WAIT_MS)
    for minute in range(4):
        _event(quality, NOON_MS + minute * 60_000, label=minute < 3)

    (hour,) = quality.periods()

    assert (hour["events"], hour["labels"], hour["maturity"]) == (4, 3, 0.75)
    assert (hour["start_ms"], hour["end_ms"]) == (NOON_MS, NOON_MS + HOUR_MS)
    assert quality.report()["maturity"] == 0.75


def test_an_hour_is_mature_once_the_clock_is_past_its_end_and_the_wait() -> None:
    quality = new_quality("binary", WAIT_MS)
    _event(quality, NOON_MS)
    deadline_ms = NOON_MS + HOUR_MS + WAIT_MS
    assert quality.next_deadline_ms() == deadline_ms

    assert not quality.advance(deadline_ms)
    assert not quality.periods()[0]["mature"]
    assert quality.periods(only_mature=True) == []
    assert quality.report()["mature"]["labels"] == 0

    assert quality.advance(deadline_ms + 1)
    assert quality.periods()[0]["mature"]
    assert quality.report()["mature"]["labels"] == 1
    assert quality.next_deadline_ms() is None


def test_without_waits_an_hour_matures_as_it_ends() -> None:
    quality = new_quality("binary", None)
    _event(quality, NOON_MS)

    quality.advance(NOON_MS + HOUR_MS + 1)

    assert quality.periods()[0]["mature"]


def test_the_next_deadline_is_that_of_the_oldest_hour_still_open() -> None:
    quality = new_quality("binary", WAIT_MS)
    for hours in (3, 1, 2):
        _event(quality, NOON_MS + hours * HOUR_MS)
    deadlines = []
    while (deadline_ms := quality.next_deadline_ms()) is not None:
        deadlines.append(deadline_ms - WAIT_MS - NOON_MS)
        quality.advance(deadline_ms + 1)

    assert deadlines == [2 * HOUR_MS, 3 * HOUR_MS, 4 * HOUR_MS]


def test_a_label_goes_to_the_hour_of_its_event() -> None:
    quality = new_quality("binary", WAIT_MS)
    naive = quality.naive()
    quality.event(NOON_MS)
    quality.event(NOON_MS + 5 * HOUR_MS)
    quality.label(NOON_MS, (True, 0.9), naive, True)

    assert [hour["labels"] for hour in quality.periods()] == [1, 0]


def test_late_labels_that_a_mature_hour_still_gets_are_counted() -> None:
    # Waits are off: hours mature, yet labels may come at any time.
    quality = new_quality("binary", None)
    _event(quality, NOON_MS)
    quality.event(NOON_MS + 1)
    quality.advance(NOON_MS + 9 * HOUR_MS)
    assert quality.report()["mature"]["labels"] == 1

    quality.label(NOON_MS + 1, (True, 0.9), quality.naive(), True)

    assert quality.report()["mature"]["labels"] == 2
    assert quality.report()["labels"] == 2


def test_a_label_reaches_its_hour_after_that_was_folded() -> None:
    quality = new_quality("binary", 8 * DAY_MS)
    for _ in range(2):
        _event(quality, NOON_MS)
    quality.event(NOON_MS)
    quality.event(NOON_MS + 20 * DAY_MS)

    quality.label(NOON_MS, (True, 0.9), quality.naive(), True)

    assert quality.periods()[0]["labels"] == 3


def test_an_event_in_a_mature_hour_sets_no_deadline() -> None:
    quality = new_quality("binary", WAIT_MS)
    quality.advance(NOON_MS + 3 * DAY_MS)
    _event(quality, NOON_MS)
    assert quality.next_deadline_ms() is None

    _event(quality, NOON_MS + 3 * DAY_MS)
    assert quality.next_deadline_ms() == NOON_MS + 3 * DAY_MS + HOUR_MS + WAIT_MS


def test_periods_by_day_add_up_their_hours() -> None:
    quality = new_quality("binary", WAIT_MS)
    for hours in range(48):
        _event(quality, NOON_MS + hours * HOUR_MS, label=hours % 2 == 0)

    days = quality.periods(by="day")

    assert [(day["events"], day["labels"]) for day in days] == [(12, 6), (24, 12), (12, 6)]
    assert [day["start_ms"] % DAY_MS for day in days] == [0, 0, 0]
    assert len(quality.periods(NOON_MS + HOUR_MS, NOON_MS + 3 * HOUR_MS)) == 2


def test_hours_fold_into_days_after_a_week_and_nothing_is_lost() -> None:
    quality = new_quality("binary", WAIT_MS)
    for hours in range(20 * 24):
        _event(quality, NOON_MS + hours * HOUR_MS)
        quality.advance(NOON_MS + hours * HOUR_MS)

    periods = quality.periods()
    widths = [period["end_ms"] - period["start_ms"] for period in periods]

    assert widths == [DAY_MS] * 13 + [HOUR_MS] * (7 * 24 + 12)
    assert sum(period["labels"] for period in periods) == 480
    assert periods == sorted(periods, key=lambda period: period["start_ms"])
    assert len(quality.periods(by="day")) == 21
    assert quality.report()["labels"] == 480


def test_a_long_wait_keeps_its_hours_open() -> None:
    quality = new_quality("binary", 20 * DAY_MS)
    for days in range(20):
        _event(quality, NOON_MS + days * DAY_MS)
        quality.advance(NOON_MS + days * DAY_MS)

    assert {p["end_ms"] - p["start_ms"] for p in quality.periods()} == {HOUR_MS}


def test_days_of_a_wait_beyond_a_month_mature_as_days() -> None:
    quality = new_quality("binary", 60 * DAY_MS)
    for days in range(50):
        _event(quality, NOON_MS + days * DAY_MS)
        quality.advance(NOON_MS + days * DAY_MS)
    first_day_ms = NOON_MS - 12 * HOUR_MS

    assert not any(period["mature"] for period in quality.periods())
    assert quality.next_deadline_ms() == first_day_ms + DAY_MS + 60 * DAY_MS

    quality.advance(first_day_ms + 61 * DAY_MS + 1)
    assert [period["mature"] for period in quality.periods()][:2] == [True, False]


def test_years_stay_bounded_and_the_total_exact() -> None:
    quality = new_quality("binary", WAIT_MS, window=10)
    rng = random.Random(8)
    events = 0
    for days in range(6 * 365):
        for _ in range(2):
            time_ms = NOON_MS + days * DAY_MS + rng.randrange(DAY_MS)
            _event(quality, time_ms, p=rng.randrange(1000) / 1000)
            events += 1
        quality.advance(NOON_MS + days * DAY_MS)

    assert len(quality.periods()) <= 400 + 8 * 24
    assert quality.report()["events"] == events
    assert quality.report()["mature"]["maturity"] == 1.0


def test_an_event_from_long_ago_is_counted_in_what_is_left_of_its_time() -> None:
    quality = new_quality("binary", WAIT_MS)
    _event(quality, NOON_MS)
    for age_ms in (30 * DAY_MS, 3_000 * DAY_MS, NOON_MS + 5_000 * DAY_MS):
        _event(quality, NOON_MS - age_ms)

    widths = [period["end_ms"] - period["start_ms"] for period in quality.periods()]

    assert widths == [DAY_MS, HOUR_MS]
    assert quality.report()["events"] == 4


def test_a_year_of_hours_300_bins_wide_dumps_in_few_megabytes() -> None:
    # 400 days and a week of hours, each with 300 bins of both classes: the most there can be.
    quality = new_quality("binary", WAIT_MS)
    bins = [(i + 350) / 1024 for i in range(300)]
    for days in range(410):
        for hour in range(24) if days > 400 else (12,):
            time_ms = NOON_MS + days * DAY_MS + hour * HOUR_MS
            for i, p in enumerate(bins):
                quality.inline(time_ms, (p >= 0.5, p), i % 2 == 0)
                quality.inline(time_ms, (p >= 0.5, p), i % 2 == 1)
        quality.advance(NOON_MS + days * DAY_MS)

    size_bytes = len(orjson.dumps(quality.dump()))

    assert size_bytes < 3_500_000


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "anomaly"])
def test_an_empty_quality_reports_nothing_without_raising(task: str) -> None:
    quality = new_quality(task, WAIT_MS)

    assert quality.report()["events"] == 0
    assert quality.report()["maturity"] is None
    assert quality.periods(by="day") == []
    assert quality.next_deadline_ms() is None
    positives, negatives = quality.score_histogram(100)
    assert len(positives) == len(negatives) == 1024
    assert not any(positives)


def test_the_score_histogram_is_of_the_newest_mature_labels() -> None:
    quality = new_quality("binary", WAIT_MS)
    for hours in range(10):
        for i in range(5):
            _event(quality, NOON_MS + hours * HOUR_MS, p=(100 * hours + i) / 1024)
    quality.advance(NOON_MS + 7 * HOUR_MS + WAIT_MS + 1)  # hours 0 to 6 are mature

    positives, negatives = quality.score_histogram(8)

    assert [i for i, n in enumerate(positives) if n] == [*range(500, 505), *range(600, 605)]
    assert not any(negatives)
    assert sum(quality.score_histogram(10**9)[0]) == 35


def test_the_score_histograms_cells_are_equal_and_the_last_holds_1() -> None:
    quality = new_quality("binary", None)
    rng = random.Random(2)
    probabilities = [
        0.0,
        1.0,
        2.0**-50,
        1 - 2.0**-50,
        *(rng.betavariate(0.1, 0.1) for _ in range(999)),
    ]
    for p in probabilities:
        _event(quality, NOON_MS, p=p)
    quality.advance(NOON_MS + DAY_MS)

    positives, _ = quality.score_histogram(1)

    assert positives == [
        sum(min(1023, int(p * 1024)) == cell for p in probabilities) for cell in range(1024)
    ]


def _event(quality: Quality, time_ms: int, *, label: bool = True, p: float = 0.75) -> None:
    naive = quality.naive()
    quality.event(time_ms)
    if label:
        quality.label(time_ms, (p >= 0.5, p), naive, True)
