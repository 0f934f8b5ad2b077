"""The plan: a configuration compiled into what a shard calls for every record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consumers.decoding import EventDecoder, LabelDecoder
from consumers.held import HeldLabels
from consumers.pending import PendingLabels
from consumers.seen import SeenIds
from detectors.factory import build_watches
from detectors.policy import AlertPolicy
from detectors.settings import AlertSettings
from detectors.signals import feature_name
from detectors.watch import Watch
from learners.learner import Learner
from learners.quality import Quality, new_quality
from learners.spec import build_model
from learners.threshold import choose_threshold
from stream.configuration import Configuration
from stream.shard import digest, messages
from stream.shard.halting import Halting
from stream.shard.parts import Parts
from stream.shard.updates import Updates
from stream.shard.versions import Versions

WINDOW_EVENTS = 10_000
"""Quality over the last so many labelled events stands beside the periods of event time."""

THRESHOLD_EVENTS = 10_000
"""A learnt threshold is chosen from at least so many recent mature labelled events, if there
are."""

DEAD_LETTER_BYTES = 100_000
"""A dead letter holds so much of the original; the whole's size and hash stand in its headers."""


@dataclass(frozen=True, slots=True)
class Watches:
    """A shard's watches by the signal that feeds them; `labels`: whether any is fed by labels."""

    error: list[Watch]
    loss: list[Watch]
    label: list[Watch]
    prediction: list[Watch]
    features: list[tuple[str, Watch]]
    labels: bool


class Plan:
    """What a configuration says, bound once.

    Parameters
    ----------
    configuration
        The configuration in force.
    waits
        False switches waits and cooldowns in time off (a file whose rows carry no time).
    """

    def __init__(self, configuration: Configuration, *, waits: bool = True) -> None:
        self.configuration = configuration
        self.service = configuration.name
        self.task = configuration.task
        labels = configuration.labels
        self.wait_ms = int(labels.wait.total_seconds() * 1000) if waits else None
        # Without a time of their own, events give cooldowns nothing to count.
        self.alerts = configuration.alerts if waits else AlertSettings(cooldown=None)
        self.checks_ids = configuration.events.id is not None
        self.learns_again = labels.on_correction == "learn_again"
        self.predicts_numbers = self.task.name == "regression"
        self.dead_letter_bytes = DEAD_LETTER_BYTES
        self.label_of = self.task.label
        self.default_label = None if labels.default is None else self.task.label(labels.default)
        self.decode_event = EventDecoder(configuration.events).decode
        self.decode_label = LabelDecoder(configuration.events.max_bytes).decode
        self.encode_prediction = messages.prediction_encoder(self.task.name, "champion")

    def fresh_parts(self) -> Parts:
        """The state of a shard that has seen nothing."""
        configuration = self.configuration
        labels = configuration.labels
        model = build_model(configuration.model, self.task, configuration.seed)
        return Parts(
            learner=Learner(model, self.task, configuration.threshold.fixed),
            watches=build_watches(configuration.detectors, self.task.name),
            quality=new_quality(self.task.name, self.wait_ms, WINDOW_EVENTS),
            policy=AlertPolicy(self.alerts),
            pending=PendingLabels(labels.max_pending),
            seen=SeenIds(labels.max_seen),
            held=HeldLabels(labels.max_held),
            digest=digest.EMPTY,
            versions=Versions(),
            updates=Updates(),
            halting=Halting(configuration.halt),
        )

    def by_signal(self, watches: Sequence[Watch]) -> Watches:
        """The watches sorted by what feeds them, in the configuration's order."""

        def of(signal: str) -> list[Watch]:
            return [watch for watch in watches if watch.settings.signal == signal]

        return Watches(
            error=of("error"),
            loss=of("loss"),
            label=of("label"),
            prediction=of("prediction"),
            features=[
                (name, watch)
                for watch in watches
                if (name := feature_name(watch.settings.signal)) is not None
            ],
            labels=any(of(signal) for signal in ("error", "loss", "label")),
        )

    def threshold_after(self, present: float | None) -> float | None:
        """The decision threshold under this configuration for a learner that had `present`: a
        learnt one is kept until one is chosen anew."""
        wanted = self.configuration.threshold
        return present if wanted.learnt else wanted.fixed

    def threshold(self, present: float | None, quality: Quality) -> float | None:
        """The decision threshold after periods have matured: a learnt one is chosen anew."""
        wanted = self.configuration.threshold
        if not wanted.learnt:
            return present
        positives, negatives = quality.score_histogram(THRESHOLD_EVENTS)
        chosen = choose_threshold(wanted, positives, negatives)
        return present if chosen is None else chosen
