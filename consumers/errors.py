"""What goes wrong in consumers, as one tree:

ConsumersError
├── SettingsError               a setting of events or labels that cannot be
├── FileError                   a file of rows that is unreadable, empty or lacks a column
├── RejectedError               a record that becomes a dead letter, with its reason
└── LogError
    ├── TopicsMissingError      the log or its topics have not been created
    ├── PartitionCountError     topics exist with another number of partitions
    ├── WorkerRunningError      another live worker holds the log or the slot
    ├── OffsetOutOfRangeError   records asked for that the log no longer, or not yet, has
    ├── LogUnreadableError      not a log, another service's, or of a newer format
    ├── LogUnavailableError     the log cannot be reached or opened now
    ├── LogFullError            no space left; nothing was written
    ├── RecordRefusedError      the log does not take such a record; nothing was written
    ├── CommitFailedError       nothing was written
    │   └── FencedError         … since another has this worker's identity; a WorkerRunningError too
    ├── CommitUnknownError      all of it was written, or nothing
    └── TransportClosedError    used after close, after a failure, or after its worker's death

Each carries a `hint`: what to do next, or None. The message names the constraint, then the value.
"""

from __future__ import annotations


class ConsumersError(Exception):
    """The root of this package's errors."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(ConsumersError):
    """A setting of events or labels that cannot be."""


class FileError(ConsumersError):
    """A file of rows that is unreadable, empty or lacks a column."""


class RejectedError(ConsumersError):
    """A record that becomes a dead letter: `reason` is a code, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class LogError(ConsumersError):
    """A log cannot do what it was asked to."""


class TopicsMissingError(LogError):
    """The log or its topics have not been created."""


class PartitionCountError(LogError):
    """Topics exist with another number of partitions than asked for, or than each other."""


class WorkerRunningError(LogError):
    """Another live worker holds the log (SQLite, memory) or this member's slot (Kafka)."""


class OffsetOutOfRangeError(LogError):
    """A read below the first offset that the log still has, or beyond its end."""

    def __init__(self, topic: str, partition: int, offset: int, begin: int, end: int) -> None:
        super().__init__(
            f"{topic} partition {partition} holds offsets {begin} up to {end}, not {offset}"
        )
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.begin = begin
        self.end = end


class LogUnreadableError(LogError):
    """Not a log, the log of another service, damaged, or of a newer format; nothing was changed."""


class LogUnavailableError(LogError):
    """The log cannot be reached or opened now; trying later may help."""


class LogFullError(LogError):
    """No space is left for the log; nothing was written and the log stays readable."""


class RecordRefusedError(LogError):
    """A record stamped too far ahead, or too large for the log; nothing was written."""


class CommitFailedError(LogError):
    """A commit or append that wrote nothing."""


class FencedError(CommitFailedError, WorkerRunningError):
    """Another worker has taken over this one's identity: nothing was written, nor ever will be."""


class CommitUnknownError(LogError):
    """A commit or append that wrote everything or nothing; read back what was committed."""


class TransportClosedError(LogError):
    """A log or transport used after close, after a failure, or after its worker died."""
