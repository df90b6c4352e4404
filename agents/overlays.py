"""Which rule an alert is judged by: the sign's own, or that of an overlay that is on.  Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from agents.dated import Dated, levels_by_day
from agents.episodes import Rule
from schemas.configuration import Configuration
from schemas.instants import instant_ms
from schemas.overlays import Change, Overlay
from schemas.places import normalise
from schemas.signs import AlertRule, Levels, Sign, Thresholds
from streams.heads import Flags, Floats


class Planned(NamedTuple):
    """When and where an overlay is on by its plan; int64 ms UTC."""

    spans: tuple[tuple[int, int], ...]
    places: tuple[str, ...]

    @classmethod
    def of(cls, overlay: Overlay) -> Planned:
        spans = tuple((instant_ms(p.since), instant_ms(p.until)) for p in overlay.periods or ())
        return cls(spans, tuple(map(normalise, overlay.places or ())))

    def is_on(self, place: str | None, end: int) -> bool:
        """Whether it is on at a place, or anywhere, for a window that ends at ``end``."""
        if not any(since <= end < until for since, until in self.spans):
            return False
        return place is None or not self.places or place.startswith(self.places)


class Overlaid(NamedTuple):
    """A sign's rule in an overlay, by day, and when that is on."""

    id: str
    rules: Dated[Rule]
    planned: Planned

    def is_on(self, place: str, end: int, modes: Collection[str]) -> bool:
        """Whether it is on at a place for a window that ends at ``end``.

        ``modes`` are the overlays that are on by the incidents that stand there.
        """
        return self.id in modes or self.planned.is_on(place, end)


class Overlays:
    """The overlays of a configuration, by the signs that they change."""

    def __init__(self, configuration: Configuration) -> None:
        self._by_sign: dict[str, list[Overlaid]] = {}
        for overlay in configuration.overlays:
            planned = Planned.of(overlay)
            for change in overlay.changes:
                sign = configuration.sign.get(change.sign)
                if sign is None or sign.levels is None or sign.alert is None:
                    continue
                rules = _rules(sign, sign.levels, change, configuration.city.time_zone)
                one = Overlaid(overlay.id, rules, planned)
                self._by_sign.setdefault(sign.id, []).append(one)

    def find(self, sign: str, place: str, end: int, modes: Collection[str]) -> Overlaid | None:
        """The first overlay that is on, in the order of the configuration."""
        for one in self._by_sign.get(sign, ()):
            if one.is_on(place, end, modes):
                return one
        return None

    def may_meet(self, sign: str, values: Floats, end: int) -> Flags | None:
        """Which values meet a threshold of an overlay, on or not; None without overlays."""
        found = self._by_sign.get(sign)
        if not found:
            return None
        flags = np.zeros(len(values), np.bool_)
        for one in found:
            rule = one.rules.at(end)
            if rule is not None:
                flags |= rule.scale.levels_of(values) > 0
        return flags


def rules_of(levels: Levels, alert: AlertRule, zone: str) -> Dated[Rule]:
    """The rule of a sign, by day."""
    return levels_by_day(levels, zone).map(lambda one: Rule.of(one, alert))


def _rules(sign: Sign, levels: Levels, change: Change, zone: str) -> Dated[Rule]:
    assert sign.alert is not None
    alert, thresholds = change.alert(sign.alert), change.thresholds
    if change.silent:
        thresholds = Thresholds()
    if thresholds is None:
        return rules_of(levels, alert, zone)
    # What an overlay says holds instead, whatever the day.
    plain = {name: getattr(levels, name) for name in Levels.model_fields}
    return Dated([Rule.of(Levels(**plain | {"thresholds": thresholds}), alert)])
