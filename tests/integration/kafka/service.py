"""One service on a broker: its input, and its results as an independent client reads them."""

from __future__ import annotations

import itertools
import json
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import CoordinatorNotAvailableError

from consumers.transports import open_log
from tests.simulation.oracle import expected
from tests.simulation.streams import Meant, draw_stream, ended

WAIT_MS = 600_000
INPUTS = ("events", "labels", "commands")
OUTPUTS = ("predictions", "alerts", "dead-letters", "journal")
# A transaction that nobody ends is aborted by the broker after 10 s, which looks every 10 s.
PATIENCE_S = 40.0


class Written(NamedTuple):
    """What one shard has put out, and its journal."""

    predictions: list[Any]
    alerts: list[Any]
    dead: list[tuple[str, int, str]]
    journal: list[Any]

    @property
    def digest(self) -> str:
        digest = self.journal[-1]["digest"]
        assert isinstance(digest, str)
        return digest


@dataclass(frozen=True)
class Service:
    """A service: its configuration and snapshots in a folder, its log under a fresh name."""

    folder: Path
    bootstrap: str
    name: str
    shards: int

    @property
    def config(self) -> Path:
        return self.folder / "service.yaml"

    @contextmanager
    def reader(self, isolation: str = "read_committed") -> Iterator[Any]:
        """A plain client of the broker, in the service's group but not a member of it."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=self.name,
            isolation_level=isolation,
            enable_auto_commit=False,
            fetch_max_wait_ms=20,
        )
        try:
            yield consumer
        finally:
            consumer.close()

    def partitions(self, role: str) -> list[TopicPartition]:
        return [TopicPartition(f"{self.name}.{role}", shard) for shard in range(self.shards)]

    def written(self) -> list[Written]:
        """Every shard's results, after every transaction has ended."""
        sources = [self.partitions(role) for role in OUTPUTS]
        with self.reader() as consumer:
            records = self._records(consumer, [one for of_role in sources for one in of_role])
        return [
            self._written(*[records[one] for one in of_shard])
            for of_shard in zip(*sources, strict=True)
        ]

    def _records(
        self, consumer: Any, sources: list[TopicPartition]
    ) -> dict[TopicPartition, list[Any]]:
        ends = self._settled_ends(consumer, sources)
        consumer.assign(sources)
        consumer.seek_to_beginning(*sources)
        found: dict[TopicPartition, list[Any]] = {source: [] for source in sources}
        deadline_s = time.monotonic() + PATIENCE_S
        # The positions, not the records, say when the ends are reached: markers lie before them.
        while any(consumer.position(source) < ends[source] for source in sources):
            assert time.monotonic() < deadline_s, f"not all was given up to {ends}"
            for source, records in consumer.poll(timeout_ms=100).items():
                found[source] += records
        return found

    def _settled_ends(
        self, consumer: Any, sources: list[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """The partitions' ends, once no transaction is open in them."""
        deadline_s = time.monotonic() + PATIENCE_S
        with self.reader("read_uncommitted") as other:
            while True:
                ends: dict[TopicPartition, int] = other.end_offsets(sources)
                if consumer.end_offsets(sources) == ends:
                    return ends
                assert time.monotonic() < deadline_s, f"a transaction hangs before {ends}"

    def _written(
        self, predictions: list[Any], alerts: list[Any], dead: list[Any], journal: list[Any]
    ) -> Written:
        bodies = [json.loads(record.value) for record in predictions]
        letters = [dict(record.headers) for record in dead]
        return Written(
            predictions=[(body["source"]["offset"], self._nameless(body)) for body in bodies],
            alerts=[self._nameless(json.loads(record.value)) for record in alerts],
            dead=[
                (head["topic"].decode(), int(head["offset"]), head["reason"].decode())
                for head in letters
            ],
            journal=[json.loads(record.value) for record in journal],
        )

    def _nameless(self, body: Any) -> Any:
        """A result without what follows from the service's name."""
        body.pop("id" if "detector" in body else "model", None)
        body.pop("service", None)
        return body

    def committed(self, shard: int) -> tuple[dict[str, int], Any]:
        """The group's positions of a shard, and the note beside them."""
        with self.reader() as consumer:
            found = {
                role: consumer.committed(self.partitions(role)[shard], metadata=True)
                for role in INPUTS
            }
        (note,) = {offset.metadata for offset in found.values()}
        return {role: offset.offset for role, offset in found.items()}, json.loads(note)

    def owners(self) -> dict[str, list[int]]:
        """Instance → the shards that the group has given it; empty while it is not stable."""
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            group = client.describe_groups([self.name])[self.name]
        except CoordinatorNotAvailableError:
            return {}
        finally:
            client.close()
        if group["group_state"] != "Stable":
            return {}
        return {
            member["group_instance_id"].removeprefix(f"{self.name}-"): _shards(member)
            for member in group["members"]
        }

    def entries(self) -> int:
        """How much the journal's partitions hold by now, markers counted."""
        with self.reader() as consumer:
            return sum(consumer.end_offsets(self.partitions("journal")).values())

    def is_done(self, stream: list[Meant]) -> bool:
        """Whether all of the stream has been committed."""
        with self.reader() as consumer:
            return all(
                (consumer.committed(source) or 0)
                >= sum(meant.shard == source.partition and meant.topic == role for meant in stream)
                for role in ("events", "labels")
                for source in self.partitions(role)
            )

    def check(self, calm: list[Written], stream: list[Meant]) -> None:
        """The results are those of the uninterrupted run, one for each input."""
        for shard, (written, wanted) in enumerate(zip(self.written(), calm, strict=True)):
            self._check_one_each(
                written, sum(m.shard == shard and m.topic == "events" for m in stream)
            )
            assert written.predictions == wanted.predictions
            assert written.alerts == wanted.alerts
            assert written.dead == wanted.dead
            assert written.digest == wanted.digest
            self._check_journal(shard, written.journal)

    @staticmethod
    def _check_one_each(written: Written, events: int) -> None:
        dead = [offset for topic, offset, _ in written.dead if topic == "events"]
        given = sorted([*(offset for offset, _ in written.predictions), *dead])
        assert given == list(range(events)), "one result for each event"

    def _check_journal(self, shard: int, journal: list[Any]) -> None:
        assert [entry["sequence"] for entry in journal] == list(range(len(journal)))
        for before, after in itertools.pairwise(journal):
            assert after["start"] == before["end"]
        last = journal[-1]
        assert self.committed(shard) == (
            last["end"],
            {"journal": last["journal"], "sequence": last["sequence"]},
        )


def _shards(member: Any) -> list[int]:
    (shards,) = {
        tuple(sorted(topic["partitions"]))
        for topic in member["member_assignment"]["assigned_partitions"]
    } or {()}
    return list(shards)


def make_service(
    folder: Path, bootstrap: str, stream: list[Meant], shards: int, **fields: Any
) -> Service:
    """A service whose log holds the stream; nothing else was ever written to it."""
    folder.mkdir(exist_ok=True, parents=True)
    service = Service(folder, bootstrap, f"shop-{uuid.uuid4()}", shards)
    content = {
        "name": service.name,
        "log": f"kafka://{bootstrap}",
        "log_partitions": shards,
        "events": {"id": "id", "time": "at", "label": "y"},
        "labels": {"wait": "10m"},
        "task": "binary",
        "model": ["preprocessing.StandardScaler", "linear_model.LogisticRegression"],
        "detectors": [
            {"name": "error", "signal": "error", "method": "ADWIN"},
            {"name": "a", "signal": "feature:a", "method": "PageHinkley", "threshold": 5},
        ],
        "snapshots": {
            "url": f"file:{folder / 'snapshots'}",
            "min_interval": "1ms",
            "every_events": 40,
        },
        **fields,
    }
    service.config.write_text(yaml.safe_dump(content))
    write(service, stream)
    return service


def write(service: Service, stream: list[Meant]) -> None:
    """Makes the topics and appends the stream in one transaction."""
    log = open_log(f"kafka://{service.bootstrap}", service.name)
    try:
        log.create_topics(service.shards)
        log.append([meant.record() for meant in stream])
    finally:
        log.close()


@cache
def stream_of(shards: int, events: int) -> list[Meant]:
    """A stream with drift in its middle, whose waits are all over at its end."""
    rng = random.Random(events * 10 + shards)
    drawn = draw_stream(
        rng, task="binary", shards=shards, events=events, wait_ms=WAIT_MS, inline=True
    )
    return ended(drawn, WAIT_MS)


def check_oracle(written: list[Written], stream: list[Meant]) -> None:
    """What a run has written is what must become of each record."""
    for shard, one in enumerate(written):
        wanted = expected([m for m in stream if m.shard == shard], WAIT_MS, default=False)
        assert [source for source, _ in one.predictions] == wanted.predicted
        assert one.dead == wanted.dead
