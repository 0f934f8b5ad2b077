from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.merge import merge, merge_time_ms, take
from consumers.record import Headers, Record


def record(topic: str, offset: int, timestamp_ms: int, headers: Headers = ()) -> Record:
    return Record(topic, 0, offset, timestamp_ms, None, b"{}", headers)


def records(topic: str, times_ms: list[int], headed: bool = False) -> list[Record]:
    """Stamped with the times, or stamped late and carrying them in their header."""
    if headed:
        return [
            record(topic, offset, 1000, (("driftline-time", b"%d" % time_ms),))
            for offset, time_ms in enumerate(times_ms)
        ]
    return [record(topic, offset, time_ms) for offset, time_ms in enumerate(times_ms)]


def names(merged: list[tuple[int, Record]]) -> list[str]:
    return [f"{record.topic[0]}{record.offset}@{time_ms}" for time_ms, record in merged]


@pytest.mark.parametrize(
    ("headers", "time_ms"),
    [
        ((), 500),
        ((("driftline-time", b"499"),), 499),
        ((("driftline-time", b"500"),), 500),
        ((("driftline-time", b"0"),), 0),
        ((("row", b"1"), ("driftline-time", b"7")), 7),
        ((("driftline-time", b"501"),), 500),
        ((("driftline-time", b"-1"),), 500),
        ((("driftline-time", b""),), 500),
        ((("driftline-time", b"4e2"),), 500),
        ((("driftline-time", b" 4"),), 500),
        ((("driftline-time", "٤".encode()),), 500),
        ((("driftline-time", b"0" * 5000),), 500),
        ((("driftline-time", b"x"), ("driftline-time", b"3")), 500),
        ((("Driftline-Time", b"3"),), 500),
    ],
)
def test_merge_time_is_a_well_formed_header_not_later_than_the_timestamp_else_that(
    headers, time_ms
):
    assert merge_time_ms(record("events", 0, 500, headers)) == time_ms


def test_the_lower_head_goes_first_and_an_event_before_a_label_of_the_same_time():
    # By hand. The label at 2 comes behind the one at 9: an input's own order never changes.
    inputs = {
        "labels": records("labels", [1, 5, 9, 2]),
        "events": records("events", [1, 4, 5, 3, 9]),
    }
    assert names(merge(inputs)) == [
        *["e0@1", "l0@1", "e1@4", "e2@5", "e3@3", "l1@5", "e4@9", "l2@9", "l3@2"]
    ]


def test_one_input_alone_keeps_its_order_and_none_gives_nothing():
    assert names(merge({"events": records("events", [3, 1, 2])})) == ["e0@3", "e1@1", "e2@2"]
    assert names(merge({"labels": records("labels", [3, 1])})) == ["l0@3", "l1@1"]
    assert merge({}) == merge({"events": [], "labels": ()}) == []


def test_commands_are_not_merged():
    with pytest.raises(AssertionError):
        merge({"events": [], "commands": []})


def test_nothing_is_taken_past_an_input_that_may_still_give_earlier_records():
    buffers = {"events": records("events", [1, 4, 6]), "labels": records("labels", [2, 5])}
    taken = take(buffers, 10, waiting_for={"labels"})
    assert names(taken.merged) == ["e0@1", "l0@2", "e1@4", "l1@5"]
    assert taken.counts == {"events": 2, "labels": 2}
    assert take(buffers, 10, waiting_for={"events"}).counts == {"events": 3, "labels": 2}
    assert take({"events": buffers["events"]}, 10, waiting_for={"labels"}).merged == []
    assert take({"labels": buffers["labels"]}, 10, waiting_for={"events"}).merged == []
    assert take(buffers, 0).merged == []


TIMES = st.lists(st.integers(0, 12), max_size=12)


@given(TIMES, TIMES, st.booleans())
def test_the_order_is_that_of_the_highest_time_an_input_has_reached(events, labels, headed):
    # given an order told in another way: sorted by the running maximum of the own input
    inputs = {
        "events": records("events", events, headed),
        "labels": records("labels", labels, headed),
    }
    expected = sorted(
        [
            (reached, rank, item.offset, item)
            for rank, (name, times_ms) in enumerate([("events", events), ("labels", labels)])
            for reached, item in zip(accumulate(times_ms, max), inputs[name], strict=True)
        ],
        key=lambda entry: entry[:3],
    )
    merged = merge(inputs)
    assert [item for _, item in merged] == [item for _, _, _, item in expected]
    assert all(time_ms == merge_time_ms(item) for time_ms, item in merged)


@given(TIMES, TIMES, st.lists(st.integers(0, 24), max_size=4))
def test_cutting_the_merged_order_anywhere_and_merging_the_pieces_changes_nothing(
    events, labels, cuts
):
    whole = merge({"events": records("events", events), "labels": records("labels", labels)})
    again = []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(whole)], strict=True):
        piece = [item for _, item in whole[start:stop]]
        again += merge(
            {
                "labels": [item for item in piece if item.topic == "labels"],
                "events": [item for item in piece if item.topic == "events"],
            }
        )
    assert again == whole


@given(
    TIMES,
    TIMES,
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 7)), max_size=12),
)
def test_taking_while_records_come_in_gives_the_merged_order_of_all(events, labels, moves):
    # given two inputs that are fetched bit by bit, and are at their end once all was fetched
    inputs = {"events": records("events", events), "labels": records("labels", labels)}
    fetched = {"events": 0, "labels": 0}
    buffers: dict[str, list[Record]] = {"events": [], "labels": []}
    merged = []
    for more_events, more_labels, limit in [*moves, (99, 99, 99)]:
        for name, more in (("events", more_events), ("labels", more_labels)):
            buffers[name] += inputs[name][fetched[name] : fetched[name] + more]
            fetched[name] = min(fetched[name] + more, len(inputs[name]))
        waiting_for = {name for name in inputs if fetched[name] < len(inputs[name])}
        # when
        taken = take(buffers, limit, waiting_for)
        # then a piece is never above the limit, is what merging it gives, and is the longest
        assert len(taken.merged) <= limit
        piece = {name: buffers[name][:count] for name, count in taken.counts.items()}
        assert merge(piece) == taken.merged
        for name, count in taken.counts.items():
            del buffers[name][:count]
        assert len(taken.merged) == limit or any(
            not buffers[name] for name in waiting_for or inputs
        )
        merged += taken.merged
    assert merged == merge(inputs)
