"""Records of other shapes: what becomes of them, why they are refused, and what a check says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.documents import ConfigurationError
from schemas.loading import load
from schemas.record_shapes import RecordShape
from schemas.refusal import Refused
from schemas.shaping import Shaper
from tests.schemas.test_configuration import SMALL

POWER: dict[str, Any] = {
    "time": {"of": "timestamp"},
    "fields": {"device": "identifier", "value": "valueInW"},
    "constants": {"metric": "active_power", "unit": "W", "place": "4401", "period_s": 1},
}
ROAD: dict[str, Any] = {
    "key": {"ends": "="},
    "time": {"of": "timestamp", "format": "%Y-%m-%d %H:%M:%S.%f", "offset": "+01:00"},
    "fields": {"flow_vph": "flow", "period_s": "period", "lanes": "num_lanes"},
    "from_key": {"source_id": 2, "lane": 1},
    "constants": {"kind": "segment_flow", "place": "4401"},
}
LINE = (
    b'nl/a/b/RWS_7/lane2= {"lat":51.4,"long":5.4,"flow":900,"period":60,"accuracy":100,'
    b'"timestamp":"2017-03-15 14:41:00.0","num_lanes":2}'
)


def shaper(kind: str, shape: dict[str, Any], **changes: Any) -> Shaper:
    return Shaper(kind, RecordShape.model_validate(shape | changes))


def test_a_record_of_power() -> None:
    raw = b'{"identifier":"s_0","timestamp":1645564942000,"valueInW":1234.56,"other":[1]}'
    read = shaper("sensor", POWER)
    event: Any = read.decode(raw)
    assert (event.device, event.metric, event.value) == ("s_0", "active_power", 1234.56)
    assert (event.t, event.place, event.period_s) == (1645564942000, "4401", 1)
    assert read.head(raw) == (b"s_0", 1645564942000)


def test_a_record_behind_its_key() -> None:
    read = shaper("traffic", ROAD)
    event: Any = read.decode(LINE)
    assert (event.source_id, event.lane) == ("RWS_7/lane2", "lane2")
    assert (event.flow_vph, event.period_s, event.lanes, event.lat) == (900, 60, 2, None)
    assert event.t == 1489585260000  # 13:41:00Z
    assert read.head(LINE) == (b"RWS_7/lane2", 1489585260000)


@pytest.mark.parametrize(
    ("time", "written", "t"),
    [
        ({"format": "epoch_s"}, b"1489585260", 1489585260000),
        ({"format": "epoch_s"}, b"1489585260.25", 1489585260250),
        ({"format": "rfc3339"}, b'"2017-03-15T14:41:00+01:00"', 1489585260000),
        ({"format": "%d.%m.%Y %H:%M:%S %z"}, b'"15.03.2017 14:41:00 +0100"', 1489585260000),
        ({"format": "%d.%m.%Y %H:%M:%S", "offset": "-05:30"}, b'"15.03.2017 08:11:00"', None),
    ],
)
def test_forms_of_a_time(time: dict[str, str], written: bytes, t: int | None) -> None:
    read = shaper("sensor", POWER, time={"of": "head.at"} | time)
    raw = b'{"identifier":"s_0","valueInW":1,"head":{"at":%s}}' % written
    assert read.decode(raw).t == (t or 1489585260000)
    assert read.head(raw) == (b"s_0", t or 1489585260000)


@pytest.mark.parametrize(
    ("raw", "code", "where"),
    [
        (b'{"identifier":"s","timestamp":1645564942000}', "missing_field", "$.valueInW"),
        (b'{"identifier":"s","timestamp":1645564942000,"valueInW":null}', "missing_field", None),
        (b'{"identifier":7,"timestamp":1645564942000,"valueInW":1}', "wrong_type", "$.identifier"),
        (b'{"identifier":"s","timestamp":1645564942000,"valueInW":1e9}', "out_of_range", None),
        (b'{"identifier":"s","timestamp":1645564942000,"valueInW":1e999}', "not_finite", "$"),
        (b'{"identifier":"s","timestamp":1645564942,"valueInW":1}', "bad_time", "$.timestamp"),
        (b'{"identifier":"s","valueInW":1}', "missing_field", "$.timestamp"),
        (b'{"identifier":"a\\u0000","timestamp":1645564942000,"valueInW":1}', None, None),
        (b'{"identifier":"s","valueInW":NaN}', "not_finite", "byte 29"),
        (b'["s"]', "wrong_type", "$"),
        (b"", "malformed", "byte 0"),
        (b'{"identifier":"\xff"}', "not_utf8", "byte 15"),
        (b"[" * 5000, None, None),
        (b" " * 70_000, "too_large", "byte 65536"),
    ],
)
def test_what_is_no_record_of_power(raw: bytes, code: str | None, where: str | None) -> None:
    read = shaper("sensor", POWER)
    with pytest.raises(Refused) as refused:
        read.decode(raw)
    assert code in (None, refused.value.code)
    assert where in (None, refused.value.where)
    read.head(raw)


@pytest.mark.parametrize(
    ("raw", "code", "where", "hint"),
    [
        (LINE.replace(b"=", b":"), "malformed", "byte 0", "KEY="),
        (LINE.replace(b"nl/a/b/RWS_7/", b""), "missing_field", "key", "2 parts"),
        (LINE.replace(b"RWS_7", b""), "missing_field", "key", "2 parts"),
        (LINE.replace(b"14:41:00.0", b"14:41"), "bad_time", "$.timestamp", "%H:%M:%S.%f"),
        (LINE.replace(b'"flow":900', b'"flow":"many"'), "wrong_type", "$.flow", "a number"),
        (LINE.replace(b'"flow":900', b'"flow":NaN'), "not_finite", "byte 50", "leave"),
        (b"\xff= {}", "not_utf8", "byte 0", "UTF-8"),
    ],
)
def test_what_is_no_record_behind_a_key(raw: bytes, code: str, where: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        shaper("traffic", ROAD).decode(raw)
    assert (refused.value.code, refused.value.where) == (code, where)
    assert hint in refused.value.hint
    assert shaper("traffic", ROAD).head(raw)[1] in (None, 1489585260000)


SHAPED = """\
  - name: power
    kind: sensor
    allowed_lateness_s: 0
    record:
      time: {of: timestamp}
      fields: {device: identifier, value: valueInW}
      constants: {metric: active_power, unit: W, place: "4401"}
signs:
"""


def problems(tmp_path: Path, old: str, new: str) -> list[str]:
    assert old in SHAPED
    text = SMALL.replace("signs:\n", SHAPED.replace(old, new), 1)
    path = tmp_path / "c.yaml"
    path.write_text(text)
    try:
        load(path, environ={})
    except ConfigurationError as error:
        return [str(problem).removeprefix(f"{path}:") for problem in error.problems]
    return []


def test_a_shape_that_is_right(tmp_path: Path) -> None:
    assert problems(tmp_path, "power", "power") == []


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("device:", "devise:", "12:24", "no field 'devise': did you mean 'device'?"),
        ("device: identifier, ", "", "12:15", "a sensor event needs device"),
        ("device:", "t:", "12:19", "the time is told by time"),
        ("{metric:", "{value: 1, metric:", "13:26", "'value' stands under fields too"),
        ('"4401"', '"44"', "13:57", "is not a place code"),
        ("active_power", "activ_power", "13:27", "did you mean 'active_power'?"),
        ("unit: W", "unit: kW", "13:47", "active_power comes in W"),
        ("unit: W", "unit: W, seq: x", "13:55", "no value of 'seq': expected `int"),
        ("of: timestamp", "of: at, format: epoch", "11:30", "did you mean 'epoch_"),
        ("of: timestamp", 'of: at, format: "%H:%M"', "11:30", "no pattern of a whole time"),
        ("of: timestamp", 'of: at, format: "%Y-%m-%d %H:%M"', "11:30", "states no offset"),
        ("of: timestamp", 'of: at, offset: "+01:00"', "11:30", "states its own"),
        ("of: timestamp", "of: at, offset: CET", "11:30", "an offset from UTC, such as +01:00"),
        ("of: timestamp", "on: timestamp", "11:14", "unknown field 'on'"),
        ("      fields", "      from_key: {site: 1}\n      fields", "12:17", "needs key"),
    ],
)
def test_a_shape_that_is_wrong(
    tmp_path: Path, old: str, new: str, where: str, message: str
) -> None:
    found = problems(tmp_path, old, new)
    assert any(p.startswith(f"{where}:") and message in p for p in found), found


def test_places_of_the_source_become_ours() -> None:
    shape = RecordShape.model_validate(
        {
            "time": {"of": "ts"},
            "fields": {"device": "sn", "value": "mm", "place": "grid"},
            "constants": {"metric": "rain", "unit": "mm"},
            "places": {"BY-0712": "440111004003012"},
        }
    )
    shaper = Shaper("sensor", shape)
    record = {"sn": "d", "mm": 1.5, "ts": 1_772_402_400_000, "grid": "BY-0712"}
    assert shaper.decode(json.dumps(record).encode()).place == "440111004003012"
    with pytest.raises(Refused) as refused:
        shaper.decode(json.dumps({**record, "grid": "BY-0713"}).encode())
    assert (refused.value.code, refused.value.where) == ("bad_place", "$.grid")
    assert "BY-0713" not in str(refused.value)
