"""A rollback whose clean run has updates that fail."""

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
