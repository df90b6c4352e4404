"""``cityvitals adapt``: telegrams and warnings become events, and what is refused is told."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.commands.cli import app
from agents.signals import Signals
from schemas.adapters.hj212 import crc
from schemas.documents import ConfigurationError
from schemas.events import decode
from schemas.loading import CATALOGUE, load
from schemas.shaping import decoder_of

EXAMPLES = CATALOGUE.parent / "examples"
GOLDEN = (
    b"##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;"
    b"Flag=5;CP=&&RtdInterval=30&&1C80"
)
MN = "010000A8900016F000169DC0"
REGISTER = f"""device,topic,kind,place,site
{MN},sensor,pm25,440111004003012,station-3
{MN},sensor,air_temperature,440111004003012,station-3
"""
DATA = "DataTime=20260302093000;a34004-Rtd=35.2,a34004-Flag=N;a01001-Rtd=21.5,a01001-Flag=M"
NOON_MS = 1_772_415_000_000
"""2026-03-02 09:30 in Guangzhou."""


def frame(data: str, command: str = "2011", flag: str = "5") -> bytes:
    head = f"QN=20260302093001000;ST=22;CN={command};PW=123456;MN={MN};Flag={flag};CP=&&"
    segment = f"{head}{data}&&".encode()
    return b"##%04d" % len(segment) + segment + b"%04X" % crc(segment)


def modbus(segment: bytes) -> int:
    """The check of Modbus, which goes right bit by bit after the byte has come in."""
    register = 0xFFFF
    for byte in segment:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    return register


def run(tmp_path: Path, telegrams: bytes) -> tuple[int, list[dict[str, object]], str]:
    (tmp_path / "register.csv").write_text(REGISTER, "utf-8")
    (tmp_path / "telegrams").write_bytes(telegrams)
    options = ["--register", str(tmp_path / "register.csv")]
    done = CliRunner().invoke(app, ["adapt", "hj212", str(tmp_path / "telegrams"), *options])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_the_check_is_that_of_the_standards_example_and_not_of_modbus() -> None:
    segment = GOLDEN[6:-4]
    assert len(segment) == 101
    assert crc(segment) == 0x1C80
    assert modbus(segment) == 0x0759


def test_readings_of_a_telegram(tmp_path: Path) -> None:
    code, events, told = run(tmp_path, frame(DATA) + b"\r\n")
    assert (code, told) == (0, "")
    shared = {"device": MN, "t": NOON_MS, "place": "440111004003012", "site": "station-3"}
    assert events == [
        {
            **shared,
            "metric": "pm25",
            "value": 35.2,
            "unit": "ug/m3",
            "q": "good",
            "source": "hj212",
        },
        {
            **shared,
            "metric": "air_temperature",
            "value": 21.5,
            "unit": "Cel",
            "q": "maint",
            "source": "hj212",
        },
    ]
    for event in events:
        decode("sensor", json.dumps(event).encode())


@pytest.mark.parametrize(
    ("telegram", "code"),
    [
        (frame(DATA)[:-1], "hj212_frame"),
        (b"hello", "hj212_frame"),
        (frame(DATA).replace(b"35.2", b"35.3"), "hj212_crc"),
        (frame(DATA).replace(b"##0", b"##1"), "hj212_length"),
        (frame(DATA, flag="9"), "hj212_version"),
        (frame(DATA, flag="1"), "hj212_version"),
        (GOLDEN, "hj212_command"),
        (frame(DATA, command="2061"), "hj212_command"),
        (frame(DATA.replace("20260302", "20260399")), "bad_time"),
        (frame("DataTime=20260302093000;a34004-Rtd=x"), "bad_value"),
        (frame("DataTime=20260302093000;a34002-Rtd=50"), "hj212_unknown"),
        (frame("DataTime=20260302093000;x99999-Rtd=50"), "hj212_empty"),
        (frame("DataTime=20260302093000"), "hj212_empty"),
    ],
)
def test_what_is_refused_is_told_by_its_line(tmp_path: Path, telegram: bytes, code: str) -> None:
    exit_code, events, told = run(tmp_path, frame(DATA) + b"\r\n" + telegram + b"\r\n")
    assert exit_code == 1
    assert len(events) == 2, "those of the sound one"
    assert f"telegrams:2: {code}: " in told
    assert "1 refused" in told


CAP = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>44011120260302093000</identifier><sender>gz-meteo</sender>
  <sent>2026-03-02T09:30:00+08:00</sent><status>Actual</status><msgType>Alert</msgType>
  <scope>Public</scope>
  <info>
    <language>zh-CN</language><category>Met</category><event>暴雨</event>
    <urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>
    <expires>2026-03-02T12:30:00+08:00</expires><headline>暴雨橙色预警</headline>
    <area><areaDesc>白云区</areaDesc>
      <geocode><valueName>division</valueName><value>440111000000</value></geocode></area>
    <area><areaDesc>花都区</areaDesc>
      <geocode><valueName>division</valueName><value>440114</value></geocode></area>
  </info>
</alert>
"""


def adapt(tmp_path: Path, text: str) -> tuple[int, list[dict[str, object]], str]:
    (tmp_path / "warning.xml").write_text(text, "utf-8")
    done = CliRunner().invoke(app, ["adapt", "cap", str(tmp_path / "warning.xml")])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_warning_for_two_districts(tmp_path: Path) -> None:
    code, events, told = adapt(tmp_path, CAP)
    assert (code, told) == (0, "")
    assert [event["place"] for event in events] == ["440111", "440114"]
    assert {event["level"] for event in events} == {3}
    assert {event["event"] for event in events} == {"rain"}
    assert events[0]["t"] == NOON_MS
    assert events[0]["t_expires"] == NOON_MS + 3 * 3_600_000
    for event in events:
        decode("external", json.dumps(event).encode())


def info(**changed: str) -> str:
    """The information of the message, with other texts in some elements."""
    begin, end = CAP.index("  <info>"), CAP.index("</alert>")
    text = CAP[begin:end]
    for name, value in changed.items():
        text = re.sub(rf"<{name}>[^<]*</{name}>", f"<{name}>{value}</{name}>", text)
    return text


def test_of_many_informations_the_gravest_of_an_area_counts(tmp_path: Path) -> None:
    english = info(language="en-US", event="Rainstorm", headline="Rainstorm, orange")
    graver = info(severity="Extreme", value="440111004")
    thunder = info(event="雷电", severity="Minor")
    code, events, told = adapt(
        tmp_path, CAP.replace("</alert>", f"{english}{graver}{thunder}</alert>")
    )
    assert (code, told) == (0, "")
    assert [(e["event"], e["place"], e["level"]) for e in events] == [
        ("rain", "440111", 3),
        ("rain", "440114", 3),
        ("rain", "440111004", 4),
        ("thunder", "440111", 1),
        ("thunder", "440114", 1),
    ]
    assert events[0]["title"] == "暴雨橙色预警"
    assert len({event["warning_id"] for event in events}) == len({e["id"] for e in events}) == 5
    _, alone, _ = adapt(tmp_path, CAP)
    assert [e["warning_id"] for e in alone] == [e["warning_id"] for e in events[:2]]


def test_an_information_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    code, events, told = adapt(
        tmp_path, CAP.replace("</alert>", f"{info(severity='Bad')}{info(value='x')}</alert>")
    )
    assert code == 1
    assert [event["place"] for event in events] == ["440111", "440114"]
    assert "bad_value: `info[2]/severity`" in told
    assert "bad_place: `info[3]/area[1]`" in told


def test_a_warning_is_cancelled_under_the_name_it_had(tmp_path: Path) -> None:
    _, first, _ = adapt(tmp_path, CAP)
    references = "<references>gz-meteo,44011120260302093000,2026-03-02T09:30:00+08:00</references>"
    cancel = CAP.replace("<msgType>Alert</msgType>", f"<msgType>Cancel</msgType>{references}")
    cancel = cancel.replace("<identifier>4401112026030209", "<identifier>4401112026030210")
    _, second, told = adapt(tmp_path, cancel)
    assert told == ""
    assert [e["warning_id"] for e in second] == [e["warning_id"] for e in first]
    assert {e["status"] for e in second} == {"cancelled"}
    assert {e["id"] for e in second}.isdisjoint({e["id"] for e in first})
    for event in second:
        decode("external", json.dumps(event).encode())


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("<alert ", "<alert", "cap_xml"),
        ("<?xml", '<!DOCTYPE a [<!ENTITY b "c">]><?xml', "cap_xml"),
        ("cap:1.2", "cap:1.1", "cap_xml"),
        ("Actual", "Exercise", "cap_status"),
        ("Severe", "Orange", "bad_value"),
        ("Alert</msgType>", "Ack</msgType>", "bad_value"),
        ("<event>暴雨</event>", "", "missing_field"),
        ("12:30:00+08:00", "12:30:00", "bad_time"),
        ("geocode", "geo", "bad_place"),
    ],
)
def test_a_message_that_is_refused(tmp_path: Path, old: str, new: str, code: str) -> None:
    exit_code, events, told = adapt(tmp_path, CAP.replace(old, new))
    assert (exit_code, events) == (1, [])
    assert f"warning.xml: {code}: " in told


PARAMETER = "<parameter><valueName>signal</valueName><value>红色</value></parameter>"


@pytest.mark.parametrize(
    ("changes", "colour"),
    [
        ({}, "orange"),
        ({"<area><areaDesc>白云区": f"{PARAMETER}<area><areaDesc>白云区"}, "red"),
        ({"暴雨橙色预警": "暴雨预警"}, "unknown"),
        ({"暴雨橙色预警": "暴雨预警", "<event>暴雨": "<event>暴雨黄色预警"}, "yellow"),
    ],
)
def test_a_severity_that_is_unknown_may_have_a_colour_elsewhere(
    tmp_path: Path, changes: dict[str, str], colour: str
) -> None:
    text = CAP.replace("Severe", "Unknown")
    for old, new in changes.items():
        text = text.replace(old, new, 1)
    code, events, told = adapt(tmp_path, text)
    assert (code, told) == (0, "")
    assert [(e["event"], e["colour"], "level" in e) for e in events] == [
        ("rain", colour, False)
    ] * 2
    level_of = Signals(load(environ={}).signals, "Asia/Shanghai").level
    for event in events:
        decoder_of("external", None, level_of=level_of)(json.dumps(event).encode())


def test_a_register_is_wanted() -> None:
    done = CliRunner().invoke(app, ["adapt", "hj212", "x"])
    assert done.exit_code == 2
    assert "--register" in done.stderr


def test_of_a_telegram_with_a_bad_factor_the_others_are_read(tmp_path: Path) -> None:
    telegram = frame(DATA + ";a34002-Rtd=50;a01002-Rtd=x")
    code, events, told = run(tmp_path, telegram)
    assert (code, [event["metric"] for event in events]) == (1, ["pm25", "air_temperature"])
    assert "hj212_unknown: `MN` is in no register for pm10" in told
    assert "bad_value: `a01002-Rtd`" in told


def test_what_the_register_says_goes_into_the_events(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(
        "device,topic,kind,place,site,site_type,medium\n"
        f"{MN},sensor,cod,440103001007009,out-1,outfall,effluent\n",
        "utf-8",
    )
    (tmp_path / "t").write_bytes(frame("DataTime=20260302093000;w01018-Rtd=35.2"))
    options = [str(tmp_path / "t"), "--register", str(tmp_path / "r.csv")]
    done = CliRunner().invoke(app, ["adapt", "hj212", *options])
    event = json.loads(done.stdout)
    told = (event["site"], event["site_type"], event["medium"])
    assert told == ("out-1", "outfall", "effluent")


def test_an_area_without_a_division_is_told(tmp_path: Path) -> None:
    code, events, told = adapt(tmp_path, CAP.replace("<value>440114</value>", "<value>abc</value>"))
    assert (code, [event["place"] for event in events]) == (1, ["440111"])
    assert "bad_place: `info/area[2]` has no geocode" in told


def adapted(name: str, tmp_path: Path, *lines: dict[str, object]) -> tuple[int, list[Any], str]:
    written = tmp_path / "lines"
    written.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    done = CliRunner().invoke(app, ["adapt", name, str(written)])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


WINDOW = {
    "device": "box-1/bin-3",
    "metric": "heat_temperature",
    "t": NOON_MS,
    "t_end": NOON_MS + 60_000,
    "n": 60,
    "min": 21.0,
    "max": 61.5,
    "mean": 25.25,
    "place": "440111004003012",
    "site": "tower-2",
}


def test_a_window_of_the_edge_is_its_mean_with_the_extremes_beside(tmp_path: Path) -> None:
    code, (event,), _ = adapted("edge", tmp_path, WINDOW)
    assert code == 0
    reading = decode("sensor", json.dumps(event).encode())
    assert (reading.value, reading.unit, reading.source) == (25.25, "Cel", "edge")
    assert reading.stat is not None
    assert (reading.stat.n, reading.stat.min, reading.stat.max) == (60, 21.0, 61.5)


def test_a_window_that_contradicts_itself_is_told(tmp_path: Path) -> None:
    wrong = [WINDOW | {"mean": 70.0}, WINDOW | {"max": 900.0}, WINDOW | {"n": None}]
    code, events, told = adapted("edge", tmp_path, *wrong, WINDOW)
    assert (code, len(events)) == (1, 1)
    for number, reason in enumerate(("inconsistent", "out_of_range", "missing_field"), 1):
        assert f":{number}: {reason}: " in told


SEEN = {"camera": "cam-7", "cls": "smoke", "conf": 0.9, "t": NOON_MS, "place": "440111004003012"}


def test_what_a_camera_sees_again_within_ten_minutes_is_one_event(tmp_path: Path) -> None:
    code, events, told = adapted(
        "video",
        tmp_path,
        SEEN,
        SEEN | {"t": NOON_MS + 599_999},
        SEEN | {"t": NOON_MS + 600_000},
        SEEN | {"t": NOON_MS + 600_000, "cls": "flame"},
        SEEN | {"t": NOON_MS + 600_000, "camera": "cam-8"},
    )
    assert code == 0
    assert [(e["device"], e["cls"], e["t"] - NOON_MS) for e in events] == [
        ("cam-7", "smoke", 0),
        ("cam-7", "smoke", 600_000),
        ("cam-7", "flame", 600_000),
        ("cam-8", "smoke", 600_000),
    ]
    assert "1 repeats within ten minutes were left out" in told
    assert len({event["id"] for event in events}) == 4
    for event in events:
        decode("sensor", json.dumps(event).encode())


def test_a_video_event_without_a_class_is_told(tmp_path: Path) -> None:
    code, events, told = adapted("video", tmp_path, {**SEEN, "cls": None})
    assert (code, events) == (1, [])
    assert "missing_field: `$.cls` is absent" in told


def own_metrics(tmp_path: Path) -> Path:
    """The shipped catalogue with two metrics of its own, one of which has a factor."""
    folder = tmp_path / "mine"
    shutil.copytree(CATALOGUE, folder)
    (folder / "mine.yaml").write_text(
        "metrics:\n"
        "  - {code: odour, name: {zh: x, en: x}, unit: OU/m3, minimum: 0, maximum: 9,"
        " period_s: 60}\n"
        "  - {code: phenol, name: {zh: x, en: x}, unit: mg/L, minimum: 0, maximum: 9, period_s: 60,"
        " hj212: w23002}\n",
        "utf-8",
    )
    return folder


def test_edge_windows_of_a_metric_of_ones_own_need_the_configuration(tmp_path: Path) -> None:
    said = {"device": "n1", "metric": "odour", "t": NOON_MS, "place": "440111", "mean": 3, "n": 5}
    (tmp_path / "windows").write_text(json.dumps(said), "utf-8")
    line = ["adapt", "edge", str(tmp_path / "windows")]
    refused = CliRunner().invoke(app, line)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "unknown_metric" in refused.stderr
    done = CliRunner().invoke(app, [*line, "--config", str(own_metrics(tmp_path))])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["unit"] == "OU/m3"


def test_a_factor_of_a_metric_of_ones_own_is_read(tmp_path: Path) -> None:
    (tmp_path / "register.csv").write_text(
        f"device,topic,kind,place,site\n{MN},sensor,phenol,440111004003012,out-1\n", "utf-8"
    )
    (tmp_path / "telegrams").write_bytes(frame("DataTime=20260302093000;w23002-Rtd=0.4"))
    line = ["adapt", "hj212", str(tmp_path / "telegrams"), "--register"]
    options = [str(tmp_path / "register.csv"), "--config", str(own_metrics(tmp_path))]
    done = CliRunner().invoke(app, [*line, *options])
    assert done.exit_code == 0, done.stderr
    event = json.loads(done.stdout)
    assert (event["metric"], event["value"], event["unit"]) == ("phenol", 0.4, "mg/L")


def test_a_factor_has_one_metric(tmp_path: Path) -> None:
    folder = own_metrics(tmp_path)
    text = (folder / "mine.yaml").read_text("utf-8")
    (folder / "mine.yaml").write_text(text.replace("w23002", "a34004"), "utf-8")
    with pytest.raises(ConfigurationError, match="is that of 'pm25' already"):
        load(folder, environ={})


@pytest.mark.parametrize(
    ("arguments", "kind", "count"),
    [
        (("hj212", "telegrams.txt", "--register", "telegrams-register.csv"), "sensor", 4),
        (("edge", "windows.ndjson"), "sensor", 2),
        (("video", "seen.ndjson"), "sensor", 2),
        (("cap", "warning.xml"), "external", 2),
    ],
)
def test_the_examples_of_the_readme(arguments: tuple[str, ...], kind: str, count: int) -> None:
    files = [str(EXAMPLES / one) if "." in one else one for one in arguments]
    done = CliRunner().invoke(app, ["adapt", *files])
    assert (done.exit_code, done.stderr) == (0, "")
    events = [decode(kind, line.encode()) for line in done.stdout.splitlines()]
    assert len(events) == count
