"""One detector on one signal: numbers with their events in, detections out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

from detectors.detection import Detection, Evidence, direction_of, severity_of
from detectors.errors import NotFiniteError, StateFormatError
from detectors.methods import build_detector
from detectors.positions import Positions
from detectors.scaling import UNSCALED, WARM_UP, robust_scale
from detectors.settings import DetectorSettings

_FORMAT: Final = 1


class Watch:
    """What a shard holds for each detector of its configuration; pure, and pickled with its state.

    A signal bounded in [0, 1], or with `scale: none`, is fed as it comes, so detections are exactly
    those of River's detector on the same numbers. Any other is held back for `WARM_UP` values,
    then those are fed in their order, scaled, and every later value as it comes; see scaling.py.

    Parameters
    ----------
    settings
        The detector's part of the configuration.
    bounded
        Whether all values lie in [0, 1]: `signals.bounded(signal, task_name)`.
    """

    __slots__ = (
        "_centre",
        "_detector",
        "_high",
        "_low",
        "_positions",
        "_scaled",
        "_spread",
        "_step",
        "_waiting",
        "settings",
    )

    def __init__(self, settings: DetectorSettings, bounded: bool) -> None:
        self.settings = settings
        self._scaled = not bounded and settings.scale == "robust"
        # What counts as a large rise: see severity_of.
        self._step = 0.1 if bounded else 1.0
        self._detector = build_detector(settings)
        self._positions = Positions()
        self._begin()

    def update(self, value: float, event_index: int, time_ms: int) -> Detection | None:
        """Feed the signal's next value, which came from this event.

        `event_index` and `time_ms` belong to the event that the value is about, for late labels
        too, so they may go back. ADWIN takes 0.36 µs (0.41 where scaled) instead of River's own
        0.12, Page-Hinkley 0.69 instead of 0.42; of that the positions are 0.08.

        Raises
        ------
        NotFiniteError
            NaN or infinity; the watch is as before.
        """
        if not self._low < value < self._high:
            value = self._limited(value)
        if self._scaled:
            if self._waiting is not None:
                return self._warm_up(value, event_index, time_ms)
            value = (value - self._centre) / self._spread
        self._positions.add(event_index, time_ms)
        if self._detector.update(value):
            return self._detection(event_index, time_ms)
        return None

    def reset(self) -> None:
        """Forget everything, the scale too, as if newly built."""
        self._detector.reset()
        self._positions.clear()
        self._begin()

    def _begin(self) -> None:
        self._centre, self._spread, self._low, self._high = UNSCALED
        self._waiting: list[tuple[float, int, int]] | None = [] if self._scaled else None

    def _limited(self, value: float) -> float:
        """The nearest bound, where `value` is a number at all."""
        if not -math.inf < value < math.inf:  # as ints may be too large for math.isfinite
            raise NotFiniteError(
                f"detector {self.settings.name!r} takes finite numbers, not {value} as"
                f" {self.settings.signal}"
            )
        return self._high if value >= self._high else self._low

    def _warm_up(self, value: float, event_index: int, time_ms: int) -> Detection | None:
        """Hold the value back; with the last one of the warm-up feed them all.

        An update gives at most one detection, so the last one found among them stands for all.
        """
        assert self._waiting is not None
        self._waiting.append((value, event_index, time_ms))
        if len(self._waiting) < WARM_UP:
            return None
        held, self._waiting = self._waiting, None
        scale = robust_scale([value for value, _, _ in held])
        self._centre, self._spread, self._low, self._high = scale
        found = [found for one in held if (found := self.update(*one)) is not None]
        if len(found) < 2:
            return found[0] if found else None
        return replace(
            found[-1], evidence={**found[-1].evidence, "earlier_detections": len(found) - 1}
        )

    def _detection(self, event_index: int, time_ms: int) -> Detection:
        change = self._detector.change
        assert change is not None
        # The fed values since the last detection are numbered from 0: the start is the first of
        # the `width_after` latest.
        start = self._positions.find(change.width_before)
        self._positions.clear()
        before = change.mean_before * self._spread + self._centre
        after = change.mean_after * self._spread + self._centre
        evidence: Evidence = {
            "mean_before": before,
            "mean_after": after,
            "width_before": change.width_before,
            "width_after": change.width_after,
            "start_index": start.event_index,
            "start_time_ms": start.time_ms,
            "start_uncertainty_values": start.slack,
        }
        if self._scaled:
            evidence["scale_centre"] = self._centre
            evidence["scale_spread"] = self._spread
        return Detection(
            detector=self.settings.name,
            signal=self.settings.signal,
            method=self.settings.method,
            direction=direction_of(before, after),
            severity=severity_of(
                self.settings.signal, before, after, step=self._step * self._spread
            ),
            event_index=event_index,
            time_ms=time_ms,
            evidence=evidence,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"format": _FORMAT, **{name: getattr(self, name) for name in self.__slots__}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.get("format") != _FORMAT:
            raise StateFormatError(
                f"a watch of format {_FORMAT} is read, and this is format {state.get('format')}",
                hint="it was written by another version of driftline; run that version",
            )
        for name in self.__slots__:
            setattr(self, name, state[name])
