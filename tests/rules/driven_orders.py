"""Signs of work orders that have a past: open ones, late ones, repeated ones, bursts of a topic."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

from schemas.signs import Sign
from tests.rules.driven import phases
from tests.rules.driven_events import MORNING, PLACE, Driven, Event, Phases, course, every, order

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


# --- open orders ---------------------------------------------------------------------------------

OLD, YOUNG = 5, 25
"""Of so many open orders the ninth tenth is one of the old ones."""
AGES = (24, 60, 90, 140, 180, 40)
"""Hours, when it is over: nine before they are of the same level, which begin at 48, 72, 120 and
168; the last one is three times as long."""
AGEING_S = 37 * 900


def ageing(sign: Any, found: Phases) -> Iterator[Event]:
    """Orders that will be so many hours old; then they are closed, and there are others."""
    number, opened = 0, list[tuple[int, int]]()
    for begin, end, value in found:
        for name, created in opened:
            yield order(begin, name, "closed", seq=1, t_created=created)
        oldest = end - round(value * HOUR_MS)
        opened = [(number + n, oldest if n < OLD else begin) for n in range(OLD + YOUNG)]
        number += len(opened)
        for name, created in opened:
            yield order(begin, name, "in_progress", seq=0, t_created=created)


def overdue(sign: Any, found: Phases) -> Iterator[Event]:
    """So many cases that fall due in a minute; as many others are due in a month."""
    opened = list[tuple[int, int]]()
    number = 0
    for begin, _, value in found:
        for name, created in opened:
            yield _case(begin, name, "withdrawn", created, seq=1)
        dues = [begin + 60_000] * round(value) + [begin + 30 * DAY_MS] * round(value)
        opened = [(number + n, begin) for n in range(len(dues))]
        number += len(dues)
        for (name, created), due in zip(opened, dues, strict=True):
            yield _case(begin, name, "created", created, seq=0, due=due)


def _case(t: int, number: int, status: str, created: int, **said: Any) -> Event:
    system = ("cgj", "grid")[number % 2]
    return order(t, number, status, system=system, t_created=created, **said)


# --- callers -------------------------------------------------------------------------------------

REPEAT_STEP_S = 360


def repeats(sign: Any, found: Phases) -> Iterator[Event]:
    """Of the new orders so many per cent repeat an earlier one; see `created`."""
    for n, (t, value, _) in enumerate(every(found, REPEAT_STEP_S)):
        yield created(t, n, repeated=n * 37 % 100 < value)


def created(t: int, n: int, *, repeated: bool) -> Event:
    """A new order.  One that repeats is of the same grid and class as the others that do, or it is
    of another grid, and of the same caller and class."""
    said = {"category": [f"x{n}"], "caller_hash": f"caller {n}"}
    if repeated and n % 2:
        said = {"category": ["lamps"]}
    elif repeated:
        said = {"category": ["noise"], "caller_hash": "caller", "place": _grid(n)}
    return order(t, n, "created", seq=0, t_created=t, **said)


def _grid(n: int) -> str:
    """A grid of the same street for each."""
    return f"{PLACE[:9]}{n % 900 + 100:03}{n // 900 + 100:03}"


ORDINARY = 20
"""Orders in a quarter of an hour; five of the model's deviations, the root of them, are 22."""
BASELINE_DAYS = 4


def burst(sign: Any, found: Phases) -> Iterator[Event]:
    """At those hours of four working days what is ordinary, and then so many times as much.

    Where a day's orders end they are those of one caller: nothing bursts where none are usual.
    """
    begin, end = found[0][0], found[-1][1]
    number = 0
    for day in range(BASELINE_DAYS, 0, -1):
        since, until = begin - day * DAY_MS - HOUR_MS, end - day * DAY_MS + HOUR_MS
        for t in range(since, until, 900_000 // ORDINARY):
            number += 1
            yield _noise(t, number, number % 7 if t < until - HOUR_MS // 2 else 0)
    for since, until, value in found:
        for t in range(since, until, round(900_000 / (value * ORDINARY))):
            number += 1
            yield _noise(t, number, number % 7)


def _noise(t: int, number: int, caller: int) -> Event:
    said = {"category": ["noise"], "caller_hash": f"caller {caller}"}
    return order(t, number, "created", seq=0, t_created=t, **said)


# --- the index of what citizens say --------------------------------------------------------------


def wellbeing(sign: Any, found: Phases) -> Iterator[Event]:
    """Four rates that turn red one after the other: each of them takes a quarter of the index."""
    number = 0
    for begin, end, value in found:
        red = round((100 - value) / 25)
        satisfied, resolved, on_time, new = (n >= red for n in range(4))
        for t in range(begin, end, HOUR_MS):
            number += 1
            yield order(t, number, "closed", due=t + 1000 if on_time else t - 500)
            said = {"satisfied": satisfied, "resolved": resolved}
            yield order(t + 1, number, "evaluated", seq=2, **said)
        for t in range(begin, end, 12 * 60_000):
            number += 1
            yield created(t + 2, 100_000 + number, repeated=not new)


def _stages(sign: Sign) -> Phases:
    """Three days of a week for each rate, and that week until all of them are well again."""
    days = [(8, 100), (3, 75), (3, 50), (3, 25), (3, 0), (9, 100)]
    ends = list(accumulate((n for n, _ in days), initial=0))
    return [
        (MORNING + since * DAY_MS, MORNING + until * DAY_MS, value)
        for (since, until), (_, value) in zip(pairwise(ends), days, strict=True)
    ]


DRIVEN: dict[str, Driven] = {
    "hotline.open_age_p90": Driven(ageing, lambda sign: course(MORNING, AGEING_S, AGES)),
    "cm.overdue": Driven(overdue),
    "hotline.repeat_rate": Driven(repeats),
    "hotline.topic_burst": Driven(
        burst, lambda sign: phases(sign, MORNING + BASELINE_DAYS * DAY_MS)
    ),
    "hotline.wellbeing": Driven(wellbeing, _stages),
}
