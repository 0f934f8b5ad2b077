"""A newcomer's checkout, in which the documents' commands are run as they stand."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from stream.configuration import load_file
from stream.opening import open_service_log
from tests.house.files import ROOT

DEADLINE_S = 120
DRIFTLINE = ".venv/bin/driftline "


class Newcomer:
    """A folder that looks like a checkout after `make install`; the real one is not touched.

    `outputs` and `logs` are what each command wrote on stdout and stderr. The first command of
    driftline is started cold, the others in a warm process (see `warm`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs: dict[str, str] = {}
        self.logs: dict[str, str] = {}
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / "examples").symlink_to(ROOT / "examples")
        # The seed that driftline would set by starting itself again.
        self._environment = {**os.environ, "PYTHONHASHSEED": "0", "HOME": str(folder)}
        self._warm = subprocess.Popen(
            (sys.executable, "-m", "tests.docs.warm"),
            cwd=folder,
            env={**self._environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._is_cold = True

    def close(self) -> None:
        """Ends the warm process."""
        self._warm.communicate(timeout=DEADLINE_S)

    def run(self, command: str) -> str:
        """What a command prints on stdout; it must succeed.

        `ID` stands for the newest snapshot's. A service that would go on for ever gets SIGTERM once
        it has used all that is on its log.
        """
        given = command
        if "snapshots show ID" in command:
            listed = json.loads(self.run(f"{command.replace('show ID', 'list')} --json"))
            given = command.replace("ID", listed["snapshots"][-1]["id"])
        warm = given.startswith(DRIFTLINE) and not self._is_cold
        self._is_cold = self._is_cold and not given.startswith(DRIFTLINE)
        code, output, log = self._run_warm(given) if warm else self._run_cold(given)
        assert code == 0, f"{given}\n{output}{log}"
        self.outputs[command], self.logs[command] = output, log
        return output

    def _run_cold(self, command: str) -> tuple[int, str, str]:
        done = subprocess.run(
            ("bash", "-euo", "pipefail", "-c", command),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        return done.returncode, done.stdout, done.stderr

    def _run_warm(self, command: str) -> tuple[int, str, str]:
        words = shlex.split(command)
        files = [self.folder / name for name in ("stdout", "stderr")]
        assert self._warm.stdin and self._warm.stdout
        self._warm.stdin.write(json.dumps([*map(str, files), *words]) + "\n")
        self._warm.stdin.flush()
        process = int(self._warm.stdout.readline())
        if words[1] == "run" and "--until-idle" not in words:
            self._wait_until_used(words[-1])
            os.kill(process, signal.SIGTERM)
        code = int(self._warm.stdout.readline())
        output, log = (file.read_text() for file in files)
        return code, output, log

    def _wait_until_used(self, config: str) -> None:
        """Returns when the service has committed all that is on its log."""
        configuration = load_file(self.folder / config)
        place = self.folder / configuration.log.removeprefix("sqlite:")
        deadline_s = time.monotonic() + DEADLINE_S
        there = configuration.model_copy(update={"log": f"sqlite:{place}"})
        with open_service_log(there, create=False) as log:
            ends = {topic: log.end_offset(topic, 0) for topic in ("events", "labels")}
            while (done := log.committed(0)) is None or not ends.items() <= done.positions.items():
                assert time.monotonic() < deadline_s, f"{config}: {done} of {ends}"
                time.sleep(0.05)
