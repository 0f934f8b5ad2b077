"""A random life of a log, compared with a model of it: lists of records and what was committed."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from consumers.transport import INPUTS, OUTPUTS, Committed
from tests.consumers.transports.worlds import Worker, World, expect, record, step, values

SHARDS = (0, 1)
texts = st.lists(st.text(max_size=3), max_size=4)
appends = st.tuples(st.just("append"), st.sampled_from(INPUTS), st.sampled_from(SHARDS), texts)
commits = st.tuples(st.just("commit"), st.sampled_from(OUTPUTS), st.sampled_from(SHARDS), texts)
fetches = st.tuples(st.just("fetch"), st.integers(1, 5))
deaths = st.tuples(st.just("death"))
lives = st.lists(st.one_of(appends, appends, commits, fetches, deaths), max_size=12)


@given(life=lives)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_embedded_logs_are_what_was_appended_and_committed(
    new_world: Callable[[], World], request: pytest.FixtureRequest, life: list[tuple[object, ...]]
) -> None:
    if request.node.callspec.params["new_world"] != "kafka":
        live(new_world(), life)


@given(life=lives)
@settings(
    max_examples=3,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_kafka_is_too(
    new_world: Callable[[], World], request: pytest.FixtureRequest, life: list[tuple[object, ...]]
) -> None:
    if request.node.callspec.params["new_world"] == "kafka":
        live(new_world(), life)


def live(world: World, life: list[tuple[object, ...]]) -> None:
    log = world.log()
    log.create_topics(len(SHARDS))
    written: dict[tuple[str, int], list[str]] = {
        (name, partition): [] for name in INPUTS + OUTPUTS for partition in SHARDS
    }
    committed: dict[int, Committed] = {}
    worker = Worker(world.join()).start(*SHARDS)

    for number, (action, *given_) in enumerate(life):
        match action, given_:
            case "append", [str(topic), int(shard), list(new)]:
                log.append([(topic, shard, record(text)) for text in new])
                written[topic, shard] += new
            case "commit", [str(role), int(shard), list(new)]:
                positions = {topic: worker.position.get((shard, topic), 0) for topic in INPUTS}
                outputs = [(role, record(text)) for text in new]
                worker.transport.commit([step(shard, outputs, str(number), **positions)])
                written[role, shard] += new
                committed[shard] = Committed(positions, str(number))
            case "fetch", [int(max_records)]:
                worker.poll(0.02, max_records)
            case "death", []:
                world.kill(worker.transport)
                worker = Worker(world.join()).start(*SHARDS)

    worker.drain(*SHARDS)
    for (name, partition), expected in written.items():
        expect(log, name, partition, expected)
        if name in INPUTS:
            assert values(worker.records[partition, name]) == expected
    for partition in SHARDS:
        assert log.committed(partition) == committed.get(partition)
