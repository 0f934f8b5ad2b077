"""A rollback whose clean run has updates that fail."""

from collections import Counter

from stream.shard.replay import Replay
from tests.stream.builders import RECORDER, learnt
from tests.stream.service import Service


def test_failing_updates_are_decided_anew_and_stand_in_the_outcome():
    # given a service that could not learn two of its events
    service = Service(model={**RECORDER, "broken": "learn"})
    for number in range(12):
        if number in (3, 7):
            service.event(f"e{number}", number * 1_000, learn=1.0)
        else:
            service.event(f"e{number}", number * 1_000, x=float(number))
        service.label(f"e{number}", True, number * 1_000 + 10)
    service.run()
    assert len(learnt(service.state())) == 10

    # when the first of them is skipped, and another event
    service.skip("events", 1)
    service.skip("events", 3)
    service.run()

    # then the clean run has met the other one only
    first, second = service.outcomes()
    assert [told["offset"] for told in first["left_out"]] == [3, 7]
    assert [(told["topic"], told["offset"]) for told in second["left_out"]] == [("labels", 7)]
    assert "told to fail" in second["left_out"][0]["detail"]
    assert len(learnt(service.state())) == 9
    # and a restart comes to the same
    service.die()
    service.run()
    assert len(learnt(service.state())) == 9


def test_many_failing_updates_replay_no_entry_thrice_but_their_own(monkeypatch):
    # given a service whose journal has an entry for each of its events, three of which fail
    service = Service(model={**RECORDER, "broken": "learn"})
    for number in range(60):
        if number % 20 == 10:
            service.event(f"e{number}", number * 1_000, learn=1.0)
        else:
            service.event(f"e{number}", number * 1_000, x=float(number))
        service.label(f"e{number}", True, number * 1_000 + 10)
        service.run()
    replayed: Counter[int] = Counter()
    steps = Replay.steps

    def counted(self, *place):
        for entry, step in steps(self, *place):
            replayed[entry.sequence] += 1
            yield entry, step

    # when the first event is skipped
    monkeypatch.setattr(Replay, "steps", counted)
    service.skip("events", 0)
    service.run()

    # then each failure goes back to the one before it, and not to the beginning
    [outcome] = service.outcomes()
    assert [told["offset"] for told in outcome["left_out"]] == [10, 30, 50]
    assert max(replayed.values()) <= 3
    assert sum(replayed.values()) <= 2 * len(replayed) + 3
    assert len(learnt(service.state())) == 56
