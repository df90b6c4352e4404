"""Hotline events: one step of a work order, or one call."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from schemas.event import (
    DaySeconds,
    Event,
    Sequence,
    Share,
    Text32,
    Text40,
    Text64,
    Text128,
    drop_negative_zeros,
    settle,
    settle_time,
)
from schemas.places import at_level
from schemas.refusal import Refused
from schemas.times import Time

Needs: TypeAlias = tuple[tuple[str, str, tuple[str | tuple[str, ...], ...]], ...]

NEEDS: Needs = (
    ("kind", "order", ("order_id", "status", "t_created", ("category", "text"))),
    ("kind", "call", ("wait_s", "answered")),
    ("status", "merged", ("duplicate_of",)),
)
"""Where a field holds a word, these other fields are required; of those in brackets, one."""


class HotlineEvent(Event, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A step in the life of a work order, or a call.

    Free text and the caller are for intake alone (rule R9): no other part may keep or send
    `text`, `caller` or `reason`.

    Parameters
    ----------
    system
        Which intake system runs the order.
    seq
        Step number inside the order, 0 where it is created.
    t
        Time of the step or of the call, int64 ms UTC.
    t_created, due
        Of the order, int64 ms UTC.
    place_precision
        How well the place is known: `place` is cut to it, and to the street where it is unknown.
    category
        Path from large to small class; a step without it has a `text` to tell it from.
    caller_hash
        Where the source has hashed the caller itself.
    by, confidence
        Who dispatched, and how sure an automatic dispatch was.
    sentiment
        From -1 to 1.
    wait_s, talk_s
        Seconds of a call.
    text
        What the citizen said; line breaks and tabs are allowed here alone.
    caller
        Number or account of the caller.
    """

    kind: Literal["order", "call"]
    system: Literal["12345", "cgj", "grid", "safety", "12315", "zz", "app"] = "12345"
    order_id: Text40 | None = None
    seq: Sequence | None = None
    status: (
        Literal[
            "created",
            "dispatched",
            "accepted",
            "returned",
            "in_progress",
            "delayed",
            "supervised",
            "replied",
            "closed",
            "evaluated",
            "reopened",
            "merged",
            "withdrawn",
            "archived",
        ]
        | None
    ) = None
    t_created: Time | None = None
    due: Time | None = None
    place_precision: (
        Literal["point", "grid", "community", "street", "district", "unknown"] | None
    ) = None
    channel: (
        Literal["phone", "app", "wechat", "web", "email", "grid", "camera", "media", "other"] | None
    ) = None
    type: Literal["consult", "help", "complaint", "report", "suggestion"] | None = None
    category: Annotated[list[Text32], Meta(min_length=1, max_length=4)] | None = None
    category_code: Text32 | None = None
    urgency: Literal["normal", "urgent", "critical"] = "normal"
    caller_hash: Text64 | None = None
    keywords: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=24)]], Meta(max_length=8)]
        | None
    ) = None
    sentiment: Annotated[float, Meta(ge=-1, le=1)] | None = None
    department: Text64 | None = None
    by: Literal["auto", "human"] | None = None
    confidence: Share | None = None
    reason: Text128 | None = None
    duplicate_of: Text40 | None = None
    linked_alert: Text64 | None = None
    satisfied: bool | None = None
    resolved: bool | None = None
    score: Annotated[int, Meta(ge=1, le=5)] | None = None
    wait_s: DaySeconds | None = None
    answered: bool | None = None
    talk_s: DaySeconds | None = None
    text: Annotated[str, Meta(max_length=2000)] | None = None
    caller: Text64 | None = None


_FINEST = {
    "community": "community",
    "street": "street",
    "district": "district",
    "unknown": "street",
}


def _coarsen(event: HotlineEvent, precision: str) -> None:
    """Cut the code of a place that is known less well: it counts at no finer place."""
    level = _FINEST.get(precision)
    if level is not None:
        event.place = at_level(event.place, level) or event.place


def check(event: HotlineEvent) -> None:
    """Check what each kind of event needs and settle its times, in place.

    Raises
    ------
    Refused
        `missing_field` by `NEEDS`, or what `settle` refuses.
    """
    settle(event)
    if event.place_precision is not None:
        _coarsen(event, event.place_precision)
    for field, word, needed in NEEDS:
        if getattr(event, field) == word:
            for names in needed:
                first, *others = (names,) if isinstance(names, str) else names
                if all(getattr(event, name) is None for name in (first, *others)):
                    instead = "".join(f", or {name}" for name in others)
                    hint = f"is absent: an event with {field} {word} needs it{instead}"
                    raise Refused("missing_field", f"$.{first}", hint)
    if event.t_created is not None:
        event.t_created = settle_time(event.t_created, "$.t_created")
    if event.due is not None:
        event.due = settle_time(event.due, "$.due")
    drop_negative_zeros(event, ("sentiment", "confidence", "wait_s", "talk_s"))
