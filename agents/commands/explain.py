"""``cityvitals explain``: one alert, and all that led to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from agents.commands.exits import guarded
from agents.commands.kafka_options import Data, KafkaConfig, folder_of
from agents.commands.options import Json
from agents.commands.wording import (
    KINDS,
    LEVELS,
    MARKED,
    REASONS,
    STATES,
    STYLES,
    TRANSITIONS,
    against,
    amount,
    key_with_name,
    printable,
    sourced,
    with_unit,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from agents.commands.plot import Band, Line, Plot
    from agents.commands.story import Story

_PIPED, _WIDEST = 80, 120
"""Cells of the plot where standard output is no terminal, and at most."""
_TABLES = 100
"""Cells of what stands around it where standard output is no terminal."""
_RISES = ("raised", "escalated", "reraised")
_MARKS = tuple(MARKED.values())
"""Transitions that say nothing of the sign."""


@guarded
def explain(
    alert: Annotated[
        str | None,
        typer.Argument(
            help="Id of an alert, or its first digits; the worst that stands if not given.",
            metavar="ALERT",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    config: KafkaConfig = None,
    as_json: Json = False,
) -> None:
    """Explain an alert: its window, counts, threshold and source, and how to replay it.

    `cityvitals alerts` shows the ids. The printed command replays the log of the data folder and
    gives the alert's transitions again, byte for byte.

    **Examples**

    - `cityvitals explain`

    - `cityvitals explain 3f2a9c0d`

    - `cityvitals explain 3f2a9c0d --json | jq -r .replay | sh`

    - `cityvitals explain 3f2a9c0d --config kafka.yaml`
    """
    folder = folder_of(data, config)

    from agents.commands.naming import alert_named, worst_standing
    from agents.commands.sources import reading
    from agents.commands.story import tell

    with reading(data, config) as source:
        alerts = source.latest("city.alerts.v1")
        latest = worst_standing(alerts) if alert is None else alert_named(alerts, alert)
        story = tell(source, latest, folder)
    if as_json:
        import sys

        sys.stdout.buffer.write(story.as_json() + b"\n")
    else:
        show(story)


def show(story: Story) -> None:
    """Print what a person should know of an alert."""
    import sys

    from rich.console import Console
    from rich.text import Text

    from agents.commands.layout import flowed

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _TABLES, highlight=False)
    console.print(*flowed(_title(story.alert), console.width), sep="\n")
    console.print(_facts(story))
    _show_transitions(console, story)
    console.print()
    if story.alert["kind"] == "incident":
        _show_evidence(console, story)
    else:
        for row in plot_of(story, min(console.width, _WIDEST) if terminal else _PIPED):
            console.print(row, no_wrap=True, overflow="ellipsis")
    console.print()
    console.print(Text("重放 replay", "bold"))
    # A command must be one line, whatever the width: it is copied.
    console.print(Text(f"{story.replay or '–'}"), soft_wrap=True)
    console.print(Text(story.note, "dim"))


def _title(alert: dict[str, Any]) -> Iterator[Text]:
    from rich.text import Text

    titles = (alert["annotations"][name] for name in ("title_zh", "title_en"))
    yield Text(" ".join(titles), "bold")
    yield Text(key_with_name(alert["key"], alert["place"]))
    yield Text(LEVELS[alert["level"]], STYLES[alert["level"]])
    yield Text(STATES[alert["state"]])
    if alert["late"]:
        yield Text("迟到数据 late data")


def _facts(story: Story) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for name, what in _lines(story):
        table.add_row(name, Text(what))
    return table


def _lines(story: Story) -> Iterator[tuple[str, str]]:
    alert, zone = story.alert, story.about.zone
    why, unit = alert["why"], alert["unit"]
    yield "报警 alert", f"{alert['alert_id']} · {alert['rule']} · {KINDS[alert['kind']]}"
    yield "级别 level", f"{LEVELS[alert['level']]} · 最高 highest {LEVELS[alert['max_level']]}"
    yield "始于 onset", _second(alert["t_onset"], zone)
    yield "报警 raised", _second(alert["t_raised"], zone)
    cleared = alert["t_cleared"]
    yield "解除 cleared", "– 未解除 not yet" if cleared is None else _second(cleared, zone)
    yield from _handled(story)
    begin, end = _second(why["t_start"], zone), _second(why["t_end"], zone)
    yield "窗口 window", f"{begin} – {end[11:] if end[:10] == begin[:10] else end}"
    if alert["kind"] == "incident":
        names = {fact["condition"] for fact in why["evidence"]}
        of = sum(not name.startswith("override:") for name in names)
        heard = f"{why['coverage']:.0%} 有数据 of them heard"
        yield "条件 conditions", f"{why['n']} / {of} · {heard} · {alert['certainty']}"
        yield "来源 source", sourced(why)
        if alert["suppresses"]:
            yield "抑制 suppresses", ", ".join(alert["suppresses"])
        yield "配置 config", why["config"]
        return
    late = "是 yes, by late events alone" if alert["late"] else "否 no"
    yield "事件 events", f"{why['n']:,} · 覆盖 coverage {why['coverage']:.0%} · 迟到 late {late}"
    yield "值 value", f"{amount(alert['value'], unit)}{_limit(why, unit)}"
    if "early" in why:
        words = (alert["annotations"].get(name, "") for name in ("early_zh", "early_en"))
        yield "提前 early", f"{' · '.join(words)} ({why['early']['sign']})"
    if why.get("overlay") is not None:
        yield "叠加 overlay", f"{why['overlay']} · 以其阈值与延时判定 by its thresholds and delays"
    yield "来源 source", sourced(why)
    if why["model"] is not None or why["expected"] is not None:
        yield "模型 model", " · ".join(_model(why, unit))
    if why["contributors"]:
        most = (f"{c['key']} {c['value']:g}" for c in why["contributors"])
        yield "最多 top", "; ".join(most)
    yield "配置 config", why["config"]


def _handled(story: Story) -> Iterator[tuple[str, str]]:
    """What people and other alerts decided, where they did."""
    alert, zone = story.alert, story.about.zone
    if alert["acked"]:
        yield "确认 acked", _decided(story, "acked") or "是 yes"
    if alert["shelved_until"] is not None:
        until = f"至 until {_second(alert['shelved_until'], zone)}"
        yield "搁置 shelved", " · ".join(filter(None, (until, _decided(story, "shelved"))))
    if alert["suppressed_by"] is not None:
        yield "抑制 suppressed", f"由 by {alert['suppressed_by']}"


def _decided(story: Story, transition: str) -> str:
    """Who decided it last, when and why; nothing where that is no longer kept."""
    import orjson

    rows = [orjson.loads(raw) for raw in story.transitions]
    found = [row for row in rows if row["transition"] == transition]
    if not found:
        return ""
    when = _second(found[-1]["t_update"], story.about.zone)
    return f"由 by {printable(found[-1]['by'])} · {when} · {printable(found[-1]['note'])}"


def _model(why: dict[str, Any], unit: str) -> Iterator[str]:
    yield why["model"] or "–"
    if why["expected"] is not None:
        yield f"预期 expected {amount(why['expected'], unit)}"
    if why["band"] is not None:
        low, high = why["band"]
        yield f"正常 band {low:g}–{high:g}"
    if why["score"] is not None:
        yield f"异常分 score {why['score']:.2f}"


def _limit(why: dict[str, Any], unit: str) -> str:
    """How the value stands to its limit: met, or left."""
    if why["threshold"] is None:
        return ""
    return f" · 阈值 threshold {with_unit(against(why), unit)}"


def _second(t: int, zone: str) -> str:
    return f"{datetime.fromtimestamp(t / 1000, ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


def _show_transitions(console: Console, story: Story) -> None:
    import orjson
    from rich.console import Group
    from rich.text import Text

    from agents.commands.layout import column, fitting, heads
    from agents.commands.layout import rows as lines

    console.print()
    if not story.transitions:
        console.print(Text("经过 transitions: 已不再保存 no longer kept", "dim"))
        return
    rows = [orjson.loads(raw) for raw in story.transitions]
    zone = story.about.zone
    columns = [
        column("时间 time", (_second(row["t_update"], zone) for row in rows)),
        column("经过 transition", (TRANSITIONS[row["transition"]] for row in rows)),
        column("级 level", (Text(LEVELS[row["level"]], STYLES[row["level"]]) for row in rows)),
        column("值 value", (amount(row["value"], row["unit"]) for row in rows), right=True),
        column("阈值 threshold", (against(row["why"]) or "–" for row in rows), 1, right=True),
        column("条数 n", (f"{row['why']['n']:,}" for row in rows), 2, right=True),
        column("覆盖 coverage", (f"{row['why']['coverage']:.0%}" for row in rows), 3, right=True),
    ]
    kept = fitting(columns, console.width)
    console.print(Group(*heads(kept)))
    for row, line in zip(rows, lines(kept), strict=True):
        console.print(line)
        if said := _who(row):
            console.print(Text(f"    {said}", "dim"))


def _who(row: dict[str, Any]) -> str:
    """Who made a transition and why; nothing where nobody did."""
    return " · ".join(printable(row[name]) for name in ("by", "note") if row.get(name))


def _show_evidence(console: Console, story: Story) -> None:
    """What the conditions of an incident rest on, at its last transition."""
    from rich.console import Group
    from rich.text import Text

    from agents.commands.layout import column, fitting, table

    zone, rows = story.about.zone, story.alert["why"]["evidence"]
    held = [
        Text("成立 holds", "green") if row["holds"] else Text("– not now", "dim") for row in rows
    ]
    columns = [
        column("条件 condition", (row["condition"] for row in rows)),
        column("", held),
        column("体征 sign", (row.get("sign", "–") for row in rows)),
        column("对象 key", map(_related_key, rows), 1),
        column("值 value", (f"{row['value']:g}" if "value" in row else "–" for row in rows)),
        column("时间 window end", (_second(row["t"], zone) if "t" in row else "–" for row in rows)),
    ]
    console.print(Group(*table(fitting(columns, console.width))))


def _related_key(row: dict[str, Any]) -> str:
    """The key of a fact, and how the register relates it to the incident's."""
    told = (row.get("key", "–"), f"({row['relation']})" if "relation" in row else "")
    return " ".join(part for part in told if part)


def plot_of(story: Story, width: int) -> Iterator[Text]:
    """The sign around the episode, with a line above that says what is shown, and one below."""
    from rich.text import Text

    from agents.commands import plot as p
    from agents.commands.layout import flowed

    alert, zone = story.alert, story.about.zone
    sign = f"{alert['rule']}  {key_with_name(alert['key'], alert['place'])}"
    if not story.series:
        yield Text(f"{sign}: 无结果 no results of this time are kept", "dim")
        return
    begin, end = (_second(story.series[i]["t_end"], zone)[:16] for i in (0, -1))
    unit = with_unit("", alert["unit"]).strip()
    what = [sign, f"[{unit}]"] if unit else [sign]
    yield from flowed(map(Text, [*what, f"{begin} – {end} {zone}"]), width)
    plot = _plot(story, width)
    yield from plot.rows()
    words = {
        p.VALUE: "值 value",
        p.EPISODE: "报警期间 episode",
        p.THRESHOLD: "阈值 threshold",
        p.EXPECTED: "预期 expected, as last said",
        p.BAND: "正常范围 band, as last said",
        p.UP: "升 up",
        p.DOWN: "降 down",
        p.CORRECTED: "更正 corrected",
        p.MISSING: f"缺测 no value{_reasons(story)}",
    }
    used = plot.glyphs
    legend = (Text(f"{glyph} {word}", "dim") for glyph, word in words.items() if glyph in used)
    yield from flowed(legend, width)


def _reasons(story: Story) -> str:
    """Why values are missing, where the results say so."""
    said = sorted({row["reason"] for row in story.series if row["value"] is None})
    words = ", ".join(f"{REASONS.get(reason, '')} {reason}".strip() for reason in said)
    return f" ({words})" if words else ""


def _plot(story: Story, width: int) -> Plot:
    import orjson

    from agents.commands import plot as p

    alert, series = story.alert, story.series
    points = [p.Point(row["t_end"], row["value"], row["rev"] == 1) for row in series]
    transitions = [orjson.loads(raw) for raw in story.transitions] or [alert]
    span = (series[0]["t_end"], series[-1]["t_end"])
    marks = [
        p.Mark(t["t_update"], p.UP if t["transition"] in _RISES else p.DOWN, STYLES[t["level"]])
        for t in transitions
        if TRANSITIONS[t["transition"]] not in _MARKS
    ]
    until = alert["t_cleared"] or span[1]
    expected, bands = _expectations(transitions, until)
    return p.Plot(
        points,
        [*expected, *_thresholds(transitions, span)],
        bands,
        marks,
        (alert["t_onset"], until),
        story.about.zone,
        width,
    )


def _thresholds(transitions: list[dict[str, Any]], span: tuple[int, int]) -> Iterator[Line]:
    """The limit of each level that the alert has had, the worst first."""
    from agents.commands.plot import THRESHOLD, Line

    met = {t["level"]: t["why"]["threshold"] for t in transitions if t["kind"] != "anomaly"}
    for level, threshold in sorted(met.items(), reverse=True):
        if threshold is not None:
            name = LEVELS[level].partition(" ")[2]
            yield Line(threshold, name, THRESHOLD, STYLES[level], *span)


def _expectations(transitions: list[dict[str, Any]], last: int) -> tuple[list[Line], list[Band]]:
    """What a model expected at each transition, and the range it took for normal, to the next."""
    from agents.commands.plot import EXPECTED, Band, Line

    lines, bands = [], []
    ends = [t["why"]["t_end"] for t in transitions[1:]] + [last]
    for transition, end in zip(transitions, ends, strict=True):
        why = transition["why"]
        until = max(end, why["t_end"])
        if why["expected"] is not None:
            line = Line(why["expected"], "expected", EXPECTED, "green", why["t_start"], until)
            lines.append(line)
        if why["band"] is not None:
            low, high = why["band"]
            bands.append(Band(low, high, why["t_start"], until))
    return lines, bands
