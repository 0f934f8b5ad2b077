"""What a cluster says of itself to whoever looks for what is wrong: facts, and no judgement.

Only a log on brokers has an inspection. It changes nothing, and belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

WORKER: Final = "a worker"
"""Who needs a right without which the service does not run."""


class BrokerFacts(NamedTuple):
    """One broker; `lacks` is what it is too old for, in words; of one that is `away` no more is
    known."""

    number: int
    address: str
    version: str
    lacks: tuple[str, ...] = ()
    away: bool = False


class PartitionFacts(NamedTuple):
    """How many copies a partition has, and how many of them are up to date; `led` if any leads."""

    partition: int
    replicas: int
    in_sync: int
    led: bool


class TopicFacts(NamedTuple):
    """A topic by its name on the broker; one that is `hidden` from this user may not be there."""

    name: str
    partitions: tuple[PartitionFacts, ...] = ()
    hidden: bool = False


class Right(NamedTuple):
    """An operation on a resource, and who needs it; a name that ends in * is a prefix."""

    operation: str
    kind: str
    name: str
    needed_by: str


class OpenTransaction(NamedTuple):
    """What keeps readers of a partition from `start` on.

    Times in milliseconds. Without `transactional_id` no coordinator has told of it: it is lost, or
    this user may not hear of it; then `began_ms` is the stamp of its newest record.
    """

    topic: str
    name: str
    partition: int
    start: int
    end: int
    producer_id: int
    transactional_id: str | None = None
    began_ms: int | None = None
    timeout_ms: int | None = None


class MemberFacts(NamedTuple):
    """A member of the service's group: `instance` is its static name, `subscribed` the broker's
    names of its topics, `holds` the partitions of each that it has."""

    client: str
    host: str
    instance: str | None
    subscribed: frozenset[str]
    holds: Mapping[str, frozenset[int]]


class GroupFacts(NamedTuple):
    """The service's group; `state` and `protocol` in the broker's words."""

    name: str
    state: str
    protocol: str
    members: tuple[MemberFacts, ...]


class Inspection(Protocol):
    """A cluster, for one service; each method raises `LogUnavailableError` where it gets no answer
    or none is allowed."""

    @property
    def names(self) -> Mapping[str, str]:
        """Role → the broker's name for its topic."""
        ...

    def brokers(self) -> list[BrokerFacts]:
        """The brokers of the cluster."""
        ...

    def topics(self) -> dict[str, TopicFacts]:
        """Role → its topic, of those that are there or hidden from this user."""
        ...

    def internal_topics(self) -> list[TopicFacts]:
        """Where the brokers keep positions and transactions, as far as this user may see them."""
        ...

    def settings(self) -> dict[str, dict[str, str]]:
        """Role → the settings in force for its topic, of those that this user may read."""
        ...

    def missing_rights(self) -> list[Right]:
        """What this user may not do, of all that the service and its commands need."""
        ...

    def open_transactions(self) -> list[OpenTransaction]:
        """What keeps readers from the newest records of the inputs and of the journal."""
        ...

    def group(self) -> GroupFacts:
        """The workers, as the group's coordinator knows them."""
        ...

    def close(self) -> None:
        """Gives everything back; never raises."""
        ...
