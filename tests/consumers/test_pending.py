import json
import random
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.deadlines import NEW, Deadlines
from consumers.decoding import Value
from consumers.pending import Pending, PendingLabels


def pending(
    event_id: str,
    deadline_ms: int,
    features: dict[str, Value] | None = None,
) -> Pending:
    return Pending(event_id, 0, deadline_ms - 10, deadline_ms, features or {"x": 1.0}, [True, 0.5])


def ids(entries: list[Pending]) -> list[str]:
    return [entry.id for entry in entries]


def reload(labels: PendingLabels, max_pending: int) -> PendingLabels:
    """Through bytes, as a snapshot does it."""
    return PendingLabels.load(orjson.loads(orjson.dumps(labels.dump())), max_pending)


def test_an_event_is_due_only_once_the_clock_has_passed_its_deadline():
    labels = PendingLabels(10)
    labels.add(pending("a", 100))
    assert labels.next_deadline_ms() == 100
    assert labels.due(100) == []
    assert ids(labels.due(101)) == ["a"]
    assert (len(labels), labels.get("a"), labels.next_deadline_ms()) == (0, None, None)


def test_events_fall_due_by_deadline_then_in_the_order_of_adding():
    labels = PendingLabels(10)
    for event_id, deadline_ms in [("a", 5), ("b", 3), ("c", 5), ("d", 3), ("e", 9)]:
        labels.add(pending(event_id, deadline_ms))
    assert ids(labels.due(6)) == ["b", "d", "a", "c"]
    assert "e" in labels


def test_beyond_the_bound_the_oldest_in_is_dropped_and_given_back():
    labels = PendingLabels(2)
    assert labels.add(pending("a", 9)) is None
    assert labels.add(pending("b", 1)) is None
    dropped = labels.add(pending("c", 5))
    assert dropped is not None
    assert dropped.id == "a"
    assert (len(labels), labels.unlabelled) == (2, 2)
    assert ids(labels.due(10)) == ["b", "c"]


def test_a_label_leaves_the_event_pending_with_or_without_its_features():
    labels = PendingLabels(10)
    for event_id in "ab":
        labels.add(pending(event_id, 100))
    a, b = labels.get("a"), labels.get("b")
    assert a is not None
    assert b is not None
    labels.set_label(a, False, keep_features=False)
    labels.set_label(a, True, keep_features=False)
    labels.set_label(b, True, keep_features=True)
    assert (a.label, a.features, b.features, labels.unlabelled) == (True, None, {"x": 1.0}, 0)
    assert len(labels) == 2


def test_an_id_that_is_pending_cannot_be_added_again_before_it_was_removed():
    labels = PendingLabels(10)
    labels.add(pending("a", 5))
    with pytest.raises(AssertionError):
        labels.add(pending("a", 6))
    assert labels.remove("a") is not None
    assert labels.remove("a") is None
    labels.add(pending("a", 6))
    assert labels.next_deadline_ms() == 6


def test_a_dump_keeps_every_value_and_type_through_json():
    labels = PendingLabels(10)
    features: dict[str, Value] = {"f": 1.0, "i": 1, "b": True, "s": "x", "small": 5e-324}
    features["minus"] = -0.0
    entry = Pending("a", 7, 90, 100, features, [None, {"p": 0.1 + 0.2}, [1]], "late", 3, b"\xff")
    labels.add(entry)
    labels.add(Pending("b", 8, 91, 101, None, []))
    labels.add(Pending("c", 9, 91, 101, {"i": 2, "f": 1.5}, []))
    labels.add(Pending("d", 9, 91, 101, {}, []))
    loaded = reload(labels, 10)
    for event_id in "abcd":
        # repr tells 1 from 1.0 and True, and 0.0 from -0.0
        assert repr(loaded.get(event_id)) == repr(labels.get(event_id))
    assert loaded.dump() == labels.dump()
    assert next(iter(labels.dump())) == "format"


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="must be of format 1, not 2"):
        PendingLabels.load({**PendingLabels(1).dump(), "format": 2}, 1)


def test_with_a_lower_bound_what_was_loaded_stays_and_never_grows():
    labels = PendingLabels(3)
    for event_id in "abc":
        labels.add(pending(event_id, 5))
    lower = reload(labels, 2)
    dropped = lower.add(pending("d", 5))
    assert dropped is not None
    assert (dropped.id, len(lower)) == ("a", 3)


class Model:
    """The same in the plainest way: a list in the order of adding."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.entries: list[tuple[str, int, bool]] = []

    def add(self, event_id: str, deadline_ms: int) -> str | None:
        dropped = self.entries.pop(0)[0] if len(self.entries) >= self.bound else None
        self.entries.append((event_id, deadline_ms, False))
        return dropped

    def remove(self, event_id: str) -> None:
        self.entries = [entry for entry in self.entries if entry[0] != event_id]

    def label(self, event_id: str) -> None:
        self.entries = [(i, d, labelled or i == event_id) for i, d, labelled in self.entries]

    def due(self, clock_ms: int) -> list[str]:
        due = sorted((e for e in self.entries if e[1] < clock_ms), key=lambda entry: entry[1])
        self.entries = [entry for entry in self.entries if entry[1] >= clock_ms]
        return [entry[0] for entry in due]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "remove", "label", "due", "reload"]),
        st.integers(0, 7),
        st.integers(0, 20),
    ),
    max_size=60,
)


@given(OPERATIONS, st.integers(1, 6))
def test_pending_labels_do_what_a_plain_list_does_also_when_reloaded_anywhere(operations, bound):
    labels, model = PendingLabels(bound), Model(bound)
    for operation, number, time_ms in operations:
        event_id = f"e{number}"
        entry = labels.get(event_id)
        if operation == "add" and entry is None:
            dropped = labels.add(pending(event_id, time_ms))
            assert (dropped.id if dropped else None) == model.add(event_id, time_ms)
        elif operation == "remove":
            labels.remove(event_id)
            model.remove(event_id)
        elif operation == "label" and entry is not None:
            labels.set_label(entry, True, keep_features=False)
            model.label(event_id)
        elif operation == "due":
            assert ids(labels.due(time_ms)) == model.due(time_ms)
        elif operation == "reload":
            labels = reload(labels, bound)
        assert labels.dump()["id"] == [entry[0] for entry in model.entries]
        assert labels.unlabelled == sum(not entry[2] for entry in model.entries)
        assert labels.next_deadline_ms() == min((e[1] for e in model.entries), default=None)
    assert ids(labels.due(99)) == model.due(99)


class Item:
    def __init__(self, deadline_ms: int) -> None:
        self.deadline_ms = deadline_ms
        self.sequence = NEW


@pytest.mark.parametrize(
    "deadline",
    [
        lambda n, rng: n,
        lambda n, rng: n + rng.randrange(50),
        lambda n, rng: -n,
        lambda n, rng: rng.randrange(100),
    ],
    ids=["growing", "jittered", "falling", "random"],
)
def test_what_was_discarded_does_not_pile_up(deadline: Callable[[int, random.Random], int]):
    # given many items, of which most are discarded long before their deadline
    rng = random.Random(1)
    queue: Deadlines[Item] = Deadlines()
    alive: list[Item] = []
    for number in range(3000):
        item = Item(deadline(number, rng))
        queue.push(item)
        alive.append(item)
        if len(alive) > 20:
            queue.discard(alive.pop(rng.randrange(len(alive))))
        assert queue.first() is min(alive, key=lambda item: (item.deadline_ms, item.sequence))
        # then no more than a bound of them is kept in memory
        assert len(queue._run) + len(queue._late) <= 2 * 64 + 2 * len(alive)
    expected = sorted(alive, key=lambda item: (item.deadline_ms, item.sequence))
    assert queue.due(10**9) == expected


def test_a_dump_is_the_same_however_often_it_is_loaded():
    labels = PendingLabels(100)
    rng = random.Random(2)
    for number in range(100):
        labels.add(pending(f"e{number}", rng.randrange(50), {f"f{number % 3}": rng.random()}))
    labels.due(20)
    once = reload(labels, 100)
    assert json.dumps(reload(once, 100).dump()) == json.dumps(labels.dump())
