"""Small logs that a sign of the catalogue reads, over a few grids, and what of them counts.

Every sign gets a few events in each window, from all of the places, and one that comes late; what
else happens is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Any, NamedTuple

from hypothesis import strategies as st

from schemas.devices import Device, Register
from schemas.metrics import METRICS
from schemas.signs import HistorySign, SampledSign, WindowSign
from schemas.words import TOPIC_OF
from tests.rules.driven_events import MORNING
from tests.rules.lanes import LaneName, Record

Folded = WindowSign | SampledSign | HistorySign

GRIDS = (
    "440106001001001",
    "440106001001002",
    "440106001002001",
    "440106002001001",
    "440111001001001",
)
"""Two grids of one community, three streets, two districts."""
COARSER = ("440106001002", "440106001", "440111", "4401")
MIDNIGHT = MORNING - 6 * 3_600_000
THINGS = 8
DISORDER_MS = 5000
HOURS_MS = {"day": 24 * 3_600_000, "daytime": 16 * 3_600_000, "night": 8 * 3_600_000}


class Happening(NamedTuple):
    """Something that a log tells of: which thing, at which quarter of a step, how late (0 on time,
    1 late, 2 too late), and two numbers that decide what is said."""

    thing: int
    quarter: int
    late: int
    a: int
    b: int


class Logged(NamedTuple):
    """An event of a log, and whether it comes too late to count."""

    t: int
    lost: bool
    event: dict[str, Any]


def size_ms(sign: Folded) -> int:
    """The length of a window."""
    window = sign.window
    return HOURS_MS[window.calendar] if window.calendar else round(1000 * (window.size_s or 0))


def step_ms(sign: Folded) -> int:
    """A sixth of a window, but not less than a hop: something happens at every step."""
    if sign.window.calendar:
        return 4 * 3_600_000
    return max(round(1000 * (sign.window.hop_s or 0)), size_ms(sign) // 6)


def lateness_s(sign: Folded) -> float:
    """What lateness is allowed, so that corrections come."""
    return 4 * step_ms(sign) / 1000


def steps(sign: Folded) -> int:
    """Enough steps for windows that do not reach before the first event."""
    if sign.window.calendar:
        return 13
    return ceil(size_ms(sign) / step_ms(sign)) + 5


def begin(sign: Folded) -> int:
    if sign.window.calendar:
        return MIDNIGHT
    return MIDNIGHT - 2 * 3_600_000 if sign.window.during == "night" else MORNING


def usual(sign: Folded) -> list[Happening]:
    """A thing in each lane at each step, a second one of a grid, and one that comes late."""
    count = steps(sign)
    found = [
        Happening((step + more) % 6, 4 * step, 0, step + more, 1)
        for step in range(count)
        for more in (0, 3)
    ]
    found += [Happening(6, 4 * step, 0, step, 1) for step in range(1, count, 2)]
    late = 25 if sign.window.calendar == "night" else 4 * count - 10
    return [*found, *(Happening(0, late + n, 1, 4 * n, 1) for n in range(2))]


def happenings(sign: Folded) -> st.SearchStrategy[list[Happening]]:
    """What else happens."""
    numbers = st.integers(0, 11)
    quarters = st.integers(0, 4 * steps(sign) - 4)
    late = st.sampled_from((0, 0, 0, 1, 1, 2))
    one = st.builds(Happening, st.integers(0, THINGS - 1), quarters, late, numbers, numbers)
    # Of two values of one thing at the same ms neither is the later one.
    return st.lists(one, min_size=4, max_size=16, unique_by=lambda h: (h.thing, h.quarter))


def written(
    sign: Folded, topic: str, drawn: Iterable[Happening]
) -> tuple[dict[LaneName, list[Record]], list[Logged]]:
    """The usual happenings with those drawn, as a log of two lanes in the order of arrival."""
    first, step = begin(sign), step_ms(sign)
    known = {(h.thing, h.quarter): h for h in (*drawn, *usual(sign))}
    delay = {0: 0, 1: step * 3 // 2, 2: 7 * step}
    come = sorted(
        (first + h.quarter * step // 4 + delay[h.late], n, h) for n, h in enumerate(known.values())
    )
    lanes: dict[LaneName, list[Record]] = {(topic, 0): [], (topic, 1): []}
    farthest, told = [0, 0], list[Logged]()
    for now, n, happening in come:
        t, lane = first + happening.quarter * step // 4, happening.thing % 2
        event = {**event_of(sign, happening, t), "t": t, "id": f"e{n}", "source": "tests"}
        lost = farthest[lane] > 0 and t < farthest[lane] - DISORDER_MS - 4 * step
        farthest[lane] = max(farthest[lane], t)
        lanes[topic, lane].append((now, event))
        told.append(Logged(t, lost, event))
    return lanes, told


def event_of(sign: Folded, happening: Happening, t: int) -> dict[str, Any]:
    """An event that the sign takes."""
    kind = TOPIC_OF[sign.topic]
    if kind == "sensor":
        return _reading(sign, happening)
    if kind == "traffic":
        return _observation(sign, happening)
    return _warning(sign, happening, t) if kind == "external" else _order(sign, happening, t)


def home_of(thing: int) -> str:
    """Where a thing is: one of them is known by its street alone."""
    return (*GRIDS, COARSER[1])[thing % 6]


def _where(sign: Folded, happening: Happening) -> str:
    """At home, or a place further, where what moves takes its values with it."""
    moved = sign.kind == "window" and happening.b % 4 == 0
    return home_of(happening.thing + moved)


def _one(wanted: Any, number: int) -> Any:
    return wanted[number % len(wanted)] if isinstance(wanted, list) else wanted


def numbers_of(sign: Folded, metric: str) -> list[float]:
    """Values of a metric, those at which a condition begins to hold among them."""
    known, found = METRICS[metric], list[float]()
    what = sign.aggregate
    for wanted in [(what.where or {}).get("value"), (what.among or {}).get("value")]:
        if isinstance(wanted, float):
            found += [wanted, 0, 3]
        elif wanted is not None:
            low, high = (getattr(wanted, name) for name in ("at_least", "at_most"))
            found += [x for x in (low, high, 0 if low is None else low - 1) if x is not None]
    span = min(known.maximum - known.minimum, 100)
    found += [round(known.minimum + part * span, 3) for part in (0.1, 0, 0.25, 0.333, 0.7, 1)]
    return [x for x in found if known.minimum <= x <= known.maximum]


def _reading(sign: Folded, happening: Happening) -> dict[str, Any]:
    match, thing = sign.match, happening.thing
    metric = str(_one(match.get("metric", "pm25"), happening.b))
    values = numbers_of(sign, metric)
    event: dict[str, Any] = {"device": f"d{thing}", "metric": metric, "unit": METRICS[metric].unit}
    event |= {"value": values[happening.a % len(values)], "place": _where(sign, happening)}
    event["site"] = f"s{thing % 6}"
    if sign.topic == "arrivals":
        event["q"] = ("good", "bad", "good", "calib")[happening.b % 4]
    else:
        event["period_s"] = 0.4 * size_ms(sign) / 1000
    for name in ("medium", "site_type"):
        if name in match:
            event[name] = _one(match[name], happening.b)
    if metric == "ai_event" and happening.b % 3:
        event["cls"] = ("smoke", "ebike")[happening.a % 2]
    return event


def _observation(sign: Folded, happening: Happening) -> dict[str, Any]:
    a, thing = happening.a, happening.thing
    event = {"kind": sign.match["kind"], "source_id": f"r{thing}", "site": f"s{thing % 6}"}
    event |= {"place": _where(sign, happening), "event_id": f"x{a % 3}", "exceed": a % 2 == 0}
    event |= {"link_len_m": (100, 250.5)[thing % 2], "queue_m": (0, 17.25, 80)[a % 3]}
    event |= {"speed_kmh": (0, 12.5, 40)[a % 3], "free_flow_kmh": (50, 60.1)[thing % 2]}
    event |= {"persons": 30 * a, "occupied": 7 * a, "capacity": 100 + thing, "intensity": a}
    return event | {"cls": _one(sign.match.get("cls", "x"), a)}


def _warning(sign: Folded, happening: Happening, t: int) -> dict[str, Any]:
    thing, a = happening.thing, happening.a
    event = {"kind": "warning", "warning_id": f"w{thing}", "issuer": "x", "level": a % 5}
    event |= {"event": _one(sign.match.get("event", "rain"), thing), "t_expires": t + 90_000}
    event |= {"status": "cancelled" if happening.b % 5 == 0 else "active"}
    return event | {"place": ("440106", "440111", "440106002", "4401")[thing % 4]}


def _order(sign: Folded, happening: Happening, t: int) -> dict[str, Any]:
    match, (thing, quarter, _, a, b) = sign.match, happening
    open_orders = sign.topic == "orders"
    event = {"kind": "order", "system": _one(match.get("system", "12345"), b)}
    if open_orders:
        # An order stays where it is, and is closed by a later step.
        event |= {"order_id": f"o{thing}-{quarter // 12}", "status": ("created", "closed")[b == 0]}
        event |= {"place": (*GRIDS, *COARSER)[thing], "system": _one(match["system"], thing)}
    else:
        event |= {"order_id": f"o{thing}-{quarter}", "status": _one(match["status"], a)}
        event["place"] = (*GRIDS, *COARSER)[(thing + b) % 9]
    event["seq"] = 0 if event["status"] == "created" else quarter + 1
    event |= {"t_created": t - 90_000 * a, "due": t + 60_000 * (b % 3 - 1)}
    event |= {"category": [_one(match.get("category", ["停水", "噪声扰民"]), a)]}
    event |= {"urgency": _one(match.get("urgency", "normal"), b), "caller": f"1380000000{a % 4}"}
    event |= {"by": ("auto", "human")[a % 2], "satisfied": a % 3 > 0, "resolved": b % 3 > 0}
    if b % 3:
        event["department"] = ("水务局", "城管局")[b % 2]
    return event


def register_of(sign: Folded) -> Register:
    """The things of a log, one of them without its limit, and one that is never heard."""
    kind = TOPIC_OF[sign.topic]
    if kind not in ("sensor", "traffic"):
        return Register()
    what = _one(sign.match.get("metric" if kind == "sensor" else "kind", "pm25"), 0)
    more: dict[str, Any] = {
        n: str(_one(sign.match[n], 0)) for n in ("medium", "site_type") if n in sign.match
    }

    def row(number: int) -> Device:
        site, place = f"s{number % 6}", home_of(number)
        name, platform = f"{'d' if kind == 'sensor' else 'r'}{number}", ("gz", "tests")[number % 2]
        period_s = size_ms(sign) / 1000
        found = Device(name, kind, str(what), platform, place, site, period_s=period_s, **more)
        if number == 4:
            return found
        return found._replace(
            limit=2.0 + number, well_depth_m=2.5, noise_zone=("1", "3")[number % 2]
        )

    unheard = row(9)._replace(site="s9")
    limited = isinstance(sign, WindowSign) and sign.limit is not None
    if limited or sign.topic == "arrivals":
        return Register([*(row(number) for number in range(6)), unheard])
    return Register([unheard])
