from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.times import MAX_TIME_MS, format_time, parse_time_ms


@pytest.mark.parametrize(
    ("value", "time_ms"),
    [
        # RFC 3339, section 5.8, examples 1 to 3 and 5 (4 holds a leap second).
        ("1985-04-12T23:20:50.52Z", 482196050520),
        ("1996-12-19T16:39:57-08:00", 851042397000),
        ("1937-01-01T12:00:27.87+00:20", None),
        ("1990-12-31T23:59:60Z", None),
        ("2013-01-01T05:00:00Z", 1357016400000),
        ("2013-01-01 05:00:00Z", 1357016400000),
        ("2013-01-01t05:00:00z", 1357016400000),
        ("2013-01-01T00:00:00-05:00", 1357016400000),
        ("2013-01-01T05:00:00.0009Z", 1357016400000),
        ("2013-01-01T05:00:00.123456789Z", 1357016400123),
        ("1970-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59.999Z", MAX_TIME_MS),
        (1357016400000, 1357016400000),
        (1.7e12, 1700000000000),
        (0, 0),
        (MAX_TIME_MS, MAX_TIME_MS),
        (MAX_TIME_MS + 1, None),
        (-1, None),
        (1.5, None),
        (1e30, None),
        ("1969-12-31T23:59:59.999Z", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("2013-01-01T05:00:00", None),
        ("2013-01-01", None),
        ("2013-W01-2T05:00:00Z", None),
        ("20130101T050000Z", None),
        ("2013-01-01T24:00:00Z", None),
        ("2013-02-30T05:00:00Z", None),
        ("2013-01-01T05:00Z", None),
        ("2013-01-01T05:00:00+0100", None),
        ("2013-01-01T05:00:00+25:00", None),
        ("2013-01-01T05:00:00Z ", None),
        ("٢٠١٣-01-01T05:00:00Z", None),
        ("1357016400000", None),
        ("", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_a_time_is_rfc3339_with_its_offset_or_epoch_milliseconds(value, time_ms):
    if time_ms is None:
        with pytest.raises(ValueError, match=r"^must "):
            parse_time_ms(value)
    else:
        assert parse_time_ms(value) == time_ms


def test_a_time_without_offset_is_told_that_it_lacks_one():
    with pytest.raises(ValueError, match="must carry its offset from UTC, or Z"):
        parse_time_ms("2013-01-01T05:00:00")


def test_a_time_is_written_in_utc_with_milliseconds():
    assert format_time(1357016400000) == "2013-01-01T05:00:00.000Z"
    assert format_time(482196050520) == "1985-04-12T23:20:50.520Z"
    assert format_time(-1) == "1969-12-31T23:59:59.999Z"


@given(st.integers(0, MAX_TIME_MS))
def test_what_is_written_is_read_back(time_ms):
    text = format_time(time_ms)
    assert parse_time_ms(text) == time_ms
    assert datetime.fromisoformat(text).replace(microsecond=0) == datetime.fromtimestamp(
        time_ms // 1000, UTC
    )


@given(
    st.text(alphabet="0123456789-:TtZz+. ", max_size=30) | st.integers() | st.floats() | st.none()
)
def test_anything_else_raises_nothing_but_value_error(value):
    try:
        time_ms = parse_time_ms(value)
    except ValueError:
        return
    assert 0 <= time_ms <= MAX_TIME_MS
