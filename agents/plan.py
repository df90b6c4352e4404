"""A configuration, compiled: what each lane folds and what each sign becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from agents.measures import Measure, Value, family_of, measure_of, value_of
from agents.readers import READERS, Reader
from agents.shards import Shards
from schemas.configuration import (
    Configuration,
    DerivedSign,
    SampledSign,
    Sign,
    Topic,
    WindowSign,
)
from streams.aggregates import Family
from streams.records import Lane
from streams.stores import MomentStore, SampledStore, SketchStore, Store
from streams.timeline import to_ms
from streams.windows import Calendar, Hopping, Windows


@dataclass(frozen=True)
class FoldedSign:
    """A window or sampled sign: folded in the lanes, assessed at its keys."""

    sign: WindowSign | SampledSign
    windows: Windows
    family: Family
    measure: Measure
    value: Value
    lateness_ms: int
    forget_ms: int

    def store(self) -> Store:
        """An empty store for one lane."""
        if isinstance(self.sign, SampledSign):
            return SampledStore(self.windows.pane_ms, to_ms(self.sign.period_s), self.forget_ms)
        if self.family.name == "moments":
            return MomentStore(self.windows.pane_ms, self.lateness_ms)
        return SketchStore(self.family, self.windows.pane_ms, self.lateness_ms)

    def matches(self, event: Any) -> bool:
        """Whether the event has the values the sign asks for."""
        for field, accepted in self.sign.match.items():
            value = getattr(event, field)
            if isinstance(accepted, list | tuple):
                if value not in accepted:
                    return False
            elif value != accepted:
                return False
        return True


@dataclass(frozen=True)
class TopicPlan:
    """What a lane of one topic does."""

    topic: Topic
    reader: Reader
    signs: tuple[FoldedSign, ...]
    disorder_ms: int
    lateness_ms: int
    skew_ms: int
    route_key: Callable[[Any], Any]
    """The fields that decide where an event's rows go, as one hashable value."""


@dataclass(frozen=True)
class Plan:
    """The whole configuration, compiled.

    ``config`` is the configuration's version and fingerprint, as results carry it.
    """

    configuration: Configuration
    config: str
    topics: dict[str, TopicPlan]
    lanes: tuple[Lane, ...]
    since: dict[Lane, int]
    """Event time, int64 ms, from which windows wait for lanes that were added later."""
    shards: Shards
    folded: tuple[FoldedSign, ...]
    derived: tuple[tuple[DerivedSign, Windows], ...]

    def lanes_of(self, kinds: set[str]) -> tuple[Lane, ...]:
        """Lanes of the topics of these kinds."""
        names = {p.topic.name for p in self.topics.values() if p.topic.kind in kinds}
        return tuple(lane for lane in self.lanes if lane.topic in names)


def windows_of(sign: Sign, zone: str) -> Windows:
    """The windows of a sign in the city's time zone."""
    window = sign.window
    if window.calendar is not None:
        return Calendar(window.calendar, zone)
    assert window.size_s is not None
    assert window.hop_s is not None
    return Hopping(to_ms(window.size_s), to_ms(window.hop_s))


def compile_plan(configuration: Configuration) -> Plan:
    """Compile a valid configuration."""
    zone, forget_ms = configuration.city.time_zone, to_ms(configuration.forget_s)
    topics: dict[str, TopicPlan] = {}
    folded: list[FoldedSign] = []
    for topic in configuration.topics:
        reader, lateness_ms = READERS[topic.kind], to_ms(topic.allowed_lateness_s)
        signs = tuple(
            FoldedSign(
                sign=sign,
                windows=windows_of(sign, zone),
                family=family_of(sign.aggregate),
                measure=measure_of(sign.aggregate),
                value=value_of(sign.aggregate),
                lateness_ms=lateness_ms,
                forget_ms=forget_ms,
            )
            for sign in configuration.signs
            if not isinstance(sign, DerivedSign) and sign.topic == topic.kind
        )
        fields = {f for s in signs for f in s.sign.match}.union(reader.key_fields)
        topics[topic.name] = TopicPlan(
            topic=topic,
            reader=reader,
            signs=signs,
            disorder_ms=to_ms(topic.disorder_s),
            lateness_ms=lateness_ms,
            skew_ms=to_ms(topic.skew_s),
            route_key=attrgetter(*sorted(fields)),
        )
        folded.extend(signs)
    derived = [(s, windows_of(s, zone)) for s in configuration.signs if isinstance(s, DerivedSign)]
    return Plan(
        configuration=configuration,
        config=configuration.label,
        topics=topics,
        lanes=tuple(Lane(t.name, p) for t in configuration.topics for p in range(t.all_partitions)),
        since=since_of(configuration),
        shards=Shards(configuration),
        folded=tuple(folded),
        derived=tuple(in_order(derived)),
    )


def since_of(configuration: Configuration) -> dict[Lane, int]:
    """When each lane that was added later begins to count."""
    since: dict[Lane, int] = {}
    for topic in configuration.topics:
        known = topic.partitions
        for growth in topic.grown:
            added = range(known, growth.partitions)
            since.update((Lane(topic.name, p), growth.since_ms) for p in added)
            known = growth.partitions
    return since


def in_order(
    derived: list[tuple[DerivedSign, Windows]],
) -> list[tuple[DerivedSign, Windows]]:
    """Derived signs so that each stands after its inputs; the graph is known to be acyclic."""
    left, done = list(derived), []
    names = {sign.id for sign, _ in derived}
    while left:
        ready = [d for d in left if not names.intersection(d[0].inputs)]
        done += ready
        names -= {sign.id for sign, _ in ready}
        left = [d for d in left if d[0].id in names]
    return done
