"""How workers reach Kafka: from files and the environment, and never told in an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.configuration import Configuration
from schemas.documents import ConfigurationError
from schemas.kafka import Kafka, Security
from schemas.loading import load
from tests.rules.configurations import configuration, sensor, topic, window

SECRET = "hunter2-and-more"
PREFIX = "CITYVITALS__KAFKA__"
LOGIN = {"protocol": "SASL_SSL", "username": "worker", "password": SECRET}


COUNT = {"aggregate": {"function": "count"}, "window": window(60, 60), "rollup": "none"}
CITY = configuration(
    [sensor("a.rain", "count", "rain", "street", keys=["street"], **COUNT)],
    [topic("sensor", 2, 300)],
).model_dump(mode="json", include={"version", "city", "topics", "signs"})


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    """Loads settings of Kafka in the document of a small city."""
    file = tmp_path / "city.yaml"

    def read(environ: dict[str, str] | None = None, **kafka: Any) -> Kafka:
        document = json.dumps(CITY | {"kafka": kafka}, ensure_ascii=False)
        file.write_text(document, encoding="utf-8")
        return load(file, {PREFIX + name: value for name, value in (environ or {}).items()}).kafka

    return read


def refusal(caught: pytest.ExceptionInfo[ConfigurationError]) -> tuple[str, str, str]:
    """The file or variable, the setting and the message of the only problem."""
    assert SECRET not in str(caught.value)
    (problem,) = caught.value.problems
    return Path(problem.file).name, problem.path, problem.message


@pytest.mark.parametrize(
    "broker",
    [
        "kafka://a:9092",
        "kafka://broker-1.city_net.example:1",
        "kafka://10.0.0.1:65535",
        "kafka://[::1]:9092",
        "kafka://[2001:db8::7]:9092,[::ffff:10.0.0.1]:9093",
        "kafka://a:9092,b:9093,[::1]:9094",
    ],
)
def test_brokers_of_every_form(settings: Any, broker: str) -> None:
    assert settings(broker=broker).broker == broker
    assert settings({"BROKER": broker}).servers == broker.removeprefix("kafka://")


@pytest.mark.parametrize(
    "broker",
    [
        "",
        "a:9092",
        "kafka://",
        "kafka://a",
        "kafka://a:",
        "kafka://:9092",
        "kafka://a:0",
        "kafka://a:65536",
        "kafka://a:٩",
        "kafka://ä:9092",
        "kafka://a:9092\n",
        "kafka://a:9092/",
        "kafka://a:9092,",
        "kafka://a:9092,b",
        "kafka://a:9092, b:9092",
        "kafka://a:9092,kafka://b:9092",
        "kafka://::1:9092",
        "kafka://[::1]",
        "kafka://[::zz]:9092",
        "kafka://[1:2]:9092",
        "kafka://a:9092,[:::]:9092",
        "ssl://a:9092",
        "local:///tmp",
        f"kafka://worker:{SECRET}@a:9092",
        f"kafka://a:9092,worker:{SECRET}@b:9092",
    ],
)
def test_a_broker_of_another_form_is_refused_with_what_to_write(settings: Any, broker: str) -> None:
    for environ, kafka in (({}, {"broker": broker}), ({"BROKER": broker}, {})):
        with pytest.raises(ConfigurationError) as caught:
            settings(environ, **kafka)
        where, path, message = refusal(caught)
        assert where == ("CITYVITALS__KAFKA__BROKER" if environ else "city.yaml")
        assert path == "kafka.broker"
        assert "expected kafka://HOST:PORT, several as kafka://HOST:PORT,HOST:PORT" in message
        assert "user and password belong under security" in message


@pytest.mark.parametrize(
    "security",
    [
        {},
        {"protocol": "SSL"},
        {"protocol": "SSL", "ca_file": "ca.pem"},
        {"protocol": "SSL", "certificate_file": "own.pem", "key_file": "own.key"},
        LOGIN,
        LOGIN | {"ca_file": "ca.pem", "certificate_file": "own.pem", "key_file": "own.key"},
        LOGIN | {"mechanism": "PLAIN"},
        LOGIN | {"protocol": "SASL_PLAINTEXT", "mechanism": "SCRAM-SHA-256"},
        {"protocol": "SASL_SSL", "username": "worker", "password_file": "password"},
    ],
)
def test_security_that_goes_together(settings: Any, security: dict[str, str]) -> None:
    assert settings(security=security).security == Security.model_validate(security)


@pytest.mark.parametrize(
    ("security", "path", "words"),
    [
        ({"password": SECRET}, "", "PLAINTEXT takes no password: use SASL_SSL, or remove it"),
        ({"username": "worker"}, "", "PLAINTEXT takes no password"),
        ({"password_file": "password"}, "", "PLAINTEXT takes no password"),
        (LOGIN | {"protocol": "SSL"}, "", "SSL takes no password: use SASL_SSL"),
        ({"protocol": "SASL_SSL", "password": SECRET}, "", "SASL_SSL needs a username"),
        ({"protocol": "SASL_PLAINTEXT"}, "", "SASL_PLAINTEXT needs a username"),
        (
            {"protocol": "SASL_SSL", "username": "worker"},
            "",
            "SASL_SSL needs either a password or a password_file",
        ),
        (LOGIN | {"password_file": "password"}, "", "needs either a password or a password_file"),
        ({"ca_file": "ca.pem"}, "", "PLAINTEXT is not encrypted: use SSL or SASL_SSL"),
        (LOGIN | {"protocol": "SASL_PLAINTEXT", "ca_file": "x"}, "", "is not encrypted"),
        ({"certificate_file": "x", "key_file": "y"}, "", "PLAINTEXT is not encrypted"),
        ({"protocol": "SSL", "key_file": "y"}, "", "certificate_file and key_file belong together"),
        (LOGIN | {"certificate_file": "x"}, "", "certificate_file and key_file belong together"),
        (LOGIN | {"password": ""}, ".password", "must not be empty"),
        (LOGIN | {"username": ""}, ".username", "must not be empty"),
        (LOGIN | {"password": [SECRET]}, ".password", "expected text, not a list"),
        (LOGIN | {"password": 12345678}, ".password", "expected text, not a number: put it in"),
        (LOGIN | {"protocol": SECRET}, ".protocol", "expected one of PLAINTEXT, SSL, SASL_PLAIN"),
        (LOGIN | {"mechanism": "GSSAPI"}, ".mechanism", "expected one of PLAIN, SCRAM-SHA-256"),
        (LOGIN | {"pasword": SECRET}, ".pasword", "unknown field 'pasword': did you mean 'passw"),
        (SECRET, "", "expected settings (name: value), not text"),
    ],
)
def test_security_that_does_not_go_together(
    settings: Any, security: Any, path: str, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(security=security)
    where, found, message = refusal(caught)
    assert (where, found) == ("city.yaml", f"kafka.security{path}")
    assert words in message
    assert "12345678" not in message


def test_a_password_is_not_in_the_representation_of_the_settings() -> None:
    kafka = Kafka.model_validate({"security": LOGIN})
    assert kafka.security.password == SECRET
    assert SECRET not in repr(kafka)
    assert SECRET not in str(kafka.security)


@pytest.mark.parametrize(
    ("kafka", "path", "words"),
    [
        ({"group": "two words"}, "group", "expected letters, digits, '.', '_', '-'"),
        ({"group": ""}, "group", "must not be empty"),
        ({"group": "x" * 121}, "group", "must have at most 120 characters"),
        ({"prefix": "guangzhou/"}, "prefix", "expected letters, digits, '.', '_', '-'"),
        ({"prefix": "x" * 61}, "prefix", "must have at most 60 characters"),
        ({"replication": 0}, "replication", "must be at least 1"),
        ({"replication": 1.5}, "replication", "expected a whole number, not 1.5"),
        ({"fetch_bytes": 100}, "fetch_bytes", "must be at least 4096"),
        ({"retention_s": 60}, "retention_s", "must be at least 600"),
        ({"checkpoint_s": 0}, "checkpoint_s", "must be at least 0.05"),
        ({"silence_s": -1}, "silence_s", "must be at least 0"),
        ({"brokers": "a"}, "brokers", "unknown field 'brokers': did you mean 'broker'?"),
    ],
)
def test_a_setting_out_of_bounds_is_told(
    settings: Any, kafka: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(**kafka)
    where, found, message = refusal(caught)
    assert (where, found) == ("city.yaml", f"kafka.{path}")
    assert words in message


# -- the environment


def test_every_single_setting_has_a_variable(settings: Any) -> None:
    environ = {
        "BROKER": "kafka://b:9092",
        "GROUP": "night",
        "PREFIX": "gz.",
        "SECURITY__PROTOCOL": "SASL_SSL",
        "SECURITY__MECHANISM": "PLAIN",
        "SECURITY__USERNAME": "worker",
        "SECURITY__PASSWORD": SECRET,
        "SECURITY__CA_FILE": "ca.pem",
        "SECURITY__CERTIFICATE_FILE": "own.pem",
        "SECURITY__KEY_FILE": "own.key",
        "REPLICATION": "3",
        "RETENTION_S": "86400",
        "FETCH_BYTES": "65536",
        "CHECKPOINT_S": "0.25",
        "SILENCE_S": "0",
        "SESSION_TIMEOUT_S": "30",
        "STALL_S": "60",
    }
    kafka = settings(environ, broker="kafka://a:9092", replication=1)
    for name, given in environ.items():
        value: Any = kafka
        for part in name.lower().split("__"):
            value = getattr(value, part)
        assert value == (given if isinstance(value, str) else float(given)), name
    assert isinstance(kafka.replication, int)
    in_a_file = {"SECURITY__PASSWORD_FILE": "password"}
    security = {"protocol": "SASL_SSL", "username": "worker"}
    assert settings(in_a_file, security=security).security.password_file == "password"
    named = {*environ, *in_a_file}
    fields = {*Kafka.model_fields, *(f"security__{name}" for name in Security.model_fields)}
    assert {name.lower() for name in named} == fields - {"security"}


def test_a_password_of_the_environment_joins_what_the_file_says(settings: Any) -> None:
    security = {"protocol": "SASL_SSL", "username": "worker"}
    kafka = settings({"SECURITY__PASSWORD": SECRET}, security=security)
    assert kafka.security == Security.model_validate(LOGIN)
    other = settings({"SECURITY__PASSWORD": SECRET}, security=security | {"password": "other"})
    assert other == kafka


@pytest.mark.parametrize(
    "text", ["1234", "true", "null", "0x10", "1e3", "- a", " ", "#", "ü", "''"]
)
def test_a_password_of_the_environment_is_text_whatever_it_looks_like(
    settings: Any, text: str
) -> None:
    environ = {"SECURITY__PASSWORD": text, "SECURITY__USERNAME": text}
    security = settings(environ, security={"protocol": "SASL_SSL"}).security
    assert (security.username, security.password) == (text, text)


@pytest.mark.parametrize(
    ("name", "value", "path", "words"),
    [
        ("REPLICATION", "three", "kafka.replication", "expected a whole number, not text"),
        ("REPLICATION", "3.0", "kafka.replication", "expected a whole number, not text"),
        ("REPLICATION", "٣", "kafka.replication", "expected a whole number, not text"),
        ("REPLICATION", "", "kafka.replication", "expected a whole number, not text"),
        ("REPLICATION", "11", "kafka.replication", "must be at most 10"),
        ("CHECKPOINT_S", "nan", "kafka.checkpoint_s", "expected a finite number"),
        ("SECURITY__PASSWORD", "", "kafka.security.password", "must not be empty"),
        ("SECURITY__PASSWORD", SECRET, "kafka.security", "PLAINTEXT takes no password"),
        ("SECURITY__PROTOCOL", SECRET, "kafka.security.protocol", "expected one of PLAINTEXT"),
        ("SECURITY__PASWORD", SECRET, "", "no such setting: did you mean 'CITYVITALS__KAFKA__SEC"),
        ("PASSWORD", SECRET, "", "did you mean 'CITYVITALS__KAFKA__SECURITY__PASSWORD'?"),
        ("SECURITY", SECRET, "", "no such setting"),
    ],
)
def test_a_wrong_variable_is_named(
    settings: Any, name: str, value: str, path: str, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings({name: value})
    where, found, message = refusal(caught)
    assert (where, found) == (PREFIX + name, path)
    assert words in message


def test_a_variable_does_not_hide_that_the_section_is_wrong(settings: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings({"SECURITY__PASSWORD": SECRET}, security=3)
    assert refusal(caught)[:2] == ("city.yaml", "kafka.security")


# -- alone in a file


@pytest.mark.parametrize("text", ["kafka: {}", "shards: []", "kafka: {group: a}\nshards: []"])
def test_what_says_only_where_it_runs_gets_the_shipped_catalogue(tmp_path: Path, text: str) -> None:
    (tmp_path / "city.yaml").write_text(text)
    found, shipped = load(tmp_path / "city.yaml", {}), load(environ={})
    assert (found.label, found.signs) == (shipped.label, shipped.signs)


def test_files_of_a_folder_that_say_only_where_it_runs(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kafka: {group: night}")
    (tmp_path / "b.yaml").write_text("shards: [{places: ['440106']}]")
    found = load(tmp_path, {})
    assert (found.kafka.group, len(found.shards)) == ("night", 1)
    assert found.label == load(environ={}).label


@pytest.mark.parametrize("text", ["{}", "version: '1'\nkafka: {}", "kafak: {}", "forget_s: 60"])
def test_what_says_more_or_nothing_is_to_say_all(tmp_path: Path, text: str) -> None:
    (tmp_path / "city.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match="required field 'signs' is missing"):
        load(tmp_path / "city.yaml", {})


def test_a_fault_beside_the_shipped_catalogue_is_told_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "city.yaml").write_text("shards:\n- places: ['4401']\nkafka: {broker: a}\n")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "city.yaml", {})
    files = {Path(problem.file).name: problem.line for problem in caught.value.problems}
    lines = [(problem.line, problem.path) for problem in caught.value.problems]
    assert set(files) == {"city.yaml"}
    assert lines == [(2, "shards.0.places.0"), (3, "kafka.broker")]


def test_settings_of_kafka_are_not_in_the_label() -> None:
    tree = load(environ={}).model_dump()
    changed = {"broker": "kafka://b:9092", "group": "night", "security": LOGIN, "silence_s": 0.0}
    other = Configuration.model_validate(tree | {"kafka": changed})
    assert other.label == load(environ={}).label
    assert other != load(environ={})


def test_the_settings_survive_being_written_down(tmp_path: Path) -> None:
    kafka = Kafka.model_validate({"broker": "kafka://a:9092,[::1]:9092", "security": LOGIN})
    file = tmp_path / "city.yaml"
    with file.open("w") as stream:
        yaml.safe_dump({"kafka": kafka.model_dump(mode="json")}, stream)
    assert load(file, {}).kafka == kafka
