"""From the configuration to the watches of a shard."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.settings import DetectorSettings, check_signals
from detectors.signals import bounded
from detectors.watch import Watch


def build_watches(settings: Sequence[DetectorSettings], task_name: str) -> list[Watch]:
    """One new watch for each detector of the configuration, in its order.

    Raises
    ------
    DuplicateDetectorError
        Two have one name.
    SignalError
        The task lacks a signal, or has it not as numbers.
    """
    check_signals(settings, task_name)
    return [Watch(one, bounded(one.signal, task_name)) for one in settings]
