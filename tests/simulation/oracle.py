"""What must become of every record, worked out without any of the service's code.

Slow and plain on purpose: lists and dictionaries, everything searched. It knows when an event is a
duplicate, and whether a label is joined, corrects, waits, or comes too late; what a model predicts
it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.streams import Meant

Place = tuple[str, int]
"""Input and offset."""


@dataclass
class Expected:
    """What one shard must have done: results by place, in their order."""

    predicted: list[int] = field(default_factory=list)
    dead: list[tuple[str, int, str]] = field(default_factory=list)
    joined: int = 0
    corrected: int = 0
    assumed: int = 0


@dataclass
class _Waiting:
    id: str
    deadline_ms: int
    place: Place
    labelled: bool = False


def expected(
    stream: Sequence[Meant], wait_ms: int, *, default: bool, poisoned: bool = False
) -> Expected:
    """What one shard makes of its records, and of a clock that in the end passes every deadline."""
    result = Expected()
    inputs = {
        topic: [meant for meant in stream if meant.topic == topic]
        for topic in ("commands", "events", "labels")
    }
    result.dead += [("commands", at, str(m.bad)) for at, m in enumerate(inputs["commands"])]
    clock_ms = 0
    seen: dict[str, int] = {}
    pending: list[_Waiting] = []
    held: list[_Waiting] = []

    def expire() -> None:
        nonlocal pending, held
        over = [waiting for waiting in pending if waiting.deadline_ms < clock_ms]
        result.assumed += sum(not waiting.labelled for waiting in over) if default else 0
        pending = [waiting for waiting in pending if waiting.deadline_ms >= clock_ms]
        late = [waiting for waiting in held if waiting.deadline_ms < clock_ms]
        for waiting in sorted(late, key=lambda one: one.deadline_ms):
            result.dead.append((*waiting.place, "unknown_id"))
        held = [waiting for waiting in held if waiting.deadline_ms >= clock_ms]

    def join(waiting: _Waiting) -> None:
        if waiting.labelled:
            result.corrected += 1
        else:
            result.joined += 1
        waiting.labelled = True

    for place, meant in _merged(inputs["events"], inputs["labels"]):
        if meant.merge_ms > clock_ms:
            clock_ms = meant.merge_ms
            expire()
        name = meant.id
        match = next((waiting for waiting in pending if waiting.id == name), None)
        known = name is not None and seen.get(name, -1) >= clock_ms
        if meant.bad is not None:
            result.dead.append((*place, meant.bad))
        elif meant.topic == "events":
            assert name is not None
            if match is not None or known:
                result.dead.append((*place, "duplicate"))
                continue
            if poisoned and meant.fails:
                result.dead.append((*place, "predict_failed"))
                continue
            seen[name] = meant.time_ms + 2 * wait_ms
            result.predicted.append(place[1])
            if meant.label is not None:
                result.joined += 1
                for label in [label for label in held if label.id == name]:
                    held.remove(label)
                    result.dead.append((*label.place, "too_late"))
                continue
            waiting = _Waiting(name, meant.time_ms + wait_ms, place)
            pending.append(waiting)
            for label in [label for label in held if label.id == name]:
                held.remove(label)
                join(waiting)
        elif match is not None:
            join(match)
        elif known:
            result.dead.append((*place, "too_late"))
        else:
            assert name is not None
            held.append(_Waiting(name, clock_ms + wait_ms, place))
    clock_ms = 1 << 60
    expire()
    return result


def _merged(events: list[Meant], labels: list[Meant]) -> list[tuple[Place, Meant]]:
    """By the times of the two heads, events first when equal."""
    order: list[tuple[Place, Any]] = []
    event = label = 0
    while event < len(events) or label < len(labels):
        takes_event = label == len(labels) or (
            event < len(events) and events[event].merge_ms <= labels[label].merge_ms
        )
        if takes_event:
            order.append((("events", event), events[event]))
            event += 1
        else:
            order.append((("labels", label), labels[label]))
            label += 1
    return order
