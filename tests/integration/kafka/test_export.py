"""The table of what was served is the same from Kafka as from SQLite."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stream.cli.calls import Driftline
from tests.stream.cli.conftest import config, driftline
from tests.stream.cli.served import event, label, send

__all__ = ["config", "driftline"]

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

NAMES = [f"e{number}" for number in range(60)]


def table(driftline: Driftline, path: Path) -> list[dict[str, Any]]:
    """The rows of a service that has been given events and labels in two batches; offsets left
    out, since transactions take some on Kafka."""
    send(path, *[event(name, n, x=n / 7) for n, name in enumerate(NAMES)])
    send(path, ("events", "bad", {"id": "bad"}, 0))
    assert driftline("run", "--until-idle").code == 0
    send(path, *[label(name, n % 3 == 0, 60 + n / 60) for n, name in enumerate(NAMES[10:])])
    send(path, label(NAMES[30], True, 65), label("nobody", True, 66))
    send(path, event("newest", 120))
    assert driftline("run", "--until-idle").code == 0
    said = driftline("export", "--output", "-")
    assert said.code == 0, said
    rows = [json.loads(line) for line in said.out.splitlines()]
    return [{name: value for name, value in row.items() if name != "offset"} for row in rows]


def test_both_logs_give_the_same_table(
    driftline: Driftline, config: Callable[..., Path], kafka: str
) -> None:
    late = {"events": {"id": "id", "time": "time"}, "labels": {"wait": "1h"}, "log_partitions": 2}

    embedded = table(driftline, config(**late))
    url = f"kafka://{kafka}"
    served = table(driftline, config(**late, name=f"table-{uuid.uuid4()}", log=url))

    assert served == embedded
    assert len(served) == len(NAMES) + 2
    assert {row["label_state"] for row in served} == {"joined", "never", "waiting", None}
    assert sum(row["corrections"] or 0 for row in served) == 1
