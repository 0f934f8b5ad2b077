"""The client's options: from our settings to what each of its classes takes."""

from __future__ import annotations

from functools import cache
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from consumers.errors import SettingsError
from consumers.kafka_settings import KafkaSettings


@cache
def known_options() -> frozenset[str]:
    """Every option that any of the client's classes takes."""
    classes = (KafkaConsumer, KafkaProducer, KafkaAdminClient)
    return frozenset().union(*(kind.DEFAULT_CONFIG for kind in classes))


def options_for(kind: Any, settings: KafkaSettings) -> dict[str, Any]:
    """The options of one of the client's classes that the settings decide.

    Raises `SettingsError` for a file that cannot be read.
    """
    passed = {
        name: value for name, value in settings.options.items() if name in kind.DEFAULT_CONFIG
    }
    return {**passed, **_connection(settings)}


def _connection(settings: KafkaSettings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            path = getattr(settings, name)
            if path is not None:
                _require_readable(name, path)
                found[name] = str(path)
        found["ssl_check_hostname"] = settings.ssl_check_hostname
        found["ssl_password"] = _secret(settings, "ssl_password")
    if settings.security_protocol.startswith("SASL_"):
        found["sasl_mechanism"] = settings.sasl_mechanism
        found["sasl_plain_username"] = settings.sasl_username
        found["sasl_plain_password"] = _secret(settings, "sasl_password")
    return found


def _secret(settings: KafkaSettings, name: Any) -> str | None:
    try:
        return settings.secret(name)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(f"{name}_file", error) from error


def _require_readable(name: str, path: Any) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> SettingsError:
    said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    where = f" {error.filename}" if isinstance(error, OSError) else ""
    return SettingsError(
        f"`kafka.{name}`{where} cannot be read: {said}", f"mend `kafka.{name}` in the configuration"
    )
