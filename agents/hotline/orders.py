"""The work orders of one lane, which owns their ids: a table by order, by event time alone.  Pure.

Every hop of a sampled sign may be asked for while the lane has read ahead of it: steps are kept
with their times, so an order is known as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from sys import intern
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from agents.hotline.lifecycle import CLOSED, FLAGS, is_open
from agents.hotline.order import Base, Facts, Order, Step, add, order_of
from schemas.workdays import WorkDays
from streams.frozen import Frozen, decode_rows, encode_rows
from streams.timeline import AFTER_ALL, BEFORE_ALL, DAY_MS, floor_to

BUCKETS = 64
"""Parts of a frozen table: only those with a changed order are written."""

Name = tuple[str, str]
"""``(system, order_id)``: two systems may count alike."""


class OrderStep(NamedTuple):
    """What the table needs of an event; times in int64 ms UTC."""

    order_id: str
    system: str
    seq: int | None
    status: str
    t: int
    t_created: int
    due: int | None
    place: str
    category: str | None
    department: str | None
    type: str | None
    urgency: str


class Taken(NamedTuple):
    """What is to be said of a step when it arrives.

    Parameters
    ----------
    flag
        ``illegal``, ``out_of_order``, ``skipped``, ``unseen_start`` or nothing.
    due
        Of the order, int64 ms UTC: the step's own, else the one known, else that of its type's
        limit, else None.
    on_time
        Of a legal ``closed`` step whose order has a due: 1 where it is not after it, else 0.
    """

    flag: str
    due: int | None
    on_time: int | None


class OpenOrder(NamedTuple):
    """An order that is open at a hop, as it was known then.

    ``age_ms`` is the time since its creation, ``past_due`` is whether its due, int64 ms UTC, has
    come.
    """

    order_id: str
    system: str
    status: str
    place: str
    category: str | None
    department: str | None
    type: str | None
    urgency: str
    age_ms: int
    due: int | None
    past_due: bool


class Orders:
    """The order table of one lane.

    Parameters
    ----------
    limits
        Working days by type, at least 1, for orders that come without a due.
    calendar
        The city's working days.
    closed_ms, open_ms
        How long after its last step a closed and an open order is forgotten, at the end of that
        day in UTC; at least the allowed lateness, or a late step would begin the order anew.

    Attributes
    ----------
    counts
        Steps by flag, as they were told on arrival.
    expired
        Orders that were forgotten while they were open.
    open_count
        Orders that are open by all that was taken.
    last_t
        Latest time of a step ever taken, int64 ms UTC.

    Examples
    --------
    >>> orders = Orders({"help": 5}, WorkDays("Asia/Shanghai", [], []), closed_ms=10**9, open_ms=10**9)
    >>> step = OrderStep("A1", "12345", 0, "created", 10, 10, 40, "440106", "noise", None, "help", "normal")
    >>> orders.take(step)
    Taken(flag='', due=40, on_time=None)
    >>> [(order.order_id, order.age_ms, order.past_due) for order in orders.open_at(50)]
    [('A1', 40, True)]
    """  # noqa: E501

    def __init__(
        self, limits: Mapping[str, int], calendar: WorkDays, *, closed_ms: int, open_ms: int
    ) -> None:
        for type_, days in limits.items():
            if days < 1:
                raise ValueError(f"limit of {type_}: {days} working days, give at least 1")
        self.limits, self.calendar = dict(limits), calendar
        self.closed_ms, self.open_ms = closed_ms, open_ms
        self.counts = dict.fromkeys(FLAGS, 0)
        self.expired = self.open_count = 0
        self.last_t = BEFORE_ALL
        self._buckets: list[dict[Name, Order]] = [{} for _ in range(BUCKETS)]
        self._changed: set[int] = set()
        self._forgotten_until = BEFORE_ALL
        self._by_end: dict[int, list[Name]] = {}
        # Orders that a hop to come may find open, and those of them that are closed by now.
        self._live: dict[Name, Order] = {}
        self._live_sorted = True
        self._closing: dict[Name, None] = {}

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    def take(self, step: OrderStep) -> Taken:
        """Take one step that the lane has admitted, in the order of the log."""
        name = (step.system, step.order_id)
        number = _bucket_of(step.order_id)
        known = self._buckets[number].get(name)
        facts = Facts(step.place, step.category, step.department, step.type, step.urgency, step.due)
        said = Step(step.seq, step.t, step.status, facts.shared())
        order, flag, legal, due = add(known, step.t_created, said)
        if order is not known:
            self._buckets[number][name] = order
            self._changed.add(number)
            self.open_count += is_open(order.status) - (known is not None and is_open(known.status))
            self.last_t = max(self.last_t, step.t)
            self._watch(name, order)
            end = self._end_of(order)
            if known is None or end != self._end_of(known):
                self._by_end.setdefault(end, []).append(name)
        if flag:
            self.counts[flag] += 1
        if due is None:
            due = self._limit(order)
        timed = step.status == CLOSED and legal and due is not None
        return Taken(flag, due, int(step.t <= due) if timed and due is not None else None)

    def _watch(self, name: Name, order: Order) -> None:
        if name not in self._live:
            self._live_sorted = False
        self._live[name] = order
        if is_open(order.status):
            self._closing.pop(name, None)
        else:
            self._closing[name] = None

    def _limit(self, order: Order) -> int | None:
        days = self.limits.get(order.facts.type or "")
        return None if days is None else self.calendar.due(order.t_created, days)

    def _end_of(self, order: Order) -> int:
        """When it is forgotten, int64 ms: the end of a day, so that days are looked through."""
        kept_ms = self.open_ms if is_open(order.status) else self.closed_ms
        return floor_to(order.last_t + kept_ms, DAY_MS) + DAY_MS

    def open_at(self, hop_ms: int) -> Iterator[OpenOrder]:
        """The orders that are open by their steps before the hop, sorted by system and id.

        An order is not open any more from the hop on at which it may be forgotten, whenever the
        watermark passed it.

        Parameters
        ----------
        hop_ms
            int64 ms UTC, after the watermark of the last `forget`.
        """
        if not self._live_sorted:
            self._live = dict(sorted(self._live.items()))  # nearly sorted, so nearly linear
            self._live_sorted = True
        for (system, order_id), latest in self._live.items():
            order = latest.as_of(hop_ms)
            if order is None or not is_open(order.status) or self._end_of(order) <= hop_ms:
                continue
            assert order.status is not None
            facts = order.facts
            due = self._limit(order) if facts.due is None else facts.due
            yield OpenOrder(
                order_id,
                system,
                order.status,
                facts.place,
                facts.category,
                facts.department,
                facts.type,
                facts.urgency,
                max(0, hop_ms - order.t_created),
                due,
                due is not None and due <= hop_ms,
            )

    def next_step(self, t: int) -> int:
        """The first time of a step, not before ``t``, of an order that a hop may find open."""
        times = (s.t for order in self._live.values() if order.last_t >= t for s in order.steps)
        return min((at for at in times if at >= t), default=AFTER_ALL)

    def forget(self, watermark: int) -> None:
        """Drop what is over, when every hop up to the watermark, int64 ms, has been sampled.

        Not at the tick that ends a log, whose watermark lies beyond the hops that are sampled.
        """
        self._forgotten_until = max(self._forgotten_until, watermark)
        for name in [n for n in self._closing if self._live[n].last_t <= watermark]:
            del self._closing[name], self._live[name]
        for end in sorted(end for end in self._by_end if end <= watermark):
            for name in self._by_end.pop(end):
                self._drop(name, end)

    def _drop(self, name: Name, end: int) -> None:
        number = _bucket_of(name[1])
        order = self._buckets[number].get(name)
        if order is None or self._end_of(order) != end:
            return
        del self._buckets[number][name]
        self._changed.add(number)
        self._live.pop(name, None)
        self._closing.pop(name, None)
        if is_open(order.status):
            self.expired += 1
            self.open_count -= 1

    def dump(self) -> dict[str, Any]:
        """What stands beside the parts of `freeze`."""
        return {
            "counts": dict(self.counts),
            "expired": self.expired,
            "last_t": self.last_t,
            "forgotten_until": self._forgotten_until,
        }

    def freeze(self, *, whole: bool = False) -> Frozen:
        """Parts by a hash of the order's id; orders are never changed, so a copy is shallow."""
        frozen: Frozen = {}
        for number, bucket in enumerate(self._buckets):
            if bucket:
                changed = whole or number in self._changed
                frozen[str(number)] = partial(_encode, bucket.copy()) if changed else None
        self._changed.clear()
        return frozen

    def load(self, data: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        """Take over the state of an empty table from a dump and all parts of one freeze."""
        self.counts, self.expired = dict(data["counts"]), data["expired"]
        self.last_t, self._forgotten_until = data["last_t"], data["forgotten_until"]
        for number, part in sorted((int(number), part) for number, part in parts.items()):
            for name, order in _decode(part):
                self._buckets[number][name] = order
                self._by_end.setdefault(self._end_of(order), []).append(name)
                self.open_count += is_open(order.status)
                if is_open(order.status) or order.last_t > self._forgotten_until:
                    self._watch(name, order)


def _bucket_of(order_id: str) -> int:
    return crc32(order_id.encode()) % BUCKETS


_Packed = tuple[
    str,
    str,
    int,
    list[Facts],
    list[tuple[int | None, int, str, int, str]],
    tuple[int | None, int, str | None, int] | None,
]
"""System, id, creation, facts; steps and base with the number of their facts in their place."""

_packed = msgspec.msgpack.Decoder(list[_Packed]).decode


def _encode(bucket: Mapping[Name, Order]) -> bytes:
    return encode_rows(_pack(name, order) for name, order in bucket.items())


def _pack(name: Name, order: Order) -> _Packed:
    held: Iterable[Step | Base] = order.steps if order.base is None else (order.base, *order.steps)
    facts = list(dict.fromkeys(one.facts for one in held))
    number = {one: at for at, one in enumerate(facts)}
    steps = [(s.seq, s.t, s.status, number[s.facts], s.flag) for s in order.steps]
    base = order.base and (*order.base[:3], number[order.base.facts])
    return (*name, order.t_created, facts, steps, base)


def _decode(part: bytes) -> Iterator[tuple[Name, Order]]:
    for system, order_id, t_created, facts, steps, base in decode_rows(part, _packed):
        shared = [one.shared() for one in facts]
        kept = tuple(
            Step(seq, t, intern(status), shared[at], intern(flag))
            for seq, t, status, at, flag in steps
        )
        folded = None if base is None else Base(base[0], base[1], base[2], shared[base[3]])
        yield (system, order_id), order_of(t_created, folded, kept)
