"""Official warnings, as weather bureaus and command centres issue them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import Meta

from schemas.event import Event, Text64, Text128, require_order, settle, settle_time
from schemas.refusal import Refused
from schemas.times import Time

EventName: TypeAlias = Literal[
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
Colour: TypeAlias = Literal["white", "blue", "yellow", "orange", "red"]

COLOURS: tuple[Colour, ...] = get_args(Colour)
UNKNOWN_LEVEL = -1.0
"""Of a warning that holds, of which nobody says how grave it is: below all levels that are known,
and no value."""


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
        1 blue, 2 yellow, 3 orange, 4 red; below 1 there is no level, as of a white signal.
    colour
        Of the signal, where no level is told: the table of the issuer tells it. Where the issuer
        itself does not know it is ``unknown``: the warning holds, and has no level.
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
    event: EventName
    level: Annotated[float, Meta(ge=0, le=4)] | None = None
    colour: Colour | Literal["unknown"] | None = None
    t_expires: Time | None = None
    status: Literal["active", "cancelled"]
    title: Annotated[str, Meta(min_length=1, max_length=120)] | None = None


def check(
    event: OfficialWarning, level_of: Callable[[OfficialWarning], float] | None = None
) -> None:
    """Settle the times and the level of a warning, in place.

    Parameters
    ----------
    level_of
        Tells the level of one that has a colour alone.

    Raises
    ------
    Refused
        `missing_field` for a warning without level or colour, or an active one without end,
        `bad_value` for a colour that the issuer has not, `inconsistent` for one that expires before
        it is issued, or what `settle` refuses.
    """
    settle(event)
    if event.level is None:
        if event.colour is None:
            hint = "is absent: send it, or colour where the issuer has a table of signals"
            raise Refused("missing_field", "$.level", hint)
        if event.colour == "unknown":
            event.level = UNKNOWN_LEVEL
        elif level_of is None:
            hint = "is of no table of signals that holds for the issuer and day: send level"
            raise Refused("bad_value", "$.colour", hint)
        else:
            event.level = level_of(event)
    if event.t_expires is not None:
        event.t_expires = settle_time(event.t_expires, "$.t_expires")
        hint = "is before t: send the end of the warning"
        require_order(event.t, event.t_expires, "$.t_expires", hint)
    elif event.status == "active":
        hint = "is absent: an active warning needs it"
        raise Refused("missing_field", "$.t_expires", hint)
