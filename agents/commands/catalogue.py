"""``cityvitals catalogue``: every sign with its unit, window, levels and where they come from."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from agents.commands.exits import BAD, complain, guarded
from agents.commands.options import Config, Json


@guarded
def catalogue(
    name: Annotated[
        str | None,
        typer.Argument(help="Id of a sign, such as drain.depth; all if not given.", metavar="SIGN"),
    ] = None,
    config: Config = None,
    as_json: Json = False,
    as_markdown: Annotated[
        bool, typer.Option("--md", help="A page of Markdown, as schemas/catalogue.md.")
    ] = False,
) -> None:
    """Show the signs of a catalogue: what they measure, how often, and by which levels.

    **Examples**

    - `cityvitals catalogue`

    - `cityvitals catalogue drain.depth`

    - `cityvitals catalogue --json | jq '.signs[].id'`

    - `cityvitals catalogue --md > catalogue.md`
    """
    from schemas.loading import load
    from schemas.reference import facts_of, in_order, markdown, reference, sign_object
    from schemas.spelling import guess

    if as_json and as_markdown:
        complain("--json and --md exclude each other: give one of them")
        raise typer.Exit(BAD)
    found = load(config)
    by_id = {sign.id: sign for sign in in_order(found.signs)}
    if name is not None and name not in by_id:
        complain(f"unknown sign '{name}'{guess(name, by_id)}: `cityvitals catalogue` lists them")
        raise typer.Exit(BAD)
    if as_markdown:
        print(markdown(found, name), end="" if name is None else "\n")
    elif as_json:
        said = reference(found) if name is None else sign_object(by_id[name])
        print(orjson.dumps(said).decode())
    elif name is not None:
        sign = by_id[name]
        print(f"{sign.id}  {sign.name.zh} {sign.name.en}")
        for fact, text in facts_of(sign):
            print(f"  {fact:17}{text}")
    else:
        _list(list(by_id.values()))


def _list(signs: list) -> None:  # type: ignore[type-arg]
    from rich.console import Console
    from rich.table import Table

    from schemas.reference import thresholds_of, window_of

    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in ("体征 sign", "名称 name", "单位 unit", "窗口 window", "级别 levels"):
        table.add_column(head, overflow="fold")
    for sign in signs:
        names = f"{sign.name.zh} {sign.name.en}"
        table.add_row(sign.id, names, sign.unit, window_of(sign), thresholds_of(sign))
    Console().print(table)
    print(f"{len(signs)} 个体征 signs; `cityvitals catalogue SIGN` tells all of one")
