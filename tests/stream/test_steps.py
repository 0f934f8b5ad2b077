"""How the merged order is cut into steps changes nothing; nor does going on from a snapshot."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step
from tests.stream.builders import (
    HOUR_MS,
    T0_MS,
    Feed,
    apply,
    configuration,
    learnt,
    plain,
    reborn,
    shard,
    tick,
)

MINUTE_MS = 60_000
MIXED: dict[str, Any] = {
    "labels": {"wait": "1h", "max_pending": 6, "max_seen": 12, "max_held": 3},
    "detectors": [
        {
            "name": "x",
            "signal": "feature:x",
            "method": "PageHinkley",
            "threshold": 1,
            "scale": "none",
        },
        {"name": "e", "signal": "error", "method": "ADWIN", "delta": 0.9, "clock": 1},
    ],
    "alerts": {"cooldown": "20m"},
    "threshold": {"recall": 0.9},
}
INLINE = {"id": "id", "time": "time", "label": "y"}
PLANS = [
    Plan(configuration(**{**MIXED, "labels": {**MIXED["labels"], **labels}, **others}))
    for labels, others in (
        ({}, {}),
        ({"default": False}, {}),
        ({"on_correction": "learn_again"}, {}),
        ({"default": True, "on_correction": "learn_again"}, {"events": INLINE}),
        ({}, {"events": INLINE}),
    )
]

ids = st.integers(0, 14)
gaps_ms = st.sampled_from([0, 0, 1, MINUTE_MS, 7 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS])
own_ms = st.sampled_from([0, 0, -30 * MINUTE_MS, -3 * HOUR_MS, 2 * HOUR_MS])
numbers = st.sampled_from([0.0, 1.0, 5.0, -3.5])
bad = st.sampled_from([b"", b"{", b'{"id": 1}', b'{"id": 1, "x": NaN}', b'{"id": 1, "label": 7}'])
records = st.one_of(
    st.tuples(
        st.just("event"), ids, gaps_ms, own_ms, numbers, st.sampled_from([None, True, False])
    ),
    st.tuples(st.just("label"), ids, gaps_ms, st.booleans()),
    st.tuples(st.just("raw"), st.sampled_from(["events", "labels"]), gaps_ms, bad),
)


def feed_of(drawn: list[Any]) -> Feed:
    feed = Feed()
    now_ms = 0
    for kind, what, gap_ms, *rest in drawn:
        now_ms += gap_ms
        if kind == "event":
            own, x, y = rest
            feed.event(what, now_ms, own_ms=now_ms + own, x=x, y=y)
        elif kind == "label":
            feed.label(what, rest[0], now_ms)
        else:
            feed.raw(what, rest[0], now_ms)
    return feed


@settings(max_examples=120)
@given(st.sampled_from(PLANS), st.lists(records, min_size=5, max_size=60), st.data())
def test_steps_of_any_size_give_the_same_results_and_state(plan, drawn, data):
    # given: events on time, late, early and twice; labels early, late, twice, never; bad records
    feed = feed_of(drawn)

    # when: the same order goes in record by record, by sevens, at once, and cut anywhere
    cut = data.draw(st.integers(0, len(feed.records)))
    whole = Shard(plan, 0)
    expected = apply(whole, feed)
    for size in (1, 7, 1000):
        stepped = Shard(plan, 0)
        assert apply(stepped, feed, size) == expected
        assert plain(stepped) == plain(whole)
        assert learnt(stepped) == learnt(whole)
    cut_once = Shard(plan, 0)
    assert apply(cut_once, feed.records[:cut]) + apply(cut_once, feed.records[cut:]) == expected
    assert plain(cut_once) == plain(whole)

    # and: a shard made of what a snapshot holds goes on as the one that went on working
    first = Shard(plan, 0)
    outputs = apply(first, feed.records[:cut])
    second = reborn(first)
    assert plain(second) == plain(first)
    outputs += apply(second, feed.records[cut:])
    assert outputs == expected
    assert plain(second) == plain(whole)
    assert learnt(second) == learnt(whole)


@settings(max_examples=40)
@given(st.lists(records, min_size=5, max_size=40), st.data())
def test_a_replay_without_outputs_moves_the_state_as_the_run_did(drawn, data):
    feed = feed_of(drawn)
    live, replayed = (Shard(PLANS[1], 0) for _ in range(2))
    apply(live, feed)
    for record in feed.records:
        replayed.apply(Step({}, {}, (), None, [record]))
    assert plain(replayed) == plain(live)
    # A tick is due or it changes nothing, here as there.
    at_ms = feed.records[-1][0] - T0_MS + data.draw(gaps_ms)
    tick(live, at_ms)
    tick(replayed, at_ms)
    assert plain(replayed) == plain(live)


def test_a_learnt_threshold_is_the_same_before_and_after_a_recovery():
    # given: an hour with labels enough to learn a threshold from, then an event in a day
    feed = Feed()
    for index in range(300):
        feed.event(index, index * 1000, x=1.0, y=index % 3 == 0)
    for day in range(1, 5):
        feed.event(f"day {day}", day * 24 * HOUR_MS, x=1.0, y=True)
        feed.event(f"moments later {day}", day * 24 * HOUR_MS + 1, x=1.0, y=True)

    # when: the shard is recovered after any of the last records
    whole = shard(**MIXED, events=INLINE)
    apply(whole, feed)
    assert whole.parts.learner.threshold is not None
    for cut in range(len(feed.records) - 6, len(feed.records)):
        first = shard(**MIXED, events=INLINE)
        apply(first, feed.records[:cut])
        second = reborn(first)
        apply(second, feed.records[cut:])
        assert plain(second) == plain(whole)


def test_the_digest_tells_streams_apart_by_what_became_of_each_event_and_label():
    # given: one stream, and others that differ from it in one thing each
    def digest(
        *, name: str = "b", label: Any = True, at_ms: int = 0, bad: bytes = b"{", inline: Any = None
    ) -> str:
        one = shard(events=INLINE)
        feed = Feed().event("a", 0, x=1.0).raw("events", bad, 0)
        apply(one, feed.event(name, 0, x=2.0, y=inline).label("a", label, at_ms))
        return one.parts.digest.hex()

    ways = [
        digest(),
        digest(label=False),
        digest(label=7),
        digest(name="c"),
        digest(name="a"),
        digest(bad=b""),
        digest(inline=True),
        digest(inline=False),
    ]
    assert len(set(ways)) == len(ways)
    # Not by when things were written, nor by how.
    assert digest(at_ms=10) == ways[0]
    assert digest(bad=b"[") == ways[0]
