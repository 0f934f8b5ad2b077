"""The journal: one entry a step, the authority on what happened.

An entry holds everything that is not in the inputs and yet influences what a shard computes, and
the running digest after the step. Entry 0 founds the journal: which service, how many partitions,
from which positions, under which configuration and engines.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from consumers.record import NewRecord, Record
from consumers.transport import Log
from stream.errors import ForeignJournalError, JournalError
from stream.shard.parts import Standing

FORMAT = 1
TOPIC = "journal"
NEW_JOURNAL = (
    "begin a new journal that starts from the old one's snapshots: driftline topics create --from"
)
VERSION = importlib.metadata.version("driftline")
RIVER = importlib.metadata.version("river")


def engines() -> dict[str, str]:
    """The versions that decide what a model computes."""
    return {"python": platform.python_version(), "river": RIVER, "driftline": VERSION}


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of one shard.

    `left_out` are the updates of the learner that failed and were not made; `standing` stands where
    the shard has halted or goes on, or its learner has.

    `accepted` stands where the state is that of a replay which came out differently: from which
    entry on, both digests there, and the updates that failed in it (`stream/shard/divergence.py`).

    `start` and `end` are the half-open ranges of every input. `published` and `retired` name
    snapshots by id; `configuration` and `engines` stand only where they changed. `digest` is the
    running digest after the step, in hex.
    """

    journal: str
    sequence: int
    start: dict[str, int]
    end: dict[str, int]
    digest: str
    tick_ms: int | None = None
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    standing: Standing | None = None
    published: list[dict[str, Any]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    configuration: dict[str, Any] | None = None
    engines: dict[str, str] | None = None
    founding: dict[str, Any] | None = None
    accepted: dict[str, Any] | None = None

    def encode(self) -> NewRecord:
        """The entry as a record of the journal topic; fields that say nothing are left out."""
        body = {"format": FORMAT} | {
            name: value for name, value in asdict(self).items() if value not in (None, [])
        }
        return NewRecord(orjson.dumps(body))

    @classmethod
    def decode(cls, record: Record) -> Entry:
        """The entry in a record of the journal topic; JournalError if it is none, or of a newer
        format."""
        where = f"journal partition {record.partition} offset {record.offset}"
        try:
            body = orjson.loads(record.value or b"")
            written = body.pop("format")
            if written > FORMAT:
                raise JournalError(
                    f"{where} has format {written}; this driftline reads up to {FORMAT}",
                    "run the newer driftline that wrote it",
                )
            return cls(**body)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise JournalError(
                f"{where} is no journal entry: {error}",
                "the topic was written by something else; point `topics:` or `log:` elsewhere",
            ) from error


def founding_entry(
    journal: str,
    service: str,
    log: Log,
    positions: dict[str, int],
    digest: str,
    configuration: dict[str, Any],
    *,
    origin: dict[str, Any] | None = None,
    **more: Any,
) -> Entry:
    """Entry 0 of a new journal, which starts reading its inputs at `positions`.

    `origin` names the state that it starts from, where that is not a fresh one; `more` are other
    fields of the entry.
    """
    founding: dict[str, Any] = {
        "service": service,
        "partitions": log.partitions(),
        "topics": log.identities(),
    }
    return Entry(
        journal=journal,
        sequence=0,
        start=positions,
        end=positions,
        digest=digest,
        configuration=configuration,
        engines=engines(),
        founding=founding if origin is None else founding | {"origin": origin},
        **more,
    )


def check_founding(entry: Entry, service: str, log: Log) -> None:
    """Refuses the journal of another service, of another partition count or of other topics."""
    if entry.founding is None:
        raise JournalError(
            f"the journal begins with entry {entry.sequence}, not with its founding entry",
            "restore the journal topic from its beginning",
        )
    founded = entry.founding
    if founded["service"] != service:
        raise ForeignJournalError(
            f"the journal belongs to the service {founded['service']!r}, not to {service!r}",
            "point `log:` at this service's own log, or change `name:`",
        )
    partitions = log.partitions()
    if founded["partitions"] != partitions:
        raise ForeignJournalError(
            f"the journal is of {founded['partitions']} partitions; the log has {partitions}",
            f"the partition count is fixed for ever: {NEW_JOURNAL}",
        )
    identities = log.identities()
    for role, identity in founded["topics"].items():
        if identities.get(role) != identity:
            raise ForeignJournalError(
                f"the topic of {role} was deleted and made again since the journal was founded: "
                "its offsets name other records now",
                NEW_JOURNAL,
            )


def check_from_nothing(first: Entry, shard: int) -> None:
    """Refuses to replay a journal from a fresh state: one that has lost its beginning, or that
    began with a state of another."""
    if first.sequence != 0:
        raise JournalError(
            f"no valid snapshot of shard {shard} is left, and its journal begins with entry "
            f"{first.sequence}",
            "restore the snapshots' folder or bucket from a backup",
        )
    origin = (first.founding or {}).get("origin")
    if origin is not None:
        raise JournalError(
            f"no valid snapshot of shard {shard} is left, and its journal began with the state of "
            f"the service {origin['service']!r}, of which the first snapshot is gone too",
            "restore the snapshots' folder or bucket from a backup",
        )


def note_of(journal: str, sequence: int) -> str:
    """What stands beside the committed positions: the journal, and its last entry."""
    return orjson.dumps({"journal": journal, "sequence": sequence}).decode()


def read(log: Log, shard: int, start: int, end: int) -> Iterator[Entry]:
    """The entries of a shard's journal at offsets [start, end)."""
    for record in log.read(TOPIC, shard, start, end):
        yield Entry.decode(record)


def last(log: Log, shard: int, begin: int, end: int) -> Entry | None:
    """The last entry before offset `end`; None in an empty journal."""
    record = last_record(log, shard, begin, end)
    return None if record is None else Entry.decode(record)


def last_record(log: Log, shard: int, begin: int, end: int) -> Record | None:
    """The record of the last entry before offset `end`; None in an empty journal.

    Control records may follow the last entry, so a window before the end is read, and doubled until
    it holds one.
    """
    window = 8
    while True:
        start = max(begin, end - window)
        records = list(log.read(TOPIC, shard, start, end))
        if records or start <= begin:
            return records[-1] if records else None
        window *= 2
