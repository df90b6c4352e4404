"""Alerts: a key out of its normal state, from onset to clear."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from schemas.event import Place
from schemas.vital import Key, KeyLevel, Level

State: TypeAlias = Literal["raised", "clearing", "cleared"]
Kind: TypeAlias = Literal["threshold", "anomaly", "incident", "loss", "live"]
Transition: TypeAlias = Literal[
    "raised",
    "escalated",
    "deescalated",
    "clearing",
    "reraised",
    "cleared",
    "suppressed",
    "unsuppressed",
    "acked",
    "unacked",
    "shelved",
    "unshelved",
]
Certainty: TypeAlias = Literal["observed", "likely", "possible"]
"""As CAP 1.2 has it."""
Standing: TypeAlias = Literal[
    "verified-primary", "verified-secondary", "unverified", "seed", "proposal", "none"
]
"""How far the source of a threshold has been checked, best first."""


class Contributor(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """A key whose value made up much of the alert's value."""

    key: Key
    value: float


class Evidence(msgspec.Struct, kw_only=True, gc=False, frozen=True, omit_defaults=True):
    """A condition of an incident, and one of the facts behind it.

    Parameters
    ----------
    condition
        Its id; ``override:red`` for what sets the level red directly.
    holds
        Whether it counts.
    sign, key_level, key, value, t
        What was said, where, and the end of the last window in which it was, int64 ms UTC; absent
        where nothing was.
    relation
        How the register relates that key to the incident's, such as ``supply_zone`` or
        ``within 200 m``; absent where their places do.
    """

    condition: Annotated[str, Meta(min_length=1, max_length=32)]
    holds: bool
    sign: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    key_level: KeyLevel | None = None
    key: Key | None = None
    value: float | None = None
    t: int | None = None
    relation: Annotated[str, Meta(min_length=1, max_length=32)] | None = None


class Early(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """What makes an alert one level graver than its value.

    Parameters
    ----------
    sign
        Tells how the value changes.
    reaches, in_min
        The threshold of the level, and the minutes to it at that rate.
    """

    sign: Annotated[str, Meta(min_length=1, max_length=64)]
    reaches: float
    in_min: Annotated[float, Meta(ge=0)]


class Why(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """What led to the last transition of an alert.

    Parameters
    ----------
    t_start, t_end
        The judged window, int64 ms UTC.
    n
        Events in it.
    value, threshold, compare
        What was observed, and the limit it was compared with; of an anomaly the end of the band
        that it left.
    expected, band, score, model
        Of an anomaly: what the model expected, the range it took for normal, how far the value is
        from it (0 to 1, an anomaly from 0.5 on), and the model's name; null where a threshold
        alone decides.
    threshold_source, standing
        Where the limit comes from, and how far that has been checked.
    coverage
        Of the judged window.
    config
        Version of the configuration that judged it.
    table
        Labels of the dated tables that the value is made of and judged by, if any.
    overlay
        Id of the overlay whose thresholds and delays did, where one was on.
    contributors
        Largest first.
    early
        Of an alert that was raised one level early, and absent of all others: to what its value
        comes, and when.
    evidence
        Of an incident: its conditions, and what each rests on. Its ``value`` is how many count, its
        ``coverage`` the share of those whose signs say anything at all.
    """

    t_start: int
    t_end: int
    n: Annotated[int, Meta(ge=0)]
    value: float | None
    threshold: float | None
    compare: Literal["ge", "gt", "le", "lt"]
    expected: float | None = None
    band: tuple[float, float] | None = None
    score: Annotated[float, Meta(ge=0, le=1)] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    threshold_source: str
    standing: Standing
    coverage: Annotated[float, Meta(ge=0, le=1)]
    config: str
    contributors: Annotated[list[Contributor], Meta(max_length=20)]
    evidence: list[Evidence] = []
    table: Annotated[str, Meta(min_length=1, max_length=400)] | None = None
    overlay: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    early: Early | msgspec.UnsetType = msgspec.UNSET


class Alert(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """The state of an alert after a transition.

    Parameters
    ----------
    alert_id
        Hash of rule, key and end of the episode's first window: the same in every message.
    rule
        The sign or incident that raised it.
    kind
        Whether a threshold was met, a model was surprised, the conditions of an incident held
        together, records were lost, or the engine itself is in trouble: that is of processing time,
        and no function of the log.
    key_level, key, place
        What it is about.
    state, transition
        Where the episode stands, and the step that led there.
    level, max_level
        Now, and the highest since onset.
    t_onset, t_raised, t_update, t_cleared
        First window out of the normal state, on-delay over, this transition, and the end of the
        episode; int64 ms UTC.
    late
        Whether late events alone showed it.
    value, unit
        At this transition.
    acked, shelved_until, suppressed_by
        What people and other alerts decided beside the state; a time in int64 ms UTC, an alert id.
    by, note
        Of a transition that a person made, and of it alone: who, and why; both null where a shelve
        came to its limit.
    certainty, suppresses
        Of an incident: how sure it is, and the signs whose alerts in its place it suppresses.
    labels, annotations
        Shaped as Alertmanager takes them: what identifies, what describes.
    why
        What led to this transition.
    """

    alert_id: Annotated[str, Meta(min_length=1, max_length=64)]
    rule: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Kind
    key_level: KeyLevel
    key: Key
    place: Place | None
    state: State
    transition: Transition
    level: Level
    max_level: Level
    t_onset: int
    t_raised: int
    t_update: int
    t_cleared: int | None
    late: bool
    value: float | None
    unit: Annotated[str, Meta(min_length=1, max_length=16)]
    acked: bool = False
    shelved_until: int | None = None
    suppressed_by: str | None = None
    by: Annotated[str, Meta(max_length=64)] | msgspec.UnsetType | None = msgspec.UNSET
    note: Annotated[str, Meta(max_length=500)] | msgspec.UnsetType | None = msgspec.UNSET
    certainty: Certainty | None = None
    suppresses: list[str] = []
    labels: dict[str, str]
    annotations: dict[str, str]
    why: Why
