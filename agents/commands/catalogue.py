"""``cityvitals catalogue``: every sign with its unit, window, levels and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from agents.commands.exits import BAD, complain, guarded
from agents.commands.options import Config, Json

if TYPE_CHECKING:
    from schemas.signs import Sign


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
    print(f"{len(signs)} 个体征 signs; `cityvitals catalogue SIGN` tells all of one")
