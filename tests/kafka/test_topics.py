"""Topics of a real cluster: described, created, grown, altered; and why it can not be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from confluent_kafka import KafkaError

from streams.kafka.topics import AwayError, ClientErrors, ClusterError, TopicAdmin
from tests.kafka.broker import Broker

NOWHERE = "127.0.0.1:1"
BRIEF_S = 2.0


class Spec(NamedTuple):
    name: str
    partitions: int = 2
    replication: int = 1
    settings: Mapping[str, str] = {}


@pytest.fixture
def admin(broker: Broker) -> TopicAdmin:
    return TopicAdmin(broker.client())


@pytest.mark.kafka
def test_a_topic_is_found_as_it_was_created(admin: TopicAdmin, prefix: str) -> None:
    settings = {"cleanup.policy": "compact", "max.message.bytes": "2000000"}
    admin.create([Spec(prefix + "one", 3, settings=settings), Spec(prefix + "two")])
    found = admin.describe([prefix + "one", prefix + "two", prefix + "none"])
    assert sorted(found) == [prefix + "one", prefix + "two"]
    one, two = found[prefix + "one"], found[prefix + "two"]
    assert (one.partitions, two.partitions) == (3, 2)
    assert (one.replication, two.replication) == (1, 1)
    assert settings.items() <= dict(one.settings).items()
    assert two.settings["cleanup.policy"] == "delete"
    assert two.number("max.message.bytes", 0) > 0
    assert admin.brokers() == 1


@pytest.mark.kafka
def test_nothing_asked_is_nothing_done(admin: TopicAdmin, prefix: str) -> None:
    assert admin.describe([prefix + "none"]) == {}
    admin.create([])
    admin.grow({})
    admin.alter({})


@pytest.mark.kafka
def test_a_topic_grows_and_never_shrinks(admin: TopicAdmin, prefix: str) -> None:
    name = prefix + "growing"
    admin.create([Spec(name)])
    admin.grow({name: 5})
    assert admin.describe([name])[name].partitions == 5
    with pytest.raises(ClusterError):
        admin.grow({name: 3})
    assert admin.describe([name])[name].partitions == 5


@pytest.mark.kafka
def test_settings_that_are_not_named_stay(admin: TopicAdmin, prefix: str) -> None:
    name = prefix + "altered"
    admin.create([Spec(name, settings={"retention.ms": "7200000", "segment.ms": "600000"})])
    admin.alter({name: {"retention.ms": "3600000"}})
    settings = admin.describe([name])[name].settings
    assert (settings["retention.ms"], settings["segment.ms"]) == ("3600000", "600000")


@pytest.mark.kafka
def test_what_the_cluster_can_not_do_is_said(admin: TopicAdmin, prefix: str) -> None:
    with pytest.raises(ClusterError, match=r"kafka\.replication"):
        admin.create([Spec(prefix + "copied", replication=3)])
    with pytest.raises(ClusterError, match="retention"):
        admin.create([Spec(prefix + "odd", settings={"retention.ms": "long"})])


@pytest.mark.kafka
def test_a_wrong_password_is_told_at_once(secured: Broker) -> None:
    wrong = secured.client() | {"sasl.password": "guessed"}
    with pytest.raises(ClusterError, match="refuses the login of 'vitals'") as refused:
        TopicAdmin(wrong).brokers()
    assert not isinstance(refused.value, AwayError)
    assert "guessed" not in str(refused.value)


@pytest.mark.kafka
def test_an_unknown_authority_is_told_at_once(secured: Broker) -> None:
    unknown = secured.client()
    del unknown["ssl.ca.location"]
    with pytest.raises(ClusterError, match=r"certificate verify failed.*ca_file"):
        TopicAdmin(unknown).brokers()


@pytest.mark.kafka
def test_another_protocol_than_the_brokers(secured: Broker, broker: Broker) -> None:
    plain = {"bootstrap.servers": secured.address}
    with pytest.raises(AwayError, match="speaks PLAINTEXT"):
        TopicAdmin(plain, BRIEF_S).brokers()
    encrypted = secured.client() | {"bootstrap.servers": broker.address}
    with pytest.raises(AwayError, match=r"SSL handshake failed|speaks SASL_SSL"):
        TopicAdmin(encrypted, BRIEF_S).brokers()


@pytest.mark.parametrize("server", [NOWHERE, "nowhere.invalid:9092"])
def test_a_broker_that_is_away_is_named(server: str) -> None:
    with pytest.raises(AwayError, match=f"no Kafka answers at {server}"):
        TopicAdmin({"bootstrap.servers": server}, 0.5).describe(["any"])


@pytest.mark.kafka
def test_a_broker_that_hangs_is_away(own_broker: Broker) -> None:
    admin = TopicAdmin(own_broker.client(), BRIEF_S)
    assert admin.brokers() == 1
    own_broker.pause()
    with pytest.raises(AwayError, match=own_broker.address):
        admin.describe(["any"])
    own_broker.resume()


def test_what_is_not_allowed_names_the_user_and_the_rights() -> None:
    errors = ClientErrors({"bootstrap.servers": "broker:9092", "sasl.username": "ops"})
    said = str(errors.explain(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    assert "does not allow 'ops'" in said
    assert "DescribeConfigs" in said
