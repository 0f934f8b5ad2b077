"""A back-test: the shard that `driftline run` runs, over the rows of a file, in memory.

File order is event order. Labels in the rows are learnt right after their prediction, unless a
label time or delay is given: then they are an input of their own, sorted by time, and join the
events as they would have in production. There are no ticks; at the end of the file labels still
awaited are counted, not expired.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from consumers.record import NewRecord, Record
from stream.configuration import Configuration
from stream.errors import HaltedError
from stream.file_stream import LabelSource, merged_records, with_labels
from stream.rewinding import Rewinding
from stream.shard.effects import Outputs
from stream.shard.plan import Plan
from stream.shard.shard import Shard

STEP_RECORDS = 2_000

OnOutput = Callable[[str, NewRecord], None]


@dataclass(slots=True)
class Backtest:
    """What a back-test found.

    `seconds` is the stream's own time: without start-up and reading the file.
    """

    shard: Shard
    predictions: int = 0
    dead_letters: int = 0
    alerts: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def report(self) -> dict[str, Any]:
        """The object that `backtest --json` prints."""
        parts = self.shard.parts
        quality = parts.quality.report()
        return {
            "events": parts.events,
            "labels": quality["labels"],
            "predictions": self.predictions,
            "dead_letters": self.dead_letters,
            "dead_letter_reasons": dict(parts.counters.dead_letters),
            "pending": parts.pending.unlabelled,
            "metrics": quality["metrics"],
            "baselines": quality["baselines"],
            "alerts": self.alerts,
            "alerts_suppressed": parts.counters.alerts_suppressed,
            "digest": parts.digest.hex(),
            "seconds": round(self.seconds, 6),
            "events_per_second": round(parts.events / self.seconds) if self.seconds else None,
        }


def backtest(
    configuration: Configuration,
    path: Path,
    labels: LabelSource,
    *,
    on_output: OnOutput | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Backtest:
    """Streams the rows of `path` through one shard in memory.

    Parameters
    ----------
    configuration
        Its `log` and `snapshots` are not used.
    path
        CSV, JSONL or Parquet, gzipped or not.
    labels
        Where the labels are and when they come.
    on_output
        Called with topic and record of every prediction, dead letter and alert, in their order.
    on_progress
        Called with the number of events so far.

    Raises
    ------
    FileError, ConfigurationError
    HaltedError
        Too many rows cannot be used; a service would halt at that record.
    """
    configuration, labels = with_labels(configuration, labels)
    plan = Plan(configuration, waits=configuration.events.time is not None)

    def steps() -> Iterator[list[tuple[int, Record]]]:
        merged = merged_records(configuration, path, labels)
        while records := list(islice(merged, STEP_RECORDS)):
            yield records

    rewinding = Rewinding(plan, steps)
    result = Backtest(rewinding.shard)
    for records in steps():
        started = time.perf_counter()
        outputs = rewinding.apply(records)
        result.seconds += time.perf_counter() - started
        result.shard = rewinding.shard
        _collect(result, outputs, on_output)
        if on_progress is not None:
            on_progress(result.shard.parts.events)
        halted = result.shard.parts.halting.halted
        if halted is not None:
            raise HaltedError(
                f"{path}: {halted}; a service would halt here, at event "
                f"{result.shard.parts.events - 1}",
                "mend the file or the names in `events:`; `halt: {share: null}` goes on regardless",
            )
    return result


def _collect(
    result: Backtest,
    outputs: Outputs,
    on_output: OnOutput | None,
) -> None:
    for topic, record in outputs:
        if topic == "predictions":
            result.predictions += 1
        elif topic == "dead-letters":
            result.dead_letters += 1
        else:
            result.alerts.append(orjson.loads(record.value or b"null"))
        if on_output is not None:
            on_output(topic, record)
