"""A paced log for fault runs: events of now, with disorder, repeats, late, bad and poison ones."""

from __future__ import annotations

import json
import threading
import time
from random import Random
from typing import Any

from confluent_kafka import Producer

from agents.plan import Plan
from schemas.configuration import Configuration
from schemas.devices import Device, Register
from streams.partitioning import partition_of
from tests.faults.kafka_worker import POISON
from tests.rules.configurations import past_mean, sensor, sign, traffic, window
from tests.rules.wide import arrivals, by_hours, created, gaussian, orders

TOPICS = [
    {"name": "run.sensor", "kind": "sensor", "allowed_lateness_s": 20.0},
    {"name": "run.traffic", "kind": "traffic", "allowed_lateness_s": 15.0},
    {"name": "run.hotline", "kind": "hotline", "allowed_lateness_s": 10.0},
]
SIGNS: list[dict[str, Any]] = [
    sensor(
        "run.mean",
        "ug/m3",
        "pm25",
        "device",
        aggregate={"function": "mean"},
        window=window(20, 5),
        keys=["device", "street", "district", "city"],
        rollup="mean",
        model=gaussian(floor=1, keys=["street", "city"]),
        levels={
            "compare": "ge",
            "thresholds": {"blue": 20, "yellow": 60},
            "source": "tests",
            "standing": "proposal",
        },
        alert={"deadband": 5, "on_delay_s": 5, "off_delay_s": 10},
    ),
    sensor(
        "run.depth",
        "cm",
        "water_depth",
        "site",
        aggregate={"function": "quantile", "q": 0.5},
        window=window(10, 5),
        keys=["site", "district", "city"],
        rollup="max",
    ),
    traffic(
        "run.tpi",
        "index",
        "segment_flow",
        "street",
        aggregate={"function": "tpi"},
        window=window(15, 5),
        keys=["street", "district", "city"],
        rollup="merge",
    ),
    past_mean(
        "run.hour",
        "ug/m3",
        "run.mean",
        formula={"windows": 4, "step_s": 5, "at_least": 2},
        window=window(20, 5),
        keys=["district", "city"],
    ),
    created(
        "run.orders",
        "count",
        base="grid",
        aggregate={"function": "count"},
        window=window(10, 5),
        keys=["category*street", "grid", "district", "city"],
        empty="zero",
        model=by_hours(side="high", counts=True, keys=["category*street", "city"]),
    ),
    created(
        "run.callers",
        "count",
        base="street",
        aggregate={"function": "distinct", "of": "citizen"},
        window=window(10, 5),
        keys=["street", "city"],
        empty="zero",
    ),
    sign(
        "run.repeats",
        "%",
        kind="history",
        topic="hotline",
        match={"kind": "order", "status": "created"},
        base="street",
        repeats={"of": [["citizen", "category"]], "within_s": 30},
        window=window(10, 5),
        keys=["street", "city"],
    ),
    orders(
        "run.open",
        "count",
        5,
        match={},
        base="street",
        aggregate={"function": "count"},
        keys=["category*city", "street", "city"],
        empty="zero",
        model=by_hours(counts=True),
    ),
    arrivals(
        "run.valid",
        "%",
        aggregate={"function": "mean", "of": "valid", "scale": 100},
        window=window(15, 5),
        keys=["platform*city", "street", "city"],
        rollup="merge",
        model=gaussian(side="low", floor=1, probe_times=1.5),
    ),
    arrivals(
        "run.online",
        "%",
        kind="sampled",
        match={"registered": True},
        aggregate={"function": "online", "scale": 100},
        window=window(5, 5),
        keys=["district", "city"],
    ),
]
_DEVICES = 40
_PLACES = [f"44011100{street}0010{grid:02}" for street in (1, 2) for grid in range(1, 4)]


def configuration(kafka: dict[str, Any], **more: Any) -> Configuration:
    """Signs with short windows, so that minutes are enough for many of them; with a register."""
    made = Configuration.model_validate(
        {
            "version": "faults",
            "city": {
                "name": {"zh": "广州", "en": "Guangzhou"},
                "place": "4401",
                "time_zone": "Asia/Shanghai",
            },
            "topics": TOPICS,
            "signs": SIGNS,
            "forget_s": 600.0,
            "kafka": kafka,
            **more,
        }
    )
    # Two of them never speak.
    devices = [
        Device(f"d{n}", "sensor", "pm25", "tests", _PLACES[n % len(_PLACES)], period_s=5.0)
        for n in range(_DEVICES + 2)
    ]
    return made.with_register(Register(devices))


class Feed(threading.Thread):
    """Writes about ``rate`` events a second until it is stopped; then `done` is set.

    A record that the broker is not there for waits in the producer, in order.
    """

    def __init__(self, settings: dict[str, Any], plan: Plan, seed: int, rate: float) -> None:
        super().__init__(daemon=True)
        self.rng, self.rate = Random(seed), rate
        self.prefix = plan.configuration.kafka.prefix
        self.sent = self.poisoned = 0
        self._producer = Producer(
            {
                **settings,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        self._recent: list[tuple[str, bytes, bytes]] = []
        self._stopping = threading.Event()
        self._poison = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(0.02):
            for _ in range(max(1, round(self.rate * 0.02))):
                self._send(*self._event())
            if self._poison.is_set():
                self._poison.clear()
                self.poisoned += 1
                self._send("run.sensor", b"poison", json.dumps({"note": POISON}).encode())
            self._producer.poll(0)

    def poison(self) -> None:
        """Write a record at which the core raises."""
        self._poison.set()

    def stop(self) -> None:
        self._stopping.set()
        self.join()
        assert self._producer.flush(60) == 0

    def _send(self, topic: str, key: bytes, value: bytes) -> None:
        partition = partition_of(key, 4)
        self._producer.produce(self.prefix + topic, value, key, partition)
        self.sent += 1

    def _event(self) -> tuple[str, bytes, bytes]:
        rng = self.rng
        draw = rng.randrange(100)
        if draw < 3 and self._recent:
            return rng.choice(self._recent)  # delivered twice
        topic = rng.choice(("run.sensor", "run.sensor", "run.traffic", "run.hotline"))
        if draw < 5:
            return topic, b"bad", b'{"t":'
        now = round(time.time() * 1000)
        t = now - rng.choice((0, 0, 0, 500, 2000, 4900, 5100, 9000, 14_000, 30_000))
        number = rng.randrange(_DEVICES)
        name, body = self._body(topic, number, t)
        body |= {"t": t, "place": _PLACES[number % len(_PLACES)], "source": "tests"}
        body["id"] = f"{self.sent}-{rng.randrange(10**6)}"
        event = topic, name.encode(), json.dumps(body).encode()
        self._recent = [*self._recent[-200:], event]
        return event

    def _body(self, topic: str, number: int, t: int) -> tuple[str, dict[str, Any]]:
        rng = self.rng
        if topic == "run.sensor":
            device = f"d{number}"
            metric, unit = rng.choice((("pm25", "ug/m3"), ("water_depth", "cm")))
            value = round(rng.uniform(0, 80), 3)
            return device, {"device": device, "metric": metric, "unit": unit, "value": value}
        if topic == "run.traffic":
            segment = f"r{number}"
            flow = {"link_len_m": 250, "speed_kmh": rng.randrange(5, 60), "free_flow_kmh": 50}
            return segment, {"kind": "segment_flow", "source_id": segment, **flow}
        order = f"o{number}-{rng.randrange(200)}"
        status, seq = rng.choice((("created", 0), ("dispatched", 1), ("closed", 2)))
        step = {"status": status, "seq": seq, "category": [rng.choice(("x", "y"))]}
        step |= {"t_created": t - 1000, "text": "not for others"}
        step["caller"] = f"1610000{rng.randrange(500):04}"
        return order, {"kind": "order", "system": "12345", "order_id": order, **step}
