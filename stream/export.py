"""The table of everything that was served: a row an event, with its features, its prediction and
its label, written to a file in bounded memory.

All is read twice: first for the columns, which in a file of columns have to be known beforehand,
then for the rows. What comes meanwhile is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO, Final

from consumers.decoding import Value
from consumers.table_files import Kind, KindsSeen, check_table_name, open_table
from consumers.transport import Log
from stream.configuration import Configuration
from stream.errors import ExportError
from stream.history import History
from stream.label_index import LabelIndex
from stream.served import Served, ServedShard

FEATURE: Final = "feature."
PROBABILITY: Final = "probability."

_BATCH_ROWS = 10_000
_PROGRESS_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; None asks for all.

    Event times from `since_ms` on and before `until_ms`: an event without a readable time is left
    out where either is given. `labelled`: only those whose label came, or only the others.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    version: int | None = None
    shard: int | None = None
    labelled: bool | None = None

    def holds_time(self, time_ms: int | None) -> bool:
        """Whether an event of this time may be one of them."""
        if self.since_ms is None and self.until_ms is None:
            return True
        return (
            time_ms is not None
            and (self.since_ms is None or time_ms >= self.since_ms)
            and (self.until_ms is None or time_ms < self.until_ms)
        )

    def holds(self, served: Served) -> bool:
        """Whether an event is one of them."""
        body = served.prediction
        return (
            self.holds_time(None if served.event is None else served.event.time_ms)
            and (self.version is None or (body is not None and body["version"] == self.version))
            and (self.labelled is None or self.labelled is bool(served.labels))
        )


@dataclass(slots=True)
class Exported:
    """What was written: rows in all, by what became of their labels, and by why they have no
    prediction; `without_result` events have neither that nor a prediction, and are left out."""

    columns: list[str]
    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    corrected: int = 0
    without_result: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


def export(
    log: Log,
    configuration: Configuration,
    history: History,
    name: str,
    wanted: Wanted,
    stdout: BinaryIO,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> Exported:
    """Writes the events that are wanted, shard after shard in the order of each, to a file.

    Parameters
    ----------
    name
        Of the file: `.parquet`, `.jsonl` or `.jsonl.gz`, or `-` for JSON lines on `stdout`.
    on_progress
        Called now and then with the rows written so far.

    Raises
    ------
    ExportError
        There is no such shard.
    FileError, LogError
        The file cannot be written, or the log cannot be read.
    """
    check_table_name(name)
    if wanted.shard is not None and wanted.shard >= history.shards:
        raise ExportError(
            f"there is no shard {wanted.shard}", f"shards are 0 to {history.shards - 1}"
        )
    chosen = range(history.shards) if wanted.shard is None else [wanted.shard]
    with ExitStack() as stack:
        shards = [
            ServedShard(log, configuration, history, shard, stack.enter_context(LabelIndex()))
            for shard in chosen
        ]
        columns = _columns(configuration, shards, wanted)
        done = Exported(list(columns))
        with open_table(name, columns, stdout) as table:
            rows = _rows(shards, wanted, done, on_progress)
            while batch := list(islice(rows, _BATCH_ROWS)):
                table.write(batch)
        done.without_result = sum(shard.without_result for shard in shards)
    return done


def _columns(
    configuration: Configuration, shards: Iterable[ServedShard], wanted: Wanted
) -> dict[str, Kind]:
    """Every column and its kind, in order."""
    task = configuration.task.name
    features, classes, answers = KindsSeen(), KindsSeen(), KindsSeen()
    for shard in shards:
        for _, event in shard.decoded():
            if event is not None and wanted.holds_time(event.time_ms):
                features.add(event.features)
                if task == "multiclass":
                    answers.add({"label": shard.label_of(event)})
        if task == "multiclass":
            for body in shard.predictions():
                answers.add({"label": body["prediction"]})
                classes.add(body["probabilities"] or {})
            for value in shard.index.values():
                answers.add({"label": value})
    label: Kind = "number" if task == "regression" else "boolean"
    if task == "multiclass":
        label = answers.kinds().get("label", "mixed")
    columns: dict[str, Kind] = {"id": "text", "event_time": "time", "prediction": label}
    if task == "anomaly":
        columns["score"] = "number"
    names = ["false", "true"] if task == "binary" else sorted(classes.kinds())
    columns |= {f"{PROBABILITY}{name}": "number" for name in names}
    columns |= {
        "version": "integer",
        "label": label,
        "label_first": label,
        "label_state": "text",
        "label_time": "time",
        "label_delay_s": "number",
        "corrections": "integer",
        "corrected_time": "time",
        "annotator": "text",
        "dead_letter": "text",
        "partition": "integer",
        "offset": "integer",
    }
    return columns | {f"{FEATURE}{name}": kind for name, kind in features.kinds().items()}


def _rows(
    shards: Iterable[ServedShard],
    wanted: Wanted,
    done: Exported,
    on_progress: Callable[[int], None],
) -> Iterator[dict[str, Value | None]]:
    for shard in shards:
        for served in shard.events():
            if wanted.holds(served):
                _count(done, served)
                if done.rows % _PROGRESS_ROWS == 0:
                    on_progress(done.rows)
                yield row_of(served)


def _count(done: Exported, served: Served) -> None:
    done.rows += 1
    if served.state is not None:
        done.labels[served.state] += 1
    if served.letter is not None:
        done.dead_letters[served.letter.reason] += 1
    if len(served.labels) > 1:
        done.corrected += 1
    if served.event is not None:
        time_ms = served.event.time_ms
        done.first_ms = time_ms if done.first_ms is None else min(done.first_ms, time_ms)
        done.last_ms = time_ms if done.last_ms is None else max(done.last_ms, time_ms)


def row_of(served: Served) -> dict[str, Value | None]:
    """An event as a flat row; what is unknown is not in it."""
    row: dict[str, Value | None] = {"partition": served.partition, "offset": served.offset}
    event, body = served.event, served.prediction
    if event is not None:
        row["id"], row["event_time"] = event.id, event.time_ms
        for name, value in event.features.items():
            row[f"{FEATURE}{name}"] = value
    if served.letter is not None:
        row["dead_letter"] = served.letter.reason
    if body is None:
        return row
    row["prediction"], row["version"] = body["prediction"], body["version"]
    if "score" in body:
        row["score"] = body["score"]
    for name, value in (body.get("probabilities") or {}).items():
        row[f"{PROBABILITY}{name}"] = value
    row["label"], row["label_state"] = served.label, served.state
    row["corrections"] = max(0, len(served.labels) - 1)
    if served.labels and event is not None:
        _add_label(row, served, event.time_ms)
    return row


def _add_label(row: dict[str, Any], served: Served, time_ms: int) -> None:
    first, last = served.labels[0], served.labels[-1]
    row["label_first"], row["label_time"] = first.label, first.at_ms
    row["label_delay_s"] = (first.at_ms - time_ms) / 1000
    row["annotator"] = last.annotator
    if last is not first:
        row["corrected_time"] = last.at_ms
