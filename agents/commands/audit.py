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
    from agents.gateway.audit import FILE, HEAD
    from agents.gateway.audit import verify as check

    where = _state_in(folder, FILE, HEAD)
    count, broken = check(where)
    if as_json:
        told = {"entries": count, "whole": broken is None}
        print(orjson.dumps(told | (broken._asdict() if broken else {})).decode())
    elif broken is None:
        whole = f"{count:,} entries, the chain is whole"
        print(whole if count else "no entry yet: nothing was changed over the gateway")
    if broken is not None:
        raise Fault(FINDING, f"{where / FILE}: line {broken.line} {broken.why}")


def _state_in(folder: Path, *files: str) -> Path:
    """The folder of a gateway's state: with an audit log, or one whose log has not begun.

    Raises
    ------
    Fault
        No gateway ran there.
    """
    places = (folder / "gateway", folder)
    for names in (files, ("history.db", "token")):
        for place in places:
            if any((place / name).is_file() for name in names):
                return place
    raise Fault(ENVIRONMENT, f"{folder}: no gateway ran here: name its folder")
