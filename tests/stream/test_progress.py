"""What takes long says how far it is, and what is quick says nothing."""

import logging

import pytest

from stream import progress as progress_module
from stream.progress import EVERY_S, Progress
from tests.stream.service import Service
from tests.stream.test_transfer import keyed


class Hand:
    """A clock that is moved by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_line_comes_every_few_seconds_and_none_at_the_end(caplog):
    clock = Hand()
    told = Progress(3, "recovering", clock)
    with caplog.at_level(logging.INFO):
        for entry in range(1, 41):
            told(entry, 40)
            clock.now_s += EVERY_S / 10

    assert [record.getMessage() for record in caplog.records] == [
        f"shard 3 is recovering: entry {entry} of 40" for entry in (11, 21, 31)
    ]
    told_of = caplog.records[0].__dict__["happening"]
    assert set(told_of) == {"event", "shard", "doing", "entry", "last"}
    assert told_of == {
        "event": "progress",
        "shard": 3,
        "doing": "recovering",
        "entry": 11,
        "last": 40,
    }


@pytest.mark.parametrize("doing", ["recovering", "rolling back"])
def test_a_worker_tells_how_far_it_is(monkeypatch, caplog, doing):
    monkeypatch.setattr(progress_module, "EVERY_S", 0.0)
    service = Service()
    for first in range(0, 40, 10):
        keyed(service, first, first + 10)
        service.run()
    with caplog.at_level(logging.INFO, "stream.progress"):
        if doing == "recovering":
            service.die()
        else:
            service.skip("events", 5, 6)
        service.run()

    assert f"shard 0 is {doing}: entry " in caplog.text
