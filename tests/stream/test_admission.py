"""How much goes into a step: what is waited for, and that a cut never changes the order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.merge import merge
from consumers.record import Record
from consumers.transport import INPUTS, InputBatch
from stream.shard.admission import BUFFER_RECORDS, Admission
from stream.shard.step import Step
from tests.stream.builders import HOUR_MS, T0_MS, Feed, apply, shard
from tests.stream.workers import Clock

START = dict.fromkeys(INPUTS, 0)


def record(topic: str, offset: int, at_ms: int = 0) -> Record:
    return Record(topic, 0, offset, T0_MS + at_ms, None, b"{}")


def batches(ends: dict[str, int] | None = None, **inputs: list[Record]) -> dict[str, InputBatch]:
    """What a poll gives: records, and how far the log reaches (else no further than they do)."""
    given = {}
    for name in INPUTS:
        found = inputs.get(name, [])
        position = found[-1].offset + 1 if found else 0
        given[name] = InputBatch(found, position, (ends or {}).get(name, position))
    return given


def offsets(step: Step | None) -> list[str]:
    assert step is not None
    return [f"{found.topic[0]}{found.offset}" for _, found in step.records]


def test_an_input_whose_end_lies_beyond_what_was_fetched_is_waited_for_without_bound():
    # given: events in hand, and labels on the log that no poll has brought yet
    clock = Clock()
    admission = Admission(clock, bound_s=0.0)
    one = shard()
    admission.offer(batches({"labels": 2}, events=[record("events", 0), record("events", 1)]))
    assert admission.next_step(START, one) is None
    clock.now_s += 1e6
    assert admission.next_step(START, one) is None
    assert admission.patience_s(one) > 100

    # when: they come, the first before the second event
    labels = [record("labels", 0), record("labels", 1, 5)]
    late = batches(labels=labels)
    admission.offer({"labels": late["labels"], "events": InputBatch([], 2, 2)})
    assert offsets(admission.next_step(START, one)) == ["e0", "e1", "l0", "l1"]


def test_of_an_input_that_lags_only_what_is_certain_is_taken():
    admission = Admission(Clock())
    one = shard()
    events = [record("events", 0, 0), record("events", 1, 10), record("events", 2, 30)]
    admission.offer(batches({"labels": 9}, events=events, labels=[record("labels", 0, 20)]))
    # By hand: what follows the label at 20 on its input may come before the event at 30.
    assert offsets(admission.next_step(START, one)) == ["e0", "e1", "l0"]
    assert admission.next_step(START, one) is None


def test_an_input_at_its_end_is_waited_for_up_to_the_bound():
    clock = Clock()
    admission = Admission(clock, bound_s=0.25)
    one = shard()
    admission.offer(batches(events=[record("events", 0)]))
    assert admission.next_step(START, one) is None
    assert admission.patience_s(one) == 0.25
    clock.now_s += 0.2
    assert admission.next_step(START, one) is None
    clock.now_s += 0.06
    assert offsets(admission.next_step(START, one)) == ["e0"]


def test_commands_never_wait_for_records():
    admission = Admission(Clock())
    one = shard()
    admission.offer(
        batches({"labels": 2}, events=[record("events", 0)], commands=[record("commands", 0)])
    )
    step = admission.next_step(START, one)
    assert step is not None
    assert (len(step.commands), step.records) == (1, [])
    assert step.end == {"events": 0, "labels": 0, "commands": 1}


def test_an_input_with_enough_in_hand_need_not_be_fetched():
    admission = Admission(Clock())
    events = [record("events", offset) for offset in range(BUFFER_RECORDS)]
    admission.offer(batches({"labels": 1}, events=events))
    assert admission.full() == ["events"]


def test_positions_pass_over_gaps_once_everything_before_them_is_taken():
    # given: the log's position lies beyond the last record, as control records make it
    admission = Admission(Clock(), step_records=1)
    one = shard()
    events = [record("events", 0), record("events", 4)]
    admission.offer({**batches(), "events": InputBatch(events, 9, 9)})
    first = admission.next_step(START, one)
    assert first is not None
    assert first.end["events"] == 1
    second = admission.next_step(first.end, one)
    assert second is not None
    assert (second.start["events"], second.end["events"]) == (1, 9)


times = st.lists(st.integers(0, 20), max_size=12)
polls = st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=12)


@settings(max_examples=150)
@given(times, times, polls, st.integers(1, 5))
def test_steps_are_consecutive_pieces_of_the_merged_order_however_polls_bring_them(
    event_ms, label_ms, counts, step_records
):
    # given: two inputs whose times may go back
    logs: dict[str, list[Record]] = {
        "events": [record("events", offset, at) for offset, at in enumerate(event_ms)],
        "labels": [record("labels", offset, at) for offset, at in enumerate(label_ms)],
        "commands": [],
    }
    clock = Clock()
    admission = Admission(clock, step_records=step_records)
    one = shard()
    position, positions = dict(START), dict(START)
    taken: list[str] = []

    # when: polls bring some of each, then all that is left; steps are taken in between
    everything = (12, 12, 12)
    for wanted in [*counts, *[everything] * 30]:
        polled = {}
        for (name, log), count in zip(logs.items(), wanted, strict=True):
            found = log[position[name] : position[name] + count]
            position[name] += len(found)
            polled[name] = InputBatch(found, position[name], len(log))
        admission.offer(polled)
        step = admission.next_step(positions, one)
        if step is not None:
            assert step.start == positions
            assert step.tick_ms is None
            positions = step.end
            taken += offsets(step)

    # then
    assert admission.is_drained()
    assert taken == [
        f"{found.topic[0]}{found.offset}"
        for _, found in merge({name: log for name, log in logs.items() if name != "commands"})
    ]
    assert positions == {name: len(log) for name, log in logs.items()}


def test_a_step_read_back_from_the_log_is_the_step_that_was_taken():
    admission = Admission(Clock())
    one = shard()
    events = [record("events", 0, 3), record("events", 1, 1), record("events", 2, 9)]
    labels = [record("labels", 0, 3), record("labels", 1, 2)]
    inputs = {"events": events, "labels": labels}
    admission.offer(batches(events=events, labels=labels))
    step = admission.next_step(START, one)
    assert step == Step.of(START, {"events": 3, "labels": 2, "commands": 0}, inputs, None)


class TestTicks:
    """A tick is stream time in silence."""

    def waiting(self):
        """A shard whose only event waits for its label, and its admission at the log's end."""
        clock = Clock()
        one = shard()
        apply(one, Feed().event("a", 0))
        admission = Admission(clock)
        admission.offer(batches())
        return clock, one, admission

    def test_one_is_due_when_a_wait_has_passed_in_silence_and_not_before(self):
        clock, one, admission = self.waiting()
        assert admission.next_step(START, one) is None
        clock.now_s += 3600.0
        assert admission.next_step(START, one) is None
        assert admission.patience_s(one) == 0.001
        clock.now_s += 0.001
        step = admission.next_step(START, one)
        assert step == Step(START, START, (), T0_MS + HOUR_MS + 1, [])
        one.apply(step)
        assert one.parts.counters.never_labelled == 1

    def test_none_is_given_twice_for_one_wait(self):
        clock, one, admission = self.waiting()
        admission.next_step(START, one)
        clock.now_s += 4000
        step = admission.next_step(START, one)
        assert step is not None
        one.apply(step)
        # What is due next is that the event's hour matures, with the end of the hour and the wait.
        assert admission.next_step(START, one) is None
        clock.now_s += 4000
        step = admission.next_step(START, one)
        assert step is not None
        one.apply(step)
        assert one.next_tick_ms() is None
        clock.now_s += 1e6
        assert admission.next_step(START, one) is None

    def test_it_never_outruns_an_input_that_lags(self):
        clock, one, admission = self.waiting()
        admission.next_step(START, one)
        clock.now_s += 4000
        # The log has a label that no poll has brought.
        admission.offer(batches({"labels": 1}))
        assert admission.next_step(START, one) is None
        # Once it is there, the label goes first, and the silence counts anew.
        admission.offer(batches(labels=[record("labels", 0)]))
        step = admission.next_step(START, one)
        assert step is not None
        assert (step.tick_ms, offsets(step)) == (None, ["l0"])
        assert admission.next_step(step.end, one) is None
        clock.now_s += 3600
        assert admission.next_step(step.end, one) is None
        clock.now_s += 1
        assert admission.next_step(step.end, one) is not None

    def test_records_end_the_silence_and_it_counts_anew(self):
        clock, one, admission = self.waiting()
        admission.next_step(START, one)
        clock.now_s += 3000
        late = Feed().event("a", 0).event("b", 5).records[1:]
        admission.offer(batches(events=[late[0][1]]))
        step = admission.next_step(START, one)
        assert step is not None
        one.apply(step)
        assert admission.next_step(step.end, one) is None
        clock.now_s += 3000
        assert admission.next_step(step.end, one) is None
        clock.now_s += 601
        assert admission.next_step(step.end, one) is not None

    def test_it_never_goes_into_a_step_with_records(self):
        clock, one, admission = self.waiting()
        admission.next_step(START, one)
        clock.now_s += 4000
        admission.offer(batches(events=[record("events", 0, 5)]))
        step = admission.next_step(START, one)
        assert step is not None
        assert (step.tick_ms, offsets(step)) == (None, ["e0"])

    def test_time_that_passed_before_the_end_was_reached_does_not_count(self):
        clock, one, admission = self.waiting()
        clock.now_s += 1e6
        assert admission.next_step(START, one) is None
        clock.now_s += 3600
        assert admission.next_step(START, one) is None

    def test_a_shard_that_has_seen_nothing_has_no_clock_to_tick(self):
        clock = Clock()
        admission = Admission(clock)
        admission.offer(batches())
        assert admission.next_step(START, shard()) is None
        clock.now_s += 1e9
        assert admission.next_step(START, shard()) is None

    def test_an_event_that_came_after_its_wait_is_expired_by_a_clock_that_moves(self):
        # given: an event whose wait was over before it came
        clock = Clock()
        one = shard()
        apply(one, Feed().event("a", 0, own_ms=-2 * HOUR_MS))
        admission = Admission(clock)
        admission.offer(batches())
        assert admission.next_step(START, one) is None
        clock.now_s += 0.001
        step = admission.next_step(START, one)
        assert step is not None
        one.apply(step)
        assert len(one.parts.pending) == 0
