"""``cityvitals catalogue``: every sign, for people and programs, and the page beside it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from agents.commands.cli import app
from schemas.loading import CATALOGUE, load
from schemas.reference import markdown

SIGNS = {
    "traffic": "tpi speed_ratio flow queue_ratio incidents parking_occupancy hub_load "
    "heavy_truck_violation exhaust_exceed_rate",
    "meteo": "rain_1h rain_3h rain_6h rain_12h rain_24h temp_max wind_mean gust official_warning",
    "drain": "depth rise_rate points manhole_fill cover_open pump_available river_over",
    "supply": "pressure turbidity",
    "air": "pm25_1h pm25_24h pm10_1h o3_1h o3_8h aqi dust_site",
    "waterenv": "class do nh3n orp outfall_ratio",
    "noise": "day_excess night_excess night_peak",
    "fire": "alarms temperature rental_alarms_24h residual_current cable_temp",
    "hazchem": "lel toxic",
    "geo": "displacement",
    "safety": "site_violations",
    "lifeline": "gas_leak gas_pressure bridge_accel bridge_strain bridge_overload gallery_o2 "
    "gallery_h2s lamp_fault_rate",
    "energy": "ev_fault_rate ev_offline_rate ev_utilisation ev_temp transformer_load outage_users",
    "cm": "case_rate overdue on_time_rate bin_full_rate video_ai_events",
    "hotline": "inflow urgent topic_burst on_time_close open_age_p90 repeat_rate answer_15s "
    "connect_rate dispatch_p95 dispatch_accuracy auto_dispatch satisfaction resolved_rate "
    "wellbeing",
    "crowd": "density load_ratio net_inflow hall_wait",
    "care": "news2 sos",
    "med": "er_arrivals",
    "iot": "online_rate valid_rate lateness_p95 video_online",
    "engine": "lag alert_rate flood_time",
    "city": "health_index domain_index",
}
"""The hundred signs that the city asks for, by domain."""


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["catalogue", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_the_hundred_signs_are_there() -> None:
    asked = {f"{domain}.{name}" for domain, names in SIGNS.items() for name in names.split()}
    assert len(asked) == 100
    code, out, _ = run("--json")
    said = json.loads(out)
    assert code == 0
    assert asked <= {sign["id"] for sign in said["signs"]}
    assert {"signs", "incidents", "metrics"} <= said.keys()
    assert len(said["metrics"]) >= 64
    assert all(sign["source"] and sign["name"]["zh"] for sign in said["signs"])


def test_one_sign() -> None:
    code, out, _ = run("drain.cover_open")
    assert code == 0
    assert "hits where value ≥ 15" in out
    assert "yellow ≥ 1, orange ≥ 3, red ≥ 5" in out
    assert "proposal" in out
    code, out, _ = run("drain.cover_open", "--json")
    assert json.loads(out)["aggregate"]["where"] == {"value": {"at_least": 15.0}}
    code, out, _ = run("drain.cover_open", "--md")
    assert out.startswith("### drain.cover_open\n")


def test_all_signs_in_a_table() -> None:
    code, out, _ = run()
    assert code == 0
    assert "drain.depth" in out
    assert "cityvitals catalogue ID" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["drain.dept"], "did you mean 'drain.depth'"),
        (["--json", "--md"], "exclude each other"),
        (["--config", "nowhere.yaml"], "no such file"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert words in err


def test_the_page_beside_the_catalogue_is_current() -> None:
    page = CATALOGUE.with_suffix(".md").read_text("utf-8")
    assert page == markdown(load(environ={})), "cityvitals catalogue --md > schemas/catalogue.md"


def test_an_overlay_is_shown_by_its_id() -> None:
    shown = CliRunner().invoke(app, ["catalogue", "storm"])
    assert shown.exit_code == 0
    assert "while ce.storm_mode stands" in shown.stdout
    told = json.loads(CliRunner().invoke(app, ["catalogue", "storm", "--json"]).stdout)
    assert told["id"] == "storm"
    assert "spring_travel" in CliRunner().invoke(app, ["catalogue"]).stdout


def test_levels_of_a_sign_say_of_which_version_they_are() -> None:
    _, out, _ = run("air.pm25_24h", "--json")
    levels = json.loads(out)["levels"]
    assert levels["thresholds"]["blue"] == 50
    assert levels["valid_from"] == "2031-01-01"
    assert levels["valid_to"] is None
    assert levels["label"].endswith("from 2031")
    _, out, _ = run("air.pm25_24h")
    assert "to 2030 2026-03-01 to 2030-12-31: blue > 60" in out
