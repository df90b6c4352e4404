"""The catalogue as a reference for people and programs: every sign, metric and threshold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from schemas.configuration import Configuration
from schemas.departures import departures_of
from schemas.derivations import DomainIndex, Formula, LevelIndex, OverallIndex
from schemas.incidents import Fact, Incident
from schemas.overlays import Overlay
from schemas.signs import (
    DatedLevels,
    DerivedSign,
    EventSign,
    HistorySign,
    LiveSign,
    Sign,
    Thresholds,
)
from schemas.standards.dated import tables_of
from schemas.words import Condition, Range

_COMPARE = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def reference(configuration: Configuration) -> dict[str, Any]:
    """One object with the ``signs``, ``incidents`` and ``metrics`` of a configuration."""
    return {
        "version": configuration.version,
        "signs": [sign_object(sign) for sign in in_order(configuration.signs)],
        "incidents": [incident_object(incident) for incident in configuration.incidents],
        "signals": [one.model_dump(mode="json") for one in configuration.signals],
        "tables": [*tables_of(configuration.signs), *_level_tables(configuration)],
        "overlays": [
            overlay.model_dump(mode="json", exclude_none=True) for overlay in configuration.overlays
        ],
        "departures": [one.model_dump(mode="json") for one in configuration.departures],
        "metrics": [asdict(metric) for metric in configuration.known_metrics.values()],
    }


def sign_object(sign: Sign) -> dict[str, Any]:
    """A sign as its configuration has it, without what it leaves out.

    Where a table has its levels, ``levels`` are those of the newest version, with its label and its
    days; those of the others stand with the table, and the newest may be of years to come.
    """
    told = sign.model_dump(mode="json", exclude_none=True)
    if sign.table is not None and isinstance(sign.levels, DatedLevels):
        begin, end, label, _ = sign.levels.versions[-1]
        told["levels"] = {
            "compare": sign.levels.compare,
            "thresholds": dict(sign.levels.thresholds.given()),
            "source": sign.levels.source,
            "standing": sign.levels.standing,
            "label": label,
            "valid_from": begin,
            "valid_to": end,
        }
    return told


def incident_object(incident: Incident) -> dict[str, Any]:
    """An incident as its configuration has it, without what it leaves out."""
    return incident.model_dump(mode="json", exclude_none=True)


def in_order(signs: Iterable[Sign]) -> list[Sign]:
    """Signs by domain, in the catalogue's order within each."""
    by_domain: dict[str, list[Sign]] = {}
    for sign in signs:
        by_domain.setdefault(sign.domain, []).append(sign)
    return [sign for domain in by_domain.values() for sign in domain]


def span(seconds: float) -> str:
    """A length of time in the largest unit that it is whole in.

    >>> span(900), span(86400), span(90), span(0.5)
    ('15 min', '1 d', '90 s', '0.5 s')
    """
    for unit_s, unit in _UNITS:
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"


def window_of(sign: Sign) -> str:
    """Size and hop of a sign's windows."""
    window = sign.window
    if window.calendar is not None:
        return f"local {window.calendar}"
    assert window.size_s is not None
    assert window.hop_s is not None
    size, hop = span(window.size_s), span(window.hop_s)
    told = size if size == hop else f"{size}, every {hop}"
    return told if window.during is None else f"{told}, in the {window.during}"


def thresholds_of(sign: Sign) -> str:
    """The values at which levels are entered, the mildest first."""
    if sign.levels is None:
        return ""
    if isinstance(sign.levels, DatedLevels) and len(sign.levels.versions) > 1:
        return "; ".join(
            f"{_valid(begin, end)}: {_given(levels.compare, levels.thresholds)}"
            for begin, end, _, levels in sign.levels.versions
        )
    return _given(sign.levels.compare, sign.levels.thresholds)


def _given(compare: str, thresholds: Thresholds) -> str:
    return ", ".join(f"{level} {_COMPARE[compare]} {x:g}" for level, x in thresholds.given())


def _valid(begin: str | None, end: str | None) -> str:
    if begin is None and end is None:
        return "every day (its first one was not read)"
    return f"{begin or '…'} to {end or '…'}"


def _level_tables(configuration: Configuration) -> Iterator[dict[str, Any]]:
    """Every version of the tables of levels, as plain values, with the signs that use it."""
    for table in configuration.tables:
        signs = [sign.id for sign in configuration.signs if sign.table == table.id]
        for version in table.versions:
            told = _given(table.compare, version.thresholds)
            yield {
                "id": table.id,
                "compare": table.compare,
                **version.model_dump(),
                "levels": told,
                "signs": signs,
            }


def measure_of(sign: Sign) -> str:
    """What a sign computes, in words of its configuration."""
    if isinstance(sign, DerivedSign):
        return f"{sign.formula.name} of {', '.join(sign.inputs)}"
    if isinstance(sign, LiveSign):
        return sign.measure
    if isinstance(sign, HistorySign):
        fields = " or ".join("+".join(names) for names in sign.repeats.of)
        return f"repeats of {fields} within {span(sign.repeats.within_s)}"
    how = sign.aggregate
    told = how.function if how.q is None else f"{how.function} {how.q:g}"
    told += f" of {how.of}" if how.of is not None else ""
    told += f" / {how.over}" if how.over is not None else ""
    told += f" where {conditions(how.where)}" if how.where else ""
    told += f" among {conditions(how.among)}" if how.among else ""
    told += f" × {how.scale:g}" if how.scale != 1 else ""
    return told


def conditions(wanted: Mapping[str, Condition]) -> str:
    """Fields and what they must be."""
    return ", ".join(f"{name} {_condition(value)}" for name, value in wanted.items())


def _condition(value: Condition) -> str:
    if isinstance(value, Range):
        low, high = value.at_least, value.at_most
        if low is not None and high is not None:
            return f"{low:g} to {high:g}"
        return f"≥ {low:g}" if low is not None else f"≤ {high:g}"
    if isinstance(value, list):
        return "in " + ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"= {value:g}" if isinstance(value, float) else f"= {value}"


def facts_of(sign: Sign) -> list[tuple[str, str]]:
    """What there is to say of a sign, line by line; what it has not is left out."""
    facts = [("unit", sign.unit), ("kind", sign.kind), ("value", measure_of(sign))]
    if isinstance(sign, EventSign | HistorySign):
        facts.append(("events", f"{sign.topic}: {conditions(sign.match) or 'all'}"))
        facts.append(("base", sign.base))
    if isinstance(sign, DerivedSign):
        facts += formula_facts(sign.formula)
    facts += [("window", window_of(sign)), ("keys", ", ".join(sign.keys))]
    if sign.hidden:
        facts.append(("not sent", f"results of {', '.join(sign.hidden)}: others read them"))
    rollup = getattr(sign, "rollup", None)
    if rollup is not None:
        facts.append(("roll-up", rollup))
    limit = getattr(sign, "limit", None)
    if limit is not None:
        facts.append(("limit", f"{limit.how} of {limit.name} in the register × {limit.scale:g}"))
    coverage = getattr(sign, "coverage", None)
    if coverage is not None:
        facts.append(("valid", f"from {coverage.at_least:g} by {coverage.by}"))
    elif sign.empty == "zero":
        facts.append(("valid", "always: no event means zero"))
    if isinstance(sign.levels, DatedLevels):
        compare = sign.levels.compare
        for begin, end, label, levels in sign.levels.versions:
            told = f"{_valid(begin, end)}: {_given(compare, levels.thresholds)}"
            facts.append((f"levels by {label}", f"{told}; {levels.source} ({levels.standing})"))
    elif sign.levels is not None:
        facts += [
            ("levels", thresholds_of(sign)),
            ("source of levels", sign.levels.source),
            ("standing", sign.levels.standing),
        ]
    if sign.alert is not None:
        on, off = span(sign.alert.on_delay_s), span(sign.alert.off_delay_s)
        at = ", ".join(sign.alert.keys or sign.keys)
        facts.append(("alert", f"at {at}; on {on}, off {off}, deadband {sign.alert.deadband:g}"))
        early = sign.alert.early
        if early is not None:
            told = f"one level, where {early.rate} makes it reach that within"
            facts.append(("early", f"{told} {early.within_min:g} min"))
    if sign.model is not None:
        facts.append(("model", f"{sign.model.detector}, {sign.model.side} values"))
    facts.append(("source", sign.source))
    return facts


def formula_facts(formula: Formula) -> list[tuple[str, str]]:
    """What an index over domains or levels counts, line by line."""
    facts = list[tuple[str, str]]()
    if isinstance(formula, LevelIndex | DomainIndex) and formula.least_coverage:
        facts.append(("counts", f"signs of which {formula.least_coverage:g} is covered"))
    if isinstance(formula, OverallIndex):
        weights = ", ".join(f"{each.domain} {each.weight:g}" for each in formula.domains)
        facts += [("weights", weights), ("valid", f"from {formula.at_least} domains")]
        if formula.critical:
            domains = ", ".join(formula.critical)
            facts.append(("cap", f"{formula.cap:g} while any sign of {domains} is red"))
    return facts


def need_of(incident: Incident) -> str:
    """How many conditions make each level, and what sets it directly."""
    of = len(incident.conditions)
    told = [f"{level} {number} of {of}" for level, number in incident.need.given()]
    for override in incident.override:
        parts = [alternatives(override.any, override.at or incident.key)] if override.any else []
        parts += [" and ".join(override.conditions)] if override.conditions else []
        parts += [f"the register lists it by {override.related}"] if override.related else []
        if override.standing is not None:
            stood = override.standing
            parts.append(f"{stood.level} stands for {span(stood.for_s)}")
        told.append(f"{override.level} if {', and '.join(parts)}")
    return "; ".join(told)


def alternatives(facts: list[Fact] | None, at: str) -> str:
    """Facts of which one is enough."""
    return " or ".join(
        fact_of(one, at) if one.all is None else " and ".join(fact_of(f, at) for f in one.all)
        for one in facts or ()
    )


def fact_of(fact: Fact, at: str) -> str:
    """What one sign or incident must say, and where it is read."""
    level = fact.at or at
    if fact.comparison is not None:
        compare, limit = fact.comparison
        asked = f"{_COMPARE[compare]} {limit:g}"
    else:
        asked = "is an anomaly" if fact.anomaly else f"at least {fact.level}"
    at = level + (f": {', '.join(fact.of)}" if fact.of else "")
    at += f" by {fact.relation}" if fact.relation is not None else ""
    at += f" within {fact.within_m:g} m" if fact.within_m is not None else ""
    told = f"{fact.source} {asked} [{at}]"
    return told if fact.keys == 1 else f"{told} at {fact.keys} keys"


def incident_facts(incident: Incident) -> list[tuple[str, str]]:
    """What there is to say of an incident, line by line; what it has not is left out."""
    facts = [("key", incident.key)]
    for condition in incident.conditions:
        asked = alternatives(condition.any or condition.none, condition.at)
        told = asked if condition.any else f"none of {asked}"
        told += f", for {span(condition.for_s)}" if condition.for_s else ""
        told += f", counts for {span(condition.within_s)}" if condition.within_s else ""
        name = f"{condition.name.zh} {condition.name.en}"
        facts.append((f"condition {condition.id}", f"{name}: {told}"))
    facts.append(("levels", need_of(incident)))
    facts.append(("within", f"{span(incident.within_s)}, judged every {span(incident.every_s)}"))
    if incident.must:
        facts.append(("must", ", ".join(incident.must)))
    over = f"no level for {span(incident.clear_s)}"
    if incident.until:
        over += f"; at once when {', '.join(incident.until)} ends"
    facts.append(("over", over))
    facts.append(("cool-down", span(incident.cooldown_s) if incident.cooldown_s else "none"))
    if incident.suppresses:
        told = ", ".join(
            one.sign + (f" of {', '.join(one.of)}" if one.of else "") for one in incident.suppresses
        )
        facts.append(("suppresses", told))
    facts += [
        ("category", f"{incident.category} (CAP 1.2)"),
        ("source of levels", incident.source),
        ("standing", incident.standing),
    ]
    facts += [("not told", f"{one.what}: {one.why}") for one in incident.untold]
    return facts


def markdown(configuration: Configuration, only: str | None = None) -> str:
    """The reference page, or the part of it about one sign or incident."""
    signs, incidents = in_order(configuration.signs), configuration.incidents
    metrics = configuration.known_metrics
    if only is not None:
        sections = [_section(sign, configuration) for sign in signs if sign.id == only]
        sections += [_incident(incident) for incident in incidents if incident.id == only]
        return "\n".join(line for section in sections for line in section)
    lines = [
        f"# Catalogue {configuration.version}",
        "",
        f"{len(signs)} signs, {len(incidents)} incidents, {len(metrics)} metrics. "
        "Made by `cityvitals catalogue --md`.",
        "",
        "| sign | name | unit | window | levels | standing |",
        "|---|---|---|---|---|---|",
    ]
    for sign in signs:
        standing = sign.levels.standing if sign.levels is not None else ""
        cells = (
            f"[{sign.id}](#{sign.id.replace('.', '')})",
            f"{sign.name.zh} {sign.name.en}",
            sign.unit,
            window_of(sign),
            thresholds_of(sign),
            standing,
        )
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    domain = None
    for sign in signs:
        if sign.domain != domain:
            domain = sign.domain
            lines += ["", f"## {domain}"]
        lines += ["", *_section(sign, configuration)]
    if incidents:
        lines += ["", "## Incidents"]
    for incident in incidents:
        lines += ["", *_incident(incident)]
    if configuration.overlays:
        lines += ["", "## Overlays"]
    for overlay in configuration.overlays:
        lines += ["", *overlay_lines(overlay)]
    lines += ["", "## Tables of standards", "", "| table | valid | standing | source | signs |"]
    lines.append("|---|---|---|---|---|")
    for dated in (*tables_of(configuration.signs), *_level_tables(configuration)):
        valid = _valid(dated["valid_from"], dated["valid_to"])
        named = f"{dated['id']}: {dated['label']}"
        facts = (named, valid, dated["standing"], dated["source"])
        lines.append("| " + " | ".join(map(_cell, (*facts, ", ".join(dated["signs"])))) + " |")
    for signals in configuration.signals:
        for one in signals.versions:
            colours = "; ".join(
                f"{event} {', '.join(f'{colour} {level:g}' for colour, level in known.items())}"
                for event, known in one.levels.items()
            )
            told = [f"{signals.id}: {one.label}", _valid(one.valid_from, one.valid_to)]
            told += [one.standing, one.source, f"colours of warnings: {colours}"]
            lines.append("| " + " | ".join(map(_cell, told)) + " |")
    lines += ["", "## Metrics", "", "| metric | name | unit | range | period | HJ 212 |"]
    lines.append("|---|---|---|---|---|---|")
    for metric in metrics.values():
        period = span(metric.period_s) if metric.period_s else "as it happens"
        bounds = f"{metric.minimum:g} to {metric.maximum:g}"
        names = f"{metric.zh} {metric.en}"
        row = (metric.code, names, metric.unit, bounds, period, metric.hj212 or "")
        lines.append("| " + " | ".join(map(_cell, row)) + " |")
    return "\n".join(lines) + "\n"


def _section(sign: Sign, configuration: Configuration) -> list[str]:
    lines = [f"### {sign.id}", "", f"{sign.name.zh} · {sign.name.en}", ""]
    facts = facts_of(sign) + departures_of(sign.id, configuration.departures)
    return lines + [f"- {name}: {_cell(text)}" for name, text in facts]


def _incident(incident: Incident) -> list[str]:
    lines = [f"### {incident.id}", "", f"{incident.name.zh} · {incident.name.en}", ""]
    return lines + [f"- {name}: {_cell(text)}" for name, text in incident_facts(incident)]


def overlay_lines(overlay: Overlay) -> list[str]:
    """An overlay in Markdown: when it is on, where, and what is otherwise then."""
    when = [f"while {overlay.incident} stands, in its place"] if overlay.incident else []
    when += [f"{period.since} to {period.until}" for period in overlay.periods or ()]
    lines = [f"### {overlay.id}", "", f"{overlay.name.zh} · {overlay.name.en}", ""]
    lines += [f"- on: {_cell('; '.join(when))}"]
    if overlay.places:
        lines.append(f"- places: {', '.join(overlay.places)}")
    for change in overlay.changes:
        told = ["no alert"] if change.silent else []
        told += [] if change.hop_s is None else [f"every {span(change.hop_s)}"]
        if change.thresholds is not None:
            told += [f"{level} {x:g}" for level, x in change.thresholds.given()]
        for name, word in (("on_delay_s", "on"), ("off_delay_s", "off")):
            value = getattr(change, name)
            told += [] if value is None else [f"{word} {span(value) if value else 'at once'}"]
        told += [] if change.deadband is None else [f"deadband {change.deadband:g}"]
        lines.append(f"- {change.sign}: {', '.join(told)}")
    return [*lines, f"- source: {_cell(overlay.source)}"]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
