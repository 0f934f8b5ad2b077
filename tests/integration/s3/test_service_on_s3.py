"""A whole service whose snapshots are in a bucket: killed, and recovered from there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from consumers.record import NewRecord
from consumers.transports.memory import MemoryLog
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.opening import open_store
from learners.snapshots.signing import Keyring, SigningKey
from stream.shard.checkpoint import Snapshots
from stream.shard.restore import Restored
from stream.worker import Worker
from tests.integration.s3.server import S3Server
from tests.stream.builders import LOGISTIC, T0_MS, configuration

pytestmark = pytest.mark.s3

KEYRING = Keyring((SigningKey(bytes(range(32))),))


def test_a_service_recovers_from_its_bucket_and_publishes_there(s3_server: S3Server) -> None:
    # given a service that left a snapshot in the bucket on a clean stop
    config = configuration(model=LOGISTIC, events={"id": "id", "time": "time", "label": "y"})
    settings = s3_server.settings("service")
    log = MemoryLog()
    log.create_topics(1)
    log.append(
        [
            ("events", 0, NewRecord(b'{"id": %d, "time": %d, "x": %d, "y": %d}' % row))
            for row in ((i, T0_MS + i, i % 7, i % 2) for i in range(200))
        ]
    )
    restored: dict[int, Restored] = {}
    with ThreadPoolExecutor(1) as executor:
        archive = SnapshotArchive(open_store(settings), KEYRING)
        snapshots = Snapshots(settings, archive, executor)
        first = Worker(config, log.join(), snapshots)
        first.run_until_idle()
        first.leave()
        digest = first.runners[0].shard.parts.digest
        log.kill_worker()

        # when another one starts, with a connection of its own
        archive = SnapshotArchive(open_store(settings), KEYRING)
        second = Worker(
            config,
            log.join(),
            Snapshots(settings, archive, executor),
            on_restored=restored.__setitem__,
        )
        second.run_until_idle()

    # then it goes on from the bucket, and replays nothing
    assert restored[0].snapshot is not None
    assert restored[0].records == 0
    assert second.runners[0].shard.parts.digest == digest
    assert len(archive.stored(restored[0].journal, 0)) == len(restored[0].published) == 1
