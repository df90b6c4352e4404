"""The desk that hotline events pass: what they say is taken down, what they tell of people stays.

Text is masked before anything else reads it, then only names of closed lists come of it; a caller
becomes a keyed hash.  Neither goes any further (rule R9).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from agents.conditions import meets
from agents.folds import Fold
from agents.hotline.callers import CallerKeys
from agents.hotline.masking import mask, spans
from agents.hotline.open_orders import OpenOrders
from agents.hotline.orders import OpenOrder, Orders, OrderStep
from agents.hotline.topics import Places, Topic, Topics
from agents.plan import FoldedSign, Plan, StreamPlan
from agents.readers import base_key
from schemas.facts import COPIED, HotlineFact, OrderFact
from schemas.hotline import HotlineEvent
from schemas.places import LENGTHS
from schemas.signs import HistorySign
from streams.frozen import Frozen
from streams.timeline import DAY_MS, HOUR_MS, to_ms

_STREET = LENGTHS[2]


@lru_cache(maxsize=4096)
def _named(name: str | None) -> str | None:
    """A name of a category or department as it is; None where it holds an identifier of people.

    Such names become keys, which everyone reads.
    """
    return None if name and spans(name) else name


class Told(NamedTuple):
    """A fact, and whether it is kept for signs that sample the open orders."""

    fact: HotlineFact
    kept: bool


class Desk:
    """What one lane keeps of its hotline events.

    Parameters
    ----------
    plan, stream
        The compiled configuration, and its signs that sample open orders.
    """

    def __init__(self, plan: Plan, stream: StreamPlan) -> None:
        configuration = plan.configuration
        hotline, rules = configuration.hotline, configuration.orders
        zone = configuration.city.time_zone
        self._topics = Topics([Topic(t.name, t.code, tuple(t.keywords)) for t in hotline.topics])
        self._codes = {topic.name: topic.code for topic in hotline.topics}
        self._places = Places(hotline.places)
        self._callers = None if plan.secret is None else CallerKeys(plan.secret, zone)
        self._looked_back_ms = max(
            (to_ms(s.repeats.within_s) for s in configuration.signs if isinstance(s, HistorySign)),
            default=0,
        )
        self.orders = Orders(
            {limit.type: limit.working_days for limit in rules.due},
            plan.workdays,
            closed_ms=rules.forget_closed_days * DAY_MS,
            open_ms=rules.forget_open_days * DAY_MS,
        )
        self.folds = [self._sampled(sign) for sign in stream.signs]

    def read(self, event: HotlineEvent, t: int) -> Told:
        """What an admitted event says past intake; ``t`` is its time, int64 ms.

        The event's text, caller and reason are gone from it afterwards.
        """
        masked = None if event.text is None else mask(event.text)
        event.text = event.reason = None
        fact = HotlineFact(
            kind=event.kind,
            place=event.place,
            **{name: getattr(event, name) for name in _SAME},
        )
        fact.category = _named(event.category[-1]) if event.category else None
        fact.category_code = _named(event.category_code)
        fact.department = _named(event.department)
        if masked:
            self._read_text(fact, masked)
        self._recognise(fact, event, t)
        if event.kind != "order":
            return Told(fact, kept=False)
        self._take_order(fact, event, t)
        return Told(fact, kept=bool(self.folds))

    def _read_text(self, fact: HotlineFact, masked: str) -> None:
        if fact.category is None:
            topic = self._topics.find(masked)
            if topic is not None:
                fact.category, fact.category_code = topic.name, topic.code
        if len(fact.place) < _STREET:
            fact.place = self._places.find(masked, fact.place) or fact.place

    def _recognise(self, fact: HotlineFact, event: HotlineEvent, t: int) -> None:
        caller, hashed = event.caller, event.caller_hash
        event.caller = event.caller_hash = None
        keys = self._callers
        if keys is None:
            return
        earliest = t - self._looked_back_ms
        if caller is not None:
            names = [keys.hash(caller, t), keys.hash_before(caller, t), keys.hash(caller, earliest)]
        elif hashed is not None:
            names = [keys.hash_source(hashed, t), keys.hash_source_before(hashed, t)]
            names.append(keys.hash_source(hashed, earliest))
        else:
            return
        known = [name for name in dict.fromkeys(names) if name is not None]
        if known:
            fact.citizen, fact.citizens_before = known[0], tuple(known[1:])

    def _take_order(self, fact: HotlineFact, event: HotlineEvent, t: int) -> None:
        assert event.order_id is not None
        assert event.status is not None
        assert event.t_created is not None
        taken = self.orders.take(
            OrderStep(
                event.order_id,
                event.system,
                event.seq,
                event.status,
                t,
                event.t_created,
                event.due,
                fact.place,
                fact.category,
                fact.department,
                fact.type,
                fact.urgency,
            )
        )
        fact.flag = taken.flag or "none"  # type: ignore[assignment]
        fact.on_time = None if taken.on_time is None else float(taken.on_time)
        fact.since_created_s = (t - event.t_created) / 1000

    def _sampled(self, sign: FoldedSign) -> Fold:
        held: list[Fold] = []

        def slot_of(order: OpenOrder) -> int:
            return held[0].slot(base_key(sign.sign.base, None, _told(order), sign.dimension))

        store = OpenOrders(
            self.orders,
            sign.windows.pane_ms,
            keep=lambda order: meets(sign.sign.match, _told(order)),
            slot_of=slot_of,
            measure=lambda order: sign.measure(_told(order)),
            family=sign.family,
        )
        held.append(Fold(sign, store))
        return held[0]

    def forget(self, watermark: int) -> None:
        """Drop orders that are over; every hop up to the watermark (int64 ms) has been sampled."""
        self.orders.forget(watermark)

    def dump(self) -> dict[str, Any]:
        """What stands beside the parts of `freeze`."""
        return self.orders.dump()

    def freeze(self, *, whole: bool) -> Frozen:
        """The order table in parts; what samples it is frozen with the other signs."""
        return self.orders.freeze(whole=whole)

    def load(self, data: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        self.orders.load(data, parts)


_SAME = tuple(name for name in COPIED if name not in ("kind", "place", "category"))


def _told(order: OpenOrder) -> OrderFact:
    return OrderFact(
        system=order.system,  # type: ignore[arg-type]
        type=order.type,  # type: ignore[arg-type]
        urgency=order.urgency,  # type: ignore[arg-type]
        place=order.place,
        category=order.category,
        department=order.department,
        past_due=order.past_due,
        age_h=order.age_ms / HOUR_MS,
    )
