"""Labels inline, late, twice, early, never, unknown, too late: what becomes of each."""

import pickle

import pytest

from tests.stream.builders import (
    HOUR_MS,
    Feed,
    apply,
    dead,
    learnt,
    of,
    plain,
    reasons,
    shard,
    tick,
)

ERROR = {"name": "e", "signal": "error", "method": "PageHinkley", "threshold": 1}


def quality(one):
    return one.parts.quality.report()


def test_an_inline_label_is_learnt_right_after_its_prediction():
    one = shard(events={"id": "id", "time": "time", "label": "y"})
    outputs = apply(one, Feed().event("a", 0, x=1.0, y=True).event("b", 1, x=2.0, y=True))
    # By hand: half before any label, then (1 + 1) / (1 + 2).
    assert [row["probabilities"]["true"] for row in of("predictions", outputs)] == [0.5, 2 / 3]
    assert learnt(one) == [({"x": 1.0}, True), ({"x": 2.0}, True)]
    assert len(one.parts.pending) == 0
    assert quality(one)["labels"] == 2


def test_a_late_label_is_joined_to_the_features_and_the_prediction_as_served():
    # given: "a" is served False (River's argmax takes the first of equals) before "b" is learnt
    one = shard()
    feed = Feed().event("a", 0, x=1.0).event("b", 1, x=2.0).label("b", True, 2)
    apply(one, feed)
    assert one.parts.learner.predict({"x": 1.0})[0] is True

    # when: the label of "a" comes, and the model would say otherwise by now
    apply(one, Feed().label("a", False, 3).records)

    # then: what was served is scored, and the features of then are learnt
    assert learnt(one) == [({"x": 2.0}, True), ({"x": 1.0}, False)]
    assert quality(one)["confusion"] == {"tp": 0, "fp": 0, "tn": 1, "fn": 1}


@pytest.mark.parametrize("policy", ["ignore", "learn_again"])
def test_a_later_label_supersedes_in_metrics_and_is_learnt_again_only_if_told_to(policy):
    one = shard(labels={"wait": "1h", "on_correction": policy})
    apply(one, Feed().event("a", 0, x=1.0).label("a", True, 1))
    assert quality(one)["confusion"] == {"tp": 0, "fp": 0, "tn": 0, "fn": 1}
    outputs = apply(one, Feed().label("a", False, 2))
    assert outputs == []
    assert quality(one)["confusion"] == {"tp": 0, "fp": 0, "tn": 1, "fn": 0}
    assert quality(one)["labels"] == 1
    again = [({"x": 1.0}, False)] if policy == "learn_again" else []
    assert learnt(one) == [({"x": 1.0}, True), *again]
    assert one.parts.counters.corrected == 1


def test_the_same_label_twice_changes_no_metric_and_is_not_learnt_twice():
    one = shard(labels={"wait": "1h", "on_correction": "learn_again"})
    apply(one, Feed().event("a", 0, x=1.0).label("a", True, 1).label("a", True, 2))
    assert learnt(one) == [({"x": 1.0}, True)]
    assert quality(one)["labels"] == 1


def test_a_correction_feeds_no_detector_a_second_time():
    one = shard(detectors=[ERROR])
    apply(one, Feed().event("a", 0).label("a", True, 1))
    before = pickle.dumps(one.parts.watches)
    apply(one, Feed().label("a", False, 2))
    assert pickle.dumps(one.parts.watches) == before


@pytest.mark.parametrize("policy", ["ignore", "learn_again"])
def test_features_are_kept_after_the_label_only_where_they_can_be_learnt_again(policy):
    one = shard(labels={"wait": "1h", "on_correction": policy})
    apply(one, Feed().event("a", 0, x=1.0).label("a", True, 1))
    kept = one.parts.pending.get("a")
    assert kept is not None
    assert kept.features == ({"x": 1.0} if policy == "learn_again" else None)


def test_a_default_is_learnt_after_the_wait_and_stays_out_of_metrics_and_signals():
    one = shard(labels={"wait": "1h", "default": False}, detectors=[ERROR])
    apply(one, Feed().event("a", 0, x=1.0).event("b", HOUR_MS, x=2.0))
    assert learnt(one) == []
    before = pickle.dumps(one.parts.watches)
    apply(one, Feed().event("c", HOUR_MS + 1, x=3.0))
    assert learnt(one) == [({"x": 1.0}, False)]
    assert quality(one)["labels"] == 0
    assert one.parts.counters.assumed == 1
    assert pickle.dumps(one.parts.watches) == before


def test_an_event_whose_label_came_gets_no_default():
    one = shard(labels={"wait": "1h", "default": False})
    apply(one, Feed().event("a", 0, x=1.0).label("a", True, 1).event("b", 2 * HOUR_MS))
    assert learnt(one) == [({"x": 1.0}, True)]


def test_without_a_default_nothing_is_learnt_and_the_event_is_counted():
    one = shard()
    assert apply(one, Feed().event("a", 0).event("b", 2 * HOUR_MS))[2:] == []
    assert (learnt(one), one.parts.counters.never_labelled) == ([], 1)
    assert len(one.parts.pending) == 1


def test_the_wait_counts_from_the_events_own_time_on_the_shards_clock():
    # given: an event that came half an hour after its own time
    one = shard()
    apply(one, Feed().event("a", 0, own_ms=-HOUR_MS // 2))
    # then: its label may come at the very end of the wait, not after it
    apply(one, Feed().event("b", HOUR_MS // 2))
    assert "a" in one.parts.pending
    apply(one, Feed().event("c", HOUR_MS // 2 + 1))
    assert "a" not in one.parts.pending


def test_a_label_after_the_wait_is_too_late_within_twice_the_wait_and_unknown_beyond():
    one = shard()
    outputs = apply(one, Feed().event("a", 0).label("a", True, HOUR_MS + 1))
    assert reasons(outputs) == ["too_late"]
    assert apply(one, Feed().label("a", True, 2 * HOUR_MS + 1)) == []
    assert reasons(tick(one, 3 * HOUR_MS + 2)) == ["unknown_id"]
    assert learnt(one) == []


def test_a_label_for_an_event_that_brought_its_own_is_too_late():
    one = shard(events={"id": "id", "time": "time", "label": "y"})
    outputs = apply(one, Feed().event("a", 0, x=1.0, y=True).label("a", False, 1))
    assert reasons(outputs) == ["too_late"]
    assert learnt(one) == [({"x": 1.0}, True)]


def test_a_label_held_for_an_event_that_then_brings_its_own_is_too_late():
    one = shard(events={"id": "id", "time": "time", "label": "y"})
    assert apply(one, Feed().label("a", False, 0)) == []
    outputs = apply(one, Feed().event("a", 5, x=1.0, y=True))
    assert reasons(outputs) == ["too_late"]
    assert learnt(one) == [({"x": 1.0}, True)]
    assert len(one.parts.held) == 0


def test_a_label_before_its_event_is_held_and_the_event_is_predicted_first():
    one = shard(detectors=[ERROR])
    outputs = apply(one, Feed().label("a", True, 0))
    assert outputs == []
    outputs = apply(one, Feed().event("a", 5, x=1.0))
    assert [row["probabilities"]["true"] for row in of("predictions", outputs)] == [0.5]
    assert learnt(one) == [({"x": 1.0}, True)]
    assert quality(one)["labels"] == 1
    assert len(one.parts.held) == 0


def test_two_labels_before_their_event_are_the_first_and_its_correction():
    one = shard()
    apply(one, Feed().label("a", True, 0).label("a", False, 1).event("a", 5, x=1.0))
    assert learnt(one) == [({"x": 1.0}, True)]
    assert quality(one)["confusion"] == {"tp": 0, "fp": 0, "tn": 1, "fn": 0}


def test_a_label_for_an_unknown_id_is_held_for_the_wait_then_a_dead_letter_with_its_source():
    one = shard()
    outputs = apply(one, Feed().label("ghost", True, 0).event("b", HOUR_MS))
    assert dead(outputs) == []
    outputs = apply(one, Feed().event("c", HOUR_MS + 1))
    [letter] = dead(outputs)
    assert (letter["reason"], letter["topic"], letter["offset"]) == ("unknown_id", "labels", "0")
    [value] = [record.value for topic, record in outputs if topic == "dead-letters"]
    assert value == b'{"id": "ghost", "label": true}'
    # Once and no more.
    assert reasons(tick(one, 5 * HOUR_MS)) == []


def test_an_event_that_comes_after_its_label_was_given_up_waits_for_another():
    one = shard()
    apply(one, Feed().label("a", True, 0).event("a", HOUR_MS + 1))
    assert learnt(one) == []
    apply(one, Feed().label("a", False, HOUR_MS + 2))
    assert len(learnt(one)) == 1


def test_events_beyond_the_bound_push_out_the_oldest_and_it_is_counted():
    one = shard(labels={"wait": "1h", "max_pending": 2})
    apply(one, Feed().event("a", 0).event("b", 1).event("c", 2))
    assert one.parts.counters.pending_dropped == 1
    outputs = apply(one, Feed().label("a", True, 3).label("b", True, 4))
    [letter] = dead(outputs)
    assert (letter["reason"], letter["offset"]) == ("too_late", "0")
    assert len(learnt(one)) == 1


def test_a_labelled_event_that_is_pushed_out_is_no_loss():
    one = shard(labels={"wait": "1h", "max_pending": 1})
    apply(one, Feed().event("a", 0).label("a", True, 1).event("b", 2))
    assert one.parts.counters.pending_dropped == 0


def test_held_labels_beyond_the_bound_push_out_the_oldest_as_a_dead_letter():
    one = shard(labels={"wait": "1h", "max_held": 2})
    outputs = apply(one, Feed().label("a", True, 0).label("b", True, 1).label("c", True, 2))
    [letter] = dead(outputs)
    assert (letter["reason"], letter["offset"]) == ("unknown_id", "0")
    assert "max_held" in letter["detail"]
    assert len(one.parts.held) == 2


def test_ids_beyond_the_bound_of_those_seen_are_forgotten_oldest_first():
    one = shard(
        events={"id": "id", "time": "time", "label": "y"}, labels={"wait": "1h", "max_seen": 2}
    )
    feed = Feed()
    for name in ("a", "b", "c", "a", "c"):
        feed.event(name, 0, x=1.0, y=True)
    outputs = apply(one, feed)
    assert [letter["offset"] for letter in dead(outputs)] == ["4"]


def test_an_id_that_still_waits_is_a_duplicate_though_the_bound_has_forgotten_it():
    one = shard(labels={"wait": "1h", "max_seen": 1})
    outputs = apply(one, Feed().event("a", 0).event("b", 1).event("a", 2))
    assert reasons(outputs) == ["duplicate"]


def test_a_tick_ends_waits_in_silence_and_only_then():
    one = shard(labels={"wait": "1h", "default": True})
    apply(one, Feed().event("a", 0, x=1.0).label("ghost", True, 1))
    due_ms = one.next_tick_ms()
    assert due_ms is not None
    before = plain(one)
    assert tick(one, HOUR_MS) == []
    assert {**plain(one), "shard": 0} == {**before, "shard": 0}
    tick(one, HOUR_MS + 1)
    assert learnt(one) == [({"x": 1.0}, True)]
    assert reasons(tick(one, HOUR_MS + 2)) == ["unknown_id"]


def test_a_tick_in_the_past_changes_nothing():
    one = shard()
    apply(one, Feed().event("a", 0).event("b", 10 * HOUR_MS))
    before = plain(one)
    assert tick(one, HOUR_MS) == []
    assert plain(one) == before


def test_the_clock_is_the_highest_merge_time_and_never_goes_back():
    one = shard()
    apply(one, Feed().event("a", 0).event("b", -5 * HOUR_MS, own_ms=-5 * HOUR_MS))
    assert one.parts.clock_ms == Feed().event("a", 0).records[0][0]


def test_the_metrics_of_an_hour_mature_with_the_wait():
    one = shard()
    apply(one, Feed().event("a", 0).event("b", 1).label("a", True, 2))
    assert quality(one)["mature"]["events"] == 0
    tick(one, 3 * HOUR_MS)
    mature = quality(one)["mature"]
    assert (mature["events"], mature["labels"], mature["maturity"]) == (2, 1, 0.5)
