"""What a worker tells of itself: samples taken once a turn, given to Prometheus when it asks.

The worker's thread replaces a few plain numbers after each turn; whoever asks reads them from
another thread. Nothing is done for a single record, and neither thread ever waits for the other.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from detectors.detection import Severity
from stream.shard.journal import engines
from stream.shard.parts import BEFORE_ALL_MS
from stream.shard.runner import ShardRunner

SILENT_S = 60.0
"""A worker that has not turned for so long is taken for stuck; an idle one turns twice a second."""

STEP_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class _Sample:
    """One shard after a turn."""

    events: int
    labels: int
    joined: int
    alerts: dict[Severity, int]
    suppressed: int
    not_learnt: int
    dead_letters: dict[str, int]
    left: dict[str, int]
    clock_s: float | None
    sequence: int
    version: int
    pending: int
    is_paused: bool
    is_halted: bool
    is_suspended: bool
    stall_s: float
    write_s: float
    newest_s: float | None
    behind_records: int
    replay_s: float | None
    within_s: float

    @classmethod
    def of(cls, runner: ShardRunner) -> _Sample:
        """What a shard's runner says now: under 10 µs a turn."""
        parts, checkpointer = runner.shard.parts, runner.checkpointer
        stall, newest = checkpointer.stall, checkpointer.newest
        counters = parts.counters
        return cls(
            parts.events,
            parts.labels,
            counters.joined,
            dict(counters.alerts),
            counters.alerts_suppressed,
            counters.not_learnt,
            dict(counters.dead_letters),
            runner.admission.left(runner.positions),
            None if parts.clock_ms == BEFORE_ALL_MS else parts.clock_ms / 1000,
            runner.sequence,
            parts.versions.current,
            len(parts.pending),
            runner.paused is not None,
            parts.halting.halted is not None,
            parts.updates.suspended is not None,
            stall.taken_s,
            stall.written_s,
            None if newest is None or newest.created_ms is None else newest.created_ms / 1000,
            checkpointer.behind_records,
            checkpointer.replay_s,
            checkpointer.recover_within_s,
        )


class Telemetry(Collector):
    """The telemetry of one worker; the worker calls the first five, any thread the others.

    Parameters
    ----------
    service
        The service's name, a label of every metric.
    clock
        Monotonic seconds.
    """

    def __init__(self, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._turned_s = clock()
        self._is_ready = False
        self._samples: dict[int, _Sample] = {}
        self._steps = [0] * (len(STEP_BOUNDS_S) + 1)
        self._steps_s = 0.0
        self._rejoins = 0

    def beat(self) -> None:
        """The worker's thread goes on, within something that takes long."""
        self._turned_s = self._clock()

    def recovering(self) -> None:
        """A shard is being recovered: not ready until the turn is done."""
        self._is_ready = False
        self.beat()

    def rejoined(self) -> None:
        """The worker joined its log anew after that had failed."""
        self._rejoins += 1

    def stepped(self, seconds: float) -> None:
        """Steps were applied and committed together."""
        self._steps[bisect_left(STEP_BOUNDS_S, seconds)] += 1
        self._steps_s += seconds

    def turned(self, runners: Mapping[int, ShardRunner], *, is_ready: bool) -> None:
        """A turn is done; if ready, every shard that the worker owns is among the runners."""
        self._samples = {shard: _Sample.of(runner) for shard, runner in runners.items()}
        self._is_ready = is_ready
        self.beat()

    @property
    def shards(self) -> list[int]:
        """The shards that the worker owned after its last turn."""
        return sorted(self._samples)

    @property
    def is_ready(self) -> bool:
        """Whether every shard that the worker owns is recovered."""
        return self._is_ready

    def silent_s(self) -> float:
        """How long ago (s) the worker's thread was last heard of."""
        return self._clock() - self._turned_s

    def collect(self) -> Iterator[Metric]:
        """Every metric as of the last turn; docs/metrics.md explains each."""
        samples = self._samples
        own = [self._service]
        info = engines()
        build = GaugeMetricFamily(
            "driftline_build_info", "What runs; always 1.", labels=["service", *info]
        )
        build.add_metric([*own, *info.values()], 1)
        yield build
        ready = GaugeMetricFamily("driftline_ready", "1 if /readyz is 200.", labels=["service"])
        ready.add_metric(own, float(self._is_ready))
        yield ready
        yield from self._counters(samples)
        yield from self._gauges(samples)
        steps = HistogramMetricFamily(
            "driftline_step_seconds", "Steps applied and committed together.", labels=["service"]
        )
        counts = accumulate(list(self._steps))
        bounds = [*map(str, STEP_BOUNDS_S), "+Inf"]
        steps.add_metric(own, list(zip(bounds, counts, strict=True)), self._steps_s)
        yield steps
        rejoins = CounterMetricFamily(
            "driftline_rejoins_total", "Times the log was joined anew.", labels=["service"]
        )
        rejoins.add_metric(own, self._rejoins)
        yield rejoins

    def _counters(self, samples: Mapping[int, _Sample]) -> Iterator[Metric]:
        plain: list[tuple[str, str, Callable[[_Sample], int]]] = [
            ("events", "Events read.", lambda one: one.events),
            ("labels", "Labels read.", lambda one: one.labels),
            ("labels_joined", "Labels joined to their events.", lambda one: one.joined),
            ("alerts_suppressed", "Alerts kept back.", lambda one: one.suppressed),
            ("not_learnt", "Updates that were left out.", lambda one: one.not_learnt),
        ]
        for name, text, value_of in plain:
            counter = CounterMetricFamily(
                f"driftline_{name}_total", text, labels=["service", "shard"]
            )
            for shard, sample in samples.items():
                counter.add_metric([self._service, str(shard)], value_of(sample))
            yield counter
        apart: list[tuple[str, str, str, Callable[[_Sample], Mapping[Any, int]]]] = [
            ("alerts", "severity", "Alerts written.", lambda one: one.alerts),
            ("dead_letters", "reason", "Dead letters.", lambda one: one.dead_letters),
        ]
        for name, label, text, counts_of in apart:
            counter = CounterMetricFamily(
                f"driftline_{name}_total", text, labels=["service", "shard", label]
            )
            for shard, sample in samples.items():
                for value, count in counts_of(sample).items():
                    counter.add_metric([self._service, str(shard), value], count)
            yield counter

    def _gauges(self, samples: Mapping[int, _Sample]) -> Iterator[Metric]:
        plain: list[tuple[str, str, Callable[[_Sample], float | None]]] = [
            ("journal_entry", "The last entry committed.", lambda one: one.sequence),
            ("version", "The version that serves.", lambda one: one.version),
            ("pending_labels", "Events that wait for their label.", lambda one: one.pending),
            ("shard_paused", "1 while it waits.", lambda one: float(one.is_paused)),
            ("shard_halted", "1 while it has halted.", lambda one: float(one.is_halted)),
            ("learner_suspended", "1: it learns no more.", lambda one: float(one.is_suspended)),
            ("snapshot_stall_seconds", "The last stall.", lambda one: one.stall_s),
            ("snapshot_write_seconds", "The last writing.", lambda one: one.write_s),
            ("snapshot_timestamp_seconds", "When the newest was taken.", lambda one: one.newest_s),
            ("snapshot_behind_records", "What a replay applies.", lambda one: one.behind_records),
            ("snapshot_replay_seconds", "How long it would last.", lambda one: one.replay_s),
            ("snapshot_recover_within_seconds", "How long it may.", lambda one: one.within_s),
            ("stream_clock_seconds", "The stream's time.", lambda one: one.clock_s),
        ]
        for name, text, value_of in plain:
            gauge = GaugeMetricFamily(f"driftline_{name}", text, labels=["service", "shard"])
            for shard, sample in samples.items():
                if (value := value_of(sample)) is not None:
                    gauge.add_metric([self._service, str(shard)], value)
            yield gauge
        lag = GaugeMetricFamily(
            "driftline_input_lag_records",
            "Records on the log and not applied.",
            labels=["service", "shard", "input"],
        )
        for shard, sample in samples.items():
            for name, left in sample.left.items():
                lag.add_metric([self._service, str(shard), name], left)
        yield lag
