"""Signs of a week of orders, driven within a fortnight: a week is good, then much is bad at once.

A week that is told hour by hour needs a week for each of its levels, if what comes is as it shall
be.  Here a good week goes before; then so many bad ones come within minutes that the share of the
week is what it shall be; and a week later they are out of it, one level after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from schemas.signs import Sign
from tests.rules.driven import value_at
from tests.rules.driven_events import LEVELS, MORNING, Driven, Event, Phases, order
from tests.rules.driven_orders import created

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
WEEK_MS = 7 * DAY_MS
STEP_MS = HOUR_MS // 2
LEAD_DAYS, PHASE_H, AFTER_H = 8, 12, 8 * 24
"""A week and a day of good ones, half a day for each level, and what is bad leaves the week."""

Send = Callable[[int, int, bool], Event]
"""Time, number, and whether it is a good one."""


def staged(values: list[float]) -> Phases:
    """A normal week, the values, and back to the first one."""
    middle = [MORNING + n * PHASE_H * HOUR_MS for n in range(len(values))]
    ends = [MORNING - LEAD_DAYS * DAY_MS, *middle, middle[-1] + AFTER_H * HOUR_MS]
    return [(*span, v) for span, v in zip(pairwise(ends), [*values, values[0]], strict=True)]


def _levels(sign: Sign) -> Phases:
    assert sign.levels is not None
    levels = [LEVELS.index(name) + 1 for name, _ in sign.levels.thresholds.given()]
    return staged([100.0, *(value_at(sign, level) for level in levels)])


def weekly(send: Send) -> Driven:
    """A good one every half an hour, and as many bad ones as make the share of the week."""

    def drive(sign: Any, found: Phases) -> Iterator[Event]:
        sent, number = list[tuple[int, bool]](), 0
        for begin, end, value in found:
            new = [(t, True) for t in range(begin, end, STEP_MS)]
            new += [(begin + n + 1, False) for n in range(_missing(sent + new, end, value))]
            for t, good in sorted(new):
                number += 1
                yield send(t, number, good)
            sent += new

    return Driven(drive, _levels)


def _missing(sent: list[tuple[int, bool]], end: int, value: float) -> int:
    """How many bad ones the week that ends then needs, so that so many per cent are good."""
    good = sum(ok for t, ok in sent if end - WEEK_MS <= t < end)
    bad = sum(not ok for t, ok in sent if end - WEEK_MS <= t < end)
    return max(0, round(good * (100 - value) / value) - bad)


def share_at(goods: list[tuple[int, bool]], end: int) -> float:
    """Per cent of the week before a time that are good."""
    week = [good for t, good in goods if end - WEEK_MS <= t < end]
    return 100 * sum(week) / len(week)


def closed(system: str) -> Send:
    def send(t: int, n: int, good: bool) -> Event:
        return order(t, n, "closed", system=system, due=t + 1000 if good else t - 500)

    return send


def evaluated(what: str) -> Send:
    def send(t: int, n: int, good: bool) -> Event:
        return order(t, n, "evaluated", **{"satisfied": True, "resolved": True, what: good})

    return send


# --- the index of what citizens say --------------------------------------------------------------

GOOD_A_WEEK = WEEK_MS // STEP_MS
NEW_STEP_MS = 12 * 60_000
INDEX = [100.0, 75.0, 68.75, 50.0, 25.0]
"""A rate that is red takes a quarter of it: satisfaction, then what was resolved, which is yellow
before and takes a quarter of that quarter, then what was on time."""


def wellbeing(sign: Any, found: Phases) -> Iterator[Event]:
    """A good week, and what is bad comes within minutes at the beginning of each stage."""
    number = 0
    for stage, (begin, end, _) in enumerate(found):
        for t in range(begin, end, STEP_MS):
            number += 1
            yield order(t, number, "closed", due=t + 1000)
            yield order(t + 1, number, "evaluated", seq=2, satisfied=True, resolved=True)
        for t in range(begin, end, NEW_STEP_MS):
            number += 1
            yield created(t + 2, 100_000 + number, repeated=False)
        for said in _bad(stage):
            number += 1
            yield said(begin + 3 + number % 60_000, number)


def _bad(stage: int) -> Iterator[Callable[[int, int], Event]]:
    """What turns a rate worse; of the week some 692 are resolved, 82 % with these, then 63 %."""
    many = GOOD_A_WEEK + 20
    if stage == 1:
        yield from [_evaluated(resolved=True)] * many
    elif stage == 2:
        yield from [_evaluated(resolved=False)] * 150
    elif stage == 3:
        yield from [_evaluated(resolved=False)] * 250
    elif stage == 4:
        yield from [lambda t, n: order(t, n, "closed", due=t - 500)] * many


def _evaluated(*, resolved: bool) -> Callable[[int, int], Event]:
    return lambda t, n: order(t, n, "evaluated", seq=2, satisfied=False, resolved=resolved)


DRIVEN: dict[str, Driven] = {
    "hotline.on_time_close": weekly(closed("12345")),
    "cm.on_time_rate": weekly(closed("cgj")),
    "hotline.satisfaction": weekly(evaluated("satisfied")),
    "hotline.resolved_rate": weekly(evaluated("resolved")),
    "hotline.wellbeing": Driven(wellbeing, lambda sign: staged(INDEX)),
}
