"""What holds for every task: state that resumes, corrections that undo, shards that add up."""

import random
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.errors import SnapshotFormatError
from learners.quality import Quality, new_quality
from learners.quality.buckets import DAY_MS, HOUR_MS

START_MS = 1_700_000_000_000
WAIT_MS = DAY_MS
TASKS = ("binary", "multiclass", "regression", "anomaly")

tasks = st.sampled_from(TASKS)
seeds = st.integers(0, 10**6)


class Event(NamedTuple):
    time_ms: int
    answer: Any
    label: Any
    other_label: Any
    delay_ms: int | None  # None: the label never comes


@given(tasks, seeds, st.data())
@settings(max_examples=40)
def test_a_loaded_quality_goes_on_as_if_never_dumped(task: str, seed: int, data: Any) -> None:
    calls = _calls(_stream(task, seed, 120))
    cut = data.draw(st.integers(0, len(calls)))
    whole, first = new_quality(task, WAIT_MS, 50), new_quality(task, WAIT_MS, 50)
    naive: dict[Any, Any] = {}
    _apply(whole, calls, {})
    _apply(first, calls[:cut], naive)

    resumed = Quality.load(orjson.loads(orjson.dumps(first.dump())))
    _apply(resumed, calls[cut:], orjson.loads(orjson.dumps(naive)))

    assert orjson.dumps(resumed.dump()) == orjson.dumps(whole.dump())
    assert resumed.report() == whole.report()
    assert resumed.next_deadline_ms() == whole.next_deadline_ms()


@given(tasks, seeds)
@settings(max_examples=40)
def test_inline_is_naive_event_and_label(task: str, seed: int) -> None:
    one, three = new_quality(task, WAIT_MS, 50), new_quality(task, WAIT_MS, 50)

    for number, event in enumerate(_stream(task, seed, 80)):
        naive = three.naive()
        three.event(event.time_ms)
        error, loss, window = three.label(event.time_ms, event.answer, naive, event.label)

        assert one.inline(event.time_ms, event.answer, event.label) == (error, loss)
        assert window == number

    assert one.dump() == three.dump()


@given(tasks, seeds, st.integers(1, 40))
@settings(max_examples=40)
def test_how_often_the_clock_is_told_does_not_show(task: str, seed: int, every: int) -> None:
    calls = _calls(_stream(task, seed, 150))
    often, seldom = new_quality(task, WAIT_MS, 50), new_quality(task, WAIT_MS, 50)
    _apply(often, calls, {})
    _apply(seldom, [c for i, c in enumerate(calls) if c[0] != "advance" or i % every == 0], {})

    end_ms = START_MS + 60 * DAY_MS
    often.advance(end_ms)
    seldom.advance(end_ms)

    assert orjson.dumps(often.dump()) == orjson.dumps(seldom.dump())
    assert often.report() == seldom.report()


@given(tasks, seeds, st.booleans())
@settings(max_examples=60)
def test_corrections_end_where_the_right_label_would_have(task: str, seed: int, late: bool) -> None:
    # given: the same stream, with the answers of the baselines as they were given
    stream = _stream(task, seed, 130)
    rng = random.Random(seed)
    corrected, right = new_quality(task, WAIT_MS, 50), new_quality(task, WAIT_MS, 50)
    naive = []
    to_correct = []
    for number, event in enumerate(stream):
        naive.append(corrected.naive())
        for quality in (corrected, right):
            quality.event(event.time_ms)
        wrong = rng.random() < 0.3
        first = event.other_label if wrong else event.label
        corrected.label(event.time_ms, event.answer, naive[number], first)
        right.label(event.time_ms, event.answer, naive[number], event.label)
        if wrong and not late:
            _correct(corrected, event, naive[number], number)
        elif wrong:
            to_correct.append(number)

    # when: the rest of the corrections come at the end
    for number in to_correct:
        _correct(corrected, stream[number], naive[number], number)

    # then
    _assert_alike(corrected.report(), right.report())
    _assert_alike(corrected.periods(by="day"), right.periods(by="day"))
    if task != "multiclass":  # of a tie, the majority is the class that got there first
        _assert_alike(corrected.naive(), right.naive())


@given(tasks, seeds)
@settings(max_examples=40)
def test_two_shards_add_up_to_the_whole(task: str, seed: int) -> None:
    whole = new_quality(task, WAIT_MS, 1_000)
    shards = [new_quality(task, WAIT_MS, 500) for _ in range(2)]
    end_ms = 0
    for number, event in enumerate(_stream(task, seed, 150)):
        naive = whole.naive()
        for quality in (whole, shards[number * 7 % 3 % 2]):
            quality.event(event.time_ms)
            if event.delay_ms is not None:
                quality.label(event.time_ms, event.answer, naive, event.label)
        end_ms = max(end_ms, event.time_ms)
    for quality in (whole, *shards):
        quality.advance(end_ms)

    shards[0].merge(shards[1])

    _assert_alike(shards[0].report(), whole.report())
    _assert_alike(shards[0].periods(), whole.periods())
    assert shards[0].next_deadline_ms() == whole.next_deadline_ms()


def test_a_shard_that_lags_makes_no_other_ones_hours_mature() -> None:
    quick, slow = new_quality("binary", None), new_quality("binary", None)
    for quality in (quick, slow):
        quality.inline(START_MS, (True, 0.8), True)
    quick.advance(START_MS + DAY_MS)

    quick.merge(slow)

    assert quick.report()["labels"] == 2
    assert quick.report()["mature"]["labels"] == 0


def test_shards_of_different_ages_merge_to_the_newest() -> None:
    old, new = new_quality("binary", None), new_quality("binary", None)
    for days in range(20):
        old.inline(START_MS + days * DAY_MS, (True, 0.8), True)
        new.inline(START_MS + (days + 500) * DAY_MS, (True, 0.8), True)
    for one, other in ((old, new), (new, old)):
        merged = Quality.load(one.dump())
        merged.merge(other)

        assert merged.report()["labels"] == 40
        assert len(merged.periods()) == len(new.periods())


def test_the_window_holds_the_last_labels_only() -> None:
    quality = new_quality("binary", WAIT_MS, window=3)
    naive = quality.naive()
    for label in (False, False, True, True, True):
        quality.label(START_MS, (True, 0.9), naive, label)

    window = quality.report()["window"]

    assert (window["size"], window["labels"]) == (3, 3)
    assert window["metrics"]["accuracy"] == 1.0
    assert quality.report()["metrics"]["accuracy"] == 0.6


def test_a_correction_reaches_the_window_only_while_it_is_inside() -> None:
    quality = new_quality("binary", WAIT_MS, window=3)
    naive = quality.naive()
    for _ in range(5):
        quality.label(START_MS, (True, 0.9), naive, True)

    quality.correct(START_MS, (True, 0.9), naive, True, False, 1)
    assert quality.report()["window"]["confusion"] == {"tp": 3, "fp": 0, "fn": 0, "tn": 0}
    quality.correct(START_MS, (True, 0.9), naive, True, False, 2)
    assert quality.report()["window"]["confusion"] == {"tp": 2, "fp": 1, "fn": 0, "tn": 0}
    assert quality.report()["confusion"] == {"tp": 3, "fp": 2, "fn": 0, "tn": 0}


@pytest.mark.parametrize("task", TASKS)
def test_histogram_auc_is_within_a_thousandth_of_exact(task: str) -> None:
    if task not in {"binary", "anomaly"}:
        assert new_quality(task, None).report()["auc"] is None
        return
    rng = random.Random(3)
    for spread in (0.2, 0.5, 3.0):  # rare positives: in a heap near 0.001, wide, at both ends
        quality = new_quality(task, None, window=10_000)
        for i in range(10_000):
            label = rng.random() < 0.05
            score = 1 / (1 + 10 ** (3 - rng.gauss(spread * label, spread)))
            quality.inline(i, (score >= 0.5, score), label)

        report = quality.report()

        exact = report["window"]["metrics"]["roc_auc"]
        assert report["metrics"]["roc_auc"] == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("task", TASKS)
def test_baselines_stand_beside_every_figure(task: str) -> None:
    quality = new_quality(task, WAIT_MS)
    for event in _stream(task, 5, 300):
        quality.inline(event.time_ms, event.answer, event.label)

    report = quality.report()

    names = {
        "binary": {"majority", "last_label", "recent_rate"},
        "anomaly": {"majority", "last_label", "recent_rate"},
        "multiclass": {"majority", "last_label"},
        "regression": {"mean", "last_value"},
    }[task]
    assert quality.metrics() == report["metrics"]
    for figures in (report, report["mature"], report["window"], *quality.periods()):
        assert set(figures["baselines"]) == names
    for figures in report["baselines"].values():
        assert None not in figures.values()


def test_another_format_is_refused() -> None:
    state = {**new_quality("binary", None).dump(), "format": 2}

    with pytest.raises(SnapshotFormatError, match="format 1 can be read; this is 2"):
        Quality.load(state)


def _stream(task: str, seed: int, events: int) -> list[Event]:
    rng = random.Random(seed)
    step_ms = rng.choice([60_000, HOUR_MS, 5 * HOUR_MS])
    stream = []
    for i in range(events):
        time_ms = START_MS + i * step_ms - rng.choice([0, 0, 0, HOUR_MS, 9 * DAY_MS])
        delay_ms = rng.choice([0, 0, HOUR_MS, 20 * HOUR_MS, None])
        stream.append(Event(time_ms, *_draw(task, rng), delay_ms))
    return stream


def _draw(task: str, rng: random.Random) -> tuple[Any, Any, Any]:
    """(answer, label, another label)."""
    silent = rng.random() < 0.1
    if task == "regression":
        value = rng.gauss(1_000, 5)
        return (None if silent else value + rng.gauss(0, 1), None), value, value + 10
    if task == "multiclass":
        probabilities = {c: rng.random() for c in "abc"}
        best = max(probabilities, key=probabilities.__getitem__)
        label = rng.choice("abcd")
        answer = (None, None) if silent else (best, probabilities)
        return answer, label, rng.choice([c for c in "abcd" if c != label])
    truth = rng.random() < 0.4
    if task == "anomaly":
        score = rng.gauss(2.0 if truth else 0.0, 1.0)
        return (None if silent else score > 1, score), truth, not truth
    p = rng.betavariate(2, 1) if truth else rng.betavariate(0.3, 2)
    return ((None, None) if silent else (p >= 0.5, p)), truth, not truth


def _calls(stream: list[Event]) -> list[tuple[str, int, int, Event]]:
    """The calls in stream order: ("event" | "label" | "advance", clock, number, event)."""
    calls = []
    clock_ms = START_MS
    for number, event in enumerate(stream):
        clock_ms = max(clock_ms, event.time_ms)
        calls.append(("advance", clock_ms, number, event))
        calls.append(("event", clock_ms, number, event))
        if event.delay_ms is not None:
            calls.append(("label", clock_ms + event.delay_ms, number, event))
    return sorted(calls, key=lambda call: call[1])


def _apply(
    quality: Quality, calls: list[tuple[str, int, int, Event]], naive: dict[Any, Any]
) -> None:
    for kind, clock_ms, number, event in calls:
        if kind == "advance":
            quality.advance(clock_ms)
        elif kind == "event":
            naive[str(number)] = quality.naive()
            quality.event(event.time_ms)
        else:
            quality.label(event.time_ms, event.answer, naive[str(number)], event.label)


def _correct(quality: Quality, event: Event, naive: list[object], number: int) -> None:
    quality.correct(event.time_ms, event.answer, naive, event.other_label, event.label, number)


def _assert_alike(one: Any, other: Any) -> None:
    """Equal, but for rounding of float sums."""
    if isinstance(one, dict):
        assert one.keys() - {"size"} == other.keys() - {"size"}
        for key in one.keys() - {"size"}:
            _assert_alike(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for ours, theirs in zip(one, other, strict=True):
            _assert_alike(ours, theirs)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)
    else:
        assert one == other
