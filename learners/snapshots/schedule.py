"""When the next snapshot is due. Pure: numbers in, a reason out."""

from __future__ import annotations

from typing import Final, Literal

from learners.snapshots.settings import SnapshotsSettings

# Due at 80 % of the bound: the rest is for what arrives until the snapshot is published.
HEADROOM: Final = 0.8

Due = Literal["age", "events", "recovery"]


def due(
    settings: SnapshotsSettings,
    *,
    seconds_since: float,
    events_since: int,
    replay_events_per_s: float | None,
    load_s: float = 0.0,
) -> Due | None:
    """Why a snapshot is due now, or None.

    Never when nothing has happened since the last one, nor within `min_interval` of it: that one
    wins over `recover_within`, or a slow replay would take snapshots back to back.

    Parameters
    ----------
    seconds_since
        Monotonic seconds since the last snapshot was taken (or since the start).
    events_since
        Records applied since then.
    replay_events_per_s
        How fast this state replays, as measured; None if not known yet.
    load_s
        How long the snapshot itself takes to load.
    """
    if events_since <= 0 or seconds_since < settings.min_interval.total_seconds():
        return None
    if settings.every_events is not None and events_since >= settings.every_events:
        return "events"
    if settings.every is not None and seconds_since >= settings.every.total_seconds():
        return "age"
    if replay_events_per_s is not None and replay_events_per_s > 0:
        recovery_s = load_s + events_since / replay_events_per_s
        if recovery_s >= HEADROOM * settings.recover_within.total_seconds():
            return "recovery"
    return None
