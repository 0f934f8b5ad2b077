"""What a newcomer and the continuous integration get from make and from the tests' own settings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.files import ROOT

GROUPED = """
import pytest

@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(8))
def test_one_of_many(number):
    pass
"""
SKIPPING = "import pytest\n\ndef test_needs_a_broker():\n    pytest.skip('no java here')\n"


def test_make_refuses_an_older_python_and_says_the_way_on(tmp_path: Path) -> None:
    # given a machine whose Python is too old
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.13 || exit 1\n')
    old.chmod(0o755)

    # when installing with it
    made = subprocess.run(
        ("make", "install", f"PYTHON={old}"), cwd=tmp_path, capture_output=True, text=True
    )

    # then it says what is wrong, what to do, and has made nothing
    assert made.returncode == 2
    assert "error: driftline needs Python 3.11 or later; " in made.stderr
    assert "is Python 3.10.13\nhint: name a newer one: make install PYTHON=" in made.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_skipped_test_fails_in_continuous_integration_only(tmp_path: Path) -> None:
    here = _pytest(tmp_path, ci="")
    there = _pytest(tmp_path, ci="true")

    assert here.returncode == 0
    assert "no java here" in here.stdout
    assert there.returncode == 1
    assert "skipped, which CI=true does not allow: Skipped: no java here" in there.stdout


def test_the_tests_of_a_group_run_in_one_process(tmp_path: Path) -> None:
    shown = _pytest(tmp_path, "-n2", "--dist=loadgroup", "-v", content=GROUPED, ci="").stdout

    assert "8 passed" in shown
    assert len({line.split("]")[0] for line in shown.splitlines() if "PASSED" in line}) == 1


def test_the_continuous_integration_ends_as_make_does(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text("test:\n\t@echo CI is $(CI)\n\t@exit 7\n")

    ran = subprocess.run(("bash", ".ci/run"), cwd=tmp_path, capture_output=True, text=True)

    assert ran.returncode != 0
    assert "CI is true" in ran.stdout


def _pytest(
    folder: Path, *options: str, content: str = SKIPPING, ci: str
) -> subprocess.CompletedProcess[str]:
    """Runs tests under the project's own settings and conftest."""
    tests = folder / "tests"
    tests.mkdir(exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    (tests / "test_skipping.py").write_text(content)
    return subprocess.run(
        (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options),
        cwd=folder,
        env=os.environ | {"CI": ci},
        capture_output=True,
        text=True,
    )
