"""What every event carries, and the bounds that its fields share.

An event type is a struct and a `check` that the decoder cannot do: ranges by metric, fields
that need each other. `schemas.events` joins the types.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas import places
from schemas.refusal import Refused
from schemas.times import EARLIEST, LATEST, Time, epoch_ms

Text16 = Annotated[str, Meta(min_length=1, max_length=16)]
Text32 = Annotated[str, Meta(min_length=1, max_length=32)]
Text40 = Annotated[str, Meta(min_length=1, max_length=40)]
Text64 = Annotated[str, Meta(min_length=1, max_length=64)]
Text128 = Annotated[str, Meta(min_length=1, max_length=128)]

Count = Annotated[int, Meta(ge=0, le=10_000_000)]
Sequence = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A counter of the sender; above 2**53 - 1 JSON readers disagree about integers."""

Share = Annotated[float, Meta(ge=0, le=1)]
DaySeconds = Annotated[float, Meta(ge=0, le=86_400)]

# A pattern would triple the time to decode (and `\d` takes full-width digits, `$` a newline):
# the shape is checked by `settle` and stated for readers of the JSON Schema alone.
Place = Annotated[str, Meta(extra_json_schema={"pattern": places.PATTERN})]


class Event(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """Source, time and place of an event.

    Parameters
    ----------
    source, id
        Sender and its name for the event; both may stand in the record's headers instead.
    t
        Event time (of the start, where the event lasts), int64 ms UTC.
    t_ingest
        When the source's own platform received it, int64 ms UTC.
    place
        Place code, normalised.
    lon, lat
        Degrees in `crs`; both or neither.
    site, site_type
        Named facility, such as an underpass.
    """

    source: Text64 | None = None
    id: Text128 | None = None
    t: Time
    t_ingest: Time | None = None
    place: Place
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    crs: Literal["CGCS2000", "WGS84", "GCJ02"] = "CGCS2000"
    site: Text64 | None = None
    site_type: Text32 | None = None


def settle(event: Event) -> None:
    """Bring time, place and position of an event to their one form, in place.

    Raises
    ------
    Refused
        `bad_time`, `bad_place`, or `inconsistent` for half a position.
    """
    t = event.t
    if type(t) is not int or not EARLIEST <= t < LATEST:
        event.t = settle_time(t, "$.t")
    ingested = event.t_ingest
    if ingested is not None and (type(ingested) is not int or not EARLIEST <= ingested < LATEST):
        event.t_ingest = settle_time(ingested, "$.t_ingest")
    place = event.place
    # Most readings name a grid, which is its own normal form: they are spared a call.
    if len(place) != 15 or not place.isascii() or not place.isdigit():
        try:
            event.place = places.normalise(place)
        except ValueError as error:
            raise Refused("bad_place", "$.place", str(error)) from None
    lon, lat = event.lon, event.lat
    if lon is not None and lat is not None:
        # Adding 0.0 turns -0.0 into 0.0: equal numbers leave the gate as equal bytes.
        event.lon = lon + 0.0
        event.lat = lat + 0.0
    elif lon is not None or lat is not None:
        missing = "lat" if lat is None else "lon"
        raise Refused("inconsistent", f"$.{missing}", "is absent: send lon and lat together")


def settle_time(value: int, where: str) -> int:
    """Return a decoded time as int64 ms UTC, or refuse it.

    Raises
    ------
    Refused
        `bad_time` at `where`.
    """
    try:
        return epoch_ms(value)
    except ValueError as error:
        raise Refused("bad_time", where, str(error)) from None


def require_order(first: int, second: int, where: str, hint: str) -> None:
    """Refuse a second time that lies before the first, both int64 ms UTC.

    Raises
    ------
    Refused
        `inconsistent` at `where`.
    """
    if second < first:
        raise Refused("inconsistent", where, hint)


def drop_negative_zeros(struct: msgspec.Struct, names: tuple[str, ...]) -> None:
    """Turn -0.0 into 0.0 in the named float fields, in place."""
    for name in names:
        value = getattr(struct, name)
        if value is not None:
            setattr(struct, name, value + 0.0)
