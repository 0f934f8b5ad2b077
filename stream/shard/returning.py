"""What a plain rollback brings back: the learner and its threshold, with the model's settings.

Detectors that follow the model start afresh; everything else stays, the metrics too, since they are
of what was served.
"""

from __future__ import annotations

from dataclasses import replace

from detectors.signals import follows_model
from learners.errors import SnapshotError, StoreError
from learners.learner import Learner
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.container import Snapshot
from learners.snapshots.reference import parse_key
from stream.configuration import Configuration
from stream.errors import EngineChangedError, RollbackError
from stream.shard.load import load_shard, plan_of
from stream.shard.parts import Parts
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.updates import Updates


class Stored:
    """The states that snapshots hold, loaded for a rollback.

    Parameters
    ----------
    archive
        Where snapshots are read from.
    configuration
        The file's; its semantic part gives way to each snapshot's.
    """

    def __init__(self, archive: SnapshotArchive, configuration: Configuration) -> None:
        self.archive = archive
        self.configuration = configuration

    def named(self, key: str | None, shard: int) -> Shard:
        """The state in the snapshot of a key; RollbackError if it cannot be loaded."""
        ref = parse_key(key or "")
        try:
            snapshot = None if ref is None else self.archive.read(ref)
        except StoreError:
            # Perhaps only for a moment: the worker stops, and tries again when it is started.
            raise
        except SnapshotError as error:
            raise RollbackError(f"its snapshot cannot be loaded: {error}", error.hint) from error
        if snapshot is None:
            raise RollbackError(
                f"its snapshot {key} for shard {shard} is not in {self.archive.store.name}",
                "put the snapshot back, or roll back to another version",
            )
        return self.shard(shard, snapshot)

    def shard(self, shard: int, snapshot: Snapshot) -> Shard:
        """The state in a snapshot; RollbackError if it cannot be loaded."""
        try:
            return load_shard(self.configuration, shard, snapshot)
        except (SnapshotError, EngineChangedError) as error:
            raise RollbackError(f"its snapshot cannot be loaded: {error}", error.hint) from error


def emptied(current: Shard) -> Shard:
    """The current shard with a learner that has learnt nothing."""
    plan = current.plan
    return current.succeed(plan, _plain(current, plan, plan.fresh_parts().learner))


def put_back(current: Shard, target: Shard) -> Shard:
    """The current shard with the learner, the threshold and the model's settings of another."""
    semantic = current.plan.configuration.semantic()
    semantic["model"] = target.plan.configuration.semantic()["model"]
    plan = plan_of(current.plan.configuration, semantic)
    return current.succeed(plan, _plain(current, plan, target.parts.learner))


def _plain(current: Shard, plan: Plan, learner: Learner) -> Parts:
    """The parts with another learner; watches of what follows the model start afresh."""
    fresh = plan.fresh_parts().watches
    watches = [
        new if follows_model(old.settings.signal) else old
        for old, new in zip(current.parts.watches, fresh, strict=True)
    ]
    learner.threshold = plan.threshold_after(learner.threshold)
    return replace(current.parts, learner=learner, watches=watches, updates=Updates())
