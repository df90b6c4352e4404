"""The configuration: city, topics and signs, as the engine compiles them.

A value of `Configuration` is complete and consistent: what one field alone cannot tell is checked
in `schemas.consistency`. Lengths of time are seconds, in whole milliseconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from schemas.citizens import Calendar, Hotline, Orders
from schemas.departures import Departure
from schemas.devices import Register
from schemas.gateway import Gateway
from schemas.hierarchies import Hierarchy
from schemas.incidents import Incident
from schemas.instants import Instant, instant_ms
from schemas.kafka import Kafka
from schemas.level_tables import LevelTable, with_levels
from schemas.metric_entries import MetricEntry
from schemas.metrics import METRICS, Metrics
from schemas.model import Length, Model, Seconds
from schemas.overlays import Overlay, by_incident
from schemas.record_shapes import RecordShape
from schemas.related import Relations
from schemas.relations import columns_of
from schemas.signals import SignalTable
from schemas.signs import Early, Sign
from schemas.words import Name, TopicKind


class City(Model):
    """The city, and the time zone of its days and nights."""

    name: Name
    place: str
    """Place code of the city: four digits."""
    time_zone: str
    """IANA name, such as Asia/Shanghai."""


class Growth(Model):
    """Partitions that were added to a topic."""

    partitions: Annotated[int, Field(ge=2, le=1024)]
    """How many there are from then on."""
    since: Instant
    """Event time from which windows wait for the new lanes."""

    @property
    def since_ms(self) -> int:
        """Int64 ms UTC."""
        return instant_ms(self.since)


class Topic(Model):
    """An input topic."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    """Name in Kafka."""
    kind: TopicKind
    partitions: Annotated[int, Field(ge=1, le=1024)] = 4
    """How many it had at first."""
    grown: Annotated[list[Growth], Field(default_factory=list)]
    """Partitions added later, in order; the state of the others is kept."""
    disorder_s: Seconds = 5.0
    """How far the watermark stays behind the largest event time seen."""
    allowed_lateness_s: Seconds
    """How long after the watermark corrections are taken."""
    skew_s: Seconds = 60.0
    """How far an event may be ahead of its record before it no longer moves the watermark."""
    most_keys: Annotated[int, Field(ge=1, le=1 << 28)] = 4_000_000
    """How many keys the signs of one partition of sensors or traffic may have in all; a record that
    would need another one is refused. A key takes some hundred bytes."""
    record: RecordShape | None = None
    """How its records are shaped, where they are not events as `cityvitals schemas` writes them."""

    @property
    def all_partitions(self) -> int:
        """How many partitions it has by now."""
        return self.grown[-1].partitions if self.grown else self.partitions


class Shard(Model):
    """A part of the places that an assess task of its own owns."""

    places: Annotated[list[str], Field(min_length=1)]
    """Place codes; it owns them and all that lies in them."""


class Configuration(Model):
    """All that defines the signs of a city.

    Raises
    ------
    pydantic.ValidationError
        With every fault of a field, or else every inconsistency between fields.
    """

    version: Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,32}$")]
    """Name of this state of the configuration, such as 2026.11."""
    city: City
    topics: Annotated[list[Topic], Field(min_length=1)]
    signs: Annotated[list[Sign], Field(min_length=1)]
    metrics: Annotated[list[MetricEntry], Field(default_factory=list)]
    """What devices measure, beside the metrics of the product."""
    tables: Annotated[list[LevelTable], Field(default_factory=list)]
    """Dated tables of levels that signs refer to by name."""
    signals: Annotated[list[SignalTable], Field(default_factory=list)]
    """What the colours of official warnings mean, by issuer."""
    incidents: Annotated[list[Incident], Field(default_factory=list)]
    """Several signs at related keys that together mean one thing."""
    overlays: Annotated[list[Overlay], Field(default_factory=list)]
    """How alerts are judged while something is on; of two for a sign the first counts."""
    departures: Annotated[list[Departure], Field(default_factory=list)]
    """Where signs are other than they were proposed, for the reference; nothing reads it else."""
    forget_s: Length = 86_400.0
    """A key that is silent for so long is forgotten."""
    hotline: Hotline = Hotline.model_validate({})
    orders: Orders = Orders.model_validate({})
    calendar: Calendar = Calendar.model_validate({})
    register_file: str | None = None
    """CSV of the expected devices, relative to the file that names it."""
    relations_file: str | None = None
    """CSV of the relations between keys, relative to the file that names it."""
    hierarchies: Annotated[list[Hierarchy], Field(default_factory=list)]
    """What keys are part of, beside places."""
    shards: Annotated[list[Shard], Field(default_factory=list)]
    """Beside the city's, which owns all other places; on Kafka they may run on other workers."""
    kafka: Kafka = Kafka()
    """For `cityvitals worker`; nothing of it changes a result."""
    gateway: Gateway = Gateway.model_validate({})
    """For `cityvitals gateway`; nothing of it changes a result."""
    _register: Register = PrivateAttr(default=Register(()))
    _relations: Relations = PrivateAttr(default=Relations(()))

    @model_validator(mode="after")
    def _check_consistency(self, info: ValidationInfo) -> Configuration:
        from schemas.consistency import find_problems  # it imports the models above

        as_written = dict(enumerate(self.signs))
        known = {table.id: table for table in self.tables}
        self.signs[:] = [with_levels(sign, known) for sign in self.signs]
        # The loader finds the same problems itself, to give each its place in the file.
        if info.context == "located":
            return self
        problems = find_problems(
            self.city,
            dict(enumerate(self.topics)),
            as_written,
            dict(enumerate(self.shards)),
            tables=dict(enumerate(self.tables)),
            signals=dict(enumerate(self.signals)),
            hotline=self.hotline,
            orders=self.orders,
            calendar=self.calendar,
            hierarchies=self.hierarchies,
            incidents=dict(enumerate(self.incidents)),
            metrics=dict(enumerate(self.metrics)),
            overlays=dict(enumerate(self.overlays)),
        )
        if problems:
            lines = (f"{'.'.join(map(str, path))}: {message}" for path, message in problems)
            raise ValueError("\n".join(lines))
        return self

    @property
    def register(self) -> Register:
        """The expected devices; empty where there is no register."""
        return self._register

    def with_register(self, register: Register) -> Configuration:
        """The same configuration with other expected devices, and so another fingerprint."""
        other = self._copied()
        other._register = register
        return other

    @property
    def relations(self) -> Relations:
        """How keys are related beside their places; empty where there is no table of it."""
        return self._relations

    def with_relations(self, relations: Relations) -> Configuration:
        """The same configuration with another table of relations, and so another fingerprint."""
        other = self._copied()
        other._relations = relations
        return other

    def _copied(self) -> Configuration:
        other = self.model_copy()
        # What was worked out of the old content does not hold for the new.
        other.__dict__.pop("fingerprint", None)
        return other

    @property
    def untold(self) -> list[int]:
        """Places of the hierarchies by register of which the register has no column."""
        told = columns_of(self._register.devices)
        listed = enumerate(self.hierarchies)
        return [i for i, one in listed if one.by == "register" and one.name not in told]

    @cached_property
    def fingerprint(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of what decides results, as canonical JSON."""
        # What decides only where and by how many the work is done is left out, and so is where
        # secrets and registers stand, and what is for readers: a register counts by its digest.
        deployment: Any = {
            "kafka": True,
            "gateway": True,
            "shards": True,
            "departures": True,
            "topics": {"__all__": {"grown", "most_keys"}},
            "register_file": True,
            "relations_file": True,
            "hotline": {"caller_key_file"},
        }
        content: dict[str, Any] = self.model_dump(mode="json", exclude=deployment)
        # A part that came later, where it is not used, leaves what a fingerprint was before it.
        for part in ("hierarchies", "incidents", "metrics", "overlays", "signals", "tables"):
            if not content[part]:
                del content[part]
        for incident in content.get("incidents", ()):
            _leave_out_unused(incident)
        for entry in content.get("metrics", ()):
            # It decides what is read of telegrams, before there is any event.
            del entry["hj212"]
        for overlay in content.get("overlays", ()):
            for change in overlay["changes"]:
                if change["hop_s"] is None:
                    del change["hop_s"]
        for sign in content["signs"]:
            if sign["alert"] is not None and sign["alert"]["early"] is None:
                del sign["alert"]["early"]
            if not sign["hidden"]:
                del sign["hidden"]
        for topic in content["topics"]:
            if topic["record"] is None:
                del topic["record"]
            elif not topic["record"]["places"]:
                del topic["record"]["places"]
        if self._register.devices:
            content["register"] = self._register.digest
        if self._relations.rows:
            content["relations"] = self._relations.digest
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Version and fingerprint, as results name the configuration behind them."""
        return f"{self.version}+{self.fingerprint}"

    @property
    def covers(self) -> str:
        """What the label stands for, in words for those who hold it against that of an alert."""
        if self._register.devices:
            return f"with its register of {len(self._register.devices):,} devices"
        return "without a register: where a run has one, its alerts carry another label"

    @cached_property
    def known_metrics(self) -> Metrics:
        """The metrics of the product and those of this configuration."""
        return METRICS.with_more(entry.metric for entry in self.metrics)

    @cached_property
    def awaited(self) -> frozenset[str]:
        """Ids of the signs that incidents read, or that alerts wait for, or whose alerts wait."""
        read = {name for incident in self.incidents for name in incident.inputs}
        read |= {early.rate for _, early in self._early}
        return frozenset(name for name in read | self.held if name in self.sign)

    @cached_property
    def held(self) -> frozenset[str]:
        """Ids of the signs whose alerts wait: for incidents that suppress or change them, or for
        the sign that tells their rate."""
        suppressed = {one.sign for incident in self.incidents for one in incident.suppresses}
        suppressed |= {sign for sign, _ in self._early}
        return frozenset(suppressed | by_incident(self.overlays, self.incidents).keys())

    @property
    def _early(self) -> list[tuple[str, Early]]:
        """Signs whose alerts are raised one level early, and by what."""
        listed = ((sign.id, sign.alert and sign.alert.early) for sign in self.signs)
        return [(name, early) for name, early in listed if early]

    @cached_property
    def sign(self) -> Mapping[str, Sign]:
        """Every sign by its id."""
        return {sign.id: sign for sign in self.signs}


def _leave_out_unused(tree: Any) -> None:
    """Take what incidents do not ask of relations out of a part of them."""
    for each in tree if isinstance(tree, list) else ():
        _leave_out_unused(each)
    if isinstance(tree, dict):
        for name in ("relation", "within_m", "related"):
            if name in tree and tree[name] is None:
                del tree[name]
        for each in tree.values():
            _leave_out_unused(each)
