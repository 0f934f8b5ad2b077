"""What a user has to be allowed on the cluster, and how to find out without doing it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from kafka import errors as kafka_errors
from kafka.protocol.consumer import HeartbeatRequest
from kafka.protocol.metadata import CoordinatorType
from kafka.protocol.producer import EndTxnRequest

from consumers.inspection import WORKER, Right
from consumers.transport import INPUTS, OUTPUTS, TOPICS
from consumers.transports.kafka.client import patiently
from consumers.transports.kafka.topics import HIDDEN

WRITERS: Final = "whoever writes events or labels, such as `ingest` and `dead-letters redrive`,"
DOCTOR: Final = "`doctor`"


def needed(service: str, names: Mapping[str, str]) -> Iterator[Right]:
    """Every right that the service or one of its commands needs."""
    for role in TOPICS:
        yield Right("DESCRIBE", "topic", names[role], WORKER)
    for role in (*INPUTS, *OUTPUTS):
        yield Right("READ", "topic", names[role], WORKER)
    for role in ("commands", *OUTPUTS):
        yield Right("WRITE", "topic", names[role], WORKER)
    for role in ("events", "labels"):
        yield Right("WRITE", "topic", names[role], WRITERS)
    for role in TOPICS:
        yield Right("DESCRIBE_CONFIGS", "topic", names[role], DOCTOR)
    yield Right("READ", "group", service, WORKER)
    yield Right("WRITE", "transactional id", f"{service}-*", WORKER)


def missing(admin: Any, service: str, names: Mapping[str, str]) -> list[Right]:
    """The needed rights that this user lacks. A topic that is not there is asked about too."""
    allowed = _allowed_on_topics(admin, names)
    tried = {
        "group": lambda: _may_read_group(admin, service),
        "transactional id": lambda: _may_write_transactions(admin, service),
    }
    return [
        right
        for right in needed(service, names)
        if not (
            right.operation in allowed[right.name] if right.kind == "topic" else tried[right.kind]()
        )
    ]


def _allowed_on_topics(admin: Any, names: Mapping[str, str]) -> dict[str, Collection[str]]:
    """The operations allowed on each topic; all, where a broker is too old to say."""
    found: dict[str, Collection[str]] = {}
    for topic in admin.describe_topics(list(names.values())):
        if topic["error_code"] == HIDDEN:
            found[topic["name"]] = ()
        else:
            said = topic["authorized_operations"]
            found[topic["name"]] = _EVERYTHING if said is None else said
    return found


_EVERYTHING: Final = frozenset({"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"})


def _may_read_group(admin: Any, service: str) -> bool:
    """Sends the heartbeat of a member that there is not: refused either way, for one of two
    reasons. A group without members says nothing of rights by itself."""
    beat = HeartbeatRequest(group_id=service, generation_id=0, member_id="driftline-doctor")
    return _is_let(admin, service, CoordinatorType.GROUP, beat)


def _may_write_transactions(admin: Any, service: str) -> bool:
    """Asks to end the transaction of a producer that there is not: likewise."""
    name = f"{service}-doctor"
    end = EndTxnRequest(transactional_id=name, producer_id=0, producer_epoch=0, committed=False)
    return _is_let(admin, name, CoordinatorType.TRANSACTION, end)


def _is_let(admin: Any, name: str, kind: Any, request: Any) -> bool:
    refused = (
        kafka_errors.GroupAuthorizationFailedError,
        kafka_errors.TransactionalIdAuthorizationFailedError,
    )

    async def ask() -> int:
        coordinators = await admin._find_coordinator_ids([name], key_type=kind)
        response = await admin._manager.send(request, node_id=coordinators[name])
        return int(response.error_code)

    try:
        code = patiently(lambda: admin._manager.run(ask))
    except refused:
        return False
    return code not in {error.errno for error in refused}
