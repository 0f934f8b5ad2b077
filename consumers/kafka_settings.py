"""What the configuration says about the connection to Kafka, and about this worker's name there."""

from __future__ import annotations

import difflib
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from consumers.settings import Duration

_OURS: Final = {
    "bootstrap_servers": "`log:` names the brokers",
    "client_id": "set `kafka.client_id`",
    "group_id": "the group is the service's `name:`",
    "group_instance_id": "set `kafka.instance` and `kafka.slot`",
    "transactional_id": "set `kafka.instance` and `kafka.slot`",
    "session_timeout_ms": "set `kafka.session_timeout`",
    "max_poll_interval_ms": "set `kafka.max_poll_interval`",
    "security_protocol": "set `kafka.security_protocol`",
    "sasl_mechanism": "set `kafka.sasl_mechanism`",
    "sasl_plain_username": "set `kafka.sasl_username`",
    "sasl_plain_password": "set DRIFTLINE_KAFKA__SASL_PASSWORD or `kafka.sasl_password_file`",
    "ssl_cafile": "set `kafka.ssl_cafile`",
    "ssl_certfile": "set `kafka.ssl_certfile`",
    "ssl_keyfile": "set `kafka.ssl_keyfile`",
    "ssl_password": "set DRIFTLINE_KAFKA__SSL_PASSWORD or `kafka.ssl_password_file`",
    "ssl_check_hostname": "set `kafka.ssl_check_hostname`",
}
"""Options that have a field of their own, or follow from another one."""

_PROMISE: Final = frozenset(
    {
        "isolation_level",  # anything else reads what was aborted
        "enable_auto_commit",  # positions are committed with results or not at all
        "auto_commit_interval_ms",
        "default_offset_commit_callback",
        "auto_offset_reset",  # the default silently skips what was trimmed
        "partition_assignment_strategy",  # others split shards
        "acks",  # less loses acknowledged records
        "enable_idempotence",
        "retries",
        "max_in_flight_requests_per_connection",
        "transaction_timeout_ms",  # recovery waits that long, and no longer
        "delivery_timeout_ms",  # deadlines fit one another
        "max_block_ms",
        "request_timeout_ms",
        "heartbeat_interval_ms",
        "fetch_max_wait_ms",
        "key_deserializer",  # one that raises makes poll spin
        "value_deserializer",
        "key_serializer",
        "value_serializer",
        "partitioner",  # every record's partition is given
        "check_crcs",
        "allow_auto_create_topics",
        "max_poll_records",
        "consumer_timeout_ms",
        "exclude_internal_topics",
        "kafka_client",
    }
)
"""Options on which exactly-once, or an end to every wait, depends."""

Scalar = bool | int | float | str


class KafkaSettings(BaseModel):
    """How to reach Kafka, and as whom.

    `instance` and `slot` name this worker; the two together are stable over restarts and differ
    between workers that run side by side. Left out, `instance` is the host's name. `options` go to
    the client as they are; those that would break the promise are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: Annotated[str, Field(min_length=1)] = "driftline"
    instance: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,100}$")] | None = None
    slot: Annotated[int, Field(ge=0)] = 0
    session_timeout: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=6)
    max_poll_interval: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=5)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    ssl_password: SecretStr | None = None
    ssl_password_file: Path | None = None
    ssl_check_hostname: bool = True
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    options: dict[str, Scalar] = Field(default_factory=dict)

    @property
    def member(self) -> str:
        """This worker's name in the group, stable over restarts."""
        return f"{self.instance or socket.gethostname()}-{self.slot}"

    @model_validator(mode="after")
    def _one_source_a_secret(self) -> Self:
        for name in ("ssl_password", "sasl_password"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"only one of {name} and {name}_file can be given")
        return self

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Self:
        password = self.sasl_password is not None or self.sasl_password_file is not None
        parts = (self.sasl_mechanism is not None, self.sasl_username is not None, password)
        if self.security_protocol.startswith("SASL_"):
            if not all(parts):
                raise ValueError(
                    f"{self.security_protocol} needs sasl_mechanism, sasl_username and a password "
                    "(DRIFTLINE_KAFKA__SASL_PASSWORD or sasl_password_file)"
                )
        elif any(parts):
            raise ValueError(
                "sasl_mechanism, sasl_username and the password are for SASL_SSL or SASL_PLAINTEXT,"
                f" and security_protocol is {self.security_protocol}"
            )
        return self

    @model_validator(mode="after")
    def _options_keep_the_promise(self) -> Self:
        for name in self.options:
            if name in _OURS:
                raise ValueError(f"options cannot set {name}: {_OURS[name]}")
            if name in _PROMISE:
                raise ValueError(f"options cannot set {name}: exactly-once depends on it")
        if self.options:
            _require_known(self.options)
        return self

    def secret(self, name: Literal["ssl_password", "sasl_password"]) -> str | None:
        """A secret's text, from its file if it has one; raises OSError if that cannot be read."""
        given: SecretStr | None = getattr(self, name)
        path: Path | None = getattr(self, f"{name}_file")
        if path is not None:
            return path.read_text(encoding="utf-8").strip()
        return None if given is None else given.get_secret_value()


def _require_known(options: dict[str, Any]) -> None:
    # Imported here alone: the client takes 0.2 s that configurations without options need not wait.
    from consumers.transports.kafka.options import known_options

    known = known_options()
    for name in options:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            raise ValueError(
                f"the Kafka client has no option {name}"
                + (f"; did you mean {nearest[0]}?" if nearest else "")
            )
