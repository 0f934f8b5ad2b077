"""Probes: inputs with the answers expected, to see that loaded models predict what they did.

A pickle can load under another River and then predict something else, or raise; its hash cannot
tell. So a few inputs travel with the models, and are tried on a throwaway copy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue

from learners.errors import LearnerFailedError


class Probe(BaseModel):
    """One input of one learner, and what it answered when the snapshot was taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learner: str
    features: dict[str, bool | int | float | str]
    answer: JsonValue

    @classmethod
    def take(
        cls, learner: str, features: dict[str, bool | int | float | str], answer: object
    ) -> Probe:
        """A probe of an answer made of built-ins, as JSON gives it back."""
        return cls(learner=learner, features=features, answer=json.loads(_text(answer)))


class FailedProbe(NamedTuple):
    """A probe whose answer differs; `detail` says how, in one line."""

    number: int
    learner: str
    detail: str


def failed_probes(
    probes: Iterable[Probe],
    predict: Callable[[str, dict[str, bool | int | float | str]], object],
) -> list[FailedProbe]:
    """The probes that `predict(learner, features)` answers differently, to the last bit.

    A model may learn from being asked: hand in the answers of a throwaway copy. A
    LearnerFailedError is such a difference; everything else passes through.
    """
    failed = []
    for number, probe in enumerate(probes):
        try:
            answer = _text(predict(probe.learner, dict(probe.features)))
        except LearnerFailedError as error:
            answer = error.message
        if answer != (expected := _text(probe.answer)):
            failed.append(FailedProbe(number, probe.learner, f"{answer} instead of {expected}"))
    return failed


def _text(answer: object) -> str:
    # As text: 1, 1.0 and true are equal in Python, and floats round-trip exactly.
    return json.dumps(answer, separators=(",", ":"))
