"""A service's topics on a broker: their names and settings, and that they are as they must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kafka import errors as kafka_errors

from consumers.errors import PartitionCountError, SettingsError, TopicsMissingError
from consumers.transport import INPUTS, MAX_AHEAD_MS, STATUS, TOPICS

# Nothing goes before driftline trims it: recovery needs the log from its last snapshot on.
_KEPT: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_OF_INPUTS: Final = _KEPT | {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": str(MAX_AHEAD_MS),
}
_OF_STATUS: Final = {"cleanup.policy": "compact"}

REPLICAS: Final = 3
_SAFE: Final = {"min.insync.replicas": "2"}

HIDDEN: Final = kafka_errors.TopicAuthorizationFailedError.errno
"""What the broker says of a topic that this user may not see, whether it is there or not."""


def real_names(service: str, topics: Mapping[str, str]) -> dict[str, str]:
    """Role → the broker's name for its topic; raises `SettingsError` for one name of two roles."""
    names = {role: topics.get(role, f"{service}.{role}") for role in TOPICS}
    for name in names.values():
        roles = [role for role in TOPICS if names[role] == name]
        if len(roles) > 1:
            raise SettingsError(
                f"each role has a topic of its own, but {' and '.join(roles)} have {name}",
                "give one of them another name under `topics:`",
            )
    return names


def create(admin: Any, names: Mapping[str, str], partitions: int) -> None:
    """Makes the topics that are missing; raises `PartitionCountError` where others do not fit.

    On three brokers or more each record lies on three, two of which have it before it counts: one
    of them can be lost, and the service goes on. On fewer it is as the brokers have it by default.
    """
    counts = _counts(admin, names)
    _require_equal(counts, names, partitions)
    is_replicated = len(admin.describe_cluster()["brokers"]) >= REPLICAS
    missing = {
        names[role]: {
            "num_partitions": partitions,
            "replication_factor": REPLICAS if is_replicated else -1,
            "configs": _settings(role) | (_SAFE if is_replicated else {}),
        }
        for role in TOPICS
        if role not in counts
    }
    if missing:
        try:
            admin.create_topics(missing, wait_for_metadata=True)
        except kafka_errors.TopicAlreadyExistsError:
            # Somebody else made some of them just now.
            create(admin, names, partitions)


def delete(admin: Any, names: Mapping[str, str]) -> None:
    """Deletes those of the topics that there are."""
    there = [names[role] for role in _counts(admin, names)]
    if there:
        admin.delete_topics(there)


def count(admin: Any, names: Mapping[str, str]) -> int:
    """The partitions of each topic; raises `TopicsMissingError` and `PartitionCountError`."""
    counts = _counts(admin, names)
    missing = [names[role] for role in TOPICS if role not in counts]
    if missing:
        raise TopicsMissingError(f"the broker has no {', '.join(missing)}")
    _require_equal(counts, names, counts[INPUTS[0]])
    return counts[INPUTS[0]]


def identities(admin: Any, names: Mapping[str, str]) -> dict[str, str]:
    """Role → the id that the broker gave its topic when it was made; of the inputs."""
    roles = {names[role]: role for role in INPUTS}
    return {
        roles[topic["name"]]: str(topic["topic_id"]) for topic in admin.describe_topics(list(roles))
    }


def _require_equal(counts: Mapping[str, int], names: Mapping[str, str], partitions: int) -> None:
    other = [f"{names[role]} has {count}" for role, count in counts.items() if count != partitions]
    if other:
        raise PartitionCountError(
            f"all topics have {partitions} partitions, for ever; {', '.join(other)}",
            "make topics under another `name:` and begin there from the old snapshots: "
            "driftline topics create --from",
        )


def _counts(admin: Any, names: Mapping[str, str]) -> dict[str, int]:
    """Role → partitions, of the topics that exist.

    Raises the client's error for those that this user may not see: nobody tells it whether they
    are there.
    """
    roles = {name: role for role, name in names.items()}
    found = admin.describe_topics(list(names.values()))
    hidden = [topic["name"] for topic in found if topic["error_code"] == HIDDEN]
    if hidden:
        raise kafka_errors.TopicAuthorizationFailedError(", ".join(hidden))
    return {
        roles[topic["name"]]: len(topic["partitions"])
        for topic in found
        if topic["error_code"] == kafka_errors.NoError.errno
    }


def _settings(role: str) -> dict[str, str]:
    if role == STATUS:
        return _OF_STATUS
    return _OF_INPUTS if role in INPUTS else _KEPT
