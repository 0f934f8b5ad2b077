import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.seen import SeenIds


def reload(seen: SeenIds, max_seen: int) -> SeenIds:
    return SeenIds.load(orjson.loads(orjson.dumps(seen.dump())), max_seen)


def test_an_id_is_seen_until_the_clock_has_passed_its_time():
    seen = SeenIds(10)
    seen.add("a", 100)
    seen.expire(100)
    assert "a" in seen
    seen.expire(101)
    assert "a" not in seen
    assert len(seen) == 0


def test_an_id_whose_time_passes_before_that_of_an_older_one_is_not_seen_either():
    seen = SeenIds(10)
    seen.add("older", 500)
    seen.add("newer", 100)
    seen.expire(200)
    assert ("older" in seen, "newer" in seen) == (True, False)
    seen.expire(501)
    assert len(seen) == 0


def test_beyond_the_bound_the_oldest_in_goes_first():
    seen = SeenIds(2)
    for event_id in "abac":
        seen.add(event_id, 100)
    assert [event_id in seen for event_id in "abc"] == [True, False, True]


def test_a_forgotten_id_was_never_seen():
    seen = SeenIds(2)
    seen.add("a", 100)
    seen.forget("a")
    seen.forget("b")
    assert "a" not in seen
    assert len(seen) == 0


def test_a_clock_that_goes_back_changes_nothing():
    seen = SeenIds(2)
    seen.expire(100)
    seen.add("a", 50)
    seen.expire(10)
    assert "a" not in seen


def test_with_a_lower_bound_the_newest_in_are_loaded():
    seen = SeenIds(3)
    for event_id in "abc":
        seen.add(event_id, 100)
    assert [event_id in reload(seen, 2) for event_id in "abc"] == [False, True, True]


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="must be of format 1, not 'x'"):
        SeenIds.load({**SeenIds(1).dump(), "format": "x"}, 1)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "forget", "expire", "reload"]),
        st.sampled_from("abcdef"),
        st.integers(0, 20),
    ),
    max_size=60,
)


@given(OPERATIONS)
def test_an_id_is_seen_exactly_until_its_time_also_when_reloaded_anywhere(operations):
    # given a bound that is never met, and the plainest model: every id with its time
    seen, model, clock_ms = SeenIds(100), dict[str, int](), 0
    for operation, event_id, time_ms in operations:
        if operation == "add":
            seen.add(event_id, time_ms)
            model[event_id] = time_ms
        elif operation == "forget":
            seen.forget(event_id)
            model.pop(event_id, None)
        elif operation == "expire":
            seen.expire(time_ms)
            clock_ms = max(clock_ms, time_ms)
        else:
            seen = reload(seen, 100)
        for known in "abcdef":
            assert (known in seen) == (model.get(known, -1) >= clock_ms)


@given(OPERATIONS, st.integers(1, 4))
def test_reloading_changes_nothing_and_the_bound_always_holds(operations, bound):
    straight, reloaded = SeenIds(bound), SeenIds(bound)
    for operation, event_id, time_ms in operations:
        for seen in (straight, reloaded):
            if operation == "add":
                seen.add(event_id, time_ms)
            elif operation == "forget":
                seen.forget(event_id)
            elif operation == "expire":
                seen.expire(time_ms)
        if operation == "reload":
            reloaded = reload(reloaded, bound)
        assert straight.dump() == reloaded.dump()
        assert len(straight) <= bound
