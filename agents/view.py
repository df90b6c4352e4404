"""The live view of a run: signs of the city and its districts, newest alerts, accounting."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from agents.commands.wording import (
    BINS,
    LEVELS,
    REASONS,
    STATES,
    STYLES,
    against,
    amount,
    figure,
    key_with_name,
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
_NAME_WIDTH, _SIGN_WIDTH = 15, 11
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
        count = max(1, (options.max_width - _NAME_WIDTH) // _SIGN_WIDTH)
        rows = options.height or console.height
        places = self._places(values)
        yield Group(
            self._head(),
            _sign_table(self.signs[:count], places, values),
            _legend(values),
            _alert_table(alerts, max(3, rows - len(places) - 12), self.zone),
            self._accounting(),
        )

    def _places(self, values: dict[bytes, Any]) -> list[tuple[str, str]]:
        found = {(row["key_level"], row["key"]) for row in values.values()}
        return sorted(found or {("city", self.city.place)})

    def _head(self) -> Text:
        lanes = self.engine.pipeline.lanes.values()
        judged = max(intake.watermark.value for intake in lanes)
        name = f"{self.city.name.zh} {self.city.name.en}"
        said = [
            f"时间 time {moment(self.clock(), self.zone)}",
            f"截至 as of {moment(judged, self.zone)[11:] if judged > BEFORE_ALL else '–'}",
            f"{self.rate():,.0f} events/s",
            f"待处理 lag {behind(self.engine):,}",
        ]
        return Text.assemble((name, "bold"), "  ", (" · ".join(said), "cyan"), overflow="ellipsis")

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

    def _accounting(self) -> Text:
        return accounting(self.engine.pipeline.total().as_dict())


def accounting(total: dict[str, int]) -> Text:
    """Every event in its bin, in one line.

    >>> total = dict(read=2, accepted=1, filtered=1, late=0, duplicate=0, rejected=0, remainder=0)
    >>> accounting(total).plain.partition(" + 迟到")[0]
    '读入 read 2 = 计入 accepted 1 + 无关 filtered 1'
    """
    bins = " + ".join(f"{words} {total[name]:,}" for name, words in BINS.items())
    rest = total["remainder"]
    return Text.assemble(
        f"读入 read {total['read']:,} = {bins} · ",
        (f"余 remainder {rest}", "bold red" if rest else "green"),
    )


def _rank(sign: Sign) -> tuple[int, bool, float]:
    first = _FIRST.index(sign.id) if sign.id in _FIRST else len(_FIRST)
    return first, sign.levels is None, sign.window.size_s or float("inf")


def _sign_table(
    signs: list[Sign], places: list[tuple[str, str]], values: dict[bytes, Any]
) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("地点 place", no_wrap=True, vertical="bottom", width=_NAME_WIDTH - 1)
    for sign in signs:
        short = sign.id.rpartition(".")[2]
        head = Text.assemble(sign.name.zh, "\n", (short, "dim"), "\n", (sign.unit, "dim"))
        table.add_column(
            head, justify="right", width=_SIGN_WIDTH - 1, vertical="bottom", overflow="fold"
        )
    for level, key in places:
        name = Text.assemble(place_name(key) or key, " ", (key, "dim"))
        cells = [values.get(f"{sign.id}|{level}|{key}".encode()) for sign in signs]
        table.add_row(name, *map(_cell, cells), style="bold" if level == "city" else "")
    return table


def _cell(result: dict[str, Any] | None) -> Text:
    if result is None:
        return Text(f"– {_UNSAID}", "dim")
    if result["value"] is None:
        return Text(f"– {REASONS[result['reason']]}", "dim")
    level = result["level"]
    text = figure(result["value"], result["unit"])
    return Text(text) if level is None else Text.assemble(text, (" ●", STYLES[level]))


def _legend(values: dict[bytes, Any]) -> Text:
    text = Text()
    for word, style in zip(LEVELS, STYLES, strict=True):
        text.append("● ", style).append(f"{word}  ", "dim")
    for reason in sorted({row["reason"] for row in values.values() if row["reason"]}):
        text.append(f"– {REASONS[reason]} {reason}  ", "dim")
    return text.append(f"– {_UNSAID} none yet", "dim")


def _alert_table(alerts: list[dict[str, Any]], rows: int, zone: str) -> Table | Text:
    if not alerts:
        return Text("尚无报警 no alerts yet", "dim")
    newest = alerts[::-1]
    newest.sort(key=lambda alert: list(STATES).index(alert["state"]))
    return alert_table(newest[:rows], zone)


def alert_table(alerts: list[dict[str, Any]], zone: str) -> Table:
    """Alerts with what they say of themselves, one a row."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold", expand=False)
    for head in ("时间 time", "级 level"):
        table.add_column(head, no_wrap=True)
    # Only these two give way in a narrow terminal.
    table.add_column("报警 alert")
    table.add_column("对象 key")
    table.add_column("值 value", no_wrap=True, justify="right")
    for head in ("限 limit", "状态 state"):
        table.add_column(head, no_wrap=True)
    for alert in alerts:
        style = "dim" if alert["state"] == "cleared" else ""
        table.add_row(
            moment(alert["t_update"], zone)[5:],
            Text(LEVELS[alert["level"]], STYLES[alert["level"]]),
            _giving(" ".join(alert["annotations"].values())),
            _giving(key_with_name(alert["key"], alert["place"])),
            amount(alert["value"], alert["unit"]),
            against(alert["why"]),
            STATES[alert["state"]],
            style=style,
        )
    return table


def _giving(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
