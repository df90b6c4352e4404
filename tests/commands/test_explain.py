"""``cityvitals explain``, and the replay of a data folder that it prints."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from agents.commands.cli import app
from agents.commands.explain import plot_of, show
from agents.commands.folder import About
from agents.commands.plot import THRESHOLD, UP, Line, Mark, Plot, Point
from agents.commands.sources import KafkaSource
from agents.commands.story import ON_KAFKA, Story, tell
from agents.engine import CONSUMER
from agents.outputs import ALERT_LOG, ALERTS, VITALS_LOG
from agents.recordings import copied, past_of
from schemas.loading import CATALOGUE
from streams.kafka.reading import Row
from streams.log_store import LogStore
from streams.log_types import Latest
from streams.records import Lane
from tests.commands.console import SCRIPT, CityRun, Cli, here, started

MINUTE = 60_000
START_MS = 1_772_402_400_000
"""2026-03-02 06:00 in Guangzhou."""

FLOODED, FULL, DRY = "underpass-flooded", "underpass-full", "underpass-dry"


def flooded() -> Iterator[dict[str, Any]]:
    """Readings of an underpass that is flooded and drained; of one that fills; of one that seems to
    be dry; and of a second gauge there, whose link was down while it was not.
    """
    for i in range(56):
        t = START_MS + i * 30_000
        depth = 2.0 if i < 6 else 12.0 if i < 12 else 30.0 if i < 20 else 2.5
        yield {"device": "gauge-0", "value": depth, "t": t, "site": FLOODED}
        depth = 2.0 if i < 40 else 12.0 if i < 46 else 45.5
        yield {"device": "gauge-1", "value": depth, "t": t, "site": FULL}
        yield {"device": "gauge-2", "value": 2.0, "t": t, "site": DRY}
    for i in range(9):
        t = START_MS + 20 * MINUTE + 1 + i * 10_000
        late = {"device": "gauge-3", "value": 16.0, "t": t, "site": DRY}
        yield late | {"t_ingest": t + 4 * MINUTE}


@dataclass
class Run:
    """A replayed city: its data folder, configuration, and the alerts it ended with."""

    data: Path
    config: Path
    alerts: list[dict[str, Any]]

    def alert(self, **wanted: Any) -> dict[str, Any]:
        return next(a for a in self.alerts if wanted.items() <= a.items())

    def bytes_of(self, alert_id: str) -> list[bytes]:
        with opened(self.data) as store:
            records = store.every_record(ALERT_LOG)
            return [r.value for r in records if r.key == alert_id.encode()]


class opened:  # noqa: N801 - reads as a call
    def __init__(self, folder: Path) -> None:
        self.store = LogStore(folder)

    def __enter__(self) -> LogStore:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


@pytest.fixture(scope="module")
def run(cli: Cli, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("explain")
    own, data, config = folder / "logs", folder / "the data", folder / "the catalogue"
    shutil.copytree(logs, own)
    same = {"metric": "water_depth", "unit": "cm", "place": "440111004"}
    lines = sorted(flooded(), key=lambda reading: reading.get("t_ingest", reading["t"]))
    (own / "city.sensor.v1.1.ndjson").write_text(
        "".join(json.dumps(reading | same) + "\n" for reading in lines)
    )
    shutil.copytree(CATALOGUE, config)
    ended = cli("replay", own, "--data", data, "--config", config)
    assert ended.code == 0, ended.err
    return Run(data, config, here("alerts", "--data", data, "--all", "--json").lines)


def shell(command: str) -> subprocess.CompletedProcess[bytes]:
    """A command as a person would paste it."""
    path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, env={**os.environ, "PATH": path}, check=False
    )


@pytest.mark.parametrize("case", ["cleared", "late"])
def test_the_printed_command_gives_the_same_bytes(run: Run, case: str) -> None:
    cleared = {"rule": "drain.depth", "key": FLOODED, "state": "cleared"}
    late = {"rule": "drain.depth", "key": DRY, "late": True}
    alert = run.alert(**{"cleared": cleared, "late": late}[case])
    told = here("explain", alert["alert_id"][:8], "--data", run.data, "--json").lines[0]
    assert told["alert"] == alert
    command = told["replay"]
    assert f"--config {shlex.quote(str(run.config))}" in command
    assert ("--until" in command) == (case != "late")
    again = shell(command)
    assert again.returncode == 0, again.stderr
    expected = run.bytes_of(alert["alert_id"])
    assert again.stdout.splitlines() == expected
    assert told["transitions"] == [json.loads(raw) for raw in expected]
    found = [transition["transition"] for transition in told["transitions"]]
    assert found[0] == "raised"
    assert case == "late" or {"escalated", "cleared"} <= set(found)


def test_the_whole_folder_gives_all_of_its_bytes(run: Run, cli: Cli, tmp_path: Path) -> None:
    before = (run.data / "city.db").read_bytes()
    with opened(run.data) as store, store.transaction() as tx:
        tx.set_meta("secret", b"key of the callers")
    arguments = ("--data", tmp_path / "again", "--config", run.config)
    ended = cli("replay", run.data, *arguments, "--json")
    assert ended.code == 0, ended.err
    with opened(run.data) as old, opened(tmp_path / "again") as new:
        assert new.meta("secret") == b"key of the callers"
        for topic in old.topics():
            for partition in range(topic.partitions):
                had, has = (
                    Counter((r.key, r.value, r.headers) for r in s.every_record(topic.name, 0))
                    if topic.compacted
                    else [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in records]
                    if topic.name in {lane.topic for lane in lanes_of(old)}
                    else Counter((r.key, r.value, r.headers) for r in records)
                    for s in (old, new)
                    for records in [s.every_record(topic.name, partition)]
                )
                assert had == has, topic
    assert len(before) > 0
    refused = cli("replay", run.data, *arguments)
    assert refused.code == 2
    assert "holds data: choose a new folder" in refused.err


def lanes_of(store: LogStore) -> list[Lane]:
    return [lane for lane in store.end_offsets() if store.committed(CONSUMER, lane) is not None]


def test_ticks_of_a_live_city_are_obeyed(city: CityRun, cli: Cli) -> None:
    with opened(city.data) as store:
        said = Counter(r.value for t in (VITALS_LOG, ALERT_LOG) for r in store.every_record(t))
        said = Counter({value: n for value, n in said.items() if b'"live":true' not in value})
        assert store.end_offset("city.ticks.v1", 0) > 0
    ended = cli("replay", city.data, "--json")
    assert ended.code == 0, ended.err
    assert Counter(line.encode() for line in ended.out.splitlines()[:-1]) == said


def test_what_a_person_is_told(run: Run) -> None:
    alert = run.alert(rule="drain.depth", key=FULL)
    ended = here("explain", alert["alert_id"][:6], "--data", run.data)
    assert (ended.code, ended.err) == (0, "")
    for words in (
        "道路积水深度 road water depth  underpass-full 景泰街道  红 red  报警 raised",
        alert["alert_id"],
        "始于 onset    2026-03-02 06:2",
        # It has not come to that yet, and rises.
        " cm · 阈值 threshold ≥ 40 cm",
        "raised one level early: reaches 40 cm in",
        "(drain.rise_rate)",
        "GB 50014-2021",
        "(proposal)",
        "升级 escalated",
        alert["why"]["config"],
        "┄ red",
        "━━━",
        f"--alert {alert['alert_id']} --config",
    ):
        assert words in ended.out, words
    assert "\x1b" not in ended.out


def test_the_worst_one_that_stands_is_meant(run: Run) -> None:
    standing = [a for a in run.alerts if a["state"] != "cleared"]
    (told,) = here("explain", "--data", run.data, "--json").lines
    assert told["alert"]["level"] == max(a["level"] for a in standing)
    why = told["alert"]["why"]
    assert told["window"] == {"t_start": why["t_start"], "t_end": why["t_end"]}
    assert list(told) == [
        *("alert", "transitions", "window", "n", "threshold", "threshold_source", "standing"),
        *("model", "expected", "band", "series", "replay", "replay_note"),
    ]
    assert {"t_end", "value", "reason", "level", "rev"} == set(told["series"][0])
    times = [row["t_end"] for row in told["series"]]
    assert times == sorted(times)
    assert times[0] < told["alert"]["t_onset"] <= times[-1]


def test_the_table_shows_what_explain_takes(run: Run) -> None:
    listed = here("alerts", "--data", run.data).out
    for alert in run.alerts:
        assert (alert["alert_id"][:8] in listed) == (alert["state"] != "cleared")


def test_ids_that_name_no_alert(run: Run, cli: Cli) -> None:
    known = run.alerts[0]["alert_id"]
    wrong = known[:7] + ("0" if known[7] != "0" else "1")
    ended = here("explain", wrong, "--data", run.data)
    assert (ended.code, ended.out) == (1, "")
    assert f"no alert {wrong}" in ended.err
    assert known in ended.err
    assert here("explain", known[:3], "--data", run.data).code == 2
    assert cli("replay", run.data, "--alert", wrong, "--config", run.config).code == 1


def test_an_id_that_may_be_two(tmp_path: Path) -> None:
    alerts = [ALERT | {"alert_id": f"abcd{i}", "key": f"44011{i}"} for i in range(2)]
    with opened(tmp_path / "d") as store:
        store.create_topic(ALERTS, 1, compacted=True)
        with store.transaction() as tx:
            keys = [alert["alert_id"].encode() for alert in alerts]
            tx.append(ALERTS, 0, [0, 0], keys, [orjson.dumps(alert) for alert in alerts])
    ended = here("explain", "abcd", "--data", tmp_path / "d")
    assert (ended.code, ended.out) == (2, "")
    assert "abcd0" in ended.err
    assert "abcd1" in ended.err
    assert "440111" in ended.err
    one = here("explain", "ABCD1", "--data", tmp_path / "d")
    assert one.code == 0
    assert "no longer kept" in one.out


def test_a_log_that_was_trimmed_promises_nothing(run: Run, cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "d"
    shutil.copytree(run.data, data)
    lane = Lane("city.sensor.v1", 2)
    with opened(data) as store:
        with store.transaction() as tx:
            tx.append(*lane, [START_MS + 30 * MINUTE], [b""], [b"{}"])
        assert store.delete(lane, store.batches(lane)[-1][0])
    told = here("explain", "--data", data, "--json").lines[0]
    assert told["replay"] is None
    assert f"{lane} begins at offset" in told["replay_note"]
    assert "is kept from 2026-03-02 06:30 on" in told["replay_note"]
    assert "--retain" in told["replay_note"]
    refused = cli("replay", data, "--config", run.config, "--json")
    assert (refused.code, refused.out) == (2, "")
    assert told["replay_note"].removeprefix(f"the log of {data}") in refused.err


def test_an_alert_that_comes_out_differently_is_a_finding(
    run: Run, cli: Cli, tmp_path: Path
) -> None:
    data = tmp_path / "d"
    shutil.copytree(run.data, data)
    name = run.alerts[0]["alert_id"]
    with opened(data) as store, store.transaction() as tx:
        tx.append(ALERT_LOG, 0, [0], [name.encode()], [run.bytes_of(name)[0]])
    ended = cli("replay", data, "--alert", name, "--config", run.config, "--json")
    assert ended.code == 1
    assert f"alert {name} has other bytes" in ended.err
    assert ended.out.encode().splitlines() == run.bytes_of(name)


def test_another_configuration_is_named_and_refused(run: Run, cli: Cli) -> None:
    changed = {"CITYVITALS__FORGET_S": "43200"}
    told = here("explain", "--data", run.data, "--json", env=changed).lines[0]
    assert told["replay"] is None
    assert told["alert"]["why"]["config"] in told["replay_note"]
    assert f"--config {run.config}" in told["replay_note"]
    alert = run.alerts[0]["alert_id"]
    refused = cli("replay", run.data, "--alert", alert, "--config", run.config, env=changed)
    assert refused.code == 2
    assert "was judged by configuration" in refused.err


def test_options_that_do_not_go_together(run: Run, logs: Path) -> None:
    for arguments, word in (
        ((logs, "--alert", "abcd"), "go with a data folder"),
        ((logs, "--until", "2026-03-02T06:00:00Z"), "go with a data folder"),
        ((run.data, "--speed", "60"), "leave out"),
        ((run.data, "--topic", "city.sensor.v1"), "leave out"),
        ((run.data, logs), "replay it alone"),
        ((run.data, "--until", "2026-03-02T06:00:00"), "has no offset"),
        ((run.data, "--until", "noon"), "is no time"),
    ):
        ended = CliRunner().invoke(app, ["replay", *map(str, arguments)])
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert word in " ".join(ended.stderr.replace("│", "").split()), ended.stderr


def stands(data: Path) -> bool:
    """Whether a folder holds an alert by now."""
    if not (data / "city.db").exists():
        return False
    with opened(data) as store:
        return any(topic.name == ALERTS for topic in store.topics()) and any(store.latest(ALERTS))


def test_beside_an_engine_at_work(run: Run, tmp_path: Path) -> None:
    data, logs = tmp_path / "d", run.data.parent / "logs"
    with started("replay", logs, "--data", data, "--speed", "60") as process:
        until = time.monotonic() + 80
        while not stands(data) and time.monotonic() < until:
            time.sleep(0.1)
        told = here("explain", "--data", data, "--json")
        again = shell(told.lines[0]["replay"])
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 0, err
    assert again.returncode == 0, again.stderr
    assert [json.loads(line) for line in again.stdout.splitlines()] == told.lines[0]["transitions"]


def test_a_past_is_copied_as_it_stood(tmp_path: Path) -> None:
    """Offsets, times, keys and headers, lane by lane, and nothing behind what was judged."""
    lane = Lane("city.sensor.v1", 0)
    with opened(tmp_path / "old") as old, opened(tmp_path / "new") as new:
        for store in (old, new):
            store.create_topic(lane.topic, 2)
        with old.transaction() as tx:
            tx.append(*lane, [5, 4], [b"a", None], [b"1", b"2"])
            tx.append(*lane, [3], [b"b"], [b"3"], (("x-redrive", b"1"),))
            tx.append(lane.topic, 1, [1], [b"c"], [b"4"])
            tx.append(*lane, [9, 9], [b"d", b"e"], [b"5", b"6"])
            tx.commit(CONSUMER, {lane: 4, Lane(lane.topic, 1): 1})
        past = past_of(old, CONSUMER, [lane, Lane(lane.topic, 1), Lane("city.hotline.v1", 0)])
        assert list(copied(new, past)) == [(9, 5, 10)]
        assert list(new.every_record(lane.topic)) == list(old.every_record(lane.topic))[:4]
        assert list(new.every_record(lane.topic, 1)) == list(old.every_record(lane.topic, 1))


# -- what is drawn

WHY: dict[str, Any] = {
    "t_start": START_MS + 4 * MINUTE,
    "t_end": START_MS + 5 * MINUTE,
    "n": 12,
    "value": 9.0,
    "threshold": 6.0,
    "compare": "gt",
    "expected": 3.0,
    "band": [1.0, 6.0],
    "score": 0.75,
    "model": "seasonal",
    "threshold_source": "end of the band",
    "standing": "none",
    "coverage": 0.5,
    "config": "1+abc",
    "contributors": [{"key": "440111", "value": 9.0}],
}
ALERT: dict[str, Any] = {
    "alert_id": "abcdef01",
    "rule": "traffic.flow",
    "kind": "anomaly",
    "key_level": "city",
    "key": "4401",
    "place": "4401",
    "state": "cleared",
    "transition": "cleared",
    "level": 2,
    "max_level": 2,
    "t_onset": START_MS + 5 * MINUTE,
    "t_raised": START_MS + 5 * MINUTE,
    "t_update": START_MS + 12 * MINUTE,
    "t_cleared": START_MS + 12 * MINUTE,
    "late": False,
    "value": 9.0,
    "unit": "veh",
    "acked": True,
    "shelved_until": None,
    "suppressed_by": None,
    "annotations": {"title_zh": "流量", "title_en": "flow"},
    "why": WHY,
}


def results() -> Iterator[dict[str, Any]]:
    for i in range(20):
        value = None if 14 <= i <= 15 else 9.0 if 5 <= i < 12 else 2.0 + i % 3
        reason = "uncovered" if value is None else None
        row = {"t_end": START_MS + i * MINUTE, "value": value, "reason": reason, "level": None}
        yield row | {"rev": 0, "final": False}


@pytest.fixture
def anomaly() -> Story:
    later = {"transition": "raised", "state": "raised", "t_update": START_MS + 5 * MINUTE}
    transitions = [orjson.dumps(ALERT | later), orjson.dumps(ALERT)]
    about = About(signs={"traffic.flow": "流量 flow"})
    return Story(orjson.dumps(ALERT), ALERT, transitions, list(results()), about, None, ON_KAFKA)


def test_an_anomaly_says_what_its_model_expected(
    anomaly: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    show(anomaly)
    told = capsys.readouterr().out
    for words in (
        "异常 anomaly",
        "seasonal · 预期 expected 3.0 veh · 正常 band 1–6 · 异常分 score 0.75",
        "确认 acked",
        "12 · 覆盖 coverage 50% · 迟到 late 否 no",
        "最多 top      440111 9",
        ON_KAFKA[:40],
    ):
        assert words in told, words
    assert max(map(len, told.splitlines())) <= 100
    drawn = "\n".join(row.plain.rstrip() for row in plot_of(anomaly, 60))
    assert drawn == ANOMALY


def test_no_word_is_cut_on_a_screen_of_80_cells(
    anomaly: Story, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # 80 cells, no colours
    show(anomaly)
    told = capsys.readouterr().out
    assert "…" not in told
    assert max(map(cell_len, told.splitlines())) <= 80
    for words in ("2026-03-02 06:05:00  报警 raised     黄 yellow", "9.0 veh  > 6"):
        assert " ".join(words.split()) in " ".join(told.split()), words


ANOMALY = """\
traffic.flow  4401 广州市  [veh]
2026-03-02 06:00 – 2026-03-02 06:19 Asia/Shanghai
                ↑                ↓
  9 │           ⢸⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⡇
    │           ⡎              ⢣
    │           ⡇              ⢸
    │          ⢠⠃              ⢸
    │         ░⢸░░░░░░░░░░░░░░░░⡇░
    │         ░⡜░░░░░░░░░░░░░░░░⡇░
    │         ░⡇░░░░░░░░░░░░░░░░⢣░
    │    ⡴⡀   ⢀⠇░░░░░░░░░░░░░░░░⢸░          ⡠⢆
  3 ┤  ⢀⠎ ⢱   ⢸─────────────────⢸─ ⢀      ⢀⠜ ⠘⡄  ⢀ expected
    │ ⡔⠁   ⢣ ⡔⠁░░░░░░░░░░░░░░░░░░⡇⡔⠁          ⢱ ⡔⠁
    │⠊      ⠋ ░░░░░░░░░░░░░░░░░░░⠋             ⠋
  1 │         ░░░░░░░░░░░░░░░░░░░░
    │                               ××××××
    └┴──────────┻━━━━━━━━━━━┻━━━━━──────┴─────────
   06:00      06:05       06:10       06:15
⠒ 值 value  ━ 报警期间 episode
─ 预期 expected, as last said  ░ 正常范围 band, as last said
↑ 升 up  ↓ 降 down  × 缺测 no value (缺测 uncovered)"""


def test_a_plot_of_a_known_series() -> None:
    points = [Point(i * MINUTE, float(min(i, 20 - i))) for i in range(24) if not 13 <= i <= 15]
    points.append(Point(4 * MINUTE, 10.0, corrected=True))
    points[17] = points[17]._replace(value=None)
    points.sort(key=lambda point: (point.t, point.corrected))
    limit = Line(8.0, "red", THRESHOLD, "red", 0, 23 * MINUTE)
    marks = [Mark(8 * MINUTE, UP, "red")]
    plot = Plot(points, [limit], [], marks, (8 * MINUTE, 12 * MINUTE), "Asia/Shanghai", 50, 6)
    rows = [row.plain for row in plot.rows()]
    assert max(map(len, rows)) <= 50
    assert "\n".join(row.rstrip() for row in rows) == KNOWN


KNOWN = """\
                   ↑
  10 │      ◆       ⣀⠔⠊⠑⠤⣀
   8 ┤┄┄┄┄┄┄┄┄┄┄⡠⠔⠒⠉┄┄┄┄┄┄⠁┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ red
     │      ⣀⡠⠒⠉                 ⣀
     │  ⢀⠤⠒⠉                      ⠉⠒⠤⡀
     │⠔⠊⠁                            ⠈⠁  ⣀
  -3 │                                    ⠑⠢⢄
     │                     ××××××      ××
     └┴────────────━━━┻━━━━────────────┴─────
    08:00           08:10            08:20"""


def test_a_plot_of_nothing_but_missing_values() -> None:
    points = [Point(START_MS + i * MINUTE, None) for i in range(30)]
    plot = Plot(points, [], [], [], (START_MS, START_MS + 30 * MINUTE), "Asia/Shanghai", 60)
    rows = [row.plain.rstrip() for row in plot.rows()]
    assert rows[-3].endswith("×" * plot.columns)
    alone = Plot(points[:1], [], [], [], (START_MS, START_MS), "Asia/Shanghai", 10)
    assert len(list(alone.rows())) == 12 + 3


# -- on Kafka


class Topics:
    """What a reader of a Kafka gives, with a transition that was sent twice after a crash."""

    def __init__(self, topics: dict[str, list[Row]]) -> None:
        self.topics = topics

    def every(self, topic: str) -> Iterator[Row]:
        return iter(self.topics[topic])


def test_on_kafka_only_the_replay_is_missing() -> None:
    raised = orjson.dumps(ALERT | {"transition": "raised", "state": "raised"})
    topics = defaultdict[str, list[Row]](list)
    key, sign = ALERT["alert_id"].encode(), b"traffic.flow|city|4401"
    for offset, (name, value) in enumerate([(key, raised), (b"other", b"{}"), (key, raised)]):
        topics["x." + ALERT_LOG].append(Row(0, offset, 0, name, value))
    topics["x." + ALERT_LOG].append(Row(0, 3, 0, key, orjson.dumps(ALERT)))
    for row in results():
        topics["x." + VITALS_LOG].append(Row(0, 0, 0, sign, orjson.dumps(row)))
    source = KafkaSource(Topics(topics), "x.", About())  # type: ignore[arg-type]
    story = tell(source, Latest(key, orjson.dumps(ALERT), (), 3), None)
    assert story.transitions == [raised, orjson.dumps(ALERT)]
    assert len(story.series) == 20
    assert (story.replay, story.note) == (None, ON_KAFKA)
    assert json.loads(story.as_json())["replay_note"] == ON_KAFKA
    assert json.loads(replace(story, series=[]).as_json())["series"] == []
