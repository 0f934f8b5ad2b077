"""The parts of a shard's state, and their sections in a snapshot.

Plain sections are ours, encoded as JSON and equal for equal states; River objects live in two
pickled sections of their own, `learner` and `detectors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, get_args

import orjson

from consumers.held import HeldLabels
from consumers.pending import PendingLabels
from consumers.seen import SeenIds
from consumers.settings import HaltSettings, LabelsSettings
from detectors.detection import Severity
from detectors.policy import AlertPolicy
from detectors.settings import AlertSettings
from detectors.watch import Watch
from learners.learner import Learner
from learners.quality import Quality
from stream.shard.halting import Halting
from stream.shard.updates import Updates
from stream.shard.versions import Versions

NEVER_MS = 1 << 62
"""A deadline that no clock reaches."""

BEFORE_ALL_MS = -(1 << 62)
"""The clock of a shard that has seen no record."""

FORMAT = 1

PLAIN = (
    "shard",
    "quality",
    "policy",
    "pending",
    "seen",
    "held",
    "versions",
    "updates",
    "halting",
)
"""The names of the plain sections."""


@dataclass(slots=True)
class Counters:
    """How many of what a shard has seen; labels and dead letters by what became of them.

    `alerts` names every severity from the beginning: a count that first appears as 1 is no growth
    to whoever watches it.
    """

    joined: int = 0
    corrected: int = 0
    assumed: int = 0
    not_learnt: int = 0
    held: int = 0
    never_labelled: int = 0
    pending_dropped: int = 0
    alerts: dict[Severity, int] = field(
        default_factory=lambda: dict.fromkeys(get_args(Severity), 0)
    )
    alerts_suppressed: int = 0
    dead_letters: dict[str, int] = field(default_factory=dict)

    def dead(self, reason: str) -> None:
        """Counts one dead letter."""
        self.dead_letters[reason] = self.dead_letters.get(reason, 0) + 1

    def dump(self) -> dict[str, Any]:
        """The counts as built-ins."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def load(cls, state: dict[str, Any]) -> Counters:
        """The counts that `dump` gave."""
        return cls(**state)


class Standing(TypedDict):
    """Whether a shard goes on, as its journal tells it when that changes: why it has halted, and
    the last failure of a learner that is suspended."""

    halted: dict[str, Any] | None
    suspended: str | None


GOES_ON: Final[Standing] = {"halted": None, "suspended": None}


@dataclass(slots=True)
class Parts:
    """Everything that a shard must not lose.

    `events`, `labels` and `commands` count the records of each input that were applied, dead
    letters included. `clock_ms` is the stream's time: the highest merge time or tick. `digest` is
    the running digest (32 bytes).
    """

    learner: Learner
    watches: list[Watch]
    quality: Quality
    policy: AlertPolicy
    pending: PendingLabels
    seen: SeenIds
    held: HeldLabels
    digest: bytes
    versions: Versions
    updates: Updates
    halting: Halting
    counters: Counters = field(default_factory=Counters)
    clock_ms: int = BEFORE_ALL_MS
    events: int = 0
    labels: int = 0
    commands: int = 0

    def dump_plain(self) -> dict[str, bytes]:
        """The plain sections, by name."""
        state = {
            "shard": {
                "format": FORMAT,
                "digest": self.digest.hex(),
                "clock_ms": self.clock_ms,
                "events": self.events,
                "labels": self.labels,
                "commands": self.commands,
                "threshold": self.learner.threshold,
                "counters": self.counters.dump(),
            },
            "quality": self.quality.dump(),
            "policy": self.policy.dump(),
            "pending": self.pending.dump(),
            "seen": self.seen.dump(),
            "held": self.held.dump(),
            "versions": self.versions.dump(),
            "updates": self.updates.dump(),
            "halting": self.halting.dump(),
        }
        return {name: orjson.dumps(part) for name, part in state.items()}

    def load_plain(
        self,
        sections: Mapping[str, bytes],
        labels: LabelsSettings,
        alerts: AlertSettings,
        halt: HaltSettings,
    ) -> None:
        """Takes over what `dump_plain` gave; the learner and the watches are the caller's."""
        state = {name: orjson.loads(sections[name]) for name in PLAIN}
        shard = state["shard"]
        self.digest = bytes.fromhex(shard["digest"])
        self.clock_ms = shard["clock_ms"]
        self.events = shard["events"]
        self.labels = shard["labels"]
        self.commands = shard["commands"]
        self.learner.threshold = shard["threshold"]
        self.counters = Counters.load(shard["counters"])
        self.quality = Quality.load(state["quality"])
        self.policy = AlertPolicy.load(alerts, state["policy"])
        self.pending = PendingLabels.load(state["pending"], labels.max_pending)
        self.seen = SeenIds.load(state["seen"], labels.max_seen)
        self.held = HeldLabels.load(state["held"], labels.max_held)
        self.versions = Versions.load(state["versions"])
        self.updates = Updates.load(state["updates"])
        self.halting = Halting.load(state["halting"], halt)


def standing_of(parts: Parts) -> Standing:
    """The standing of a shard."""
    halted = parts.halting.halted
    return {
        "halted": None if halted is None else halted._asdict(),
        "suspended": parts.updates.suspended,
    }
