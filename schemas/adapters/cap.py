"""Warnings in the Common Alerting Protocol 1.2 (OASIS), as weather bureaus send them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from schemas.places import normalise
from schemas.refusal import Refused

NAMESPACE = "{urn:oasis:names:tc:emergency:cap:1.2}"
SEVERITY = {"Minor": 1, "Moderate": 2, "Severe": 3, "Extreme": 4}
"""The four colours, blue to red."""
_COLOURS = {"white": 0, "blue": 1, "yellow": 2, "orange": 3, "red": 4}
COLOUR = re.compile(r"(白|蓝|黄|橙|红)色|\b(white|blue|yellow|orange|red)\b", re.IGNORECASE)
_IN_ENGLISH = {"白": "white", "蓝": "blue", "黄": "yellow", "橙": "orange", "红": "red"}
EVENTS = {
    "typhoon": ("台风", "typhoon", "tropical"),
    "storm_surge": ("风暴潮", "surge"),
    "hail": ("冰雹", "hail"),
    "rain": ("暴雨", "rain"),
    "thunder": ("雷", "thunder", "lightning"),
    "gale": ("大风", "gale", "wind"),
    "heat": ("高温", "heat"),
    "cold": ("寒", "低温", "cold"),
    "haze": ("霾", "haze"),
    "fog": ("雾", "fog"),
    "landslide": ("地质", "滑坡", "landslide"),
    "flood": ("洪", "flood"),
    "fire_risk": ("火险", "fire"),
}
"""What is warned of, by words of the message; the first that fits."""


def warnings(document: bytes) -> Iterator[dict[str, Any] | Refused]:
    """The warnings of a message, as events, one for each area and what is warned of.

    Of several informations, such as those in other languages, the gravest of an area counts.

    Yields
    ------
    dict or Refused
        ``bad_place`` where an area has no code of a division; of several informations, why one of
        them can not be read.

    Raises
    ------
    Refused
        ``cap_xml`` where it can not be read, ``cap_status`` for exercises and tests,
        ``missing_field`` or ``bad_value`` at an element, ``bad_place`` where there is no area.
    """
    # Entities can make a gigabyte of a few lines, and no warning needs them.
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise Refused("cap_xml", "byte 0", "declares a document type: send CAP without one")
    try:
        alert = ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        line, column = error.position
        raise Refused("cap_xml", f"{line}:{column + 1}", "is no well-formed XML") from None
    if alert.tag != f"{NAMESPACE}alert":
        raise Refused("cap_xml", "1:1", "is no alert of CAP 1.2: its namespace is another one")
    if _text(alert, "status") != "Actual":
        raise Refused("cap_status", "status", "is not Actual: exercises and tests are no warnings")
    kind = _text(alert, "msgType")
    if kind not in ("Alert", "Update", "Cancel"):
        raise Refused("bad_value", "msgType", "is none of Alert, Update, Cancel")
    references = (alert.findtext(f"{NAMESPACE}references") or "").split()
    first = [reference.split(",")[1] for reference in references if reference.count(",") == 2]
    identifier = first[0] if first else _text(alert, "identifier")
    infos = alert.findall(f"{NAMESPACE}info")
    if not infos:
        raise Refused("missing_field", "info", "is absent: what is warned of, and where?")
    said = {
        "kind": "warning",
        "issuer": _text(alert, "sender")[:64],
        "t": _time(alert, "sent"),
        "source": "cap",
        "id": _text(alert, "identifier"),
        "status": "cancelled" if kind == "Cancel" else "active",
    }
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for number, info in enumerate(infos, 1):
        try:
            warned = _of_info(info, cancels=kind == "Cancel")
            places = _places(info)
        except Refused as refused:
            if len(infos) == 1:
                raise
            yield _at(number, refused)
            continue
        for place in places:
            if isinstance(place, Refused):
                yield place if len(infos) == 1 else _at(number, place)
                continue
            named = warned["event"], place
            if named not in found or _grade(warned) > _grade(found[named]):
                found[named] = warned
    leading = next((event for event, _ in found), "")
    for (event, place), warned in found.items():
        # A message that warns of several things is a warning of each.
        one = place if event == leading else f"{place}|{event}"
        ids = {"id": f"{said['id']}|{one}", "warning_id": f"{identifier}|{one}"}
        yield {**said, **warned, **ids, "place": place}


def _of_info(info: ElementTree.Element, *, cancels: bool) -> dict[str, Any]:
    said = {"event": event_of(_text(info, "event")), **_severity(info)}
    if not cancels:
        said["t_expires"] = _time(info, "expires")
    headline = info.findtext(f"{NAMESPACE}headline")
    if headline and headline.strip():
        said["title"] = headline.strip()[:120]
    return said


def _grade(warned: dict[str, Any]) -> int:
    """How grave it is; a colour that is not known is less than any."""
    return int(warned.get("level", _COLOURS.get(warned.get("colour", ""), -1)))


def _at(number: int, refused: Refused) -> Refused:
    """The same of one information of several."""
    where = f"info[{number}]/{refused.where.removeprefix('info/')}"
    return Refused(refused.code, where, refused.hint)


def event_of(text: str) -> str:
    """What is warned of.

    >>> event_of("暴雨"), event_of("Tropical cyclone"), event_of("道路结冰")
    ('rain', 'typhoon', 'other')
    """
    lower = text.lower()
    return next((e for e, words in EVENTS.items() if any(w in lower for w in words)), "other")


def colour_of(*texts: str) -> str:
    """The colour that the first text with one names; ``unknown`` where it names several, or none.

    >>> colour_of("暴雨", "暴雨橙色预警"), colour_of("Red rainstorm signal"), colour_of("暴雨预警")
    ('orange', 'red', 'unknown')
    >>> colour_of("黄色预警升级为橙色预警")
    'unknown'
    """
    for text in texts:
        found = {_IN_ENGLISH.get(zh) or en.lower() for zh, en in COLOUR.findall(text)}
        if found:
            return found.pop() if len(found) == 1 else "unknown"
    return "unknown"


def _severity(info: ElementTree.Element) -> dict[str, Any]:
    """The level; of an unknown severity the colour that parameters, headline or event name."""
    severity = _text(info, "severity")
    if severity in SEVERITY:
        return {"level": SEVERITY[severity]}
    if severity != "Unknown":
        raise Refused("bad_value", "info/severity", f"is none of {', '.join(SEVERITY)}, Unknown")
    said = [one.text or "" for one in info.iterfind(f"{NAMESPACE}parameter/{NAMESPACE}value")]
    said += [info.findtext(NAMESPACE + name) or "" for name in ("headline", "event")]
    return {"colour": colour_of(*said)}


def _text(element: ElementTree.Element, name: str) -> str:
    found = (element.findtext(NAMESPACE + name) or "").strip()
    if not found:
        raise Refused("missing_field", name, "is absent or empty")
    return found


def _time(element: ElementTree.Element, name: str) -> int:
    try:
        moment = datetime.fromisoformat(_text(element, name))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        hint = "is no time with its offset, such as 2026-05-22T06:41:30+08:00"
        raise Refused("bad_time", name, hint)
    return round(moment.timestamp() * 1000)


def _division(code: str) -> str:
    """A place code without the zeros that codes of twelve digits are filled up with.

    >>> _division("440111000000"), _division("440111004000"), _division("440100000000")
    ('440111', '440111004', '4401')
    """
    while len(code) in (9, 12) and code.endswith("000"):
        code = code[:-3]
    return normalise(code)


def _places(info: ElementTree.Element) -> list[str | Refused]:
    """The codes of the areas, each once; and why an area has none."""
    found: dict[str, None] = {}
    refused: list[str | Refused] = []
    areas = info.findall(f"{NAMESPACE}area")
    for number, area in enumerate(areas, 1):
        codes = set()
        for value in area.iterfind(f"{NAMESPACE}geocode/{NAMESPACE}value"):
            with suppress(ValueError):
                codes.add(_division((value.text or "").strip()))
        found.update(dict.fromkeys(sorted(codes)))
        if not codes:
            hint = "has no geocode of a division, such as 440111"
            refused.append(Refused("bad_place", f"info/area[{number}]", hint))
    if not areas:
        raise Refused("bad_place", "info/area", "is absent: where does the warning hold?")
    return [*found, *refused]
