"""The configuration: one YAML file and the environment, parsed once into frozen models.

Each package owns its part; this module composes them, finds the file, names the nearest known key
for an unknown one, and says which part is *semantic*: it decides what the service computes, so it
belongs to the journal. Addresses and secrets do not.
"""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from consumers.kafka_settings import KafkaSettings
from consumers.settings import EventsSettings, HaltSettings, LabelsSettings
from consumers.transport import TOPICS
from detectors.errors import DetectorsError
from detectors.settings import AlertSettings, DetectorSettings, check_signals
from learners.errors import LearnersError
from learners.settings import ModelSettings, SeedSettings, TaskSettings, ThresholdSettings
from learners.snapshots.settings import SnapshotsSettings
from learners.spec import build_model
from learners.threshold import check_threshold
from stream.errors import ConfigurationError
from stream.telemetry.settings import MetricsSettings

DEFAULT_FILE = "driftline.yaml"
PREFIX = "DRIFTLINE_"
FILE_VARIABLE = f"{PREFIX}CONFIG"

NOT_BUILT = {
    "retention": "retention",
    "labels.segments": "labels.segments",
}
"""Fields that DESIGN names and this driftline does not have yet."""

_DOCS = "docs/configuration.md lists the fields"

SEMANTIC = (
    "events",
    "labels",
    "task",
    "threshold",
    "seed",
    "model",
    "detectors",
    "alerts",
    "halt",
)


class Configuration(BaseModel):
    """Everything that can be configured.

    See docs/configuration.md for each field.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$")]
    log: str = "sqlite:var/driftline.db"
    log_partitions: Annotated[int, Field(ge=1, le=10_000)] = 1
    topics: dict[str, str] = Field(default_factory=dict)
    kafka: KafkaSettings = KafkaSettings()
    events: EventsSettings
    labels: LabelsSettings = LabelsSettings()
    task: TaskSettings
    threshold: ThresholdSettings = ThresholdSettings()
    seed: SeedSettings = 42
    model: ModelSettings
    detectors: tuple[DetectorSettings, ...] = ()
    alerts: AlertSettings = AlertSettings()
    halt: HaltSettings = HaltSettings()
    snapshots: SnapshotsSettings = SnapshotsSettings()
    metrics: MetricsSettings = MetricsSettings()

    def semantic(self) -> dict[str, Any]:
        """The part that decides what is computed, as built-ins; equal where two mean the same."""
        dumped = self.model_dump(mode="json", include=set(SEMANTIC))
        return {name: dumped[name] for name in SEMANTIC}


class _Environment(Configuration, BaseSettings):
    """The same fields, as the environment may set them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )


def find_file(given: Path | None) -> Path:
    """The configuration file: the one given, else `$DRIFTLINE_CONFIG`, else `./driftline.yaml`."""
    if given is not None:
        return given
    return Path(os.environ.get(FILE_VARIABLE, DEFAULT_FILE))


def load_file(given: Path | None = None, **overrides: Any) -> Configuration:
    """The configuration of a file and the environment; `overrides` replace top-level fields of the
    file.

    Raises
    ------
    ConfigurationError
        The file cannot be read, is no YAML mapping, or has a field that cannot be.
    """
    path = find_file(given)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"the configuration {path} cannot be read: {reason}",
            f"name one, set ${FILE_VARIABLE}, or write ./{DEFAULT_FILE}",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the configuration {path} is not UTF-8: {error}") from error
    try:
        content = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        place = f" in line {where.line + 1}" if where is not None else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigurationError(
            f"the configuration {path} is not YAML{place}: {problem}", "mend that line"
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"the configuration {path} must be a mapping of fields, not {type(content).__name__}",
            "start with `name: my-service`",
        )
    _check_variables()
    try:
        environment = EnvSettingsSource(_Environment)()
    except SettingsError as error:
        raise ConfigurationError(
            f"the environment cannot be read: {error}", "write lists and mappings as JSON"
        ) from error
    return parse(_merged({**content, **overrides}, environment), str(path))


def parse(content: dict[str, Any], origin: str) -> Configuration:
    """The configuration that `content` says, checked as a whole.

    The model is built once, and the signals and the threshold are held against the task.

    Raises
    ------
    ConfigurationError
        For the first thing that cannot be.
    """
    for name in content:
        if not isinstance(name, str):
            raise _unknown(origin, str(name), list(Configuration.model_fields))
    _check_built(content, origin)
    try:
        configuration = Configuration(**content)
        task = configuration.task
        build_model(configuration.model, task, configuration.seed)
        check_threshold(configuration.threshold, task)
        check_signals(configuration.detectors, task.name)
        if configuration.labels.default is not None:
            task.label(configuration.labels.default)
        for role in configuration.topics:
            if role not in TOPICS:
                raise _unknown(origin, f"topics.{role}", TOPICS)
    except ValidationError as error:
        raise _explained(error, origin) from error
    except (LearnersError, DetectorsError) as error:
        raise ConfigurationError(f"{origin}: {error}", error.hint or _DOCS) from error
    return configuration


def from_semantic(configuration: Configuration, semantic: dict[str, Any]) -> Configuration:
    """`configuration` with its semantic part replaced by one from a journal."""
    keep = {
        name: getattr(configuration, name)
        for name in Configuration.model_fields
        if name not in SEMANTIC
    }
    return parse({**keep, **semantic}, "the journal's configuration")


def difference(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Where two semantic configurations differ: `field: theirs → mine`, a line each."""
    return [
        f"{name}: {right!r} in the journal, {left!r} in the file"
        for name, right, left in differing(mine, theirs)
    ]


def differing(
    mine: dict[str, Any], theirs: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """The fields in which two semantic configurations differ, each with theirs and mine."""
    for name in sorted({*mine, *theirs}):
        left, right = mine.get(name), theirs.get(name)
        if left == right:
            continue
        if isinstance(left, dict) and isinstance(right, dict):
            yield from differing(left, right, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", right, left


def _check_variables() -> None:
    """Refuses variables that look like ours and set nothing: pydantic-settings passes them over."""
    for name in sorted(os.environ):
        if not name.upper().startswith(PREFIX) or name.upper() == FILE_VARIABLE:
            continue
        field = name[len(PREFIX) :].partition("__")[0].lower()
        if field in NOT_BUILT:
            raise ConfigurationError(
                f"`{name}` in the environment: `{field}` is not built yet in this driftline",
                f"unset {name}",
            )
        if field not in Configuration.model_fields:
            nearest = difflib.get_close_matches(field, Configuration.model_fields, n=1)
            raise ConfigurationError(
                f"unknown variable `{name}` in the environment",
                f"did you mean `{PREFIX}{nearest[0].upper()}`?" if nearest else f"unset {name}",
            )


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that comes twice is an error: of two models one would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the field {key!r} is there twice", problem_mark=key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the fields of `above` in their places, mappings field by field."""
    merged = dict(below)
    for name, value in above.items():
        present = merged.get(name)
        both = isinstance(present, dict) and isinstance(value, dict)
        merged[name] = _merged(present, value) if both else value  # type: ignore[arg-type]
    return merged


def _check_built(content: dict[str, Any], origin: str) -> None:
    for field, words in NOT_BUILT.items():
        level: Any = content
        for part in field.split("."):
            level = level.get(part) if isinstance(level, dict) else None
        if level is not None:
            raise ConfigurationError(
                f"{origin}: `{words}` is not built yet in this driftline", f"take `{words}` out"
            )


def _explained(error: ValidationError, origin: str) -> ConfigurationError:
    """The first of pydantic's complaints as one line and a hint; never shows a secret."""
    first = error.errors(include_url=False)[0]
    place = _place(first["loc"])
    field, context = place.field, first.get("ctx", {})
    given = first.get("input")
    match first["type"]:
        case "extra_forbidden":
            return _unknown(origin, field, place.known)
        case "missing":
            last = str(first["loc"][-1])
            return ConfigurationError(f"{origin}: the field `{field}` is missing", f"add `{last}:`")
        case "union_tag_not_found" if isinstance(given, dict):
            return ConfigurationError(
                f"{origin}: the field `{field}.method` is missing",
                f"add `method:`, one of {', '.join(place.tags)}",
            )
        case "union_tag_invalid":
            tag = context["tag"]
            nearest = difflib.get_close_matches(tag, place.tags, n=1, cutoff=0.7)
            return ConfigurationError(
                f"{origin}: `{field}.method` must be one of {', '.join(place.tags)}, not {tag!r}",
                f"did you mean `{nearest[0]}`?" if nearest else "others are not built yet",
            )
        case "model_type" | "model_attributes_type" | "dict_type" | "union_tag_not_found":
            message = "must be a mapping of fields"
        case "tuple_type" | "list_type":
            message = "must be a list"
        case "string_pattern_mismatch" if field == "name":
            message = "must be of letters, digits, `.`, `_` and `-`, and at most 100 of them"
        case _:
            message = first["msg"].removeprefix("Value error, ").replace("Input should", "must")
            message = message.replace("datetime.timedelta(0)", "0s")
    cause = context.get("error")
    hint = getattr(cause, "hint", None) or context.get("hint") or _DOCS
    plain = given is None or isinstance(given, (str, int, float))
    said = cause is not None or "hint" in context or place.secret or not plain
    shown = "" if said else f", not {'null' if given is None else repr(given)}"
    return ConfigurationError(f"{origin}: `{field}`: {message}{shown}", hint)


def _unknown(origin: str, field: str, known: Sequence[str]) -> ConfigurationError:
    nearest = difflib.get_close_matches(field.rpartition(".")[2], known, n=1, cutoff=0.5)
    hint = f"did you mean `{nearest[0]}`?" if nearest else f"known here: {', '.join(known)}"
    return ConfigurationError(f"{origin}: unknown field `{field}`", hint)


class _Place(NamedTuple):
    """Where pydantic found something: the field as it is written, and what is known there."""

    field: str
    known: list[str]
    tags: list[str]
    secret: bool


def _place(loc: tuple[int | str, ...]) -> _Place:
    model: Any = Configuration
    members: list[type[BaseModel]] = []
    written: list[str] = []
    secret = False
    for part in loc:
        fields = getattr(model, "model_fields", {})
        named = [member for member in members if len(members) > 1 and _tag(member) == part]
        if part in fields:
            members = _models_in(fields[part].annotation)
            model = members[0] if len(members) == 1 else None
            secret = secret or SecretStr in typing.get_args(fields[part].annotation)
        elif named:
            # The tag of a union: pydantic names it, nobody has written it there.
            model, members = named[0], []
            continue
        written.append(str(part))
    known = list(getattr(model, "model_fields", {}))
    tags = [tag for member in members if (tag := _tag(member)) is not None]
    return _Place(".".join(written) or "the configuration", known, tags, secret)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) is None and not isinstance(annotation, types.UnionType):
        return []
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("method")
    choices = typing.get_args(field.annotation) if field is not None else ()
    return str(choices[0]) if choices else None
