"""Signs whose devices each lane finishes by itself: where they are is told, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest

from agents.gateway.access import Key, Keys, Limiter
from agents.gateway.application import build
from agents.gateway.city import LiveCity
from agents.gateway.desk import Desk
from agents.gateway.feed import FolderFeed
from agents.gateway.kafka_feed import KafkaFeed
from agents.gateway.service import Service
from agents.outputs import CONTROL
from agents.recordings import Emitted
from schemas.configuration import Configuration
from schemas.gateway import Gateway
from tests.rules.configurations import configuration, levels, sensor, topic, window

pytestmark = pytest.mark.asyncio
TOKEN = "t" * 32


def sign(name: str, *keys: str, rollup: str) -> Any:
    fields = {"window": window(120, 60), "levels": levels("gt", blue=5), "alert": {}}
    mean = {"function": "mean"}
    return sensor(
        name, "mm", "rain", "device", aggregate=mean, keys=[*keys], rollup=rollup, **fields
    )


@pytest.fixture(scope="module")
def configured() -> Configuration:
    signs = [
        sign("own.mean", "device", "street", rollup="merge"),
        sign("own.alone", "device", rollup="none"),
        sign("own.most", "device", "street", rollup="max"),
    ]
    return configuration(signs, [topic("sensor", 2, 300)])


def desk_of(configured: Configuration, feed: Any) -> Desk:
    """A desk at which nothing is written or kept."""
    service = Service(feed, LiveCity({}))
    service.became_ready.set()
    nothing: Any = SimpleNamespace(write=lambda *_: None)
    return Desk(
        service=service,
        configuration=configured,
        keys=Keys([Key.of("owner", "admin", TOKEN)]),
        audit=nothing,
        audit_folder=nothing,
        door=nothing,
        registry=nothing,
        history=lambda *_: {"t": []},
        secure=False,
        most_streams=1,
        names={},
        tries=Limiter(1, 1),
        salt="",
    )


def client_of(desk: Desk) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build(desk, Gateway(), ()))
    headers = {"authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


@pytest.mark.parametrize(
    ("names", "level", "status"),
    [
        ("own.mean", "device", 404),
        ("own.alone", "device", 404),
        ("own.mean,own.alone", "device", 404),
        ("own.mean", "street", 200),
        ("own.most", "device", 200),
        ("own.mean,own.most", "device", 200),
        ("own.alone", None, 404),
        ("own.mean", None, 200),
        ("own.nothing", "device", 200),
        (None, "device", 200),
    ],
)
async def test_results_of_devices_are_told_elsewhere(
    configured: Configuration, names: str | None, level: str | None, status: int
) -> None:
    asked = {k: v for k, v in (("sign", names), ("key_level", level)) if v is not None}
    paths: list[tuple[str, dict[str, str]]] = [("/signs", asked)]
    if names and level and "," not in names:
        paths += [("/history", asked | {"key": "d1"}), (f"/signs/{names}/{level}/d1", {})]
    async with client_of(desk_of(configured, None)) as client:
        for path, params in paths:
            answer = await client.get(path, params=params)
            if status == 404:
                assert (answer.status_code, answer.json()["error"]) == (404, "of_device")
                assert "city.device-vitals.v1" in answer.json()["hint"]
            elif path.count("/") == 1:
                assert answer.status_code == 200
            else:
                assert answer.json()["error"] == "never_said"


@pytest.mark.parametrize(
    ("feed", "rule", "level", "status"),
    [
        (KafkaFeed, "own.mean", "device", 409),
        (KafkaFeed, "own.mean", "street", 202),
        (KafkaFeed, "own.most", "device", 202),
        (FolderFeed, "own.mean", "device", 202),
    ],
)
async def test_alerts_that_workers_do_not_mark_are_refused(
    configured: Configuration, feed: Any, rule: str, level: str, status: int
) -> None:
    put: list[Emitted] = []

    def take(records: Sequence[Emitted]) -> list[int]:
        put.extend(records)
        return [0]

    desk = desk_of(configured, SimpleNamespace(marks_devices=feed.marks_devices, put=take))
    about = {"kind": "threshold", "state": "raised", "place": "440111", "t_update": 1 << 41}
    alert = about | {"alert_id": "ab" * 12, "rule": rule, "key_level": level, "key": "d1"}
    desk.service.city.take_alerts([orjson.dumps(alert)])
    async with client_of(desk) as client:
        for kind, more in (("ack", {}), ("shelve", {"minutes": 5})):
            told = {"name": "desk", "reason": "seen", **more}
            answer = await client.post(f"/alerts/ab/{kind}", json=told)
            assert answer.status_code == status, answer.text
            if status == 409:
                assert answer.json()["error"] == "alert_of_lane"
    assert [record.topic for record in put] == ([] if status == 409 else [CONTROL] * 2)
