"""What a quiet city says around the stories: normal values, and four weeks of hourly counts before.

Counts (orders by class, cases, arrivals of emergency rooms) are there for six weeks, day and night
apart.  What is told by the hour is there for the fortnight.  Signs that are told every minute or
every few seconds have their quiet hour on the day of their story: with it they are told for a day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.signs import Sign
from tests.bench.fortnight.planted import (
    BACKGROUND,
    BEGIN,
    MIDNIGHT,
    SIGNS,
    Story,
    driven_of,
)
from tests.bench.fortnight.stories import DAY_MS, Event, Home
from tests.rules.driven import DRIVERS, phases_of, values
from tests.rules.driven_days import CLEAN
from tests.rules.driven_events import PLACE, call, measured, order

HOUR_MS = 3_600_000
COUNTED, TOLD = BACKGROUND
"""The district of counts and of hourly values, and that of what is told each minute."""
CLASSES = ("路灯", "占道经营", "垃圾清运")
BY_DAY, BY_NIGHT = 8, 4
"""Orders of a class in an hour."""
HOURLY = {
    **CLEAN,
    "laeq": 45.0,
    "air_temperature": 28.0,
    "rain": 0.0,
    "displacement": 0.0,
    "do": 7.0,
    "nh3n": 0.1,
    "ph": 7.0,
    "lamp_state": 0.0,
    "bin_fill": 10.0,
}
"""A station of each, and what it says."""
_MEDIA = dict.fromkeys(("do", "nh3n", "ph"), "surface_water")
_STATIONS = 3
_CALL_STEP_MS = HOUR_MS // 6
CALLED = ("hotline.answer_15s", "hotline.connect_rate")
"""Signs of the whole city: while one of them is driven its own calls are the city's."""
_SLOW_S = 300.0
_LEFT_OUT = ("hotline", "cm", "iot", "city")
"""Domains of which the counts are, or which are about the other signs."""


def background(
    stories: Sequence[Story], weeks: int, days: int, *, fast: bool = True
) -> Iterator[Event]:
    """Events around the stories, of so many weeks before the fortnight and so many days of it.

    Parameters
    ----------
    fast
        With the quiet hours of signs that are told every minute or more often; without them it
        ends an hour after the last story.
    """
    home = Home("quiet", 0, COUNTED, PLACE[:6])
    begin, end = BEGIN - weeks * 7 * DAY_MS, BEGIN + days * DAY_MS
    if not fast:
        end = min(end, max(story.span.end for story in stories) + HOUR_MS)
    yield from home.events(_counts(begin, end))
    yield from home.events(_hourly(BEGIN, end))
    yield from home.events(_calls(stories, BEGIN, end))
    for story in stories:
        sign = SIGNS.get(story.rule)
        if fast and sign is not None and _is_fast(sign):
            yield from _quiet_hour(sign, story.home.shift_ms)


def _counts(begin: int, end: int) -> Iterator[Event]:
    """Orders and cases that are closed in time six hours later, and arrivals of the hour."""
    number = 0
    for t in range(begin, end, HOUR_MS):
        many = BY_DAY if 7 <= _hour(t) < 22 else BY_NIGHT
        yield measured("er_arrival", t, 5.0 * many, period_s=3600.0)
        for system, topics, per_hour in (("12345", CLASSES, many), ("cgj", ("市容",), many // 4)):
            for topic in topics:
                for k in range(per_hour):
                    number += 1
                    yield from _order(t + k * HOUR_MS // per_hour, number, system, topic)


def _order(t: int, number: int, system: str, topic: str) -> Iterator[Event]:
    """Orders each from a grid of its own, so that none repeats another one; cases from one."""
    own = f"{PLACE[:9]}{number % 900 + 100:03}{number // 900 % 900 + 100:03}"
    place = own if system == "12345" else PLACE
    said = {"system": system, "category": [topic], "place": place, "t_created": t}
    said["due"] = t + DAY_MS
    yield order(t, number, "created", seq=0, caller=f"citizen {number}", **said)
    yield order(t + 6 * HOUR_MS, number, "closed", seq=1, **said)


def _hour(t: int) -> int:
    """Of the day in Guangzhou."""
    return (t - BEGIN) // HOUR_MS % 24


def _hourly(begin: int, end: int) -> Iterator[Event]:
    for t in range(begin, end, HOUR_MS):
        for metric, value in HOURLY.items():
            more = {"medium": _MEDIA[metric]} if metric in _MEDIA else {}
            for n in range(_STATIONS):
                said = {"device": f"{metric} {n}", "site": f"station {n}", **more}
                yield measured(metric, t + n, value, period_s=3600.0, **said)


def _calls(stories: Sequence[Story], begin: int, end: int) -> Iterator[Event]:
    """Calls that are answered at once, a day apart from the stories about calls."""
    taken = [story.span for story in stories if story.rule in CALLED]
    for n, t in enumerate(range(begin, end, _CALL_STEP_MS)):
        if not any(span.begin - DAY_MS <= t <= span.end + DAY_MS for span in taken):
            yield call(t, n)


def _is_fast(sign: Sign) -> bool:
    hop_s = sign.window.hop_s
    # Where no point is flooded there still is water, which another sign tells; what has no levels
    # has usual days of its own.
    if sign.id == "drain.points" or sign.levels is None:
        return False
    return sign.domain not in _LEFT_OUT and hop_s is not None and hop_s < _SLOW_S


def _quiet_hour(sign: Sign, shift_ms: int) -> Iterator[Event]:
    """An hour of the value that is normal, in the night before the story."""
    driven = driven_of(sign.id)
    driver = DRIVERS.get(sign.id, values) if driven is None else driven.events
    normal = phases_of(sign, driven)[0][2]
    home = Home(f"quiet {sign.id}", shift_ms, TOLD, PLACE[:6], own_topics=True)
    begin = MIDNIGHT + 3 * HOUR_MS
    return home.events(driver(sign, [(begin, begin + HOUR_MS, normal)]))
