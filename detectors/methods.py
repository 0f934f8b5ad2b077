"""From a detector's settings to the detector; the only list of algorithms."""

from __future__ import annotations

from typing import assert_never

from detectors.adwin import Adwin
from detectors.detector import Detector
from detectors.page_hinkley import PageHinkley
from detectors.settings import AdwinSettings, DetectorSettings, PageHinkleySettings


def build_detector(settings: DetectorSettings) -> Detector:
    """A new detector of the configured method and parameters."""
    match settings:
        case AdwinSettings():
            return Adwin(settings)
        case PageHinkleySettings():
            return PageHinkley(settings)
        case _:
            assert_never(settings)
