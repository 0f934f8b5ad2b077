"""`config apply`: another configuration for a shard that goes on.

Everything that the shard knows is carried over under the new settings: what waits for labels, ids
seen, metrics, alert history, and every detector whose settings are the same. With `keep` the model
is too; else one that has learnt nothing takes its place, and detectors that follow the model start
afresh with it. It is a pure function of state and command, so recovery and rollbacks do it again.
"""

from __future__ import annotations

from typing import Any

from detectors.signals import follows_model
from learners.learner import Learner
from stream.commands import ConfigCommand, Heavy, RollbackCommand
from stream.configuration import differing
from stream.errors import CommandError, ConfigurationError, RollbackError
from stream.shard.load import plan_of
from stream.shard.plan import Plan
from stream.shard.shard import Shard
from stream.shard.updates import Updates


def check_change(shard: Shard, command: Heavy) -> None:
    """Refuses, by CommandError, a command that this shard and all others must not carry out."""
    if isinstance(command, RollbackCommand):
        shard.check_rollback(command)
        return
    shard.parts.versions.check_order(command)
    check_configuration(shard.plan.configuration.semantic(), command)


def check_configuration(in_force: dict[str, Any], command: ConfigCommand) -> None:
    """Refuses, by CommandError, a configuration that the service cannot go on under."""
    wanted = command.configuration
    changed = {field.partition(".")[0] for field, _, _ in differing(wanted, in_force)}
    if not changed:
        raise CommandError(
            "this configuration is in force already",
            "driftline rollback --empty makes models that have learnt nothing",
        )
    if "task" in changed:
        raise CommandError(
            f"the task of a service is fixed, and this would make {in_force['task']!r} "
            f"{wanted.get('task')!r}: its metrics and waiting labels are of that task",
            "give another task a service of its own: another `name` and `log`",
        )
    if command.keep and "model" in changed:
        raise CommandError(
            "what a model has learnt cannot be kept under other parameters, and `model` differs",
            "driftline config apply --fresh starts it anew; or put the `model` section back",
        )


def reconfigured(current: Shard, command: ConfigCommand) -> Shard:
    """The shard under the command's configuration, which `check_configuration` has let pass.

    Raises
    ------
    RollbackError
        The configuration cannot be used here, such as a factory that this worker cannot import.
    """
    before = current.plan.configuration
    try:
        plan = plan_of(before, command.configuration)
    except ConfigurationError as error:
        raise RollbackError(f"the configuration cannot be used: {error}", error.hint) from error
    return _under(current, plan, keep=command.keep)


def _under(current: Shard, plan: Plan, *, keep: bool) -> Shard:
    old, new = current.parts, plan.fresh_parts()
    unlearnt = new.learner
    settings = plan.configuration
    new.load_plain(old.dump_plain(), settings.labels, plan.alerts, settings.halt)
    if plan.wait_ms != current.plan.wait_ms:
        new.quality = new.quality.under_wait(plan.wait_ms)
    if not keep:
        new.updates = Updates()
    new.learner = Learner(
        old.learner.model if keep else unlearnt.model,
        plan.task,
        plan.threshold_after(old.learner.threshold if keep else None),
    )
    known = {watch.settings.name: watch for watch in old.watches}
    for place, fresh in enumerate(new.watches):
        watch = known.get(fresh.settings.name)
        same = watch is not None and watch.settings == fresh.settings
        if watch is not None and same and (keep or not follows_model(fresh.settings.signal)):
            new.watches[place] = watch
    return current.succeed(plan, new, probes=keep)
