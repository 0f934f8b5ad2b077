"""Whether somebody's transaction keeps the shards from their newest records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from consumers.errors import LogError
from consumers.inspection import Inspection, OpenTransaction
from stream.checks.finding import Finding, span

# A broker ends a transaction that is past its time-out, and looks for such every ten seconds.
GRACE_MS: Final = 30_000
# The longest time-out that a broker grants by default.
LONGEST_MS: Final = 900_000
# Shorter ones are everyday, and a worker's own are among them.
_EVERYDAY_MS: Final = 60_000

_FIND = "kafka-transactions.sh --bootstrap-server HOST:PORT find-hanging --broker-id ID"


def check_transactions(cluster: Inspection, now_ms: int) -> Iterator[Finding]:
    """What stays open for long, on the inputs and the journal."""
    try:
        found = cluster.open_transactions()
    except LogError as error:
        yield Finding(
            "transactions",
            "warning",
            f"whether a transaction hangs cannot be found out: {error}",
            f"allow DESCRIBE on the transactional ids, or ask by hand: {_FIND}",
        )
        return
    told = [finding for one in found for finding in _judge(one, now_ms)]
    yield from told
    if not told:
        yield Finding("transactions", "ok", "none keeps the shards from their newest records")


def _judge(one: OpenTransaction, now_ms: int) -> Iterator[Finding]:
    age_ms = 0 if one.began_ms is None else now_ms - one.began_ms
    timeout_ms = LONGEST_MS if one.timeout_ms is None else one.timeout_ms
    whose = f"producer {one.producer_id}" + (
        "" if one.transactional_id is None else f" ({one.transactional_id})"
    )
    where = f"{one.name}-{one.partition}"
    waits = f"shard {one.partition} gets nothing of {one.topic} from offset {one.start} on"
    if age_ms > timeout_ms + GRACE_MS:
        unknown = ", and no coordinator tells of it" if one.transactional_id is None else ""
        yield Finding(
            "transactions",
            "problem",
            f"{waits}: a transaction of {whose} in {where} hangs since {span(age_ms)}, longer "
            f"than its time-out of {span(timeout_ms)}{unknown}",
            f"stop its producer, then: kafka-transactions.sh --bootstrap-server HOST:PORT abort "
            f"--topic {one.name} --partition {one.partition} --start-offset {one.start}",
        )
    elif age_ms > _EVERYDAY_MS:
        yield Finding(
            "transactions",
            "warning",
            f"{waits}: a transaction of {whose} in {where} is open since {span(age_ms)}; the "
            f"broker ends it after {span(timeout_ms)}",
            "let producers of events and labels end their transactions within seconds",
        )
