"""Everything that goes wrong in learners/, under one root.

    LearnersError
    ├── ModelSpecError              the configuration's model cannot be built, or cannot do the task
    ├── TaskError                   the task does not exist, or is not built yet
    ├── InvalidLabelError           a label that the task cannot learn from
    ├── LearnerFailedError          a model raised, or gave a number that is not finite
    └── SnapshotError
        ├── SnapshotCorruptError    bytes that do not match their own hashes, or are cut short
        ├── SignatureError          signed with another key, or not signed: nothing was unpickled
        ├── SnapshotFormatError     written by a newer driftline, or not a snapshot at all
        ├── SnapshotIncompatibleError  readable, but of another service, River version or probes
        ├── StoreError              the place that keeps snapshots refused or could not be reached
        └── KeyMissingError         no key to sign or to verify with

Each carries a message that names the constraint, then the value, and a `hint`: what to do next, or
None. Messages are one line.
"""

from __future__ import annotations

from typing import Literal


class LearnersError(Exception):
    """The root of every error raised in learners/.

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


class ModelSpecError(LearnersError):
    """The model in the configuration cannot be built, or cannot do the task."""


class TaskError(LearnersError):
    """The task does not exist, or is not built yet."""


class InvalidLabelError(LearnersError):
    """A label that the task cannot learn from; its record is a dead letter `bad_label`."""


class LearnerFailedError(LearnersError):
    """A model raised, or gave a number that is not finite.

    Attributes
    ----------
    phase
        What the model was asked to do.
    detail
        The model's own exception or the number, in one line. Not for digests: its wording may
        change with a dependency.
    """

    def __init__(
        self, phase: Literal["predict", "learn"], detail: str, *, hint: str | None = None
    ) -> None:
        super().__init__(f"the model failed to {phase}: {detail}", hint=hint)
        self.phase: Literal["predict", "learn"] = phase
        self.detail = detail

    def __reduce__(
        self,
    ) -> tuple[type[LearnerFailedError], tuple[Literal["predict", "learn"], str]]:
        # Exception's own reduce would pass the message as the phase.
        return type(self), (self.phase, self.detail)


class SnapshotError(LearnersError):
    """A snapshot cannot be written, found, believed or used."""


class SnapshotCorruptError(SnapshotError):
    """The bytes do not match their own hashes, or are cut short."""


class SignatureError(SnapshotError):
    """The signature does not hold under the keys at hand; nothing was unpickled."""


class SnapshotFormatError(SnapshotError):
    """The bytes are no snapshot, or one of a format that this version does not read."""


class SnapshotIncompatibleError(SnapshotError):
    """A sound snapshot that must not be used here: another service, River version or probes."""


class StoreError(SnapshotError):
    """The store that keeps the snapshots refused, or could not be reached."""


class KeyMissingError(SnapshotError):
    """There is no key to sign or to verify with."""
