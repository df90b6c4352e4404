"""Every sign takes a value at each of its levels, raises its alert and clears it."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from agents.outputs import ALERT_LOG, DEVICE_VITALS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.loading import load
from schemas.signs import Sign
from streams.records import Chunk, Lane, Output
from tests.rules.driven import LEVELS, alone, drive

CATALOGUE = load(environ={})
NOT_DRIVEN = {
    # What these need more of than one device and some days of it: nobody drives them here.
    "air.pm25_24h": "a day of hours for each level",
    "air.o3_8h": "a day of hours for each level",
    "air.aqi": "six pollutants",
    "air.aqi_24h": "six pollutants, days of them",
    "air.aqi_day": "six pollutants, days of them",
    "med.er_arrivals": "weeks of a baseline",
    "hotline.topic_burst": "weeks of a baseline",
    "drain.points": "many sites",
    "hotline.open_age_p90": "orders that stay open for a week",
    "hotline.repeat_rate": "callers with a history",
    "cm.overdue": "orders past their due time",
    "hotline.wellbeing": "four rates at once",
    "city.health_index": "signs of several domains",
    "city.domain_index": "signs of all domains",
    "engine.lag": "processing time",
    "engine.alert_rate": "processing time",
    "engine.flood_time": "processing time",
    "noise.day_excess": "whole days",
    "noise.night_excess": "whole nights",
    "meteo.temp_max": "whole days",
    "iot.online_rate": "a registered fleet",
    "iot.valid_rate": "refused records",
    "iot.lateness_p95": "times of arrival",
    "iot.video_online": "a registered fleet",
    "traffic.tpi": "travel times",
}
RATED = [sign for sign in CATALOGUE.signs if sign.levels is not None]
DRIVEN = [sign for sign in RATED if sign.id not in NOT_DRIVEN]


def outputs_of(sign: Sign) -> list[Output]:
    pipeline = Pipeline(compile_plan(alone(CATALOGUE, sign)))
    topics = {t.kind: t.name for t in CATALOGUE.topics}
    lanes: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for t, kind, said in drive(sign):
        lanes[topics[kind]].append((t, json.dumps(said).encode()))
    outputs: list[Output] = []
    for name, records in lanes.items():
        times, raw = [t for t, _ in records], [r for _, r in records]
        keys: list[bytes | None] = [None] * len(raw)
        outputs += pipeline.step(Chunk(name, 0, range(len(raw)), times, keys, raw))
        counts = pipeline.lanes[Lane(name, 0)].accounting
        assert (counts.rejected, counts.late, counts.duplicate) == (0, 0, 0)
    return outputs + pipeline.end()


@pytest.mark.parametrize("sign", DRIVEN, ids=lambda sign: sign.id)
def test_a_sign_is_seen_at_each_level_and_its_alert_rises_and_clears(sign: Sign) -> None:
    assert sign.levels is not None
    outputs = outputs_of(sign)
    wanted = {0, *(LEVELS.index(name) + 1 for name, _ in sign.levels.thresholds.given())}
    seen: dict[str, set[int]] = defaultdict(set)
    for output in outputs:
        if output.topic == VITALS_LOG:
            result = json.loads(output.value)
            if result["vital"] == sign.id and result["level"] is not None:
                seen[result["key_level"]].add(result["level"])
        elif output.topic == DEVICE_VITALS:
            column = json.loads(output.value)
            if column["vital"] == sign.id and column["level"] is not None:
                seen["device"] |= {level for level in column["level"] if level is not None}
    assert any(levels >= wanted for levels in seen.values()), dict(seen)
    if sign.alert is None:
        return
    told: dict[str, list[str]] = defaultdict(list)
    for output in outputs:
        if output.topic == ALERT_LOG:
            alert = json.loads(output.value)
            if alert["rule"] == sign.id:
                told[alert["key"]].append(alert["transition"])
    assert any("raised" in said and said[-1] == "cleared" for said in told.values()), dict(told)


def test_no_sign_is_left_out() -> None:
    assert NOT_DRIVEN.keys() <= {sign.id for sign in RATED}
    assert len(DRIVEN) > 60
