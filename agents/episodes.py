"""The life of an alert: normal, pending, raised, clearing, cleared.  Pure and in event time.

One episode runs from onset to clear.  Its on-delay, deadband and off-delay keep a value that
flickers around a threshold from raising an alert a minute; a missing value changes nothing, for a
lost sensor must not withdraw an alert.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from agents.levels import Scale
from schemas.alert import State, Transition
from schemas.signs import AlertRule, Levels
from streams.timeline import to_ms


def episode_id(rule: str, key_level: str, key: str, first_end: int) -> str:
    """The id of an episode: a hash of the rule, the key and the end of its first window (R6)."""
    name = "\x1f".join((rule, key_level, key, str(first_end)))
    return blake2b(name.encode(), digest_size=12).hexdigest()


@dataclass(slots=True)
class Episode:
    """One key under one rule; times are ends of windows in int64 ms UTC.

    ``number`` counts the transitions sent, so that each has an id of its own; ``suppressed_by`` is
    the alert of an incident that stands in the same place.  ``acked_level`` is the level at which
    somebody acknowledged it, 0 if nobody did; ``message`` the last transition as it was sent.
    """

    phase: str = "normal"
    first_end: int = 0
    raised_at: int = 0
    level: int = 0
    max_level: int = 0
    lower_since: int | None = None
    lower_level: int = 0
    quiet_since: int | None = None
    number: int = 0
    suppressed_by: str | None = None
    acked_level: int = 0
    shelved_until: int | None = None
    message: bytes = b""

    def dump(self) -> tuple[Any, ...]:
        """The fields in their order, as plain data; without the message, which is long."""
        values: tuple[Any, ...] = _FIELDS(self)
        return values


_FIELDS = attrgetter(*(field.name for field in fields(Episode) if field.name != "message"))


@dataclass(frozen=True)
class Rule:
    """An alert rule with its times in ms."""

    scale: Scale
    deadband: float
    on_delay_ms: int
    off_delay_ms: int
    early_min: float = 0.0
    """Within so many minutes of its next level an alert has that level already."""

    @classmethod
    def of(cls, levels: Levels, alert: AlertRule) -> Rule:
        thresholds = levels.thresholds.since(alert.least_level)
        return cls(
            Scale(levels.model_copy(update={"thresholds": thresholds})),
            alert.deadband,
            to_ms(alert.on_delay_s),
            to_ms(alert.off_delay_s),
            0.0 if alert.early is None else alert.early.within_min,
        )


def state_of(episode: Episode, transition: Transition) -> State:
    """Where an episode stands after a transition."""
    if transition == "cleared":
        return "cleared"
    return "clearing" if episode.phase == "clearing" else "raised"


def advance(
    episode: Episode, rule: Rule, end: int, value: float | None, early: int = 0
) -> Transition | None:
    """Take the episode on to the window that ends at ``end`` and has ``value``.

    Parameters
    ----------
    early
        The level to which the value comes soon, 0 if to none.

    Returns
    -------
    Transition or None
        The transition to send: raised, escalated, deescalated, clearing, reraised or cleared.
        After ``cleared`` the episode is normal again, and keeps what its last message needs.
    """
    if value is None:
        return None
    level = max(early, rule.scale.level(value))
    if episode.phase in ("normal", "pending"):
        return _approach(episode, rule, end, level)
    if level > episode.level:
        episode.level, episode.max_level = level, max(level, episode.max_level)
        if level > episode.acked_level:
            episode.acked_level = 0  # what is worse than what was acknowledged is news
        _settle(episode)
        return "escalated"
    return _leave(episode, rule, end, max(early, rule.scale.level(value, rule.deadband)))


def _approach(episode: Episode, rule: Rule, end: int, level: int) -> Transition | None:
    if level == 0:
        episode.phase = "normal"
        return None
    if episode.phase == "normal":
        episode.phase, episode.first_end, episode.number = "pending", end, 0
    if end - episode.first_end < rule.on_delay_ms:
        return None
    episode.level = episode.max_level = level
    episode.raised_at = end
    _settle(episode)
    return "raised"


def _settle(episode: Episode) -> None:
    episode.phase = "raised"
    episode.lower_since = episode.quiet_since = None
    episode.lower_level = 0


def _leave(episode: Episode, rule: Rule, end: int, held: int) -> Transition | None:
    if held >= episode.level:
        again = episode.phase == "clearing"
        _settle(episode)
        return "reraised" if again else None
    if episode.lower_since is None:
        episode.lower_since = end
    episode.lower_level = max(episode.lower_level, held)
    if held == 0:
        if episode.quiet_since is None:
            episode.quiet_since = end
        if end - episode.quiet_since >= rule.off_delay_ms:
            episode.phase = "normal"
            return "cleared"
        again = episode.phase == "clearing"
        episode.phase = "clearing"
        return None if again else "clearing"
    episode.quiet_since = None
    if end - episode.lower_since >= rule.off_delay_ms:
        episode.level = episode.lower_level
        _settle(episode)
        return "deescalated"
    if episode.phase == "clearing":
        episode.phase = "raised"
        return "reraised"
    return None
