"""The topics that workers use on Kafka, and how each should be.  Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from agents.outputs import (
    ACCOUNTING,
    ALERT_LOG,
    ALERTS,
    CONTROL,
    DEAD_LETTER,
    DEVICE_VITALS,
    LATE,
    PARTIALS,
    SNAPSHOTS,
    TICKS,
    VITALS,
    VITALS_LOG,
)
from agents.plan import Plan
from schemas.configuration import Topic
from streams.timeline import DAY_MS, to_ms

if TYPE_CHECKING:
    from streams.kafka.topics import FoundTopic

SNAPSHOT_PARTITIONS = 16
"""Fixed: a task's snapshots stand in the partition that its name gives."""

MESSAGE_BYTES = 1_048_588
"""Kafka's own default: pieces of cuts and chunks of snapshots are at most half as large."""

Role: TypeAlias = Literal["input", "commands", "partials", "ticks", "snapshots", "log", "latest"]

POLICY, RETENTION, RETENTION_BYTES = "cleanup.policy", "retention.ms", "retention.bytes"
STAMP, INSYNC, LARGEST = "message.timestamp.type", "min.insync.replicas", "max.message.bytes"
FOREVER = -1
"""As a retention: records are never deleted."""

_INPUTS = {
    "sensor": ("传感器读数", "sensor readings"),
    "traffic": ("交通观测", "traffic observations"),
    "hotline": ("热线工单与来电", "hotline work orders and calls"),
    "external": ("外部预警", "official warnings"),
}
_SNAPSHOT_SETTINGS = {
    # Snapshots are written every few seconds: uncleaned, they would be most of what is read when
    # a task is taken over.
    "segment.bytes": str(64 << 20),
    "segment.ms": "3600000",
    "min.cleanable.dirty.ratio": "0.3",
    "max.compaction.lag.ms": "3600000",
}


class Purpose(NamedTuple):
    """What a topic is for, in a few words."""

    zh: str
    en: str


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should be.

    Attributes
    ----------
    name
        In Kafka, with the prefix of the configuration.
    logical
        As the configuration and `agents.outputs` call it.
    settings
        Kafka's settings to create it with.
    """

    name: str
    logical: str
    role: Role
    purpose: Purpose
    partitions: int
    replication: int
    settings: Mapping[str, str]
    topic: Topic | None = None
    """Of the configuration, for an input."""


def topics_of(plan: Plan) -> list[TopicSpec]:
    """Every topic of the workers: inputs, those of their own, outputs."""
    kafka = plan.configuration.kafka
    needed = to_ms(kafka.retention_s)

    def spec(
        logical: str,
        role: Role,
        zh: str,
        en: str,
        topic: Topic | None = None,
        *,
        partitions: int = 1,
        kept: int = FOREVER,
    ) -> TopicSpec:
        return TopicSpec(
            name=kafka.prefix + logical,
            logical=logical,
            role=role,
            purpose=Purpose(zh, en),
            partitions=partitions,
            replication=kafka.replication,
            settings=_settings(role, kept, kafka.replication),
            topic=topic,
        )

    inputs = (
        spec(t.name, "input", *_INPUTS[t.kind], t, partitions=t.all_partitions, kept=needed)
        for t in plan.configuration.topics
    )
    return [
        *inputs,
        spec(CONTROL, "commands", "报警指令", "acknowledging and shelving alerts", kept=needed),
        spec(
            PARTIALS,
            "partials",
            "各通道的部分聚合",
            "partials of the lanes, a partition a shard",
            partitions=plan.shards.count,
            kept=needed,
        ),
        spec(TICKS, "ticks", "静默通道的时间", "time of silent lanes", kept=needed),
        spec(
            SNAPSHOTS,
            "snapshots",
            "任务状态快照",
            "state of the tasks",
            partitions=SNAPSHOT_PARTITIONS,
        ),
        # The largest by far: a week to draw history from and to compare a replay with.
        spec(VITALS_LOG, "log", "全部体征结果", "every result", kept=7 * DAY_MS),
        spec(DEVICE_VITALS, "log", "设备体征结果", "results of devices", kept=DAY_MS),
        spec(VITALS, "latest", "最新体征", "newest result of each key"),
        # Small, and asked for after an incident or a holiday, when somebody has time to look.
        spec(ALERT_LOG, "log", "报警变化", "every transition of an alert", kept=14 * DAY_MS),
        spec(ALERTS, "latest", "当前报警", "alerts as they stand"),
        spec(ACCOUNTING, "latest", "各通道对账", "where the events of each lane went"),
        spec(LATE, "log", "迟到事件", "events beyond the lateness", kept=14 * DAY_MS),
        spec(DEAD_LETTER, "log", "拒收记录", "refused records", kept=14 * DAY_MS),
    ]


def _settings(role: Role, kept: int, replication: int) -> dict[str, str]:
    compacted = role in ("snapshots", "latest")
    settings = {
        POLICY: "compact" if compacted else "delete",
        # All but the inputs carry event times: history that is replayed would vanish at once if
        # retention went by those.
        STAMP: "CreateTime" if role == "input" else "LogAppendTime",
        INSYNC: str(max(1, replication - 1)),
    }
    if not compacted:
        settings |= {RETENTION: str(kept), RETENTION_BYTES: str(FOREVER)}
    if role in ("partials", "snapshots"):
        settings[LARGEST] = str(MESSAGE_BYTES)
    return settings | (_SNAPSHOT_SETTINGS if role == "snapshots" else {})


def longest_input(plan: Plan, found: Mapping[str, FoundTopic]) -> int:
    """The longest retention of an input topic that is there, in ms or `FOREVER`; else 0."""
    kept = 0
    for spec in topics_of(plan):
        if spec.role == "input" and spec.name in found:
            kept = longer_kept(kept, found[spec.name].number(RETENTION, FOREVER))
    return kept


def longer_kept(one: int, other: int) -> int:
    """The longer of two retentions, in ms or `FOREVER`."""
    return FOREVER if FOREVER in (one, other) else max(one, other)


def missing(plan: Plan, found: Mapping[str, FoundTopic]) -> list[TopicSpec]:
    """Topics that are to be created; ticks are kept as long as the inputs that are there."""
    longest = longest_input(plan, found)
    specs = []
    for spec in topics_of(plan):
        if spec.name in found:
            continue
        if spec.role == "ticks":
            kept = longer_kept(int(spec.settings[RETENTION]), longest)
            spec = replace(spec, settings={**spec.settings, RETENTION: str(kept)})
        specs.append(spec)
    return specs


def growing(plan: Plan, found: Mapping[str, FoundTopic]) -> dict[str, int]:
    """Topics that are to have more partitions, and how many in all.

    A record of the partials topic names its partition, so one more moves none. Those of an input
    follow their keys: only where the configuration says from when on the new lanes count.
    """
    wanted = {}
    for spec in topics_of(plan):
        here = found.get(spec.name)
        if here is None or here.partitions >= spec.partitions:
            continue
        begun = spec.topic is not None and here.partitions >= spec.topic.partitions
        if begun or spec.role == "partials":
            wanted[spec.name] = spec.partitions
    return wanted
