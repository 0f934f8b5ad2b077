"""The whole show on the first days of January: real commands, a real kill -9, a real recovery."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import psutil
import pyarrow.parquet as pq
import pytest

from consumers.transports import open_log

pytestmark = [pytest.mark.xdist_group("flights"), pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
DEMO = (sys.executable, "-m", "examples.flights.demo")
DAYS = ("--until", "2013-01-14", "--kill", "2013-01-07")
DEADLINE_S = 240


def start(folder: Path, *options: str) -> "subprocess.Popen[str]":
    # A shell that runs the tests in the background has them, and their children, ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _started(folder, *options)
    finally:
        signal.signal(signal.SIGINT, before)


def _started(folder: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        (*DEMO, "--folder", str(folder), *options),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "DRIFTLINE_NAME": "of-somebody-else"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "var"


@pytest.fixture(scope="module")
def printed(folder: Path) -> list[str]:
    """What one run printed; the folder holds what it left."""
    out, err = (demo := start(folder, *DAYS)).communicate(timeout=DEADLINE_S)
    assert (demo.returncode, err) == (0, ""), out + err
    lines: list[str] = out.splitlines()
    return lines


def test_every_flight_has_one_prediction_in_spite_of_the_kill(folder: Path, printed: list[str]):
    flights = pq.read_table(folder / "flights.parquet", columns=["flight_id", "late"])
    labels = flights.num_rows - flights["late"].null_count
    log = open_log(f"sqlite:{folder / 'flights.db'}", "flights")
    assert flights.num_rows == log.end_offset("predictions", 0) == log.end_offset("events", 0)
    assert labels == log.end_offset("labels", 0)
    log.close()
    assert (
        f"{flights.num_rows:,} events, {labels:,} labels, {flights.num_rows:,} predictions:"
        " 0 missing, 0 twice."
    ) in printed


def test_the_kill_and_the_recovery_are_shown(printed: list[str]):
    text = "\n".join(printed)
    killed = re.search(
        r"^Jan (\d+): kill -9 \d+\. The service is gone; ([\d,]+) predictions", text, re.MULTILINE
    )
    assert killed, text
    assert int(killed[1]) >= 7
    recovered = re.search(
        r"^Recovered in [\d.]+ s, digest equal: [0-9a-f]{16}, as the journal has it.\n"
        r"Replayed .*: [\d,]+ events and labels; at work in [\d.]+ s.$",
        text,
        re.MULTILINE,
    )
    assert recovered, text
    # before it a service was started, and another after it
    assert [line.split()[2] for line in printed if line.startswith("$ ")] == [
        "ingest",
        "run",
        "run",
    ]


def test_a_plain_log_has_the_calendar_with_its_crash_once(printed: list[str]):
    [january] = [line for line in printed if line.startswith("Jan ") and "flights," in line]
    assert re.search(r"[▁▂▃▄▅▆▇█]{13} +11,\d{3} flights, +\d+% late or cancelled$", january)
    [crash] = [line for line in printed if "✗" in line]
    assert re.search(r" killed: recovered in [\d.]+ s, digest equal$", crash)
    assert not any("\x1b" in line for line in printed)
    assert max(len(line) for line in printed if not line.startswith("$") and "/" not in line) <= 80


def test_the_figures_stand_beside_naive_ones(printed: list[str]):
    [roc_auc] = [line.split() for line in printed if line.startswith("AUC ")]
    [flagged] = [line.split() for line in printed if line.startswith("late, of the 10% flagged")]
    assert 0.6 < float(roc_auc[1]) < 0.8
    assert 0.5 < float(roc_auc[2]) < float(roc_auc[1])
    assert int(flagged[5].rstrip("%")) > int(flagged[6].rstrip("%"))


def test_the_picture_is_left_behind(folder: Path, printed: list[str]):
    [line] = [line for line in printed if line.startswith("The picture")]
    picture = Path(line.split(": ", 1)[1])
    assert picture == folder / "flights.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000


def test_the_last_line_starts_on_data_of_ones_own(tmp_path: Path, printed: list[str]):
    # given data of one's own and a copy of the configuration that the line before names
    subprocess.run((sys.executable, ROOT / "examples" / "sample_data.py", tmp_path), check=True)
    assert "examples/payments.yaml" in printed[-2]
    command = printed[-1].replace("MY.yaml", str(ROOT / "examples" / "payments.yaml"))
    command = command.replace("FILE", str(tmp_path / "payments.csv"))
    command = command.replace("COL", "fraud", 1).replace("COL", "reported_at", 1)

    # when the command is run as it stands
    assert command.startswith(".venv/bin/driftline backtest ")
    done = subprocess.run(
        (Path(sys.executable).parent / "driftline", *shlex.split(command)[1:]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    # then it works
    assert done.returncode == 0, done.stderr
    assert "roc_auc" in done.stdout


def test_a_service_that_dies_ends_the_demo_and_leaves_nothing_running(tmp_path: Path):
    # given a demo whose service is killed by somebody else
    demo = start(tmp_path / "var", *DAYS[:2], "--kill", "2013-01-13")
    os.kill(_wait_for_service(demo, tmp_path / "var"), signal.SIGKILL)

    out, err = demo.communicate(timeout=DEADLINE_S)

    # then it says so, and what it has started is gone too
    assert demo.returncode == 1
    assert err.startswith("error: driftline run ended with code -9; it said:\n")
    assert "Traceback" not in out + err
    assert _commands_on(tmp_path) == []


def test_a_demo_that_is_interrupted_takes_its_commands_with_it(tmp_path: Path):
    demo = start(tmp_path / "var", *DAYS)
    _wait_for_service(demo, tmp_path / "var")
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 130
    assert err == "interrupted; nothing is left running\n"
    assert _commands_on(tmp_path) == []


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("important")
    demo = start(tmp_path)
    _, err = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 2
    assert "holds files that are not the demo's" in err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_kill_outside_the_days_shown_is_refused_before_anything_is_emptied(tmp_path: Path):
    (tmp_path / ".driftline-demo").touch()
    (tmp_path / "flights.png").touch()
    demo = start(tmp_path, "--until", "2013-02-01", "--kill", "2013-02-01")
    _, err = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 2
    assert err.startswith("error: --kill must lie between 2013-01-01 and --until, 2013-02-01")
    assert (tmp_path / "flights.png").exists()


def _wait_for_service(demo: "subprocess.Popen[str]", folder: Path) -> int:
    """The number of the service's process, as soon as it says that the log is its own."""
    lock = folder / "flights.db.lock"
    deadline_s = time.monotonic() + DEADLINE_S
    while not (lock.exists() and (holder := lock.read_bytes())):
        assert demo.poll() is None, demo.communicate()
        assert time.monotonic() < deadline_s, "there was no service"
        time.sleep(0.01)
    number: int = orjson.loads(holder)["pid"]
    return number


def _commands_on(folder: Path) -> list[list[str]]:
    """The commands that still run on files of a folder."""
    found = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [words for words in found if any(str(folder) in word for word in words)]
