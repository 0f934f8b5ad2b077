"""The transport: records in, outputs and positions out, exactly once. One protocol, three logs.

`Log` is what any process may do beside a worker: read, append, create, trim. `Transport` adds one
worker's transactional view. Both are opened by `consumers.transports`; the same conformance suite
holds for memory, SQLite and Kafka, and nothing outside `consumers/transports` can tell them apart.

A log or transport belongs to one thread; only `interrupt` may be called from another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from consumers.record import NewRecord, Record

INPUTS = ("events", "labels", "commands")
OUTPUTS = ("predictions", "alerts", "dead-letters", "journal")
STATUS = "status"
TOPICS = (*INPUTS, *OUTPUTS, STATUS)

MAX_AHEAD_MS = 3_600_000
"""An input's record stamped further ahead of the log's clock than this is refused."""

MAX_NOTE_BYTES = 4_096
"""The longest note, in UTF-8: Kafka's default offset.metadata.max.bytes."""


class Committed(NamedTuple):
    """What a shard last committed: the next offset of every input, and the note beside them."""

    positions: dict[str, int]
    note: str


class InputBatch(NamedTuple):
    """New records of one input of one shard, in offset order, as tuples of the log.

    `position` is the next offset to fetch after these records; it jumps over gaps. `end` is the
    partition's committed end, read after the records of *all* inputs: `position <= end` always, and
    `position == end` says that nothing older than any record of this poll is left to fetch.
    """

    records: Sequence[Record]
    position: int
    end: int


class Polled(NamedTuple):
    """What one poll brought: shard → input → batch, and the shards gained and lost since the last.

    Every input of every started shard has a batch, also one without new records. A shard both lost
    and gained anew stands in both, and has to be started again. While `rebalancing`, it is open who
    gets what was lost: it may be gained again by a later poll.
    """

    inputs: dict[int, dict[str, InputBatch]]
    gained: tuple[int, ...]
    lost: tuple[int, ...]
    rebalancing: bool = False


class StepCommit(NamedTuple):
    """One shard's part of a commit.

    `outputs` are pairs of role and record; all go to partition `shard` of their topic, and keep
    their order within a role. `positions` holds the next offset of *every* input. `note` is at
    most `MAX_NOTE_BYTES` long.
    """

    shard: int
    outputs: Sequence[tuple[str, NewRecord]]
    positions: Mapping[str, int]
    note: str


class Log(Protocol):
    """The topics of one service, as any process may use them beside its workers.

    Only committed records are ever seen. Every method raises `LogUnreadableError` for something
    that is not this service's log, `LogUnavailableError` where it cannot be reached, and, but for
    `create_topics` and `close`, `TopicsMissingError` before the topics were created. A method that
    raised has changed nothing (`CommitUnknownError` excepted), and a log may be used on after it.
    """

    @property
    def visible_within_s(self) -> float:
        """How long after a commit the last of its parts can be read; 0 where it is all at once."""
        ...

    def create_topics(self, partitions: int) -> None:
        """Creates all topics with `partitions` partitions each; the count is fixed for ever.

        Does nothing if they exist with that count; raises `PartitionCountError` with any other.
        """
        ...

    def partitions(self) -> int:
        """The partitions of each topic; `PartitionCountError` if the inputs' counts differ."""
        ...

    def identities(self) -> dict[str, str]:
        """What tells each topic from another one of its name; empty where names are enough.

        A topic that is deleted and made again has another identity, since its offsets start anew.
        """
        ...

    def append(self, records: Sequence[tuple[str, int, NewRecord]]) -> list[int]:
        """Writes records to (role, partition), all or nothing, and gives their offsets in order.

        They can be read on return. An input's record stamped over `MAX_AHEAD_MS` ahead raises
        `RecordRefusedError`. Stamps that the log gives never go back within a partition; those of
        the writer are kept as they are.
        Records of `status` have keys; only the newest of each key is sure to stay.
        """
        ...

    def read(
        self, topic: str, partition: int, start: int, end: int | None = None
    ) -> Iterator[Record]:
        """The committed records with start <= offset < end, in order and in bounded memory.

        The committed end at the time of the call bounds them too. The call itself raises
        `OffsetOutOfRangeError` for a `start` below the begin offset, and so does the iterator if
        records not yet read are trimmed meanwhile; an empty range is never an error.
        """
        ...

    def begin_offset(self, topic: str, partition: int) -> int:
        """The first offset that can be read; 0 until something is trimmed."""
        ...

    def end_offset(self, topic: str, partition: int) -> int:
        """The committed end: above every committed record's offset, not above any later one's."""
        ...

    def committed(self, shard: int) -> Committed | None:
        """What a worker last committed for the shard; None before the first commit.

        Waits for a commit that is under way. Positions without our note, or with differing notes,
        raise `LogUnreadableError`.
        """
        ...

    def trim(self, topic: str, partition: int, before: int) -> None:
        """Deletes the records below `before`, which becomes the begin offset if it was lower.

        A `before` beyond the end raises `OffsetOutOfRangeError`.
        """
        ...

    def close(self) -> None:
        """Gives everything back; never raises, and may be called twice."""
        ...


class Transport(Log, Protocol):
    """One worker's transactional view of its service's log.

    After any exception of `poll`, `start` or `commit` only `close` may be called: join anew, read
    back what was committed, go on from there.
    """

    def poll(
        self, timeout_s: float, max_records: int, full: Collection[tuple[int, str]] = ()
    ) -> Polled:
        """New records of the started shards, at most `max_records` of each input.

        Returns at once when there is a record, a position that moved over a gap, a gain or a loss;
        else waits up to `timeout_s`, or until interrupted. Inputs (shard, role) in `full` are not
        fetched and never end the wait; their batches are empty, with position and end. A gained
        shard gives nothing before `start`. Raises `OffsetOutOfRangeError` if records not yet
        fetched have been trimmed.
        """
        ...

    def start(self, shard: int, positions: Mapping[str, int]) -> None:
        """Fetches the shard from these offsets of all its inputs on; also to replay a started one.

        A position that the log no longer, or not yet, has raises `OffsetOutOfRangeError`, here or
        in the next poll.
        """
        ...

    def commit(self, steps: Sequence[StepCommit]) -> None:
        """Writes outputs, positions and notes of one step for each of one or more shards.

        All of it is committed on return; on Kafka it can be read within moments, not all topics at
        once. `CommitFailedError` and `LogFullError`: nothing was written. `CommitUnknownError`:
        all of it, or nothing.
        """
        ...

    def keep_alive(self) -> None:
        """Says that the worker lives, though it computes for long between two polls."""
        ...

    def interrupt(self) -> None:
        """Makes a waiting poll, or else the next one, return soon; from any thread or signal."""
        ...
