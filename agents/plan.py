"""A configuration, compiled: what each lane folds and what each sign becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from operator import attrgetter
from typing import Any

from agents.common_rows import leaders_of, together_of
from agents.conditions import meets
from agents.dated import Dated, scales_of
from agents.expected import Expected, KnownDevices, expect
from agents.hierarchies import Hierarchy, hierarchies_of
from agents.levels import Scale
from agents.measures import Measure, Values, reading_of
from agents.readers import DEVICE, Reader, reader_of
from agents.shards import Shards
from agents.signals import Signals, is_marked
from schemas.configuration import Configuration, Topic
from schemas.incidents import Incident
from schemas.metrics import Metrics
from schemas.overlays import Overlay, hops_of, shortest, switched_by
from schemas.places import LEVELS
from schemas.signs import DerivedSign, Folded, HistorySign, SampledSign, Sign, WindowSign
from schemas.words import TOPIC_OF, split_level
from schemas.workdays import WorkDays
from streams.aggregates import Family
from streams.partitioning import partition_of
from streams.records import Lane
from streams.stores import PaneStore, SampledStore, Store
from streams.timeline import to_ms
from streams.windows import Calendar, Hopping, Windows, Within


@dataclass(frozen=True)
class FoldedSign:
    """A window, sampled or history sign: folded in the lanes, assessed at its keys.

    Attributes
    ----------
    dimension
        Field that divides the keys of places, where the sign has such keys.
    at_arrival
        Whether an event that is older than the watermark counts at the watermark: nothing of what
        was said is then corrected.
    expected
        What the register says of the sign's keys.
    scales
        Its thresholds by day, if it has any.
    signals
        Of levels of warnings that tell whose table they are by.
    """

    sign: Folded
    windows: Windows
    family: Family
    measure: Measure
    values: Values
    lateness_ms: int
    forget_ms: int
    dimension: str | None
    at_arrival: bool
    expected: Expected
    scales: Dated[Scale]
    signals: Signals | None = None

    @property
    def moves(self) -> bool:
        """Whether a thing that reports from another place is no more where it was.

        Where records arrive is for the register to say, which may put what a device measures at
        several places.
        """
        return isinstance(self.sign, SampledSign) and self.sign.topic not in ("arrivals", "orders")

    def store(self) -> Store:
        """An empty store for one lane."""
        pane_ms = self.windows.pane_ms
        if isinstance(self.sign, SampledSign):
            period_s = self.sign.period_s
            period_ms = None if period_s is None else to_ms(period_s)
            return SampledStore(pane_ms, period_ms, self.forget_ms, moves=self.moves)
        return PaneStore(self.family, pane_ms, self.lateness_ms)

    def matches(self, event: Any) -> bool:
        """Whether the event has the values the sign asks for."""
        return meets(self.sign.match, event)


@dataclass(frozen=True)
class StreamPlan:
    """What a lane does with one stream of its topic."""

    signs: tuple[FoldedSign, ...]
    leaders: Mapping[str, str]
    """By sign, the one whose rows it has: a lane folds for these alone."""
    device: str | None
    """The field of the thing that reports."""
    kind_of: Callable[[Any], Any]
    """The fields that decide which signs take an event, as one hashable value."""

    @property
    def folds(self) -> tuple[FoldedSign, ...]:
        """The signs that have rows of their own."""
        return tuple(sign for sign in self.signs if self.leaders[sign.sign.id] == sign.sign.id)


@dataclass(frozen=True)
class TopicPlan:
    """What a lane of one topic does."""

    topic: Topic
    reader: Reader
    metrics: Metrics
    signals: Signals
    streams: dict[str, StreamPlan]
    disorder_ms: int
    lateness_ms: int
    skew_ms: int

    @property
    def signs(self) -> tuple[FoldedSign, ...]:
        """The signs of all streams."""
        return tuple(sign for stream in self.streams.values() for sign in stream.signs)


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
    """What shards assess."""
    finished: dict[str, tuple[FoldedSign, ...]]
    """What the lanes of a topic assess themselves."""
    derived: tuple[tuple[DerivedSign, Windows], ...]
    workdays: WorkDays
    known: KnownDevices
    hierarchies: Mapping[str, Hierarchy]
    secret: bytes | None = None
    """Under which callers become hashes; None where they are not to be told apart."""

    def of_lane(self, lane: Lane) -> Plan:
        """What a lane finishes by itself, as a plan without any other lane."""
        finished = self.finished[lane.topic]
        partitions = self.topics[lane.topic].topic.all_partitions
        configuration = self.configuration.model_copy(
            update={
                "signs": [folded.sign for folded in finished],
                "incidents": [],
                "shards": [],
            }
        )
        return replace(
            self,
            configuration=configuration,
            lanes=(lane,),
            shards=Shards(configuration),
            folded=tuple(
                replace(folded, expected=_of_partition(folded.expected, lane.partition, partitions))
                for folded in finished
            ),
            finished={},
            derived=(),
        )

    @property
    def leaders(self) -> dict[str, str]:
        """By sign, the one under whose name its rows come."""
        return {
            name: leader
            for topic in self.topics.values()
            for stream in topic.streams.values()
            for name, leader in stream.leaders.items()
        }

    def by_leader(self, signs: Iterable[FoldedSign]) -> dict[str, list[FoldedSign]]:
        """Signs by the one under whose name their rows come."""
        leaders = self.leaders
        found: dict[str, list[FoldedSign]] = {}
        for folded in signs:
            found.setdefault(leaders[folded.sign.id], []).append(folded)
        return found

    def together(self) -> dict[str, str]:
        """By sign of `folded`, the first one whose windows hold the same."""
        switched = {s.sign.id for s in self.folded if hops_of(s.sign, self.configuration.overlays)}
        return together_of(self.folded, self.leaders, switched)

    def lanes_of(self, streams: set[str]) -> tuple[Lane, ...]:
        """Lanes of the topics that these streams are made of."""
        kinds = {TOPIC_OF[stream] for stream in streams}
        names = {p.topic.name for p in self.topics.values() if p.topic.kind in kinds}
        return tuple(lane for lane in self.lanes if lane.topic in names)


def signs_of_lanes(configuration: Configuration) -> frozenset[str]:
    """Signs that each lane finishes for its own devices.

    A device reports to one lane, so nothing of another one is waited for.  Keys above devices
    take the second hop; where they are made of the devices' values, or where another sign reads
    it, so does all of the sign.
    """
    read = {name for s in configuration.signs if isinstance(s, DerivedSign) for name in s.inputs}
    read |= configuration.awaited
    return frozenset(s.id for s in configuration.signs if _is_of_lane(s) and s.id not in read)


def _is_of_lane(sign: Sign) -> bool:
    return (
        isinstance(sign, WindowSign)
        and sign.topic == "sensor"
        and sign.base == "device"
        and "device" in sign.keys
        and all(key == "device" or key in LEVELS for key in sign.keys)
        and sign.rollup in ("merge", "none")
    )


def windows_of(sign: Sign, zone: str, overlays: Sequence[Overlay] = ()) -> Windows:
    """The windows of a sign in the city's time zone, with those that overlays may add."""
    window = sign.window
    if window.calendar is not None:
        return Calendar(window.calendar, zone)
    assert window.size_s is not None
    hopping = Hopping(to_ms(window.size_s), shortest(sign, overlays))
    return hopping if window.during is None else Within(hopping, Calendar(window.during, zone))


def compile_plan(configuration: Configuration, secret: bytes | None = None) -> Plan:
    """Compile a valid configuration.

    Parameters
    ----------
    secret
        Under which callers become hashes.
    """
    zone = configuration.city.time_zone
    topics: dict[str, TopicPlan] = {}
    folded: dict[str, FoldedSign] = {}
    finished: dict[str, tuple[FoldedSign, ...]] = {}
    of_lanes = signs_of_lanes(configuration)
    for topic in configuration.topics:
        lateness_ms = to_ms(topic.allowed_lateness_s)
        streams = {
            stream: _stream(stream, configuration, lateness_ms, of_lanes)
            for stream, kind in TOPIC_OF.items()
            if kind == topic.kind
        }
        topics[topic.name] = TopicPlan(
            topic=topic,
            reader=reader_of(topic.kind, configuration.known_metrics),
            metrics=configuration.known_metrics,
            signals=Signals(configuration.signals, zone),
            streams=streams,
            disorder_ms=to_ms(topic.disorder_s),
            lateness_ms=lateness_ms,
            skew_ms=to_ms(topic.skew_s),
        )
        own = [s for s in topics[topic.name].signs if s.sign.id in of_lanes]
        finished[topic.name] = tuple(_with_keys(sign, ["device"], configuration) for sign in own)
        for sign in topics[topic.name].signs:
            keys = [key for key in sign.sign.keys if sign not in own or key != "device"]
            # Of several topics of a kind, windows wait for the corrections of the latest.
            known = folded.get(sign.sign.id)
            if keys and (known is None or known.lateness_ms < sign.lateness_ms):
                shared = _with_keys(sign, keys, configuration) if sign in own else sign
                folded[sign.sign.id] = shared
    derived = [(s, windows_of(s, zone)) for s in configuration.signs if isinstance(s, DerivedSign)]
    calendar = configuration.calendar
    return Plan(
        configuration=configuration,
        config=configuration.label,
        topics=topics,
        lanes=tuple(Lane(t.name, p) for t in configuration.topics for p in range(t.all_partitions)),
        since=since_of(configuration),
        shards=Shards(configuration),
        folded=tuple(folded.values()),
        finished=finished,
        derived=tuple(in_order(derived)),
        workdays=WorkDays(zone, calendar.holidays, calendar.workdays),
        known=KnownDevices(configuration.register),
        hierarchies=hierarchies_of(configuration),
        secret=secret,
    )


def _stream(
    stream: str, configuration: Configuration, lateness_ms: int, of_lanes: frozenset[str]
) -> StreamPlan:
    signs = tuple(
        _folded(sign, configuration, lateness_ms)
        for sign in configuration.signs
        if isinstance(sign, WindowSign | SampledSign | HistorySign) and sign.topic == stream
    )
    fields = sorted({field for sign in signs for field in sign.sign.match})
    kind_of = attrgetter(*fields) if fields else lambda event: None
    return StreamPlan(signs, leaders_of(signs, of_lanes), DEVICE[stream], kind_of)


def _folded(sign: Folded, configuration: Configuration, lateness_ms: int) -> FoldedSign:
    forget_s = sign.forget_s if isinstance(sign, WindowSign) else None
    dimension = next((d for key in sign.keys if (d := split_level(key)[0])), None)
    at_arrival = sign.topic == "arrivals" or isinstance(sign, HistorySign)
    reading, signals = reading_of(sign), None
    if is_marked(sign):
        signals = Signals(configuration.signals, configuration.city.time_zone)
        reading = reading._replace(measure=signals.marked)
    return FoldedSign(
        sign=sign,
        windows=windows_of(sign, configuration.city.time_zone, configuration.overlays),
        **reading._asdict(),
        lateness_ms=lateness_ms,
        forget_ms=to_ms(configuration.forget_s if forget_s is None else forget_s),
        dimension=dimension,
        at_arrival=at_arrival,
        expected=expect(sign, dimension, configuration.register),
        scales=scales_of(sign.levels, configuration.city.time_zone),
        signals=signals,
    )


def _with_keys(folded: FoldedSign, keys: Sequence[str], configuration: Configuration) -> FoldedSign:
    """A sign for some of its keys."""
    rollup = "none" if "device" in keys else "merge"
    sign = folded.sign.model_copy(update={"keys": list(keys), "rollup": rollup})
    expected = expect(sign, folded.dimension, configuration.register)
    return replace(folded, sign=sign, expected=expected)


def _of_partition(expected: Expected, partition: int, partitions: int) -> Expected:
    """The devices that report to a partition, as Kafka deals them out by their name."""
    return {
        name: key
        for name, key in expected.items()
        if partition_of(name[1].encode(), partitions) == partition
    }


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


def streams_of(configuration: Configuration) -> dict[str, set[str]]:
    """By sign and incident, the streams that it waits for.

    A sign whose hop an incident switches waits for that as well: whether a window between is said
    must not depend on how far the lanes are.
    """
    found: dict[str, set[str]] = {}
    reads = {incident.id: list(incident.inputs) for incident in configuration.incidents}
    for sign in configuration.signs:
        if isinstance(sign, DerivedSign):
            reads[sign.id] = sign.inputs
        elif isinstance(sign, WindowSign | SampledSign | HistorySign):
            found[sign.id] = {sign.topic}
            reads[sign.id] = switched_by(sign, configuration.overlays)
    size = -1
    while size != sum(map(len, found.values())):
        size = sum(map(len, found.values()))
        for name, inputs in reads.items():
            streams = (found.get(one, set()) for one in inputs)
            found[name] = found.get(name, set()).union(*streams)
    return found


def incidents_in_order(configuration: Configuration) -> list[Incident]:
    """Incidents so that each stands after those it reads; there is no cycle."""
    incidents = {incident.id: incident for incident in configuration.incidents}
    reads = {name: [i for i in one.inputs if i in incidents] for name, one in incidents.items()}
    return [incidents[name] for name in TopologicalSorter(reads).static_order()]
