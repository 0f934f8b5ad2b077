"""Prints what a service has written, a JSON line each: predictions, alerts or dead-letters.

    .venv/bin/python examples/read.py payments.yaml alerts

It may run beside the service, and reads committed records only. On Kafka any consumer with
isolation level read_committed does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stream.configuration import Configuration, load_file
from stream.opening import open_service_log


def read(configuration: Configuration, topic: str) -> Iterator[dict[str, Any]]:
    """The topic's messages from its beginning, partition by partition.

    A dead letter's original bytes may be anything: it is given as text, beside its headers.
    """
    with open_service_log(configuration, create=False) as log:
        for partition in range(log.partitions()):
            for record in log.read(topic, partition, log.begin_offset(topic, partition)):
                if topic == "dead-letters":
                    headers = {name: value.decode() for name, value in record.headers}
                    yield {**headers, "value": (record.value or b"").decode(errors="replace")}
                else:
                    yield json.loads(record.value or b"null")


if __name__ == "__main__":
    for message in read(load_file(Path(sys.argv[1])), sys.argv[2]):
        print(json.dumps(message))
