"""The Dockerfile: small, pinned, as nobody, and its building steps give a driftline that runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.files import PACKAGES, ROOT

TEXT = (ROOT / "Dockerfile").read_text()
STAGES = re.split(r"^(?=FROM )", TEXT, flags=re.M)[1:]
LIST = "from importlib.metadata import distributions; print(*(one.name for one in distributions()))"
INGREDIENTS = {*PACKAGES, "pyproject.toml", "requirements.lock", "README.md", "LICENSE"}


def test_it_has_a_stage_that_builds_and_one_that_is_kept():
    assert [stage.splitlines()[0] for stage in STAGES] == [
        "FROM python:3.11-slim AS build",
        "FROM python:3.11-slim",
    ]
    kept = [line for line in STAGES[1].splitlines() if line.startswith("COPY")]
    assert kept == ["COPY --from=build /opt/driftline /opt/driftline"]


def test_it_runs_as_the_user_that_compose_names():
    users = re.findall(r"^USER (\S+)$", STAGES[1], re.M)

    assert users == ["10001:10001"]
    assert f'user: "{users[0]}"' in (ROOT / "docker-compose.yml").read_text()
    assert "--uid 10001" in STAGES[1]


def test_it_names_no_registry_and_installs_nothing_without_a_hash():
    installs = [line for line in TEXT.splitlines() if " install " in line]

    assert not re.search(r"://|--index|--trusted|--find-links", TEXT)
    assert len(installs) == 4
    assert [line for line in installs if "--require-hashes" not in line] == [installs[-1]]
    assert "--no-deps --no-index" in installs[-1]


def test_only_what_it_is_built_from_is_sent_to_it():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line[:1] not in {"", "#"}]

    assert rules[0] == "*"
    assert {line[1:] for line in rules if line.startswith("!")} == INGREDIENTS
    assert rules[-1] == "**/__pycache__"


@pytest.mark.soak
def test_its_building_steps_give_a_driftline_that_runs_without_the_checkout(tmp_path: Path):
    # given the folder that a build gets, and the two environments that it makes somewhere else
    build, places = tmp_path / "build", tmp_path / "opt"
    build.mkdir()
    places.mkdir()
    for name in INGREDIENTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, build / name)

    # when its steps are done
    steps = re.findall(r"^RUN ((?:.*\\\n)*.*)$", STAGES[0], re.M)
    assert len(steps) == 3
    for step in steps:
        done = subprocess.run(
            ("sh", "-euc", step.replace("/opt/", f"{places}/")),
            cwd=build,
            env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    # then what is kept runs by itself, and holds what the service needs and no more
    python = places / "driftline" / "bin" / "python"
    said = subprocess.run(
        (places / "driftline" / "bin" / "driftline", "--version"),
        cwd=tmp_path,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
    )
    listed = subprocess.run(
        (python, "-c", LIST),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert said.stdout.startswith("driftline "), said.stderr
    assert {"driftline", "river", "kafka-python"} <= set(listed.stdout.split())
    assert not {"pip", "setuptools", "pytest", "mypy", "matplotlib"} & set(listed.stdout.split())
