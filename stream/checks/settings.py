"""Whether the topics' settings are those that their roles need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from consumers.inspection import Inspection
from consumers.transport import INPUTS, MAX_AHEAD_MS, OUTPUTS, STATUS, TOPICS
from stream.checks.finding import Finding, listed, span

# A worker sends batches of up to this; a lower limit of a topic refuses them.
BATCH_BYTES: Final = 262_144
# What a broker takes by default, and so the largest event that driftline takes.
RECORD_BYTES: Final = 1_000_000

Settings = Mapping[str, Mapping[str, str]]

_ALTER: Final = (
    "kafka-configs.sh --bootstrap-server HOST:PORT --alter --entity-type topics "
    "--entity-name TOPIC --add-config "
)


def check_settings(cluster: Inspection) -> Iterator[Finding]:
    """The settings by role, of the topics that are there.

    How long inputs have to be kept depends on the snapshots: `stream/checks/retention.py`.
    """
    topics, settings = cluster.topics(), cluster.settings()
    if not topics:
        return
    hidden = [topic.name for role, topic in topics.items() if role not in settings]
    if hidden:
        yield Finding(
            "settings",
            "warning",
            f"this user may not read the settings of {listed(hidden)}, so they are not checked",
            "allow DESCRIBE_CONFIGS on them",
        )
    known = {role: settings[role] for role in TOPICS if role in topics and role in settings}
    well = True
    for told in (_compacted, _forgotten, _by_size, _status, _sizes, _ahead):
        for finding in told(cluster.names, known):
            well = False
            yield finding
    if well and not hidden:
        yield Finding("settings", "ok", "each topic is kept, and takes what its role needs")


def _compacted(names: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    found = [
        names[role]
        for role in (*INPUTS, *OUTPUTS)
        if "compact" in settings.get(role, {}).get("cleanup.policy", "")
    ]
    if found:
        yield Finding(
            "settings",
            "problem",
            f"compaction keeps only the newest record of each key in {listed(found)}: a replay "
            "comes out differently",
            f"{_ALTER}cleanup.policy=delete",
        )


def _forgotten(names: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    """Journal and commands tell of versions and rollbacks for as long as they reach back."""
    for role in ("journal", "commands"):
        kept_ms = retention_ms(settings.get(role, {}))
        if kept_ms is not None:
            yield Finding(
                "settings",
                "warning",
                f"{names[role]} is kept for {span(kept_ms)}: then versions, rollbacks and who "
                "ordered them are forgotten",
                f"{_ALTER}retention.ms=-1",
            )


def retention_ms(settings: Mapping[str, str]) -> int | None:
    """For how long a topic's records are kept; None for ever."""
    if "delete" not in settings.get("cleanup.policy", ""):
        return None
    kept_ms = int(settings["retention.ms"])
    return None if kept_ms < 0 else kept_ms


def _by_size(names: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    found = [
        f"{names[role]} ({int(said['retention.bytes']):,} bytes)"
        for role, said in settings.items()
        if role in (*INPUTS, "journal")
        and "delete" in said["cleanup.policy"]
        and int(said["retention.bytes"]) >= 0
    ]
    if found:
        yield Finding(
            "settings",
            "warning",
            f"records are deleted by size, whatever a replay still needs, from {listed(found)}: a "
            "burst is enough",
            f"{_ALTER}retention.bytes=-1, and keep it by time",
        )


def _status(names: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    said = settings.get(STATUS)
    if said is not None and said["cleanup.policy"] != "compact":
        yield Finding(
            "settings",
            "warning",
            f"{names[STATUS]} is not compacted but {said['cleanup.policy']}: it grows, or forgets "
            "the newest status of a shard",
            f"{_ALTER}cleanup.policy=compact",
        )


def _sizes(names: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    limits = {role: int(said["max.message.bytes"]) for role, said in settings.items()}
    low = [f"{names[role]} ({at:,})" for role, at in limits.items() if at < BATCH_BYTES]
    if low:
        yield Finding(
            "settings",
            "problem",
            f"max.message.bytes is lower than the {BATCH_BYTES:,} of a batch for {listed(low)}: "
            "writes are refused, and the service stops",
            f"{_ALTER}max.message.bytes=1048588",
        )
    tight = [
        f"{names[role]} ({limits[role]:,})"
        for role in OUTPUTS
        if BATCH_BYTES <= limits.get(role, BATCH_BYTES - 1) < RECORD_BYTES
    ]
    if tight:
        yield Finding(
            "settings",
            "warning",
            f"max.message.bytes is lower than the {RECORD_BYTES:,} that an event may have for "
            f"{listed(tight)}: the dead letter of a large one is refused",
            f"{_ALTER}max.message.bytes=1048588",
        )


def _ahead(names: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    """One record stamped a year ahead would move the shard's clock by a year, and end every wait.

    Older brokers have another name for the bound, and none by default.
    """
    found = []
    for role in INPUTS:
        said = settings.get(role)
        if said is None or said["message.timestamp.type"] == "LogAppendTime":
            continue
        bound = said.get("message.timestamp.after.max.ms") or said.get(
            "message.timestamp.difference.max.ms"
        )
        if bound is not None and int(bound) > MAX_AHEAD_MS:
            found.append(names[role])
    if found:
        yield Finding(
            "settings",
            "warning",
            f"records stamped more than {span(MAX_AHEAD_MS)} ahead are taken by {listed(found)}: "
            "one such record moves the clock, and ends the wait for every label",
            f"{_ALTER}message.timestamp.after.max.ms={MAX_AHEAD_MS}",
        )
