"""Levels of dated tables: each window is judged by the version of its day, and says which."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.dated import Labels, by_day, scales_of
from agents.outputs import ALERT_LOG, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.documents import ConfigurationError
from schemas.loading import CATALOGUE, load
from streams.records import Chunk, Lane
from tests.rules.incident_runs import reading

HOUR, MINUTE = 3_600_000, 60_000
ZONE = "Asia/Shanghai"
SHIPPED = load(environ={})
SENSOR = "city.sensor.v1"


def local(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp() * 1000)


MARCH = local("2026-03-01")


def only(*names: str, **changed: Any) -> Configuration:
    content = SHIPPED.model_dump(mode="json")
    content["signs"] = [one for one in content["signs"] if one["id"] in names]
    content["incidents"], content["overlays"] = [], []
    content["topics"] = [{**content["topics"][0], "partitions": 1}]
    return Configuration.model_validate({**content, **changed})


def run(configuration: Configuration, events: list[Any]) -> tuple[list[Any], list[Any]]:
    """Results at stations, and transitions of alerts."""
    pipeline = Pipeline(compile_plan(configuration))
    times = [t for t, _, _ in events]
    raw = [json.dumps(said).encode() for _, _, said in events]
    outputs = pipeline.step(Chunk(SENSOR, 0, range(len(raw)), times, [None] * len(raw), raw))
    outputs += pipeline.tick(Lane(SENSOR, 0), times[-1] + 10 * MINUTE)
    found: dict[str, list[Any]] = {VITALS_LOG: [], ALERT_LOG: []}
    for output in outputs:
        if output.topic in found:
            found[output.topic].append(json.loads(output.value))
    results = [one for one in found[VITALS_LOG] if one["key_level"] == "station"]
    return results, found[ALERT_LOG]


def particles(value: float, begin: int, end: int) -> list[Any]:
    times = range(begin, end, 5 * MINUTE)
    return [reading(t, "pm25", value, "aq1", site="a", period_s=300) for t in times]


def test_the_same_air_is_blue_from_the_first_window_of_march_2026() -> None:
    """70 µg/m³ all the time: within the 75 of HJ 633-2012, above the 60 of HJ 633-2026."""
    events = particles(70, MARCH - 3 * HOUR, MARCH + HOUR)
    results, alerts = run(only("air.pm25_1h"), events)
    told = {one["t_end"]: (one["value"], one["level"], one["table"]) for one in results}
    assert told[MARCH - 5 * MINUTE] == (70, 0, "HJ 633-2012")
    # The window that ends with February is of its last ms.
    assert told[MARCH] == (70, 0, "HJ 633-2012")
    assert told[MARCH + 5 * MINUTE] == (70, 1, "HJ 633-2026")
    first = next(one for one in alerts if one["key_level"] == "station")
    assert first["t_onset"] == MARCH + 5 * MINUTE
    assert first["t_raised"] == MARCH + 15 * MINUTE  # after ten minutes
    why = first["why"]
    assert (why["threshold"], why["table"]) == (60, "HJ 633-2026")
    assert why["threshold_source"].startswith("HJ 633-2026 Table 3")


def test_an_alert_that_stands_over_a_change_is_judged_on_by_the_new_version() -> None:
    """Of a table that is milder from March on: what was yellow at 20 is nothing below 50."""
    versions = [
        {"label": "old", "valid_to": "2026-02-28", "thresholds": {"yellow": 20}},
        {"label": "new", "valid_from": "2026-03-01", "thresholds": {"yellow": 50}},
    ]
    filled = {"source": "tests", "standing": "proposal"}
    table = {"id": "pm25_hour", "name": {"zh": "x", "en": "x"}, "compare": "gt"}
    mine = {**table, "versions": [{**one, **filled} for one in versions]}
    others = [one for one in SHIPPED.model_dump(mode="json")["tables"] if one["id"] != "pm25_hour"]
    configuration = only("air.pm25_1h", tables=[mine, *others])
    _, alerts = run(configuration, particles(30, MARCH - 3 * HOUR, MARCH + 2 * HOUR))
    at_station = [one for one in alerts if one["key_level"] == "station"]
    assert [(one["transition"], one["why"]["table"]) for one in at_station] == [
        ("raised", "old"),
        ("clearing", "new"),
        ("cleared", "new"),
    ]
    assert at_station[1]["t_update"] == MARCH + 5 * MINUTE


def test_values_of_a_standard_say_which_one_too() -> None:
    """An index has its table by the same day as levels have theirs."""
    labels = Labels(SHIPPED.sign["air.aqi"], ZONE)
    assert (labels.at(MARCH), labels.at(MARCH + 1)) == ("HJ 633-2012", "HJ 633-2026")
    assert Labels(SHIPPED.sign["traffic.tpi"], ZONE).at(MARCH) == "GB/T 33171-2016"
    assert Labels(SHIPPED.sign["drain.depth"], ZONE).at(MARCH) is None


def test_what_is_judged_by_a_standard_says_which() -> None:
    """All others are proposals, and told by the version of the configuration."""
    for sign in SHIPPED.signs:
        if sign.levels is None or not sign.levels.standing.startswith("verified"):
            continue
        # Of warnings each key says its own.
        if sign.id != "meteo.official_warning":
            for day in ("2015-06-01", "2026-02-28", "2026-03-01", "2031-06-01"):
                assert Labels(sign, ZONE).at(local(day)) or sign.id in LATER, (sign.id, day)


LATER = {"traffic.tpi", "care.news2"}
"""Of standards that came into force after 2015."""


def test_the_daily_limit_of_fine_particles_falls_with_2031() -> None:
    scales = scales_of(SHIPPED.sign["air.pm25_24h"].levels, ZONE)
    for day, limit in (
        ("2026-02-28", 75),
        ("2026-03-01", 60),
        ("2030-12-31", 60),
        ("2031-01-01", 50),
    ):
        scale = scales.at(local(day) + 1)
        assert scale is not None
        assert scale.threshold(1) == limit


def test_days_without_a_version_have_no_level() -> None:
    dated = by_day([("2026-03-01", "2026-03-02", "two days")], ZONE)
    two_days = range(MARCH + 1, MARCH + 48 * HOUR + 1, HOUR)
    assert {dated.at(end) for end in two_days} == {"two days"}
    assert [dated.at(MARCH), dated.at(MARCH + 48 * HOUR + 1)] == [None, None]


def test_every_day_has_one_version_of_each_shipped_table() -> None:
    for table in SHIPPED.tables:
        dated = by_day([(v.valid_from, v.valid_to, v.label) for v in table.versions], ZONE)
        day = date(2020, 1, 1)
        while day < date(2032, 1, 1):
            holding = [
                v.label
                for v in table.versions
                if (v.valid_from or "") <= day.isoformat() <= (v.valid_to or "9")
            ]
            assert [dated.at(local(day.isoformat()) + 1)] == holding
            day += timedelta(days=7)


def test_what_is_judged_by_a_table_is_used_by_a_sign() -> None:
    used = {sign.table for sign in SHIPPED.signs}
    assert {table.id for table in SHIPPED.tables} <= used


TABLES, FROM, TO = "tables.yaml", 'valid_from: "2026-03-01"', 'to: "2026-02-28"'
BANDS = "blue: 75, yellow: 115, orange: 150, red: 250"


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "message"),
    [
        ("air.yaml", "table: pm25_hour", "table: pm25_hou", "pm25_hou", "mean 'pm25_hour'"),
        (TABLES, FROM, 'valid_from: "2026-02-28"', "from:", "overlaps the version before"),
        (TABLES, FROM, 'valid_from: "2026-03-03"', "from:", "leaves a gap: the version"),
        (TABLES, f"{FROM}\n", "\n", "- label: HJ 633-2026", "needs valid_from"),
        (TABLES, TO, 'to: "2026-02-30"', "to:", "expected a date, such as"),
        (TABLES, BANDS, "blue: 75, yellow: 60", "yellow: 60", "above blue (75)"),
        (TABLES, "id: pm25_day", "id: pm25_hour", "id: pm25_hour", "defined twice"),
        (TABLES, f"{{{BANDS}}}", "{}", "{}", "at least one of blue"),
        ("hazchem.yaml", "table: gas_toxic", "table: Gas", "table: Gas", "such as pm25_hour"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_at_its_line(
    file: str, old: str, new: str, where: str, message: str, tmp_path: Path
) -> None:
    for each in CATALOGUE.glob("*.yaml"):
        text = each.read_text("utf-8")
        if each.name == file:
            assert old in text
            text = text.replace(old, new, 1)
            lines = text.splitlines()
        (tmp_path / each.name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, environ={})
    found = [p for p in refused.value.problems if message in p.message]
    assert len(found) == 1, refused.value
    assert Path(found[0].file).name == file
    assert where in lines[found[0].line - 1]


def test_a_table_that_has_faults_is_not_said_to_be_unknown(tmp_path: Path) -> None:
    for each in CATALOGUE.glob("*.yaml"):
        text = each.read_text("utf-8").replace(
            "compare: lt\n    versions", "compare: less\n    versions"
        )
        (tmp_path / each.name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, environ={})
    assert not [p for p in refused.value.problems if "unknown table" in p.message]
