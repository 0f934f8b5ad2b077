"""Runs a command beside a real Kafka, which is started for the while:

    python -m tests.integration.kafka COMMAND …

`{kafka}` in the command becomes HOST:PORT. Where KAFKA_BOOTSTRAP_SERVERS names a broker, that one
is used and none is started. The exit code is the command's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.integration.kafka.broker import shared_kafka


def main(command: list[str]) -> int:
    """Runs it; 2 where no broker can be started."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="driftline-kafka-") as folder,
            shared_kafka(Path(folder)) as bootstrap,
        ):
            words = [word.replace("{kafka}", bootstrap) for word in command]
            return subprocess.run(words, check=False).returncode
    except pytest.skip.Exception as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
