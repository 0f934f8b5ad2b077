"""How fast the pipeline is on this machine, beside a bare River loop in the same run.

Alternating runs, medians and ratios: absolute figures of a shared machine say little. The bare loop
is `predict_proba_one` and `learn_one` over dicts that are decoded already.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from consumers.decoding import EventDecoder
from consumers.record import NewRecord, Record
from consumers.transport import Transport
from consumers.transports import open_log, open_transport
from consumers.transports.memory import MemoryLog
from learners.snapshots import pickling
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.keyfile import open_keyring
from learners.snapshots.opening import open_store
from learners.snapshots.settings import SnapshotsSettings
from learners.spec import build_model
from stream.configuration import Configuration, parse
from stream.shard import digest
from stream.shard.checkpoint import Checkpointer, Snapshots
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.step import Step
from stream.worker import Worker

SERVICE = "bench"
FEATURES = 10
START_MS = 1_700_000_000_000
SPACING_MS = 1_000
BATCH = 2_000

MODELS: dict[str, Any] = {
    "scaler | logistic regression": [
        "preprocessing.StandardScaler",
        "linear_model.LogisticRegression",
    ],
    "Hoeffding tree": ["tree.HoeffdingTreeClassifier"],
    "adaptive random forest (10)": [{"forest.ARFClassifier": {"n_models": 10}}],
}


def benchmark(
    events: int, runs: int, on_run: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """The object that `driftline bench --json` prints.

    Parameters
    ----------
    events
        Events in each run.
    runs
        Runs of each loop, alternating; medians are reported.
    on_run
        Called with the name of each run as it begins.
    """
    rows = list(_rows(events))
    encoded = [_encode(number, features, label) for number, (features, label) in enumerate(rows)]
    configuration = service_configuration(MODELS["scaler | logistic regression"])
    loops: dict[str, Callable[[], tuple[float, float]]] = {
        "bare": lambda: _bare(configuration, rows),
        "memory": lambda: _memory(configuration, encoded),
        "sqlite": lambda: _sqlite(configuration, encoded),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(runs):
        for name, loop in loops.items():
            on_run(name)
            seconds[name].append(loop())
    report: dict[str, Any] = {"events": events, "runs": runs, "features": FEATURES}
    for name, taken in seconds.items():
        pairs = zip(seconds["bare"], taken, strict=True)
        report[name] = {
            "events_per_second": round(events / statistics.median(wall for wall, _ in taken)),
            "cpu_us_per_event": _us(statistics.median(cpu for _, cpu in taken), events),
            "ratio_to_bare": round(statistics.median(b[0] / t[0] for b, t in pairs), 3),
        }
    on_run("stages")
    report["stages_us"] = _stages(configuration, encoded)
    on_run("snapshots")
    report["snapshots"] = [_snapshot(name, model, encoded) for name, model in MODELS.items()]
    return report


def _rows(events: int) -> Iterator[tuple[dict[str, float], bool]]:
    """A linear concept with noise, in ten Gaussian features."""
    rng = random.Random(42)
    for _ in range(events):
        features = {f"x{i}": rng.gauss(0.0, 1.0) for i in range(FEATURES)}
        yield features, features["x0"] + features["x1"] + rng.gauss(0.0, 1.0) > 0


def encoded_events(events: int) -> Iterator[NewRecord]:
    """The records of so many events."""
    for number, (features, label) in enumerate(_rows(events)):
        yield _encode(number, features, label)


def _encode(number: int, features: dict[str, float], label: bool) -> NewRecord:
    time_ms = START_MS + number * SPACING_MS
    body = {"id": f"event-{number}", "time": time_ms, **features, "label": int(label)}
    return NewRecord(orjson.dumps(body), b"event-%d" % number, (), time_ms)


def service_configuration(model: Any) -> Configuration:
    """A binary service of one model, with labels inside its events and ADWIN on the error."""
    content = {
        "name": SERVICE,
        "events": {"id": "id", "time": "time", "label": "label"},
        "task": "binary",
        "model": model,
        "detectors": [{"name": "error", "signal": "error", "method": "ADWIN"}],
    }
    return parse(content, SERVICE)


def _bare(
    configuration: Configuration, rows: list[tuple[dict[str, float], bool]]
) -> tuple[float, float]:
    model = build_model(configuration.model, configuration.task, configuration.seed)
    with _stopwatch() as taken:
        for features, label in rows:
            model.predict_proba_one(features)
            model.learn_one(features, label)
    return taken[0], taken[1]


def _memory(configuration: Configuration, encoded: list[NewRecord]) -> tuple[float, float]:
    log = MemoryLog()
    log.create_topics(1)
    return _worked(configuration, log.join(), encoded)


def _sqlite(configuration: Configuration, encoded: list[NewRecord]) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:{Path(folder) / 'bench.db'}"
        log = open_log(url, SERVICE)
        log.create_topics(1)
        log.close()
        return _worked(configuration, open_transport(url, SERVICE), encoded)


def _worked(
    configuration: Configuration, transport: Transport, encoded: list[NewRecord]
) -> tuple[float, float]:
    """How long a worker takes for what is on its log already: wall and CPU seconds."""
    try:
        for start in range(0, len(encoded), BATCH):
            transport.append([("events", 0, record) for record in encoded[start : start + BATCH]])
        # No snapshot falls due: what one costs is measured by itself.
        settings = SnapshotsSettings(url="memory:", recover_within=timedelta(days=1))
        with ThreadPoolExecutor(1) as executor:
            archive = SnapshotArchive(open_store(settings), open_keyring(settings))
            worker = Worker(configuration, transport, Snapshots(settings, archive, executor))
            worker.turn(0.0)
            with _stopwatch() as taken:
                worker.run_until_idle()
            assert worker.runners[0].shard.parts.events == len(encoded), "every event was applied"
    finally:
        transport.close()
    return taken[0], taken[1]


def _stages(configuration: Configuration, encoded: list[NewRecord]) -> dict[str, float]:
    """Where the time goes: each stage over the same events by itself, µs an event.

    Alone, a stage finds its code and data in the caches: the sum is less than the pipeline takes.
    """
    events = min(len(encoded), 20_000)
    records = _records(encoded[:events])
    plan = Plan(configuration)
    parts = plan.fresh_parts()
    decode, learner = EventDecoder(configuration.events).decode, parts.learner
    stages = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        with _stopwatch() as taken:
            result = work()
        stages[name] = _us(taken[1], events)
        return result

    decoded = timed("decode", lambda: [decode(record, record.timestamp_ms) for record in records])
    answers = []

    def predict_and_learn() -> None:
        for event in decoded:
            answers.append(learner.predict(event.features))
            learner.learn(event.features, bool(event.label))

    timed("predict, learn", predict_and_learn)
    pairs = list(zip(decoded, answers, strict=True))

    def quality() -> list[float | None]:
        inline = parts.quality.inline
        return [inline(event.time_ms, answer, bool(event.label))[0] for event, answer in pairs]

    errors = timed("metrics, baselines", quality)
    watch = parts.watches[0]
    timed(
        "ADWIN on the error",
        lambda: [watch.update(error or 0.0, i, 0) for i, error in enumerate(errors)],
    )

    def chain() -> None:
        running = digest.EMPTY
        for event, answer in pairs:
            running = digest.prediction(running, event.id, answer)

    timed("digest", chain)
    seen = parts.seen
    timed("duplicates", lambda: [seen.first_time(event.id, 1 << 62, 0) for event in decoded])
    triples = list(zip(records, decoded, answers, strict=True))
    encode = plan.encode_prediction
    timed("encode", lambda: [encode(r, e.id, e.time_ms, a, 0) for r, e, a in triples])
    return stages


def _snapshot(name: str, model: Any, encoded: list[NewRecord]) -> dict[str, Any]:
    """What a snapshot of a model holds up the stream for, and how that divides; ms."""
    records = _records(encoded[: min(len(encoded), 5_000)])
    shard = Shard(Plan(service_configuration(model)), 0)
    merged = [(record.timestamp_ms, record) for record in records]
    shard.apply(Step({}, {}, (), None, merged))
    with _stopwatch() as pickled:
        size_bytes = len(pickling.dumps(shard.parts.learner.model))
        size_bytes += len(pickling.dumps(shard.parts.watches))
    with _stopwatch() as plain:
        shard.parts.dump_plain()
    settings = SnapshotsSettings(url="memory:")
    with ThreadPoolExecutor(1) as executor:
        archive = SnapshotArchive(open_store(settings), open_keyring(settings))
        checkpointer = Checkpointer(
            Snapshots(settings, archive, executor), [], (), time.monotonic, lambda boundary: None
        )
        checkpointer.take(shard, "bench", 1, {}, "recovery")
        checkpointer.wait()
        checkpointer.news({})
    return {
        "model": name,
        "stall_ms": round(checkpointer.stall.taken_s * 1000, 2),
        "pickle_ms": round(pickled[0] * 1000, 2),
        "encode_ms": round(plain[0] * 1000, 2),
        "beside_ms": round(checkpointer.stall.written_s * 1000, 2),
        "pickle_bytes": size_bytes,
    }


def _records(encoded: list[NewRecord]) -> list[Record]:
    return [
        Record("events", 0, offset, record.timestamp_ms or 0, record.key, record.value)
        for offset, record in enumerate(encoded)
    ]


@contextmanager
def _stopwatch() -> Iterator[list[float]]:
    """Wall and CPU seconds of the block, filled in at its end."""
    taken: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield taken
    taken += [time.perf_counter() - wall, time.process_time() - cpu]


def _us(seconds: float, events: int) -> float:
    return round(seconds / events * 1e6, 2)
