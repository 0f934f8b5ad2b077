"""What a cluster says of itself, asked by the client and told in this package's words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.protocol.api_key import ApiKey

from consumers.errors import LogUnavailableError
from consumers.inspection import (
    BrokerFacts,
    GroupFacts,
    MemberFacts,
    OpenTransaction,
    PartitionFacts,
    Right,
    TopicFacts,
)
from consumers.kafka_settings import KafkaSettings
from consumers.transports.kafka import hanging, rights
from consumers.transports.kafka import topics as service_topics
from consumers.transports.kafka.client import (
    admin,
    close_quietly,
    cluster,
    patiently,
    translated,
)

_NOBODY: Final = "Dead"
_INTERNAL: Final = ("__consumer_offsets", "__transaction_state")

# The request, the least version of it, and what that gives, with the first Kafka that has it.
_NEEDED: Final = (
    (ApiKey.JoinGroup, 5, "static members (Kafka 2.3)"),
    (ApiKey.OffsetFetch, 7, "positions that wait for a transaction's end (Kafka 2.5)"),
    (ApiKey.TxnOffsetCommit, 3, "commits that are refused to who lost the shard (Kafka 2.5)"),
)


class KafkaInspection:
    """A cluster, asked over one connection; it connects when it has to."""

    def __init__(
        self,
        bootstrap: str,
        service: str,
        topics: Mapping[str, str],
        settings: KafkaSettings | None = None,
    ) -> None:
        self._at = cluster(bootstrap, settings)
        self._service = service
        self._names = service_topics.real_names(service, topics)
        self._admin: Any = None

    @property
    def names(self) -> Mapping[str, str]:
        return self._names

    def brokers(self) -> list[BrokerFacts]:
        with translated(self._at):
            described = patiently(self._connected().describe_cluster)
            return [self._broker(found) for found in described["brokers"]]

    def _broker(self, found: Mapping[str, Any]) -> BrokerFacts:
        number, address = found["broker_id"], f"{found['host']}:{found['port']}"
        away = BrokerFacts(number, address, "", away=True)
        if found.get("is_fenced"):
            return away
        try:
            said = self._connected().get_broker_version_data(number)
        except kafka_errors.KafkaConnectionError:
            # It died just now, or this machine cannot reach that one alone.
            return away
        version = ".".join(str(part) for part in said.broker_version)
        return BrokerFacts(number, address, version, lacks(said.api_versions))

    def topics(self) -> dict[str, TopicFacts]:
        with translated(self._at):
            roles = {name: role for role, name in self._names.items()}
            return {roles[topic.name]: topic for topic in self._topics(list(roles))}

    def internal_topics(self) -> list[TopicFacts]:
        with translated(self._at):
            return self._topics(_INTERNAL)

    def _topics(self, names: Any) -> list[TopicFacts]:
        found = patiently(partial(self._connected().describe_topics, list(names)))
        seen = (kafka_errors.NoError.errno, service_topics.HIDDEN)
        return [_topic(one) for one in found if one["error_code"] in seen]

    def settings(self) -> dict[str, dict[str, str]]:
        with translated(self._at):
            topics = [
                ConfigResource(ConfigResourceType.TOPIC, name) for name in self._names.values()
            ]
            described = partial(self._connected().describe_configs, topics, config_filter="all")
            found = patiently(described)["topic"]
        return {
            role: {setting: said["value"] for setting, said in found[name].items()}
            for role, name in self._names.items()
            if found.get(name)
        }

    def missing_rights(self) -> list[Right]:
        with translated(self._at):
            ask = partial(rights.missing, self._connected(), self._service, self._names)
            return patiently(ask)

    def open_transactions(self) -> list[OpenTransaction]:
        with translated(self._at):
            ask = partial(hanging.open_transactions, self._connected(), self._names)
            return patiently(ask)

    def group(self) -> GroupFacts:
        with translated(self._at):
            client = self._connected()

            def described() -> Any:
                found = client.describe_groups([self._service])[self._service]
                # Before anybody joined there is none, which newer brokers call an error.
                if found["error"] is not None and found["group_state"] != _NOBODY:
                    # The client gives it as text; one that is loading will answer soon.
                    is_passing = "Coordinator" in found["error"]
                    kind = kafka_errors.CoordinatorNotAvailableError
                    raise (kind if is_passing else kafka_errors.UnknownError)(found["error"])
                return found

            try:
                found = patiently(described)
            except kafka_errors.BrokerResponseError as error:
                raise LogUnavailableError(
                    f"the coordinator of the group {self._service} does not answer: {error}",
                    "look at the brokers' logs",
                ) from error
        return GroupFacts(
            self._service,
            found["group_state"],
            found["protocol_data"],
            tuple([_member(member) for member in found["members"]]),
        )

    def close(self) -> None:
        if self._admin is not None:
            close_quietly(self._admin)
            self._admin = None

    def _connected(self) -> Any:
        if self._admin is None:
            self._admin = admin(self._at)
        return self._admin


def lacks(api_versions: Mapping[int, tuple[int, int]]) -> tuple[str, ...]:
    """What a broker with these oldest and newest versions of requests is too old for."""
    newest = {key: versions[1] for key, versions in api_versions.items()}
    return tuple([what for key, least, what in _NEEDED if newest.get(int(key), -1) < least])


def _topic(found: Mapping[str, Any]) -> TopicFacts:
    if found["error_code"] == service_topics.HIDDEN:
        return TopicFacts(found["name"], hidden=True)
    return TopicFacts(
        found["name"],
        tuple(
            [
                PartitionFacts(
                    partition["partition_index"],
                    len(partition["replica_nodes"]),
                    len(partition["isr_nodes"]),
                    partition["leader_id"] >= 0,
                )
                for partition in sorted(
                    found["partitions"], key=lambda partition: int(partition["partition_index"])
                )
            ]
        ),
    )


def _member(found: Mapping[str, Any]) -> MemberFacts:
    """Of a member that is still joining, or that speaks no consumer's protocol, less is known."""
    subscription, assignment = found["member_metadata"], found["member_assignment"]
    subscribed = subscription["topics"] if isinstance(subscription, Mapping) else ()
    assigned = assignment["assigned_partitions"] if isinstance(assignment, Mapping) else ()
    return MemberFacts(
        found["client_id"],
        found["client_host"].lstrip("/"),
        found["group_instance_id"],
        frozenset(subscribed),
        {one["topic"]: frozenset(one["partitions"]) for one in assigned},
    )
