from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house.files import ROOT
from tests.integration.deploy.running import Deployment, deployed

CACHE = ROOT / ".cache"


@pytest.fixture(scope="session")
def compose() -> Path:
    """Prints a compose file as Compose understands it, or refuses it."""
    return _tool(CACHE / "bin" / "compose-config")


@pytest.fixture(scope="session")
def promtool() -> Path:
    return _tool(CACHE / "prometheus" / "promtool")


@pytest.fixture(scope="session")
def prometheus() -> Path:
    return _tool(CACHE / "prometheus" / "prometheus")


@pytest.fixture(scope="session")
def project(compose: Path) -> dict[str, Any]:
    """docker-compose.yml as Compose understands it."""
    done = subprocess.run(
        (compose, ROOT / "docker-compose.yml"), capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def deployment(
    project: dict[str, Any], prometheus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """What docker-compose.yml describes, running without containers, with some flights on it."""
    with deployed(project, prometheus, tmp_path_factory.mktemp("deployment")) as deployment:
        yield deployment


def _tool(binary: Path) -> Path:
    if binary.exists():
        return binary
    missing = (
        f"NO {binary.name.upper()}: {binary} is not there; `make test-tools` builds it where Go is"
    )
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
