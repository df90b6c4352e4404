"""Small random cities with incidents: signs, incidents that fit them, half an hour of events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from schemas.configuration import Configuration
from schemas.metrics import METRICS
from streams.records import Chunk
from tests.rules.configurations import configuration, levels, sensor, sign, topic, window
from tests.rules.incident_relations import random_table
from tests.rules.lanes import LaneName, Record
from tests.rules.wide import START, gaussian

MINUTE = 60_000
LENGTH = 30 * MINUTE
PLACES = ("440106001001001", "440106001001002", "440106001002001", "440111001001001")
CATEGORIES = ("a", "b")

SIGNS = [
    sensor(
        "t.depth",
        "cm",
        "water_depth",
        "site",
        aggregate={"function": "max"},
        window=window(60, 60),
        keys=["site", "grid", "street", "district"],
        rollup="max",
        levels=levels("ge", blue=10, yellow=20, red=40),
        alert={"off_delay_s": 120},
    ),
    sensor(
        "t.rain",
        "mm",
        "rain",
        "device",
        aggregate={"function": "sum"},
        window=window(120, 60),
        keys=["district", "street"],
        rollup="merge",
        levels=levels("ge", blue=2, orange=6),
        alert={},
    ),
    sensor(
        "t.noise",
        "dB",
        "laeq",
        "device",
        aggregate={"function": "max"},
        window=window(90, 30),
        keys=["device", "grid"],
        rollup="merge",
        levels=levels("gt", blue=55, yellow=60, orange=75),
        model=gaussian(),
    ),
    sign(
        "t.calls",
        "count",
        topic="hotline",
        match={"kind": "order", "status": "created"},
        base="grid",
        aggregate={"function": "count"},
        window=window(180, 60),
        keys=["category*grid", "category*street"],
        rollup="merge",
        empty="zero",
        levels=levels("ge", blue=1, yellow=2, red=3),
        alert={"off_delay_s": 60},
    ),
]
LIMITS = {
    "t.depth": (5, 10, 20, 40),
    "t.rain": (1, 2, 4, 6),
    "t.noise": (50, 55, 60, 75),
    "t.calls": (1, 1, 2, 3),
}
VALUES = {
    "water_depth": (0, 4, 8, 12, 20, 45),
    "rain": (0, 0.5, 1, 3),
    "laeq": (40, 50, 54, 58, 70, 80.5),
}
RELATED = (
    *(f"site:s{n}" for n in range(5)),
    *(f"device:d{n}" for n in range(5)),
    *(f"grid:{place}" for place in PLACES),
    *sorted({f"street:{place[:9]}" for place in PLACES}),
    "district:440106",
)
"""What random tables relate."""
KEYS = ("grid", "grid", "site", "street", "district", "category*grid", "device")
TOPICS = [
    topic("sensor", 2, 300, disorder_s=5),
    topic("hotline", 1, 600, disorder_s=0),
]


def plain(name: str, key: str, **fields: Any) -> dict[str, Any]:
    """An incident with the fields that tests do not care for, and those given."""
    return {
        "id": name,
        "domain": "ce",
        "name": {"zh": name, "en": name},
        "key": key,
        "within_s": 300,
        "need": {"yellow": 1},
        "cooldown_s": 60,
        "clear_s": 60,
        "category": "Other",
        "source": "tests",
        "standing": "proposal",
        **fields,
    }


def condition(name: str, at: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "name": {"zh": name, "en": name}, "at": at, **fields}


def city(
    incidents: Sequence[dict[str, Any]], signs: Sequence[dict[str, Any]] | None = None
) -> Configuration:
    """A configuration of these incidents."""
    content = configuration(SIGNS, TOPICS, forget_s=1200).model_dump(mode="json")
    content |= {"signs": list(signs or SIGNS), "incidents": list(incidents)}
    return Configuration.model_validate(content)


class CityWriter:
    """Writes configurations and logs as random lets it; Hypothesis can be behind it.

    What `test_incident_corners` expects to fail is left out: cooldowns between two steps, a level
    that has stood other than the mildest one, and ends of conditions of several facts or keys.

    Parameters
    ----------
    related
        Whether most facts are read at keys that a table of relations names.
    """

    def __init__(self, rng: Random, *, related: bool = False) -> None:
        self.rng, self.related = rng, related

    # --- incidents ---------------------------------------------------------------------------

    def city(self) -> Configuration:
        """One to three incidents; a later one may read the first."""
        rng = self.rng
        table = random_table(rng, RELATED)
        incidents: list[dict[str, Any]] = []
        for number in range(rng.randrange(1, 4)):
            first = incidents[0] if incidents and rng.randrange(2) else None
            incidents.append(self.incident(f"ce.n{number}", first))
        return city(incidents).with_relations(table)

    def incident(self, name: str, other: dict[str, Any] | None) -> dict[str, Any]:
        rng = self.rng
        names = ["x", "y", "z"][: rng.randrange(1, 4)]
        conditions = [self.condition(each) for each in names]
        if other is not None:
            read = {"incident": other["id"], "level": rng.choice(("blue", "yellow", "orange"))}
            conditions[0] = condition("x", other["key"], any=[read])
        if all("none" in each for each in conditions):
            conditions[0] |= {"any": conditions[0].pop("none")}
        positive = [each["id"] for each in conditions if "any" in each]
        single = [each["id"] for each in conditions if is_single(each)]
        steps = sorted(rng.sample(range(1, len(names) + 1), rng.randrange(1, len(names) + 1)))
        colours = [("blue", "yellow", "orange", "red")[n] for n in sorted(rng.sample(range(4), 4))]
        every = rng.choice((30, 60, 60, 120))
        fields: dict[str, Any] = {
            "within_s": rng.choice((60, 180, 300, 600)),
            "need": dict(zip(colours[rng.randrange(2) :], steps, strict=False)),
            "conditions": conditions,
            "cooldown_s": every * rng.choice((1, 1, 2, 5, 10)),
            "clear_s": rng.choice((1, 60, 90, 240)),
            "every_s": every,
        }
        if rng.randrange(3) == 0:
            fields["must"] = [rng.choice(names)]
        if single and rng.randrange(2):
            fields["until"] = rng.sample(single, rng.randrange(1, len(single) + 1))
        if rng.randrange(2):
            fields["override"] = [self.override(positive)]
        if rng.randrange(2):
            fields["suppresses"] = [self.suppressed() for _ in range(rng.randrange(1, 3))]
        key = rng.choice(KEYS)
        single_where_there_is_one(fields, key)
        return plain(name, key, **fields)

    def condition(self, name: str) -> dict[str, Any]:
        rng = self.rng
        facts = [self.fact() for _ in range(rng.choice((1, 1, 2)))]
        if rng.randrange(5) == 0:
            facts[0] = {"all": [self.fact(), self.fact()]}
        fields: dict[str, Any] = {rng.choice(("any", "any", "any", "none")): facts}
        if rng.randrange(3) == 0:
            fields["for_s"] = rng.choice((60, 120, 180))
        if rng.randrange(3) == 0:
            fields["within_s"] = rng.choice((60, 150, 480))
        return condition(name, "grid", **fields)

    def fact(self) -> dict[str, Any]:
        """A fact of a sign, read at one of its keys."""
        rng = self.rng
        read = rng.choice(SIGNS)
        name, at = read["id"], rng.choice(read["keys"])
        fact: dict[str, Any] = {"sign": name, "at": at, "keys": rng.choice((1, 1, 1, 2))}
        related = rng.randrange(4 if self.related else 12)
        if related < 2:
            fact["relation"] = ("next", "zone")[related]
        elif related == 2:
            fact["within_m"] = rng.choice((1500, 3000))
        draw = rng.randrange(6)
        if draw == 0 and name == "t.noise":
            return fact | {"anomaly": True}
        if "*" in at and rng.randrange(2):
            fact["of"] = [rng.choice(CATEGORIES)]
        if draw == 1:
            return fact | {"level": rng.choice(list(read["levels"]["thresholds"]))}
        compare = rng.choice(("ge", "ge", "gt", "lt", "le"))
        deadband = rng.choice((0, 0, 1, 6))
        return fact | {compare: rng.choice(LIMITS[name]), "deadband": deadband}

    def override(self, positive: list[str]) -> dict[str, Any]:
        rng = self.rng
        found: dict[str, Any] = {"level": rng.choice(("yellow", "orange", "red"))}
        if rng.randrange(6) == 0:
            found["related"] = rng.choice(("next", "zone"))
        # Conditions alone say nothing of where there may be an incident.
        draw = rng.randrange(4)
        if draw in (0, 1):
            found["any"] = [self.fact()]
        if draw in (1, 2):
            found["any"] = [self.fact(), self.fact()]
            found["conditions"] = [rng.choice(positive)]
        if draw == 3:
            found["conditions"] = rng.sample(positive, rng.randrange(1, len(positive) + 1))
            found["standing"] = {"level": "blue", "for_s": rng.choice((60, 180))}
        return found

    def suppressed(self) -> dict[str, Any]:
        rng = self.rng
        name = rng.choice(("t.depth", "t.depth", "t.rain", "t.calls", "t.noise"))
        if name == "t.calls" and rng.randrange(2):
            return {"sign": name, "of": [rng.choice(CATEGORIES)]}
        return {"sign": name}

    # --- events ------------------------------------------------------------------------------

    def log(self) -> dict[LaneName, list[Record]]:
        """Gauges with phases, silences, disorder and delays; calls now and then."""
        rng = self.rng
        sent: list[tuple[int, LaneName, dict[str, Any]]] = []
        for number in range(rng.randrange(2, 6)):
            device, place = f"d{number}", PLACES[number % len(PLACES)]
            metrics = rng.sample(list(VALUES), rng.randrange(1, 4))
            for metric in metrics:
                for t, value in self.gauge(metric):
                    event = {"device": device, "metric": metric, "value": value, "t": t}
                    event |= {"unit": METRICS[metric].unit, "place": place, "source": "tests"}
                    event |= {"site": f"s{number}"}
                    sent.append((t + self.delay(), ("sensor", number % 2), event))
        for number in range(rng.randrange(16)):
            t = START + rng.randrange(LENGTH // 1000) * 1000
            event = {"kind": "order", "order_id": f"o{number}", "status": "created", "seq": 0}
            event |= {"t": t, "t_created": t, "category": [rng.choice(CATEGORIES)]}
            event |= {"place": rng.choice(PLACES), "source": "tests"}
            sent.append((t + self.delay(), ("hotline", 0), event))
        log: dict[LaneName, list[Record]] = {("sensor", 0): [], ("sensor", 1): []}
        log["hotline", 0] = []
        for arrival, lane, event in sorted(sent, key=lambda each: each[0]):
            log[lane].append((arrival, event))
        return log

    def gauge(self, metric: str) -> list[tuple[int, float]]:
        """A value a minute or so, the same for a while; sometimes none for a while, or for good."""
        rng = self.rng
        found: list[tuple[int, float]] = []
        t = START + rng.randrange(60) * 1000
        while t < START + LENGTH:
            value, silent = rng.choice(VALUES[metric]), rng.randrange(6) == 0
            until = t + rng.choice((1, 2, 3, 5, 8)) * MINUTE
            while t < min(until, START + LENGTH):
                if not silent:
                    found.append((t, value))
                t += 30_000 if metric == "laeq" else MINUTE
            if silent and rng.randrange(4) == 0:
                break
        return found

    def delay(self) -> int:
        usual, rare = (0, 0, 500, 2000, 4500), (20_000, 90_000, 400_000)
        return self.rng.choice(usual * 6 + rare)


def is_single(condition: dict[str, Any]) -> bool:
    """Whether one key that meets one fact is all that a condition asks for."""
    facts = condition.get("any", [])
    return bool(facts) and all("all" not in f and f.get("keys", 1) == 1 for f in facts)


def chunks(log: dict[LaneName, list[Record]]) -> list[Chunk]:
    """Each lane in one chunk."""
    found = []
    for (name, partition), records in log.items():
        times = [arrival for arrival, _ in records]
        raw = [json.dumps(event).encode() for _, event in records]
        if raw:
            found.append(Chunk(name, partition, range(len(raw)), times, [None] * len(raw), raw))
    return found


_OF_PLACES = ("city", "district", "street", "community", "grid")


def single_where_there_is_one(tree: Any, key: str) -> None:
    """Ask for one key where only one can be related to the incident's: two are refused."""
    if isinstance(tree, list):
        for each in tree:
            single_where_there_is_one(each, key)
    elif isinstance(tree, dict):
        for each in tree.values():
            single_where_there_is_one(each, key)
        at, own = tree.get("at"), key.rpartition("*")[2]
        if "keys" in tree and at is not None:
            around = at in _OF_PLACES and (
                own not in _OF_PLACES or _OF_PLACES.index(at) <= _OF_PLACES.index(own)
            )
            if (at == key or around) and not {"relation", "within_m"} & tree.keys():
                tree["keys"] = 1
