"""How a cluster is reached: the same settings in the words of librdkafka and of Faust."""

from __future__ import annotations

import ssl
from pathlib import Path

from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from schemas.kafka import Kafka, Security

_SECTION = "kafka.security"


class ConnectionSettingError(ValueError):
    """A setting of the connection can not be used; the text says which, and what to do."""


class _Secret(str):
    """Text that does not show where a dictionary or a stack is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def client_settings(kafka: Kafka) -> dict[str, str | int]:
    """Settings of a client of confluent_kafka.

    Raises
    ------
    ConnectionSettingError
        If a file that the settings name can not be used.

    Examples
    --------
    >>> settings = client_settings(Kafka(broker="kafka://a:9092,b:9092"))
    >>> settings["bootstrap.servers"], settings["security.protocol"]
    ('a:9092,b:9092', 'PLAINTEXT')
    """
    security = kafka.security
    settings: dict[str, str | int] = {
        "bootstrap.servers": kafka.servers,
        "security.protocol": security.protocol,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        # Errors reach the caller; librdkafka would also print each failed attempt.
        "log_level": 2,
    }
    if _is_encrypted(security):
        _context(security)  # says which setting is wrong; librdkafka does not
        files = {
            "ssl.ca.location": security.ca_file,
            "ssl.certificate.location": security.certificate_file,
            "ssl.key.location": security.key_file,
        }
        settings |= {name: file for name, file in files.items() if file is not None}
    if security.username is not None:
        settings["sasl.mechanism"] = security.mechanism
        settings["sasl.username"] = security.username
        settings["sasl.password"] = _password(security)
    return settings


def credentials(security: Security) -> CredentialsT | None:
    """What `faust.App` takes as ``broker_credentials``.

    Raises
    ------
    ConnectionSettingError
        If a file that the settings name can not be used.
    """
    context = _context(security) if _is_encrypted(security) else None
    if security.username is not None:
        return SASLCredentials(
            username=security.username,
            password=_password(security),
            mechanism=security.mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def _is_encrypted(security: Security) -> bool:
    return security.protocol.endswith("SSL")


def _password(security: Security) -> str:
    if security.password_file is None:
        return _Secret(security.password)
    text = _read("password_file", security.password_file)
    try:
        password = text.decode().splitlines()[0]
    except (UnicodeDecodeError, IndexError):
        password = ""
    if not password:
        raise _error(
            "password_file",
            security.password_file,
            "its first line is no password",
            "write the password into it, as UTF-8",
        )
    return _Secret(password)


def _context(security: Security) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if security.ca_file is not None:
        _read("ca_file", security.ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(security.ca_file)
        except ssl.SSLError:
            what = "holds no certificate in PEM form"
            raise _error("ca_file", security.ca_file, what, "name such a file") from None
    if security.certificate_file is not None and security.key_file is not None:
        _read("certificate_file", security.certificate_file)
        _read("key_file", security.key_file)
        try:
            # An encrypted key would else have OpenSSL ask for its password on the terminal.
            context.load_cert_chain(security.certificate_file, security.key_file, lambda: "")
        except ssl.SSLError:
            raise _error(
                "certificate_file",
                security.certificate_file,
                f"does not go with {_SECTION}.key_file {security.key_file}",
                "name a certificate and its private key, both in PEM form and without a password",
            ) from None
    return context


def _read(setting: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        what = error.strerror or "can not be read"
        todo = "name a file that this process may read"
        raise _error(setting, file, what, todo) from None


def _error(setting: str, file: str, what: str, todo: str) -> ConnectionSettingError:
    return ConnectionSettingError(f"{_SECTION}.{setting}: {file}: {what}; {todo}")
