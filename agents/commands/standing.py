"""``cityvitals vitals`` and ``cityvitals alerts``: how the city stands now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from agents.commands.exits import BAD, Fault, complain, guarded
from agents.commands.kafka_options import Data, KafkaConfig
from agents.commands.options import Json
from agents.commands.wording import (
    LEVELS,
    REASONS,
    STYLES,
    amount,
    is_aside,
    key_with_name,
    moment,
    place_names,
)
from schemas.spelling import guess

if TYPE_CHECKING:
    from rich.text import Text

    from agents.commands.folder import About
    from agents.commands.sources import Source
    from streams.log_types import Latest

_VITALS, _ALERTS = "city.vitals.v1", "city.alerts.v1"
_COARSE = ("city", "district")


@guarded
def vitals(
    sign: Annotated[
        str | None, typer.Argument(help="Sign, such as traffic.tpi; all if not given.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Key or Chinese name of a place.", metavar="KEY"),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            "--level",
            help="Key level: city, district, street, site, station, …",
            metavar="LEVEL",
            show_default="city and district",
        ),
    ] = None,
    data: Data = None,
    config: KafkaConfig = None,
    everything: Annotated[bool, typer.Option("--all", help="Keys of every level.")] = False,
    as_json: Json = False,
) -> None:
    """Show the latest vital signs.

    A value without enough data is a dash with its reason; it is never shown as good.

    **Examples**

    - `cityvitals vitals`

    - `cityvitals vitals traffic.tpi --level street`

    - `cityvitals vitals --key 荔湾区 --json`

    - `cityvitals vitals --config kafka.yaml`
    """
    from agents.commands.sources import reading

    with reading(data, config) as source:
        about = source.about
        found = list(source.latest(_VITALS, f"{sign}|".encode() if sign else None))
        if sign and not found:
            _require_sign(source, about, sign)
    wanted = None if key is None else _key_named(key)
    rows = list(_chosen(found, sign, wanted, level, everything=everything))
    if as_json:
        _print_lines([row.value for row in rows])
    elif rows:
        from agents.commands.layout import show

        values = [orjson.loads(row.value) for row in rows]
        show(lambda width: _vitals_lines(values, about, width))
    else:
        levels = f"there are keys of level {', '.join(_levels(found))}"
        none = f"no result of {key or 'city and district'}; {levels}: name one with --level"
        complain(none if found else "no results yet")


@guarded
def alerts(
    data: Data = None,
    config: KafkaConfig = None,
    everything: Annotated[bool, typer.Option("--all", help="With cleared alerts.")] = False,
    as_json: Json = False,
) -> None:
    """Show the alerts that stand, and why; `cityvitals explain` with an id says more of one.

    **Examples**

    - `cityvitals alerts`

    - `cityvitals alerts --all --json | jq -c '[.rule, .key, .why.threshold]'`

    - `cityvitals alerts --config kafka.yaml`
    """
    from agents.commands.sources import reading

    with reading(data, config) as source:
        zone = source.about.zone
        newest = sorted(source.latest(_ALERTS), key=lambda alert: -alert.offset)
    rows = [(latest.value, orjson.loads(latest.value)) for latest in newest]
    rows = [row for row in rows if everything or row[1]["state"] != "cleared"]
    # The worst first, and of those the one that changed last.
    rows.sort(key=lambda row: (row[1]["state"] == "cleared", -row[1]["level"]))
    if as_json:
        _print_lines([raw for raw, _ in rows])
    elif rows:
        from agents.commands.alert_table import alert_lines
        from agents.commands.layout import show

        told = sorted((alert for _, alert in rows), key=_rank)
        show(lambda width: alert_lines(told, zone, width, "t_raised", reasons=True))
    else:
        complain("no alerts" if everything else "no standing alerts; --all shows cleared ones")


def _rank(alert: dict[str, Any]) -> tuple[bool, bool, int, bool, int]:
    """The worst first, and of those the newest, before those that clear; what is suppressed or
    shelved comes after them.
    """
    state, level = alert["state"], -alert["level"]
    return state == "cleared", is_aside(alert), level, state == "clearing", -alert["t_raised"]


def _require_sign(source: Source, about: About, sign: str) -> None:
    known = set(about.signs) or {
        latest.key.decode().split("|")[0] for latest in source.latest(_VITALS)
    }
    if known and sign not in known:
        raise Fault(
            BAD,
            f"{sign} is no sign{guess(sign, known) or ';'} there are {', '.join(sorted(known))}",
        )


def _key_named(key: str) -> str:
    from schemas.places import normalise

    codes = {name: code for code, name in place_names().items()}
    try:
        return normalise(codes.get(key, key))
    except ValueError:
        return key


def _chosen(
    rows: list[Latest],
    sign: str | None,
    key: str | None,
    level: str | None,
    *,
    everything: bool,
) -> Iterator[Latest]:
    levels = (level,) if level else None if everything or key else _COARSE
    known = _levels(rows)
    if level is not None and known and level not in known:
        none = f"{sign} has no" if sign else "no sign has"
        near = guess(level, known) or ";"
        raise Fault(BAD, f"{none} keys of level {level}{near} there are {', '.join(known)}")
    for row in rows:
        _, key_level, name = row.key.decode().split("|", 2)
        if (levels is None or key_level in levels) and key in (None, name):
            yield row


def _levels(rows: list[Latest]) -> list[str]:
    """The key levels of results."""
    return sorted({row.key.decode().split("|", 2)[1] for row in rows})


def _print_lines(lines: list[bytes]) -> None:
    import sys

    sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))


def _vitals_lines(rows: list[dict[str, Any]], about: About, width: int | None) -> Iterator[Text]:
    from agents.commands.layout import column, fitting, table

    def name(row: dict[str, Any]) -> str:
        return about.signs.get(row["vital"], "").partition(" ")[0]

    columns = [
        column("体征 sign", (row["vital"] for row in rows)),
        column("", map(name, rows), 2),
        column("对象 key", (key_with_name(row["key"], row["place"]) for row in rows)),
        column("值 value", map(_value, rows), right=True),
        column("级 level", map(_level, rows)),
        column("时间 window end", (moment(row["t_end"], about.zone) for row in rows), 1),
        column("覆盖 coverage", (f"{row['coverage']:.0%}" for row in rows), 3, right=True),
        column("条数 n", (f"{row['n']:,}" for row in rows), 4, right=True),
    ]
    yield from table(fitting(columns, width))


def _value(row: dict[str, Any]) -> Text:
    from rich.text import Text

    said = amount(row["value"], row["unit"])
    if row["value"] is not None:
        return Text(said)
    return Text(f"{said} {REASONS[row['reason']]} {row['reason']}", "dim")


def _level(row: dict[str, Any]) -> Text:
    from rich.text import Text

    level = row["level"]
    return Text("–") if level is None else Text(LEVELS[level], STYLES[level])
