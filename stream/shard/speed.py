"""How fast a shard applies its records: what a replay of them would take."""

from __future__ import annotations

from typing import Final

MEASURED_RECORDS: Final = 100
"""Steps are measured together until they have so many, or a trickle of events would never be."""


class Speed:
    """The speed of late, as a moving average.

    Parameters
    ----------
    us_per_record
        What an earlier worker measured, in microseconds; None if nothing.

    Attributes
    ----------
    records_per_s
        None until enough is measured.
    """

    __slots__ = ("_records", "_seconds", "records_per_s")

    def __init__(self, us_per_record: float | None = None) -> None:
        self.records_per_s = 1e6 / us_per_record if us_per_record else None
        self._records = 0
        self._seconds = 0.0

    def applied(self, records: int, seconds: float) -> None:
        """Takes note of a step; one of no measurable length tells nothing."""
        if seconds <= 0:
            return
        self._records += records
        self._seconds += seconds
        if self._records < MEASURED_RECORDS:
            return
        new, old = self._records / self._seconds, self.records_per_s
        self.records_per_s = new if old is None else 0.8 * old + 0.2 * new
        self._records, self._seconds = 0, 0.0
