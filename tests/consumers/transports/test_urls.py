"""A log is named by a URL."""

import pytest

from consumers.errors import LogUnavailableError, SettingsError, TopicsMissingError
from consumers.transports import open_log, open_transport


@pytest.mark.parametrize("url", ["", "flights.db", "sqlite:", "kafka:", "kafka://", "redis://x"])
def test_a_url_of_no_log_is_refused_with_those_there_are(url: str) -> None:
    for opening in (open_log, open_transport):
        with pytest.raises(SettingsError, match=r"memory:.*sqlite:PATH.*kafka://") as caught:
            opening(url, "flights")
        assert caught.value.hint is not None


def test_only_roles_can_be_renamed() -> None:
    with pytest.raises(SettingsError, match="not metrics"):
        open_log("memory:", "flights", {"metrics": "other"})


def test_two_roles_cannot_share_a_topic() -> None:
    with pytest.raises(SettingsError, match="events and labels"):
        open_log("kafka://127.0.0.1:9", "flights", {"events": "flights.labels"})


def test_a_memory_log_is_joined_with_its_topics() -> None:
    transport = open_transport("memory:", "flights")

    assert transport.partitions() == 1
    with pytest.raises(TopicsMissingError):
        open_log("memory:", "flights").partitions()


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("127.0.0.1:9", "127.0.0.1:9: Connection refused"),
        ("localhost", "localhost is not HOST:PORT"),
        ("127.0.0.1:9,no-port:", "Connection refused, no-port: is not HOST:PORT"),
    ],
)
def test_a_broker_that_does_not_answer_is_said_to(address: str, problem: str) -> None:
    for use in (
        open_log(f"kafka://{address}", "flights").partitions,
        lambda: open_transport(f"kafka://{address}", "flights"),
    ):
        with pytest.raises(LogUnavailableError, match=problem) as caught:
            use()
        assert caught.value.hint is not None
