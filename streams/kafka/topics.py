"""Topics of a Kafka cluster: what is there, created, grown and altered, never deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

Settings = Mapping[str, str | int]
"""Of a client, as librdkafka takes them."""

PATIENCE_S = 10.0

_PAUSE_S = 0.02
_REFUSED = {KafkaError._AUTHENTICATION, KafkaError._SSL}
_FORBIDDEN = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
}
_AWAY = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._RESOLVE,
    KafkaError._MSG_TIMED_OUT,
}
_HINTS = {
    KafkaError.INVALID_REPLICATION_FACTOR: ": set kafka.replication to at most as many as there are"
}


class ClusterError(Exception):
    """The cluster can not be used; the text says why, and what to do."""


class AwayError(ClusterError):
    """No broker answers."""


class MissingTopicError(ClusterError):
    """A topic is not there."""


class Wanted(Protocol):
    """A topic to create."""

    @property
    def name(self) -> str: ...
    @property
    def partitions(self) -> int: ...
    @property
    def replication(self) -> int: ...
    @property
    def settings(self) -> Mapping[str, str]: ...


class FoundTopic(NamedTuple):
    """A topic as the cluster has it.

    Attributes
    ----------
    replication
        Copies of the partition that has the fewest.
    settings
        In force, whether they are its own or the broker's defaults.
    """

    partitions: int
    replication: int
    settings: Mapping[str, str]

    def number(self, setting: str, default: int) -> int:
        """A setting that is a whole number.

        >>> FoundTopic(1, 1, {"retention.ms": "-1"}).number("retention.ms", 0)
        -1
        """
        return int(self.settings.get(setting) or default)


class ClientErrors:
    """Keeps what a client of confluent_kafka meets, to tell why nothing comes of it.

    Parameters
    ----------
    settings
        Of the client; `settings` of this object are those, with the errors coming here.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings: dict[str, Any] = {**settings, "error_cb": self.note}
        self._servers = settings["bootstrap.servers"]
        self._user = settings.get("sasl.username")
        self._protocol = settings.get("security.protocol", "PLAINTEXT")
        self._met: KafkaError | None = None

    def note(self, error: KafkaError) -> None:
        # That all are down is said after each attempt, and says nothing of the reason.
        if error.code() != KafkaError._ALL_BROKERS_DOWN or self._met is None:
            self._met = error

    def check(self) -> None:
        """Raise what no waiting will mend: a login or a certificate that is refused."""
        if self._met is not None and self._met.code() in _REFUSED:
            raise self.explain(self._met)

    def explain(self, error: KafkaError | None = None) -> ClusterError:
        """The error that people are told; without one, that nobody answers."""
        if error is None or (error.code() in _AWAY and self._met is not None):
            error = self._met
        if error is None or error.code() in _AWAY:
            why = f" ({_said(error)})" if error and error.code() != KafkaError._TIMED_OUT else ""
            return AwayError(
                f"no Kafka answers at {self._servers}{why}: check that it runs, that kafka.broker "
                f"is its address, and that it speaks {self._protocol}"
            )
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return MissingTopicError(_said(error))
        return ClusterError(f"{self._servers}{self._refusal(error)}")

    def _refusal(self, error: KafkaError) -> str:
        who = repr(self._user) if self._user else "a client without login"
        if error.code() == KafkaError._AUTHENTICATION:
            return (
                f" refuses the login of {who}: check username, password and mechanism under "
                "kafka.security"
            )
        if error.code() == KafkaError._SSL:
            return (
                f": no encrypted connection ({_said(error)}): check ca_file, certificate_file and "
                "the names in the broker's certificate"
            )
        if error.code() in _FORBIDDEN:
            return (
                f" does not allow {who} what was asked ({_said(error)}): grant Describe, "
                "DescribeConfigs, Create, Alter, AlterConfigs, Read and Write on the topics of the "
                "configuration, and Read on its group"
            )
        return f": {_said(error)}{_HINTS.get(error.code(), '')}"


class TopicAdmin:
    """Looks at topics and changes them; blocks.

    Every method raises `ClusterError`: nobody answers, or the cluster refuses.

    Parameters
    ----------
    patience_s
        How long an answer is waited for.
    """

    def __init__(self, settings: Settings, patience_s: float = PATIENCE_S) -> None:
        self._errors = ClientErrors(settings)
        self._client = AdminClient(self._errors.settings)
        self._patience_s = patience_s

    def brokers(self) -> int:
        """How many brokers the cluster has."""
        cluster = self._await([self._client.describe_cluster(request_timeout=self._patience_s)])[0]
        return len(cluster.nodes)

    def describe(self, names: Iterable[str]) -> dict[str, FoundTopic]:
        """Those of the topics that are there."""
        asked = TopicCollection(list(names))
        described = self._client.describe_topics(asked, request_timeout=self._patience_s)
        there = {}
        for name, future in described.items():
            try:
                there[name] = self._await([future])[0]
            except MissingTopicError:
                continue
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
        if not resources:
            return {}
        read = self._client.describe_configs(resources, request_timeout=self._patience_s)
        settings = {r.name: self._await([future])[0] for r, future in read.items()}
        return {
            name: FoundTopic(
                len(topic.partitions),
                min(len(partition.replicas) for partition in topic.partitions),
                {key: entry.value for key, entry in settings[name].items()},
            )
            for name, topic in there.items()
        }

    def create(self, topics: Iterable[Wanted]) -> None:
        """Create topics, and wait until every broker that is asked knows them."""
        made = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                config=dict(topic.settings),
            )
            for topic in topics
        ]
        if made:
            self._await(self._client.create_topics(made, request_timeout=self._patience_s).values())
            names = [topic.topic for topic in made]
            self._until(lambda: len(self.describe(names)) == len(names))

    def grow(self, partitions: Mapping[str, int]) -> None:
        """Give topics more partitions: so many in all."""
        asked = [NewPartitions(name, count) for name, count in partitions.items()]
        if asked:
            futures = self._client.create_partitions(asked, request_timeout=self._patience_s)
            self._await(futures.values())
            self._until(
                lambda: all(
                    topic.partitions >= partitions[name]
                    for name, topic in self.describe(partitions).items()
                )
            )

    def alter(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Change some settings of topics; the others stay."""
        asked = [
            ConfigResource(
                ResourceType.TOPIC,
                name,
                incremental_configs=[
                    ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                    for key, value in changed.items()
                ],
            )
            for name, changed in settings.items()
        ]
        if asked:
            futures = self._client.incremental_alter_configs(
                asked, request_timeout=self._patience_s
            )
            self._await(futures.values())

    def _await(self, futures: Iterable[Future[Any]]) -> list[Any]:
        waiting = list(futures)
        self._until(lambda: all(future.done() for future in waiting))
        try:
            return [future.result() for future in waiting]
        except KafkaException as error:
            raise self._errors.explain(error.args[0]) from None

    def _until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._patience_s
        while not done():
            self._client.poll(_PAUSE_S)
            self._errors.check()
            if time.monotonic() > deadline:
                raise self._errors.explain()


def _said(error: KafkaError) -> str:
    """What the library says, without the name of its thread and how long it took."""
    text = error.str().partition(" (after ")[0]
    return text.partition("/bootstrap: ")[2] or text
