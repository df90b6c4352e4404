"""``cityvitals schemas``: the JSON Schemas of everything that crosses a boundary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from agents.commands.exits import FINDING, complain, guarded
from agents.commands.options import Json


@guarded
def schemas(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to; the package's own folder if not given.")
    ] = None,
    checking: Annotated[
        bool, typer.Option("--check", help="Write nothing; name the files that are stale.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write or check the JSON Schemas of events and outputs.

    **Examples**

    - `cityvitals schemas ./schemas`

    - `cityvitals schemas --check`
    """
    from schemas.generate import FOLDER, documents, stale, write

    target = folder or FOLDER
    names = stale(target) if checking else sorted(documents())
    if not checking:
        write(target)
    if as_json:
        said = "stale" if checking else "written"
        print(orjson.dumps({"folder": str(target), said: names}).decode())
    elif not checking:
        print(f"{target}: {len(names)} schemas written")
    if checking and names:
        if not as_json:
            lines = (f"{target / name} is stale: run `cityvitals schemas`" for name in names)
            complain("\n".join(lines))
        raise typer.Exit(FINDING)
