"""The comparison of engines: its oracle by hand, its frozen log, and a small run of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agents.outputs import DEVICE_VITALS, VITALS_LOG
from streams.partitioning import partition_of
from tests.bench import frozen_log, own
from tests.bench.compare import Contest, compare
from tests.bench.engines import CannotRunError, Engine
from tests.bench.installs import peers_folder
from tests.bench.job import Job, Oracle, describe
from tests.bench.roster import engines
from tests.bench.standings import row_of
from tests.kafka.broker import Broker

T = 1_772_402_400_000
ONE, TWO = "440111001001001", "440111002001001"


def reading(device: str, seconds: int, value: object, place: str) -> str:
    t = T + seconds * 1000
    return json.dumps({"device": device, "value": value, "t": t, "place": place})


LINES = [
    reading("a", 1, 1.5, ONE),
    reading("b", 2, 2.0, TWO),
    reading("b", 3, 2.0, TWO)[:30],
    reading("b", 3, "n/a", TWO),
    '{"device":"b","value":7,"t":null,"place":"440111002001001"}',
    reading("\\u0061", 12, -3, ONE).replace("\\\\", "\\"),
    reading("a", 50, 4, ONE),
    reading("b", 16, 1, TWO),  # 34 s behind: late, and counts
    reading("b", 14, 9, TWO),  # 36 s behind: does not
]


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    log = tmp_path / "log.ndjson"
    log.write_text("".join(f"{line}\n" for line in LINES), "utf-8")
    return Oracle(log, Job(partitions=1))


def windows(oracle: Oracle, level: str, window_s: int) -> list[tuple[object, ...]]:
    """Key, start in seconds, count, sum, minimum and maximum."""
    return [
        (key, (start - T) // 1000, *numbers)
        for at, size, key, start, *numbers in oracle.rows()
        if (at, size) == (level, window_s)
    ]


def test_the_oracle_says_what_was_worked_out_by_hand(oracle: Oracle) -> None:
    """Windows of 10 s::

    a   1.5 |   -3 |     |     |     |  4
    b     2 |    1 |     |     |     |        and 9, which came too late
        0     10     20    30    40    50    60
    """
    assert windows(oracle, "device", 10) == [
        ("a", 0, 1, 1.5, 1.5, 1.5),
        ("a", 10, 1, -3.0, -3.0, -3.0),
        ("a", 50, 1, 4.0, 4.0, 4.0),
        ("b", 0, 1, 2.0, 2.0, 2.0),
        ("b", 10, 1, 1.0, 1.0, 1.0),
    ]
    assert windows(oracle, "city", 10) == [
        ("4401", 0, 2, 3.5, 1.5, 2.0),
        ("4401", 10, 2, -2.0, -3.0, 1.0),
        ("4401", 50, 1, 4.0, 4.0, 4.0),
    ]
    assert [row[0] for row in windows(oracle, "street", 10)] == ["440111001"] * 3 + [
        "440111002"
    ] * 2
    city = {row[1]: row[2:] for row in windows(oracle, "city", 60)}
    assert city[0] == (5, 5.5, -3.0, 4.0)
    assert city[-50] == (2, 3.5, 1.5, 2.0)
    assert city[10] == (3, 2.0, -3.0, 4.0)
    assert sorted(city) == list(range(-50, 51, 10))
    facts = oracle.facts
    assert (facts["well_formed"], facts["late"], facts["beyond"]) == (6, 1, 1)
    assert facts["windows"] == len(oracle.rows())


def test_of_many_devices_long_windows_begin_at_the_grid(tmp_path: Path) -> None:
    log, job = tmp_path / "log.ndjson", Job(partitions=1, device_hops=False)
    log.write_text("".join(f"{line}\n" for line in LINES), "utf-8")
    levels = {row[0] for row in Oracle(log, job).rows() if row[1] == 60}
    assert levels == {"grid", "street", "district", "city"}
    signs = own.configured("kafka://127.0.0.1:9092", "", "g", job).signs
    assert {"device" in sign.keys for sign in signs if sign.window.size_s == 60} == {False}
    assert {"device" in sign.keys for sign in signs if sign.window.size_s == 10} == {True}


def test_results_are_held_against_it(oracle: Oracle, tmp_path: Path) -> None:
    lines = [",".join(map(str, row)) for row in oracle.rows()]
    sent, count, end = tmp_path / "sent.csv", len(lines), T + 110_000

    def check(rows: list[str]) -> dict[str, int]:
        sent.write_text("".join(f"{row}\n" for row in rows), "utf-8")
        return oracle.check([sent], end)

    assert check(lines)["equal"] == count
    assert describe(check(lines)) == f"equal ({count} windows)"
    assert check([*lines, f"device,10,end-0,{end},1,0.0,0.0,0.0"])["extra"] == 0
    assert check(lines[1:])["missing"] == 1
    assert check([*lines, lines[0]])["repeated"] == 1
    # The last row of a window counts; sums may differ by rounding, minimum and maximum may not.
    place = lines.index(f"device,10,a,{T},1,1.5,1.5,1.5")
    rounded = f"device,10,a,{T},1,1.5000000000001,1.5,1.5"
    assert check([*lines[:place], rounded, *lines[place + 1 :]])["equal"] == count
    wrong = f"device,10,a,{T},1,1.5,1.4,1.5"
    found = check([*lines[:place], wrong, *lines[place + 1 :]])
    assert (found["equal"], found["different"], found["untimely"]) == (count - 1, 1, 0)
    place = lines.index(f"device,10,b,{T + 10_000},1,1.0,1.0,1.0")
    found = check([*lines[:place], f"device,10,b,{T + 10_000},2,10.0,1.0,9.0", *lines[place + 1 :]])
    assert (found["different"], found["untimely"]) == (1, 1)
    assert "1 hold events later than 35 s" in describe(found)


def test_results_of_places_and_of_devices_are_read() -> None:
    common = {"vital": "bench.sum_10", "t_start": T, "rev": 1}
    place = {**common, "key_level": "city", "key": "4401", "value": 2.5, "n": 2, "reason": None}
    assert list(own.rows("first9." + VITALS_LOG, json.dumps(place).encode())) == [
        f"bench.sum_10,city,4401,{T},2,2.5,1,false"
    ]
    sign = {"vital": "bench.sum_10", "value": [1.5, None], "reason": [None, "warming"]}
    window = {"key_level": "device", "t_start": T, "rev": 1}
    devices = {**window, "key": ["a", "b"], "n": [1, 3], "vitals": [sign]}
    assert list(own.rows("first9." + DEVICE_VITALS, json.dumps(devices).encode())) == [
        f"bench.sum_10,device,a,{T},1,1.5,1,false",
        f"bench.sum_10,device,b,{T},3,,1,true",
    ]


@pytest.mark.parametrize(
    ("events", "devices", "least"),
    [(20_000_000, 100, 100_000), (20_000_000, 100_000, 1_000_000), (300_000, 100_000, 300_000)],
)
def test_prefixes_have_ten_events_a_device(
    events: int, devices: int, least: int, tmp_path: Path
) -> None:
    log = frozen_log.FrozenLog(tmp_path, events, {}, 4)
    contest = Contest(tmp_path, log, devices, Job(), None, "", seconds=30.0)
    assert contest.least() == least


def test_the_log_ends_in_every_partition(tmp_path: Path) -> None:
    log = frozen_log.make(tmp_path / "log", 3000, 100, 5)
    assert sum(log.planted.values()) > 100
    prefix = log.prefix(1000)
    records = list(prefix.records())
    assert len(records) == 1004
    whole = log.path.read_bytes().splitlines()
    assert [record.value for record in records[:1000]] == whole[:1000]
    assert all(r.partition == partition_of(r.key, 4) for r in records)
    assert all(r.key.startswith(b"pm-") for r in records[:1000])
    ends = records[1000:]
    assert {record.partition for record in ends} == {0, 1, 2, 3}
    assert all(r.key.startswith(b"end-") and r.logged == prefix.last for r in ends)
    assert max(r.logged for r in records[:1000]) + frozen_log.AHEAD_MS == prefix.last


def test_an_engine_that_can_not_run_has_a_row(tmp_path: Path) -> None:
    def ready() -> None:
        raise CannotRunError("is not for this machine")

    def run(_: object) -> object:
        raise AssertionError

    absent = Engine("absent", "Absent 1.0", run, ready, batch=True)  # type: ignore[arg-type]
    row = row_of(absent, None, 100, [], "is not for this machine")
    assert (row["label"], row["reason"]) == ("Absent 1.0", "is not for this machine")


def test_the_command_teaches() -> None:
    def said(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.bench.compare", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    taught = said("--help").stdout
    assert all(word in taught for word in ("--events", "--engines", "--json", "kafka-streams"))
    wrong = said("--engines", "fink")
    assert (wrong.returncode, "unknown engine 'fink'" in wrong.stderr) == (2, True)


@pytest.mark.kafka
def test_engines_come_to_the_same(broker: Broker) -> None:
    known = engines(peers_folder())
    chosen = [known[name] for name in ("cityvitals", "faust", "duckdb")]
    report = compare(chosen, events=3000, devices=100, period_s=5, runs=1, seconds=0, broker=broker)
    own, faust, duckdb = report["rows"]
    for row in report["rows"]:
        assert row["events"] == 3000, row
        check = row["check"]
        assert (check["different"], check["missing"], check["repeated"]) == (0, 0, 0), row
        assert check["equal"] + check["warming"] == check["windows"]
        assert row["ratio"] > 0
        assert row["cpu_us_per_event"] > 0
        assert row["events_per_device"] == 30
        assert row["windows_per_event"] == round(check["windows"] / 3000, 2)
        assert row["rows_per_event"] >= row["windows_per_event"]
    assert own["check"]["extra"] == faust["check"]["extra"] == 0
    # It takes what came too late: windows that are no others' are all of such events.
    assert duckdb["check"]["extra"] == duckdb["check"]["untimely"]
    assert faust["told"]["malformed"] == own["told"]["malformed"] == report["planted"]["malformed"]
    assert faust["told"]["late"] == own["told"]["late"]
    assert faust["check"]["equal"] == faust["check"]["windows"]
