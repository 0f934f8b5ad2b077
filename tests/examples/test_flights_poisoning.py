"""The second act on the real days of March: real commands, and a rollback that takes labels out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.xdist_group("flights"), pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("poisoning") / "var"


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What one performance printed; the folder holds what it left."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.flights.poisoning", "--folder", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_the_alerts_come_on_the_first_of_the_flipped_days(printed: str):
    alerts = re.findall(r"^    (Mar \d+) \d\d:\d\d +(\w+) +(.+)$", printed, re.MULTILINE)

    assert ("Mar 20", "critical", "mistakes") in alerts


def test_the_rollback_brings_back_a_model_that_never_saw_them(printed: str):
    aucs = dict(re.findall(r"^    (clean|poisoned|rolled back) +([\d.]+)$", printed, re.MULTILINE))

    assert float(aucs["clean"]) >= 0.65
    assert float(aucs["poisoned"]) < 0.6
    assert abs(float(aucs["rolled back"]) - float(aucs["clean"])) < 0.02


def test_it_predicts_to_the_bit_what_a_run_without_those_labels_predicts(printed: str):
    said = re.search(r"([\d,]+) predictions after the rollback; (\d+) differ", printed)

    assert said is not None
    assert int(said[1].replace(",", "")) > 5_000
    assert said[2] == "0"


def test_the_picture_is_left_behind(folder: Path, printed: str):
    picture = folder / "rollback.png"

    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000
