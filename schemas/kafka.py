"""How workers reach Apache Kafka: none of it changes a result, so none is in the fingerprint."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from schemas.model import Model, Seconds

Protocol: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Given: TypeAlias = Annotated[str, Field(min_length=1)]

_SCHEME = "kafka://"
_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_NAME = re.compile("[A-Za-z0-9._-]*")


def _is_address(text: str) -> bool:
    """Whether it is HOST:PORT, where an IPv6 host stands in brackets."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 1 << 16:
        return False
    host = found[1]
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


class Security(Model):
    """How the connection is protected, in Kafka's own words."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    """For the SASL protocols."""
    username: Given | None = None
    password: Annotated[Given | None, Field(repr=False)] = None
    """Better given as CITYVITALS__KAFKA__SECURITY__PASSWORD, or in a file."""
    password_file: Given | None = None
    """File whose first line is the password."""
    ca_file: Given | None = None
    """Certificates, PEM, that the brokers' are checked against; the system's where not given."""
    certificate_file: Given | None = None
    """The client's own certificate, PEM, where brokers ask for one."""
    key_file: Given | None = None
    """Its private key, PEM."""

    @model_validator(mode="after")
    def _check(self) -> Security:
        if self.protocol.startswith("SASL"):
            if self.username is None:
                raise ValueError(f"{self.protocol} needs a username")
            if (self.password is None) == (self.password_file is None):
                raise ValueError(f"{self.protocol} needs either a password or a password_file")
        elif self.username or self.password or self.password_file:
            raise ValueError(f"{self.protocol} takes no password: use SASL_SSL, or remove it")
        if not self.protocol.endswith("SSL") and (self.ca_file or self.key_file):
            raise ValueError(f"{self.protocol} is not encrypted: use SSL or SASL_SSL")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        return self


class Kafka(Model):
    """The cluster, and how workers use it."""

    broker: str = "kafka://127.0.0.1:9092"
    """Such as kafka://a:9092, or kafka://a:9092,b:9092."""
    group: Annotated[str, Field(min_length=1, max_length=120)] = "cityvitals"
    """Consumer group of the workers: those of one group share the work."""
    prefix: Annotated[str, Field(max_length=60)] = ""
    """Stands before the name of every topic, where several cities share a cluster."""
    security: Security = Security()
    replication: Annotated[int, Field(ge=1, le=10)] = 1
    """Copies of each partition of the topics that `cityvitals topics create` makes."""
    retention_s: Annotated[float, Field(ge=600, le=31_622_400)] = 259_200.0
    """How long input topics are kept at least; must be far above the age of a snapshot."""
    fetch_bytes: Annotated[int, Field(ge=4096, le=64 << 20)] = 4 << 20
    """Most bytes of one partition that a fetch brings."""
    checkpoint_s: Annotated[float, Field(ge=0.05, le=600)] = 2.0
    """Seconds between two snapshots of a worker's state."""
    silence_s: Seconds = 10.0
    """A lane without records for so long is ticked; 0 obeys written ticks and writes none."""
    session_timeout_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    """A worker that was silent for so long loses its lanes to the others."""
    stall_s: Annotated[float, Field(ge=10, le=3600)] = 120.0
    """A worker that makes no progress for so long, with work to do, ends with exit code 3."""

    @field_validator("broker")
    @classmethod
    def _check_broker(cls, broker: str) -> str:
        addresses = broker.removeprefix(_SCHEME).split(",")
        if not broker.startswith(_SCHEME) or not all(map(_is_address, addresses)):
            raise ValueError(
                "expected kafka://HOST:PORT, several as kafka://HOST:PORT,HOST:PORT; "
                "user and password belong under security"
            )
        return broker

    @field_validator("group", "prefix")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("expected letters, digits, '.', '_', '-'")
        return name

    @property
    def servers(self) -> str:
        """``HOST:PORT,HOST:PORT``.

        >>> Kafka(broker="kafka://a:9092,b:9093").servers
        'a:9092,b:9093'
        """
        return self.broker.removeprefix(_SCHEME)
