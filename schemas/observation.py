"""Traffic observations: segments, intersections, car parks, hubs, vehicles."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from schemas.event import (
    Count,
    DaySeconds,
    Event,
    Share,
    Text16,
    Text40,
    Text64,
    drop_negative_zeros,
    require_order,
    settle,
    settle_time,
)
from schemas.times import Time

Metres = Annotated[float, Meta(ge=0, le=1_000_000)]
_FLOATS = ("accuracy", "link_len_m", "flow_vph", "speed_kmh", "occupancy", "queue_m", "delay_s")


class Observation(Event, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A traffic observation.

    Parameters
    ----------
    kind
        What was observed.
    source_id
        Segment, intersection, car park, hub, or hash of a vehicle.
    t_end
        End of the observed period, int64 ms UTC.
    link_len_m, queue_m
        Metres.
    lanes
        Lanes of the measuring point in all, this one included.
    period_s
        Seconds that the figures stand for, where no end is given.
    accuracy
        Share of the period's samples that were sound, per cent, as the source states it.
    intensity
        Vehicles in the period.
    flow_vph
        Vehicles an hour.
    speed_kmh, free_flow_kmh
        Kilometres an hour.
    occupancy
        Share of time the detector was covered.
    delay_s
        Seconds.
    n
        Probe or detector samples behind the figures.
    persons, occupied, capacity
        People present, places taken, places in all.
    event_id, cls, severity, status
        Of a traffic incident.
    plate_hash
        Hash of a number plate, never the plate.
    exceed
        Whether a remote exhaust measurement exceeds its limit.
    """

    kind: Literal[
        "segment_flow",
        "intersection",
        "incident",
        "parking",
        "transit_hub",
        "vehicle_event",
        "remote_sensing",
    ]
    source_id: Text64
    t_end: Time | None = None
    road_class: Literal["expressway", "arterial", "secondary", "branch", "highway"] | None = None
    direction: Text16 | None = None
    lane: Text16 | None = None
    lanes: Annotated[int, Meta(ge=1, le=100)] | None = None
    period_s: Annotated[float, Meta(gt=0, le=2_678_400)] | None = None
    accuracy: Annotated[float, Meta(ge=0, le=100)] | None = None
    link_len_m: Metres | None = None
    intensity: Count | None = None
    flow_vph: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    speed_kmh: Annotated[float, Meta(ge=0, le=250)] | None = None
    free_flow_kmh: Annotated[float, Meta(gt=0, le=250)] | None = None
    occupancy: Share | None = None
    queue_m: Metres | None = None
    delay_s: DaySeconds | None = None
    n: Count | None = None
    persons: Count | None = None
    occupied: Count | None = None
    capacity: Count | None = None
    event_id: Text64 | None = None
    cls: Text40 | None = None
    severity: Annotated[int, Meta(ge=0, le=4)] | None = None
    status: Literal["open", "cleared"] | None = None
    plate_hash: Text64 | None = None
    exceed: bool | None = None
    q: Literal["good", "suspect", "bad"] = "good"


def check(event: Observation) -> None:
    """Settle times, place and zeros of an observation, in place.

    Raises
    ------
    Refused
        `inconsistent` where it ends before it starts, or what `settle` refuses.
    """
    settle(event)
    if event.t_end is not None:
        event.t_end = settle_time(event.t_end, "$.t_end")
        require_order(event.t, event.t_end, "$.t_end", "is before t: send the end of the period")
    drop_negative_zeros(event, _FLOATS)
