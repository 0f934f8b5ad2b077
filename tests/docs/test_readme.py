"""What the tables and samples of README and docs/ say is what the code says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from consumers.decoding import EventDecoder, LabelDecoder
from consumers.record import Record
from consumers.transports.kafka.watchdog import EXIT_HUNG
from examples.sample_data import write
from learners.threshold import ThresholdSettings
from stream.backtest import backtest
from stream.cli import output
from stream.configuration import Configuration, load_file
from stream.file_stream import LabelSource
from tests.docs.markdown import blocks, code_spans, commands, outside_blocks, prose, section, tables
from tests.house.files import ROOT, modules

README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
MESSAGES = ROOT / "docs" / "messages.md"
INNER_WORDS = re.compile(r"\b(?:shards?|steps?|ticks?|journals?|signals?)\b", re.I)


def test_it_stays_short_enough_to_be_read() -> None:
    assert len(README.read_text().splitlines()) <= 400


def test_the_words_of_the_inside_are_left_to_the_architecture() -> None:
    assert INNER_WORDS.findall(prose(README)) == []


def test_its_own_data_take_five_commands_at_most() -> None:
    assert 1 <= len(commands_of("## Start on your own data")) <= 5


def commands_of(heading: str) -> list[str]:
    inside = section(README, heading)
    return [command for command in commands(README) if command in inside]


def test_every_field_of_the_configuration_is_in_the_table_with_its_default() -> None:
    table = tables(CONFIGURATION.read_text())[0]
    documented = {name: row[1] for row in table[1:] for name in code_spans(row[0])}

    assert documented == {name: shown(default) for name, default in fields(Configuration)}


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field that can be set, with its default as the configuration writes it."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if (
            inspect.isclass(inner)
            and issubclass(inner, BaseModel)
            and inner is not ThresholdSettings
        ):
            yield from fields(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, field.get_default(call_default_factory=True)


def shown(default: Any) -> str:
    """A default as the table writes it."""
    if default is PydanticUndefined:
        return "–"
    if hasattr(default, "total_seconds"):
        seconds = int(default.total_seconds())
        days, hours = seconds / 86_400, seconds / 3_600
        return f"`{days:g}d`" if days > 1 else f"`{hours:g}h`" if hours >= 1 else f"`{seconds}s`"
    if isinstance(default, ThresholdSettings):
        return "`null`"
    if isinstance(default, bool) or default is None:
        return f"`{yaml.safe_dump(default).split()[0]}`"
    if isinstance(default, BaseModel):
        return "`{" + ", ".join(f"{name}: {value}" for name, value in default) + "}`"
    return f"`{list(default) if isinstance(default, tuple) else default}`"


def test_a_variable_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "DRIFTLINE_EVENTS__START=latest" in CONFIGURATION.read_text()
    monkeypatch.setenv("DRIFTLINE_EVENTS__START", "latest")

    assert load_file(ROOT / "examples" / "payments.yaml").events.start == "latest"


def test_every_reason_for_a_dead_letter_is_in_the_table() -> None:
    table = next(t for t in tables(MESSAGES.read_text()) if t[0][0] == "reason")
    documented = {name for row in table[1:] for name in code_spans(row[0])}
    code = "".join((ROOT / path).read_text() for path in modules("consumers", "stream/shard"))
    raised = set(re.findall(r"RejectedError\(\s*\"(\w+)\"", code))
    written = set(re.findall(r"(?:\.dead|\.dead_held)\(\s*[\w.]+, (?:\w+, )?\"(\w+)\"", code))

    assert written >= {"duplicate", "unknown_id", "too_late"}
    assert documented == raised | written


def test_every_exit_code_is_in_the_table() -> None:
    table = next(t for t in tables(COMMANDS.read_text()) if t[0][0] == "exit code")

    codes = [output.OK, output.WRONG_INPUT, output.STOPPED, output.REPLACED, EXIT_HUNG]
    assert [int(row[0]) for row in table[1:]] == codes


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """A real message of each topic, from a back-test of the payments."""
    folder = tmp_path_factory.mktemp("samples")
    write(folder)
    found: dict[str, dict[str, Any]] = {}
    backtest(
        load_file(ROOT / "examples" / "payments.yaml"),
        folder / "payments.csv",
        LabelSource("fraud", "reported_at"),
        on_output=lambda topic, record: found.update({topic: orjson.loads(record.value or b"")}),
    )
    return found


def samples() -> list[dict[str, Any]]:
    """The bodies that the README shows: an event, a label, a prediction, an alert."""
    bodies = [orjson.loads(text) for text in blocks(README, "json")]
    assert len(bodies) == 4
    return bodies


def test_the_sample_event_and_label_are_taken_as_they_are() -> None:
    event, label, *_ = blocks(README, "json")
    settings = load_file(ROOT / "examples" / "payments.yaml").events
    now_ms = 1_900_000_000_000

    decoded = EventDecoder(settings).decode(_record("events", event), now_ms)
    joined = LabelDecoder().decode(_record("labels", label))

    assert decoded.id == joined.id == "p7"
    assert list(decoded.features) == ["amount", "country", "new_device"]
    assert joined.label is True
    assert joined.annotator == "claims"


def _record(topic: str, text: str) -> Record:
    return Record(topic, 0, 0, 0, None, text.encode())


def test_the_sample_prediction_and_alert_have_the_shape_of_real_ones(
    real: dict[str, dict[str, Any]],
) -> None:
    *_, prediction, alert = samples()

    assert shape(prediction) == shape(real["predictions"])
    evidence = real["alerts"]["evidence"]
    # Of a scaled signal there is more.
    real["alerts"]["evidence"] = {
        name: value for name, value in evidence.items() if not name.startswith("scale_")
    }
    assert shape(alert) == shape(real["alerts"])


def shape(value: Any) -> Any:
    """The value with its types in place of its leaves."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return type(value).__name__


def test_the_headers_of_a_dead_letter_are_named() -> None:
    code = (ROOT / "consumers" / "dead_letters.py").read_text()
    headers = set(re.findall(r"^\s+\(\"(\w+)\", ", code, re.M)) | {"size_bytes", "sha256"}

    assert headers <= set(code_spans(outside_blocks(README)))


def test_every_option_of_the_command_line_is_explained() -> None:
    folder: Path = ROOT / "stream" / "cli"
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    options = set(re.findall(r"\"(--[a-z-]+)\"", code)) - {"--version", "--config"}

    assert options >= {"--label-delay", "--until-idle"}
    assert sorted(option for option in options if option not in COMMANDS.read_text()) == []
