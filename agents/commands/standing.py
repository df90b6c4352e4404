"""``cityvitals vitals`` and ``cityvitals alerts``: how the city stands now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from agents.commands.exits import BAD, Fault, complain, guarded
from agents.commands.kafka_options import Data, KafkaConfig
from agents.commands.naming import SHOWN
from agents.commands.options import Json
from agents.commands.wording import (
    LEVELS,
    REASONS,
    STATES,
    STYLES,
    against,
    amount,
    key_with_name,
    moment,
    place_names,
    sourced,
    with_unit,
)
from schemas.spelling import guess

if TYPE_CHECKING:
    from rich.table import Table

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
    rows = list(_chosen(found, wanted, level, everything=everything))
    if as_json:
        _print_lines([row.value for row in rows])
    elif rows:
        _show(_vitals_table([orjson.loads(row.value) for row in rows], about))
    else:
        complain("no results yet" if not found else "no result of such a key or level")


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
    # The worst first, and of those the newest.
    rows.sort(key=lambda row: (row[1]["state"] == "cleared", -row[1]["level"]))
    if as_json:
        _print_lines([raw for raw, _ in rows])
    elif rows:
        _show(_alerts_table([alert for _, alert in rows], zone))
    else:
        complain("no alerts" if everything else "no standing alerts; --all shows cleared ones")


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
    rows: list[Latest], key: str | None, level: str | None, *, everything: bool
) -> Iterator[Latest]:
    levels = (level,) if level else None if everything or key else _COARSE
    if level is not None:
        known = {row.key.decode().split("|", 2)[1] for row in rows}
        if known and level not in known:
            raise Fault(
                BAD, f"no sign has keys of level {level}; there are {', '.join(sorted(known))}"
            )
    for row in rows:
        _, key_level, name = row.key.decode().split("|", 2)
        if (levels is None or key_level in levels) and key in (None, name):
            yield row


def _print_lines(lines: list[bytes]) -> None:
    import sys

    sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))


def _show(table: Table) -> None:
    import sys

    from rich.console import Console

    # Piped, a table is as wide as it needs to be.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)


def _vitals_table(rows: list[dict[str, Any]], about: About) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for head in ("体征 sign", "对象 key"):
        table.add_column(head, no_wrap=True)
    table.add_column("值 value", justify="right", no_wrap=True)
    table.add_column("级 level", no_wrap=True)
    table.add_column("时间 window end", no_wrap=True)
    table.add_column("覆盖 coverage", justify="right")
    table.add_column("条数 n", justify="right")
    for row in rows:
        value, level, reason = row["value"], row["level"], row["reason"]
        said = amount(value, row["unit"])
        if value is None:
            said = f"{said} {REASONS[reason]} {reason}"
        table.add_row(
            Text(f"{row['vital']} {about.signs.get(row['vital'], '').partition(' ')[0]}"),
            Text(key_with_name(row["key"], row["place"])),
            Text(said, "dim" if value is None else ""),
            Text("–") if level is None else Text(LEVELS[level], STYLES[level]),
            moment(row["t_end"], about.zone),
            f"{row['coverage']:.0%}",
            f"{row['n']:,}",
        )
    return table


def _alerts_table(rows: list[dict[str, Any]], zone: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), pad_edge=False)
    heads = ("号 id", "始于 raised", "级 level", "报警 alert", "对象 key", "值 value", "状态 state")
    for head in heads:
        table.add_column(head, no_wrap=head.startswith(("号", "始", "级", "状")))
    table.add_column("原因 why", ratio=1)
    for alert in rows:
        why = alert["why"]
        reasons = [with_unit(against(why), alert["unit"]), sourced(why)]
        if why["contributors"]:
            most = (f"{c['key']} {c['value']:g}" for c in why["contributors"][:3])
            reasons.append(f"最多 top {', '.join(most)}")
        late = " 迟 late" if alert["late"] else ""
        table.add_row(
            alert["alert_id"][:SHOWN],
            moment(alert["t_raised"], zone),
            Text(LEVELS[alert["level"]], STYLES[alert["level"]]),
            Text(" ".join(alert["annotations"].values())),
            Text(key_with_name(alert["key"], alert["place"])),
            amount(alert["value"], alert["unit"]),
            f"{STATES[alert['state']]}{late}",
            Text("; ".join(reasons)),
        )
    return table
