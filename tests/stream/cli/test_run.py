"""`driftline run`: what is refused before anything runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from consumers.transports import open_transport
from tests.stream.cli.calls import Driftline


@pytest.mark.parametrize("log", ["sqlite:var/shop.db", "memory:"])
def test_several_workers_need_a_log_on_kafka(
    driftline: Driftline, config: Callable[..., Path], log: str
):
    error, hint = driftline("run", config(log=log), "--workers", 2).refusal()

    assert error == f"--workers needs a log on Kafka; one on {log} has one worker"
    assert hint == "set `log: kafka://HOST:PORT`, or leave --workers out"
    assert not Path("var").exists()


def test_ports_that_there_are_not_are_refused(driftline: Driftline, config: Callable[..., Path]):
    path = config(log="kafka://127.0.0.1:1", log_partitions=3, metrics={"port": 65_534})

    error, hint = driftline("run", path, "--workers", 3).refusal()

    assert error == "3 workers need as many ports from `metrics.port` on, and that is 65534"
    assert hint == "set a `metrics.port` of 65533 or less"


def test_brokers_that_cannot_be_reached_are_said_once_and_no_worker_is_started(
    driftline: Driftline, config: Callable[..., Path]
):
    said = driftline("run", config(log="kafka://127.0.0.1:1", log_partitions=2), "--workers", 2)

    assert said.refusal()[0].startswith("Kafka cannot be reached: 127.0.0.1:1: ")


def test_a_worker_where_another_one_has_the_log_has_an_exit_code_of_its_own(
    driftline: Driftline, config: Callable[..., Path]
):
    # given a worker that has the log
    path = config()
    driftline("topics", "create", "-c", path)
    holder = open_transport("sqlite:var/shop.db", "shop")

    # when another one is started
    said = driftline("run", path)
    holder.close()

    # then it says so, by its exit code too
    assert said.code == 4
    assert said.err.startswith("error: ")
