"""Sends JSON lines from standard input to a service: how a program of your own feeds driftline.

    echo '{"id": "p1", "label": true}' | .venv/bin/python examples/send.py payments.yaml labels

On Kafka any producer does; its default partitioner puts equal keys where driftline expects them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from consumers.partitioning import partition_for
from consumers.record import NewRecord
from stream.configuration import Configuration, load_file
from stream.opening import open_service_log


def send(configuration: Configuration, topic: str, lines: Iterable[str]) -> int:
    """Appends the lines to `events` or `labels`, all or none; gives how many."""
    # An event and its label need the same key, or they would not meet: here it is the id.
    id_field = "id" if topic == "labels" else configuration.events.id
    assert id_field is not None, "without ids any key does, and labels come inside their events"
    with open_service_log(configuration, create=True) as log:
        partitions = log.partitions()
        records = []
        for line in lines:
            key = str(json.loads(line)[id_field]).encode()
            record = NewRecord(line.strip().encode(), key)
            records.append((topic, partition_for(key, partitions), record))
        return len(log.append(records))


if __name__ == "__main__":
    sent = send(load_file(Path(sys.argv[1])), sys.argv[2], sys.stdin)
    print(f"{sent} sent", file=sys.stderr)
