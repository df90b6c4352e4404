"""``cityvitals replay`` of a data folder: its own log through the engine again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from agents.commands.displays import (
    Bar,
    Display,
    JsonLines,
    Pipe,
    Replayed,
    alert_line,
    choose_for_replay,
)
from agents.commands.exits import BAD, FINDING, Fault, complain
from agents.commands.folder import keyed, open_log, opened, read_about
from agents.commands.naming import alert_named
from agents.commands.quantities import Retention
from agents.commands.running import Run, execute
from agents.commands.stopping import Stop
from agents.commands.story import gone, judged_by_other
from agents.commands.wording import TRANSITIONS
from agents.engine import CONSUMER
from agents.feeds import PastFeed, claim_past
from agents.outputs import ALERT_LOG, ALERTS
from agents.recordings import past_of
from streams.records import Output

if TYPE_CHECKING:
    from agents.engine import Engine
    from agents.plan import Plan
    from agents.recordings import Past
    from streams.log_store import LogStore


@dataclass(frozen=True)
class Request:
    """What is asked of the replay of a data folder.

    Parameters
    ----------
    folder
        Whose log it is; it is not changed, and an engine may run on it.
    into, shown
        Data folder of the replay, new; how it is called in messages.
    plan, config
        The configuration, and the path it was read from.
    alert
        Id of an alert, or its beginning: nothing else is said then.
    until
        Event time, int64 ms UTC, with which it ends; of an alert nothing later is said.
    """

    folder: Path
    into: Path
    shown: str
    plan: Plan
    config: Path | None
    retention: Retention
    port: int
    as_json: bool
    alert: str | None = None
    until: int | None = None


def replay_folder(request: Request, stop: Stop) -> None:
    """Replay the log of a data folder as far as its engine has come.

    Raises
    ------
    Fault
        The log is not whole, the configuration is another than that of the alert, or an alert
        came out differently.
    """
    with ExitStack() as held:
        source = held.enter_context(opened(request.folder))
        about = read_about(source)
        _require_fit(source, request.plan, request.folder)
        if fault := gone(source, request.plan.topics, request.folder, about.zone):
            raise Fault(BAD, fault)
        alert_id, expected = _expected(source, request)
        # In this order: the transitions, the offsets behind them, and the ticks below those.
        past = past_of(source, CONSUMER, request.plan.lanes)
        with open_log(request.into) as store:
            store.own()
            claim_past(store, source, past)
    lines = None
    if alert_id is not None:
        zone = None if request.as_json else about.zone
        lines = AlertLines(stop, alert_id, request.until, zone)
    _run(request, past, lines, len(expected), stop)
    if lines is None:
        return
    said = lines.said
    if stop.wished:
        complain("stopped before the end: not compared")
    elif said[: len(expected)] != expected:
        raise Fault(
            FINDING,
            f"{request.folder}: alert {alert_id} has other bytes in city.alert-log.v1: was the "
            "folder made by another build, or with another `secret`?",
        )
    else:
        complain(f"{len(said)} transitions, byte for byte as in {request.folder}")


def _require_fit(source: LogStore, plan: Plan, folder: Path) -> None:
    known = {topic.name: topic.partitions for topic in source.topics()}
    for name, topic in plan.topics.items():
        count, wanted = known.get(name), topic.topic.partitions
        if count is not None and count != wanted:
            raise Fault(
                BAD,
                f"{folder}: {name} has {count} partitions there, and {wanted} in the "
                "configuration: name with --config the one that the folder was made with",
            )


def _expected(source: LogStore, request: Request) -> tuple[str | None, list[bytes]]:
    """The id of the alert that is asked for, and its transitions as they stand."""
    if request.alert is None:
        return None, []
    latest = alert_named(source.latest(ALERTS), request.alert)
    judged_by = orjson.loads(latest.value)["why"]["config"]
    if judged_by != request.plan.config:
        had = read_about(source).config
        raise Fault(BAD, judged_by_other(judged_by, request.plan.config, had))
    transitions = keyed(source, ALERT_LOG, latest.key)
    until = request.until
    return latest.key.decode(), [raw for raw in transitions if _in_time(raw, until)]


def _in_time(raw: bytes, until: int | None) -> bool:
    return until is None or orjson.loads(raw)["t_update"] <= until


def _run(request: Request, past: Past, lines: AlertLines | None, count: int, stop: Stop) -> None:
    """Run it; with lines of an alert, until as many of them came as there are."""
    feeds: list[PastFeed] = []

    def enough() -> bool:
        return lines is None or len(lines.said) >= count

    def feed(engine: Engine) -> PastFeed:
        feeds.append(PastFeed(engine, past, request.until, enough))
        return feeds[-1]

    def done() -> tuple[int, int]:
        return (feeds[-1].size, feeds[-1].lines) if feeds else (0, 0)

    if lines is None:
        display: Display = choose_for_replay(stop, done, total=None, as_json=request.as_json)
    else:
        display = Replayed(lines, Bar(done, None))
    run = Run(
        plan=request.plan,
        folder=request.into,
        shown=request.shown,
        retention=request.retention,
        port=request.port,
        display=display,
        stop=stop,
        config=request.config,
    )
    execute(run, feed)


class AlertLines(JsonLines):
    """The transitions of one alert and nothing else: their own bytes, or a line for people.

    Parameters
    ----------
    until
        Event time, int64 ms UTC, after which transitions are left out.
    zone
        Of the times for people; None writes bytes.
    """

    def __init__(self, stop: Stop, alert_id: str, until: int | None, zone: str | None) -> None:
        super().__init__(Pipe(stop))
        self.said: list[bytes] = []
        self._key, self._until, self._zone = alert_id.encode(), until, zone

    def publish(self, outputs: list[Output]) -> None:
        for output in outputs:
            mine = output.topic == ALERT_LOG and output.key == self._key
            if mine and _in_time(output.value, self._until):
                self.said.append(output.value)
                self.pipe.write(self._line(output.value) + b"\n")

    def _line(self, raw: bytes) -> bytes:
        if self._zone is None:
            return raw
        alert = orjson.loads(raw)
        return f"{TRANSITIONS[alert['transition']]}  {alert_line(alert, self._zone)}".encode()

    def end(self, summary: dict[str, Any]) -> None:
        """The accounting is not asked for."""
