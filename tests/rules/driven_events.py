"""What drives signs: events, and the phases of a sign with the value that it shall have in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from schemas.devices import Register
from schemas.metrics import METRICS
from schemas.signs import Sign

MORNING = 1_772_402_400_000
"""2026-03-02 06:00 in Guangzhou."""
EVENING = MORNING + 16 * 3_600_000
PLACE = "440106001001001"
LEVELS = ("blue", "yellow", "orange", "red")
PATTERN = 37
"""Prime to 100, so that shares are spread evenly."""

Event = tuple[int, str, dict[str, Any]]
"""Time in ms, kind of topic, fields."""
Phases = list[tuple[int, int, float]]
"""From when to when, int64 ms, and the value that the sign shall have."""


class Driven(NamedTuple):
    """How a sign is driven that needs more than one device says in a few windows.

    Parameters
    ----------
    events
        Of the sign and its phases.
    phases
        Of the sign; by default as `phases` has them since the morning.
    register
        The devices that are known.
    refused
        Whether some records are meant to be refused.
    """

    events: Callable[[Any, Phases], Iterator[Event]]
    phases: Callable[[Sign], Phases] | None = None
    register: Register = Register()
    refused: bool = False


def course(begin: int, length_s: float, values: Sequence[float]) -> Phases:
    """One value after the other, each for so long, and the last one three times as long."""
    length = round(1000 * length_s)
    found = [(begin + n * length, begin + (n + 1) * length, v) for n, v in enumerate(values)]
    at, end, value = found.pop()
    return [*found, (at, end + 2 * length, value)]


def every(found: Phases, step_s: float) -> Iterator[tuple[int, float, int]]:
    """Times with the value that is asked for then, and its ms in the phase."""
    for begin, end, value in found:
        for t in range(begin, end, round(step_s * 1000)):
            yield t, value, t - begin


def observed(kind: str, t: int, **said: Any) -> Event:
    fields = {"kind": kind, "source_id": "r0", "t": t, "place": PLACE, "source": "tests"}
    return t, "traffic", {**fields, "site": "s0", **said}


def order(t: int, number: int, status: str, **said: Any) -> Event:
    fields: dict[str, Any] = {
        "kind": "order",
        "order_id": f"o{number}",
        "status": status,
        "t": t,
        "seq": 1,
    }
    fields |= {"t_created": t - 1000, "category": ["x"], "place": PLACE, "source": "tests"}
    return t, "hotline", {**fields, **said}


def call(t: int, n: int, **said: Any) -> Event:
    fields = {"kind": "call", "id": f"c{n}", "t": t, "place": "4401", "source": "tests"}
    return t, "hotline", {**fields, "wait_s": 5, "answered": True, **said}


def measured(metric: str, t: int, value: float, **more: Any) -> Event:
    said: dict[str, Any] = {"device": f"d-{metric}", "metric": metric, "value": value}
    said |= {"unit": METRICS[metric].unit, "t": t, "place": PLACE, "source": "tests"}
    return t, "sensor", {**said, "site": "s0", **more}
