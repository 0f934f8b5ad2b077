"""Fetches into .cache what the tests use beside Python: Kafka's jars, an S3-compatible server,
Prometheus with promtool, and Compose's own reading of its files.

Run by `make test-tools`. What this machine cannot have is said loudly and its tests are skipped;
with CI=true that is an error instead. A second run does nothing until the pinned versions change.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
BIN = CACHE / "bin"
KAFKA_POM = ROOT / "tests" / "integration" / "kafka" / "pom.xml"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
PROMETHEUS = "github.com/prometheus/prometheus@v0.313.5"  # how Go numbers 3.13.5
COMPOSE = ROOT / "tests" / "integration" / "deploy" / "compose"


class Tool(NamedTuple):
    """Something to fetch: what for, the programs that fetching and running it need, and how."""

    name: str
    needs: tuple[str, ...]
    version: str
    place: Path
    fetch: Callable[[Path], None]


def main() -> int:
    """Fetch every tool that is not there yet; the exit code is 1 if CI=true and one is missing."""
    tools = (
        Tool("Kafka", ("java", "mvn"), _digest(KAFKA_POM), CACHE / "kafka" / "libs", _fetch_kafka),
        Tool("S3", ("go",), VERSITYGW, BIN / "versitygw", _fetch_versitygw),
        Tool("Compose", ("go",), _digest(COMPOSE), BIN / "compose-config", _build_compose),
        Tool("Prometheus", ("go",), PROMETHEUS, CACHE / "prometheus", _build_prometheus),
    )
    missing = {tool.name: reason for tool in tools if (reason := _provide(tool))}
    for name, reason in missing.items():
        print(
            f"\n{'*' * 78}\n*** {name} TESTS WILL BE SKIPPED: {reason}\n{'*' * 78}\n",
            file=sys.stderr,
        )
    if missing and os.environ.get("CI") == "true":
        print("error: CI=true allows no skipped tests", file=sys.stderr)
        print(
            "hint: give this machine java, mvn and go, and a way to their downloads",
            file=sys.stderr,
        )
        return 1
    return 0


def _provide(tool: Tool) -> str | None:
    """Why the tool is not there, or None if it is."""
    stamp = tool.place.parent / f"{tool.place.name}.version"
    if tool.place.exists() and stamp.is_file() and stamp.read_text() == tool.version:
        return None
    absent = [program for program in tool.needs if shutil.which(program) is None]
    if absent:
        return f"this machine has no {' and no '.join(absent)}"
    print(f"fetching {tool.name} into {tool.place.relative_to(ROOT)}", file=sys.stderr)
    stamp.unlink(missing_ok=True)
    tool.place.parent.mkdir(parents=True, exist_ok=True)
    try:
        tool.fetch(tool.place)
    except subprocess.CalledProcessError as error:
        return f"fetching it failed: `{' '.join(error.cmd)}` ended with {error.returncode}"
    stamp.write_text(tool.version)
    return None


def _fetch_kafka(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)  # jars of another version would stay on the class path
    goal = ("dependency:copy-dependencies", f"-DoutputDirectory={place}")
    # Without --strict-checksums Maven keeps a damaged jar and only warns.
    subprocess.run(
        (
            "mvn",
            "--quiet",
            "--batch-mode",
            "-Dstyle.color=never",
            "--strict-checksums",
            "--file",
            str(KAFKA_POM),
            *goal,
        ),
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _fetch_versitygw(place: Path) -> None:
    subprocess.run(
        ("go", "install", VERSITYGW),
        check=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"GOBIN": str(place.parent)},
        cwd=place.parent,  # outside any Go module
    )


def _build_compose(place: Path) -> None:
    subprocess.run(
        ("go", "build", "-C", str(COMPOSE), "-o", str(place), "."),
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _build_prometheus(place: Path) -> None:
    # `go install` refuses a module that replaces others, so it is built where its source lies.
    source = subprocess.run(
        ("go", "mod", "download", "-json", PROMETHEUS),
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=place.parent,  # outside any Go module
    )
    # Neither optimised nor with the clouds' service discovery: a third less to compile, and tests
    # ask little of it.
    cheap = ("-tags=remove_all_sd", "-gcflags=all=-N -l", "-ldflags=-s -w")
    place.mkdir(exist_ok=True)
    subprocess.run(
        (
            "go",
            "build",
            "-C",
            json.loads(source.stdout)["Dir"],
            *cheap,
            "-o",
            f"{place}/",
            "./cmd/prometheus",
            "./cmd/promtool",
        ),
        check=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"GOWORK": "off"},  # its workspace names folders that are not published
    )


def _digest(path: Path) -> str:
    """Of a file, or of all in a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
