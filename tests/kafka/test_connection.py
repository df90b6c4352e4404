from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import faust
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from faust.auth import SASLCredentials, SSLCredentials

from agents.app import NoTables
from schemas.kafka import Kafka, Security
from streams.kafka.connection import ConnectionSettingError, client_settings, credentials
from streams.kafka.transport import app_settings
from tests.kafka.broker import Broker
from tests.kafka.broker_setup import MECHANISMS
from tests.kafka.fixtures import serving

TOPIC = "events"
PATIENCE_S = 30.0
PASSWORD = "not to be seen 7b1f"


@pytest.fixture(scope="module", params=["SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def listening(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """A broker for each protocol that secures something."""
    with ExitStack() as held:
        if request.param == "SASL_SSL":
            broker: Broker = request.getfixturevalue("secured")
        else:
            broker = held.enter_context(serving(tmp_path_factory.mktemp("own"), request.param))
        admin = AdminClient(broker.client())
        admin.create_topics([NewTopic(TOPIC, 1)])[TOPIC].result(PATIENCE_S)
        yield broker


def kafka_of(broker: Broker, **security: Any) -> Kafka:
    protocol = broker.setup.security
    security["protocol"] = protocol
    if protocol.endswith("SSL"):
        security["ca_file"] = str(broker.ca_file)
    if protocol.startswith("SASL"):
        security["username"] = broker.username
    return Kafka(broker=broker.url, security=Security(**security))


async def read_one(kafka: Kafka, folder: Path) -> bytes:
    """The first value that a Faust app reads."""
    app = faust.App(
        f"group-{kafka.security.mechanism}",
        **app_settings(kafka),
        autodiscover=False,
        datadir=str(folder),
        loghandlers=[],
        TableManager=NoTables,
    )
    app.transport.adopt(prefix="", bulk=[TOPIC], positions=lambda lane: 0)
    values: asyncio.Queue[bytes] = asyncio.Queue()

    @app.agent(app.topic(TOPIC, acks=False, key_type=bytes, value_serializer="raw"))
    async def intake(chunks: Any) -> None:
        async for chunk in chunks:
            values.put_nowait(chunk.values[0])

    app.finalize()
    await app.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await values.get()
    finally:
        await app.stop()


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_both_clients_are_let_in_by_every_mechanism(
    listening: Broker, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{listening.password}\nnot this\n", "utf-8")
    own = str(listening.folder / "server.pem")
    logins: list[dict[str, Any]] = [{}, {"certificate_file": own, "key_file": own}]
    if listening.setup.authenticated:
        logins = [{"mechanism": name, "password": listening.password} for name in MECHANISMS]
        logins.append({"password_file": str(file)})
    for login in logins:
        kafka = kafka_of(listening, **login)
        producer = Producer(client_settings(kafka))
        producer.produce(TOPIC, b"hello", partition=0)
        assert await asyncio.to_thread(producer.flush, PATIENCE_S) == 0
        assert await read_one(kafka, tmp_path) == b"hello"


def test_without_security_there_are_no_credentials() -> None:
    assert credentials(Security()) is None
    assert client_settings(Kafka())["security.protocol"] == "PLAINTEXT"


def test_credentials_are_what_the_settings_say() -> None:
    login = {"username": "vitals", "password": PASSWORD}
    found = credentials(Security(protocol="SASL_SSL", mechanism="SCRAM-SHA-256", **login))
    assert isinstance(found, SASLCredentials)
    assert (found.protocol.value, found.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-256")
    assert (found.username, found.password) == ("vitals", PASSWORD)
    assert found.ssl_context is not None
    assert found.ssl_context.check_hostname
    assert found.ssl_context.verify_mode == ssl.CERT_REQUIRED
    open_found = credentials(Security(protocol="SASL_PLAINTEXT", **login))
    assert isinstance(open_found, SASLCredentials)
    assert (open_found.protocol.value, open_found.ssl_context) == ("SASL_PLAINTEXT", None)
    assert isinstance(credentials(Security(protocol="SSL")), SSLCredentials)


def test_passwords_do_not_show() -> None:
    security = Security(protocol="SASL_PLAINTEXT", username="vitals", password=PASSWORD)
    settings = client_settings(Kafka(security=security))
    assert settings["sasl.password"] == PASSWORD
    found = app_settings(Kafka(security=security))
    assert vars(found["broker_credentials"])["password"] == PASSWORD
    for text in (repr(settings), repr(found), repr(vars(found["broker_credentials"]))):
        assert PASSWORD not in text


@pytest.mark.parametrize("text", [b"first\nsecond", b"first\r\n", b"first"])
def test_the_first_line_of_the_file_is_the_password(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(text)
    security = Security(protocol="SASL_PLAINTEXT", username="u", password_file=str(file))
    assert client_settings(Kafka(security=security))["sasl.password"] == "first"


def spoilt(folder: Path, name: str, content: bytes | None) -> str:
    file = folder / name
    if content is not None:
        file.write_bytes(content)
    return str(file)


@pytest.mark.parametrize("use", [lambda s: credentials(s), lambda s: client_settings_of(s)])
@pytest.mark.parametrize(
    ("setting", "content", "what"),
    [
        ("password_file", None, "No such file"),
        ("password_file", b"", "first line is no password"),
        ("password_file", b"\nsecret 7b1f", "first line is no password"),
        ("password_file", b"\xff secret 7b1f", "first line is no password"),
        ("ca_file", None, "No such file"),
        ("ca_file", b"secret 7b1f", "no certificate in PEM form"),
        ("certificate_file", None, "No such file"),
        ("key_file", None, "No such file"),
        ("key_file", b"secret 7b1f", "does not go with"),
    ],
)
def test_a_file_that_can_not_be_used_is_named(
    tmp_path: Path,
    setting: str,
    content: bytes | None,
    what: str,
    use: Callable[[Security], Any],
) -> None:
    settings: dict[str, Any] = {"protocol": "SASL_SSL", "username": "u"}
    if setting != "password_file":
        settings["password"] = PASSWORD
    if setting in ("certificate_file", "key_file"):
        for name in ("certificate_file", "key_file"):
            settings[name] = spoilt(tmp_path, name, b"secret 7b1f")
    file = tmp_path / "bad"
    settings[setting] = spoilt(tmp_path, "bad", content)
    with pytest.raises(ConnectionSettingError) as caught:
        use(Security(**settings))
    told = str(caught.value)
    assert f"kafka.security.{setting}" in told
    assert str(file) in told
    assert what in told
    assert "7b1f" not in told
    assert caught.value.__cause__ is None


def client_settings_of(security: Security) -> dict[str, str | int]:
    return client_settings(Kafka(security=security))


def test_a_folder_is_no_password_file(tmp_path: Path) -> None:
    security = Security(protocol="SASL_PLAINTEXT", username="u", password_file=str(tmp_path))
    with pytest.raises(ConnectionSettingError, match="Is a directory"):
        credentials(security)
