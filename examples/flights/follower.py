"""What the service has said so far, read from its topics while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import orjson

from consumers.errors import LogError
from consumers.record import Record
from consumers.transport import Log
from examples.flights.results import Mark, mark

SHARD = 0  # the demo's log has one partition
NOTABLE = ("warning", "critical")


class Follower:
    """Reads predictions and alerts as anybody may, beside the service; each record once.

    Attributes
    ----------
    scores
        The probability of being late by the flight's id; None where the model had none.
    twice
        Ids of which there is more than one prediction.
    marks
        The alerts of warning or above.
    latest
        The scheduled departure of the flight that was predicted last.
    """

    def __init__(self, log: Log) -> None:
        self.scores: dict[str, float | None] = {}
        self.twice: list[str] = []
        self.marks: list[Mark] = []
        self.latest: datetime | None = None
        self._log = log
        self._next = {"predictions": 0, "alerts": 0}

    def close(self) -> None:
        """Closes the log."""
        self._log.close()

    def is_there(self) -> bool:
        """Whether the log has been made and holds something."""
        return self.ingested_if_there() > 0

    def ingested_if_there(self) -> int:
        """How many events and labels are on the log, which may not have been made yet."""
        try:
            return self.ingested()
        except LogError:
            return 0

    def read(self) -> bool:
        """Takes in what has come since the last call; True if there were predictions."""
        body = None
        for record in self._news("predictions"):
            body = orjson.loads(record.value or b"")
            name, odds = body["id"], body["probabilities"]
            if name in self.scores:
                self.twice.append(name)
            self.scores[name] = None if odds is None else odds["true"]
        if body is not None:
            self.latest = datetime.fromisoformat(body["time"])
        for record in self._news("alerts"):
            alert = orjson.loads(record.value or b"")
            if alert["severity"] in NOTABLE:
                at = datetime.fromisoformat(alert["time"])
                self.marks.append(mark(at, alert["detector"], alert["severity"]))
        return body is not None

    def ingested(self) -> int:
        """How many events and labels are on the log."""
        return sum(self._log.end_offset(topic, SHARD) for topic in ("events", "labels"))

    def is_all_used(self) -> bool:
        """Whether the service has committed everything that is on the log."""
        committed = self._log.committed(SHARD)
        return committed is not None and all(
            committed.positions[topic] >= self._log.end_offset(topic, SHARD)
            for topic in ("events", "labels")
        )

    def _news(self, topic: str) -> Iterator[Record]:
        for record in self._log.read(topic, SHARD, self._next[topic]):
            self._next[topic] = record.offset + 1
            yield record
