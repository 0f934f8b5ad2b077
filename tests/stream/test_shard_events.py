"""Events that cannot be used: one dead letter each, and nothing else in the state moves."""

import hashlib
import json
import pickle

import pytest

from consumers.record import Record
from stream.shard.effects import Outputs
from stream.shard.plan import DEAD_LETTER_BYTES
from stream.shard.step import Step
from tests.stream.builders import (
    HOUR_MS,
    LOGISTIC,
    T0_MS,
    Feed,
    apply,
    dead,
    learnt,
    of,
    reasons,
    shard,
    substance,
)

EVENTS = {"id": "id", "time": "time", "label": "y", "max_bytes": 10_000}


def text(**fields: object) -> bytes:
    return json.dumps({"id": "new", "time": T0_MS, "x": 1.0, **fields}).encode()


def without(name: str) -> bytes:
    return json.dumps(
        {key: value for key, value in json.loads(text()).items() if key != name}
    ).encode()


BAD: dict[str, tuple[bytes | None, str]] = {
    "a null record": (None, "empty"),
    "no bytes": (b"", "empty"),
    "no JSON": (b"\xff\xfe", "not_json"),
    "cut off": (text()[:-1], "not_json"),
    "NaN": (text().replace(b"1.0", b"NaN"), "not_json"),
    "Infinity": (text().replace(b"1.0", b"Infinity"), "not_json"),
    "-Infinity": (text().replace(b"1.0", b"-Infinity"), "not_json"),
    "1e999": (text().replace(b"1.0", b"1e999"), "not_json"),
    "a lone surrogate": (text().replace(b"1.0", b'"\\ud800"'), "not_json"),
    "huge nesting": (text().replace(b"1.0", b"[" * 3_000 + b"]" * 3_000), "not_json"),
    "an array": (b"[1, 2]", "not_object"),
    "null": (b"null", "not_object"),
    "a number": (b"7", "not_object"),
    "duplicate keys": (b'{"x": 1, ' + text()[1:], "duplicate_keys"),
    "equal keys, one escaped": (b'{"\\u0078": 1, ' + text()[1:], "duplicate_keys"),
    "a list for a feature": (text(x=[1]), "wrong_type"),
    "an object for a feature": (text(x={"a": 1}), "wrong_type"),
    "a fraction for an id": (text(id=1.5), "wrong_type"),
    "no id": (without("id"), "missing_id"),
    "a null id": (text(id=None), "missing_id"),
    "an empty id": (text(id=""), "missing_id"),
    "no time": (without("time"), "missing_time"),
    "a time in words": (text(time="noon"), "bad_time"),
    "a time without its offset": (text(time="2023-11-14T22:13:20"), "bad_time"),
    "a time before 1970": (text(time=-1), "bad_time"),
    "a future time": (text(time=T0_MS + HOUR_MS + 5), "future_time"),
    "a list for a label": (text(y=[True]), "bad_label"),
    "a label of no class": (text(y="perhaps"), "bad_label"),
    "no features": (without("x"), "no_features"),
    "only null features": (text(x=None), "no_features"),
    "an id seen before": (text(id="old"), "duplicate"),
    "an id that waits": (text(id="waits"), "duplicate"),
    "too many bytes": (text(x="x" * 10_000), "too_large"),
}


@pytest.mark.parametrize(("value", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_event_gives_one_dead_letter_and_moves_nothing_else(value, reason):
    # given: a shard with something in every part of its state
    one = shard(
        events=EVENTS,
        model=LOGISTIC,
        detectors=[{"name": "e", "signal": "error", "method": "ADWIN"}],
    )
    start = Feed().event("old", 0, x=1.0, y=True).event("waits", 0, x=2.0).label("ghost", True, 0)
    apply(one, start)
    before, models = substance(one), pickle.dumps((one.parts.learner, one.parts.watches))
    answer = one.parts.learner.predict({"x": 3.0})
    digest = one.parts.digest

    # when
    record = Record("events", 0, 41, T0_MS, b"key", value)
    outputs = apply(one, [(T0_MS, record)])

    # then: the original bytes, with the reason and where they came from
    [(topic, letter)] = outputs
    assert (topic, letter.key, letter.value) == ("dead-letters", b"key", value)
    headers = dead(outputs)[0]
    assert (headers["reason"], headers["topic"]) == (reason, "events")
    assert (headers["partition"], headers["offset"]) == ("0", "41")
    assert headers["detail"]
    # and: only the counters and the digest have moved
    assert substance(one) == before
    assert pickle.dumps((one.parts.learner, one.parts.watches)) == models
    assert one.parts.learner.predict({"x": 3.0}) == answer
    assert one.parts.counters.dead_letters == {reason: 1}
    assert one.parts.digest != digest


BAD_LABELS: dict[str, tuple[bytes | None, str]] = {
    "a null record": (None, "empty"),
    "no JSON": (b"{", "not_json"),
    "NaN": (b'{"id": "waits", "label": NaN}', "not_json"),
    "an array": (b"[]", "not_object"),
    "duplicate keys": (b'{"id": "waits", "label": true, "label": false}', "duplicate_keys"),
    "no id": (b'{"label": true}', "missing_id"),
    "a list for an id": (b'{"id": [1], "label": true}', "wrong_type"),
    "no label": (b'{"id": "waits"}', "bad_label"),
    "a null label": (b'{"id": "waits", "label": null}', "bad_label"),
    "a label of no class": (b'{"id": "waits", "label": 2}', "bad_label"),
    "a bad time": (b'{"id": "waits", "label": true, "time": "noon"}', "bad_time"),
    "a number for the annotator": (
        b'{"id": "waits", "label": true, "annotator": 7}',
        "wrong_type",
    ),
    "too late": (b'{"id": "old", "label": true}', "too_late"),
    "too many bytes": (b'{"id": "%b", "label": true}' % (b"x" * 10_000), "too_large"),
}


@pytest.mark.parametrize(("value", "reason"), BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_a_bad_label_gives_one_dead_letter_and_moves_nothing_else(value, reason):
    one = shard(events=EVENTS)
    apply(one, Feed().event("old", 0, x=1.0, y=True).event("waits", 0, x=2.0))
    before, model = substance(one), pickle.dumps(one.parts.learner)
    outputs = apply(one, [(T0_MS, Record("labels", 0, 7, T0_MS, b"key", value))])
    [(topic, letter)] = outputs
    assert (topic, letter.key, letter.value) == ("dead-letters", b"key", value)
    headers = dead(outputs)[0]
    assert (headers["reason"], headers["topic"], headers["offset"]) == (reason, "labels", "7")
    assert substance(one) == before
    assert pickle.dumps(one.parts.learner) == model


def test_a_large_dead_letter_is_cut_and_carries_the_size_and_hash_of_the_whole():
    one = shard(events={**EVENTS, "max_bytes": 150_000})
    value = text(x="é" * 100_000)
    outputs = apply(one, Feed().raw("events", value))
    [(_, letter)] = outputs
    assert letter.value == value[:DEAD_LETTER_BYTES]
    headers = dead(outputs)[0]
    assert headers["reason"] == "too_large"
    assert headers["size_bytes"] == str(len(value))
    assert headers["sha256"] == hashlib.sha256(value).hexdigest()


def test_the_id_of_a_dead_lettered_event_counts_as_not_seen():
    one = shard(events=EVENTS)
    outputs = apply(one, Feed().raw("events", text(y="perhaps")).raw("events", text(y=True)))
    assert (reasons(outputs), len(of("predictions", outputs))) == (["bad_label"], 1)


def test_a_time_far_ahead_is_refused_by_its_distance_and_does_not_move_the_clock():
    one = shard(events={**EVENTS, "max_ahead": "10m"})
    ahead_ms = 10 * 60_000
    feed = Feed().event("a", 0, own_ms=ahead_ms).event("b", 0, own_ms=ahead_ms + 1)
    assert reasons(apply(one, feed)) == ["future_time"]
    assert one.parts.clock_ms == T0_MS


def test_without_an_id_field_the_place_in_the_log_is_the_id_and_nothing_is_a_duplicate():
    one = shard(events={"id": None, "time": "time"})
    value = b'{"time": %d, "x": 1}' % T0_MS
    outputs = apply(one, Feed().raw("events", value).raw("events", value).label("0-1", True, 0))
    assert [row["id"] for row in of("predictions", outputs)] == ["0-0", "0-1"]
    assert learnt(one) == [({"x": 1}, True)]


def test_without_a_time_field_an_event_is_of_its_merge_time():
    one = shard(events={"id": "id", "time": None})
    outputs = apply(one, Feed().raw("events", b'{"id": 1, "x": 2}', 1_234))
    assert of("predictions", outputs)[0]["time"] == "2023-11-14T22:13:21.234Z"


def test_neither_id_time_label_nor_key_are_features():
    one = shard(events={"id": "id", "time": "time", "label": "y", "key": "shop"})
    apply(one, Feed().event("a", 0, shop="north", x=1.5, gone=None, y=True))
    assert learnt(one) == [({"x": 1.5}, True)]


def test_a_prediction_says_what_it_is_of_and_where_it_comes_from():
    outputs = apply(shard(), Feed().event(7, 0, x=1.0))
    assert of("predictions", outputs) == [
        {
            "format": 1,
            "id": "7",
            "time": "2023-11-14T22:13:20.000Z",
            "prediction": False,
            "probabilities": {"false": 0.5, "true": 0.5},
            "model": "champion",
            "version": 0,
            "flags": [],
            "source": {"topic": "events", "partition": 0, "offset": 0},
        }
    ]
    assert outputs[0][1].key == b"k"


def test_a_command_that_is_not_known_is_refused_and_a_dead_letter():
    one = shard()
    outputs: Outputs = []
    record = Record("commands", 0, 3, T0_MS, None, b'{"command": "dance"}')
    outcomes = one.apply(Step({}, {}, (record,), None, []), outputs).outcomes
    assert [(outcome["offset"], outcome["outcome"]) for outcome in outcomes] == [(3, "refused")]
    assert [(letter["reason"], letter["topic"]) for letter in dead(outputs)] == [
        ("bad_command", "commands")
    ]
