"""Tests of one group run in one process, so what they share is set up once."""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from tests.house.files import ROOT

GROUPED = """\
import pytest

@pytest.mark.parametrize("number", range(2))
@pytest.mark.xdist_group("red")
def test_red(number):
    pass

@pytest.mark.parametrize("number", range(2))
@pytest.mark.xdist_group("blue")
def test_blue(number):
    pass
"""


def test_the_tests_of_a_group_run_in_one_process_and_groups_beside_each_other(
    tmp_path: Path,
) -> None:
    # given tests of two groups under the project's own settings and conftest
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    (tests / "test_grouped.py").write_text(GROUPED)

    # when they run as `make test` runs them
    [options] = re.findall(r"-m pytest (-n 2 .*)", (ROOT / "Makefile").read_text())
    ran = subprocess.run(
        (sys.executable, "-m", "pytest", "-v", *options.split()),
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
    )

    # then
    assert ran.returncode == 0, ran.stdout + ran.stderr
    processes = defaultdict(set)
    for process, group in re.findall(r"\[(gw\d)\] .*PASSED .*::test_(\w+)\[", ran.stdout):
        processes[group].add(process)
    assert sorted(map(len, processes.values())) == [1, 1], ran.stdout
    assert processes["red"] != processes["blue"], ran.stdout
