"""What one shard's journal says of commands and versions, read entry by entry; and its index.

The index is a file of what was read so far, so that a long journal is read once. It can be deleted
at any time. It counts only if the journal still holds, at its place, the entry that it ends with:
digests are chained, so everything before that is then the same too.
"""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from consumers.transport import Log
from stream.shard import journal
from stream.shard.journal import Entry
from stream.shard.parts import Standing

log = logging.getLogger(__name__)

FORMAT: Final = 1
WORTH_WRITING: Final = 500
"""How many entries have to be new before the index is written again."""


@dataclass(slots=True)
class ShardHistory:
    """What the entries before offset `end` say.

    Attributes
    ----------
    cuts
        Version → the id of the command that cut it, and the positions there.
    snapshots
        The key of a snapshot that is not retired → the version that it is of.
    outcomes
        Command id → what became of it.
    configurations
        From which entry on which semantic configuration was in force.
    standing
        The last that was said of whether the shard goes on.
    end
        The offset after the last entry read.
    last
        The offset, sequence and digest of the last entry read; None if none was.
    """

    cuts: dict[int, tuple[str, dict[str, int]]] = field(default_factory=dict)
    snapshots: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    configurations: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    standing: Standing | None = None
    end: int = 0
    last: tuple[int, int, str] | None = None

    def add(self, entry: Entry, offset: int) -> None:
        """Takes note of the next entry."""
        self.standing = entry.standing or self.standing
        if entry.configuration is not None:
            self.configurations.append((entry.sequence, entry.configuration))
        for outcome in entry.outcomes:
            if "id" in outcome:
                # The first: a command that was written twice is refused the second time.
                self.outcomes.setdefault(outcome["id"], outcome | {"sequence": entry.sequence})
            makes_version = "version" in outcome and outcome["command"] != "alias"
            if outcome["outcome"] == "applied" and makes_version:
                self.cuts[outcome["version"]] = outcome["id"], entry.end
        for named in entry.published:
            if "version" in named:
                self.snapshots[named["key"]] = named["version"]
        for key in entry.retired:
            self.snapshots.pop(key, None)
        self.end = offset + 1
        self.last = offset, entry.sequence, entry.digest


def read_shard(source: Log, shard: int, folder: Path | None) -> ShardHistory:
    """What a shard's journal says, by its index in `folder` as far as that goes.

    The index is written again where much was new; where it cannot be, that costs time, not truth.
    """
    begin, end = source.begin_offset(journal.TOPIC, shard), source.end_offset(journal.TOPIC, shard)
    first = next(iter(source.read(journal.TOPIC, shard, begin, end)), None)
    if first is None:
        return ShardHistory(end=begin)
    path = None if folder is None else folder / f"{Entry.decode(first).journal}-{shard}.json"
    found = _indexed(source, shard, path, begin, end) or ShardHistory(end=begin)
    new = 0
    for record in source.read(journal.TOPIC, shard, found.end, end):
        found.add(Entry.decode(record), record.offset)
        new += 1
    if path is not None and new >= WORTH_WRITING:
        _write(path, found)
    return found


def _indexed(
    source: Log, shard: int, path: Path | None, begin: int, end: int
) -> ShardHistory | None:
    """What the index says, if it is of this journal."""
    try:
        body = None if path is None else orjson.loads(path.read_bytes())
        if body is None or body.pop("format") != FORMAT:
            return None
        offset, sequence, digest = body.pop("last")
        if not begin <= offset < end:
            return None
        entry = next(journal.read(source, shard, offset, offset + 1), None)
        if entry is None or (entry.sequence, entry.digest) != (sequence, digest):
            return None
        return ShardHistory(
            cuts=dict(body.pop("cuts")),
            configurations=[(at, semantic) for at, semantic in body.pop("configurations")],
            last=(offset, sequence, digest),
            **body,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the index %s cannot be used, and is made anew: %s", path, error)
        return None


def _write(path: Path, found: ShardHistory) -> None:
    body = {"format": FORMAT, **asdict(found)}
    # As pairs: the names of an object would be text.
    body["cuts"] = list(found.cuts.items())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(orjson.dumps(body))
        os.replace(file.name, path)
    except OSError as error:
        log.warning("the index %s cannot be written: %s", path, error)
