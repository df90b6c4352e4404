"""The 12345 hotline: what arrives of its work orders and calls, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from agents.city.almanac import Almanac
from agents.city.disorder import DUPLICATE, MALFORMED, Arrivals, Disorder, arrange, damage, kinds_of
from agents.city.districts import DISTRICTS, spot, streets
from agents.city.draws import Floats, Ints, mix, uniforms
from agents.city.emission import Emission
from agents.city.identifiers import KINDS, LEADS, identifier
from agents.city.lives import (
    LENGTHS,
    LIVES,
    LONGEST,
    LOOK_BACK_HOURS,
    NAMES,
    REOPENED,
    RETURNED,
    STATUSES,
    Shares,
)
from agents.city.orders import Desk, Orders
from agents.city.rhythm import MINUTE_MS, START_MS, local_time
from agents.city.topics import TOPICS

HOTLINE = "city.hotline.v1"
_CALL, _FAULT = 0x402, 0x403
_CALLS = 40.0
_HOUR_MS = 60 * MINUTE_MS
_HELD_MS = 7_000
"""So long after its successor an overtaken step arrives; no disorder makes up for it."""

_URGENCY = ("normal", "urgent", "critical")
_CHANNELS = ("phone", "phone", "phone", "app", "wechat", "web")
_OPINIONS = (
    # The worst first, as the draw has it.
    '"satisfied":false,"resolved":false,"score":1',
    '"satisfied":true,"resolved":false,"score":3',
    '"satisfied":true,"resolved":true,"score":4',
    '"satisfied":true,"resolved":true,"score":5',
)
_REASONS = {"returned": "不属于本单位职责", "delayed": "需要多个单位会商"}


class Hour(NamedTuple):
    """Orders and calls that begin in one hour, with all their later steps.

    The first items are the steps ``step`` of the orders ``order``, the rest are calls.
    """

    orders: Orders
    order: Ints
    step: Ints
    calls: Ints
    call_draw: Floats
    call_number: Ints
    arrivals: Arrivals


class Hotline:
    """Work orders and calls, by the hour in which they begin."""

    def __init__(
        self, seed: int, scale: float, disorder: Disorder, shares: Shares, almanac: Almanac
    ) -> None:
        self._seed = seed
        self._disorder = disorder
        self._desk = Desk(seed, scale, shares, almanac)
        self.hour = lru_cache(maxsize=LOOK_BACK_HOURS + 4)(self._hour)
        self._arriving = lru_cache(maxsize=2)(self._gather)

    def between(self, start: int, end: int) -> Iterator[Emission]:
        """What arrives in [start, end), ms UTC, within one hour of the city, in order."""
        time, *rest = self._arriving((start - START_MS) // _HOUR_MS)
        here = slice(*np.searchsorted(time, (start, end)).tolist())
        for at, begun, item, fault, kind in zip(
            time[here].tolist(), *(column[here].tolist() for column in rest), strict=True
        ):
            key, value = self._write(self.hour(begun), item)
            yield Emission(HOTLINE, at, key, damage(value, kind) if fault == MALFORMED else value)

    def planted(self, hours: int) -> list[str]:
        """Identifiers in the texts of all orders of the first hours, each once, sorted."""
        found: set[str] = set()
        for number in range(hours):
            orders = self.hour(number).orders
            has = np.nonzero(orders.planted >= 0)[0]
            kinds, numbers = orders.planted[has].tolist(), orders.planted_number[has].tolist()
            found.update(map(identifier, kinds, numbers))
        return sorted(found)

    def told(self, until: int) -> dict[str, Any]:
        """Ground truth of the orders whose creation arrives before ``until``, ms UTC.

        Returns
        -------
        plain values: ``created``, ``lives`` (by the life that is planned, also where it ends
        after the run), ``repeat_callers``, ``uncategorised``, ``without_due``, ``overtaken``,
        ``identifiers`` (by kind); and ``steps`` that arrive, by status, repeats left out.
        """
        lives = np.zeros(len(LIVES), np.int64)
        planted = np.zeros(len(KINDS), np.int64)
        statuses = np.zeros(len(STATUSES), np.int64)
        counts = dict.fromkeys(("repeat_callers", "uncategorised", "without_due", "overtaken"), 0)
        for number in range(-(-(until - START_MS) // _HOUR_MS)):
            hour = self.hour(number)
            orders = hour.orders
            here = hour.arrivals.between(START_MS, until)
            items = hour.arrivals.item[here][hour.arrivals.fault[here] != DUPLICATE]
            items = items[items < len(hour.order)]
            order, step = hour.order[items], hour.step[items]
            statuses += np.bincount(_STEPS[orders.life[order], step], minlength=len(STATUSES))
            order = order[step == 0]
            lives += np.bincount(orders.life[order], minlength=len(LIVES))
            kinds = orders.planted[order]
            planted += np.bincount(kinds[kinds >= 0], minlength=len(KINDS))
            for name, flags in (
                ("repeat_callers", orders.draft.repeats),
                ("uncategorised", orders.bare),
                ("without_due", orders.due == 0),
                ("overtaken", orders.overtaken > 0),
            ):
                counts[name] += int(np.count_nonzero(flags[order]))
        return {
            "created": int(lives.sum()),
            "lives": dict(zip(NAMES, lives.tolist(), strict=True)),
            **counts,
            "identifiers": dict(zip(KINDS, planted.tolist(), strict=True)),
            "steps": dict(zip(STATUSES, statuses.tolist(), strict=True)),
        }

    def _hour(self, number: int) -> Hour:
        orders = self._desk.hour(number)
        order, step = np.nonzero(np.arange(LONGEST) < LENGTHS[orders.life][:, None])
        times = orders.steps[order, step]
        # The step before the one that overtakes it.
        overtaken = step + 1 == orders.overtaken[order]
        after = orders.steps[order, np.minimum(step + 1, LONGEST - 1)]
        held = np.where(overtaken, after - times + _HELD_MS, 0)
        call_rows, call_draw, calls = self._desk.begin(
            number, mix(self._seed, _CALL, number), _CALLS, 4
        )
        names = np.concatenate((orders.draft.rows[order] * 16 + step, -1 - call_rows))
        fate = uniforms(mix(self._seed, _FAULT, number), names, 2)
        arrivals = arrange(
            np.concatenate((times, calls)),
            self._disorder.classify(fate[0], delayed=False),
            fate[1],
            np.full(len(names), kinds_of(HOTLINE)),
            np.concatenate((held, np.zeros(len(calls), np.int64))),
        )
        call_number = self._desk.serial(number, call_rows)
        return Hour(orders, order, step, calls, call_draw, call_number, arrivals)

    def _gather(self, number: int) -> tuple[Ints, ...]:
        """What arrives in an hour: times, the hour in which it began, item, fault and damage."""
        start = START_MS + number * _HOUR_MS
        parts = []
        for begun in range(max(0, number - LOOK_BACK_HOURS), number + 1):
            arrivals = self.hour(begun).arrivals
            here = arrivals.between(start, start + _HOUR_MS)
            time = arrivals.time[here]
            where = np.full(len(time), begun)
            parts.append((time, where, *(a[here] for a in arrivals.columns()[1:])))
        columns = [np.concatenate(each) for each in zip(*parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        return tuple(column[order] for column in columns)

    def _write(self, hour: Hour, item: int) -> tuple[bytes, bytes]:
        """Key and value of one step or call, as it stands in the log."""
        if item >= len(hour.order):
            return self._write_call(hour, item - len(hour.order))
        order, step = int(hour.order[item]), int(hour.step[item])
        orders, draft = hour.orders, hour.orders.draft
        t, created, due = int(orders.steps[order, step]), draft.created[order], orders.due[order]
        said = f',"due":{due}' if due else ""
        street, topic = streets()[draft.street[order]], TOPICS[draft.topic[order]]
        where = spot(street, int(draft.spot[order]))
        name = _name(draft.created[order], draft.number[order])
        system = "cgj" if orders.inspected[order] else "12345"
        status = STATUSES[LIVES[orders.life[order]].steps[step]]
        category = (
            ""
            if step == 0 and orders.bare[order]
            else f'"category":["{topic.path[0]}","{topic.path[1]}"],"category_code":"{topic.code}",'
        )
        value = (
            f'{{"kind":"order","system":"{system}","order_id":"{name}","seq":{step},'
            f'"status":"{status}","t":{t},"t_created":{created}{said},'
            f'"place":"{where.grid}","lon":{where.lon},"lat":{where.lat},"crs":"CGCS2000",'
            f'"place_precision":"grid","channel":"{_CHANNELS[draft.caller[order] % 6]}",'
            f'"type":"{topic.kind}",{category}'
            f'"urgency":"{_URGENCY[draft.urgency[order]]}"{_more(orders, order, step, status)},'
            f'"source":"gz-{system}"}}'
        )
        return name.encode(), value.encode()

    def _write_call(self, hour: Hour, call: int) -> tuple[bytes, bytes]:
        t, draw = int(hour.calls[call]), hour.call_draw[:, call]
        name = f"call-{local_time(t):%Y%m%d}-{hour.call_number[call]:08d}"
        answered = bool(draw[1] < 0.985)
        wait = round(3 + 9 * float(draw[2]) + (60 * float(draw[3]) if draw[2] > 0.975 else 0), 1)
        talk = f',"talk_s":{round(40 + 300 * float(draw[3]), 1)}' if answered else ""
        value = (
            f'{{"kind":"call","id":"{name}","t":{t},"place":"4401","wait_s":{wait},'
            f'"answered":{"true" if answered else "false"}{talk},"source":"gz-12345"}}'
        )
        return name.encode(), value.encode()


_STEPS = np.array([life.steps + (0,) * (LONGEST - len(life.steps)) for life in LIVES])


def _name(created: int, number: int) -> str:
    return f"GZ{local_time(int(created)):%Y%m%d}-{number:08d}"


def _more(orders: Orders, order: int, step: int, status: str) -> str:
    """What only steps of that status say."""
    draft = orders.draft
    topic, street = TOPICS[draft.topic[order]], streets()[draft.street[order]]
    if step == 0:
        text = topic.texts[draft.text[order]].format(street.name)
        if draft.repeats[order]:
            text = f"之前已经反映过：{text}"
        if orders.planted[order] >= 0:
            kind = int(orders.planted[order])
            text += LEADS[kind].format(identifier(kind, int(orders.planted_number[order])))
        # Twelve digits after 0000: no telephone number can begin like this.
        return f',"text":"{text}","caller":"0000{draft.caller[order]:08d}"'
    life = orders.life[order]
    # An order that comes back went to another office first.
    astray = life == RETURNED and step <= 2
    office = TOPICS[(int(draft.topic[order]) + 1) % len(TOPICS)].office if astray else topic.office
    found = f',"department":"{DISTRICTS[street.district]}-{office}"'
    if status == "dispatched":
        found += f',"by":"{"auto" if orders.automatic[order] else "human"}"'
    elif status in _REASONS:
        found += f',"reason":"{_REASONS[status]}"'
    elif status == "evaluated":
        found += f",{_OPINIONS[0 if life == REOPENED else orders.opinion[order]]}"
    elif status == "merged":
        found += f',"duplicate_of":"{_name(draft.twin_ms[order], draft.twin[order])}"'
    return found
