"""The gate before a lane: which records go through it, and what it is taught of their senders."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

from msgspec import inspect

from agents.arrivals import Arrivals, Sender, period_of, validity_of
from agents.folds import Fold, Router, Taker
from agents.kinds import NAMING, Kinds
from agents.plan import TopicPlan
from agents.readers import observation_sender, reading_sender
from ext.gate import Gate
from ext.rows import Rows
from schemas.events import KINDS
from schemas.signs import Aggregate, HistorySign
from schemas.times import EARLIEST, LATEST
from schemas.words import Condition, Range
from streams.identity import Seen
from streams.timeline import DAY_MS

VARIABLE = {
    "sensor": ("t", "value", "seq", "id", "t_ingest", "t_end"),
    "traffic": (
        "t",
        "t_end",
        "id",
        "t_ingest",
        "link_len_m",
        "speed_kmh",
        "free_flow_kmh",
        "intensity",
        "flow_vph",
        "occupancy",
        "queue_m",
        "delay_s",
        "n",
        "persons",
        "occupied",
        "capacity",
    ),
}
"""What a sender may say otherwise in each record, by kind of topic; its time comes first."""

_TIME, _FLOAT, _INT, _ID = range(4)
_CONSTANT, _STEPS, _ENERGY, _PAIR, _QUOTIENT, _TRAVEL, _LATENESS, _HIT = range(8)
_OF_LATENESS = -1
"""Instead of the number of a field."""
_TIMES = ("t", "t_end", "t_ingest")
_TRAVELLED = ("speed_kmh", "free_flow_kmh", "link_len_m")


class _Op(NamedTuple):
    """How the gate measures, as `Gate.shape` takes it: bounds are ``(low, high, least, most)``."""

    op: int
    i: int = 0
    j: int = 0
    k: int = 0
    value: int = 0
    weight: int = 0
    bounds: tuple[float, float, float, float] = (-inf, inf, -inf, inf)


class _UnsuitedError(Exception):
    """The gate can not measure what a sign does."""


_MOST_SHAPES = 1 << 16
"""Of what many senders have in common; there are as many as senders where a sign counts senders."""


class _Common(NamedTuple):
    """What the gate is told of many senders at once."""

    source: bytes
    folds: bool
    covered: int
    routes: tuple[tuple[Fold, _Op], ...]
    arrivals: tuple[tuple[Fold, _Op], ...]
    period: int
    low: float
    high: float


class Teacher:
    """The gate of one lane and what it is taught.

    Parameters
    ----------
    plan
        Of the lane's topic.
    seen
        What the lane has seen.
    events, arrivals
        Of the lane: the signs of what is said and, if there are any, those that count records.

    Attributes
    ----------
    gate
        None where the topic has none: its records have another shape than events, or what decides
        where a record goes may be another thing in each of them.
    """

    def __init__(
        self, plan: TopicPlan, seen: Seen, events: Router, arrivals: Arrivals | None
    ) -> None:
        kind = plan.topic.kind
        names = VARIABLE.get(kind, ())
        self._names = {name: i for i, name in enumerate(names)}
        self._arrivals = arrivals
        self._covered = plan.reader.covered
        self._sender = reading_sender if kind == "sensor" else observation_sender
        self._metrics = plan.metrics
        self._ranged = kind == "sensor"
        self._shapes: dict[_Common, int] = {}
        self._ops: dict[tuple[Fold, ...], list[_Op | None]] = {}
        """How the gate measures, by the signs that take an event, where that is always the same."""
        self.gate: Gate | None = None
        self._kinds: Kinds | None = None
        shaped = plan.topic.record is not None
        if not names or shaped or any(_is_divided(sign, self._names) for sign in plan.signs):
            return
        self.gate = Gate(
            _fields(kind, names),
            seen.table,
            plan.disorder_ms,
            plan.skew_ms,
            plan.lateness_ms,
            DAY_MS,
            # Nobody outside the process knows it, and nothing that is said depends on it.
            hash("templates") % 2**64,
            naming=NAMING[kind],
        )
        self._kinds = Kinds(kind, plan.signs, self.gate, events, arrivals)

    def meet(self, raw: bytes, logged: int) -> bool:
        """Whether a record's sender is of a known kind, so that the gate takes the record now."""
        return self._kinds is not None and self._kinds.meet(raw, logged)

    def teach(self, raw: bytes, event: Any, takers: list[Taker]) -> None:
        """Let records that differ from this one in variable fields alone go through the gate.

        Parameters
        ----------
        event
            The record as it was read, and taken for the first time.
        takers
            The signs that take it.
        """
        assert self.gate is not None
        assert self._kinds is not None
        if getattr(event, "stat", None) is not None:
            # What a device states of its samples is another thing in each record.
            return
        named = self.gate.kind_of(raw)
        if named is None:
            return
        sender = None
        if self._arrivals is not None:
            sender = self._arrivals.sender(event)
            if sender is None:
                return
        try:
            covered = self._covered(event)
            folds = covered is not None
            ops = self._ops_of(takers, event) if folds else []
            arriving = [] if sender is None else self._arriving(sender, event)
            counting = [] if sender is None else sender.route
            routes, arrivals = _measured(takers, ops), _measured(counting, arriving)
            common = self._common(event, covered, sender, routes, arrivals)
            shape = self._shape(self.gate, common)
        except _UnsuitedError:
            return
        if shape is None:
            return
        slots = [taker.slot for taker, _ in (*routes, *arrivals)]
        if self.gate.learn(raw, self._sender(event), shape, slots):
            kept = (_numbers(ops), _numbers(arriving))
            signs = [taker.fold.plan for taker in (*takers, *counting)]
            self._kinds.note(named[0], event, sender, shape, *kept, folds=folds, signs=signs)

    def _common(
        self,
        event: Any,
        covered: int | None,
        sender: Sender | None,
        routes: list[tuple[Taker, _Op]],
        arrivals: list[tuple[Taker, _Op]],
    ) -> _Common:
        low, high = -inf, inf
        if self._ranged:
            metric = self._metrics[event.metric]
            low, high = metric.minimum, metric.maximum
        own = event.t_end is not None and not self._ranged
        return _Common(
            (event.source or "").encode(),
            covered is not None,
            -1 if own else covered or 0,
            tuple((taker.fold, op) for taker, op in routes),
            tuple((taker.fold, op) for taker, op in arrivals),
            0 if sender is None else sender.period_ms or period_of(event, self._metrics),
            low,
            high,
        )

    def forget(self) -> None:
        """Slots were loaded anew: nothing that was taught holds."""
        self._shapes.clear()
        if self._kinds is not None:
            self._kinds.forget()
        if self.gate is not None:
            self.gate.clear()

    def _shape(self, gate: Gate, common: _Common) -> int | None:
        """The gate's number of what many senders have in common; None where there are too many."""
        known = self._shapes.get(common)
        if known is None and len(self._shapes) < _MOST_SHAPES:
            known = self._shapes[common] = gate.shape(
                b"i" + common.source,
                folds=common.folds,
                covered=common.covered,
                routes=[(_rows_of(fold), *op) for fold, op in common.routes],
                arrivals=[(_rows_of(fold), *op) for fold, op in common.arrivals],
                period=common.period,
                ranged=self._names["value"] if self._ranged else -1,
                low=common.low,
                high=common.high,
            )
        return known

    def _ops_of(self, takers: list[Taker], event: Any) -> list[_Op | None]:
        """How the gate measures for each taker; None where it does not."""
        folds = tuple(taker.fold for taker in takers)
        ops = self._ops.get(folds)
        if ops is None:
            ops = [self._op(fold, event) for fold in folds]
            # What else is read may be missing, or another thing, in the next event.
            if all(_used(fold.plan.sign.aggregate) in ((), ("value",)) for fold in folds):
                self._ops[folds] = ops
        return ops

    def _arriving(self, sender: Sender, event: Any) -> list[_Op | None]:
        """How the gate measures arrivals for each taker; None where it does not."""
        sender.arrival.valid, sender.arrival.lateness_s = validity_of(event), 0.0
        ops: list[_Op | None] = []
        for taker in sender.route:
            aggregate = taker.fold.plan.sign.aggregate
            used = _used(aggregate)
            if "lateness_s" in aggregate.conditions:
                if used != ("lateness_s",):
                    raise _UnsuitedError
                ops.append(_hit(_OF_LATENESS, aggregate))
            elif "lateness_s" not in used:
                pair = taker.measure(sender.arrival)
                ops.append(_constant(pair))
            elif _is_plain(aggregate):
                ops.append(_Op(_LATENESS))
            else:
                raise _UnsuitedError
        return ops

    def _op(self, fold: Fold, event: Any) -> _Op | None:
        """How the gate measures what a sign does; None where the sign does not take the event."""
        aggregate = fold.plan.sign.aggregate
        used = _used(aggregate)
        places = [self._names[name] for name in used if name in self._names]
        if not places:
            return _constant(fold.plan.measure(event))
        if any(getattr(event, name) is None for name in used):
            return None
        if len(places) < len(used):
            raise _UnsuitedError
        i, j, k = (*places, 0, 0)[:3]
        if aggregate.conditions:
            if len(places) > 1 or aggregate.function == "distinct":
                raise _UnsuitedError
            return _hit(i, aggregate)
        if _is_plain(aggregate):
            return _Op(_STEPS, i)
        known = {"leq": _ENERGY, "ratio": _PAIR, "tpi": _TRAVEL}
        op = _QUOTIENT if aggregate.over and aggregate.function != "ratio" else None
        op = known.get(aggregate.function, op)
        if op is None:
            raise _UnsuitedError
        return _Op(op, i, j, k)


def _measured(takers: list[Taker], ops: list[_Op | None]) -> list[tuple[Taker, _Op]]:
    return [(taker, op) for taker, op in zip(takers, ops, strict=True) if op is not None]


def _hit(i: int, aggregate: Aggregate) -> _Op:
    return _Op(_HIT, i, bounds=(*_bounds_of(aggregate.where), *_bounds_of(aggregate.among)))


def _constant(pair: tuple[int, int] | None) -> _Op | None:
    return None if pair is None else _Op(_CONSTANT, value=pair[0], weight=pair[1])


def _bounds_of(conditions: Mapping[str, Condition] | None) -> tuple[float, float]:
    """Of the one number that conditions are about."""
    low, high = -inf, inf
    for wanted in (conditions or {}).values():
        if isinstance(wanted, Range):
            low, high = wanted.bounds
        elif isinstance(wanted, float | int):
            low = high = float(wanted)
        else:
            raise _UnsuitedError
    return low, high


def _numbers(ops: list[_Op | None]) -> tuple[int, ...]:
    return tuple(i for i, op in enumerate(ops) if op is not None)


def _is_divided(plan: Any, variable: dict[str, int]) -> bool:
    """Whether a variable field decides where a record's rows go."""
    dimension = plan.dimension
    return isinstance(plan.sign, HistorySign) or any(
        name in variable for name in (*plan.sign.match, *([dimension] if dimension else ()))
    )


def _used(aggregate: Aggregate) -> tuple[str, ...]:
    """The fields that an aggregate reads."""
    if aggregate.function in ("count", "online"):
        return ()
    if aggregate.function == "tpi":
        return _TRAVELLED
    if aggregate.conditions:
        named = (aggregate.of,) if aggregate.of else ()
        return (*named, *aggregate.conditions)
    of = aggregate.of or "value"
    return (of,) if aggregate.over is None else (of, aggregate.over)


def _is_plain(aggregate: Aggregate) -> bool:
    """Whether it takes the value of one field, and nothing else."""
    return aggregate.over is None and aggregate.function not in ("leq", "distinct", "tpi", "ratio")


def _rows_of(fold: Fold) -> Rows:
    rows = fold.store.rows
    if rows is None:
        raise _UnsuitedError
    return rows


def _fields(kind: str, names: tuple[str, ...]) -> list[tuple[str, int, float, float, bool]]:
    """The variable fields with the bounds that the event's type gives them."""
    struct = inspect.type_info(KINDS[kind])
    assert isinstance(struct, inspect.StructType)
    types = {field.name: field.type for field in struct.fields}
    return [(name, *_bounds(name, types[name])) for name in names]


def _bounds(name: str, declared: inspect.Type) -> tuple[int, float, float, bool]:
    if name in _TIMES:
        return _TIME, EARLIEST, LATEST - 1, False
    while not isinstance(declared, inspect.IntType | inspect.FloatType | inspect.StrType):
        if isinstance(declared, inspect.Metadata):
            declared = declared.type
        else:
            assert isinstance(declared, inspect.UnionType)
            declared = next(t for t in declared.types if not isinstance(t, inspect.NoneType))
    if isinstance(declared, inspect.StrType):
        return _ID, declared.min_length or 0, declared.max_length or inf, False
    low = declared.ge if declared.gt is None else declared.gt
    low, high = -inf if low is None else low, inf if declared.le is None else declared.le
    kind = _INT if isinstance(declared, inspect.IntType) else _FLOAT
    return kind, low, high, declared.gt is not None
