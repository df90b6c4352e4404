"""Overlays: how alerts are judged while something is on, such as a storm or a fair."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from schemas.durations import whole_ms
from schemas.findings import Finding
from schemas.incidents import Incident, Word
from schemas.instants import Instant, instant_ms
from schemas.model import Model, Seconds, Text
from schemas.places import normalise
from schemas.signs import AlertRule, LiveSign, Sign, Thresholds
from schemas.spelling import guess
from schemas.words import Name, SignId


class Period(Model):
    """From a moment on, and until before another."""

    since: Instant
    until: Instant


class Change(Model):
    """How the alerts of one sign are judged instead; what is not given stays as it is."""

    sign: SignId
    thresholds: Thresholds | None = None
    deadband: Annotated[float, Field(ge=0)] | None = None
    on_delay_s: Seconds | None = None
    off_delay_s: Seconds | None = None
    silent: bool = False
    """No alert is raised, and one that stands clears."""

    def alert(self, rule: AlertRule) -> AlertRule:
        """The sign's rule with what is changed."""
        names = ("deadband", "on_delay_s", "off_delay_s")
        given = {n: value for n in names if (value := getattr(self, n)) is not None}
        return rule.model_copy(update=given)


class Overlay(Model):
    """Other thresholds and delays of alerts, by event time and place.

    Results keep their levels: these are the catalogue's.
    """

    id: Word
    name: Name
    incident: SignId | None = None
    """It is on while this incident stands, in its place."""
    periods: list[Period] | None = None
    """It is on in these periods, at `places`."""
    places: list[str] | None = None
    """Place codes; for periods, the whole city if not given."""
    changes: Annotated[list[Change], Field(min_length=1)]
    source: Text


def check_overlays(
    overlays: Mapping[int, Overlay],
    signs: Mapping[str, Sign],
    incidents: Collection[str],
    unread: Collection[str],
) -> Iterator[Finding]:
    """What is wrong with overlays, by their place in the configuration."""
    names: list[str] = []
    for index, overlay in overlays.items():
        found = [*_when(overlay, incidents), *_changes(overlay, signs, unread)]
        if overlay.id in names:
            found.append((("id",), f"'{overlay.id}' is defined twice: rename or remove one"))
        names.append(overlay.id)
        yield from ((("overlays", index, *path), message) for path, message in found)


def _when(overlay: Overlay, incidents: Collection[str]) -> Iterator[Finding]:
    if (overlay.incident is None) == (overlay.periods is None):
        yield (), "takes incident or periods: when it is on"
    for field in ("periods", "places"):
        if getattr(overlay, field) == []:
            yield (field,), "is empty: give at least one, or remove it"
    if overlay.incident is not None:
        if overlay.incident not in incidents:
            name = overlay.incident
            yield ("incident",), f"unknown incident '{name}'{guess(name, incidents)}"
        if overlay.places is not None:
            yield ("places",), "are those of the incident: remove them"
    for i, place in enumerate(overlay.places or ()):
        try:
            normalise(place)
        except ValueError as error:
            yield ("places", i), str(error)
    spans = []
    for i, period in enumerate(overlay.periods or ()):
        try:
            since, until = instant_ms(period.since), instant_ms(period.until)
        except ValueError:
            yield ("periods", i), "is not between 1973 and 2100"
            continue
        spans.append((since, until))
        if until <= since:
            yield ("periods", i, "until"), "is not after since"
    for i, ((_, end), (begin, _)) in enumerate(pairwise(spans)):
        if begin < end:
            yield ("periods", i + 1, "since"), "is before the period before it is over"


def _changes(
    overlay: Overlay, signs: Mapping[str, Sign], unread: Collection[str]
) -> Iterator[Finding]:
    for i, change in enumerate(overlay.changes):
        path, sign = ("changes", i), signs.get(change.sign)
        if change.sign in [other.sign for other in overlay.changes[:i]]:
            yield (*path, "sign"), f"'{change.sign}' is changed twice: remove one"
        if change == Change(sign=change.sign):
            yield path, "changes nothing: give thresholds, delays, or silent"
        if change.silent and change != Change(sign=change.sign, silent=True):
            yield (*path, "silent"), "raises no alert: what stands beside it has no effect"
        if sign is None:
            if change.sign not in unread:
                yield (*path, "sign"), f"unknown sign '{change.sign}'{guess(change.sign, signs)}"
            continue
        if isinstance(sign, LiveSign) or sign.alert is None or sign.levels is None:
            yield (*path, "sign"), f"'{change.sign}' raises no alert that could be changed"
            continue
        if change.thresholds is not None:
            given = change.thresholds.given()
            rising = sign.levels.compare in ("ge", "gt")
            if any((a < b) != rising or a == b for (_, a), (_, b) in pairwise(given)):
                order = "rise" if rising else "fall"
                yield (*path, "thresholds"), f"must {order}: compare is {sign.levels.compare}"
            if not change.thresholds.since(sign.alert.least_level).given():
                yield (*path, "thresholds"), "needs one that alerts: use silent to raise none"
        for field in ("on_delay_s", "off_delay_s"):
            value = getattr(change, field)
            if value and whole_ms(value) is None:
                yield (*path, field), "expected a whole number of milliseconds"


def of_incidents(overlays: Collection[Overlay]) -> Iterator[tuple[Overlay, str]]:
    """Those that are on while an incident stands, and its id."""
    for overlay in overlays:
        if overlay.incident is not None:
            yield overlay, overlay.incident


def by_incident(
    overlays: Collection[Overlay], incidents: Collection[Incident]
) -> dict[str, list[tuple[str, str]]]:
    """By sign, the overlays of incidents that change it: their ids, and those of the incidents."""
    known = {incident.id for incident in incidents}
    found: dict[str, list[tuple[str, str]]] = {}
    for overlay, incident in of_incidents(overlays):
        if incident in known:
            for change in overlay.changes:
                found.setdefault(change.sign, []).append((overlay.id, incident))
    return found
