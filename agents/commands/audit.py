"""``cityvitals audit``: who changed what over the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from agents.commands.exits import ENVIRONMENT, FINDING, Fault, guarded
from agents.commands.options import FOLDER, Json

app = typer.Typer(no_args_is_help=True, help="The gateway's audit log.")


@app.command("verify")
@guarded
def verify(
    folder: Annotated[
        Path,
        typer.Argument(help="Data folder, or a gateway's own (--state).", metavar="DIR"),
    ] = FOLDER,
    as_json: Json = False,
) -> None:
    """Check that no entry was changed, taken out or put in; exit code 1 where one was.

    **Examples**

    - `cityvitals audit verify`

    - `cityvitals audit verify cityvitals-gateway`
    """
    from agents.gateway.audit import FILE
    from agents.gateway.audit import verify as check

    where = next((f for f in (folder / "gateway", folder) if (f / FILE).is_file()), None)
    if where is None:
        raise Fault(ENVIRONMENT, f"{folder}: no audit log here: name the gateway's folder")
    count, broken = check(where)
    if as_json:
        told = {"entries": count, "whole": broken is None}
        print(orjson.dumps(told | (broken._asdict() if broken else {})).decode())
    elif broken is None:
        print(f"{count:,} entries, the chain is whole")
    if broken is not None:
        raise Fault(FINDING, f"{where / FILE}: line {broken.line} {broken.why}")
