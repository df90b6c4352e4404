"""What is wrong with the topics that Kafka has, and what mends it.  Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from agents.outputs import PARTIALS, SNAPSHOTS, TICKS
from agents.plan import Plan
from agents.topology import (
    FOREVER,
    INSYNC,
    LARGEST,
    POLICY,
    RETENTION,
    RETENTION_BYTES,
    STAMP,
    TopicSpec,
    growing,
    longer_kept,
    longest_input,
    topics_of,
)
from schemas.kafka import Kafka

if TYPE_CHECKING:
    from streams.kafka.topics import FoundTopic

Severity: TypeAlias = Literal["wrong", "warning"]

_KEPT_FOR_RESTARTS = ("input", "commands", "partials", "ticks")
"""Roles whose records a task reads again from its snapshot on."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with a topic, and the command or the entry that mends it.

    Attributes
    ----------
    severity
        With something `wrong` a worker does not start.
    topic
        Its name in Kafka.
    settings
        Kafka's settings that would mend it.
    """

    severity: Severity
    topic: str
    what: str
    mend: str
    settings: Mapping[str, str] = field(default_factory=dict)


def verify(plan: Plan, found: Mapping[str, FoundTopic], config: str | None = None) -> list[Finding]:
    """What is wrong with the topics found, in the order of `topics_of`.

    Parameters
    ----------
    found
        By their names in Kafka; one that is missing there is missing here.
    config
        File of the configuration, as the commands that mend something name it.
    """
    checks = _Checks(plan, found, config)
    return [finding for spec in topics_of(plan) for finding in checks.of(spec)]


class _Checks:
    def __init__(self, plan: Plan, found: Mapping[str, FoundTopic], config: str | None) -> None:
        self._plan, self._found = plan, found
        self._kafka: Kafka = plan.configuration.kafka
        self._create = "cityvitals topics create" + (f" --config {config}" if config else "")
        self._growing = growing(plan, found)
        self._longest = longest_input(plan, found)

    def of(self, spec: TopicSpec) -> Iterator[Finding]:
        here = self._found.get(spec.name)
        if here is None:
            yield Finding("wrong", spec.name, "is missing", f"run `{self._create}`")
            return
        yield from self._partitions(spec, here)
        yield from self._policy(spec, here)
        if spec.role in _KEPT_FOR_RESTARTS:
            yield from self._retention(spec, here)
        yield from self._stamps(spec, here)
        yield from self._copies(spec, here)
        yield from self._sizes(spec, here)

    def _partitions(self, spec: TopicSpec, here: FoundTopic) -> Iterator[Finding]:
        if spec.role in ("log", "latest") or here.partitions == spec.partitions:
            return
        what = f"has {here.partitions} partitions, not {spec.partitions}"
        if spec.name in self._growing:
            mend = f"run `{self._create}`, which adds what the configuration says"
        elif spec.topic is None:
            mend = self._made_anew(spec)
        elif here.partitions > spec.partitions:
            what += ": nobody reads the others"
            mend = (
                f"add {{partitions: {here.partitions}, since: TIME}} to `grown:` of "
                f"{spec.logical} in the configuration; from the event time TIME, such as "
                "2026-12-01T00:00:00+08:00, windows wait for the new lanes"
            )
        else:
            first = spec.topic.partitions
            mend = (
                f"if it never held an event, `{self._tool('kafka-topics.sh')} --alter --topic "
                f"{spec.name} --partitions {first}`; else write `partitions: {here.partitions}` "
                f"for {spec.logical} in the configuration, and the others under `grown:`"
            )
        yield Finding("wrong", spec.name, what, mend)

    def _made_anew(self, spec: TopicSpec) -> str:
        # None of them is worth anything without the others.
        state = [self._kafka.prefix + topic for topic in (PARTIALS, SNAPSHOTS, TICKS)]
        names = ", ".join(dict.fromkeys((spec.name, *state)))
        anew = f"with all workers stopped, delete {names} and run `{self._create}`"
        shards = ""
        if spec.role == "partials":
            shards = "list as many shards in the configuration as it has partitions, less one; or "
        return f"{shards}{anew}: workers then begin without a past"

    def _policy(self, spec: TopicSpec, here: FoundTopic) -> Iterator[Finding]:
        wanted, is_there = spec.settings[POLICY], here.settings.get(POLICY, "")
        policies = {policy.strip() for policy in is_there.split(",")}
        # Keys of the newest results may also grow old: they are sent again while they live.
        if policies == {wanted} or (spec.role == "latest" and "compact" in policies):
            return
        harm = {
            "input": "compaction deletes events whose key has newer ones",
            "snapshots": "state would be deleted by its age, or never be cleaned",
            "latest": "the newest record of a quiet key would be deleted",
        }.get(spec.role, "compaction deletes records that count")
        yield self._setting("wrong", spec, POLICY, wanted, f"is {is_there or 'empty'}: {harm}")

    def _retention(self, spec: TopicSpec, here: FoundTopic) -> Iterator[Finding]:
        needed = int(spec.settings[RETENTION])
        kept = here.number(RETENTION, FOREVER)
        if FOREVER < kept < needed:
            what = (
                f"is {kept}, less than retention_s of the configuration: records may be gone "
                "before a task reads on from its snapshot"
            )
            yield self._setting("wrong", spec, RETENTION, str(needed), what)
        elif spec.role == "ticks" and kept != longer_kept(kept, self._longest):
            what = f"is {kept}, and an input topic keeps its events longer than their ticks"
            yield self._setting("warning", spec, RETENTION, str(self._longest), what)
        size = here.number(RETENTION_BYTES, FOREVER)
        if size != FOREVER:
            what = f"is {size}: a busy partition may lose records before retention.ms is over"
            yield self._setting("warning", spec, RETENTION_BYTES, str(FOREVER), what)

    def _stamps(self, spec: TopicSpec, here: FoundTopic) -> Iterator[Finding]:
        wanted, is_there = spec.settings[STAMP], here.settings.get(STAMP, "CreateTime")
        if is_there == wanted:
            return
        severity: Severity = "warning"
        if spec.role == "commands":
            harm = "a dead letter says when a command was made, not when it arrived"
        elif spec.role == "input":
            harm = "events that are replayed or sent late are judged by the time they arrived"
        elif spec.role in _KEPT_FOR_RESTARTS:
            severity, harm = "wrong", "its records carry event times, and retention goes by them"
        else:
            harm = "results of replayed history are deleted as soon as they are written"
        yield self._setting(severity, spec, STAMP, wanted, f"is {is_there}: {harm}")

    def _copies(self, spec: TopicSpec, here: FoundTopic) -> Iterator[Finding]:
        if here.replication < spec.replication:
            what = f"has {here.replication} copies of a partition, not {spec.replication}"
            mend = (
                f"add copies with `{self._tool('kafka-reassign-partitions.sh')}`, or set "
                f"`replication: {here.replication}` in the configuration"
            )
            yield Finding("warning", spec.name, what, mend)
        wanted, in_sync = max(1, here.replication - 1), here.number(INSYNC, 1)
        if in_sync > here.replication:
            what = f"is {in_sync} with {here.replication} copies: nothing can be written"
            yield self._setting("wrong", spec, INSYNC, str(wanted), what)
        elif in_sync < min(wanted, spec.replication - 1):
            what = f"is {in_sync}: what only one broker has counts as written, and may be lost"
            yield self._setting("warning", spec, INSYNC, str(wanted), what)

    def _sizes(self, spec: TopicSpec, here: FoundTopic) -> Iterator[Finding]:
        needed = int(spec.settings.get(LARGEST, 0))
        largest = here.number(LARGEST, needed)
        if largest < needed:
            what = f"is {largest}: larger records of the workers would be refused"
            yield self._setting("wrong", spec, LARGEST, str(needed), what)

    def _setting(
        self, severity: Severity, spec: TopicSpec, setting: str, value: str, what: str
    ) -> Finding:
        entity = f"--alter --entity-type topics --entity-name {spec.name}"
        tool = f"{self._tool('kafka-configs.sh')} {entity} --add-config {setting}={value}"
        mend = f"run `{self._create} --fix`, or `{tool}`"
        return Finding(severity, spec.name, f"{setting} {what}", mend, {setting: value})

    def _tool(self, script: str) -> str:
        secured = self._kafka.security.protocol != "PLAINTEXT"
        login = " --command-config client.properties" if secured else ""
        return f"{script} --bootstrap-server {self._kafka.servers}{login}"
