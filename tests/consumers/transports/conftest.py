"""The three logs, by name."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.consumers.transports.worlds import MemoryWorld, UrlWorld, World, sqlite_world
from tests.integration.kafka.fixtures import kafka

__all__ = ["kafka"]


@pytest.fixture(
    params=[
        "memory",
        "sqlite",
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
def new_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], World]]:
    """Gives a new service's log at each call, without topics yet."""
    numbers = count()
    with ExitStack() as closing:

        def make() -> World:
            if request.param == "memory":
                return MemoryWorld()
            if request.param == "sqlite":
                return sqlite_world(tmp_path / str(next(numbers)), closing)
            bootstrap = request.getfixturevalue("kafka")
            # Unique, since a broker that was given outlives the test.
            return UrlWorld(f"kafka://{bootstrap}", f"flights-{uuid.uuid4()}", closing)

        yield make


@pytest.fixture
def world(new_world: Callable[[], World]) -> World:
    """A service's log with two partitions."""
    world = new_world()
    world.log().create_topics(2)
    return world
