"""Events of every sign of the catalogue at every place for which it is told: each street, or each
district where it has no streets, or the city.

What is sent are the normal values of the tests of the rules, for as long as a window of the sign
reaches back, but no longer than a day: signs of weeks and months are not known yet.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from agents.city.districts import streets
from agents.shapes import head_of
from schemas.devices import Device
from schemas.signs import DerivedSign, Sign
from tests.bench.fortnight.planted import SIGNS, driven_of
from tests.bench.fortnight.stories import Event, Home
from tests.rules.driven import DRIVERS, phases_of, register_of, states, values
from tests.rules.driven_all import DRIVEN
from tests.rules.driven_events import MORNING, PLACE
from tests.rules.driven_unrated import UNRATED

STREET = PLACE[:9]
"""The street that stands for all of them."""
_DELAY_MS = 1_000
_DAY_S = 86_400.0
_SLACK_S = 900.0
_FEW = 12
"""So many devices of those that are counted; their tests have hundreds, to make a per cent."""
_OF_OTHERS = ("city.domain_index", "city.health_index")
"""Made of what the other signs say."""
_TOPICS = {"external": "city.external.v1", "hotline": "city.hotline.v1"}
_TOPICS |= {"sensor": "city.sensor.v1", "traffic": "city.traffic.v1"}


_SIGNS: list[Sign] = [sign for sign in DRIVEN if sign.id not in _OF_OTHERS]
_SIGNS += [SIGNS[name] for name in UNRATED]


class Record(NamedTuple):
    """What arrives, and when: int64 ms UTC."""

    topic: str
    arrival: int
    key: bytes
    value: bytes


class Told(NamedTuple):
    """What drives a sign at one street, in the order of arrival, and from where it is sent."""

    lines: list[tuple[int, str, bytes]]
    devices: list[Device]
    codes: list[str]


def reach_s(sign: Sign) -> float:
    """How long before a moment its events begin to matter; a day at the most."""
    size_s = sign.window.size_s or _DAY_S
    if isinstance(sign, DerivedSign):
        size_s += max(reach_s(SIGNS[name]) for name in sign.inputs)
    return min(size_s, _DAY_S)


def _codes(sign: Sign) -> list[str]:
    """A street for each place."""
    every = [street.code for street in streets()]
    levels = {str(level).rpartition("*")[2] for level in sign.keys}
    if "street" in levels:
        return every
    districts = list({code[:6]: code for code in every}.values())
    return districts if levels - {"city"} else districts[:1]


def _events(sign: Sign, begin: int, end: int) -> list[Event]:
    if sign.id in UNRATED:
        return list(UNRATED[sign.id].events(begin, end, 1.0))
    driven = driven_of(sign.id)
    driver = DRIVERS.get(sign.id, values) if driven is None else driven.events
    normal, least = (phase[2] for phase in phases_of(sign, driven)[:2])
    # Where nothing is what is normal, the least that is not.
    found = list(driver(sign, [(begin, end, normal)])) or driver(sign, [(begin, end, least)])
    if driver is not states:
        return list(found)
    return [event for event in found if int(event[2]["device"][1:]) < _FEW]


def _devices(sign: Sign) -> tuple[Device, ...]:
    if sign.id in UNRATED:
        return UNRATED[sign.id].register.devices
    driven = driven_of(sign.id)
    return (register_of(sign) if driven is None else driven.register).devices


def told(sign: Sign, minutes: int) -> Told:
    """What a sign needs until so many minutes after the city's first one."""
    home = Home(f"{sign.id}-{STREET}", 0, PLACE[:6], PLACE[:6])
    begin = MORNING - round(1000 * (reach_s(sign) + _SLACK_S))
    lines = []
    end = MORNING + minutes * 60_000
    for t, kind, said in home.events(_events(sign, begin, end)):
        # Usual days of signs that have a model are not needed for a value.
        if t < begin:
            continue
        event = {"t_ingest": t + _DELAY_MS, **said}
        line = json.dumps(event, ensure_ascii=False).encode()
        lines.append((event["t_ingest"], _TOPICS[kind], line))
    lines.sort(key=lambda line: line[0])
    rows = [home.device(row, begin, end) for row in _devices(sign)]
    return Told(lines, rows, _codes(sign))


@cache
def all_told(minutes: int) -> list[Told]:
    return [told(sign, minutes) for sign in _SIGNS]


def devices(found: Iterable[Told]) -> Iterator[Device]:
    """The rows of the register of all places."""
    for each in found:
        for row in each.devices:
            for code in each.codes:
                named = {
                    field: getattr(row, field).replace(STREET, code)
                    for field in ("device", "platform", "place", "site")
                }
                yield row._replace(**named)


def records(found: Iterable[Told]) -> Iterator[Record]:
    """Those of all places, in the order of their arrival."""
    return heapq.merge(*map(_records, found), key=lambda record: record.arrival)


def _records(each: Told) -> Iterator[Record]:
    street, heads = STREET.encode(), {topic: head_of(topic, {}) for topic in _TOPICS.values()}
    codes = [code.encode() for code in each.codes]
    for arrival, topic, line in each.lines:
        for code in codes:
            value = line.replace(street, code)
            yield Record(topic, arrival, heads[topic](value).key or b"", value)
