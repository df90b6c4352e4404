"""The history gives back what was appended, whatever it did with it meanwhile."""

from __future__ import annotations

import math
import shutil
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.gateway import history as module
from agents.gateway.history import History, Series
from agents.gateway.windows import DAY_MS
from schemas.vital import REASONS
from streams.log_types import InUse
from tests.gateway.results import START, encoded, result

MINUTE = 60_000
HOUR = 60 * MINUTE
KEEP = 3 * DAY_MS
LANE = "city.vitals-log.v1/0"
SIGN = ("drain.depth", "district", "440111")
ALL = (0, 1 << 50)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    kept = History(path, KEEP)
    yield kept
    kept.close()


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6).map(lambda n: n / 100),
)
nullable = st.one_of(st.none(), numbers)
models = st.one_of(
    st.none(),
    st.builds(
        lambda expected, band: {"basis": "b", "score": 0.1, "expected": expected, "band": band},
        nullable,
        st.one_of(st.none(), st.tuples(numbers, numbers)),
    ),
)


@st.composite
def results(draw: st.DrawFn) -> dict[str, Any]:
    """Any result of a few series and windows, so that many are of the same one."""
    value = draw(nullable)
    return result(
        START + MINUTE * draw(st.sampled_from([0, 1, 2, 3, 1439, 1440, 1441, 4000, 10_000])),
        value,
        vital=draw(st.sampled_from(["drain.depth", "air.aqi"])),
        key=draw(st.sampled_from(["440111", "井盖-1"])),
        n=draw(st.integers(0, 1 << 40)),
        coverage=draw(st.floats(0, 1)),
        level=None if value is None else draw(st.one_of(st.none(), st.integers(0, 4))),
        reason=draw(st.sampled_from(REASONS if value is None else (None, "no_limit"))),
        rev=draw(st.integers(0, 1)),
        model=draw(models),
        unit=draw(st.sampled_from(["cm", "m"])),
    )


actions = st.one_of(
    st.tuples(st.just("append"), st.lists(results(), max_size=12)),
    st.tuples(st.just("torn"), st.lists(results(), max_size=12)),
    st.tuples(st.just("fold"), st.none()),
    st.tuples(st.just("torn fold"), st.none()),
    st.tuples(st.just("trim"), st.integers(0, 8 * DAY_MS)),
    st.tuples(st.just("kill"), st.none()),
)


@dataclass
class Oracle:
    """What a history is to say, kept in the plainest way."""

    kept: dict[tuple[str, str, str], dict[int, dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    horizon: int = 0
    read: int = 0

    def append(self, told: list[dict[str, Any]]) -> None:
        for one in told:
            windows = self.kept[one["vital"], one["key_level"], one["key"]]
            known = windows.get(one["t_end"])
            if known is None or one["rev"] >= known["rev"]:
                windows[one["t_end"]] = one
        self.read += len(told)

    def rows(self, name: tuple[str, str, str]) -> list[dict[str, Any]]:
        return [one for t, one in sorted(self.kept[name].items()) if t > self.horizon]


def expected_columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    models = [one["model"] or {"expected": None, "band": None} for one in rows]
    bands = [model["band"] or (None, None) for model in models]
    return {
        "t": [one["t_end"] for one in rows],
        **{
            name: [one[name] for one in rows]
            for name in ("value", "level", "coverage", "n", "reason", "rev")
        },
        "missing": [int(one["value"] is None) for one in rows],
        "expected": [model["expected"] for model in models],
        "low": [low for low, _ in bands],
        "high": [high for _, high in bands],
    }


class Torn(Exception):  # noqa: N818
    """The process ends here."""


def killed(history: History, path: Path, folder: Path, number: int) -> tuple[History, Path]:
    """The history as another process finds it whose predecessor was killed just now."""
    other = folder / f"{number}" / path.name
    other.parent.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, other.parent)
    history.close()
    return History(other, KEEP), other


def torn(history: History, *, action: str, told: list[dict[str, Any]]) -> None:
    """Do a part of it and end."""
    patched = pytest.MonkeyPatch()
    if action == "torn":
        patched.setattr(module, "note_position", _raise)
    else:
        # Some blocks are written, their frames still stand.
        patched.setattr(module, "_SERIES_A_FOLD", 1)
        patched.setattr(History, "_drop_frames", _raise)
    try:
        if action == "torn":
            history.append(told, {LANE: 1 << 40})
        else:
            history.fold()
    except Torn:
        pass
    finally:
        patched.undo()


def _raise(*_: object, **__: object) -> None:
    raise Torn


@given(st.lists(actions, max_size=12))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_it_says_what_a_plain_table_says(steps: list[tuple[str, Any]]) -> None:
    """Through folds, trims, and ends at any point."""
    oracle = Oracle()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "history.db"
        history = History(path, KEEP)
        for number, (action, argument) in enumerate(steps):
            if action == "append":
                history.append(map(encoded, argument), {LANE: oracle.read + len(argument)})
                oracle.append(argument)
            elif action == "fold":
                history.fold()
            elif action == "trim":
                history.trim(START + argument)
                oracle.horizon = max(oracle.horizon, START + argument - KEEP)
            else:
                if action != "kill":
                    torn(history, action=action, told=argument or [])
                history, path = killed(history, path, folder, number)
        assert history.position().get(LANE, 0) == oracle.read
        for name in oracle.kept:
            rows = oracle.rows(name)
            found = history.read(*name, *ALL, None).as_dict()
            assert (found.pop("resolution_ms"), found.pop("unit") in ("cm", "m", None)) == (
                None,
                True,
            )
            assert found == expected_columns(rows)
            some = history.read(*name, START + MINUTE, START + DAY_MS, None).t
            assert some == [t for t in found["t"] if START + MINUTE < t <= START + DAY_MS]
        living = {name for name in oracle.kept if oracle.rows(name)}
        assert living <= {one[:3] for one in history.series()}
        history.close()


def test_windows_become_buckets(history: History) -> None:
    """::

    ends     0:00   1:00   2:00   3:00   4:00   5:00     minutes
    buckets    ] (----- 2:00 -----] (----- 4:00 -----] (-----
    """
    told = [
        result(START, 100.0),
        result(START + 1 * MINUTE, 1.0, level=0, n=3, coverage=0.5),
        result(START + 2 * MINUTE, 4.0, level=2, n=5, rev=1),
        result(START + 3 * MINUTE, None, n=0, coverage=0.0),
        result(START + 4 * MINUTE, None, n=0, coverage=0.25, reason="warming"),
        result(START + 5 * MINUTE, 7.5, level=None, reason="no_limit"),
    ]
    history.append(told, {})
    found = history.read(*SIGN, START, START + 5 * MINUTE, 2 * MINUTE)
    assert found.t == [START + n * MINUTE for n in (2, 4, 6)]
    assert found.value == [2.5, None, 7.5]
    assert (found.min, found.max) == ([1.0, None, 7.5], [4.0, None, 7.5])
    assert found.level == [2, None, None]
    assert found.reason == [None, "warming", None]
    assert found.coverage == [0.75, 0.125, 1.0]
    assert (found.n, found.rev, found.missing) == ([8, 0, 60], [1, 0, 0], [0, 2, 0])
    assert found.resolution_ms == 2 * MINUTE
    assert "min" in found.as_dict()
    assert history.read(*SIGN, START, START + 5 * MINUTE, None).min is None


def test_buckets_at_the_ends_of_a_range_are_whole(history: History) -> None:
    history.append([result(START + n * MINUTE, float(n)) for n in range(1, 181)], {})
    for first, last in ((61, 119), (70, 71), (60, 120)):
        found = history.read(*SIGN, START + first * MINUTE, START + last * MINUTE, HOUR)
        assert (found.t, found.value) == ([START + 2 * HOUR], [sum(range(61, 121)) / 60])


def test_days_begin_where_they_are_said_to(history: History) -> None:
    midnight = START - 8 * HOUR  # in Guangzhou
    history.append([result(START + n * HOUR, float(n)) for n in (-7, 0, 16, 17)], {})
    found = history.read(*SIGN, midnight, START + 17 * HOUR, DAY_MS, origin_ms=midnight)
    assert (found.t, found.value) == ([START + 16 * HOUR, START + 40 * HOUR], [3.0, 17.0])


def test_means_are_those_of_exact_arithmetic(history: History) -> None:
    values = [math.sin(n) * 1e3 for n in range(1440)]
    told = [result(START + (n + 1) * MINUTE, value) for n, value in enumerate(values)]
    history.append(told, {})
    history.fold()
    found = history.read(*SIGN, START, START + DAY_MS, HOUR)
    hours = [values[n : n + 60] for n in range(0, 1440, 60)]
    assert found.value == pytest.approx(
        [float(sum(map(Fraction, h)) / 60) for h in hours], rel=1e-9
    )
    assert (found.min, found.max) == ([min(h) for h in hours], [max(h) for h in hours])


def test_means_of_the_greatest_numbers_are_finite(history: History) -> None:
    most = sys.float_info.max
    history.append([result(START + n * MINUTE, most) for n in (1, 2, 3, 4)], {})
    assert history.read(*SIGN, START, START + HOUR, HOUR).value == [pytest.approx(most)]


def test_auto_shows_what_a_screen_can(history: History) -> None:
    history.append([result(START + n * MINUTE, 1.0) for n in range(1, 4321)], {})
    assert history.read(*SIGN, START, START + DAY_MS).resolution_ms is None
    three = history.read(*SIGN, START, START + 3 * DAY_MS)
    assert (three.resolution_ms, len(three.t)) == (5 * MINUTE, 864)
    year = history.read(*SIGN, START, START + 365 * DAY_MS)
    assert (year.resolution_ms, len(year.t)) == (6 * HOUR, 12)


def test_a_correction_of_yesterday_comes_after_the_fold(history: History) -> None:
    history.append([result(START - MINUTE, 1.0), result(START, 2.0)], {})
    history.fold()
    history.append([result(START - MINUTE, 3.0, rev=1), result(START - MINUTE, 1.0)], {})
    for _ in range(2):
        found = history.read(*SIGN, *ALL, None)
        assert (found.value, found.rev) == ([3.0, 2.0], [1, 0])
        history.fold()


def test_what_is_no_result_is_counted(history: History) -> None:
    bad: list[Any] = [b"{", b"{}", encoded(result(START, reason="made_up")), {"vital": "x"}]
    bad += [result(-1), result(1 << 60), result(START, rev=2), result(START, n=-1)]
    assert history.append([*bad, result(START)], {LANE: 9}) == 1
    assert (history.refused, history.position()) == (len(bad), {LANE: 9})


def test_series_are_found_by_sign_and_place(history: History) -> None:
    told = [
        result(START, key="440111"),
        result(START, key="440106", place="440106", unit="m"),
        result(START, vital="air.aqi", key_level="site", key="s", place="440111004", unit="index"),
        result(START, vital="engine.lag", key_level="city", key="e", place=None),
    ]
    history.append(told, {})
    assert [one.key for one in history.series()] == ["s", "440106", "440111", "e"]
    assert history.series("drain.", under="440106") == [Series(*SIGN[:2], "440106", "440106", "m")]
    assert [one.key for one in history.series(under="440111")] == ["s", "440111"]
    assert [one.key for one in history.series(key_level="city")] == ["e"]
    # As its newest result has it.
    history.append([result(START + MINUTE, unit="mm", place="440111005")], {})
    assert history.series("drain.", under="440111005")[0].unit == "mm"


def test_what_is_old_takes_no_room(history: History, path: Path) -> None:
    pages: list[int] = []
    for day in range(6):
        end = START + day * DAY_MS
        told = [
            result(end + n * MINUTE, math.sin(n + k), key=f"k{k}")
            for n in range(1, 1440, 3)
            for k in range(10)
        ]
        history.append([*told, result(end, key=f"of day {day}")], {})
        history.fold()
        history.trim(end + DAY_MS)
        with sqlite3.connect(path) as db:
            (blocks,) = db.execute("SELECT count(*) FROM blocks").fetchone()
            pages.append(db.execute("PRAGMA page_count").fetchone()[0])
        db.close()
        assert blocks <= 11 * 4
    assert pages[2] > 1.5 * pages[0]
    assert pages[5] <= 1.1 * pages[3]
    keys = {one.key for one in history.series()}
    assert keys == {f"k{k}" for k in range(10)} | {f"of day {day}" for day in (3, 4, 5)}
    # A series that was forgotten begins again.
    history.append([result(START + 6 * DAY_MS, key="of day 0")], {})
    assert history.read(*SIGN[:2], "of day 0", *ALL, None).t == [START + 6 * DAY_MS]


def test_much_makes_a_fold_due(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_DUE", 4)
    assert not history.due
    history.append([result(START + n, 1.0) for n in range(3)], {})
    assert not history.due
    history.append([result(START + n, 1.0) for n in range(3, 13)], {})
    assert history.due
    assert history.fold() == 13
    assert not history.due
    assert len(history.read(*SIGN, *ALL, None).t) == 13


def test_a_file_has_one_owner(history: History, path: Path) -> None:
    with pytest.raises(InUse, match="another gateway"):
        History(path, KEEP)
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_of_a_newer_build_is_refused(path: Path) -> None:
    History(path, KEEP).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(ValueError, match="newer build"):
        History(path, KEEP)


CHILD = """
import sys
from pathlib import Path
from agents.gateway.history import History
from tests.gateway.results import START, encoded, result

history = History(Path(sys.argv[1]), 1 << 40)
minute = history.position().get("lane", 0)
while minute < int(sys.argv[2]):
    minute += 1
    told = [result(START + minute * 60_000, minute + k / 8, key=f"k{k}") for k in range(20)]
    history.append(map(encoded, told), {"lane": minute})
    if minute % 7 == 0:
        history.fold()
    print(minute, flush=True)
"""


def test_a_process_that_is_killed_loses_and_doubles_nothing(path: Path) -> None:
    count, died = 400, 0
    for attempt in range(20):
        command = [sys.executable, "-c", CHILD, str(path), str(count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            minute = 0
            for said, line in enumerate(child.stdout):
                minute = int(line)
                if said >= 13 + attempt * 5:
                    child.kill()
                    died += 1
                    break
        if child.returncode == 0:
            break
        kept = History(path, KEEP)
        assert kept.position()["lane"] >= minute
        kept.close()
    assert died >= 3
    kept = History(path, KEEP)
    assert kept.position() == {"lane": count}
    for k in (0, 19):
        found = kept.read(*SIGN[:2], f"k{k}", *ALL, None)
        assert found.t == [START + n * MINUTE for n in range(1, count + 1)]
        assert found.value == [n + k / 8 for n in range(1, count + 1)]
    kept.close()
