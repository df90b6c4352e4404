"""Overlays: how often signs are said, and alerts judged, while something is on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from math import gcd
from typing import Annotated

from pydantic import Field

from schemas.durations import whole_ms
from schemas.findings import Finding
from schemas.incidents import Incident, Word
from schemas.instants import Instant, instant_ms
from schemas.model import Length, Model, Seconds, Text
from schemas.places import normalise
from schemas.signs import AlertRule, LiveSign, Sign, Thresholds, WindowSign
from schemas.spelling import guess
from schemas.words import Name, SignId

MOST_PANES = 2_000
"""Panes that one window may read: a hop out of step with the size makes them tiny."""


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
    hop_s: Length | None = None
    """Beside the windows of the sign's own hop, those of this shorter one are said and judged."""
    silent: bool = False
    """No alert is raised, and one that stands clears."""

    def alert(self, rule: AlertRule) -> AlertRule:
        """The sign's rule with what is changed."""
        names = ("deadband", "on_delay_s", "off_delay_s")
        given = {n: value for n in names if (value := getattr(self, n)) is not None}
        return rule.model_copy(update=given)


class Overlay(Model):
    """Other thresholds, delays and hops, by event time and place.

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
    yield from _too_many_panes(overlays, signs)


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
            yield path, "changes nothing: give thresholds, delays, hop_s, or silent"
        if change.silent and change != Change(sign=change.sign, silent=True):
            yield (*path, "silent"), "raises no alert: what stands beside it has no effect"
        if sign is None:
            if change.sign not in unread:
                yield (*path, "sign"), f"unknown sign '{change.sign}'{guess(change.sign, signs)}"
            continue
        if change.hop_s is not None:
            yield from (((*path, "hop_s"), message) for message in _hop(sign, change.hop_s))
            if change == Change(sign=change.sign, hop_s=change.hop_s):
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


def _too_many_panes(
    overlays: Mapping[int, Overlay], signs: Mapping[str, Sign]
) -> Iterator[Finding]:
    """Hops that each overlay may give a sign, but not all of them together."""
    hops: dict[str, list[int]] = {}
    for index, overlay in overlays.items():
        for i, change in enumerate(overlay.changes):
            sign = signs.get(change.sign)
            if change.hop_s is None or sign is None or any(_hop(sign, change.hop_s)):
                continue
            size, hop = whole_ms(sign.window.size_s or 0), whole_ms(change.hop_s)
            known = hops.setdefault(change.sign, [])
            if size and hop and known and size // gcd(size, hop, *known) > MOST_PANES:
                message = f"makes more than {MOST_PANES} panes a window with the other overlays"
                yield ("overlays", index, "changes", i, "hop_s"), message
            elif hop:
                known.append(hop)


def _hop(sign: Sign, hop_s: float) -> Iterator[str]:
    """Why a sign can not have a hop, if it can not."""
    if not isinstance(sign, WindowSign):
        why = {
            "sampled": "is a state at its hop, and each sample of a device counts once",
            "derived": "is made where its inputs are said",
            "history": "looks back from its hop",
            "live": "is the engine's own",
        }
        yield f"'{sign.id}' {why[sign.kind]}: only the hop of window signs is switched"
        return
    size, own, hop = (
        None if seconds is None else whole_ms(seconds)
        for seconds in (sign.window.size_s, sign.window.hop_s, hop_s)
    )
    if sign.window.calendar is not None:
        yield f"'{sign.id}' has a window a {sign.window.calendar}: it has no hop"
    elif hop is None:
        yield "expected a whole number of milliseconds"
    elif not size or not own:
        return  # said at the window itself
    elif hop >= own:
        yield f"is not below the sign's own hop ({sign.window.hop_s:g})"
    elif own % hop:
        yield f"does not divide the sign's own hop ({sign.window.hop_s:g}): its windows would move"
    elif size // gcd(size, hop) > MOST_PANES:
        yield f"makes more than {MOST_PANES} panes a window: use a longer one"


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


def hops_of(sign: Sign, overlays: Iterable[Overlay]) -> list[int]:
    """The hops that overlays give a sign, int64 ms."""
    changes = (change for overlay in overlays for change in overlay.changes)
    return [_ms(c.hop_s) for c in changes if c.sign == sign.id and c.hop_s is not None]


def shortest(sign: Sign, overlays: Iterable[Overlay]) -> int:
    """The hop, int64 ms, at which windows are cut: each of the sign's hops is a multiple of it."""
    assert sign.window.hop_s is not None
    return gcd(_ms(sign.window.hop_s), *hops_of(sign, overlays))


def switched_by(sign: Sign, overlays: Collection[Overlay]) -> list[str]:
    """Ids of the incidents that may switch the hop of a sign.

    All that change the sign count where one has a hop: the first one that is on decides.
    """
    if not hops_of(sign, overlays):
        return []
    changing = (o for o in overlays if any(change.sign == sign.id for change in o.changes))
    return [overlay.incident for overlay in changing if overlay.incident is not None]


def _ms(seconds: float) -> int:
    found = whole_ms(seconds)
    assert found is not None
    return found
