import json
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.decoding import Event, EventDecoder, Label, LabelDecoder
from consumers.errors import RejectedError
from consumers.record import Record
from consumers.settings import EventsSettings

NOW_MS = 1_357_016_400_000  # 2013-01-01T05:00:00Z

SETTINGS = EventsSettings(id="id", time="t", label="y", max_bytes=2000)


def record(value: bytes | None, topic: str = "events") -> Record:
    return Record(topic, 3, 41, NOW_MS, None, value)


def decode(value: object, settings: EventsSettings = SETTINGS) -> Event:
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return EventDecoder(settings).decode(record(raw), NOW_MS)


def reason_of(value: bytes | None, settings: EventsSettings = SETTINGS) -> str:
    with pytest.raises(RejectedError) as caught:
        EventDecoder(settings).decode(record(value), NOW_MS)
    assert caught.value.detail
    assert len(caught.value.detail) < 400
    return caught.value.reason


def test_an_event_keeps_the_types_and_the_order_of_its_features():
    event = decode(
        b'{"b":1.0,"id":"e1","a":1,"t":1357016400000,"d":true,"y":false,"c":"x","n":null}'
    )
    assert event == Event("e1", NOW_MS, {"b": 1.0, "a": 1, "d": True, "c": "x"}, False)
    assert list(event.features) == ["b", "a", "d", "c"]
    assert [type(value) for value in event.features.values()] == [float, int, bool, str]


def test_an_integer_id_is_its_digits_and_a_null_label_is_none():
    event = decode({"id": 7, "t": NOW_MS, "x": 1, "y": None})
    assert (event.id, event.label) == ("7", None)


@pytest.mark.parametrize("label", [True, False, 0, 1.5, "late", ""])
def test_a_label_keeps_its_type(label):
    decoded = decode({"id": "a", "t": NOW_MS, "x": 1, "y": label}).label
    assert (type(decoded), decoded) == (type(label), label)


def test_without_an_id_field_the_id_is_the_position_and_without_a_time_field_the_merge_time():
    settings = EventsSettings(id=None, time=None)
    assert decode({"x": 1}, settings) == Event("3-41", NOW_MS, {"x": 1}, None)


def test_without_a_label_field_a_field_named_label_is_a_feature():
    settings = EventsSettings(id="id", time=None)
    assert decode({"id": "a", "label": 1}, settings) == Event("a", NOW_MS, {"label": 1}, None)


def test_the_key_is_no_feature_unless_it_is_listed():
    body = {"id": "a", "airport": "JFK", "x": 1}
    plain = EventsSettings(id="id", time=None, key="airport")
    listed = EventsSettings(id="id", time=None, key="airport", features=("airport", "x"))
    assert decode(body, plain).features == {"x": 1}
    assert decode(body, listed).features == {"airport": "JFK", "x": 1}


def test_listed_features_are_taken_in_their_order_and_others_are_not_looked_at():
    settings = EventsSettings(id="id", time=None, features=("b", "a", "c"))
    features = decode({"a": 1, "id": "i", "b": 2, "other": [1, {"deep": 2}]}, settings).features
    assert list(features.items()) == [("b", 2), ("a", 1)]
    exact = decode({"b": 1, "a": 2, "id": "i", "c": 3}, settings).features
    assert list(exact.items()) == [("b", 1), ("a", 2), ("c", 3)]


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        (b'"2013-01-01T05:00:00Z"', NOW_MS),
        (b'"2013-01-01T00:00:00.25-05:00"', NOW_MS + 250),
        (b'"2013-01-01T05\\u003a00:00Z"', NOW_MS),
        (b"1357016400000.0", NOW_MS),
        (b"1.3570164e12", NOW_MS),
        (b"0", 0),
    ],
)
def test_a_time_may_be_text_or_whole_milliseconds(text, time_ms):
    assert decode(b'{"id":"a","t":' + text + b',"x":1}').time_ms == time_ms


def test_an_event_may_be_ahead_by_the_bound_and_no_more():
    settings = EventsSettings(id="id", time="t", max_ahead=timedelta(seconds=2))
    assert decode({"id": "a", "t": NOW_MS + 2000, "x": 1}, settings).time_ms == NOW_MS + 2000
    assert reason_of(b'{"id":"a","t":1357016402001,"x":1}', settings) == "future_time"


def test_an_integer_beyond_64_bits_is_a_float_as_a_feature():
    event = decode(b'{"id":"a","t":0,"x":123456789012345678901234567890}')
    assert event.features == {"x": 1.2345678901234568e29}


def body(x: bytes) -> bytes:
    return b'{"id":"a","t":0,"x":' + x + b"}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (body(b'"' + b"x" * 2000 + b'"'), "too_large"),
        (b" ", "not_json"),
        (body(b"NaN"), "not_json"),
        (body(b"Infinity"), "not_json"),
        (body(b"-Infinity"), "not_json"),
        (body(b"1e999"), "not_json"),
        (body(b"-1e999"), "not_json"),
        (body(b'"\\ud800"'), "not_json"),
        (body(b'"\xff"'), "not_json"),
        (body(b'"\xed\xa0\x80"'), "not_json"),
        (body(b"01"), "not_json"),
        (body(b"1,"), "not_json"),
        (body(b'"a\nb"'), "not_json"),
        (body(b"[" * 1500 + b"]" * 300), "not_json"),
        (b'{"id":"a","t":0,"x":1', "not_json"),
        (b'{"id":"a","t":0,"x":1} {}', "not_json"),
        (b"\xef\xbb\xbf" + body(b"1"), "not_json"),
        (b"[]", "not_object"),
        (b"null", "not_object"),
        (b'"text"', "not_object"),
        (b"1", "not_object"),
        (b'{"id":"a","t":0,"x":1,"x":2}', "duplicate_keys"),
        (b'{"id":"a","t":0,"x":1,"x":1}', "duplicate_keys"),
        (b'{"id":"a","t":0,"x":1,"\\u0078":2}', "duplicate_keys"),
        (b'{"id":"a","id":"b","t":0,"x":1}', "duplicate_keys"),
        (b'{"id":"a","t":"2013-01-01T05:00:00Z","t":0,"x":1}', "duplicate_keys"),
        (b'{"id":"a","t":0,"t":"2013-01-01T05:00:00Z","x":1}', "duplicate_keys"),
        (b'{"id":"a","t":"2013-01-01T05\\u003a00:00Z","x":1,"x":1}', "duplicate_keys"),
        (b'{"id":"a","t":0,"x":"::\\"","x":1}', "duplicate_keys"),
        (b'{"id":"a","t":0,"x":{"deep":{}},"x":1}', "duplicate_keys"),
        (b'{"id":"a","t":0,"x":' + b"[" * 900 + b"]" * 900 + b',"x":1}', "duplicate_keys"),
        (body(b"[]"), "wrong_type"),
        (body(b"{}"), "wrong_type"),
        (body(b'{"x":1,"x":2}'), "wrong_type"),
        (body(b"[" * 900 + b"]" * 900), "wrong_type"),
        (b'{"id":1.5,"t":0,"x":1}', "wrong_type"),
        (b'{"id":123456789012345678901234567890,"t":0,"x":1}', "wrong_type"),
        (b'{"id":true,"t":0,"x":1}', "wrong_type"),
        (b'{"id":["a"],"t":0,"x":1}', "wrong_type"),
        (b'{"id":"' + b"i" * 513 + b'","t":0,"x":1}', "wrong_type"),
        (b'{"id":"' + "€".encode() * 171 + b'","t":0,"x":1}', "wrong_type"),
        (b'{"t":0,"x":1}', "missing_id"),
        (b'{"id":null,"t":0,"x":1}', "missing_id"),
        (b'{"id":"","t":0,"x":1}', "missing_id"),
        (b'{"id":"a","x":1}', "missing_time"),
        (b'{"id":"a","t":null,"x":1}', "missing_time"),
        (b'{"id":"a","t":"2013-01-01T05:00:00","x":1}', "bad_time"),
        (b'{"id":"a","t":"yesterday","x":1}', "bad_time"),
        (b'{"id":"a","t":-1,"x":1}', "bad_time"),
        (b'{"id":"a","t":253402300800000,"x":1}', "bad_time"),
        (b'{"id":"a","t":0.5,"x":1}', "bad_time"),
        (b'{"id":"a","t":true,"x":1}', "bad_time"),
        (b'{"id":"a","t":{},"x":1}', "bad_time"),
        (b'{"id":"a","t":1357020000001,"x":1}', "future_time"),
        (b'{"id":"a","t":"2013-01-01T06:00:00.001Z","x":1}', "future_time"),
        (b'{"id":"a","t":0,"x":1,"y":[1]}', "bad_label"),
        (b'{"id":"a","t":0,"x":1,"y":{}}', "bad_label"),
        (b'{"id":"a","t":0,"y":1}', "no_features"),
        (b'{"id":"a","t":0,"x":null}', "no_features"),
        (b"{}", "missing_id"),
    ],
)
def test_every_kind_of_bad_event_is_refused_with_its_reason(value, reason):
    assert reason_of(value) == reason


def test_an_id_may_be_512_bytes():
    for event_id in ("i" * 512, "€" * 170):
        assert decode({"id": event_id, "t": 0, "x": 1}).id == event_id


def test_a_refusal_names_the_field_the_constraint_and_the_value_cut_short():
    with pytest.raises(RejectedError) as caught:
        decode({"id": 2.5, "t": 0, "x": 1})
    assert caught.value.detail == (
        'the field "id" must be a string or an integer of 64 bits, not 2.5'
    )
    with pytest.raises(RejectedError) as caught:
        decode({"id": "a", "t": 0, "wind": [1]})
    assert caught.value.detail == (
        'the field "wind" must be a boolean, a number, a string or null, not an array'
    )
    with pytest.raises(RejectedError) as caught:
        decode({"id": "a", "t": "x" * 1000, "wind": 1})
    assert len(caught.value.detail) < 200


def test_colons_in_text_and_in_names_are_no_second_key():
    features = {"url": "http://a:80/{}[]", "a:b": 1, 'quote"\\': 'x":"', "\\": ":"}
    assert decode({"id": "a:b", "t": "2013-01-01T05:00:00Z", **features}).features == features


NAMES = st.sampled_from(["a", "b", "c:", "d", "\\", '"', "t", "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a:"\\{}[],', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), st.booleans())
def test_a_key_that_comes_twice_is_found_and_no_other(pairs, ascii_only):
    encode = json.JSONEncoder(ensure_ascii=ascii_only).encode
    text = ", ".join(f"{encode(name)} : {encode(value)}" for name, value in pairs)
    raw = b'{"features":1,' + text.encode() + b"}" if pairs else b'{"features":1}'
    settings = EventsSettings(id=None, time="t", features=("features",), max_bytes=10**6)
    twice = len({name for name, _ in pairs}) < len(pairs)
    reason = None
    try:
        EventDecoder(settings).decode(record(raw), NOW_MS)
    except RejectedError as error:
        reason = error.reason
    assert (reason == "duplicate_keys") == twice


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0123.eE+-nulltrue\\ud8 ').map(str.encode))
def test_no_bytes_make_decoding_raise_anything_but_a_refusal(raw):
    for settings in (SETTINGS, EventsSettings(id=None, time=None)):
        try:
            event = EventDecoder(settings).decode(record(raw), NOW_MS)
        except RejectedError:
            continue
        assert event.features
    try:
        LabelDecoder().decode(record(raw, "labels"))
    except RejectedError:
        return


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: VALUES
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.integers(-(2**63), 2**64 - 1)
            for name in ("id", "t", "y", "x", "z")
        },
    )
)
def test_what_decodes_holds_only_what_was_sent(sent):
    try:
        event = decode(sent)
    except RejectedError:
        return
    assert event.features == {
        name: value for name, value in sent.items() if name in ("x", "z") and value is not None
    }
    assert (event.id, event.label) == (str(sent["id"]), sent.get("y"))


def test_a_label_has_an_id_a_label_and_perhaps_a_time_and_an_annotator():
    raw = b'{"id":7,"label":true,"time":"2013-01-01T05:00:00Z","annotator":"ann","more":{"a":1}}'
    assert LabelDecoder().decode(record(raw)) == Label("7", True, NOW_MS, "ann")
    assert LabelDecoder().decode(record(b'{"id":"a","label":0,"time":null}')) == Label(
        "a", 0, None, None
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b'{"id":"a","label":1,"x":"' + b"x" * 2000 + b'"}', "too_large"),
        (b'{"id":"a","label":NaN}', "not_json"),
        (b'["a",1]', "not_object"),
        (b'{"id":"a","label":1,"label":0}', "duplicate_keys"),
        (b'{"label":1}', "missing_id"),
        (b'{"id":"","label":1}', "missing_id"),
        (b'{"id":1.5,"label":1}', "wrong_type"),
        (b'{"id":"a"}', "bad_label"),
        (b'{"id":"a","label":null}', "bad_label"),
        (b'{"id":"a","label":[1]}', "bad_label"),
        (b'{"id":"a","label":{}}', "bad_label"),
        (b'{"id":"a","label":1,"time":"noon"}', "bad_time"),
        (b'{"id":"a","label":1,"time":true}', "bad_time"),
        (b'{"id":"a","label":1,"annotator":5}', "wrong_type"),
    ],
)
def test_every_kind_of_bad_label_is_refused_with_its_reason(value, reason):
    with pytest.raises(RejectedError) as caught:
        LabelDecoder(max_bytes=2000).decode(record(value, "labels"))
    assert caught.value.reason == reason


def test_a_record_may_be_as_large_as_the_bound_and_no_larger():
    settings = EventsSettings(id=None, time=None, max_bytes=10)
    assert decode(b'{"x":1234}', settings).features == {"x": 1234}
    assert reason_of(b'{"x":12345}', settings) == "too_large"
