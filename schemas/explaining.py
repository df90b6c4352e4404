"""Faults of single fields, in words for the person who wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import isclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from schemas import derivations, judging, signs
from schemas.configuration import Configuration
from schemas.documents import Steps
from schemas.spelling import guess

_BY_TAG: dict[str, type[BaseModel]] = {
    "window": signs.WindowSign,
    "sampled": signs.SampledSign,
    "history": signs.HistorySign,
    "derived": signs.DerivedSign,
    "live": signs.LiveSign,
    "past_mean": derivations.PastMean,
    "past_max": derivations.PastMax,
    "children_at_level": derivations.ChildrenAtLevel,
    "level_index": derivations.LevelIndex,
    "domain_index": derivations.DomainIndex,
    "overall_index": derivations.OverallIndex,
    "aqi": derivations.AirIndex,
    "water_class": derivations.WaterClass,
    "news2": derivations.EarlyWarning,
    "ratio_to_baseline": derivations.RatioToBaseline,
    "combine": derivations.Combine,
    "time_to_threshold": derivations.TimeToThreshold,
    "lag": derivations.Lag,
    "children": derivations.Children,
    "hour_of_week": judging.HourOfWeek,
    "gaussian": judging.Gaussian,
}
_CONDITIONS = (("aggregate", "where"), ("aggregate", "among"))
_EXPECTED = {
    "string_type": "text",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "a flag, true or false",
    "bool_parsing": "a flag, true or false",
    "list_type": "a list",
    "dict_type": "settings (name: value)",
    "model_type": "settings (name: value)",
    "model_attributes_type": "settings (name: value)",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_PATTERNS = {
    r"^[a-z]+\.[a-z0-9_]+$": "domain.name in small letters, such as traffic.tpi",
    r"^(register|[a-z]+\.[a-z0-9_]+)$": "register, or the id of a sign such as traffic.lanes",
    r"^[a-z]+([_*][a-z]+)*$": "a key level in small letters, such as district",
    "^[a-z]+(_[a-z]+)*$": "a name in small letters, such as group",
    "^[a-z][a-z0-9_]*$": "a name of small letters, digits and _, such as pm25_hour",
    "^[a-z][0-9]{5}$": "a factor of a letter and five digits, such as w21001",
    "^[a-z]+$": "one word in small letters, such as traffic",
    r"^[A-Za-z0-9._-]{1,249}$": "a name of letters, digits, '.', '_', '-'",
    "^[0-9A-Za-z.-]{1,16}$": "at most 16 letters, digits, '.', '-', such as 0803",
    r"^[^*|]+$": "a name without '*' and '|'",
    r"^[+-][0-9]{2}:[0-9]{2}$": "an offset from UTC, such as +01:00",
    "^[A-Za-z0-9._-]{1,32}$": "at most 32 letters, digits, '.', '_', '-', such as 2026.11",
}


def document_path(fault: ErrorDetails) -> tuple[Steps, bool]:
    """Where in the document a fault of the model lies, and whether it is the key that is wrong.

    The model's own path holds the tags of its unions, which no document writes.
    """
    path = list(fault["loc"])
    if path[:1] == ["signs"]:
        del path[2:3]
        if path[2:3] in (["formula"], ["model"]):
            del path[3:4]
        elif path[2:3] == ["match"]:
            del path[4:]
        elif tuple(path[2:4]) in _CONDITIONS:
            del path[5:]
    if fault["type"].startswith("union_tag"):
        path.append(_discriminator(fault))
    inside = tuple(path[2:4]) in _CONDITIONS
    return tuple(path), fault["type"] == "extra_forbidden" and not inside


def explain(fault: ErrorDetails, path: Steps) -> str:
    """What is wrong and what to write instead.

    Parameters
    ----------
    fault
        As pydantic reports it.
    path
        Its path in the document.
    """
    kind, given, context = fault["type"], fault["input"], fault.get("ctx", {})
    if path[:1] == ("signs",) and path[2:3] == ("match",) and len(path) > 3:
        return "expected text, a number, true or false, or a list of texts"
    if path[:1] == ("signs",) and path[2:4] in _CONDITIONS and len(path) > 4:
        return (
            "expected text, a number, true or false, a list of texts, or a range such as "
            "{at_least: 2, at_most: 4}"
        )
    if kind in ("missing", "union_tag_not_found"):
        return f"required field '{path[-1]}' is missing"
    if kind == "extra_forbidden":
        return f"unknown field '{path[-1]}'{guess(str(path[-1]), _fields_at(fault['loc'][:-1]))}"
    if kind == "union_tag_invalid":
        return _choice(str(context["tag"]), context["expected_tags"].replace("'", "").split(", "))
    if kind == "literal_error":
        choices = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return _choice(given, choices)
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}{_contrast(kind, given)}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]:g}"
    if kind == "string_pattern_mismatch":
        return f"expected {_PATTERNS[context['pattern']]}"
    if kind in ("string_too_short", "too_short"):
        least = context["min_length"]
        what = "characters" if kind == "string_too_short" else "items"
        return "must not be empty" if least == 1 else f"must have at least {least} {what}"
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    if kind == "too_long":
        return f"must have at most {context['max_length']} items"
    return fault["msg"].removeprefix("Value error, ")


def _choice(given: Any, choices: list[str]) -> str:
    hint = guess(given, choices) if isinstance(given, str) else _contrast("", given)
    return f"expected {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}{hint}"


def _contrast(kind: str, given: Any) -> str:
    if kind == "finite_number":
        return ""
    if isinstance(given, bool):
        came = "true or false"
    elif isinstance(given, (int, float)):
        came = "a number: put it in quotes" if kind == "string_type" else f"{given:g}"
    elif isinstance(given, str):
        came = "text"
    elif given is None:
        came = "nothing"
    else:
        came = "a list" if isinstance(given, list) else "settings"
    return f", not {came}"


def _discriminator(fault: ErrorDetails) -> str:
    return str(fault["ctx"]["discriminator"]).strip("'")


def _fields_at(loc: Steps) -> Iterable[str]:
    """The fields that the model has at one of its own paths."""
    models: list[type[BaseModel]] = [Configuration]
    for step in loc:
        if isinstance(step, int):
            continue
        if len(models) > 1:
            models = [_BY_TAG[step]]
        else:
            models = _models_in(models[0].model_fields[step].annotation)
    return models[0].model_fields


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
