"""The live view of a run: signs of the city and its districts, newest alerts, accounting."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.text import Text

from agents.commands.alert_table import alert_lines
from agents.commands.layout import Column, column, fitting, flowed, table
from agents.commands.wording import (
    BINS,
    LEVELS,
    REASONS,
    STATES,
    STYLES,
    figure,
    moment,
    place_name,
)
from agents.engine import Engine
from agents.feeds import behind
from agents.outputs import ALERTS, VITALS
from schemas.signs import Sign
from streams.records import Output
from streams.timeline import BEFORE_ALL

_FIRST = (
    "city.health_index",
    "traffic.tpi",
    "meteo.rain_1h",
    "drain.depth",
    "air.pm25_1h",
    "hotline.urgent",
)
"""Signs that stand first where the configuration has them; narrow terminals show only these."""

_UNSAID = "尚无"
"""Of a key that has no result of a sign at all."""

_SHOWN = {b"city", b"district"}
_VALUE_WIDTH, _WORD_WIDTH = 5, 9
_LEAST_ALERTS = 3
_CODE_GIVES = 7
"""Codes of places are given up for the fourth sign, not for more."""
_ALERTS_KEPT = 50
_RATE_SECONDS = 5.0


class View:
    """What is on the screen, made anew at each refresh.

    Safe to draw in another thread than the one that takes outputs.

    Parameters
    ----------
    engine
        Whose accounting and progress are shown.
    clock
        The city's time, int64 ms UTC.
    """

    def __init__(self, engine: Engine, clock: Callable[[], int]) -> None:
        self.engine, self.clock = engine, clock
        configuration = engine.plan.configuration
        self.city, self.zone = configuration.city, configuration.city.time_zone
        self.signs = sorted(
            (s for s in configuration.signs if {"city", "district"} <= set(s.keys)), key=_rank
        )
        self._lock = Lock()
        self._values: dict[bytes, bytes] = {}
        self._alerts: dict[bytes, bytes] = {}
        self._samples: deque[tuple[float, int]] = deque()
        self._began = time.monotonic()

    def preload(self) -> None:
        """Show what earlier runs on the folder left."""
        for latest in self.engine.store.latest(VITALS):
            self._note(self._values, latest.key, latest.value)
        alerts = self.engine.store.latest(ALERTS)
        for latest in sorted(alerts, key=lambda latest: latest.offset)[-_ALERTS_KEPT:]:
            self._alerts[latest.key] = latest.value

    def take(self, outputs: list[Output]) -> None:
        """Take in what a checkpoint made durable."""
        with self._lock:
            for output in outputs:
                if output.topic == VITALS:
                    self._note(self._values, output.key, output.value)
                elif output.topic == ALERTS:
                    self._alerts.pop(output.key, None)
                    self._alerts[output.key] = output.value
            while len(self._alerts) > _ALERTS_KEPT:
                del self._alerts[next(iter(self._alerts))]

    def _note(self, values: dict[bytes, bytes], key: bytes, value: bytes) -> None:
        if key.split(b"|", 2)[1] in _SHOWN:
            values[key] = value

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            values = {key: orjson.loads(value) for key, value in self._values.items()}
            alerts = [orjson.loads(value) for value in self._alerts.values()]
        width, height = options.max_width, options.height or console.height
        places = self._places(values)
        above = [*flowed(self._head(), width, " ")]
        above += table(fitting(_sign_columns(self.signs, places, values), width))
        above += flowed(_legend(values), width)
        below = [*flowed(_bins(self.engine.pipeline.total().as_dict()), width, " ")]
        room = max(_LEAST_ALERTS, height - len(above) - len(below) - 1)
        yield Group(*above, *_alert_lines(alerts, room, self.zone, width), *below)

    def _places(self, values: dict[bytes, Any]) -> list[tuple[str, str]]:
        found = {(row["key_level"], row["key"]) for row in values.values()}
        return sorted(found or {("city", self.city.place)})

    def _head(self) -> Iterator[Text]:
        lanes = self.engine.pipeline.lanes.values()
        judged = max(intake.watermark.value for intake in lanes)
        yield Text(f"{self.city.name.zh} {self.city.name.en} ", "bold")
        yield Text(f"时间 time {moment(self.clock(), self.zone)} ·", "cyan")
        as_of = moment(judged, self.zone)[11:] if judged > BEFORE_ALL else "–"
        yield Text(f"截至 as of {as_of} ·", "cyan")
        yield Text(f"{self.rate():,.0f} events/s ·", "cyan")
        yield Text(f"待处理 unread {behind(self.engine):,}", "cyan")

    def rate(self) -> float:
        """Events read in a second, over the last few seconds."""
        now, read = time.monotonic(), self.engine.pipeline.total().read
        if not self._samples:
            self._samples.append((self._began, self.engine.began.read))
        self._samples.append((now, read))
        while len(self._samples) > 2 and now - self._samples[0][0] > _RATE_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        return (read - before) / (now - then) if now > then else 0.0


def accounting(total: dict[str, int]) -> Text:
    """Every event in its bin, in one line.

    >>> total = dict(read=2, accepted=1, filtered=1, late=0, duplicate=0, rejected=0, remainder=0)
    >>> accounting(total).plain.partition(" + 迟到")[0]
    '读入 read 2 = 计入 accepted 1 + 无关 filtered 1'
    """
    return Text(" ").join(_bins(total))


def _bins(total: dict[str, int]) -> Iterator[Text]:
    yield Text(f"读入 read {total['read']:,} =")
    *others, last = BINS
    for name in others:
        yield Text(f"{BINS[name]} {total[name]:,} +")
    yield Text(f"{BINS[last]} {total[last]:,} ·")
    rest = total["remainder"]
    yield Text(f"余 remainder {rest}", "bold red" if rest else "green")


def _rank(sign: Sign) -> tuple[int, bool, float]:
    first = _FIRST.index(sign.id) if sign.id in _FIRST else len(_FIRST)
    return first, sign.levels is None, sign.window.size_s or float("inf")


def _sign_columns(
    signs: list[Sign], places: list[tuple[str, str]], values: dict[bytes, Any]
) -> list[Column]:
    """A column for each sign, of which the first ones stay where there is no room for all."""
    names = [(place_name(key), key) for _, key in places]
    columns = [
        column("地点\nplace", (name or key for name, key in names)),
        column("", (Text(key if name else "", "dim") for name, key in names), _CODE_GIVES),
    ]
    for number, sign in enumerate(signs):
        head = f"{sign.name.zh}\n{sign.id.rpartition('.')[2]}\n{sign.unit}"
        found = (values.get(f"{sign.id}|{level}|{key}".encode()) for level, key in places)
        columns.append(column(head, map(_cell, found), 2 * number))
    return columns


def _cell(result: dict[str, Any] | None) -> Text:
    """A value and the word of its level, each in a place of its own.

    >>> _cell({"value": 27.6, "unit": "mm", "level": 2}).plain, _cell(None).plain
    (' 27.6 黄 yellow', '    – 尚无     ')
    """
    if result is None:
        return _placed("–", Text(_UNSAID), "dim")
    if result["value"] is None:
        return _placed("–", Text(REASONS[result["reason"]]), "dim")
    level = result["level"]
    word = Text("") if level is None else Text(LEVELS[level] if level else "●", STYLES[level])
    return _placed(figure(result["value"], result["unit"]), word)


def _placed(figure: str, word: Text, style: str = "") -> Text:
    # As wide with a level as without one: columns must not come and go with them.
    word.pad_right(max(0, _WORD_WIDTH - word.cell_len))
    return Text.assemble(f"{figure:>{_VALUE_WIDTH}} ", word, style=style)


def _legend(values: dict[bytes, Any]) -> Iterator[Text]:
    yield Text.assemble(("● ", STYLES[0]), (LEVELS[0], "dim"))
    for reason in sorted({row["reason"] for row in values.values() if row["reason"]}):
        yield Text(f"– {REASONS[reason]} {reason}", "dim")
    yield Text(f"– {_UNSAID} none yet", "dim")


def _alert_lines(alerts: list[dict[str, Any]], rows: int, zone: str, width: int) -> Iterable[Text]:
    """The newest alerts, those that stand before the others."""
    if not alerts:
        return [Text("尚无报警 no alerts yet", "dim")]
    states = list(STATES)
    alerts.sort(key=lambda alert: (states.index(alert["state"]), -alert["t_update"]))
    return alert_lines(alerts[:rows], zone, width)
