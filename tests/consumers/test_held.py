import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.held import Held, HeldLabels
from consumers.record import Record


def held(event_id: str, deadline_ms: int, offset: int = 0) -> Held:
    value = b'{"id":"%s"}\xff' % event_id.encode()
    record = Record("labels", 2, offset, 77, None, value, (("row", b"\x00"),))
    return Held(event_id, True, deadline_ms - 10, deadline_ms, record)


def reload(labels: HeldLabels, max_held: int) -> HeldLabels:
    return HeldLabels.load(orjson.loads(orjson.dumps(labels.dump())), max_held)


def offsets(entries: list[Held]) -> list[int]:
    return [entry.record.offset for entry in entries]


def test_labels_of_an_event_are_taken_in_order_of_arrival_and_once():
    labels = HeldLabels(10)
    for offset, (event_id, deadline_ms) in enumerate([("a", 9), ("b", 1), ("a", 5)]):
        assert labels.hold(held(event_id, deadline_ms, offset)) is None
    assert "a" in labels
    assert offsets(labels.take("a")) == [0, 2]
    assert labels.take("a") == []
    assert "a" not in labels
    assert offsets(labels.due(100)) == [1]


def test_labels_fall_due_by_deadline_once_the_clock_has_passed_it():
    labels = HeldLabels(10)
    for offset, deadline_ms in enumerate([9, 5, 9, 7]):
        labels.hold(held("a", deadline_ms, offset))
    assert labels.next_deadline_ms() == 5
    assert labels.due(5) == []
    assert offsets(labels.due(8)) == [1, 3]
    assert offsets(labels.due(10)) == [0, 2]
    assert labels.next_deadline_ms() is None


def test_beyond_the_bound_the_oldest_in_is_dropped_and_given_back():
    labels = HeldLabels(2)
    for offset, event_id in enumerate("aab"):
        dropped = labels.hold(held(event_id, 9, offset))
    assert dropped is not None
    assert (dropped.record.offset, len(labels)) == (0, 2)
    assert offsets(labels.take("a")) == [1]


def test_the_record_is_kept_to_the_byte():
    labels = HeldLabels(10)
    entry = held("a", 100)
    labels.hold(entry)
    null = Record("labels", 0, 1, 5, b"\x00\xff", None)
    labels.hold(Held("b", 1.5, 3, 4, null))
    loaded = reload(labels, 10)
    assert loaded.take("a")[0].record == entry.record
    assert loaded.take("b")[0].record == null


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="must be of format 1, not 0"):
        HeldLabels.load({**HeldLabels(1).dump(), "format": 0}, 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["hold", "hold", "hold", "take", "due", "reload"]),
            st.sampled_from("abc"),
            st.integers(0, 15),
        ),
        max_size=60,
    ),
    st.integers(1, 6),
)
def test_held_labels_do_what_a_plain_list_does_also_when_reloaded_anywhere(operations, bound):
    labels, model = HeldLabels(bound), list[tuple[str, int, int]]()
    for offset, (operation, event_id, time_ms) in enumerate(operations):
        if operation == "hold":
            dropped = labels.hold(held(event_id, time_ms, offset))
            expected = model.pop(0)[2] if len(model) >= bound else None
            assert (dropped.record.offset if dropped else None) == expected
            model.append((event_id, time_ms, offset))
        elif operation == "take":
            assert offsets(labels.take(event_id)) == [o for i, _, o in model if i == event_id]
            model = [entry for entry in model if entry[0] != event_id]
        elif operation == "due":
            due = sorted((e for e in model if e[1] < time_ms), key=lambda entry: entry[1])
            assert offsets(labels.due(time_ms)) == [entry[2] for entry in due]
            model = [entry for entry in model if entry[1] >= time_ms]
        else:
            labels = reload(labels, bound)
        assert len(labels) == len(model)
        assert labels.next_deadline_ms() == min((entry[1] for entry in model), default=None)
        assert all((i in labels) == any(i == entry[0] for entry in model) for i in "abc")
