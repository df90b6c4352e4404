"""``cityvitals catalogue``: every sign with its unit, window, levels and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from agents.commands.exits import BAD, complain, guarded
from agents.commands.options import Config, Json

if TYPE_CHECKING:
    from schemas.configuration import Configuration
    from schemas.incidents import Incident
    from schemas.signs import Sign


@guarded
def catalogue(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Id of a sign, incident or overlay, such as drain.depth; all if not given.",
            metavar="ID",
        ),
    ] = None,
    config: Config = None,
    as_json: Json = False,
    as_markdown: Annotated[
        bool, typer.Option("--md", help="A page of Markdown, as schemas/catalogue.md.")
    ] = False,
    systems: Annotated[
        bool,
        typer.Option("--systems", help="The city's named systems, and what each feeds or reads."),
    ] = False,
) -> None:
    """Show the signs, incidents and overlays of a catalogue: what is measured, by which levels.

    **Examples**

    - `cityvitals catalogue`

    - `cityvitals catalogue drain.depth`

    - `cityvitals catalogue ce.waterlogging`

    - `cityvitals catalogue --json | jq '.signs[].id'`

    - `cityvitals catalogue --md > catalogue.md`

    - `cityvitals catalogue --systems --json | jq '.systems[] | select(.no == 48)'`
    """
    from schemas.departures import departures_of
    from schemas.loading import load
    from schemas.reference import (
        facts_of,
        in_order,
        incident_facts,
        incident_object,
        markdown,
        overlay_lines,
        reference,
        sign_object,
    )
    from schemas.spelling import guess

    if as_json and as_markdown:
        complain("--json and --md exclude each other: give one of them")
        raise typer.Exit(BAD)
    found = load(config)
    if systems:
        if name is not None:
            complain("--systems takes no ID: `cityvitals catalogue ID` tells of one sign")
            raise typer.Exit(BAD)
        _show_systems(found, as_json=as_json, as_markdown=as_markdown)
        return
    by_id = {sign.id: sign for sign in in_order(found.signs)}
    incidents = {incident.id: incident for incident in found.incidents}
    overlays = {overlay.id: overlay for overlay in found.overlays}
    if name is not None and name not in by_id.keys() | incidents.keys() | overlays.keys():
        near = guess(name, [*by_id, *incidents, *overlays])
        complain(
            f"unknown sign, incident or overlay '{name}'{near}: `cityvitals catalogue` lists them"
        )
        raise typer.Exit(BAD)
    if name in overlays:
        if as_json:
            print(overlays[name].model_dump_json(exclude_none=True))
            return
        print("\n".join(overlay_lines(overlays[name])).removeprefix("### "))
    elif as_markdown:
        print(markdown(found, name), end="" if name is None else "\n")
    elif as_json and name is None:
        print(orjson.dumps(reference(found)).decode())
    elif name in incidents:
        incident = incidents[name]
        if as_json:
            print(orjson.dumps(incident_object(incident)).decode())
            return
        print(f"{incident.id}  {incident.name.zh} {incident.name.en}")
        for fact, text in incident_facts(incident):
            print(f"  {fact:19} {text}")
    elif as_json and name is not None:
        print(orjson.dumps(sign_object(by_id[name])).decode())
    elif name is not None:
        sign = by_id[name]
        print(f"{sign.id}  {sign.name.zh} {sign.name.en}")
        for fact, text in facts_of(sign) + departures_of(sign.id, found.departures):
            print(f"  {fact:16} {text}")
    else:
        _list(list(by_id.values()))
        if incidents:
            _list_incidents(list(incidents.values()))
        if overlays:
            told = ", ".join(f"{one.id} {one.name.zh}" for one in overlays.values())
            print(f"{len(overlays)} 个叠加 overlays: {told}")
        print("`cityvitals catalogue ID` tells all of one")


def _show_systems(found: Configuration, *, as_json: bool, as_markdown: bool) -> None:
    from agents.commands.layout import column, fitting, show, table
    from schemas.named_systems import named_systems, shown_by, system_objects, systems_markdown

    if as_markdown:
        print(systems_markdown(found), end="")
        return
    if as_json:
        print(orjson.dumps({"systems": system_objects(found)}).decode())
        return
    listed = named_systems()
    columns = [
        column("号 no", (str(one.no) for one in listed), right=True),
        column("系统", (one.zh for one in listed)),
        column("system", (one.en for one in listed), 3),
        column("范围 scope", (one.scope for one in listed)),
        column("体征 signs", (", ".join(one.signs) or "–" for one in listed), 4),
        column("见 shown by", (shown_by(one, found) for one in listed), 5),
    ]
    show(lambda width: table(fitting(columns, width)))
    print(f"{len(listed)} 个系统 systems")


def _list(signs: list[Sign]) -> None:
    from agents.commands.layout import column, fitting, show, table
    from schemas.reference import thresholds_of, window_of

    columns = [
        column("体征 sign", (sign.id for sign in signs)),
        column("名称", (sign.name.zh for sign in signs), 2),
        column("name", (sign.name.en for sign in signs), 4),
        column("单位 unit", (sign.unit for sign in signs), 1),
        column("窗口 window", map(window_of, signs), 3),
        column("级别 levels", map(thresholds_of, signs), 5),
    ]
    show(lambda width: table(fitting(columns, width)))
    print(f"{len(signs)} 个体征 signs")


def _list_incidents(incidents: list[Incident]) -> None:
    from agents.commands.layout import column, fitting, show, table
    from schemas.reference import need_of

    def conditions(incident: Incident) -> str:
        return "、".join(condition.name.zh for condition in incident.conditions)

    columns = [
        column("事件 incident", (one.id for one in incidents)),
        column("名称", (one.name.zh for one in incidents), 2),
        column("name", (one.name.en for one in incidents), 4),
        column("对象 key", (one.key for one in incidents), 1),
        column("条件 conditions", map(conditions, incidents), 3),
        column("级别 levels", map(need_of, incidents), 5),
    ]
    print()
    show(lambda width: table(fitting(columns, width)))
    print(f"{len(incidents)} 个综合事件 incidents")
