"""Commands: what people tell a running service, as records on the commands topic.

A command is written once to every partition, so all shards hold the same commands in the same
order, and each applies it at an exact entry of its journal, whether the service runs now or later.
It names the last command that its writer saw: one that was overtaken is refused everywhere alike.
"""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from consumers.record import NewRecord, Record
from consumers.transport import Log
from stream.errors import CommandError

TOPIC = "commands"

ALIAS_PATTERN = r"^[a-z][a-z0-9._-]{0,63}$"

_LOOK_BACK = 8


class SkipRange(BaseModel):
    """Records of one input as if they had never come: offsets `first` to `last`, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Literal["events", "labels"]
    partition: Annotated[int, Field(ge=0)]
    first: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]

    def holds(self, topic: str, partition: int, offset: int) -> bool:
        """Whether a record lies in it."""
        return (
            topic == self.topic
            and partition == self.partition
            and self.first <= offset <= self.last
        )

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.first}-{self.last}"


class _Command(BaseModel):
    """What every command carries: its id, who gave it and when, and the last one they had seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: Annotated[str, Field(min_length=1, max_length=64)]
    by: str
    at_ms: int
    after: str | None = None
    reason: str = ""


class VersionCommand(_Command):
    """Cut a version: each shard snapshots in the step that applies this."""

    command: Literal["version"] = "version"


class AliasCommand(_Command):
    """Move an alias to a version."""

    command: Literal["alias"] = "alias"
    alias: Annotated[str, Field(pattern=ALIAS_PATTERN)]
    version: Annotated[int, Field(ge=1)]


class RollbackCommand(_Command):
    """Go back to a version, to nothing learnt, or to the run that never saw some records.

    Exactly one of `version`, `empty` and `skip` says which. With `version`, `snapshots` names its
    snapshot for each shard, by object key; with `skip`, `tainted` names the versions that saw a
    record of the ranges on any shard, so that all shards refuse them alike.
    """

    command: Literal["rollback"] = "rollback"
    version: Annotated[int, Field(ge=1)] | None = None
    snapshots: dict[int, str] = Field(default_factory=dict)
    empty: bool = False
    skip: tuple[SkipRange, ...] = ()
    tainted: tuple[int, ...] = ()


class ResumeCommand(_Command):
    """Go on where a shard has halted, and learn again where its learner is suspended; of all shards
    or of one."""

    command: Literal["resume"] = "resume"
    shard: Annotated[int, Field(ge=0)] | None = None


class AckCommand(_Command):
    """Acknowledge an alert: somebody looks after it. It changes nothing that a model learns."""

    command: Literal["ack"] = "ack"
    alert: Annotated[str, Field(min_length=1, max_length=64)]


class PruneCommand(_Command):
    """Let versions go: their snapshots are deleted, and nobody can roll back to them."""

    command: Literal["prune"] = "prune"
    versions: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class ConfigCommand(_Command):
    """Go on under another configuration: the semantic part of it, as a journal holds it.

    With `keep` the models go on as they are; else new ones take their places.
    """

    command: Literal["config"] = "config"
    configuration: dict[str, Any]
    keep: bool


Heavy = RollbackCommand | ConfigCommand
"""Commands that change the state as a whole: each has a step of its own."""

Command = Annotated[
    VersionCommand | AliasCommand | ResumeCommand | AckCommand | PruneCommand | Heavy,
    Field(discriminator="command"),
]

_PARSER: TypeAdapter[Command] = TypeAdapter(Command)


def parse_command(record: Record) -> Command:
    """The command in a record; CommandError says what is wrong with it."""
    try:
        return _PARSER.validate_json(record.value or b"")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise CommandError(f"{where}: {first['msg']}") from error


def is_heavy(record: Record) -> bool:
    """Whether a command changes the state as a whole, and so has a step of its own."""
    try:
        return isinstance(parse_command(record), Heavy)
    except CommandError:
        return False


def who() -> str:
    """The person at the keyboard, as the operating system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def new_id() -> str:
    """An id that no other command has."""
    return uuid.uuid4().hex


def last_id(log: Log) -> str | None:
    """The id of the last command on the log, applied or not; None if there was none."""
    begin, end = log.begin_offset(TOPIC, 0), log.end_offset(TOPIC, 0)
    window = _LOOK_BACK
    while end > begin:
        for record in reversed(list(log.read(TOPIC, 0, max(begin, end - window), end))):
            try:
                return parse_command(record).id
            except CommandError:
                continue
        if end - window <= begin:
            return None
        window *= 2
    return None


def waiting(log: Log, shard: int, position: int) -> Iterator[Command]:
    """The commands of a shard from an offset on: those that it has not applied yet."""
    for record in log.read(TOPIC, shard, position):
        with suppress(CommandError):
            yield parse_command(record)


def give(log: Log, command: Command) -> list[int]:
    """Writes a command to every partition at once; gives its offset in each."""
    body = orjson.dumps(command.model_dump(mode="json"), option=orjson.OPT_NON_STR_KEYS)
    record = NewRecord(body, command.id.encode())
    return log.append([(TOPIC, partition, record) for partition in range(log.partitions())])
