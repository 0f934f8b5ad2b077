"""A warmed parent of workers, and uninterrupted runs to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.kafka.fixtures import kafka
from tests.integration.kafka.service import (
    Written,
    check_oracle,
    make_service,
    stream_of,
)
from tests.integration.kafka.workers import Workers

__all__ = ["Calm", "calm", "kafka", "workers"]

Calm = Callable[[int, int], list[Written]]


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    workers.close()


@pytest.fixture(scope="session")
def calm(kafka: str, workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """What a worker writes that nothing disturbs, in steps of another size: for so many shards and
    events of `stream_of`."""
    known: dict[tuple[int, int], list[Written]] = {}

    def calm_run(shards: int, events: int) -> list[Written]:
        if (shards, events) not in known:
            stream = stream_of(shards, events)
            service = make_service(tmp_path_factory.mktemp("calm"), kafka, stream, shards)
            workers.finish(service, poll_records=300)
            written = service.written()
            check_oracle(written, stream)
            known[shards, events] = written
        return known[shards, events]

    return calm_run
