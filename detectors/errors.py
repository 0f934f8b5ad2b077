"""Everything that goes wrong in detectors/, under one root.

    DetectorsError
    ├── SignalError             a signal that does not exist, or that the task lacks
    ├── DuplicateDetectorError  two detectors of one name
    ├── NotFiniteError          a value that is NaN or infinite reached a detector
    └── StateFormatError        state written by another version of this package

Each carries a message that names the constraint, then the value, and a `hint`: what to do next, or
None. Messages are one line.
"""

from __future__ import annotations


class DetectorsError(Exception):
    """The root of every error raised in detectors/.

    Parameters
    ----------
    message
        The constraint, then the value that broke it.
    hint
        The way on, for the `hint:` line; None if there is none to name.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SignalError(DetectorsError):
    """A signal that does not exist, or that the task lacks."""


class DuplicateDetectorError(DetectorsError):
    """Two detectors of one name: their alerts could not be told apart."""


class NotFiniteError(DetectorsError):
    """A value that is NaN or infinite reached a detector; the detector was not touched."""


class StateFormatError(DetectorsError):
    """State written by another version of this package, which this one does not read."""
