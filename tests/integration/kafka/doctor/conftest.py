"""Services on a broker that all tests share, and on a cluster of two for those that need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kafka.doctor.cluster import Cluster, two_brokers
from tests.integration.kafka.doctor.patient import Patient
from tests.integration.kafka.fixtures import kafka

__all__ = ["kafka"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with two_brokers(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def patient(kafka: str, tmp_path: Path) -> Callable[..., Patient]:
    """Makes a service with its topics on the shared broker."""

    def make(**fields: Any) -> Patient:
        return Patient(tmp_path, kafka, **fields).create()

    return make
