from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.house.files import ROOT

CACHE = ROOT / ".cache"


@pytest.fixture(scope="session")
def compose() -> Path:
    """Prints a compose file as Compose understands it, or refuses it."""
    return _tool(CACHE / "bin" / "compose-config")


@pytest.fixture(scope="session")
def promtool() -> Path:
    return _tool(CACHE / "prometheus" / "promtool")


@pytest.fixture(scope="session")
def project(compose: Path) -> dict[str, Any]:
    """docker-compose.yml as Compose understands it."""
    done = subprocess.run(
        (compose, ROOT / "docker-compose.yml"), capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _tool(binary: Path) -> Path:
    if binary.exists():
        return binary
    missing = (
        f"NO {binary.name.upper()}: {binary} is not there; `make test-tools` builds it where Go is"
    )
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
