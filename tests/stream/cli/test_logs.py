"""Log lines say of which shard they are, and after which entry."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stream.cli.logs import ConsoleFormatter, JsonFormatter
from stream.whereabouts import at, here
from tests.stream.service import Service


@contextmanager
def logged(formatter: logging.Formatter) -> Iterator[io.StringIO]:
    """What is logged meanwhile, formatted."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    try:
        yield stream
    finally:
        logging.getLogger().removeHandler(handler)


def poisoned() -> Service:
    """A service of two shards; on shard 1 waits an update that fails."""
    service = Service(
        shards=2, model={"factory": "tests.stream.models:recorder", "broken": "learn"}
    )
    service.event("a", 0, shard=0, x=1.0)
    service.event("b", 0, shard=1, x=1.0)
    service.run()
    service.event("c", 10, shard=1, learn=1.0)
    service.label("c", True, 11, shard=1)
    return service


def test_a_line_in_json_has_the_shard_its_entry_and_its_positions():
    service = poisoned()
    before = service.entries(1)[-1].sequence
    with logged(JsonFormatter()) as stream:
        service.run()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    left_out = next(line for line in lines if "left out" in line["message"])
    assert (left_out["level"], left_out["shard"]) == ("warning", 1)
    assert left_out["entry"] > before


def test_a_line_for_people_says_what_its_message_does_not():
    with logged(ConsoleFormatter()) as stream:
        log = logging.getLogger("somewhere")
        with at(1, 41, {"events": 120, "labels": 80}):
            log.warning("something")
            log.warning("shard 1 has halted")
        with at(0):
            log.warning("a snapshot is passed over")
            log.warning("shard 0 waits")
        log.warning("nowhere")
    assert [line.partition("WARNING ")[2] for line in stream.getvalue().splitlines()] == [
        "something [shard 1, entry 41, events 120, labels 80]",
        "shard 1 has halted [entry 41, events 120, labels 80]",
        "a snapshot is passed over [shard 0]",
        "shard 0 waits",
        "nowhere",
    ]


def test_no_shard_is_in_hand_after_a_failure():
    with pytest.raises(ValueError, match="told to"), at(3):
        raise ValueError("told to")
    assert here() is None


def test_a_fault_of_the_program_is_one_line_too():
    with logged(JsonFormatter()) as stream:
        try:
            raise KeyError("x")
        except KeyError:
            logging.getLogger("somewhere").exception("it broke")
    [line] = stream.getvalue().splitlines()
    assert "KeyError: 'x'" in json.loads(line)["traceback"]
