"""``cityvitals register``: import, diff, unknown, over the log of a small city."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agents.city import City
from agents.commands import register as command
from agents.commands.cli import app
from agents.commands.expectations import keep
from agents.commands.folder import describe, write_about
from agents.commands.heard import Hearing
from agents.readers import time_of
from agents.recordings import Emitted, append
from schemas.events import decode
from schemas.loading import load
from schemas.refusal import Refused
from schemas.register import Device, Register, parse_register, write
from schemas.registers import read_register
from streams.log_store import LogStore
from streams.partitioning import partition_of
from streams.records import Chunk

HEAD = "device,topic,kind,place"
MINUTES = 20
INPUTS = {"city.sensor.v1": "sensor", "city.traffic.v1": "traffic"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["register", *map(str, arguments)])


def said(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


class SmallCity:
    """A data folder with the log of some minutes, and the register of all who speak in it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        city = City(seed=3, scale=0.05)
        emitted = [emission for k in range(MINUTES) for emission in city.minute(k)]
        configuration = load(environ={})
        counts = {topic.name: topic.partitions for topic in configuration.topics}
        store = LogStore(self.data)
        for name, count in counts.items():
            store.create_topic(name, count)
        batch = [
            Emitted(e.arrival_ms, e.topic, partition_of(e.key, counts[e.topic]), e.key, e.value)
            for e in emitted
        ]
        with store.transaction() as tx:
            append(tx, batch)
        write_about(store, describe(configuration))
        store.close()
        self.events: Counter[tuple[str, str]] = Counter()
        rows: dict[tuple[str, str], Device] = {}
        for emission in emitted:
            topic = INPUTS.get(emission.topic)
            if topic is None:
                continue
            try:
                event: Any = decode(topic, emission.value)
            except Refused:
                continue
            sensor = topic == "sensor"
            name = (event.device, event.metric) if sensor else (event.source_id, event.kind)
            self.events[name] += 1
            rows[name] = Device(
                name[0],
                topic,
                name[1],
                event.source,
                event.place,
                event.site or "",
                period_s=event.period_s if sensor else 60.0,
            )
        self.register = Register(rows.values())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallCity:
    return SmallCity(tmp_path_factory.mktemp("small"))


def test_import_makes_a_canonical_register(small: SmallCity, tmp_path: Path) -> None:
    source, into = tmp_path / "s.csv", tmp_path / "register.csv"
    head, *rows = write(small.register).splitlines()
    source.write_text("\n".join([head, *reversed(rows)]), "utf-8")
    first = run("import", source, "--into", into)
    assert first.exit_code == 0, first.output
    assert f"{len(rows)} added, 0 changed, 0 removed, 0 unchanged" in first.stdout
    assert "荔湾区" in first.stdout
    assert into.read_text("utf-8") == write(small.register)
    again = said(run("import", source, "--into", into, "--json"))
    assert (again["added"], again["unchanged"]) == (0, len(rows))
    assert again["digest"] == small.register.digest
    assert sum(again["kinds"].values()) == sum(again["districts"].values()) == len(rows)
    assert again["kinds"]["traffic/parking"] == len(small.register.of("traffic", "parking"))
    assert {len(place) for place in again["districts"]} == {6}


def test_import_replaces_device_by_device_or_all(tmp_path: Path) -> None:
    into, source = tmp_path / "register.csv", tmp_path / "s.csv"
    into.write_text(f"{HEAD}\nd1,sensor,rain,4401\nd1,sensor,pm25,4401\nd2,sensor,rain,4401\n")
    source.write_text(f"{HEAD}\nd1,sensor,rain,440103\nd3,sensor,rain,4401\n")
    merged = said(run("import", source, "--into", into, "--json"))
    assert [merged[name] for name in ("added", "changed", "removed", "unchanged")] == [1, 1, 0, 2]
    assert merged["districts"] == {"4401": 3, "440103": 1}
    replaced = said(run("import", source, "--into", into, "--replace", "--json"))
    assert [replaced[name] for name in ("added", "changed", "removed")] == [0, 0, 2]
    assert [row.device for row in read_register(into).devices] == ["d1", "d3"]


def test_a_faulty_source_changes_nothing(tmp_path: Path) -> None:
    into, source = tmp_path / "register.csv", tmp_path / "s.csv"
    into.write_text(f"{HEAD}\nd1,sensor,rain,4401\n")
    before = into.read_bytes()
    source.write_text(f"{HEAD}\nd1,sensor,rian,4401\nd2,sensr,rain,44\n")
    refused = run("import", source, "--into", into)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert [line.split(": ")[0] for line in refused.stderr.splitlines()] == [
        f"{source}:2:11",
        f"{source}:3:4",
        f"{source}:3:15",
    ]
    as_json = run("import", source, "--into", into, "--json")
    assert as_json.exit_code == 2
    assert len(said(as_json)["problems"]) == 3
    assert into.read_bytes() == before
    source.write_text(f"{HEAD}\nd2,sensor,rain,4401\n")
    into.write_text(f"{HEAD}\nd1,sensor,rain,44\n")
    target = run("import", source, "--into", into)
    assert target.exit_code == 2
    assert f"{into}:2:16" in target.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["register.csv", "s.csv"]


def test_import_of_what_is_not_there_or_can_not_be_written(tmp_path: Path) -> None:
    missing = run("import", tmp_path / "none.csv", "--into", tmp_path / "register.csv")
    assert missing.exit_code == 2
    assert "none.csv: cannot be read: No such file" in missing.stderr
    source = tmp_path / "s.csv"
    source.write_text(f"{HEAD}\nd1,sensor,rain,4401\n")
    away = run("import", source, "--into", tmp_path / "no" / "register.csv")
    assert away.exit_code == 3
    assert "can not be written" in away.stderr


def test_a_big_file_is_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "s.csv"
    source.write_text(f"{HEAD}\n" + "".join(f"d{i},sensor,rain,4401\n" for i in range(9000)))
    monkeypatch.setattr(command, "_BIG", 1)
    assert said(run("import", source, "--into", tmp_path / "r.csv", "--json"))["rows"] == 9000


def test_diff_says_what_changed(tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text(
        f"{HEAD},site\nd1,sensor,rain,4401,\nd2,sensor,rain,4401,\nd3,sensor,rain,4401,a\n"
    )
    new.write_text(
        f"site,{HEAD},since\n,d1,sensor,rain,440103,2026-03-01T00:00:00+08:00\n"
        "a,d3,sensor,rain,4401,\n,d4,sensor,rain,440104,\n"
    )
    found = run("diff", old, new)
    assert found.exit_code == 1
    assert found.stdout.splitlines() == [
        "~ d1 rain place: 4401 -> 440103, since: – -> 2026-02-28T16:00:00Z",
        "- d2 rain 4401 广州市",
        "+ d4 rain 440104 越秀区",
    ]
    lines = [json.loads(line) for line in run("diff", old, new, "--json").stdout.splitlines()]
    assert [(line["change"], line["device"]) for line in lines] == [
        ("changed", "d1"),
        ("removed", "d2"),
        ("added", "d4"),
    ]
    assert lines[0]["fields"] == {"place": ["4401", "440103"], "since": [0, 1_772_294_400_000]}
    equal = run("diff", old, old)
    assert (equal.exit_code, equal.stdout) == (0, "")
    assert run("diff", old, tmp_path / "none.csv").exit_code == 2


def test_who_speaks_without_being_registered(small: SmallCity, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    rows = list(small.register.devices)
    path.write_text(write(small.register), "utf-8")
    whole = run("unknown", "--register", path, "--data", small.data, "--json")
    assert whole.exit_code == 0, whole.output
    assert said(whole)["unknown"] == said(whole)["never_heard"] == []
    assert said(whole)["log"]["refused"] > 0

    left_out, moved = rows[0], next(row for row in rows if row.kind == "segment_flow")
    begin = said(whole)["log"]["first"]
    never = Device("gone-1", "sensor", "rain", "gz-meteo", "440103001", period_s=60.0)
    seldom = never._replace(device="gone-2", period_s=14_400.0)
    happening = never._replace(device="gone-3", kind="sos", period_s=0.0)
    ended = never._replace(device="gone-4", until=begin)
    kept = [row for row in rows if row not in (left_out, moved)]
    register = Register([*kept, moved._replace(until=begin), never, seldom, happening, ended])
    path.write_text(write(register), "utf-8")
    found = run("unknown", "--register", path, "--data", small.data, "--json")
    assert found.exit_code == 1
    told = said(found)
    unknown = {one["device"]: one for one in told["unknown"]}
    assert unknown.keys() == {left_out.device, moved.device}
    assert unknown[left_out.device]["why"] == "unlisted"
    assert unknown[moved.device]["why"] == "other_time"
    one = unknown[left_out.device]
    assert one["count"] == small.events[left_out.device, left_out.kind]
    assert one["place"] == left_out.place
    assert told["log"]["first"] <= one["first"] <= one["last"] <= told["log"]["last"]
    assert [row["device"] for row in told["never_heard"]] == ["gone-1"]
    assert told["not_judged"] == 3

    table = run("unknown", "--register", path, "--data", small.data)
    assert table.exit_code == 1
    assert left_out.device in table.stdout
    assert "gone-1" in table.stdout
    assert "gone-2" not in table.stdout
    assert "what the log still keeps" in table.stderr
    assert f"held against {path}: {len(register)} rows" in table.stderr


def test_a_register_of_the_working_directory_is_named(
    small: SmallCity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(LogStore(small.data)) as store:
        keep(store, small.register)
    own = run("unknown", "--data", small.data)
    rows = len(small.register)
    assert f"held against the register of the last run on {small.data}: {rows} rows" in own.stderr
    Path("register.csv").write_text(f"{HEAD}\nd1,sensor,rain,4401\n", "utf-8")
    here = run("unknown", "--data", small.data)
    assert "held against register.csv: 1 rows" in here.stderr


def test_long_tables_are_cut(
    small: SmallCity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "register.csv"
    path.write_text(f"{HEAD}\n")
    monkeypatch.setattr(command, "_SHOWN", 5)
    table = run("unknown", "--register", path, "--data", small.data)
    more = len(small.events) - 5
    assert f"… and {more} more: --json lists all" in table.stdout


def test_unknown_without_register_data_or_events(small: SmallCity, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    missing = run("unknown", "--register", path, "--data", small.data)
    assert missing.exit_code == 2
    assert "cityvitals register import" in missing.stderr
    path.write_text(f"{HEAD}\nd1,sensor,rain,4401\n")
    away = run("unknown", "--register", path, "--data", tmp_path / "none")
    assert away.exit_code == 3
    assert "cityvitals up" in away.stderr
    LogStore(tmp_path / "empty").close()
    empty = run("unknown", "--register", path, "--data", tmp_path / "empty")
    assert empty.exit_code == 0
    assert "nothing to look at" in empty.stderr


def chunk(*readings: dict[str, Any], partition: int = 0) -> Chunk:
    values = [json.dumps(reading).encode() for reading in readings]
    times = [reading["t"] for reading in readings]
    return Chunk("s", partition, range(len(values)), times, [None] * len(values), values)


def reading(device: str, t: int, **more: Any) -> dict[str, Any]:
    fields = {"device": device, "metric": "rain", "value": 0.2, "unit": "mm", "t": t}
    return fields | {"place": "440103001"} | more


def test_a_device_whose_records_are_refused_is_not_silent() -> None:
    start = 1_772_402_400_000
    rows = "".join(f"{name},sensor,rain,4401\n" for name in ("a", "b", "c"))
    hearing = Hearing(parse_register(f"{HEAD}\n{rows}", "r"))
    refused = reading("b", start, value=-5)
    hearing.take("sensor", chunk(reading("a", start), refused, reading("a", start + 600_000)))
    assert (hearing.records, hearing.refused) == (3, 1)
    assert [row.device for row in hearing.silent().never_heard] == ["c"]
    assert hearing.unknown() == []


def test_a_clock_that_runs_ahead_does_not_make_the_log_longer() -> None:
    start = 1_772_402_400_000
    hearing = Hearing(parse_register(f"{HEAD}\na,sensor,rain,4401\nb,sensor,rain,4401\n", "r"))
    ahead = chunk(reading("a", start), reading("a", start + 86_400_000))
    ahead.timestamps = [start, start]
    hearing.take("sensor", ahead)
    assert (hearing.first, hearing.last) == (start, start)
    assert hearing.silent() == ([], 1)


def test_what_is_heard_does_not_depend_on_chunks(small: SmallCity) -> None:
    def heard(at_once: int) -> tuple[Any, ...]:
        hearing = Hearing(Register())
        store = LogStore(small.data)
        for partition in range(store.partitions("city.sensor.v1")):
            at, end = 0, store.end_offset("city.sensor.v1", partition)
            while at < end:
                for record in store.records("city.sensor.v1", partition, at, at_once)[:at_once]:
                    values = ([record.timestamp], [record.key], [record.value])
                    offsets = range(record.offset, record.offset + 1)
                    hearing.take("sensor", Chunk("city.sensor.v1", partition, offsets, *values))
                    at = record.offset + 1
        store.close()
        return hearing.first, hearing.last, hearing.records, hearing.unknown()

    assert heard(7) == heard(4000)


def test_times_are_those_by_which_events_count() -> None:
    start = 1_772_402_400_000
    hearing = Hearing(Register())
    long = reading("a", start, t_end=start + 60_000)
    hearing.take("sensor", chunk(long))
    assert hearing.unknown()[0].last == time_of(decode("sensor", json.dumps(long).encode()))


@pytest.mark.parametrize("name", ["import", "diff", "unknown"])
def test_help_teaches(name: str) -> None:
    ended = run(name, "--help")
    assert ended.exit_code == 0
    assert f"cityvitals register {name}" in ended.output.split("Examples")[1]
