"""What a telemetry tells, for tests to look things up in."""

from __future__ import annotations

from typing import Any

from stream.telemetry.telemetry import Telemetry


def values(telemetry: Telemetry) -> dict[str, Any]:
    """Each sample by its name and its labels' values, the service's left out."""
    return {
        " ".join([sample.name, *(v for k, v in sample.labels.items() if k != "service")]): (
            sample.value
        )
        for family in telemetry.collect()
        for sample in family.samples
    }
