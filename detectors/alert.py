"""The message that subscribers get about a detection."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from detectors.detection import Detection, Severity

FORMAT: Final = 1
"""The version of the message's shape."""

NOTICE_SEVERITY: Final[Severity] = "critical"
"""Of every alert about the service itself."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def alert_id(
    *, service: str, shard: int, detector: str, topic: str, partition: int, offset: int
) -> str:
    """The id of the alert that this detector raises at this record: 20 hexadecimal digits.

    The first 80 bits of SHA-256 over these six as a JSON array, and nothing else: whatever crashes
    and is applied again, on whichever machine, the alert keeps its id.
    """
    named = json.dumps([service, shard, detector, topic, partition, offset])
    return hashlib.sha256(named.encode()).hexdigest()[:20]


def build_alert(
    detection: Detection,
    *,
    service: str,
    shard: int,
    version: int,
    topic: str,
    partition: int,
    offset: int,
    suppressed: int = 0,
) -> dict[str, Any]:
    """The alert message about `detection`, ready for JSON.

    Parameters
    ----------
    service, shard
        Who watches.
    version
        The model version that served when it was detected.
    topic, partition, offset
        The record that was being applied: the event, or the late label, that completed the change.
    suppressed
        How many alerts like it the policy kept back since the last one sent.
    """
    evidence: dict[str, Any] = {
        "method": detection.method,
        "direction": detection.direction,
        **detection.evidence,
    }
    evidence["start_time"] = _rfc3339(evidence.pop("start_time_ms"))
    evidence["suppressed"] = suppressed
    return {
        "format": FORMAT,
        "id": alert_id(
            service=service,
            shard=shard,
            detector=detection.detector,
            topic=topic,
            partition=partition,
            offset=offset,
        ),
        "kind": "drift",
        "state": "drift",
        "severity": detection.severity,
        "detector": detection.detector,
        "signal": detection.signal,
        "time": _rfc3339(detection.time_ms),
        "event_index": detection.event_index,
        "evidence": evidence,
        "version": version,
        "source": {"topic": topic, "partition": partition, "offset": offset},
    }


def build_notice(
    *,
    service: str,
    shard: int,
    version: int,
    detector: str,
    signal: str,
    state: str,
    time_ms: int,
    event_index: int,
    evidence: dict[str, Any],
    source: tuple[str, int] | None,
) -> dict[str, Any]:
    """An alert about the service itself, of kind `operations`, ready for JSON.

    Parameters
    ----------
    time_ms
        The stream's time.
    evidence
        What is known, and under `hint` the way out.
    source
        Topic and offset of the record at which it was noticed; None where that was the end of a
        wait.
    """
    topic, offset = source or ("none", event_index)
    return {
        "format": FORMAT,
        "id": alert_id(
            service=service,
            shard=shard,
            detector=detector,
            topic=topic,
            partition=shard,
            offset=offset,
        ),
        "kind": "operations",
        "state": state,
        "severity": NOTICE_SEVERITY,
        "detector": detector,
        "signal": signal,
        "time": _rfc3339(time_ms),
        "event_index": event_index,
        "evidence": evidence,
        "version": version,
        "source": source and {"topic": topic, "partition": shard, "offset": offset},
    }


def _rfc3339(time_ms: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
