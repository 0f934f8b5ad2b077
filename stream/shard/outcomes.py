"""The outcomes of commands: what each makes of the state, counted and chained into the digest.

All shards apply the same commands in the same order; whatever comes of one, refusal too, is its
outcome, and stands in the entry of its step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consumers.record import Record
from stream.commands import (
    AckCommand,
    AliasCommand,
    Command,
    ConfigCommand,
    Heavy,
    PruneCommand,
    ResumeCommand,
    RollbackCommand,
    VersionCommand,
    parse_command,
)
from stream.errors import CommandError
from stream.shard import digest
from stream.shard.effects import Effects, Outputs
from stream.shard.parts import Parts


def apply_light(effects: Effects, record: Record) -> dict[str, Any]:
    """The outcome of a command that leaves the models as they are."""
    parts = effects.parts
    ordinal = parts.commands
    parts.commands = ordinal + 1
    try:
        command = parse_command(record)
    except CommandError as error:
        effects.dead(record, ordinal, "bad_command", str(error))
        return {"offset": record.offset, "outcome": "refused", "detail": str(error)}
    outcome = outcome_of(record, command)
    try:
        parts.versions.check_order(command)
        outcome |= _applied(effects, command)
    except CommandError as error:
        outcome |= {"outcome": "refused", "detail": str(error)}
    parts.versions.last_command = command.id
    _chain(parts, outcome)
    return outcome


def _applied(effects: Effects, command: Command) -> dict[str, Any]:
    parts = effects.parts
    said: dict[str, Any] = {"outcome": "applied", "clock_ms": parts.clock_ms}
    match command:
        case VersionCommand():
            version = parts.versions.cut(command, parts.clock_ms)
            said |= {"version": version.number, "origin": version.origin}
        case AliasCommand():
            move = parts.versions.move(command)
            said |= {"alias": move.alias, "version": move.version}
        case PruneCommand():
            parts.versions.prune(command)
            said["pruned"] = list(command.versions)
        case AckCommand():
            said["alert"] = command.alert
        case ResumeCommand():
            said["resumed"] = []
            if command.shard in (None, effects.shard):
                said["resumed"] = effects.resume()
        case _:
            raise AssertionError("a heavy command has a step of its own")
    return said


def refuse(parts: Parts, record: Record, command: Command, error: Exception) -> dict[str, Any]:
    """The outcome of a command that is not applied."""
    return _ended(parts, record, command, {"outcome": "refused", "detail": str(error)})


def pass_over(parts: Parts, record: Record, command: Heavy) -> dict[str, Any]:
    """The outcome of a command that could not be carried out on this shard, which a later one
    replaces. It takes its number all the same: other shards may have applied it."""
    number = parts.versions.pass_over(command, parts.clock_ms).number
    detail = "it could not be carried out here, and a later command replaced it"
    said = {"outcome": "replaced", "version": number, "detail": detail}
    return _ended(parts, record, command, said)


def end_configuration(parts: Parts, record: Record, command: ConfigCommand) -> dict[str, Any]:
    """Numbers the state under another configuration, and gives the outcome."""
    version = parts.versions.configure(command, parts.clock_ms)
    said = {"outcome": "applied", "version": version.number, "origin": version.origin}
    said["keep"] = command.keep
    return _ended(parts, record, command, said | {"clock_ms": parts.clock_ms})


def end_rollback(
    effects: Effects,
    record: Record,
    command: RollbackCommand,
    left: Sequence[Record],
    outputs: Outputs,
) -> dict[str, Any]:
    """Numbers the state that a rollback made, tells of the labels that it leaves behind, and gives
    the outcome."""
    parts = effects.parts
    version = parts.versions.roll_back(command, parts.clock_ms)
    said = {"outcome": "applied", "version": version.number, "origin": version.origin}
    said |= {"target": command.version, "clock_ms": parts.clock_ms}
    outcome = _ended(parts, record, command, said)
    effects.outputs = outputs
    for number, label in enumerate(left):
        effects.dead(label, number, "skipped", "its event was skipped by a rollback")
    effects.outputs = None
    return outcome


def outcome_of(record: Record, command: Command) -> dict[str, Any]:
    """What the journal says of a command, whatever comes of it."""
    return {
        "offset": record.offset,
        "id": command.id,
        "command": command.command,
        "by": command.by,
        "at_ms": command.at_ms,
        "reason": command.reason,
    }


def _ended(parts: Parts, record: Record, command: Command, said: dict[str, Any]) -> dict[str, Any]:
    parts.commands += 1
    parts.versions.last_command = command.id
    outcome = outcome_of(record, command) | said
    _chain(parts, outcome)
    return outcome


def _chain(parts: Parts, outcome: dict[str, Any]) -> None:
    kind = outcome.get("command", "")
    parts.digest = digest.command(parts.digest, kind, outcome["outcome"], parts.versions.current)
