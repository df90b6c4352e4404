"""The named systems of the city: what each feeds or reads, and where that is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

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
SHOWN = {
    "levels": "tests/rules/test_driven_signs.py"
    "::test_a_sign_is_seen_at_each_level_and_its_alert_rises_and_clears",
    "values": "tests/rules/test_unrated_signs.py::test_a_sign_without_levels_says_its_value",
    "surprises": "tests/rules/test_unrated_signs.py"
    "::test_what_is_out_of_the_ordinary_is_raised_and_clears",
    "live": "tests/rules/test_driven_live.py::test_every_live_sign_is_driven",
    "incidents": "tests/rules/test_driven_incidents.py"
    "::test_an_incident_goes_through_its_levels_and_is_over",
    "connected": "tests/rules/test_connected_systems.py"
    "::test_what_a_system_sends_brings_its_sign_to_its_values",
}
"""The tests that show what is said of systems."""


class NamedSystem(Model):
    """One system that the owner's documents name."""

    no: int
    zh: Text
    en: Text
    scope: Literal["in", "configuration", "out"]
    events: list[str]
    """Kind of event, with metric or kind of observation, order, call or warning."""
    signs: list[str]
    """Those that its events feed or that it reads; `all` stands for every one. Of those by
    configuration, they may be signs of their examples."""
    incidents: list[str]
    examples: Annotated[list[str], Field(default_factory=list)]
    """Of those by configuration: files of `EXAMPLES`."""
    why: Text | None = None
    """Why it is out of scope."""

    def signs_of(self, configuration: Configuration) -> list[str]:
        """Ids of its signs."""
        return list(configuration.sign) if self.signs == [ALL] else self.signs

    def alerts_of(self, configuration: Configuration) -> list[str]:
        """Ids of its signs that raise alerts."""
        alarming = {sign.id for sign in configuration.signs if sign.alert or sign.model}
        alarming.update(name for one in self.examples for name, does in signs_in(one) if does)
        return [name for name in self.signs_of(configuration) if name in alarming]


@cache
def signs_in(example: str) -> tuple[tuple[str, bool], ...]:
    """Ids of the signs of an example, and whether they raise alerts."""
    problems: list[Problem] = []
    document = read_document(EXAMPLES / f"{example}.yaml", problems)
    assert document is not None, problems
    signs = document.tree.get("signs", ())
    return tuple((sign["id"], "alert" in sign or "model" in sign) for sign in signs)


_SYSTEMS: TypeAdapter[list[NamedSystem]] = TypeAdapter(list[NamedSystem])


@cache
def named_systems() -> tuple[NamedSystem, ...]:
    """Every system, in the order of the owner's numbers."""
    problems: list[Problem] = []
    document = read_document(FOLDER / "systems.yaml", problems)
    assert document is not None, problems
    return tuple(_SYSTEMS.validate_python(document.tree["systems"]))


def ways_shown(system: NamedSystem, configuration: Configuration) -> list[str]:
    """Which of `SHOWN` show what a system feeds or reads."""
    if system.scope == "out":
        return []
    if system.scope == "configuration":
        return ["connected"]
    signs = [configuration.sign[name] for name in system.signs_of(configuration)]
    plain = [sign for sign in signs if not isinstance(sign, LiveSign)]
    unrated = [s for s in plain if s.levels is None and set(s.keys) - set(s.hidden)]
    told = {
        "levels": any(sign.levels is not None for sign in plain),
        "values": bool(unrated),
        "surprises": any(sign.model is not None for sign in unrated),
        "live": len(plain) < len(signs),
        "incidents": bool(system.incidents),
    }
    return [name for name, shown in told.items() if shown]


def shown_by(system: NamedSystem, configuration: Configuration) -> str:
    """Which tests show what a system feeds, which files connect it, or why none does."""
    if system.scope == "out":
        return system.why or ""
    files = [f"schemas/systems/examples/{name}.yaml" for name in system.examples]
    return ", ".join([*files, *(SHOWN[name] for name in ways_shown(system, configuration))])


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
        "",
        "What is said of systems is shown by these tests, each with real events:",
        "",
        *(f"- {name}: `{test}`" for name, test in SHOWN.items()),
    ]
    for scope, (zh, en) in _SCOPES.items():
        lines += ["", f"## {zh} {en}", "", *_table(scope, configuration)]
    return "\n".join(lines) + "\n"


def _table(scope: str, configuration: Configuration) -> Iterator[str]:
    last = {"in": "shown by", "configuration": "files of `systems/examples`", "out": "why"}[scope]
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
        if wide:
            cells.append(", ".join(system.examples or ways_shown(system, configuration)))
        else:
            cells.append(system.why or "")
        plain = (cell.replace("|", "/").replace("*", "\\*") for cell in cells)
        yield f"| {' | '.join(plain)} |"
