"""The broker that tests share; conftests import it by name."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.kafka.broker import shared_kafka

__all__ = ["kafka"]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a real Kafka, the same for all processes of a parallel run."""
    own = tmp_path_factory.getbasetemp()
    with shared_kafka(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) as bootstrap:
        yield bootstrap
