"""Alerts that are raised one level early: when, and what they tell of it.  Pure."""

from __future__ import annotations

import msgspec

from agents.approach import Approach, approach
from agents.episodes import Episode, Rule
from schemas.alert import Early
from schemas.signs import Sign


def early_of(rule: Rule, value: float, rate: float | None) -> Approach | None:
    """The level to which a value comes within the minutes of a rule.

    Parameters
    ----------
    rate
        Change of the value a minute; None where nothing tells it.
    """
    if rate is None or not rule.early_min:
        return None
    found = approach(rule.scale, value, rate)
    return found if found is not None and found.minutes < rule.early_min else None


def told_early(sign: Sign, episode: Episode, early: Approach | None) -> Early | msgspec.UnsetType:
    """What makes an alert graver than its value; absent where nothing does."""
    if early is None or early.level != episode.level or episode.phase != "raised":
        return msgspec.UNSET
    assert sign.alert is not None
    assert sign.alert.early is not None
    return Early(sign=sign.alert.early.rate, reaches=early.threshold, in_min=early.minutes)


def words_of(early: Early | msgspec.UnsetType, unit: str) -> dict[str, str]:
    """The same in annotations, for people."""
    if isinstance(early, msgspec.UnsetType):
        return {}
    reaches, minutes = f"{early.reaches:g} {unit}", f"{early.in_min:.0f}"
    return {
        "early_zh": f"提前一级：{minutes} 分钟内达到 {reaches}",
        "early_en": f"raised one level early: reaches {reaches} in {minutes} min",
    }
