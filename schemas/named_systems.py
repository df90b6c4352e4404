"""The named systems of the city: what each feeds or reads, and where that is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from schemas.configuration import Configuration
from schemas.documents import Problem, read_document
from schemas.model import Model, Text
from schemas.signs import LiveSign

FOLDER = Path(__file__).parent / "systems"
EXAMPLES = FOLDER / "examples"
"""Configurations that connect systems, each one more file beside the catalogue's."""

ALL = "all"
_SCOPES = {
    "in": ("在范围内", "in scope"),
    "configuration": ("经配置接入", "by configuration"),
    "out": ("范围外", "out of scope"),
}
_DRIVEN_SIGNS = "tests/rules/test_driven_signs.py"
_DRIVEN_LIVE = "tests/rules/test_driven_live.py"
_DRIVEN_INCIDENTS = "tests/rules/test_driven_incidents.py"


class NamedSystem(Model):
    """One system that the owner's documents name."""

    no: int
    zh: Text
    en: Text
    scope: Literal["in", "configuration", "out"]
    events: list[str]
    """Kind of event, with metric or kind of observation, order, call or warning."""
    signs: list[str]
    """Those that its events feed or that it reads; `all` stands for every one."""
    incidents: list[str]
    example: str | None = None
    """Of those by configuration: a file of `EXAMPLES`."""
    why: Text | None = None
    """Why it is out of scope."""

    def signs_of(self, configuration: Configuration) -> list[str]:
        """Ids of its signs."""
        return list(configuration.sign) if self.signs == [ALL] else self.signs

    def alerts_of(self, configuration: Configuration) -> list[str]:
        """Ids of its signs that raise alerts."""
        signs = (configuration.sign.get(name) for name in self.signs_of(configuration))
        return [sign.id for sign in signs if sign and (sign.alert or sign.model)]


_SYSTEMS: TypeAdapter[list[NamedSystem]] = TypeAdapter(list[NamedSystem])


@cache
def named_systems() -> tuple[NamedSystem, ...]:
    """Every system, in the order of the owner's numbers."""
    problems: list[Problem] = []
    document = read_document(FOLDER / "systems.yaml", problems)
    assert document is not None, problems
    return tuple(_SYSTEMS.validate_python(document.tree["systems"]))


def shown_by(system: NamedSystem, configuration: Configuration) -> str:
    """Which tests show what a system feeds, which file connects it, or why none does."""
    if system.scope == "out":
        return system.why or ""
    if system.example is not None:
        return f"schemas/systems/examples/{system.example}.yaml"
    signs = [configuration.sign[name] for name in system.signs_of(configuration)]
    rated = [sign for sign in signs if sign.levels is not None]
    told = [_DRIVEN_SIGNS] if any(not isinstance(sign, LiveSign) for sign in rated) else []
    told += [_DRIVEN_LIVE] if any(isinstance(sign, LiveSign) for sign in rated) else []
    told += [_DRIVEN_INCIDENTS] if system.incidents else []
    return ", ".join(told)


def system_objects(configuration: Configuration) -> list[dict[str, Any]]:
    """Every system with its alerts and where it is shown, as plain values."""
    return [
        {
            **system.model_dump(mode="json", exclude_none=True),
            "alerts": [ALL] if system.signs == [ALL] else system.alerts_of(configuration),
            "shown_by": shown_by(system, configuration),
        }
        for system in named_systems()
    ]


def systems_markdown(configuration: Configuration) -> str:
    """The page of all systems."""
    counts: Counter[str] = Counter(system.scope for system in named_systems())
    told = ", ".join(f"{counts[scope]} {words[1]}" for scope, words in _SCOPES.items())
    lines = [
        "# Named systems",
        "",
        f"{sum(counts.values())} systems: {told}. Made by `cityvitals catalogue --systems --md`.",
    ]
    for scope, (zh, en) in _SCOPES.items():
        lines += ["", f"## {zh} {en}", "", *_table(scope, configuration)]
    return "\n".join(lines) + "\n"


def _table(scope: str, configuration: Configuration) -> Iterator[str]:
    last = {"in": "shown by", "configuration": "configuration", "out": "why"}[scope]
    wide = scope != "out"
    heads = ["no", "system", *(["events", "signs", "alerts", "incidents"] if wide else []), last]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for system in named_systems():
        if system.scope != scope:
            continue
        cells = [str(system.no), f"{system.zh} {system.en}"]
        if wide:
            alerts = system.signs if system.signs == [ALL] else system.alerts_of(configuration)
            for names in (system.events, system.signs, alerts, system.incidents):
                cells.append(", ".join(names) or "–")
        cells.append(shown_by(system, configuration))
        plain = (cell.replace("|", "/").replace("*", "\\*") for cell in cells)
        yield f"| {' | '.join(plain)} |"
