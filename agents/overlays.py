"""Which rule an alert is judged by: the sign's own, or that of an overlay that is on.  Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from agents.episodes import Rule
from schemas.configuration import Configuration
from schemas.instants import instant_ms
from schemas.overlays import Change
from schemas.places import normalise
from schemas.signs import Levels, Sign, Thresholds
from streams.heads import Flags, Floats


class Overlaid(NamedTuple):
    """A sign's rule in an overlay, and when that is on; int64 ms UTC."""

    id: str
    rule: Rule
    spans: tuple[tuple[int, int], ...]
    places: tuple[str, ...]

    def is_on(self, place: str, end: int, modes: Collection[str]) -> bool:
        """Whether it is on at a place for a window that ends at ``end``.

        ``modes`` are the overlays that are on by the incidents that stand there.
        """
        if self.id in modes:
            return True
        planned = any(since <= end < until for since, until in self.spans)
        return planned and (not self.places or place.startswith(self.places))


class Overlays:
    """The overlays of a configuration, by the signs that they change."""

    def __init__(self, configuration: Configuration) -> None:
        self._by_sign: dict[str, list[Overlaid]] = {}
        for overlay in configuration.overlays:
            spans = tuple(
                (instant_ms(period.since), instant_ms(period.until))
                for period in overlay.periods or ()
            )
            places = tuple(map(normalise, overlay.places or ()))
            for change in overlay.changes:
                sign = configuration.sign.get(change.sign)
                if sign is None or sign.levels is None:
                    continue
                one = Overlaid(overlay.id, _rule(sign, sign.levels, change), spans, places)
                self._by_sign.setdefault(sign.id, []).append(one)

    def find(self, sign: str, place: str, end: int, modes: Collection[str]) -> Overlaid | None:
        """The first overlay that is on, in the order of the configuration."""
        for one in self._by_sign.get(sign, ()):
            if one.is_on(place, end, modes):
                return one
        return None

    def may_meet(self, sign: str, values: Floats) -> Flags | None:
        """Which values meet a threshold of an overlay, on or not; None without overlays."""
        found = self._by_sign.get(sign)
        if not found:
            return None
        flags = np.zeros(len(values), np.bool_)
        for one in found:
            flags |= one.rule.scale.levels_of(values) > 0
        return flags


def _rule(sign: Sign, levels: Levels, change: Change) -> Rule:
    assert sign.alert is not None
    if change.silent:
        levels = levels.model_copy(update={"thresholds": Thresholds()})
    elif change.thresholds is not None:
        levels = levels.model_copy(update={"thresholds": change.thresholds})
    return Rule.of(levels, change.alert(sign.alert))
