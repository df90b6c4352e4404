"""Named systems that are connected by configuration, and what they send in their own shape."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from schemas.configuration import Configuration, Topic
from schemas.devices import Device, Register
from schemas.loading import CATALOGUE, load
from schemas.named_systems import ALL, EXAMPLES, named_systems
from schemas.record_shapes import TimeShape
from tests.rules.driven_events import PLACE, Driven, Event, Phases, every, measured, order
from tests.rules.driven_fleet import fleet
from tests.rules.driven_orders import DRIVEN as ORDERS
from tests.rules.driven_unrated import Steady, created, happenings, readings, warned

DROPPED = {"source", "id", "site", "seq", "period_s", "caller_hash", "issuer", "t_ingest"}
"""What a system need not be able to say."""


@cache
def connected(examples: tuple[str, ...]) -> Configuration:
    """The shipped catalogue with the files of some examples beside it."""
    with TemporaryDirectory() as home:
        mine = Path(home) / "mine"
        shutil.copytree(CATALOGUE, mine)
        for name in examples:
            shutil.copy(EXAMPLES / f"{name}.yaml", mine)
        return load(mine, environ={})


PROMISED = sorted(
    {
        (tuple(system.examples), sign)
        for system in named_systems()
        if system.scope == "configuration"
        for sign in system.signs
        if sign != ALL
    }
)
"""Examples and a sign that a system has by them, each once."""


# --- the shapes of the systems -------------------------------------------------------------------


def topics_of(examples: tuple[str, ...]) -> list[Topic]:
    """Where a system sends its events: its own topics, or those of all."""
    shipped = {topic.name for topic in connected(()).topics}
    topics = connected(examples).topics
    return [t for t in topics if t.name not in shipped] or list(topics)


def sent(examples: tuple[str, ...], event: Event) -> tuple[str, int, dict[str, Any]]:
    """Topic, log timestamp and record of an event, as the system says it."""
    t, kind, said = event
    topics = [topic for topic in topics_of(examples) if topic.kind == kind]
    for topic in sorted(topics, key=lambda topic: _tells(topic, said), reverse=True):
        record = as_sent(topic, said)
        if record is not None:
            return topic.name, said.get("t_ingest", t), record
    # What only says that time goes on may come from elsewhere.
    assert "other" in said.values() or said.get("order_id") == "o999999", (examples, said)
    return next(topic.name for topic in connected(()).topics if topic.kind == kind), t, said


def _tells(topic: Topic, said: dict[str, Any]) -> int:
    """How much of an event a topic says of all its records."""
    constants = {} if topic.record is None else topic.record.constants
    return sum(said.get(name) == value for name, value in constants.items())


def as_sent(topic: Topic, said: dict[str, Any]) -> dict[str, Any] | None:
    """An event in the words of a topic; None where these can not say it."""
    shape = topic.record
    if shape is None:
        return said
    record: dict[str, Any] = {}
    for name, value in said.items():
        if name == "t":
            _put(record, shape.time.of, _time(shape.time, value))
        elif name in shape.fields:
            _put(record, shape.fields[name], value)
        elif name not in DROPPED and shape.constants.get(name) != value:
            return None
    return record


def _put(record: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        record = record.setdefault(name, {})
    record[last] = value


def _time(shape: TimeShape, t: int) -> Any:
    if shape.format == "epoch_ms":
        return t
    if shape.format == "epoch_s":
        return t / 1000
    moment = datetime.fromtimestamp(t / 1000, UTC).astimezone(timezone(timedelta(hours=8)))
    if shape.format == "rfc3339":
        return moment.isoformat()
    assert shape.offset == "+08:00"
    return moment.strftime(shape.format)


# --- records as they arrive ----------------------------------------------------------------------


def spoken(examples: tuple[str, ...]) -> tuple[str, str, float]:
    """A metric that a system can send, the name of its platform, and a value out of all range."""
    for topic in topics_of(examples):
        if topic.kind == "sensor":
            constants = {} if topic.record is None else topic.record.constants
            metric = str(constants.get("metric", "humidity"))
            known = connected(examples).known_metrics[metric]
            return metric, str(constants.get("source", "tests")), known.maximum * 2
    raise AssertionError(examples)


def heard(examples: tuple[str, ...], sign: str) -> Driven | None:
    """How signs of arrivals are driven with what a system can send; None for other signs."""
    if not sign.startswith(("iot.", "network.")):
        return None
    metric, platform, beyond = spoken(examples)
    one = Device("d0", "sensor", metric, platform, PLACE, "s0", period_s=9)

    def validity(sign: Any, found: Phases) -> Iterator[Event]:
        """A hundred in a quarter of an hour, of which so many are sound."""
        for n, (t, value, _) in enumerate(every(found, 9)):
            sound = n * 37 % 100 + 1 <= value
            yield _said(metric, t, 1.0 if sound else beyond)

    def lateness(sign: Any, found: Phases) -> Iterator[Event]:
        """Nine of ten come at once, and the tenth so late."""
        for n, (t, value, _) in enumerate(every(found, 2)):
            late_ms = round(1000 * value) if n % 10 == 0 else 0
            yield _said(metric, t, 1.0, t_ingest=t + late_ms)

    if sign in ("iot.online_rate", "network.online_rate", "iot.video_online"):
        many = fleet("camera_state" if sign == "iot.video_online" else metric)
        rows = [row._replace(platform=platform) for row in many.register.devices]
        return many._replace(register=Register(rows))
    if sign == "iot.valid_rate":
        return Driven(validity, register=Register([one]), refused=True)
    assert sign == "iot.lateness_p95"
    return Driven(lateness)


def _said(metric: str, t: int, value: float, **more: Any) -> Event:
    """A reading; of video analytics one that says what it saw."""
    seen = {"cls": "rubbish", "conf": 0.9} if metric == "ai_event" else {}
    return measured(metric, t, value, device="d0", **seen, **more)


# --- signs that the examples define --------------------------------------------------------------


def species(begin: int, end: int, factor: float, **values: float) -> Iterator[Event]:
    for t in range(begin, end, 900_000):
        for metric, value in values.items():
            said = {"device": f"d-{metric}", "metric": metric, "value": value, "unit": "ug/m3"}
            yield t, "sensor", {**said, "t": t, "place": PLACE, "site": "s0"}


def aromatics(begin: int, end: int, factor: float) -> Iterator[Event]:
    return species(begin, end, factor, benzene=2.0, toluene=6.0)


def ions(begin: int, end: int, factor: float) -> Iterator[Event]:
    return species(begin, end, factor, pm25_sulphate=8.0, pm25_nitrate=4.0)


def passed(t: int, n: int) -> Event:
    """One of four has a fever."""
    return measured("body_temperature", t, 36.5 if n % 4 else 38.0, site_type="gate")


def present(begin: int, end: int, factor: float) -> Iterator[Event]:
    """A hundred at one counter and forty at the other."""
    for n, people in enumerate((100, 40)):
        more = {"device": f"d{n}", "site": f"s{n}", "site_type": "scenic"}
        yield from readings("person_count", people, 60, **more)(begin, end, factor)


def opened(t: int, n: int) -> Event:
    return created(t, n, system=("zz", "safety", "12315")[n % 3])


def closed(t: int, n: int) -> Event:
    """Three of four are in time."""
    due = t - 500 if n % 4 == 0 else t + 1000
    return order(t, n, "closed", system="safety", due=due)


def surge(begin: int, end: int, factor: float) -> Iterator[Event]:
    return warned("storm_surge", begin, end, factor)


def kitchen(t: int, n: int) -> Event:
    return measured("ai_event", t, 1.0, cls=("no_hat", "rodent")[n % 2], conf=0.9)


def mentioned(t: int, n: int) -> Event:
    return created(t, n, system="app", channel="media")


VALUES: dict[str, Steady] = {
    "air.aromatics_1h": Steady(aromatics, 4),
    "air.pm25_ions_1h": Steady(ions, 6),
    "med.fever_share": Steady(happenings(passed, 60), 25),
    "crowd.people_present": Steady(present, 140, hours=1),
    "orders.opened": Steady(happenings(opened, 300), 12),
    # A week, and a little more.
    "orders.on_time_rate": Steady(happenings(closed, 1800), 75, hours=170),
    "marine.surge_warning": Steady(surge, 3),
    "market.kitchen_events": Steady(happenings(kitchen, 600), 6),
    "media.topic_mentions": Steady(happenings(mentioned, 180), 5),
}
"""Signs of the examples that have no levels."""


def _mentions(sign: Any, found: Phases) -> Iterator[Event]:
    for t, kind, said in ORDERS["hotline.topic_burst"].events(sign, found):
        yield t, kind, {**said, "system": "app", "channel": "media"}


LEVELLED: dict[str, Driven] = {
    "media.topic_burst": ORDERS["hotline.topic_burst"]._replace(events=_mentions),
}
"""Signs of the examples that have levels, beside those of arrivals."""
