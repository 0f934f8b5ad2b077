"""docs/metrics.md names the metrics that a worker gives, and no others."""

from __future__ import annotations

import json

from consumers.record import NewRecord
from consumers.transports.memory import MemoryLog
from stream.telemetry.telemetry import Telemetry
from tests.docs.markdown import code_spans, tables
from tests.house.files import ROOT
from tests.stream.builders import T0_MS, UNSCHEDULED
from tests.stream.workers import Ticking, worker


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    table = next(
        t for t in tables((ROOT / "docs" / "metrics.md").read_text()) if t[0][0] == "metric"
    )
    documented = {code_spans(row[0])[0]: (row[1], set(code_spans(row[2]))) for row in table[1:]}
    log = MemoryLog()
    log.create_topics(1)
    # As many as make everything known: a bad one, a speed, a snapshot.
    bodies = [json.dumps({"id": n, "time": T0_MS, "x": 1}).encode() for n in range(100)]
    log.append([("events", 0, NewRecord(body)) for body in [*bodies, b"no"]])
    telemetry = Telemetry("shop")
    snapshots = {**UNSCHEDULED, "every_events": 1, "min_interval": "1us"}
    with worker(log, Ticking(), telemetry, snapshots=snapshots) as one:
        one.run_until_idle()

    given = {}
    for family in telemetry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = set().union(*(sample.labels for sample in family.samples)) - {"le"}
        given[name] = family.type, labels

    assert documented == given
