"""``cityvitals check``: is a configuration right, and what does it hold."""

from __future__ import annotations

import orjson
import typer

from agents.commands.exits import BAD, complain, guarded
from agents.commands.options import Config, Json


@guarded
def check(config: Config = None, as_json: Json = False) -> None:
    """Check a configuration: every fault at its file, line and column.

    **Examples**

    - `cityvitals check`

    - `cityvitals check --config ./catalogue --json`
    """
    from schemas.documents import ConfigurationError
    from schemas.loading import load

    try:
        found = load(config)
    except ConfigurationError as error:
        if as_json:
            problems = [problem._asdict() for problem in error.problems]
            print(orjson.dumps({"ok": False, "problems": problems}).decode())
        else:
            complain(str(error))
        raise typer.Exit(BAD) from error
    signs: dict[str, list[str]] = {}
    for sign in found.signs:
        signs.setdefault(sign.kind, []).append(sign.id)
    topics = {topic.name: topic.partitions for topic in found.topics}
    incidents = [incident.id for incident in found.incidents]
    overlays = [overlay.id for overlay in found.overlays]
    if as_json:
        said = {"ok": True, "problems": [], "version": found.version}
        said |= {"fingerprint": found.fingerprint, "registered": len(found.register.devices)}
        said |= {"topics": topics, "signs": signs, "incidents": incidents, "overlays": overlays}
        print(orjson.dumps(said).decode())
        return
    print(f"ok  {found.city.name.zh} {found.city.name.en}, configuration {found.label}")
    print(f"    {found.covers}")
    for kind, ids in sorted(signs.items()):
        print(f"{len(ids):4} {kind:8} {', '.join(sorted(ids))}")
    if incidents:
        print(f"{len(incidents):4} {'incident':8} {', '.join(incidents)}")
    if overlays:
        print(f"{len(overlays):4} {'overlay':8} {', '.join(overlays)}")
    for name, partitions in topics.items():
        print(f"{partitions:4} partitions of {name}")
