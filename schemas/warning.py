"""Official warnings, as weather bureaus and command centres issue them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from schemas.event import Event, Text64, Text128, require_order, settle, settle_time
from schemas.refusal import Refused
from schemas.times import Time


class OfficialWarning(Event, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A message that raises, updates or cancels an official warning.

    Parameters
    ----------
    warning_id
        The issuer's name of the warning, the same in each message about it.
    issuer
        Who issued it.
    event
        What is warned of.
    level
        0 white, 1 blue, 2 yellow, 3 orange, 4 red.
    t
        When the message was issued, int64 ms UTC.
    t_expires
        Until when the warning holds, int64 ms UTC; an active warning has one.
    status
        Whether the warning holds from `t` on, or no longer does.
    title
        One line for people.
    """

    kind: Literal["warning"]
    warning_id: Text128
    issuer: Text64
    event: Literal[
        "typhoon",
        "rain",
        "gale",
        "heat",
        "cold",
        "thunder",
        "hail",
        "fog",
        "haze",
        "flood",
        "landslide",
        "fire_risk",
        "storm_surge",
        "other",
    ]
    level: Annotated[int, Meta(ge=0, le=4)]
    t_expires: Time | None = None
    status: Literal["active", "cancelled"]
    title: Annotated[str, Meta(min_length=1, max_length=120)] | None = None


def check(event: OfficialWarning) -> None:
    """Settle the times of a warning, in place.

    Raises
    ------
    Refused
        `missing_field` for an active warning without end, `inconsistent` for one that expires
        before it is issued, or what `settle` refuses.
    """
    settle(event)
    if event.t_expires is not None:
        event.t_expires = settle_time(event.t_expires, "$.t_expires")
        hint = "is before t: send the end of the warning"
        require_order(event.t, event.t_expires, "$.t_expires", hint)
    elif event.status == "active":
        hint = "is absent: an active warning needs it"
        raise Refused("missing_field", "$.t_expires", hint)
